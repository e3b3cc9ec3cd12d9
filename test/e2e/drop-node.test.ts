import { describe, expect, test, vi } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { dropNode } from "../../src/install/drop-node.ts";
import { migrate } from "../../src/install/migrate.ts";
import { sync } from "../../src/sidecar/sync.ts";
import { withoutNode } from "../support/config.ts";
import { app, codeOf, type LinkedOptions, type Links, linkedCluster } from "../support/link.ts";
import { type Cluster, expectEqual } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 240_000 });

const schema = "create table public.t (id int primary key, v text);";

/** Entries go as soon as the rule lets them. */
async function pruneAll(nodes: Cluster): Promise<void> {
  for (const { admin } of nodes)
    await admin.query("update tandem.local_node set retention = '0'; select tandem.prune()");
}

/** Everything flows, every link has said more than once how far it is, and what may go has gone. */
async function settle(nodes: Cluster, links: Links): Promise<void> {
  for (let i = 0; i < 4; i++) {
    for (const node of nodes)
      await app(node, `insert into public.t values (${1000 + i * 100 + node.name.length}, 'settle')`);
    await links.sync();
    await pruneAll(nodes);
  }
}

/** One node writes three times; each of the others hears as much of it as `hears` says, in rounds. */
async function lastWords(nodes: Cluster, links: Links, lost: string, hears: Record<string, number>): Promise<void> {
  const writes = [
    "insert into public.t values (1, 'one'), (2, 'one'), (3, 'one'); update public.t set v = 'one' where id = 50",
    "update public.t set v = 'two' where id = 1; delete from public.t where id in (2, 51); insert into public.t values (4, 'two')",
    "delete from public.t where id in (3, 52); update public.t set v = 'three' where id in (4, 50)",
  ];
  for (const [i, text] of writes.entries()) {
    await app(nodes.node(lost), text);
    for (const [node, upto] of Object.entries(hears)) if (upto > i) await links.catchUp(lost, node);
  }
}

/** The rows that tell how much of it has come through. */
const heard = async (nodes: Cluster, node: string) =>
  (
    await nodes
      .node(node)
      .admin.query("select id, v from public.t where id < 100 and v <> 'start' or id in (51, 52) order by id")
  ).map(({ id, v }) => `${id} ${v}`);

const everything = ["1 two", "4 three", "50 three"];

async function prepared(count: number, options: LinkedOptions = {}) {
  const linked = await linkedCluster(count, { schema, ...options });
  await app(linked.nodes.local, "insert into public.t select i, 'start' from generate_series(50, 59) i");
  await linked.links.sync();
  await settle(linked.nodes, linked.links);
  return linked;
}

/** The survivors carry on by themselves and are equal, twice. */
async function expectSurvivors(nodes: Cluster, config: Config): Promise<void> {
  const survivors = nodes.nodes.filter(({ name }) => config.nodes.some((each) => each.name === name));
  const report = await sync(config);
  expect(report.links.map(({ error }) => error)).toEqual(config.links.map(() => null));
  await expectEqual(survivors);
  for (const node of survivors) await app(node, `insert into public.t values (${2000 + node.name.length}, 'after')`);
  expect((await sync(config)).well).toBe(true);
  await expectEqual(survivors);
}

describe("C1 C3: a node lost for good, the others at different places", () => {
  test("mesh of three: what only one has heard reaches the other, deletions too, though all is pruned at once", async () => {
    await using linked = await prepared(3);
    const { nodes, links } = linked;
    await lastWords(nodes, links, "n3", { local: 1, external: 3 });
    // the survivors talk to each other and prune as they may: the lost node's words must stay
    for (let i = 0; i < 3; i++) {
      for (const node of [nodes.local, nodes.external])
        await app(node, `insert into public.t values (${70 + i * 10 + node.name.length}, 'start')`);
      await links.catchUp("local", "external");
      await links.catchUp("external", "local");
      await pruneAll(nodes);
    }
    expect(await heard(nodes, "external")).toEqual(everything);
    expect(await heard(nodes, "local")).not.toEqual(everything);
    await links.reopen();
    const report = await dropNode(links.config, "n3");
    expect(report.configured).toBe(true);
    expect(report.others.map(({ node, linked: neighbour }) => [node, neighbour])).toEqual([
      ["local", true],
      ["external", true],
    ]);
    await expectSurvivors(nodes, withoutNode(links.config, "n3"));
    expect(await heard(nodes, "local")).toEqual(everything);
    // versions are kept
    const versions = "select count(*) from tandem_log.\"public.t\" where origin = 'n3' and k1 = 4";
    expect(await nodes.local.admin.value(versions)).not.toBe("0");
    expect(await nodes.local.admin.query("select * from tandem.conflicts")).toEqual([]);
    // nothing is kept for it any more
    for (const node of [nodes.local, nodes.external]) {
      expect(await node.admin.value("select count(*) from tandem.outbound")).toBe("1");
    }
    expect(await codeOf(dropNode(links.config, "n3"))).toBe("usage");
  });

  test("mesh of four: three survivors at three places", async () => {
    await using linked = await prepared(4);
    const { nodes, links } = linked;
    await lastWords(nodes, links, "n4", { local: 2, external: 1, n3: 3 });
    await links.reopen();
    await dropNode(links.config, "n4");
    await expectSurvivors(nodes, withoutNode(links.config, "n4"));
    expect(await heard(nodes, "external")).toEqual(everything);
  });

  test("an end of a chain, and a leaf of a star: what the neighbour has heard reaches the others", async () => {
    const pairs: [string, string][] = [
      ["local", "external"],
      ["local", "n3"],
    ];
    await using linked = await prepared(3, { pairs });
    const { nodes, links } = linked;
    await lastWords(nodes, links, "n3", { local: 3 });
    await links.reopen();
    await dropNode(links.config, "n3");
    await expectSurvivors(nodes, withoutNode(links.config, "n3"));
    expect(await heard(nodes, "external")).toEqual(everything);
  });

  test("an inner node of a chain is not dropped while the others would fall apart", async () => {
    const pairs: [string, string][] = [
      ["local", "external"],
      ["local", "n3"],
    ];
    await using linked = await prepared(3, { pairs });
    const { nodes, links } = linked;
    await links.reopen();
    expect(await codeOf(dropNode(links.config, "local"))).toBe("net_splits");
    // with a link of their own they do not
    const mended: Config = {
      ...links.config,
      links: [...links.config.links, { source: "external", target: "n3" }, { source: "n3", target: "external" }],
    };
    await migrate(mended);
    expect((await sync(mended)).well).toBe(true);
    await dropNode(mended, "local");
    await expectSurvivors(nodes, withoutNode(mended, "local"));
  });

  test("a link that is taken out of the configuration leaves its changes to the others", async () => {
    await using linked = await prepared(3);
    const { nodes, links } = linked;
    await lastWords(nodes, links, "n3", { local: 1, external: 3 });
    await pruneAll(nodes);
    await links.reopen();
    const fewer: Config = {
      ...links.config,
      links: links.config.links.filter(
        ({ source, target }) => ![source, target].every((name) => ["local", "n3"].includes(name)),
      ),
    };
    await migrate(fewer);
    await expectSurvivors(nodes, fewer);
    expect(await heard(nodes, "local")).toEqual(everything);
  });
});
