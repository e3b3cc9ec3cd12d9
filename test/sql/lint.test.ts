import { afterAll, beforeAll, expect, test } from "vitest";
import { migrate } from "../../src/install/migrate.ts";
import { configOf } from "../support/config.ts";
import { type Cluster, cluster } from "../support/pg.ts";
import { sampleSchema } from "./install-support.ts";

let nodes: Cluster;
const ours = "('tandem'::regnamespace, 'tandem_log'::regnamespace)";

beforeAll(async () => {
  nodes = await cluster(2);
  await nodes.local.admin.query(sampleSchema);
  await migrate(configOf(nodes), { node: "local" });
});
afterAll(() => nodes?.[Symbol.asyncDispose]());

/** Each query finds what breaks its rule; the catalog is linted like code. */
const rules: [rule: string, query: string][] = [
  [
    "a function that runs with its owner's rights has its search_path set",
    `select p.oid::regprocedure::text as fault from pg_proc p where p.pronamespace in ${ours} and p.prosecdef
       and not exists (select from unnest(p.proconfig) c where c = 'search_path=pg_catalog, pg_temp')`,
  ],
  [
    "PUBLIC may execute nothing but what the views call with their reader's rights",
    `select p.oid::regprocedure::text as fault from pg_proc p
     cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
     where p.pronamespace in ${ours} and a.grantee = 0
       and p.oid::regprocedure::text not in ('tandem.key_text(text[])', 'tandem.image(text[],text[])', 'tandem.conflict_id(tandem.conflict)',
         'tandem.lease_stands(tandem.lease)', 'tandem.dropped_open()', 'tandem.unsynced(integer)')`,
  ],
  [
    "PUBLIC may neither use the schemas nor read or write a table, view or sequence",
    `select n.nspname as fault from pg_namespace n cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
     where n.oid in ${ours} and a.grantee = 0
     union all
     select c.oid::regclass::text from pg_class c cross join lateral aclexplode(c.relacl) a
     where c.relnamespace in ${ours} and a.grantee = 0`,
  ],
  [
    "every schema, table, view and function has a comment",
    `select n.nspname as fault from pg_namespace n where n.oid in ${ours} and obj_description(n.oid, 'pg_namespace') is null
     union all
     select c.oid::regclass::text from pg_class c where c.relnamespace in ${ours} and c.relkind in ('r', 'p', 'v', 'm')
       and obj_description(c.oid, 'pg_class') is null
     union all
     select p.oid::regprocedure::text from pg_proc p where p.pronamespace in ${ours} and obj_description(p.oid, 'pg_proc') is null`,
  ],
  [
    "the columns of every foreign key lead an index",
    `select k.conrelid::regclass::text || ' ' || k.conname as fault from pg_constraint k
     where k.contype = 'f' and k.connamespace in ${ours} and not exists (select from pg_index i
       where i.indrelid = k.conrelid and i.indpred is null and k.conkey @> (i.indkey::int2[])[0:cardinality(k.conkey) - 1]
         and k.conkey <@ (i.indkey::int2[])[0:cardinality(k.conkey) - 1])`,
  ],
  [
    "no time without time zone (node-pg-migrate's own table aside)",
    `select a.attrelid::regclass::text || '.' || a.attname as fault from pg_attribute a join pg_class c on c.oid = a.attrelid
     where c.relnamespace in ${ours} and a.attnum > 0 and a.atttypid in ('timestamp'::regtype, 'time'::regtype)
       and (c.oid, a.attname) <> ('tandem.migrations'::regclass, 'run_on')`,
  ],
  [
    "where a way to read is switched off for a function, its plans look dear and would be compiled at each call: compiling is off too",
    `select p.oid::regprocedure::text as fault from pg_proc p where p.pronamespace in ${ours} and p.proconfig::text ~ 'enable_\\w+=off'
       and not 'jit=off' = any (p.proconfig)`,
  ],
  [
    "tables have a primary key (logs and staging tables aside: nothing refers to their rows)",
    `select c.oid::regclass::text as fault from pg_class c where c.relnamespace = 'tandem'::regnamespace and c.relkind in ('r', 'p')
       and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)`,
  ],
];

test.each(rules)("%s", async (_, query) => {
  expect((await nodes.local.admin.query(query)).map(({ fault }) => fault)).toEqual([]);
});

test.each([
  ["create function tandem.f() returns integer language sql security definer as 'select 1'", 0],
  [
    "create function tandem.f() returns integer language sql security definer set search_path = public as 'select 1'",
    0,
  ],
  ["create function tandem_log.f() returns integer language sql as 'select 1'", 1],
  ["grant select on tandem.status to public", 2],
  ["grant usage on schema tandem to public", 2],
  ["create view tandem.v as select 1 as one", 3],
  ["create table tandem.t (id integer primary key, peer_id integer references tandem.peer)", 4],
  ["create table tandem_log.t (at timestamp)", 5],
  ["create function tandem.f() returns integer language sql set enable_sort = off as 'select 1'", 6],
  ["create table tandem.t (v integer)", 7],
])("the lint finds: %s", async (fault, rule) => {
  const { admin } = nodes.local;
  await admin.query("begin");
  try {
    await admin.query(fault);
    expect(await admin.query(rules[rule]![1])).not.toEqual([]);
  } finally {
    await admin.query("rollback");
  }
});
