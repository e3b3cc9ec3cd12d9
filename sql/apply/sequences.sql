-- tandem.advance_sequences(p_plans) -> void
-- Sets each sequence that a staged table's columns take their numbers from past the data just applied, never backwards, within
-- its residue class where sequences are interleaved: an insert that takes its number from the sequence works on every node.
create or replace function tandem.advance_sequences(p_plans jsonb) returns void
language plpgsql as $$
declare
  v_plan jsonb;
  q record;
  v_extreme numeric;
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    for q in select * from tandem.plan_sequences(v_plan) loop
      continue when coalesce(tandem.staged_value(v_plan, q.column_name), '') = '';
      execute format('select %s(%s)::numeric from %s s where s.present and %s', case when q.increment > 0 then 'max' else 'min' end,
        tandem.staged_value(v_plan, q.column_name), v_plan ->> 'stage', tandem.applies(v_plan)) into v_extreme;
      continue when v_extreme is null;
      perform tandem.advance_sequence(q.sequence, v_extreme);
    end loop;
  end loop;
end $$;
comment on function tandem.advance_sequences(jsonb) is 'Sets sequences past the applied data.';

-- tandem.staged_value(p_plan, p_column) -> text: the expression of a staged column on s; null when it is not staged.
create or replace function tandem.staged_value(p_plan jsonb, p_column text) returns text
language plpgsql stable as $$
begin
  return (
    select coalesce(
      (select q.value from tandem.tracked_table t
        cross join lateral tandem.plan_columns(t.relid, array(select jsonb_array_elements_text(p_plan -> 'columns')), (p_plan ->> 'as_text')::boolean) q
        where t.table_id = (p_plan ->> 'id')::integer and q.name = p_column),
      (select 's.k' || array_position(t.key_columns, p_column) from tandem.tracked_table t
        where t.table_id = (p_plan ->> 'id')::integer and p_column = any (t.key_columns))));
end $$;
comment on function tandem.staged_value(jsonb, text) is 'The staged value of a column.';

-- tandem.sequences_of(p_table_id): the sequences that columns of a tracked table take numbers from: owned (serial, identity) or
-- named in the default.
create or replace function tandem.sequences_of(p_table_id integer)
returns table (column_name text, sequence regclass, increment bigint)
language sql stable as $$
  select distinct a.attname::text, s.oid::regclass, q.seqincrement
  from tandem.tracked_table t
  join pg_attribute a on a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped
  join pg_type y on y.oid = tandem.base_type(a.atttypid) and y.typcategory = 'N'
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  join pg_depend p on p.refclassid = 'pg_class'::regclass and (
      (p.classid = 'pg_class'::regclass and p.refobjid = t.relid and p.refobjsubid = a.attnum and p.deptype in ('a', 'i'))
      or (p.classid = 'pg_attrdef'::regclass and p.objid = d.oid))
  join pg_class s on s.relkind = 'S' and s.oid = case when p.classid = 'pg_class'::regclass then p.objid else p.refobjid end
  join pg_sequence q on q.seqrelid = s.oid
  where t.table_id = p_table_id
$$;
comment on function tandem.sequences_of(integer) is 'Sequences of a tracked table''s columns.';

-- tandem.advance_sequence(p_sequence, p_value) -> void
-- The next value is past p_value. Nothing happens when it is already, or when p_value lies outside the sequence's bounds.
create or replace function tandem.advance_sequence(p_sequence regclass, p_value numeric) returns void
language plpgsql as $$
declare
  q record;
  v_state record;
  v_next numeric;
  v_wanted numeric;
  i tandem.interleaved_sequence;
begin
  select s.seqincrement, s.seqmin, s.seqmax into q from pg_sequence s where s.seqrelid = p_sequence;
  if p_value not between q.seqmin and q.seqmax then
    return;
  end if;
  execute format('select last_value, is_called from %s', p_sequence) into v_state;
  v_next := v_state.last_value + case when v_state.is_called then q.seqincrement else 0 end;
  select x.* into i from tandem.interleaved_sequence x
  join pg_class c on c.oid = p_sequence and c.relname = x.sequence_name and c.relnamespace = (select n.oid from pg_namespace n where n.nspname = x.schema_name);
  v_wanted := p_value + sign(q.seqincrement::numeric);
  if i.modulus is not null then
    v_wanted := v_wanted + sign(q.seqincrement::numeric) * mod(mod(sign(q.seqincrement::numeric) * (i.residue - v_wanted), i.modulus) + i.modulus, i.modulus);
  end if;
  if (v_wanted - v_next) * sign(q.seqincrement::numeric) > 0 then
    if v_wanted between q.seqmin and q.seqmax then
      perform setval(p_sequence, v_wanted::bigint, false);
    else
      perform setval(p_sequence, p_value::bigint, true);
    end if;
  end if;
end $$;
comment on function tandem.advance_sequence(regclass, numeric) is 'Sets a sequence past a value, never backwards.';

-- tandem.interleave_sequences(p_residue, p_modulus) -> integer
-- Gives every sequence of tracked tables the residue class p_residue of p_modulus (one per node), so that nodes never draw the
-- same number; returns how many were changed. What it was before is kept for uninstall.
create or replace function tandem.interleave_sequences(p_residue bigint, p_modulus bigint) returns integer
language plpgsql as $$
declare
  q record;
  v_done integer := 0;
  v_state record;
begin
  for q in
    select distinct s.sequence, x.seqincrement, n.nspname as schema_name, c.relname as sequence_name, i.modulus, i.residue, i.increment_before
    from tandem.tracked_table t
    cross join lateral tandem.sequences_of(t.table_id) s
    join pg_sequence x on x.seqrelid = s.sequence
    join pg_class c on c.oid = s.sequence
    join pg_namespace n on n.oid = c.relnamespace
    left join tandem.interleaved_sequence i on (i.schema_name, i.sequence_name) = (n.nspname, c.relname)
    order by 3, 4
  loop
    continue when (q.modulus, q.residue) is not distinct from (p_modulus, p_residue) and abs(q.seqincrement) = p_modulus;
    execute format('alter sequence %s increment by %s', q.sequence, sign(q.seqincrement::numeric) * p_modulus);
    insert into tandem.interleaved_sequence (schema_name, sequence_name, increment_before, modulus, residue)
    values (q.schema_name, q.sequence_name, coalesce(q.increment_before, q.seqincrement), p_modulus, p_residue)
    on conflict (schema_name, sequence_name) do update set modulus = p_modulus, residue = p_residue;
    execute format('select last_value, is_called from %s', q.sequence) into v_state;
    perform setval(q.sequence, x.v, false)
    from (select (v_state.last_value + case when v_state.is_called then sign(q.seqincrement::numeric) else 0 end)::bigint as b) y
    cross join lateral (select (y.b + sign(q.seqincrement::numeric) * mod(mod(sign(q.seqincrement::numeric) * (p_residue - y.b), p_modulus::numeric) + p_modulus, p_modulus::numeric))::bigint as v) x;
    v_done := v_done + 1;
  end loop;
  return v_done;
end $$;
comment on function tandem.interleave_sequences(bigint, bigint) is 'Gives this node''s sequences a residue class of their own.';

-- tandem.restore_sequences() -> integer: the increments as they were before.
create or replace function tandem.restore_sequences() returns integer
language plpgsql as $$
declare
  i tandem.interleaved_sequence;
  v_done integer := 0;
begin
  for i in delete from tandem.interleaved_sequence returning * loop
    if to_regclass(format('%I.%I', i.schema_name, i.sequence_name)) is not null then
      execute format('alter sequence %I.%I increment by %s', i.schema_name, i.sequence_name, i.increment_before);
      v_done := v_done + 1;
    end if;
  end loop;
  return v_done;
end $$;
comment on function tandem.restore_sequences() is 'Takes interleaving back.';
