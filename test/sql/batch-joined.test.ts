import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openClient, sql } from "../support/pg.ts";
import { type Captured, capturedNode } from "./capture-log.ts";

// Some ten thousand statements: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const settings =
  "select concat_ws(' ', current_setting('enable_nestloop'), current_setting('enable_hashjoin'), current_setting('enable_mergejoin')) as joins";

describe("C1 C3: a batch of much of a table is joined to them in the order of the key", () => {
  let captured: Captured;
  let client: pg.Client;
  let peer: string;

  beforeAll(async () => {
    captured = await capturedNode(["external"]);
    const { run, track, value } = captured;
    await run(`create table t (id int primary key, v int); create table u (id uuid, n smallint, v int, primary key (id, n));
      create table x (id text primary key, v int); create table rest (id int primary key, v int)`);
    for (const table of ["t", "u", "x", "rest"]) await track(table);
    peer = (await value("select peer_id from tandem.peer where name = 'external'")) ?? "";
    await run(`insert into t select i, 0 from generate_series(1, 20000) i;
      insert into u select md5(i::text)::uuid, i % 3, 0 from generate_series(1, 20000) i;
      insert into x select i, 0 from generate_series(1, 20000) i; insert into rest values (1, 1)`);
    await run("select tandem.write_out(table_id) from tandem.tracked_table");
    await run("analyze t, u, x, rest");
    client = await openClient(captured.node.superUrl);
  });
  afterAll(() => client?.end());

  /** One statement for each row, so that each has an entry of its own; some go. */
  const changed = (table: string, share: number) => {
    const same = table === "u" ? "(id, n) = (r.id, r.n)" : "id = r.id";
    return captured.run(`do $$ declare r record; begin
      for r in select * from ${table} tablesample bernoulli (${share}) repeatable (7) loop update ${table} set v = v + 1 where ${same}; end loop;
      for r in select * from ${table} order by md5(${table}::text) limit 30 loop delete from ${table} where ${same}; end loop; end $$`);
  };

  /** What the batch yields of a table in one reading transaction, and how the statement after it would be joined. */
  async function read(table: string, from: string) {
    await sql(client, "begin isolation level repeatable read read only");
    try {
      const [to] = await sql(client, "select pg_current_snapshot()::text as now");
      const query = (name: string) =>
        sql(
          client,
          `select tandem.batch_query(t.table_id, '${from}', '${to?.now}', ${peer}, '{v}', '{}') ->> 'query' as query
           from tandem.tracked_table t where t.table_name = '${name}'`,
        );
      const [batch] = await query(table);
      const [{ joins: during } = {}] = await sql(client, settings);
      const rows = await sql(client, `select * from (${batch?.query}) q`);
      await query("rest");
      const [{ joins: after } = {}] = await sql(client, settings);
      return { rows, during, after };
    } finally {
      await sql(client, "commit");
    }
  }

  test.each([
    { table: "t", share: 90, during: "off off on" },
    { table: "u", share: 90, during: "off off on" },
    { table: "t", share: 20, during: "on on off" },
    { table: "x", share: 90, during: "on on off" },
  ])("$table, of which $share percent have changed", async ({ table, share, during }) => {
    const [begun] = await captured.run("select pg_current_snapshot()::text as now");
    await changed(table, share);
    // as a server may be set: the statements that follow are joined as it wants
    await sql(client, "set enable_mergejoin = off");
    const read1 = await read(table, begun?.now ?? "");
    expect({ during: read1.during, after: read1.after }).toEqual({ during, after: "on on off" });
    const key = table === "u" ? "k1, k2" : "k1";
    const right = await captured.run(`with e as (select distinct on (${key}) * from tandem_log."public.${table}"
        where not pg_visible_in_snapshot(xid, '${begun?.now}') order by ${key}, stamp desc)
      select concat_ws(' ', ${key.replaceAll("k", "e.k")}, e.op, e.stamp, t.v) as line
      from e left join ${table} t on ${table === "u" ? "(t.id, t.n) = (e.k1, e.k2)" : "t.id = e.k1"} order by 1`);
    expect(right.length).toBeGreaterThan(20);
    const lines = read1.rows.map((row) => {
      const values = Object.values(row);
      const keys = table === "u" ? 2 : 1;
      const [op, , stamp] = values.slice(keys);
      return [...values.slice(0, keys), op, stamp, values.at(-1)].filter((value) => value !== null).join(" ");
    });
    expect(lines.sort()).toEqual(right.map(({ line }) => line).sort());
  });
});
