-- tandem.table_key(p_relid): the key that a table is tracked by, or no row.
-- Primary key, else the unique index with the fewest columns (then by its columns' names, so that all nodes choose alike):
-- not null, not deferrable, not partial, no expressions, not WITHOUT OVERLAPS (such rows are apart where they do not overlap). Operators are the index's own; types and operators are named with their
-- schemas (format_type leaves out one that is on the search_path, so that is pinned).
create or replace function tandem.table_key(p_relid oid)
returns table (index_oid oid, key_columns text[], key_types text[], key_operators text[])
language sql stable set search_path = pg_catalog, pg_temp as $$
  select i.indexrelid, c.names, c.types, c.operators
  from pg_index i
  cross join lateral (
    select array_agg(a.attname::text order by k.position) as names,
      array_agg(format_type(a.atttypid, a.atttypmod)
        || case when a.attcollation <> t.typcollation
             then (select format(' collate %I.%I', cn.nspname, co.collname)
                   from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation)
             else '' end order by k.position) as types,
      array_agg(format('operator(%I.%s)', n.nspname, o.oprname) order by k.position) as operators,
      bool_and(a.attnotnull) as not_null
    from unnest(i.indkey::int2[], i.indclass::oid[]) with ordinality k (attnum, opclass, position)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    join pg_type t on t.oid = a.atttypid
    join pg_opclass oc on oc.oid = k.opclass
    join pg_amop am on am.amopfamily = oc.opcfamily and am.amopstrategy = 3
      and am.amoplefttype = oc.opcintype and am.amoprighttype = oc.opcintype
    join pg_operator o on o.oid = am.amopopr
    join pg_namespace n on n.oid = o.oprnamespace
    where k.position <= i.indnkeyatts
  ) c
  where i.indrelid = p_relid and i.indisunique and not i.indisexclusion and i.indimmediate and i.indisvalid
    and i.indpred is null and i.indexprs is null and c.not_null
    and cardinality(c.names) = i.indnkeyatts
  order by i.indisprimary desc, i.indnkeyatts, c.names
  limit 1
$$;
comment on function tandem.table_key(oid) is 'The key that a table is tracked by.';

-- tandem.table_candidates: every ordinary table of this database that is not Tandem's or the system's, with the reason
-- (reason_code, reason) why it is not tracked by default; both null when it is.
create or replace view tandem.table_candidates as
select n.nspname::text as schema_name, c.relname::text as table_name, c.oid as relid,
  c.relkind = 'p' as partitioned, k.key_columns, r.reason_code,
  case r.reason_code
    when 'extension' then 'belongs to an extension'
    when 'provider' then 'belongs to the provider''s schema ' || n.nspname
    when 'bookkeeping' then 'bookkeeping of a migration tool'
    when 'changelog' then 'looks like a hand-made change log'
    when 'no_key' then case when exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and i.indisexclusion)
        then 'has no key but WITHOUT OVERLAPS' else 'has no primary key and no unique not-null index' end || ': give it one and run "tandem migrate" again'
    when 'inheritance' then 'takes part in table inheritance (INHERITS), which is not captured'
    when 'period' then 'takes part in a foreign key with PERIOD, which is not looked at'
    when 'not_owner' then 'is owned by ' || pg_get_userbyid(c.relowner) || ', not by ' || current_user
    when 'temporary' then 'is temporary'
  end as reason
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join lateral tandem.table_key(c.oid) k on true
cross join lateral (
  select case
    when c.relpersistence = 't' then 'temporary'
    when exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e') then 'extension'
    when n.nspname in ('auth', 'storage', 'realtime', '_realtime', 'cron', 'graphql', 'graphql_public', 'vault', 'pgsodium',
      'pgsodium_masks', 'extensions', 'supabase_functions', 'supabase_migrations', '_analytics', 'net', 'pgbouncer', 'neon',
      'neon_auth', 'neon_migration', 'rdsadmin', 'pgtle', 'hdb_catalog', 'partman', 'repack', 'bucardo', 'topology', 'tiger')
      then 'provider'
    when c.relname in ('pgmigrations', '_prisma_migrations', 'schema_migrations', 'schema_version', 'ar_internal_metadata',
      'knex_migrations', 'knex_migrations_lock', 'migrations', 'typeorm_metadata', '__drizzle_migrations', 'drizzle_migrations',
      'alembic_version', 'django_migrations', 'flyway_schema_history', 'databasechangelog', 'databasechangeloglock',
      'SequelizeMeta', '__EFMigrationsHistory', 'kysely_migration', 'kysely_migration_lock', 'goose_db_version',
      'gorp_migrations', 'phinxlog', '_sqlx_migrations', '__diesel_schema_migrations', 'schema_info', 'migrations_lock')
      or n.nspname = 'drizzle' then 'bookkeeping'
    when c.relname like '%\_changelog' then 'changelog'
    when not pg_has_role(current_user, c.relowner, 'USAGE') then 'not_owner'
    when exists (select from pg_inherits h
      join pg_class p on p.oid = h.inhparent where (h.inhparent = c.oid or h.inhrelid = c.oid) and p.relkind = 'r') then 'inheritance'
    when k.key_columns is null then 'no_key'
    when exists (select from pg_trigger g join pg_constraint f on f.oid = g.tgconstraint
      where g.tgrelid = c.oid and f.contype = 'f' and (to_jsonb(f) ->> 'conperiod')::boolean) then 'period'
  end as reason_code
) r
where c.relkind in ('r', 'p') and not c.relispartition
  and n.nspname not in ('tandem', 'tandem_log', 'information_schema')
  and n.nspname not like 'pg\_%';
comment on view tandem.table_candidates is 'Tables that could be tracked, and why the others are not.';
