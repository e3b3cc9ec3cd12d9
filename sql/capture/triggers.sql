-- tandem.arm_table(p_table_id) -> boolean
-- Makes sure that a tracked table has its capture triggers, ENABLE ALWAYS; returns whether anything had to be done. Takes no
-- lock on the table when nothing has; else SHARE ROW EXCLUSIVE, until the end of the transaction.
-- Ordinary tables: statement-level triggers with transition tables, a row-level one only for updates that change the key.
-- Partitioned tables: row-level triggers, which PostgreSQL clones into partitions that come later; TRUNCATE is caught at
-- each leaf, for truncating a leaf does not fire the parent's trigger, and at the parent, for leaves that came since.
create or replace function tandem.arm_table(p_table_id integer) returns boolean
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_function text;
  v_leaves text[];
  v_done boolean := false;
  r record;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_function := format('tandem_log.%I()', tandem.object_name('capture ', t.schema_name, t.table_name));
  v_leaves := tandem.leaves(t.relid);
  for r in
    select w.relid, w.name, w.definition
    from (
      select t.relid, 'tandem_insert', 'after insert on %s referencing new table as tandem_new for each statement' where not t.partitioned
      union all select t.relid, 'tandem_update', 'after update on %s referencing new table as tandem_new for each statement' where not t.partitioned
      union all select t.relid, 'tandem_delete', 'after delete on %s referencing old table as tandem_old for each statement' where not t.partitioned
      union all select t.relid, 'tandem_key', 'after update on %s for each row when (' ||
        format('row(%s) is distinct from row(%s)', array_to_string(tandem.columns('old', t.key_columns), ', '),
          array_to_string(tandem.columns('new', t.key_columns), ', ')) || ')' where not t.partitioned
      union all select t.relid, 'tandem_row', 'after insert or update or delete on %s for each row' where t.partitioned
      union all select t.relid, 'tandem_truncate', 'before truncate on %s for each statement'
      union all select l.relid::regclass, 'tandem_truncate', 'before truncate on %s for each statement'
        from unnest(v_leaves) l (relid) where t.partitioned
    ) w (relid, name, definition)
    where not exists (select from pg_trigger g where g.tgrelid = w.relid and g.tgname = w.name)
  loop
    execute format('create trigger %I ' || r.definition || ' execute function %s', r.name, r.relid::regclass,
      case r.name when 'tandem_key' then replace(v_function, '()', '(''key'')') else v_function end);
    v_done := true;
  end loop;
  for r in
    select g.tgrelid::regclass as rel, g.tgname
    from pg_trigger g
    where (g.tgrelid = t.relid or g.tgrelid in (select h.relid from pg_partition_tree(t.relid) h))
      and g.tgname in ('tandem_insert', 'tandem_update', 'tandem_delete', 'tandem_key', 'tandem_row', 'tandem_truncate')
      and g.tgenabled <> 'A'
    order by g.tgrelid, g.tgname
  loop
    execute format('alter table only %s enable always trigger %I', r.rel, r.tgname);
    v_done := true;
  end loop;
  if v_leaves is distinct from t.leaves or t.shape is distinct from tandem.table_shape(t.relid) then
    update tandem.tracked_table set leaves = v_leaves, shape = tandem.table_shape(t.relid) where table_id = p_table_id;
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
-- A fingerprint of a table's columns (numbers, names, types): a column added, dropped, renamed or retyped changes it.
create or replace function tandem.table_shape(p_relid oid) returns text
language sql stable as $$
  select md5(string_agg(format('%s %I %s', a.attnum, a.attname, format_type(a.atttypid, a.atttypmod)), ',' order by a.attnum))
  from pg_attribute a
  where a.attrelid = p_relid and a.attnum > 0 and not a.attisdropped
$$;
comment on function tandem.table_shape(oid) is 'Fingerprint of a table''s columns.';
