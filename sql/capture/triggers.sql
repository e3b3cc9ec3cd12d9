-- tandem.wanted_triggers(p_table_id) -> rows
-- The capture triggers that a tracked table must have, for tandem.arm_table to make and tandem.capture_intact to look for.
-- Ordinary tables: statement-level triggers with transition tables. None has a WHEN that names a column, or PostgreSQL would refuse an
-- ALTER TABLE that changes that column's type.
-- Partitioned tables: row-level triggers, which PostgreSQL clones into partitions that come later; TRUNCATE is caught at the
-- table, at each leaf and at what lies between, for truncating one of them fires no trigger of those above it.
create or replace function tandem.wanted_triggers(p_table_id integer)
returns table (relid oid, name text, event text, detail text)
language sql stable as $$
  select t.relid, w.name, w.event, w.detail
  from tandem.tracked_table t
  cross join lateral (values
    (false, 'tandem_insert', 'after insert', 'referencing new table as tandem_new for each statement'),
    (false, 'tandem_update', 'after update', 'referencing old table as tandem_old new table as tandem_new for each statement'),
    (false, 'tandem_delete', 'after delete', 'referencing old table as tandem_old for each statement'),
    (true, 'tandem_row', 'after insert or update or delete', 'for each row')
  ) w (partitioned, name, event, detail)
  where t.table_id = p_table_id and w.partitioned = t.partitioned
  union all
  select coalesce(h.relid, t.relid), 'tandem_truncate', 'before truncate', 'for each statement'
  from tandem.tracked_table t
  left join lateral pg_partition_tree(t.relid) h on t.partitioned
  where t.table_id = p_table_id
$$;
comment on function tandem.wanted_triggers(integer) is 'The capture triggers of a tracked table.';

-- tandem.arm_table(p_table_id) -> boolean
-- Makes sure that a tracked table has its capture triggers, ENABLE ALWAYS, calling its own function; returns whether anything had
-- to be done. Takes no lock on the table when nothing has; else SHARE ROW EXCLUSIVE, until the end of the transaction.
create or replace function tandem.arm_table(p_table_id integer) returns boolean
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_function text;
  v_leaves text[];
  v_shape text;
  v_done boolean := false;
  r record;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_function := format('tandem_log.%I', tandem.object_name('capture ', t.schema_name, t.table_name));
  -- A trigger of the same name that calls another function is of a table that bore this one's place before (renamed since).
  for r in
    select g.tgrelid::regclass as rel, g.tgname
    from tandem.wanted_triggers(p_table_id) w join pg_trigger g on g.tgrelid = w.relid and g.tgname = w.name
    where g.tgfoid <> to_regprocedure(v_function || '()') and g.tgparentid = 0
  loop
    execute format('drop trigger %I on %s', r.tgname, r.rel);
  end loop;
  for r in
    select w.* from tandem.wanted_triggers(p_table_id) w
    where not exists (select from pg_trigger g where g.tgrelid = w.relid and g.tgname = w.name)
  loop
    execute format('create trigger %I %s on %s %s execute function %s()',
      r.name, r.event, r.relid::regclass, r.detail, v_function);
    v_done := true;
  end loop;
  for r in
    select g.tgrelid::regclass as rel, g.tgname
    from pg_trigger g
    where (g.tgrelid = t.relid or g.tgrelid in (select h.relid from pg_partition_tree(t.relid) h))
      and g.tgfoid = to_regprocedure(v_function || '()') and g.tgenabled <> 'A'
    order by g.tgrelid, g.tgname
  loop
    execute format('alter table only %s enable always trigger %I', r.rel, r.tgname);
    v_done := true;
  end loop;
  v_leaves := tandem.leaves(t.relid);
  v_shape := tandem.table_shape(t.relid);
  if v_leaves is distinct from t.leaves or v_shape is distinct from t.shape then
    update tandem.tracked_table set leaves = v_leaves, shape = v_shape where table_id = p_table_id;
    v_done := true;
  end if;
  return v_done;
end $$;
comment on function tandem.arm_table(integer) is 'Creates and enables the capture triggers that a tracked table lacks.';

-- tandem.leaves(p_relid) -> text[]
-- The leaf partitions of a partitioned table, schema-qualified and quoted, in name order; empty for an ordinary table.
create or replace function tandem.leaves(p_relid oid) returns text[]
language sql stable as $$
  select coalesce(array_agg(format('%I.%I', n.nspname, c.relname) order by n.nspname, c.relname), '{}')
  from pg_partition_tree(p_relid) h
  join pg_class c on c.oid = h.relid
  join pg_namespace n on n.oid = c.relnamespace
  where h.isleaf and h.relid <> p_relid
$$;
comment on function tandem.leaves(oid) is 'Leaf partitions of a table.';

-- tandem.table_shape(p_relid) -> text
-- What tandem.watch() compares, as jsonb's text: columns (number: name and type); capture triggers of the table and its partitions
-- (relation and name: id, whether enabled, function); for a partitioned table the leaves, each with the id of its capture trigger,
-- which is another one when it was detached and attached again in between.
create or replace function tandem.table_shape(p_relid oid) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object(
    'columns', (select jsonb_object_agg(a.attnum, jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)))
      from pg_attribute a where a.attrelid = p_relid and a.attnum > 0 and not a.attisdropped),
    'triggers', (select jsonb_object_agg(g.tgrelid || ' ' || g.tgname, jsonb_build_array(g.oid, g.tgenabled, g.tgfoid))
      from pg_trigger g
      where (g.tgrelid = p_relid or g.tgrelid in (select h.relid from pg_partition_tree(p_relid) h)) and g.tgname like 'tandem\_%'),
    'leaves', (select jsonb_object_agg(format('%I.%I', n.nspname, c.relname), g.oid)
      from pg_partition_tree(p_relid) h
      join pg_class c on c.oid = h.relid
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_trigger g on g.tgrelid = h.relid and g.tgname = 'tandem_row'
      where h.isleaf and h.relid <> p_relid))::text
$$;
comment on function tandem.table_shape(oid) is 'Fingerprint of a table''s columns, capture triggers and leaves.';
