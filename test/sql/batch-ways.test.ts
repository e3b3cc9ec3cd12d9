import { expect, test } from "vitest";
import { countFewAsMany } from "../support/install.ts";
import { type Random, seeded, seeds } from "../support/seed.ts";
import { type Captured, capturedNode } from "./capture-log.ts";

/** A table whose key has one or two columns: its definition, and how a statement makes keys of g. */
interface Kind {
  readonly columns: string;
  readonly key: readonly string[];
  readonly keyOf: string;
}

const kinds: Readonly<Record<string, Kind>> = {
  bigint: { columns: "id bigint primary key", key: ["id"], keyOf: "g" },
  integer: { columns: "id int primary key", key: ["id"], keyOf: "g" },
  text: { columns: "id text primary key", key: ["id"], keyOf: "'Ä' || lpad(g::text, 5, '0')" },
  date: { columns: "id date primary key", key: ["id"], keyOf: "date '2020-01-01' + g::int" },
  uuid: { columns: "id uuid primary key", key: ["id"], keyOf: "md5(g::text)::uuid" },
  pair: { columns: "a text, b int, primary key (a, b)", key: ["a", "b"], keyOf: "'k' || g / 7, g" },
};

/** How the newest entries are found, as the query's own text shows. */
const wayOf = (query: string) =>
  query.includes("cross join lateral unnest(b.stamps")
    ? "blocks apart"
    : query.includes("max(l.stamp) as newest")
      ? "grouped"
      : query.includes("lead(l.k1)")
        ? "sorted"
        : query.includes("bool_or(e.named)")
          ? "key by key"
          : "each key once";

const logKeys = (key: readonly string[]) => key.map((_, i) => `k${i + 1}`).join(", ");

/** Statements that insert, update and delete ranges of keys, some of them a few times over. */
function writes(random: Random, { key, keyOf }: Kind): string[] {
  const keys = logKeys(key);
  const hot = random.int(1, 800);
  return Array.from({ length: random.pick([1, 2, 3, 10]) }, () => {
    const low = random.int(1, 800);
    const range = `generate_series(${low}, ${low + random.pick([0, 1, 5, 40])}) g`;
    const chosen = `(${key.join(", ")}) in (select ${keyOf} from ${range})`;
    const one = `(${key.join(", ")}) in (select ${keyOf} from generate_series(${hot}, ${hot}) g)`;
    return random.pick([
      `insert into t select ${keyOf}, 'new' from ${range} on conflict do nothing`,
      `insert into t select ${keyOf}, 'new' from ${range} on conflict do nothing`,
      `insert into t select ${keyOf}, 'hot' from generate_series(${hot}, ${hot}) g on conflict do nothing; ${`update t set v = v || '.' where ${one};`.repeat(random.int(1, 12))}`,
      `update t set v = v || '+' where ${chosen}`,
      `delete from t where ${chosen}`,
      // As two transactions at once may leave it: which of them the row is of, nobody can say.
      `insert into tandem_log."public.t" (xid, stamp, ${keys}, op, origin) select pg_current_xact_id(), stamp, ${keys}, op, origin
        from tandem_log."entries public.t" order by stamp desc, origin desc limit 1`,
    ]);
  });
}

/** What must be sent, one line for each row: by its newest entry, found in SQL of the test's own. */
async function expected({ run }: Captured, { key }: Kind, from: string): Promise<string[]> {
  const keys = logKeys(key);
  const newest = key.map((_, i) => `n.k${i + 1}`).join(", ");
  const rows = await run(`select concat_ws('|', ${newest}, n.op, t.v is not null, n.stamp, n.origin,
      exists (select from tandem_log."entries public.t" l where (${key.map((_, i) => `l.k${i + 1}`).join(", ")}) = (${newest}) and (l.stamp, l.origin) = (n.stamp, n.origin) and l.xid <> n.xid), t.v) as line
    from (select distinct on (${keys}) * from tandem_log."entries public.t" l where not pg_visible_in_snapshot(l.xid, '${from}')
      order by ${keys}, stamp desc, origin desc) n
    left join t on (${key.map((name) => `t.${name}`).join(", ")}) = (${key.map((_, i) => `n.k${i + 1}`).join(", ")})`);
  return rows.map(({ line }) => line ?? "").sort();
}

const met = new Map<string, number>();

for (const [name, kind] of Object.entries(kinds)) {
  for (const seed of seeds(3)) {
    test(`C1 C3 a batch brings the newest entry of each key, whichever way it is found, key ${name}, seed ${seed}`, async () => {
      const random = seeded(seed);
      const node = await capturedNode(["external"]);
      await countFewAsMany(node.node.superUrl);
      if (seed % 2 === 0)
        await node.run(
          "create or replace function tandem.block_after() returns integer language sql immutable as 'select 1000000'",
        );
      await node.run(`create table t (${kind.columns}, v text not null)`);
      await node.track("t");
      const peer = await node.value("select peer_id from tandem.peer where name = 'external'");
      for (let batch = 0; batch < 12; batch++) {
        const from = await node.value("select pg_current_snapshot()");
        // Now and then many rows, each by one statement only.
        const statements = batch % 4 === 3 ? [`update t set v = v || '=' where v <> '${batch}'`] : writes(random, kind);
        for (const statement of statements) await node.run(statement);
        const query =
          await node.value(`select tandem.batch_query((select table_id from tandem.tracked_table), '${from}', pg_current_snapshot(),
          ${peer}, array['v'], '{}', '[]', null, false) ->> 'query'`);
        const keys = logKeys(kind.key);
        const sent = await node.run(
          `select concat_ws('|', ${keys}, op, present, stamp, origin, unsettled, c1) as line from (${query}) sent`,
        );
        const way = wayOf(query ?? "");
        met.set(way, (met.get(way) ?? 0) + 1);
        expect(sent.map(({ line }) => line ?? "").sort(), way).toEqual(await expected(node, kind, from ?? ""));
      }
    });
  }
}

test("C1 the tests above have met each way", () => {
  process.stdout.write(`batches by way: ${JSON.stringify(Object.fromEntries(met))}\n`);
  expect([...met.keys()]).toEqual(expect.arrayContaining(["blocks apart", "each key once", "grouped", "sorted"]));
});
