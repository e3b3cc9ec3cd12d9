import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { conflicts } from "../../src/sidecar/conflicts.ts";
import { app, type Links, linkedCluster, ways } from "../support/link.ts";
import { type Cluster, contentOf } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** Two nodes write without knowing of each other, `first` before `second`; each case has rows of its own. */
interface Case {
  name: string;
  /** What both have before. */
  before?: string;
  first: readonly ["local" | "external", ...string[]];
  second?: readonly ["local" | "external", ...string[]];
  /** The rows of the case afterwards, on both. */
  rows: string[];
  /** `key kind winner > loser: the image that lost`. */
  conflicts: string[];
}

const cases: Case[] = [
  {
    name: "update against a newer update",
    before: "insert into t values (10, 'old')",
    first: ["local", "update t set v = 'a' where id = 10"],
    second: ["external", "update t set v = 'b' where id = 10"],
    rows: ["(10,b)"],
    conflicts: ["10 update/update external > local: id = '10', v = 'a'"],
  },
  {
    name: "update against a newer update, the other way round",
    before: "insert into t values (11, 'old')",
    first: ["external", "update t set v = 'b' where id = 11"],
    second: ["local", "update t set v = 'a' where id = 11"],
    rows: ["(11,a)"],
    conflicts: ["11 update/update local > external: id = '11', v = 'b'"],
  },
  {
    name: "insert against a newer insert",
    first: ["local", "insert into t values (12, 'a')"],
    second: ["external", "insert into t values (12, 'b')"],
    rows: ["(12,b)"],
    conflicts: ["12 insert/insert external > local: id = '12', v = 'a'"],
  },
  {
    name: "update against a newer deletion",
    before: "insert into t values (13, 'old')",
    first: ["local", "update t set v = 'a' where id = 13"],
    second: ["external", "delete from t where id = 13"],
    rows: [],
    conflicts: ["13 delete/update external > local: id = '13', v = 'a'"],
  },
  {
    name: "deletion against a newer update",
    before: "insert into t values (14, 'old')",
    first: ["local", "delete from t where id = 14"],
    second: ["external", "update t set v = 'b' where id = 14"],
    rows: ["(14,b)"],
    conflicts: ["14 update/delete external > local: gone"],
  },
  {
    name: "deletion against deletion: agreed",
    before: "insert into t values (15, 'old')",
    first: ["local", "delete from t where id = 15"],
    second: ["external", "delete from t where id = 15"],
    rows: [],
    conflicts: [],
  },
  {
    name: "update against a newer deletion and re-insertion",
    before: "insert into t values (16, 'old')",
    first: ["local", "update t set v = 'a' where id = 16"],
    second: ["external", "delete from t where id = 16", "insert into t values (16, 'b')"],
    rows: ["(16,b)"],
    conflicts: ["16 insert/update external > local: id = '16', v = 'a'"],
  },
  {
    name: "deletion and re-insertion against a newer update",
    before: "insert into t values (17, 'old')",
    first: ["local", "delete from t where id = 17; insert into t values (17, 'a')"],
    second: ["external", "update t set v = 'b' where id = 17"],
    rows: ["(17,b)"],
    conflicts: ["17 update/insert external > local: id = '17', v = 'a'"],
  },
  {
    name: "key update against a newer update: the row stays under both keys",
    before: "insert into t values (18, 'old')",
    first: ["local", "update t set id = 1800 where id = 18"],
    second: ["external", "update t set v = 'b' where id = 18"],
    rows: ["(18,b)", "(1800,old)"],
    conflicts: ["18 update/delete external > local: gone"],
  },
  {
    name: "update against a newer key update",
    before: "insert into t values (19, 'old')",
    first: ["local", "update t set v = 'a' where id = 19"],
    second: ["external", "update t set id = 1900 where id = 19"],
    rows: ["(1900,old)"],
    conflicts: ["19 delete/update external > local: id = '19', v = 'a'"],
  },
  {
    name: "key update onto a key that was inserted elsewhere",
    before: "insert into t values (20, 'old')",
    first: ["local", "insert into t values (2000, 'a')"],
    second: ["external", "update t set id = 2000 where id = 20"],
    rows: ["(2000,old)"],
    conflicts: ["2000 update/insert external > local: id = '2000', v = 'a'"],
  },
  {
    name: "many changes of one row between two rounds are one conflict",
    before: "insert into t values (21, 'old')",
    first: ["local", ...[1, 2, 3, 4, 5].map((i) => `update t set v = 'a${i}' where id = 21`)],
    second: ["external", ...[1, 2, 3].map((i) => `update t set v = 'b${i}' where id = 21`)],
    rows: ["(21,b3)"],
    conflicts: ["21 update/update external > local: id = '21', v = 'a5'"],
  },
  {
    name: "a row changed twice in one transaction is no conflict",
    before: "insert into t values (22, 'old')",
    first: ["local", "begin; update t set v = 'a' where id = 22; update t set v = 'b' where id = 22; commit"],
    rows: ["(22,b)"],
    conflicts: [],
  },
  {
    name: "a row inserted, changed, deleted and inserted again in one transaction is no conflict",
    first: [
      "local",
      "begin; insert into t values (23, 'a'); update t set v = 'b'  where id = 23; delete from t where id = 23; insert into t values (23, 'c'); commit",
    ],
    rows: ["(23,c)"],
    conflicts: [],
  },
  {
    name: "equal images are adopted without a conflict",
    before: "insert into t values (24, 'old')",
    first: ["local", "update t set v = 'same' where id = 24"],
    second: ["external", "update t set v = 'same' where id = 24"],
    rows: ["(24,same)"],
    conflicts: [],
  },
  {
    name: "equal insertions are adopted without a conflict",
    first: ["local", "insert into t values (25, 'same')"],
    second: ["external", "insert into t values (25, 'same')"],
    rows: ["(25,same)"],
    conflicts: [],
  },
];

for (const { way, options } of ways) {
  describe(`conflicts in ${way}`, () => {
    let nodes: Cluster;
    let links: Links;
    let dispose: () => PromiseLike<void>;

    beforeAll(async () => {
      const linked = await linkedCluster(2, {
        ...options,
        schema: `create table public.t (id int primary key, v text); create table public.emptied (id int primary key, v text)`,
      });
      ({ nodes, links } = linked);
      dispose = () => linked[Symbol.asyncDispose]();
      for (const { before } of cases) if (before) await app(nodes.local, before);
      await app(nodes.local, "insert into emptied values (1, 'old'), (2, 'old')");
      await links.sync();
    });
    afterAll(() => dispose?.());

    const write = async ([node, ...statements]: readonly [string, ...string[]]) => {
      for (const statement of statements) await app(nodes.node(node), statement);
    };

    const decided = async (table: string, keys: readonly string[]) => {
      const { rows } = await conflicts(links.config, { limit: 1000 });
      return rows
        .filter((row) => row.table === table && keys.includes(row.key))
        .map(
          ({ key, kind, winner, loser }) =>
            `${key} ${kind} ${winner.origin} > ${loser.origin}: ${loser.image ?? "gone"}`,
        );
    };

    test.each(cases)("C3 C5: $name", async ({ first, second, rows, conflicts: expected }) => {
      await write(first);
      if (second) await write(second);
      await links.sync();
      await links.expectRest();
      const keys = [...new Set([first, second ?? []].flat().flatMap((text) => text.match(/\b\d+\b/g) ?? []))];
      const content = await contentOf(nodes.local.superUrl, "public.t");
      expect(content.filter((row) => keys.includes(/\d+/.exec(row)?.[0] ?? ""))).toEqual(rows);
      expect(await decided("t", keys)).toEqual(expected);
    });

    test("C3 C5: truncation against an insertion and a newer update", async () => {
      await app(nodes.local, "truncate emptied");
      await app(nodes.external, "insert into emptied values (3, 'new'); update emptied set v = 'newer' where id = 2");
      await links.sync();
      await links.expectRest();
      expect(await contentOf(nodes.local.superUrl, "public.emptied")).toEqual(["(2,newer)", "(3,new)"]);
      expect(await decided("emptied", ["1", "2", "3"])).toEqual(["2 update/delete external > local: gone"]);
    });

    test("C3 C5: of two changes with the same stamp that of the node whose name is greater stays", async () => {
      await app(nodes.local, "insert into t values (30, 'a')");
      await app(nodes.external, "insert into t values (30, 'b')");
      const stamp = await nodes.external.admin.value(`select stamp::text from tandem_log."public.t" where k1 = 30`);
      await nodes.local.admin.query(`update tandem_log."public.t" set stamp = $1 where k1 = 30`, [stamp]);
      await links.sync();
      await links.expectRest();
      expect(await decided("t", ["30"])).toEqual(["30 insert/insert local > external: id = '30', v = 'b'"]);
    });

    test("C5: a conflict that both nodes decide, each for itself, is shown once and has one id", async () => {
      await app(nodes.local, "insert into t values (32, 'a')");
      await app(nodes.external, "insert into t values (32, 'b')");
      // Both batches are read before either is applied.
      await links.roundAround("local", "external", () => links.round("external", "local"));
      await links.sync();
      await links.expectRest();
      const { rows } = await conflicts(links.config, { limit: 1000 });
      expect(rows.filter(({ key }) => key === "32")).toMatchObject([
        { nodes: ["local", "external"], winner: { origin: "external" }, loser: { image: "id = '32', v = 'a'" } },
      ]);
      const ids = [];
      for (const node of nodes) ids.push(await node.admin.value("select id from tandem.conflicts where key = '32'"));
      expect(ids[0]).toBe(ids[1]);
    });

    test("C3: after equal images were adopted, either node goes on without a conflict", async () => {
      await app(nodes.local, "insert into t values (31, 'same')");
      await app(nodes.external, "insert into t values (31, 'same')");
      await links.sync();
      await app(nodes.local, "update t set v = 'next' where id = 31");
      await links.sync();
      await app(nodes.external, "update t set v = 'last' where id = 31");
      await links.sync();
      await links.expectRest();
      expect(await decided("t", ["31"])).toEqual([]);
    });
  });
}
