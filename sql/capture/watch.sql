-- tandem.watch() -> integer
-- Looks for ways around capture and closes them; returns how many tables needed it. Called at the start of a round and by
-- migrate, in a READ COMMITTED transaction; cheap when nothing has changed.
-- A key column that was renamed, or got another type: the capture follows. Partitions that came, or were away: their triggers are completed and their
-- rows enter the log as inserts. Partitions that went: the rows of a detached one that still exists enter it as deletions, and so do
-- the keys that the log knows and the table has no more. A capture trigger that is not ALWAYS any more, missing or another one (somebody
-- disabled, enabled, dropped or made it), or a column added with a default that differs from row to row or from node to node: the table is armed
-- again and all its keys enter the log, those that are gone as deletions, so that its peers compare it before it flows on. Where rows may
-- have gone that the log does not know, the peers name them (see vanished.sql).
create or replace function tandem.watch() returns integer
language plpgsql as $$
declare
  v_id integer;
  v_changed integer := 0;
begin
  for v_id in
    select t.table_id from tandem.tracked_table t join pg_class c on c.oid = t.relid
    where t.shape is distinct from tandem.table_shape(t.relid)
    order by t.table_id
  loop
    perform tandem.watch_table(v_id);
    v_changed := v_changed + 1;
  end loop;
  return v_changed;
end $$;
comment on function tandem.watch() is 'Finds and closes ways around capture.';

-- tandem.watch_table(p_table_id) -> boolean
-- The same for one table; returns whether anything had to be done. Takes SHARE ROW EXCLUSIVE where a trigger is to be mended.
create or replace function tandem.watch_table(p_table_id integer) returns boolean
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_was jsonb;
  v_is jsonb;
  v_leaf text;
  v_again boolean;
  v_gone boolean := false;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_was := t.shape;
  v_is := tandem.table_shape(t.relid);
  if v_was = v_is then
    return false;
  end if;
  v_again := not tandem.capture_intact(p_table_id) or tandem.added_with_default(t.relid, t.shape)
    or exists (select from jsonb_each(v_is -> 'triggers') n (k, v)
      where split_part(n.k, ' ', 1) = t.relid::text and n.v is distinct from v_was -> 'triggers' -> n.k);
  v_again := tandem.follow_key(p_table_id) or v_again;
  perform tandem.arm_table(p_table_id);
  if v_again then
    perform tandem.log_again(p_table_id, t.relid::regclass::text, 'U');
    perform tandem.log_gone(p_table_id);
    perform tandem.note_vanished(p_table_id);
    return true;
  end if;
  for v_leaf in
    select n.k from jsonb_each(nullif(v_is -> 'leaves', 'null')) n (k, v) where n.v is distinct from v_was -> 'leaves' -> n.k
  loop
    perform tandem.log_again(p_table_id, v_leaf, 'I');
    v_gone := true;
  end loop;
  foreach v_leaf in array t.leaves loop
    continue when v_is -> 'leaves' ? v_leaf;
    if to_regclass(v_leaf) is not null then
      execute format('drop trigger if exists tandem_truncate on %s', v_leaf);
      perform tandem.log_gone(p_table_id, v_leaf);
    end if;
    v_gone := true;
    perform tandem.note_vanished(p_table_id);
  end loop;
  if v_gone then
    perform tandem.log_gone(p_table_id);
  end if;
  return true;
end $$;
comment on function tandem.watch_table(integer) is 'Finds and closes ways around the capture of one table.';

-- tandem.capture_intact(p_table_id) -> boolean
-- Whether every capture trigger is there, calls the table's function and fires always. Partitions that have come since the table was
-- last armed may still lack the one for TRUNCATE.
create or replace function tandem.capture_intact(p_table_id integer) returns boolean
language sql stable as $$
  select not exists (
    select from tandem.wanted_triggers(p_table_id) w
    where not exists (select from pg_trigger g join pg_proc p on p.oid = g.tgfoid
        where g.tgrelid = w.relid and g.tgname = w.name and g.tgenabled = 'A'
          and p.pronamespace = 'tandem_log'::regnamespace and p.proname = tandem.object_name('capture ', t.schema_name, t.table_name))
      and (w.relid = t.relid or w.relid in (select to_regclass(l) from unnest(t.leaves) l)))
    and not exists (
      select from pg_trigger g join pg_partition_tree(t.relid) h on g.tgrelid = h.relid
      where t.partitioned and g.tgname in ('tandem_row', 'tandem_truncate') and g.tgenabled <> 'A')
  from tandem.tracked_table t where t.table_id = p_table_id
$$;
comment on function tandem.capture_intact(integer) is 'Whether a table''s capture triggers are all there and ALWAYS.';

-- tandem.added_with_default(p_relid, p_shape) -> boolean
-- Whether a column came since p_shape whose default is no plain constant, or that counts by a sequence: adding it wrote values into
-- every row without firing a trigger, and other ones than the same statement writes on another node.
create or replace function tandem.added_with_default(p_relid oid, p_shape text) returns boolean
language sql stable as $$
  select exists (
    select from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = p_relid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      and not (p_shape::jsonb -> 'columns' ? a.attnum::text)
      and (a.attidentity <> '' or d.adbin::text not like '{CONST %'))
$$;
comment on function tandem.added_with_default(oid, text) is 'Whether a column came whose default may differ from row to row.';

-- tandem.follow_key(p_table_id) -> boolean
-- A key whose columns were renamed or got other types, and nothing else: the capture function and the changelog view follow, and the
-- log, which counts key columns, stays. Until then writes fail where the function names a column that is not there, or where the log does
-- not take the new type's values (it takes those of wider ones: see log_types). True when the log had to be given another type: the table is
-- to be compared, for what the statement made of its keys is not known here.
create or replace function tandem.follow_key(p_table_id integer) returns boolean
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_names text[];
  v_retyped boolean;
  v_key record;
begin
  select x.* into strict t from tandem.tracked_table x where x.table_id = p_table_id;
  select array_agg(coalesce(n.name, k.name) order by k.i) into v_names
  from unnest(t.key_columns) with ordinality k (name, i)
  left join lateral (
    select a.attname::text as name
    from jsonb_each(t.shape::jsonb -> 'columns') c (attnum, what)
    join pg_attribute a on a.attrelid = t.relid and a.attnum = c.attnum::int and not a.attisdropped
    where c.what ->> 0 = k.name) n on true;
  select coalesce(x.key_types, t.key_types) as types, coalesce(x.key_operators, t.key_operators) as operators into v_key
  from (values (1)) one left join tandem.table_key(t.relid) x on x.key_columns = v_names;
  if (v_names, v_key.types, v_key.operators) = (t.key_columns, t.key_types, t.key_operators) then
    return false;
  end if;
  update tandem.tracked_table set key_columns = v_names, key_types = v_key.types, key_operators = v_key.operators where table_id = p_table_id;
  execute format('drop view if exists tandem.%I', t.changelog_view);
  v_retyped := tandem.retype_log(t, tandem.log_types(t.relid, v_names));
  perform tandem.make_capture_function(p_table_id);
  perform tandem.make_changelog_view(p_table_id);
  return v_retyped;
end $$;
comment on function tandem.follow_key(integer) is 'Follows a key whose columns were renamed or got other types.';

-- tandem.retype_log(p_table, p_types) -> boolean
-- Gives the key columns of a log these types; true when one was of another. The log is locked and written anew then: keys are carried over
-- as text, and where not all of them are values of the new types they mean nothing any more, and the entries go.
create or replace function tandem.retype_log(p_table tandem.tracked_table, p_types text[]) returns boolean
language plpgsql as $$
declare
  v_log regclass := format('tandem_log.%I', p_table.log_name);
  v_alter text;
begin
  if p_types = tandem.log_types(v_log, array(select 'k' || i from generate_series(1, cardinality(p_types)) i)) then
    return false;
  end if;
  select format('alter table %s %s', v_log, string_agg(format('alter k%1$s type %2$s using concat(k%1$s)::%2$s', u.i, u.type), ', '))
  into v_alter from unnest(p_types) with ordinality u (type, i);
  execute format('drop view tandem_log.%I', p_table.entries_name);
  if p_table.blocks_name is not null then
    -- First of all: a block that is committed between the writing out and the dropping would be lost.
    execute format('lock table tandem_log.%I in access exclusive mode', p_table.blocks_name);
    perform tandem.write_out(p_table.table_id);
    execute format('drop table tandem_log.%I', p_table.blocks_name);
  end if;
  begin
    execute v_alter;
  exception when data_exception then
    execute format('truncate %s', v_log);
    execute v_alter;
  end;
  update tandem.tracked_table t set blocks_name = case when tandem.fits_blocks(t.relid, t.key_columns) then tandem.object_name('blocks ', t.schema_name, t.table_name) end
  where t.table_id = p_table.table_id;
  perform tandem.make_blocks(p_table.table_id);
  return true;
end $$;
comment on function tandem.retype_log(tandem.tracked_table, text[]) is 'Gives the key columns of a log other types.';

-- tandem.log_again(p_table_id, p_from, p_op) -> bigint
-- Writes a fresh entry for every row of relation p_from (the table, or a partition of it); returns how many. Rows are not
-- locked: an entry too many only makes a row be compared once more, and where a row goes meanwhile the reader settles it.
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

-- tandem.log_gone(p_table_id, p_from) -> bigint
-- Writes a deletion for every key that the table does not hold: the keys of relation p_from (a partition that was detached), or
-- without it those whose newest entry says that the row is there. Returns how many.
create or replace function tandem.log_gone(p_table_id integer, p_from text default null) returns bigint
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_keys text;
  v_count bigint;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_keys := array_to_string(tandem.key_names('e', cardinality(t.key_columns)), ', ');
  execute tandem.capture_insert(t, (select name from tandem.local_node), '$1', 'D', tandem.key_names('o', cardinality(t.key_columns)),
    format('from (select %s from %s) o where not exists (select from %I.%I t where %s)',
      case when p_from is null then 'o.*'
        else (select string_agg(format('o.%I as k%s', u.name, u.i), ', ') from unnest(t.key_columns) with ordinality u (name, i)) end,
      coalesce(p_from || ' o', format('(select distinct on (%1$s) e.* from tandem_log.%2$I e order by %1$s, e.stamp desc, e.origin desc) o where o.op <> ''D''',
        v_keys, t.entries_name)),
      t.schema_name, t.table_name,
      tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('o', cardinality(t.key_columns)))))
  using tandem.next_stamp();
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function tandem.log_gone(integer, text) is 'Enters deletions of rows that went without a trigger.';
