import type pg from "pg";
import { expect } from "vitest";
import { configure, installSql, type PeerOptions } from "../support/install.ts";
import { cluster, openClient, sql, type TestNode, type TextRow, template } from "../support/pg.ts";

/**
 * What the log must say of the tables, in the tests' own SQL: for every key the newest entry is a `D` exactly when the
 * row is gone, every row has an entry (all tables here were empty when they were tracked), no two entries of one key
 * have the same version, and what was made here has an even stamp.
 */
const checker = `
create schema checker;
create function checker.faults() returns setof text language plpgsql as $$
declare
  t record;
  k text;   -- k1, k2
  c text;   -- t."id", t."Part"
  j text;   -- l.k1 = t."id" and …
begin
  for t in select * from tandem.tracked_table loop
    select string_agg('k' || i, ', ' order by i), string_agg(quote_ident(u), ', ' order by i), string_agg('n.k' || i || ' = t.k' || i, ' and ' order by i)
    into k, c, j from unnest(t.key_columns) with ordinality x (u, i);
    return query execute 'with n as (select distinct on (' || k || ') ' || k || ', op, stamp from tandem_log.' || quote_ident(t.entries_name)
      || ' order by ' || k || ', stamp desc, origin desc), t (' || k || ', there) as (select ' || c || ', true from '
      || quote_ident(t.schema_name) || '.' || quote_ident(t.table_name) || ') select concat_ws('' '', ' || quote_literal(t.table_name)
      || ', coalesce(row(n.' || replace(k, ', ', ', n.') || ')::text, ''''), ''newest:'', n.op, n.stamp, ''row:'', t.there, row(t.'
      || replace(k, ', ', ', t.') || ')::text) from n full join t on ' || j
      || ' where n.op is null or (n.op = ''D'') = (t.there is not null)';
    return query execute 'select concat_ws('' '', ' || quote_literal(t.table_name) || ', ''one version twice:'', row(' || k
      || ')::text, stamp, origin) from tandem_log.' || quote_ident(t.entries_name) || ' group by ' || k || ', stamp, origin having count(*) > 1';
    return query execute 'select concat_ws('' '', ' || quote_literal(t.table_name) || ', ''odd stamp:'', row(' || k
      || ')::text, stamp) from tandem_log.' || quote_ident(t.entries_name)
      || ' where received_from is null and (extract(epoch from date_trunc(''second'', stamp))::bigint * 1000000 + extract(microseconds from stamp)::bigint) % 2 <> 0';
  end loop;
end $$;`;

/** A node with Tandem in it and what a test of capture asks of it. */
export interface Captured {
  node: TestNode;
  /** The superuser's connection, on which the test writes unless it opens others. */
  client: pg.Client;
  /** Runs statements. */
  run(text: string): Promise<TextRow[]>;
  /** The first value of the first row. */
  value(text: string): Promise<string | null | undefined>;
  track(...tables: string[]): Promise<void>;
  /** Runs statements and returns what they logged, as `U 7` or `D (7,a)`, in the order of stamps, deletions first. */
  logged(table: string, text: string): Promise<string[]>;
  /** Throws unless every log agrees with its table. */
  expectAgreement(): Promise<void>;
}

/** A fresh database with Tandem, configured as node `local`. */
export async function capturedNode(peers: (string | PeerOptions)[] = []): Promise<Captured> {
  const { local: node } = await cluster(1, { template: await template("tandem with a checker", build) });
  await configure(node.superUrl, "local", peers);
  return capturedOn(node);
}

/** The template's making: Tandem and the checker. */
async function build(url: string): Promise<void> {
  await installSql(url);
  await sql(url, checker);
}

async function capturedOn(node: TestNode): Promise<Captured> {
  const client = await openClient(node.superUrl);
  const run = (text: string) => sql(client, text);
  const value = async (text: string) => {
    const [row] = await run(text);
    return row && Object.values(row)[0];
  };
  const track = async (...tables: string[]) => {
    for (const table of tables) await trackTable(client, table);
  };
  const logged = async (table: string, text: string) => {
    const log = await logOf(client, table);
    await run(
      `drop table if exists checker.before; create table checker.before as select l.ctid as tid from ${log.name} l`,
    );
    await run(text);
    const rows = await run(
      `select l.op::text || ' ' || ${log.key} as entry from ${log.name} l
       where not exists (select from checker.before b where b.tid = l.ctid) order by l.stamp, l.op, l.ctid`,
    );
    return rows.map(({ entry }) => entry ?? "");
  };
  const expectAgreement = async () => {
    const rows = await run(`select f from checker.faults() f limit 20`);
    expect(rows.map(({ f }) => f)).toEqual([]);
  };
  return { node, client, run, value, track, logged, expectAgreement };
}

/** `table` is written as SQL writes it: `public.t`, `"A b"."C.d"`. */
export async function trackTable(client: pg.Client, table: string): Promise<string | null | undefined> {
  const [row] = await sql(
    client,
    `select tandem.track_table(n.nspname, c.relname) as done from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1::regclass`,
    [table],
  );
  return row?.done;
}

async function logOf(client: pg.Client, table: string): Promise<{ name: string; key: string }> {
  const [row] = await sql(
    client,
    `select format('tandem_log.%I', t.log_name) as name, cardinality(t.key_columns)::text as count
     from tandem.tracked_table t join pg_class c on c.relname = t.table_name and c.relnamespace = (select n.oid from pg_namespace n where n.nspname = t.schema_name)
     where c.oid = $1::regclass`,
    [table],
  );
  if (!row) throw new Error(`${table} is not tracked`);
  const keys = Array.from({ length: Number(row.count) }, (_, i) => `l.k${i + 1}`);
  return { name: row.name!, key: keys.length === 1 ? `l.k1::text` : `row(${keys.join(", ")})::text` };
}

/** Installs as the owner of the database, who is no superuser. */
export async function installSqlAs(superUrl: string, owner: string): Promise<void> {
  await sql(superUrl, `grant create on schema public to "${owner}"`);
  const url = new URL(superUrl);
  url.username = owner;
  url.password = "tandem";
  await installSql(url.href);
}
