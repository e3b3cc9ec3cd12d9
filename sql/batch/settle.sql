-- tandem.settle(p_table_id, p_keys, p_wait) -> jsonb
-- Writes a fresh entry for each key, under its row's lock: called where the newest entry and the row disagree (an entry says D
-- and the row is there, or the other way round), where two transactions share the newest version, or where the last one to write bears an
-- older stamp. Rows that somebody else has locked are left, and their keys returned: who waits for one row while it holds others can end the
-- application's transaction by a deadlock. p_wait: there is one key, and its row is waited for, at most 700 ms.
-- Locks: the rows, FOR NO KEY UPDATE.
create or replace function tandem.settle(p_table_id integer, p_keys jsonb, p_wait boolean default false) returns jsonb
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_node text;
  v_key jsonb;
  v_row text;
  v_values text;
  v_locked boolean;
  v_there boolean;
  v_left jsonb := '[]';
begin
  if p_wait and jsonb_array_length(p_keys) <> 1 then
    raise exception 'tandem.settle waits for one row only';
  end if;
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  select name into strict v_node from tandem.local_node;
  perform set_config('lock_timeout', '700ms', true);
  for v_key in select e from jsonb_array_elements(p_keys) e loop
    select string_agg(format('%L::%s', v_key ->> (u.i::integer - 1), u.type), ', ' order by u.i) into v_values
    from unnest(t.key_types) with ordinality u (type, i);
    v_row := format('select true from %I.%I t where %s', t.schema_name, t.table_name,
      tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns),
        array(select format('%L::%s', v_key ->> (u.i::integer - 1), u.type) from unnest(t.key_types) with ordinality u (type, i) order by u.i)));
    begin
      execute v_row || ' for no key update' || case when p_wait then '' else ' skip locked' end into v_locked;
      execute v_row into v_there;
    exception when lock_not_available or deadlock_detected then
      v_locked := null;
      v_there := true;
    end;
    if v_there and v_locked is null then
      v_left := v_left || jsonb_build_array(v_key);
    else
      execute tandem.capture_insert(t, v_node, '$1', case when v_there then 'U' else 'D' end, tandem.key_names('o', cardinality(t.key_columns)),
        format('from (values (%s)) o (%s)', v_values, (select string_agg('k' || i, ', ' order by i) from generate_series(1, cardinality(t.key_columns)) i)))
      using tandem.next_stamp();
    end if;
  end loop;
  return v_left;
end $$;
comment on function tandem.settle(integer, jsonb, boolean) is 'Writes fresh entries where log and rows disagree.';
