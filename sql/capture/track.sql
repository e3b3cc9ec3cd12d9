-- tandem.track_table(p_schema, p_table, p_policy, p_updated_at) -> boolean
-- Starts to capture a table, or brings what is there up to date; returns whether anything had to be done. The caller sets
-- lock_timeout and tries again on 55P03: live traffic is never held up for long. A table that was dropped and made again under its
-- name keeps its log, which takes up what is there now and what is gone.
-- Errors: TD010 no such table; TD011 the table cannot be tracked, with the reason; TD001 the node is not configured.
create or replace function tandem.track_table(
  p_schema text, p_table text, p_policy text default 'newest', p_updated_at text default null) returns boolean
language plpgsql as $$
declare
  c tandem.table_candidates;
  t tandem.tracked_table;
  k record;
  v_done boolean := false;
  v_tracked boolean := false;
  v_recreated boolean := false;
begin
  if not exists (select from tandem.local_node) then
    raise exception 'this database is not configured as a node' using errcode = 'TD001';
  end if;
  select * into c from tandem.table_candidates where schema_name = p_schema and table_name = p_table;
  if not found then
    raise exception 'there is no table %.%', quote_ident(p_schema), quote_ident(p_table) using errcode = 'TD010';
  end if;
  if c.reason_code in ('no_key', 'inheritance', 'period', 'not_owner', 'temporary') then
    raise exception 'table %.% %', quote_ident(p_schema), quote_ident(p_table), c.reason using errcode = 'TD011';
  end if;
  select * into strict k from tandem.table_key(c.relid);
  -- A table that was renamed is another table to its peers.
  perform tandem.untrack_table(x.schema_name, x.table_name) from tandem.tracked_table x
  where x.relid = c.relid and (x.schema_name, x.table_name) <> (p_schema, p_table);
  perform tandem.follow_key(x.table_id) from tandem.tracked_table x
  where (x.schema_name, x.table_name, x.relid) = (p_schema, p_table, c.relid);
  select * into t from tandem.tracked_table where schema_name = p_schema and table_name = p_table;
  if found and (t.key_columns, t.key_types, t.key_operators, t.partitioned)
    is distinct from (k.key_columns, k.key_types, k.key_operators, c.partitioned)
  then
    -- Another key means another log: entries by the old one cannot be told apart by the new one.
    perform tandem.untrack_table(p_schema, p_table);
    t := null;
    v_done := true;
  end if;
  if t.table_id is null then
    insert into tandem.tracked_table (schema_name, table_name, relid, log_name, entries_name, blocks_name, changelog_view,
      key_columns, key_types, key_operators, partitioned, conflict_policy, updated_at_column)
    values (p_schema, p_table, c.relid, tandem.object_name('', p_schema, p_table), tandem.object_name('entries ', p_schema, p_table),
      case when tandem.fits_blocks(c.relid, k.key_columns) then tandem.object_name('blocks ', p_schema, p_table) end, tandem.free_changelog_name(p_schema, p_table),
      k.key_columns, k.key_types, k.key_operators, c.partitioned, p_policy, p_updated_at)
    returning * into t;
    perform tandem.make_log(t.table_id);
    v_done := true;
  elsif t.relid = c.relid then
    v_tracked := true;
  end if;
  if (t.relid, t.conflict_policy, t.updated_at_column) is distinct from (c.relid, p_policy, p_updated_at) then
    v_recreated := t.relid <> c.relid;
    update tandem.tracked_table set relid = c.relid, conflict_policy = p_policy, updated_at_column = p_updated_at
    where table_id = t.table_id;
    v_done := true;
  end if;
  perform tandem.make_capture_function(t.table_id);
  perform tandem.make_changelog_view(t.table_id);
  if v_tracked then
    v_done := tandem.watch_table(t.table_id) or v_done;
  else
    v_done := tandem.arm_table(t.table_id) or v_done;
  end if;
  if v_recreated then
    perform tandem.log_again(t.table_id, c.relid::regclass::text, 'I');
    perform tandem.log_gone(t.table_id);
    perform tandem.note_vanished(t.table_id);
  end if;
  return tandem.arm_last_trigger(t.table_id) or v_done;
end $$;
comment on function tandem.track_table(text, text, text, text) is 'Starts to capture a table.';

-- tandem.make_log(p_table_id) -> void
-- Creates the log table and its blocks. Key columns are k1, k2, ..., so that a user's column may bear any name. No row image: the applier reads
-- the row itself, later. blind: stamped without a look at the key's newest entry (see make_capture_function).
-- Their types are wider than the key's own: see log_types. op is I, U or D, which no constraint says: only statements made here write to a log,
-- and PostgreSQL reads and plans a CHECK anew in each of them (a seventh of what capturing a single row costs).
create or replace function tandem.make_log(p_table_id integer) returns void
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_keys text;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_keys := array_to_string(array(select 'k' || i from generate_series(1, cardinality(t.key_columns)) i), ', ');
  execute format('create table tandem_log.%I (xid xid8 not null, stamp timestamptz not null, %s, received_from integer,'
    ' op "char" not null, blind boolean not null default false, origin text collate "C" not null)',
    t.log_name,
    (select string_agg(format('k%s %s not null', u.i, u.type), ', ' order by u.i)
     from unnest(tandem.log_types(t.relid, t.key_columns)) with ordinality u (type, i)));
  execute format('create index on tandem_log.%I (%s, stamp, origin)', t.log_name, v_keys);
  execute format('create index on tandem_log.%I (xid)', t.log_name);
  execute format('create index on tandem_log.%I (%s, xid) where blind', t.log_name, v_keys);
  execute format('comment on table tandem_log.%I is %L', t.log_name,
    format('Change log of %I.%I, by key (%s).', t.schema_name, t.table_name, array_to_string(t.key_columns, ', ')));
  perform tandem.make_blocks(p_table_id);
end $$;
comment on function tandem.make_log(integer) is 'Creates the log table of a tracked table.';

-- tandem.log_types(p_relid, p_key_columns) -> text[]
-- The types of a log's key columns: the key's without length, precision and domain, and the widest integer. So an int key that becomes a
-- bigint, or a varchar(8) a varchar(20), can be written at once, before anything here has heard of it; and a constraint that a
-- domain is given is not checked against keys that are gone. The key's operators hold between such types.
create or replace function tandem.log_types(p_relid oid, p_key_columns text[]) returns text[]
language sql stable set search_path = pg_catalog, pg_temp as $$
  select array_agg(case when b.oid in ('int2'::regtype, 'int4'::regtype) then 'bigint' else format_type(b.oid, -1) end
    || case when a.attcollation <> t.typcollation then format(' collate %I.%I', cn.nspname, co.collname) else '' end order by k.i)
  from unnest(p_key_columns) with ordinality k (name, i)
  join pg_attribute a on a.attrelid = p_relid and a.attname = k.name and not a.attisdropped
  cross join lateral (select tandem.base_type(a.atttypid) as oid) b
  join pg_type t on t.oid = b.oid
  left join pg_collation co on co.oid = a.attcollation
  left join pg_namespace cn on cn.oid = co.collnamespace
$$;
comment on function tandem.log_types(oid, text[]) is 'Types of the key columns of a change log.';

-- tandem.untrack_table(p_schema, p_table) -> boolean
-- Takes the triggers, the function, the log and the guards of the application's triggers away; what the log held is gone. False when it was
-- not tracked.
create or replace function tandem.untrack_table(p_schema text, p_table text) returns boolean
language plpgsql as $$
declare
  t tandem.tracked_table;
  r record;
begin
  select * into t from tandem.tracked_table where schema_name = p_schema and table_name = p_table;
  if not found then
    return false;
  end if;
  -- Triggers cloned into partitions go with the parent's; a trigger of a detached partition stands on its own.
  for r in
    select g.tgrelid::regclass as rel, g.tgname
    from pg_trigger g join pg_proc p on p.oid = g.tgfoid join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'tandem_log' and g.tgparentid = 0
      and p.proname in (tandem.object_name('capture ', p_schema, p_table), tandem.object_name('last ', p_schema, p_table))
  loop
    execute format('drop trigger %I on %s', r.tgname, r.rel);
  end loop;
  execute format('drop function if exists tandem_log.%I()', tandem.object_name('capture ', p_schema, p_table));
  execute format('drop function if exists tandem_log.%I()', tandem.object_name('last ', p_schema, p_table));
  execute format('drop view if exists tandem.%I', t.changelog_view);
  execute format('drop view if exists tandem_log.%I', t.entries_name);
  if t.blocks_name is not null then
    execute format('drop table if exists tandem_log.%I', t.blocks_name);
  end if;
  execute format('drop table if exists tandem_log.%I', t.log_name);
  for r in
    select c.relname from pg_class c
    where c.relnamespace = 'tandem_log'::regnamespace and c.relkind = 'r'
      and c.relname in (select tandem.stage_name(p.peer_id, t.schema_name, t.table_name) from tandem.peer p)
  loop
    execute format('drop table tandem_log.%I', r.relname);
  end loop;
  perform tandem.drop_small(p.peer_id, t.schema_name, t.table_name) from tandem.peer p;
  perform tandem.set_guards(t.relid, false);
  delete from tandem.tracked_table where table_id = t.table_id;
  return true;
end $$;
comment on function tandem.untrack_table(text, text) is 'Stops to capture a table and drops its log.';
