import { expect, test } from "vitest";
import { type Random, seeded, seeds } from "../support/seed.ts";
import { type Captured, capturedNode } from "./capture-log.ts";

/** A table whose key has one or two columns: its definition, and how a statement makes keys of g. */
interface Kind {
  readonly columns: string;
  readonly key: readonly string[];
  readonly keyOf: string;
}

const kinds: Readonly<Record<string, Kind>> = {
  "bigint, all taken": { columns: "id bigint primary key", key: ["id"], keyOf: "g - 500" },
  "bigint, the last ones": { columns: "id bigint primary key", key: ["id"], keyOf: "9223372036854775807 - g" },
  "integer, the last ones": { columns: "id int primary key", key: ["id"], keyOf: "(2147483647 - g)::int" },
  "integer, few taken": { columns: "id int primary key", key: ["id"], keyOf: "(g * 100)::int" },
  "integer, taken in clusters": { columns: "id int primary key", key: ["id"], keyOf: "(g + g / 150 * 100000)::int" },
  smallint: { columns: "id smallint primary key", key: ["id"], keyOf: "g::smallint" },
  numeric: { columns: "id numeric primary key", key: ["id"], keyOf: "g / 4.0" },
  text: { columns: "id text primary key", key: ["id"], keyOf: "'Ä' || g" },
  date: { columns: "id date primary key", key: ["id"], keyOf: "date '2020-01-01' + g::int" },
  uuid: { columns: "id uuid primary key", key: ["id"], keyOf: "md5(g::text)::uuid" },
  pair: { columns: "a int, b text, primary key (a, b)", key: ["a", "b"], keyOf: "(g / 7)::int, 'b' || g" },
  "named pair": { columns: "a text, b int, primary key (a, b)", key: ["a", "b"], keyOf: "'a' || g / 7, g::int" },
};

/** Rows written once the table is tracked: none, a few neighbours, some anywhere. */
function writes(random: Random, { key, keyOf }: Kind): string[] {
  const low = random.int(1, 900);
  const some = random.pick([
    `generate_series(${low}, ${low + random.int(0, 30)}) g`,
    `generate_series(${random.int(1, 50)}, 1000, ${random.int(50, 400)}) g`,
  ]);
  const chosen = `(${key.join(", ")}) in (select ${keyOf} from ${some})`;
  return random.pick([
    [],
    [`update t set v = v || '+' where ${chosen}`],
    [`delete from t where ${chosen}`],
    [`delete from t where ${chosen}`, `insert into t select ${keyOf}, 'again' from ${some} on conflict do nothing`],
  ]);
}

/** Each row with its version, by SQL of the test's own, one line each. */
async function expected({ run }: Captured, { key }: Kind): Promise<string[]> {
  const rows = await run(`select concat_ws('|', ${key.map((name) => `t.${name}`).join(", ")}, n.op, true,
      coalesce(n.stamp, '0001-01-01 00:00:00+00'), coalesce(n.origin, ''), false, t.v) as line
    from t left join lateral (select * from tandem_log."entries public.t" l
      where (${key.map((_, i) => `l.k${i + 1}`).join(", ")}) = (${key.map((name) => `t.${name}`).join(", ")})
      order by l.stamp desc, l.origin desc limit 1) n on true`);
  return rows.map(({ line }) => line ?? "").sort();
}

const met = new Map<string, number>();

for (const [i, [name, kind]] of Object.entries(kinds).entries()) {
  for (const seed of seeds(6)) {
    test(`C1 ranges of a first copy hold each row once, with its version, key ${name}, seed ${seed}`, async () => {
      const random = seeded(seed * 100 + i);
      const node = await capturedNode(["external"]);
      await node.run(`create table t (${kind.columns}, v text not null);
        insert into t select ${kind.keyOf}, 'first' from generate_series(1, ${random.pick([900, 1000, 1])}) g`);
      await node.track("t");
      const peer = await node.value("select peer_id from tandem.peer where name = 'external'");
      const id = await node.value("select table_id from tandem.tracked_table");
      for (const statement of writes(random, kind)) await node.run(statement);
      await node.run(`select tandem.write_out(${id})`);
      const most = random.pick([1, 60, 100, 333, 5000]);
      const keys = kind.key.map((_, i) => `k${i + 1}`).join(", ");
      const lines: string[] = [];
      let after = "null::text[]";
      for (let ranges = 0; ; ranges++) {
        expect(ranges, "ranges").toBeLessThan(1200);
        const bound = await node.value(`select quote_literal(tandem.copy_bound(${id}, ${after}, ${most}))`);
        const upto = bound == null ? "null::text[]" : `${bound}::text[]`;
        const query = await node.value(
          `select tandem.copy_query(${id}, ${peer}, ${after}, ${upto}, array['v'], '{}') ->> 'query'`,
        );
        // What a range does not say holds for none of its rows.
        const unsettled = query?.includes(" as unsettled,") ? "unsettled" : "false";
        const sent = await node.run(
          `select concat_ws('|', ${keys}, op, present, stamp, origin, ${unsettled}, c1) as line from (${query}) sent`,
        );
        expect(sent.length, "rows of a range").toBeLessThanOrEqual(most);
        lines.push(...sent.map(({ line }) => line ?? ""));
        const way = query?.includes("left join lateral") ? "entries looked for" : "no entries";
        met.set(way, (met.get(way) ?? 0) + 1);
        if (bound == null) break;
        after = upto;
      }
      expect(lines.sort()).toEqual(await expected(node, kind));
    });
  }
}

test("C1 numbers that are mostly taken are not counted, others are", async () => {
  const node = await capturedNode(["external"]);
  await node.run(`create table dense (id int primary key); create table sparse (id int primary key);
    insert into dense select g from generate_series(1, 10000) g where g % 10 > 0;
    insert into sparse select g * 7 from generate_series(1, 10000) g`);
  await node.track("dense", "sparse");
  const bound = (table: string, after: string, rows: number) =>
    node.value(
      `select (tandem.copy_bound(table_id, ${after}, ${rows}))[1] from tandem.tracked_table where table_name = '${table}'`,
    );
  expect(await bound("dense", "null", 1000)).toBe("1000");
  expect(await bound("dense", "'{1000}'", 1000)).toBe("2000");
  expect(await bound("dense", "'{9500}'", 1000)).toBe(null);
  expect(await bound("sparse", "null", 1000)).toBe("7000");
  expect(await bound("sparse", "'{63007}'", 1000)).toBe(null);
});

test("C1 the tests above have met each way", () => {
  process.stdout.write(`ranges by way: ${JSON.stringify(Object.fromEntries(met))}\n`);
  expect([...met.keys()].sort()).toEqual(["entries looked for", "no entries"]);
});
