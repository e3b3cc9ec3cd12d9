import type pg from "pg";
import { describe, expect, test } from "vitest";
import { startServer } from "../../src/embedded/server.ts";
import { configure, installSql } from "../support/install.ts";
import { openClient, sql } from "../support/pg.ts";
import { type Captured, capturedNode } from "./capture-log.ts";

const tables = `create table t (id int primary key, v text);
  create table p (id int primary key, v text) partition by range (id); create table p1 partition of p for values from (0) to (10); create table p2 partition of p default`;

async function prepared(): Promise<Captured> {
  const node = await capturedNode(["external"]);
  await node.run(tables);
  await node.track("t", "p");
  return node;
}

/** Everything that capture sees, on both tables. */
const writes = (from: number) =>
  ["t", "p"]
    .map(
      (t) => `insert into ${t} values (${from}, 'a'), (${from + 1}, 'b'); update ${t} set v = 'c' where id = ${from};
        update ${t} set id = ${from + 20} where id = ${from}; delete from ${t} where id = ${from + 1};`,
    )
    .join("\n");

/** How many entries `writes` makes in both tables together. */
const entriesOfWrites = 12;

const count = async ({ value }: Captured) =>
  Number(
    await value(`select (select count(*) from tandem_log."public.t") + (select count(*) from tandem_log."public.p")`),
  );

describe("what a session is set to", () => {
  test("C1 session_replication_role = replica does not switch capture off, in partitions made before and after neither", async () => {
    const node = await prepared();
    await node.run("create table p3 partition of p for values from (100) to (200)");
    await node.run(
      `set session_replication_role = replica; ${writes(1)} insert into p values (150, 'late'); update p set v = 'x' where id = 150; truncate t; truncate p; reset session_replication_role`,
    );
    expect(await count(node)).toBeGreaterThanOrEqual(entriesOfWrites + 5);
    await node.expectAgreement();
  });

  test("C1 the setting tandem.applying hides nothing of an application's, whatever it holds", async () => {
    const node = await prepared();
    const values = ["pg_current_xact_id()::text", "'1'", "'x'", "''", "'0'", "'999999999999999999999'"];
    for (const [i, value] of values.entries()) {
      await node.run(`begin; select set_config('tandem.applying', ${value}, true); ${writes(i * 50)} commit`);
      expect(await count(node)).toBe(entriesOfWrites * (i + 1));
    }
    await node.run(`set tandem.applying = '1'; ${writes(400)} reset tandem.applying`);
    expect(await count(node)).toBe(entriesOfWrites * (values.length + 1));
    await node.expectAgreement();
  });

  test("C8 only the applier's own statement on a table it applies is not captured; what that causes is", async () => {
    const node = await prepared();
    await node.run(
      `create table c (id int primary key, t int references t on delete cascade); create table u (id int primary key)`,
    );
    await node.track("c", "u");
    await node.run(`insert into t values (1, 'a'), (2, 'b'); insert into c values (10, 1)`);
    const applying = (tables: string, what: string) => `begin;
      update tandem.inbound set applying = pg_current_xact_id(), applying_tables = array(select table_id from tandem.tracked_table where table_name in (${tables}));
      select set_config('tandem.applying', pg_current_xact_id()::text, true); ${what}; update tandem.inbound set applying = null; commit`;
    expect(
      await node.logged(
        "t",
        applying(
          "'t', 'p'",
          "insert into t values (3, 'c'); insert into p values (3, 'c'), (30, 'd'); update p set id = 31 where id = 30",
        ),
      ),
    ).toEqual([]);
    expect(await node.logged("p", "select 1")).toEqual([]);
    expect(await node.logged("u", applying("'t'", "insert into u values (1)"))).toEqual(["I 1"]);
    // the row in tandem.inbound alone hides nothing either
    await node.run(
      `update tandem.inbound set applying = '3', applying_tables = array(select table_id from tandem.tracked_table)`,
    );
    expect(await node.logged("t", "update t set v = 'x' where id = 2")).toEqual(["U 2"]);
  });

  test("C8 C3 of what foreign-key actions do while applying, only what is staged is not captured, ordinary and partitioned", async () => {
    const node = await prepared();
    await node.run(`create table c (id int primary key, t int references t on delete cascade on update cascade);
      create table n (id int primary key, t int references t on delete set null); create table q (id int primary key, t int references t on delete cascade) partition by list (id);
      create table q1 partition of q default; create table deep (id int primary key, c int references c on delete cascade)`);
    await node.track("c", "n", "q", "deep");
    await node.run(`insert into t select g, 'a' from generate_series(1, 3) g; insert into c select g * 10 + t, t from generate_series(1, 3) g, generate_series(1, 2) t;
      insert into n values (11, 1), (12, 2); insert into q values (11, 1), (21, 1), (12, 2); insert into deep values (1, 11), (2, 21)`);
    const stage = (
      table: string,
      rows: string,
    ) => `select tandem.prepare_stage(1, table_id, '{t}') from tandem.tracked_table where table_name = '${table}';
      insert into tandem_log."stage 1 public.${table}" (k1, present, parked_there, unsettled, c1, stamp, origin) values ${rows};`;
    await node.run(`${stage("c", "(11, false, false, false, null, now(), 'external'), (21, false, false, false, null, now(), 'external'), (99, true, false, false, 3, now(), 'external')")}
      ${stage("q", "(11, false, false, false, null, now(), 'external')")} ${stage("t", "(1, false, false, false, null, now(), 'external')").replace("'{t}'", "'{v}'")}
      ${stage("n", "(77, true, false, false, 3, now(), 'external')")} ${stage("deep", "(77, true, false, false, 11, now(), 'external')").replace("'{t}'", "'{c}'")}
      insert into tandem.verdict (peer_id, table_id, n, verdict) select 1, table_id, (select n from tandem_log."stage 1 public.c" where k1 = 21), 'lose' from tandem.tracked_table where table_name = 'c'`);
    const before = `begin; update tandem.inbound set applying = pg_current_xact_id(), applying_tables = array(select table_id from tandem.tracked_table);
      select set_config('tandem.applying', pg_current_xact_id()::text, true); insert into c values (99, 3); update c set t = 3 where id = 99; delete from t where id = 1; commit`;
    const mark = await node.value("select pg_current_xact_id()");
    await node.run(before);
    const logged = (table: string) =>
      node.value(
        `select coalesce(string_agg(op::text || k1, ' ' order by k1), '') from tandem_log."public.${table}" where xid > '${mark}'`,
      );
    expect(await logged("t")).toBe("");
    // 11 was staged as gone; 21 too, but a verdict kept it: it went by the foreign key's action, as 31 did
    expect(await logged("c")).toBe("D21 D31");
    expect(await logged("n")).toBe("U11");
    expect(await logged("q")).toBe("D21");
    expect(await logged("deep")).toBe("D1 D2");
  });

  test("C9 a role without any right on Tandem's schemas writes as before", async () => {
    const node = await prepared();
    await node.run(
      "create role app_of_test login; grant select, insert, update, delete, truncate on t, p to app_of_test",
    );
    try {
      await node.run(`set role app_of_test; ${writes(1)} truncate t; truncate p; reset role`);
      expect(await count(node)).toBeGreaterThanOrEqual(entriesOfWrites);
      await node.expectAgreement();
      for (const forbidden of [
        'select * from tandem_log."public.t"',
        "select * from tandem.pending",
        "select tandem.next_stamp()",
        "select tandem.untrack_table('public', 't')",
      ]) {
        await node.run("set role app_of_test");
        await expect(node.run(forbidden)).rejects.toMatchObject({ code: "42501" });
        await node.run("reset role");
      }
    } finally {
      await node.run("reset role; drop owned by app_of_test; drop role app_of_test");
    }
  });

  test("C9 C1 a REPEATABLE READ transaction older than the installation still writes and is captured", async () => {
    const node = await capturedNode();
    await node.run(`${tables}; insert into t values (0, 'before')`);
    // the node is configured, the table tracked and a link added while the transaction is open
    const old = await openClient(node.node.superUrl);
    await old.query("begin isolation level repeatable read; select count(*) from t");
    await node.track("t", "p");
    await configure(node.node.superUrl, "local", ["external", "third"]);
    await node.run("insert into t values (50, 'meanwhile')");
    await old.query(writes(1));
    await old.query("truncate p; commit");
    // it does not see the leaf's own trigger for TRUNCATE in the catalog, so that key may be logged twice
    expect(await count(node)).toBeGreaterThanOrEqual(entriesOfWrites + 1 + 1);
    expect(await node.value(`select string_agg(distinct origin, ',') from tandem_log."public.t"`)).toBe("local");
  });

  test("C9 C1 hostile settings: DateStyle, TimeZone, float digits, bytea, a search_path that shadows operators and functions", async () => {
    const node = await capturedNode(["external"]);
    await node.run(`create table t (id timestamptz, b bytea, f float8, v text, primary key (id, b, f)); create schema trap;
      create function trap.never() returns bool language plpgsql as $$ begin raise exception 'the trap'; end $$;
      create function trap.greatest_stamp() returns timestamptz language sql as $$ select 'infinity'::timestamptz $$;
      create function trap.clock_timestamp() returns timestamptz language sql as $$ select 'infinity'::timestamptz $$;
      create function trap.current_setting(text, boolean) returns text language sql as $$ select 'x'::text $$;
      create function trap.pg_current_xact_id() returns xid8 language sql as $$ select '7'::xid8 $$;
      create function trap.eq(timestamptz, timestamptz) returns bool language plpgsql as $$ begin return trap.never(); end $$;
      create function trap.plus(timestamptz, interval) returns timestamptz language plpgsql as $$ begin perform trap.never(); return $1; end $$;
      create function trap.gt(timestamptz, timestamptz) returns bool language plpgsql as $$ begin return trap.never(); end $$;
      create operator trap.= (leftarg = timestamptz, rightarg = timestamptz, function = trap.eq);
      create operator trap.+ (leftarg = timestamptz, rightarg = interval, function = trap.plus);
      create operator trap.> (leftarg = timestamptz, rightarg = timestamptz, function = trap.gt)`);
    await node.track("t");
    const hostile = await openClient(node.node.superUrl);
    await hostile.query(`set search_path = trap, public, pg_catalog; set DateStyle = 'German'; set TimeZone = 'Pacific/Auckland'; set IntervalStyle = 'sql_standard';
      set extra_float_digits = -15; set bytea_output = 'escape'; set enable_indexscan = off; set constraint_exclusion = off; set check_function_bodies = off; set plan_cache_mode = force_generic_plan`);
    await hostile.query(String.raw`insert into t values ('2020-01-01 00:00:00.123457Z', '\x00ff', 0.1::float8 + 0.2::float8, 'a');
      update t set v = 'b'; update t set b = '\x01'; update t set id = pg_catalog.timestamptz_pl_interval(id, '1 us'), v = 'c'`);
    await node.expectAgreement();
    expect(
      await node.value(
        `select count(*) from tandem_log."public.t" where stamp between now() - interval '1 minute' and now() + interval '1 minute' and xid > '7'`,
      ),
    ).toBe("6");
    await hostile.query("truncate t");
    await node.expectAgreement();
  });

  test("C9 C1 read-only, deferred and prepared ways of writing", async () => {
    const node = await prepared();
    await node.run("prepare w (int) as insert into t values ($1, 'a')");
    for (let i = 0; i < 12; i++) await node.run(`execute w(${i})`);
    expect(await count(node)).toBe(12);
    await node.run("begin read only; select * from t; commit");
    await node.expectAgreement();
  });

  test("C9 C1 prepared transactions", async () => {
    await using server = await startServer({ settings: { max_prepared_transactions: "3" } });
    await installSql(server.url());
    await configure(server.url(), "local", ["external"]);
    const client = await openClient(server.url());
    await client.query("create table public.t (id int primary key, v text); select tandem.track_table('public', 't')");
    // an applier waits to be told of commits: NOTIFY would make the preparing fail
    await client.query("select tandem.ask_wake(60000)");
    await client.query("begin; insert into public.t values (1, 'a'); prepare transaction 'x'");
    await client.query("commit prepared 'x'");
    const { rows } = await client.query(`select op, k1 from tandem_log."public.t"`);
    expect(rows).toEqual([{ op: "I", k1: "1" }]);
    await client.end();
  });
});

describe("default_transaction_isolation = serializable", () => {
  const serializable = async (node: Captured): Promise<pg.Client> => {
    const client = await openClient(node.node.superUrl);
    await client.query("set default_transaction_isolation = serializable");
    return client;
  };

  test("C9 transactions that touch different rows do not abort each other for the log's sake", async () => {
    const node = await prepared();
    await node.run("insert into t select g, 'a' from generate_series(1, 200) g");
    const [one, two] = [await serializable(node), await serializable(node)];
    // each writes, then the other, then each again: whoever reads what the other writes to would be in a cycle
    for (const table of ["t", "p"]) {
      for (const [i, client] of [one, two, one, two].entries()) {
        if (i < 2) await client.query("begin");
        await client.query(`insert into ${table} values (${1001 + i}, 'x')`);
      }
      await one.query("commit");
      await two.query("commit");
    }
    await node.expectAgreement();
  });

  test("C1 C9 what they write is captured, newer than what was there", async () => {
    const node = await prepared();
    const client = await serializable(node);
    await client.query(writes(1));
    expect(await count(node)).toBe(entriesOfWrites);
    await client.query(
      "begin; insert into t values (77, 'a'); update t set v = 'b' where id = 77; commit; update t set v = 'c' where id = 77",
    );
    await client.query("update t set id = 78 where id = 77; insert into t values (77, 'again'); truncate p");
    await node.expectAgreement();
  });

  test("C1 two of them behind the floor give one version twice, which the reader settles", async () => {
    const node = await prepared();
    await node.run("select tandem.raise_floor(peer_id, clock_timestamp() + interval '1 hour') from tandem.inbound");
    const client = await serializable(node);
    await client.query("insert into t values (1, 'a')");
    await client.query("update t set v = 'b'");
    const table = await node.value("select table_id from tandem.tracked_table where table_name = 't'");
    const versions = () =>
      sql(node.client, `select count(*) as n from tandem_log."public.t" group by stamp order by stamp desc limit 1`);
    expect(await versions()).toEqual([{ n: "2" }]);
    const query = await node.value(
      `select tandem.batch_query(${table}, '1:1:', pg_current_snapshot(), 1, '{v}', '{}') ->> 'query'`,
    );
    expect(await sql(node.client, `select unsettled from (${query}) q`)).toEqual([{ unsettled: "t" }]);
    await node.run(`select tandem.settle(${table}, '[["1"]]')`);
    expect(await versions()).toEqual([{ n: "1" }]);
  });
});
