-- tandem.watch() -> integer
-- Looks for ways around capture and closes them; returns how many tables needed it. Called at the start of a round and by
-- migrate, cheap when nothing has changed. Partitions that came: their triggers are completed and their rows enter the log as
-- inserts. Partitions that went: the rows of a detached one that still exists enter it as deletions. A capture trigger that is
-- not ALWAYS any more, or missing (somebody disabled, enabled or dropped it), or a column added with a default that differs from
-- row to row: the table is armed again and all its keys enter the log, so that its peers compare it before it flows on.
create or replace function tandem.watch() returns integer
language plpgsql as $$
declare
  r record;
  v_changed integer := 0;
  v_leaf text;
begin
  for r in
    select t.*, tandem.leaves(t.relid) as now_leaves, tandem.table_shape(t.relid) as now_shape,
      tandem.capture_intact(t.table_id) as intact
    from tandem.tracked_table t
    where exists (select from pg_class c where c.oid = t.relid)
  loop
    continue when r.intact and r.leaves = r.now_leaves and r.shape is not distinct from r.now_shape;
    v_changed := v_changed + 1;
    perform tandem.arm_table(r.table_id);
    if not r.intact or (r.shape <> r.now_shape and tandem.added_with_default(r.relid)) then
      perform tandem.log_again(r.table_id, r.relid::regclass::text, 'U');
    else
      foreach v_leaf in array r.now_leaves loop
        if v_leaf <> all (r.leaves) then
          perform tandem.log_again(r.table_id, v_leaf, 'I');
        end if;
      end loop;
    end if;
    foreach v_leaf in array r.leaves loop
      if v_leaf <> all (r.now_leaves) and to_regclass(v_leaf) is not null then
        execute format('drop trigger if exists tandem_truncate on %s', v_leaf);
        perform tandem.log_again(r.table_id, v_leaf, 'D');
      end if;
    end loop;
  end loop;
  return v_changed;
end $$;
comment on function tandem.watch() is 'Finds and closes ways around capture.';

-- tandem.capture_intact(p_table_id) -> boolean
-- Whether every capture trigger is there and fires always.
create or replace function tandem.capture_intact(p_table_id integer) returns boolean
language sql stable as $$
  select case when t.partitioned
      then (select count(*) = 1 from pg_trigger g where g.tgrelid = t.relid and g.tgname = 'tandem_row' and g.tgenabled = 'A')
        and not exists (select from pg_trigger g join pg_partition_tree(t.relid) h on g.tgrelid = h.relid
          where g.tgname in ('tandem_row', 'tandem_truncate') and g.tgenabled <> 'A')
      else (select count(*) = 5 from pg_trigger g where g.tgrelid = t.relid and g.tgenabled = 'A'
        and g.tgname in ('tandem_insert', 'tandem_update', 'tandem_delete', 'tandem_key', 'tandem_truncate')) end
  from tandem.tracked_table t where t.table_id = p_table_id
$$;
comment on function tandem.capture_intact(integer) is 'Whether a table''s capture triggers are all there and ALWAYS.';

-- tandem.added_with_default(p_relid) -> boolean
-- Whether a column has a default that may differ from row to row (any that is not a plain constant in the catalog): adding it
-- rewrote the table without firing triggers.
create or replace function tandem.added_with_default(p_relid oid) returns boolean
language sql stable as $$
  select exists (select from pg_attribute a join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = p_relid and not a.attisdropped and not a.atthasmissing and a.attgenerated = '')
$$;
comment on function tandem.added_with_default(oid) is 'Whether a column''s default may differ from row to row.';

-- tandem.log_again(p_table_id, p_from, p_op) -> bigint
-- Writes a fresh entry for every row of relation p_from (the table, or a partition of it); returns how many. Rows are not
-- locked: an entry too many only makes a row be compared once more.
create or replace function tandem.log_again(p_table_id integer, p_from text, p_op "char") returns bigint
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_count bigint;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  execute tandem.capture_insert(t, (select name from tandem.local_node), '$1', p_op::text,
    tandem.columns('o', t.key_columns), 'from ' || p_from || ' o')
  using tandem.next_stamp();
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function tandem.log_again(integer, text, "char") is 'Enters all rows of a relation into the log anew.';
