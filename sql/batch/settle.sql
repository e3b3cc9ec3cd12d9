-- tandem.settle(p_table_id, p_keys) -> bigint
-- Writes a fresh entry for each key, under its row's lock: called where the newest entry and the row disagree (an entry says D
-- and the row is there, or the other way round), where two transactions share the newest version, or where the last one to write bears an
-- older stamp. Returns how many.
-- Locks: the rows, FOR NO KEY UPDATE, in the order given.
create or replace function tandem.settle(p_table_id integer, p_keys jsonb) returns bigint
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_node text;
  v_key jsonb;
  v_count bigint := 0;
  v_there boolean;
  v_values text;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  select name into strict v_node from tandem.local_node;
  for v_key in select e from jsonb_array_elements(p_keys) e loop
    select string_agg(format('%L::%s', v_key ->> (u.i::integer - 1), u.type), ', ' order by u.i) into v_values
    from unnest(t.key_types) with ordinality u (type, i);
    execute format('select true from %I.%I t where %s for no key update', t.schema_name, t.table_name,
      tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns),
        array(select format('%L::%s', v_key ->> (u.i::integer - 1), u.type) from unnest(t.key_types) with ordinality u (type, i) order by u.i)))
    into v_there;
    execute tandem.capture_insert(t, v_node, '$1', case when v_there then 'U' else 'D' end, tandem.key_names('o', cardinality(t.key_columns)),
      format('from (values (%s)) o (%s)', v_values, (select string_agg('k' || i, ', ' order by i) from generate_series(1, cardinality(t.key_columns)) i)))
    using tandem.next_stamp();
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;
comment on function tandem.settle(integer, jsonb) is 'Writes fresh entries where log and rows disagree.';
