-- tandem.set_misfits_aside(p_peer_id, p_table_id, p_columns) -> bigint
-- Where rows are staged as text, because a value was not even of its column's type (out of range, no label of the enum): each such value is
-- taken out of its staged row, which is marked with the error, to be parked. From then on every staged value can be cast. Returns how many
-- rows were marked. Columns without a misfit are seen to be so in one statement; the others are tried value by value.
create or replace function tandem.set_misfits_aside(p_peer_id integer, p_table_id integer, p_columns text[]) returns bigint
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_stage text;
  c record;
  r record;
  v_state text;
  v_reason text;
  v_marked bigint := 0;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_stage := format('tandem_log.%I', tandem.stage_name(p_peer_id, t.schema_name, t.table_name));
  for c in select * from tandem.plan_columns(t.relid, p_columns, true) loop
    continue when tandem.cast_error(format('select count(%s) from %s s', c.value, v_stage)) is null;
    for r in execute format('select s.n, s.c%s as value from %s s where s.c%s is not null order by s.n', c.i, v_stage, c.i) loop
      v_state := tandem.cast_error(format('select %L::%s', r.value, c.base));
      continue when v_state is null;
      v_reason := format('column %I: a value is not of type %s here: %s', c.name, c.base, left(r.value, 200));
      execute format('update %s set misfit_state = $2, misfit = concat_ws(''; '', misfit, $3), c%s = null where n = $1', v_stage, c.i)
      using r.n, v_state, v_reason;
      v_marked := v_marked + 1;
    end loop;
  end loop;
  return v_marked;
end $$;
comment on function tandem.set_misfits_aside(integer, integer, text[]) is 'Marks staged rows with values that are not of their column''s type.';

-- tandem.cast_error(p_query) -> text: the SQLSTATE with which a query of casts fails; null when it does not.
create or replace function tandem.cast_error(p_query text) returns text
language plpgsql as $$
begin
  execute p_query;
  return null;
exception when data_exception or integrity_constraint_violation then
  return sqlstate;
end $$;
comment on function tandem.cast_error(text) is 'How a query of casts fails.';
