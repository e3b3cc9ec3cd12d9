-- A referenced value beside the key changes (foreign keys may refer to any unique columns) while rows here refer to it that the source
-- does not know. ON UPDATE decides: RESTRICT and NO ACTION keep the row and write it anew; CASCADE, SET NULL and SET DEFAULT are carried
-- out. Both are changes of this node. A key that changes is another matter: one row goes and another one comes, and ON DELETE decides.

-- tandem.reference_changes(p_table_id, p_columns, p_as_text): the foreign keys that refer to staged columns beside the key, with their ON
-- UPDATE action; changed: the condition on row t and staged row s that they refer to another value from now on; assignments: what
-- the action makes of a child.
create or replace function tandem.reference_changes(p_table_id integer, p_columns text[], p_as_text boolean)
returns table (name text, action text, child_oid oid, child text, child_id integer, child_is_t text, child_columns text[], changed text, assignments text)
language sql stable as $$
  select r.name, r.update_action::text, r.child_oid, r.child, r.child_id, r.child_is_t, r.child_columns,
    '(' || string_agg(tandem.differs(q.base, format('t.%I', q.name), q.value), ' or ') filter (where q.name is not null) || ')',
    string_agg(case r.update_action when 'n' then format('%I = null', ca.attname) when 'd' then format('%I = default', ca.attname)
      else format('%I = %s', ca.attname, q.value) end, ', ') filter (where q.name is not null or r.update_action <> 'c')
  from tandem.tracked_table t
  cross join lateral tandem.references_to(t.table_id) r
  join pg_constraint c on c.conrelid = r.child_oid and c.conname = r.name and c.contype = 'f'
  cross join lateral unnest(c.conkey, c.confkey) k (child, parent)
  join pg_attribute ca on ca.attrelid = c.conrelid and ca.attnum = k.child
  left join tandem.plan_columns(t.relid, p_columns, p_as_text) q on q.attnum = k.parent and q.name <> all (t.key_columns)
  where t.table_id = p_table_id
  group by r.name, r.update_action, r.child_oid, r.child, r.child_id, r.child_is_t, r.child_columns
  having bool_or(q.name is not null)
$$;
comment on function tandem.reference_changes(integer, text[], boolean) is 'Foreign keys that refer to columns beside the key.';

-- tandem.moved_children(p_plan, p_plans) -> text
-- A query for the rows here that refer to a value which the set changes, and that the set does not write: n (the staged row), child_id, rel and
-- tid (the row), child_key (null: its table is not tracked), action, name (the foreign key), blocked (it forbids the change; so does a
-- row that the action would have to change in turn), waits (the source's change of it does). Empty where there is no such foreign key.
create or replace function tandem.moved_children(p_plan jsonb, p_plans jsonb) returns text
language plpgsql stable as $$
declare
  f record;
  v_queries text[] := '{}';
begin
  for f in
    select x.*, (select format('array[%s]', string_agg(u || '::text', ', ')) from unnest(tandem.columns('c', t.key_columns)) u) as child_key
    from tandem.plan_changes(p_plan) x left join tandem.tracked_table t on t.table_id = x.child_id
  loop
    v_queries := v_queries || format($sql$
      select m.n, m.child_id, m.rel, m.tid, m.child_key, m.action, m.name, m.blocked or %s as blocked, m.waits
      from (select s.n, %s::integer as child_id, c.tableoid as rel, c.ctid::text as tid, %s::text[] as child_key, %L::text as action, %L::text as name,
          %s as blocked, %s as waits
        from %s s join %s t on %s join %s c on %s where s.present and %s and %s and %s) m
    $sql$, tandem.referred_to_in_turn(f.child_id, f.child_columns, p_plans), coalesce(f.child_id, -1), coalesce(f.child_key, 'null'), f.action, f.name,
      tandem.action_blocked(f.child_oid, f.name, f.action), tandem.row_waits(p_plans, f.child_id, 'c'),
      p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', f.child, f.child_is_t, f.changed, tandem.applies(p_plan),
      tandem.child_not_written(p_plans, f.child_id));
  end loop;
  return array_to_string(v_queries, ' union all ');
end $$;
comment on function tandem.moved_children(jsonb, jsonb) is 'Query for rows that refer to a value which changes.';

-- tandem.referred_to_in_turn(p_table_id, p_columns, p_plans) -> text
-- Condition on m, a row (rel, tid) of a table: rows that the set does not write refer to it by one of these columns.
create or replace function tandem.referred_to_in_turn(p_table_id integer, p_columns text[], p_plans jsonb) returns text
language sql stable as $$
  select coalesce('(' || string_agg(format('exists (select from %s t join %s c on %s where t.tableoid = m.rel and t.ctid = m.tid::tid and %s)',
      t.relid::regclass, r.child, r.child_is_t, tandem.child_not_written(p_plans, r.child_id)), ' or ') || ')', 'false')
  from tandem.tracked_table t
  cross join lateral tandem.references_to(t.table_id) r
  where t.table_id = p_table_id and exists (select from pg_constraint c
    join pg_attribute a on a.attrelid = c.confrelid and a.attnum = any (c.confkey)
    where c.conrelid = r.child_oid and c.conname = r.name and c.contype = 'f' and a.attname = any (p_columns))
$$;
comment on function tandem.referred_to_in_turn(integer, text[], jsonb) is 'Condition that a row is referred to by some columns.';

-- tandem.reject_updates(p_plans) -> bigint
-- Gives "keep" to staged rows whose change of a referenced value a row here forbids; once for each such pair, or a pair of values that are
-- both referred to, each on its side, would go round for ever: the second time it waits, for a person. "park" also where the row's table
-- is held, and where the source has changed the row too and that waits. Returns how many were rejected.
create or replace function tandem.reject_updates(p_plans jsonb) returns bigint
language plpgsql as $$
declare
  v_plan jsonb;
  v_moved text;
  v_count bigint;
  v_total bigint := 0;
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    continue when (v_plan ->> 'existing')::bigint = 0;
    v_moved := tandem.moved_children(v_plan, p_plans);
    continue when v_moved = '';
    execute format($sql$
      insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason, local_stamp, local_origin)
      select distinct on (s.n) %1$s, %2$s, s.n, case when w.why is null then 'keep' else 'park' end,
        case when w.why is null then 'referenced/update' else 'waits' end, format('%%s (%%s)', coalesce(w.why, 'a row here refers to it'), g.name),
        coalesce(l.stamp, '0001-01-01 00:00:00+00'), coalesce(l.origin, '')
      from (%3$s) g join %4$s s on s.n = g.n
      left join tandem.tracked_table c on c.table_id = g.child_id
      left join lateral (select l.stamp, l.origin from %5$s l where %6$s order by %7$s limit 1) l on true
      cross join lateral (select case
        when exists (select from tandem.inbound_table b where b.peer_id = %1$s and b.state = 'held' and (b.schema_name, b.table_name) = (c.schema_name, c.table_name))
          then 'a row of a table that is held refers to it'
        when g.waits then 'a row that waits refers to it'
        when exists (select from tandem.fallback_pair p where (p.schema_name, p.table_name) = (c.schema_name, c.table_name)
          and p.local_key = g.child_key and p.incoming_key = %8$L || %9$s) then 'rows refer to its value here and there' end as why) w
      where g.blocked or w.why like 'a row %%'
      order by s.n, w.why is not null, g.name
      on conflict (peer_id, table_id, n) do update set verdict = excluded.verdict, kind = excluded.kind, reason = excluded.reason
    $sql$, v_plan ->> 'peer', v_plan ->> 'id', v_moved, v_plan ->> 'stage', v_plan ->> 'entries', v_plan ->> 'key_is_entry', v_plan ->> 'newest_first',
      array[v_plan ->> 'schema', v_plan ->> 'table'], v_plan ->> 'key_text');
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  return v_total;
end $$;
comment on function tandem.reject_updates(jsonb) is 'Rejects changes of values that must stay.';

-- tandem.note_kept(p_plan) -> void
-- Notes the pairs of a row that was kept as it is and the rows that refer to its value, once it is written anew.
create or replace function tandem.note_kept(p_plan jsonb) returns void
language plpgsql as $$
declare
  f record;
begin
  if exists (select from tandem.verdict v where v.peer_id = (p_plan ->> 'peer')::integer and v.table_id = (p_plan ->> 'id')::integer
    and v.verdict = 'keep' and v.kind = 'referenced/update')
  then
    for f in select x.child, x.child_is_t, t.schema_name, t.table_name, t.key_columns from tandem.plan_changes(p_plan) x
      join tandem.tracked_table t on t.table_id = x.child_id
    loop
      execute format('insert into tandem.fallback_pair (schema_name, table_name, local_key, incoming_key)
          select distinct %L, %L, array[%s], %L || %s from %s s
          join tandem.verdict v on v.peer_id = %s and v.table_id = %s and v.n = s.n and v.verdict = ''keep'' and v.kind = ''referenced/update''
          join %s t on %s join %s c on %s on conflict do nothing',
        f.schema_name, f.table_name, (select string_agg(u || '::text', ', ') from unnest(tandem.columns('c', f.key_columns)) u),
        array[p_plan ->> 'schema', p_plan ->> 'table'], p_plan ->> 'key_text', p_plan ->> 'stage', p_plan ->> 'peer', p_plan ->> 'id',
        p_plan ->> 'relation', p_plan ->> 'key_is_row', f.child, f.child_is_t);
    end loop;
  end if;
end $$;
comment on function tandem.note_kept(jsonb) is 'Notes rows that were kept for others that refer to them.';

-- tandem.carry_out_updates(p_plans, p_where) -> void
-- In replica role PostgreSQL carries out no foreign-key action: this does, before the set is written, while the old values still say which
-- rows refer to them; captured as changes of this node (the applier's mark is taken off meanwhile). In the ordinary-owner way
-- PostgreSQL does it by itself. Errors: 23503 a row that this set does not write forbids the change.
create or replace function tandem.carry_out_updates(p_plans jsonb, p_where text) returns void
language plpgsql as $$
declare
  v_mark text := current_setting('tandem.applying', true);
  v_plan jsonb;
  f record;
  v_count bigint;
begin
  perform set_config('tandem.applying', '', true);
  for v_plan in select e from jsonb_array_elements(p_plans) e where (e ->> 'existing')::bigint > 0 loop
    for f in select x.* from tandem.plan_changes(v_plan) x loop
      execute format(case when f.action in ('a', 'r') then 'select 1 from %1$s c, %3$s s join %4$s t on %5$s where %6$s limit 1'
          else 'update %1$s c set %2$s from %3$s s join %4$s t on %5$s where %6$s' end,
        f.child, f.assignments, v_plan ->> 'stage', v_plan ->> 'relation', v_plan ->> 'key_is_row',
        concat_ws(' and ', '(' || p_where || ')', 's.present', f.child_is_t, f.changed, tandem.applies(v_plan), tandem.child_not_written(p_plans, f.child_id)));
      get diagnostics v_count = row_count;
      if v_count > 0 and f.action in ('a', 'r') then
        raise exception 'a row of % refers to a value that would change (%)', f.child, f.name using errcode = '23503';
      end if;
    end loop;
  end loop;
  perform set_config('tandem.applying', v_mark, true);
end $$;
comment on function tandem.carry_out_updates(jsonb, text) is 'Carries out ON UPDATE actions in replica role.';
