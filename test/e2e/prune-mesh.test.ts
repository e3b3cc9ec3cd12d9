import { expect, test, vi } from "vitest";
import { app, type Links, linkedCluster } from "../support/link.ts";
import type { Cluster } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 600_000 });

const schema = `
  create table public.parent (id int primary key, u int unique, v text);
  create table public.child (id int primary key, parent int references public.parent);
  create table public.clock (id serial primary key);`;

/**
 * Rounds of these links, each with something to carry, after which one node prunes whatever it may; until a key has no entry
 * there. An open transaction of any database on the server, of another test too, keeps entries for as long as it lasts.
 */
async function pruneWhileTalking(
  nodes: Cluster,
  links: Links,
  pairs: readonly (readonly [string, string])[],
  gone: { readonly node: string; readonly table: string; readonly key: number },
): Promise<void> {
  const { admin } = nodes.node(gone.node);
  await admin.query("update tandem.local_node set retention = '0'");
  let rounds = 0;
  await waitFor(
    async () => {
      for (const each of nodes) await app(each, "insert into public.clock default values");
      for (const [source, target] of pairs) await links.catchUp(source, target);
      await admin.query("select tandem.prune()");
      rounds++;
      return rounds >= 5 && (await entries(nodes, gone.node, gone.table, gone.key)) === "0";
    },
    { deadlineMs: 300_000, what: () => `${gone.table} ${gone.key} is pruned in ${gone.node}` },
  );
}

const entries = (nodes: Cluster, node: string, table: string, key: number) =>
  nodes.node(node).admin.value(`select count(*) from tandem_log."public.${table}" where k1 = ${key}`);

test("C8: what is only looked at for a change that waits brings no pruned entry back", async () => {
  await using linked = await linkedCluster(2, { schema, sequences: "interleave" });
  const { nodes, links } = linked;
  await app(nodes.local, "insert into public.parent values (1), (2); insert into public.child values (10, 1)");
  await links.sync();
  await app(nodes.local, "alter table public.parent add check (v is distinct from 'external')");
  await app(nodes.external, "alter table public.parent add check (v is distinct from 'local')");
  // both claim 7, and each node refuses the other's row
  await app(nodes.external, "update public.parent set u = 7, v = 'external' where id = 1");
  await app(nodes.local, "update public.parent set u = 7, v = 'local' where id = 2");
  await links.sync();
  expect(await links.parked("external")).toEqual(["parent 2 refused"]);
  expect(await entries(nodes, "external", "child", 10)).not.toBe("0");
  const both = [
    ["local", "external"],
    ["external", "local"],
  ] as const;
  await pruneWhileTalking(nodes, links, both, { node: "external", table: "child", key: 10 });
  expect(await entries(nodes, "local", "child", 10)).not.toBe("0");
  await links.retryParked();
  await links.catchUp("local", "external");
  expect(await links.parked("external")).toEqual(["parent 2 refused"]);
  expect(await entries(nodes, "external", "child", 10)).toBe("0");
});

test("C1 C3: what came by way of another node stays until the links of the one that made it have brought it", async () => {
  await using linked = await linkedCluster(4, { schema, sequences: "interleave" });
  const { nodes, links } = linked;
  await links.sync();
  await app(nodes.node("n4"), "insert into public.parent values (1)");
  await links.catchUp("n4", "external");
  await app(nodes.external, "insert into public.child values (10, 1)");
  // local asks for the parent; when n3 hears of the child it is gone, so that it asks for nothing
  await links.catchUp("external", "local");
  await app(nodes.external, "delete from public.child");
  const all = links.config.links.map(({ source, target }) => [source, target] as const);
  const talking = all.filter(([source, target]) => source !== "n4" || target !== "n3");
  await pruneWhileTalking(nodes, links, talking, { node: "local", table: "child", key: 10 });
  expect(await entries(nodes, "local", "parent", 1)).toBe("1");
  await pruneWhileTalking(nodes, links, all, { node: "local", table: "parent", key: 1 });
  await links.sync();
  expect(await links.expectRest()).toBeGreaterThan(0);
});
