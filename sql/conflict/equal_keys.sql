-- Keys that are equal but not identical (2.5 and 2.50; a day and 24 hours): a row gets its key as the source writes it, for nodes are equal byte by
-- byte. To an ordinary owner's foreign keys that is a change: they would set what refers to the row to null or to a default, or forbid it.

-- tandem.key_rewriting(p_plan) -> jsonb
-- For a table that rows refer to by keys which can be written otherwise, by foreign keys that act on that: {"differs" (condition that the key of the row t
-- is not identical to that of the staged row s), "set"}; else null.
create or replace function tandem.key_rewriting(p_plan jsonb) returns jsonb
language sql stable as $$
  select jsonb_build_object(
    'differs', format('not record_image_eq(row(%s), row(%s))', string_agg(format('t.%I::%s', c.name, c.base), ', ' order by c.i), string_agg(format('%s::%s', c.value, c.base), ', ' order by c.i)),
    'set', string_agg(format('%I = %s', c.name, c.value), ', ' order by c.i))
  from tandem.tracked_table t
  cross join lateral tandem.plan_columns(t.relid, array(select jsonb_array_elements_text(p_plan -> 'columns')), (p_plan ->> 'as_text')::boolean) c
  where t.table_id = (p_plan ->> 'id')::integer and c.name = any (t.key_columns) and c.identity <> 'a'
    and exists (select from tandem.references_to(t.table_id) r where r.to_key and r.update_action in ('r', 'n', 'd'))
  having count(*) > 0
$$;
comment on function tandem.key_rewriting(jsonb) is 'How keys are written as the source has them.';

-- tandem.rewrite_keys(p_plan, p_where) -> bigint
-- Writes keys as they are staged, a step of its own before the set: rows that refer to them by RESTRICT, SET NULL or SET DEFAULT let go meanwhile (one
-- column is null) and are then as they were, which is no change of theirs. To be called with no check deferred. Returns how many keys were rewritten. Error:
-- 23001 where a row cannot let go, for its columns are NOT NULL or the foreign key MATCH FULL: a person must say what becomes of it.
create or replace function tandem.rewrite_keys(p_plan jsonb, p_where text) returns bigint
language plpgsql as $$
declare
  v_rows text := format('%s s join %s t on %s where s.present and (%s) and %s and %s', p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row',
    p_where, tandem.applies(p_plan), p_plan #>> '{rewriting,differs}');
  v_there boolean;
  v_same text;
  v_gone jsonb;
  v_back jsonb := '[]';   -- [[whether no trigger of the application's may change the row, statement], ...]
  v_count bigint;
  f record;
begin
  execute format('select exists (select from %s)', v_rows) into v_there;
  if not v_there then
    return 0;
  end if;
  for f in
    select r.name, r.child, r.child_is_t, a.attname::text as column_name, format_type(a.atttypid, a.atttypmod) as type,
      not exists (select from pg_trigger g where g.tgrelid = r.child_oid and g.tgname = '~tandem_last') as untouched,
      -- By its key, for it may be one of the rows whose keys are rewritten.
      case when k.table_id is null then '{c.tableoid,c.ctid}'::text[] else tandem.columns('c', k.key_columns) end as found_by,
      case when k.table_id is null then '{oid,tid}'::text[] else k.key_types end as found_types,
      case when k.table_id is null then array_fill('operator(pg_catalog.=)'::text, array[2]) else k.key_operators end as operators
    from tandem.plan_references(p_plan) r
    join pg_constraint c on c.conrelid = r.child_oid and c.conname = r.name and c.contype = 'f'
    left join lateral (select a.* from pg_attribute a where a.attrelid = r.child_oid and a.attname = any (r.child_columns) and not a.attnotnull and a.attgenerated = ''
      and (c.confmatchtype = 's' or cardinality(c.conkey) = 1) order by a.attnum limit 1) a on true
    left join tandem.tracked_table k on k.table_id = r.child_id
    where r.to_key and r.update_action in ('r', 'n', 'd')
  loop
    if f.column_name is null then
      execute format('select exists (select from %s c where exists (select from %s and %s))', f.child, v_rows, f.child_is_t) into v_there;
      if v_there then
        raise exception 'its key is written otherwise here, and rows that refer to it may not be null meanwhile (%)', f.name using errcode = '23001';
      end if;
      continue;
    end if;
    v_same := tandem.all_equal(f.operators, f.found_by, array(select format('x.f%s::%s', u.i, u.type) from unnest(f.found_types) with ordinality u (type, i) order by u.i));
    perform set_config('tandem.as_before', f.untouched::text, true);
    execute format('with x as materialized (select %1$s, %2$s as was from %3$s c where exists (select from %4$s and %5$s)),
        u as (update %3$s c set %6$I = null from x where %7$s returning x.*)
        select jsonb_agg(to_jsonb(u)) from u',
      (select string_agg(format('%s as f%s', tandem.text_of(u.e), u.i), ', ') from unnest(f.found_by) with ordinality u (e, i)), tandem.text_of(format('c.%I', f.column_name)),
      f.child, v_rows, f.child_is_t, f.column_name, v_same)
    into v_gone;
    if v_gone is not null then
      v_back := v_back || jsonb_build_array(jsonb_build_array(f.untouched, format('update %s c set %I = x.was::%s from (select %s, e ->> ''was'' as was from jsonb_array_elements(%L) e) x where %s',
        f.child, f.column_name, f.type, (select string_agg(format('e ->> ''f%1$s'' as f%1$s', i), ', ') from generate_series(1, cardinality(f.found_by)) i), v_gone, v_same)));
    end if;
  end loop;
  perform set_config('tandem.as_before', 'false', true);
  perform tandem.tell_triggers(p_plan, false);
  execute format('update %s t set %s from (select s.* from %s) s where %s', p_plan ->> 'relation', p_plan #>> '{rewriting,set}', v_rows, p_plan ->> 'key_is_row');
  get diagnostics v_count = row_count;
  -- Now, for what has let go is back before the end of the transaction.
  set constraints all immediate;
  set constraints all deferred;
  perform tandem.tell_triggers(p_plan);
  for f in select (e ->> 0) as untouched, e ->> 1 as statement from jsonb_array_elements(v_back) e loop
    perform set_config('tandem.as_before', f.untouched, true);
    execute f.statement;
  end loop;
  perform set_config('tandem.as_before', 'false', true);
  return v_count;
end $$;
comment on function tandem.rewrite_keys(jsonb, text) is 'Writes keys as the source has them.';
