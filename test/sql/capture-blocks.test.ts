import { describe, expect, test } from "vitest";
import { openClient } from "../support/pg.ts";
import { type Captured, capturedNode } from "./capture-log.ts";

// A key of one number, one of two columns with texts, and keys that fit no block.
const tables = `create table t (id bigint primary key, v text);
  create table c (a text, b int, v text, primary key (a, b));
  create table u (id uuid primary key, v text);
  create table l (id int[] primary key, v text)`;

async function prepared(): Promise<Captured> {
  const node = await capturedNode(["external"]);
  await node.run(tables);
  await node.track("t", "c", "u", "l");
  return node;
}

/** How many entries a log holds: in rows of their own, in blocks, and in all. */
async function held({ value }: Captured, table: string): Promise<string | null | undefined> {
  return await value(`select concat_ws(' ', (select count(*) from tandem_log."public.${table}"),
    (select coalesce(sum(rows), 0) from tandem_log."blocks public.${table}"), (select count(*) from tandem_log."entries public.${table}"))`);
}

describe("many rows of one statement", () => {
  test("C1 C3 are kept in blocks; all entries are there, newer than those before, and say what the rows are", async () => {
    const node = await prepared();
    await node.run("insert into t select g, 'a' from generate_series(1, 2500) g");
    expect(await held(node, "t")).toBe("100 2400 2500");
    await node.run("update t set v = 'b' where id > 200");
    expect(await held(node, "t")).toBe("200 4600 4800");
    await node.run("delete from t where id <= 1700");
    expect(await held(node, "t")).toBe("300 6200 6500");
    await node.expectAgreement();
    expect(
      await node.run(`select op::text, count(*), count(distinct k1) as keys, count(distinct stamp) as stamps, count(distinct xid) as xids
        from tandem_log."entries public.t" group by 1 order by 1`),
    ).toEqual([
      { op: "D", count: "1700", keys: "1700", stamps: "2", xids: "1" },
      { op: "I", count: "2500", keys: "2500", stamps: "2", xids: "1" },
      { op: "U", count: "2300", keys: "2300", stamps: "2", xids: "1" },
    ]);
    await node.run("insert into c select 'text ' || g % 7, g, null from generate_series(1, 1500) g");
    expect(await held(node, "c")).toBe("100 1400 1500");
    await node.expectAgreement();
  });

  test("C1 keys that an update changes are deletions too, whichever rows it moves and in whatever order", async () => {
    const node = await prepared();
    await node.run("insert into t select g, 'a' from generate_series(1, 2500) g");
    await node.run("update t set id = id + 10000");
    await node.run("update t set id = case id when 11111 then 5 else id end, v = 'b'");
    await node.run("update t set id = 100000 - id where id in (select id from t order by random() limit 1800)");
    await node.expectAgreement();
    await node.run("insert into c select 'text ' || g % 7, g, null from generate_series(1, 1500) g");
    await node.run("update c set b = b + 1 where a = 'text 3'; update c set a = upper(a), b = -b");
    await node.expectAgreement();
  });

  test("C1 say each key once, and between which values its first column lies", async () => {
    const node = await prepared();
    await node.run(`create domain code as text check (value <> '');
      create table n (id int primary key, v text); create table d (day date, code code, v text, primary key (day, code));
      create table w (id varchar(40) collate "C" primary key, v text); create table p (id char(8) primary key, v text)`);
    await node.track("n", "d", "w", "p");
    const keys: Record<string, string> = {
      n: "3 * g - 5000",
      d: "date '2026-01-01' - g % 40, 'code ' || g",
      w: "case g % 2 when 0 then 'key ' else 'Key ' end || g",
      p: "g",
    };
    // 10,000 texts are read at once, and one more in another way.
    const sizes: Record<string, number> = { n: 3210, d: 1234, w: 10_000, p: 10_001 };
    for (const [table, key] of Object.entries(keys)) {
      await node.run(`insert into ${table} select ${key}, 'a' from generate_series(1, ${sizes[table]}) g`);
      await node.run(`update ${table} set v = 'b'`);
      await node.run(`delete from ${table} where ctid in (select ctid from ${table} limit 900)`);
      const blocks = `tandem_log."blocks public.${table}"`;
      const of = (op: string, rows: number) => `${op}: ${Math.ceil((rows - 100) / 1000)} blocks of ${rows - 100}`;
      const size = sizes[table] ?? 0;
      expect(
        await node.value(`select string_agg(said, ', ' order by said desc) from (
          select format('%s: %s blocks of %s', op, count(*), sum(rows)) as said from ${blocks} group by op) x`),
      ).toBe([of("U", size), of("I", size), of("D", 900)].join(", "));
      expect(
        await node.run(`select b.op, b.rows, b.least, b.most, cardinality(b.k1), x.* from ${blocks} b
          cross join lateral (select min(k), max(k) from unnest(b.k1) k) x
          where (b.rows, b.least, b.most) is distinct from (cardinality(b.k1), x.min, x.max)`),
      ).toEqual([]);
    }
    await node.expectAgreement();
  });

  test("C1 keys that many rows change are deletions, also where they are too many for lists; equal ones are none", async () => {
    const node = await prepared();
    await node.run(`create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      create table i (id text collate any_case primary key, v text); create table m (id numeric primary key, v text);
      create table w (id text primary key, v text)`);
    await node.track("i", "m", "w");
    await node.run(`insert into i select 'key ' || g, 'a' from generate_series(1, 700) g;
      insert into m select g, 'a' from generate_series(1, 700) g; insert into w select 'key ' || g, 'a' from generate_series(1, 10001) g`);
    const gone = (table: string) =>
      node.value(`select count(*) from tandem_log."entries public.${table}" where op = 'D'`);
    await node.run("update i set id = upper(id); update m set id = id + 0.00; update w set v = 'b'");
    expect([await gone("i"), await gone("m"), await gone("w")]).toEqual(["0", "0", "0"]);
    await node.run("update i set id = id || case id when 'KEY 700' then '!' else '' end, v = 'c'");
    await node.run("update m set id = id + case id when 333 then 5000 else 0 end");
    await node.run("update w set id = id || case id when 'key 9999' then '!' else '' end");
    expect([await gone("i"), await gone("m"), await gone("w")]).toEqual(["1", "1", "1"]);
    await node.run("update w set id = 'new ' || id");
    expect(await gone("w")).toBe("10002");
    await node.expectAgreement();
  });

  test("C3 what is written next is newer, also by a transaction that began before and with the clock set back", async () => {
    const node = await prepared();
    const old = await openClient(node.node.superUrl);
    await old.query("begin isolation level repeatable read; select count(*) from t");
    await node.run(`create function public.ahead() returns timestamptz language sql as 'select clock_timestamp() + interval ''1 day''';
      create or replace function tandem.next_stamp() returns timestamptz language plpgsql volatile as
        'begin return tandem.after(greatest(public.ahead(), tandem.from_us(tandem.floor_us()))); end'`);
    await node.run("insert into t select g, 'a' from generate_series(1, 1000) g");
    await node.run(
      `create or replace function public.ahead() returns timestamptz language sql as 'select clock_timestamp()'`,
    );
    await node.run("update t set v = 'b' where id in (1, 500); delete from t where id = 501");
    await node.run("update t set v = 'c'");
    await old.query("insert into t values (5000, 'a'); commit");
    await node.expectAgreement();
    expect(
      await node.value(`select count(*) from tandem_log."entries public.t" where stamp < now() + interval '23 hours'`),
    ).toBe("0");
    // With a newer entry among the keys they are looked up one by one, and every entry has a row of its own.
    await node.run(`update tandem_log."public.t" set stamp = stamp + interval '2 days' where k1 = 500 and op = 'U'`);
    const before = await node.value(`select sum(rows) from tandem_log."blocks public.t"`);
    await node.run("update t set v = 'd'");
    expect(await node.value(`select sum(rows) from tandem_log."blocks public.t"`)).toBe(before);
    await node.expectAgreement();
  });

  test("C9 two at once do not wait for each other's end, and the floor is that of the later", async () => {
    const node = await prepared();
    const other = await openClient(node.node.superUrl);
    await node.run("begin; insert into t select g, 'a' from generate_series(1, 1000) g");
    await other.query(
      "set lock_timeout = '20s'; begin; insert into t select g, 'b' from generate_series(2001, 3000) g; commit",
    );
    const later = await node.value(`select max(stamp) from tandem_log."blocks public.t"`);
    await node.run("rollback");
    expect(
      await node.value(`select tandem.from_us(pg_sequence_last_value('tandem.block_floor')) = '${later}' as is`),
    ).toBe("t");
    await node.expectAgreement();
  });

  test("C9 in a serializable transaction, or where keys fit no block, every entry has a row of its own", async () => {
    const node = await prepared();
    await node.run(
      "begin isolation level serializable; insert into t select g, 'a' from generate_series(1, 1000) g; commit",
    );
    expect(await held(node, "t")).toBe("1000 0 1000");
    await node.run("insert into u select md5(g::text)::uuid, 'a' from generate_series(1, 1000) g");
    expect(await held(node, "u")).toBe("1000 0 1000");
    await node.run("insert into l select array[g, 2], 'a' from generate_series(1, 1000) g");
    expect(await node.value(`select to_regclass('tandem_log."blocks public.l"') is null`)).toBe("t");
    await node.expectAgreement();
  });
});

test("C1 written out, the entries are the same: some of them, all, and by two at once", async () => {
  const node = await prepared();
  const { run, value } = node;
  const all = () =>
    value(
      `select md5(string_agg(x::text, ',' order by x::text)) from (select k1, xid, stamp, op, origin, received_from from tandem_log."entries public.t") x`,
    );
  await run("insert into t select g, 'a' from generate_series(1, 5100) g");
  await run("update t set v = 'b'");
  const before = await all();
  const id = "(select table_id from tandem.tracked_table where table_name = 't')";
  expect(await value(`select tandem.write_out(${id}, 2)`)).toBe("2000");
  expect(await held(node, "t")).toBe("2200 8000 10200");
  expect(await all()).toBe(before);
  // What one writes out, and has not committed, another with nothing else to do leaves; who needs it waits.
  await run("begin");
  expect(await value(`select tandem.write_out(${id}, 2)`)).toBe("2000");
  const other = await openClient(node.node.superUrl);
  await other.query("set lock_timeout = '20s'");
  expect((await other.query(`select tandem.write_out(${id}, 1) as n`)).rows).toEqual([{ n: "1000" }]);
  const rest = other.query(`select tandem.write_out(${id}) as n`);
  await run("commit");
  expect((await rest).rows).toEqual([{ n: "5000" }]);
  expect(await held(node, "t")).toBe("10200 0 10200");
  expect(await all()).toBe(before);
  expect(await value("select tandem.tidy()")).toBe("f");
  await node.expectAgreement();
});
