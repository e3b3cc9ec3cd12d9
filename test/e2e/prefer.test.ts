import { expect, test, vi } from "vitest";
import { conflicts } from "../../src/sidecar/conflicts.ts";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const schema = "create table public.t (id int primary key, v text)";
const tables = [{ name: "public.t", conflict: "prefer: local" as const, updatedAt: null }];

test.each(ways)("C3 C5: the preferred node's change stays, older or newer: $way", async ({ options }) => {
  await using linked = await linkedCluster(2, { ...options, schema, tables });
  const { nodes, links } = linked;
  await app(nodes.local, "insert into t select i, 'old' from generate_series(1, 6) i");
  await links.sync();
  await app(nodes.local, "update t set v = 'local' where id in (1, 3); delete from t where id = 2");
  await app(nodes.external, "update t set v = 'external' where id in (1, 2, 4); delete from t where id = 3");
  await app(nodes.local, "update t set v = 'local' where id = 4; insert into t values (7, 'local')");
  await app(nodes.external, "insert into t values (7, 'external'); update t set v = 'external' where id = 5");
  await links.sync();
  await links.expectRest();
  const kept = ["(1,local)", "(3,local)", "(4,local)", "(5,external)", "(6,old)", "(7,local)"];
  expect(await contentOf(nodes.external.superUrl, "public.t")).toEqual(kept);
  const { rows } = await conflicts(links.config);
  const lines = rows.map(
    ({ key, kind, rule, winner, loser }) => `${key} ${kind} ${rule} ${winner.origin} ${loser.image}`,
  );
  expect(lines.sort()).toEqual([
    "1 update/update prefer: local local id = '1', v = 'external'",
    "2 delete/update prefer: local local id = '2', v = 'external'",
    "3 update/delete prefer: local local null",
    "4 update/update newest local id = '4', v = 'external'",
    "7 insert/insert prefer: local local id = '7', v = 'external'",
  ]);
  await app(nodes.external, "update t set v = 'knowing' where id = 1");
  await links.sync();
  await links.expectRest();
  expect(await contentOf(nodes.local.superUrl, "public.t")).toContain("(1,knowing)");
  expect((await conflicts(links.config)).rows).toHaveLength(5);
});

test("C5: where both nodes decide, the list says that the preferred one's change stays", async () => {
  await using linked = await linkedCluster(2, { schema, tables });
  const { nodes, links } = linked;
  await app(nodes.local, "insert into t values (1, 'old')");
  await links.sync();
  await app(nodes.local, "update t set v = 'local'");
  await app(nodes.external, "update t set v = 'external'");
  await links.roundAround("local", "external", () => links.round("external", "local"));
  await links.sync();
  await links.expectRest();
  expect(await contentOf(nodes.external.superUrl, "public.t")).toEqual(["(1,local)"]);
  expect((await conflicts(links.config)).rows).toMatchObject([
    { nodes: ["local", "external"], rule: "prefer: local", winner: { origin: "local" }, loser: { origin: "external" } },
  ]);
  for (const node of nodes)
    expect(await links.conflicts(node.name)).toEqual([expect.stringContaining("update/update")]);
});

test("C3: three nodes write one row at once, in every order of the links", async () => {
  await using linked = await linkedCluster(3, { schema, tables });
  const { nodes, links } = linked;
  const orders = [
    ["local", "external", "n3"],
    ["n3", "external", "local"],
    ["external", "local", "n3"],
  ];
  await app(nodes.local, "insert into t select i, 'old' from generate_series(1, 6) i");
  await links.sync();
  for (const [round, order] of orders.entries()) {
    const [here, others] = [round * 2 + 1, round * 2 + 2];
    for (const name of order) await app(nodes.node(name), `update t set v = '${name}${round}' where id = ${here}`);
    // Nobody prefers between the two others.
    for (const name of order.filter((each) => each !== "local"))
      await app(nodes.node(name), `update t set v = '${name}${round}' where id = ${others}`);
    for (const source of order) {
      for (const target of order) if (source !== target) await links.catchUp(source, target);
    }
    await links.sync();
    await links.expectRest();
    const content = await contentOf(nodes.node("n3").superUrl, "public.t");
    expect(content).toContain(`(${here},local${round})`);
    expect(content).toContain(`(${others},${order.findLast((each) => each !== "local")}${round})`);
  }
});
