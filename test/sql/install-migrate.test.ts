import { expect, test } from "vitest";
import type { Config, NodeConfig } from "../../src/config/config.ts";
import { allPairs } from "../../src/config/rules.ts";
import { migrate } from "../../src/install/migrate.ts";
import { cluster } from "../support/pg.ts";

function configOf(nodes: Iterable<NodeConfig>): Config {
  const list = [...nodes].map(({ name, url }) => ({ name, url }));
  return {
    file: null,
    nodes: list,
    links: allPairs(list.map((n) => n.name)).flatMap(([a, b]) => [
      { source: a, target: b },
      { source: b, target: a },
    ]),
    tables: null,
    exclude: [],
    sync: {
      intervalMs: 1000,
      batchRows: 1000,
      maxSkewMs: 300000,
      retentionMs: 604800000,
      seed: null,
      sequences: "past",
      verifyEveryMs: null,
    },
    http: { listen: "", token: null },
    backup: { dir: "/tmp", jobs: [] },
  };
}
test("x", async () => {
  await using nodes = await cluster(2);
  await nodes.local.admin.query("create table t(id serial primary key, v text); create table u (v int)");
  console.log(JSON.stringify(await migrate(configOf(nodes)), null, 1));
  console.log(JSON.stringify(await migrate(configOf(nodes)), null, 1));
  expect(1).toBe(1);
});
