-- tandem.apply_set(p_plans, p_where, p_replica) -> jsonb
-- Writes one set of staged rows in a savepoint of its own, with all checks. Returns {"ok": true, counts} or {"ok": false,
-- "sqlstate", "reason"}, then nothing of the set was written; rows that a check found at fault have got the verdict "park" and
-- the set was written without them. Errors: what no row is to blame for (resources, input and output, an operator), as they come.
create or replace function tandem.apply_set(p_plans jsonb, p_where text, p_replica boolean) returns jsonb
language plpgsql as $$
declare
  v_plan jsonb;
  v_active jsonb;   -- the plans with a row to write; the others only note versions
  v_there boolean;
  v_counts jsonb;
  v_found jsonb;
  v_state text;
  v_message text;
  v_detail text;
begin
  for v_try in 1..100 loop
    begin
      for v_plan in select e from jsonb_array_elements(p_plans) e where not p_replica and e ->> 'rewriting' is not null loop
        perform tandem.rewrite_keys(v_plan, p_where);
      end loop;
      for v_plan in select e from jsonb_array_elements(p_plans) e loop
        perform tandem.displace(v_plan, p_plans, p_where), tandem.vacate(v_plan, p_where);
      end loop;
      if p_replica then
        perform tandem.carry_out_updates(p_plans, p_where);
      end if;
      v_active := '[]';
      for v_plan in select e from jsonb_array_elements(p_plans) e loop
        execute format('select exists (select from %s s where (%s) and %s)', v_plan ->> 'stage', p_where, tandem.applies(v_plan)) into v_there;
        if v_there then
          v_active := v_active || jsonb_build_array(v_plan);
        else
          perform tandem.record_versions(v_plan, p_where);
        end if;
      end loop;
      v_counts := '{"deleted": 0, "updated": 0, "inserted": 0, "expected": 0}';
      if v_active <> '[]' then
        v_counts := tandem.write_rows(v_active, p_where);
      end if;
      if exists (select from jsonb_array_elements(v_active) e where (e ->> 'claiming')::boolean and not tandem.await_writers(e)) then
        raise exception 'another session is writing to a table, perhaps a unique value that is claimed' using errcode = 'TD007';
      end if;
      v_found := '[]';
      for v_plan in select e from jsonb_array_elements(v_active) e loop
        select v_found || coalesce(jsonb_agg(jsonb_build_object('id', v_plan -> 'id', 'peer', v_plan -> 'peer', 'n', r.n, 'kind', r.kind, 'reason', r.reason, 'sqlstate', r.state)), '[]')
        into v_found
        from (
          select r.n, 'refused' as kind, r.reason, null as state from tandem.rewritten_rows(v_plan, p_where) r
          union all select r.n, 'waits', r.reason, '23503' from tandem.orphans(v_plan, p_where) r where p_replica
          union all select r.n, 'refused', r.reason, r.sqlstate from tandem.deferrable_duplicates(v_plan, p_where) r where p_replica
        ) r;
      end loop;
      if p_replica and v_found = '[]' then
        perform tandem.carry_out_actions(p_plans);
      end if;
      set constraints all immediate;
      set constraints all deferred;
      if v_found = '[]' then
        if (v_counts ->> 'inserted')::bigint < (v_counts ->> 'expected')::bigint then
          raise exception 'keys appeared meanwhile' using errcode = 'TD007';
        end if;
        return v_counts || '{"ok": true}';
      end if;
      raise exception 'rows at fault' using errcode = 'TD008';
    exception
      when query_canceled or admin_shutdown or crash_shutdown then
        raise;
      when sqlstate 'TD008' then
        insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason, sqlstate)
        select distinct on (e ->> 'id', e ->> 'n') (e ->> 'peer')::integer, (e ->> 'id')::integer, (e ->> 'n')::bigint, 'park', e ->> 'kind', e ->> 'reason', e ->> 'sqlstate'
        from jsonb_array_elements(v_found) e
        on conflict (peer_id, table_id, n) do update set verdict = excluded.verdict, kind = excluded.kind, reason = excluded.reason, sqlstate = excluded.sqlstate;
      when others then
        get stacked diagnostics v_state = returned_sqlstate, v_message = message_text, v_detail = pg_exception_detail;
        -- A full disk is no row's fault: nothing is parked for it, the batch waits.
        if v_state ~ '^(53|57|58|F0|XX00[12])' then
          raise;
        end if;
        -- A fresh set (tandem.look_at_set) is written without ON CONFLICT, one that is ahead without locks.
        if p_where = 'true' and (v_state = '23505' and p_plans @> '[{"fresh": true}]' or v_state in ('55P03', '40P01', '40001') and p_plans @> '[{"ahead": true}]') then
          v_state := 'TD007';
        end if;
        return jsonb_build_object('ok', false, 'sqlstate', v_state, 'reason', concat_ws(' - ', v_message, nullif(v_detail, '')));
    end;
  end loop;
  return jsonb_build_object('ok', false, 'sqlstate', 'TD008', 'reason', 'rows at fault did not come to an end');
end $$;
comment on function tandem.apply_set(jsonb, text, boolean) is 'Writes one set of staged rows, or nothing of it.';

-- tandem.apply_split(p_plans, p_replica, p_deadline, p_step) -> jsonb
-- After the whole set failed: tables parents first for what is written, children first for what is deleted, from the lowest number
-- on, range by range, each in a savepoint. A range that fails is searched by halves for its first row at fault, which gets the
-- verdict "park" with the reason; a range that succeeds is followed by one twice as long, and a row at fault by one as long as the
-- way to it was: so few bad rows cost a search each, and many do not make every range fail. A row that only a unique value, a missing
-- row, or one that refers to it, stands in the way of is tried once more at the end, a deletion too: the same set may have freed the value. Returns {"complete", "rows", "left", "step"}: not
-- complete where p_deadline passed first; then the caller commits what there is and comes again, so that locks are not
-- held for long, and left says what is still to be written: [{"id", "phase", "low"}], staged rows of that phase from n = low on, and
-- step is the p_step to go on with: how many rows are tried at a time (null at first: all). However late it is, at least one row is gone
-- through, or a machine too slow for the budget would never come to an end.
create or replace function tandem.apply_split(p_plans jsonb, p_replica boolean, p_deadline timestamptz, p_step bigint) returns jsonb
language plpgsql as $$
declare
  v_plan jsonb;
  v_ranges jsonb := '[]';   -- a stack, last first: {"plan", "phase", "low", "high"}
  v_range jsonb;
  v_result jsonb;
  v_low bigint;
  v_high bigint;
  v_upto bigint;
  v_bad bigint;    -- a row at fault is known between v_low and here
  v_step bigint;
  v_run bigint;    -- rows gone through since the last row at fault
  v_rows bigint := 0;
  v_tried bigint := 0;   -- ranges that are over, written or parked
  v_parked record;
begin
  perform tandem.index_stage(e, 'order') from jsonb_array_elements(p_plans) e;
  for v_plan in select e from jsonb_array_elements(tandem.parents_first(p_plans)) with ordinality x (e, i) order by i desc loop
    -- Only what there is: trying nothing takes time, too, of which a slow machine has not enough.
    for v_range in execute format('select jsonb_build_object(''phase'', case when s.present then ''s.present'' else ''not s.present'' end, ''low'', min(s.n), ''high'', max(s.n))
      from %s s group by s.present', v_plan ->> 'stage') loop
      v_range := v_range || jsonb_build_object('plan', v_plan);
      v_ranges := case v_range ->> 'phase' when 's.present' then v_ranges || jsonb_build_array(v_range) else jsonb_build_array(v_range) || v_ranges end;
    end loop;
  end loop;
  while jsonb_array_length(v_ranges) > 0 loop
    v_range := v_ranges -> -1;
    v_low := (v_range ->> 'low')::bigint;
    v_high := (v_range ->> 'high')::bigint;
    v_step := least(v_high - v_low + 1, case when v_tried = 0 then p_step end);
    v_bad := null;
    v_run := 0;
    while v_low <= v_high loop
      if clock_timestamp() > p_deadline and v_tried > 0 then
        v_ranges := jsonb_set(v_ranges, '{-1,low}', to_jsonb(v_low));
        return jsonb_build_object('complete', false, 'rows', v_rows, 'step', v_step, 'left',
          (select jsonb_agg(jsonb_build_object('id', e #> '{plan,id}', 'phase', e -> 'phase', 'low', e -> 'low')) from jsonb_array_elements(v_ranges) e));
      end if;
      v_upto := least(v_low + greatest(v_step, 1) - 1, v_high);
      v_result := tandem.apply_set(jsonb_build_array(v_range -> 'plan'),
        format('%s and s.n between %s and %s', v_range ->> 'phase', v_low, v_upto), p_replica);
      if (v_result ->> 'ok')::boolean then
        v_rows := v_rows + (v_result ->> 'deleted')::bigint + (v_result ->> 'updated')::bigint + (v_result ->> 'inserted')::bigint;
        v_tried := v_tried + 1;
        v_run := v_run + v_upto - v_low + 1;
        -- What was at fault may be so no more: its parent has come in between.
        v_bad := case when v_bad > v_upto then v_bad end;
        v_step := case when v_bad is null then 2 * greatest(v_step, 1) else (v_bad - v_upto) / 2 end;
        v_low := v_upto + 1;
      elsif v_low < v_upto then
        v_bad := v_upto;
        v_step := (v_upto - v_low + 1) / 2;
      else
        insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason, sqlstate)
        select (v_range #>> '{plan,peer}')::integer, (v_range #>> '{plan,id}')::integer, v_low, 'park',
          case when v_result ->> 'sqlstate' = '23503' then 'waits' when v_result ->> 'sqlstate' in ('55P03', '40P01', '40001', 'TD007') then 'busy' else 'refused' end,
          v_result ->> 'reason', v_result ->> 'sqlstate'
        on conflict (peer_id, table_id, n) do update set verdict = excluded.verdict, kind = excluded.kind, reason = excluded.reason, sqlstate = excluded.sqlstate;
        v_tried := v_tried + 1;
        v_low := v_low + 1;
        v_bad := null;
        v_step := v_run;
        v_run := 0;
      end if;
    end loop;
    v_ranges := v_ranges - (jsonb_array_length(v_ranges) - 1);
  end loop;
  for v_parked in
    select e as plan, v.* from jsonb_array_elements(tandem.parents_first(p_plans)) with ordinality x (e, i)
    join tandem.verdict v on v.peer_id = (e ->> 'peer')::integer and v.table_id = (e ->> 'id')::integer
    where v.verdict = 'park' and v.sqlstate in ('23505', '23503') order by x.i, v.n
  loop
    exit when clock_timestamp() > p_deadline;
    delete from tandem.verdict v where (v.peer_id, v.table_id, v.n) = (v_parked.peer_id, v_parked.table_id, v_parked.n);
    v_result := tandem.apply_set(jsonb_build_array(v_parked.plan), format('s.n = %s', v_parked.n), p_replica);
    if (v_result ->> 'ok')::boolean then
      v_rows := v_rows + (v_result ->> 'deleted')::bigint + (v_result ->> 'updated')::bigint + (v_result ->> 'inserted')::bigint;
    else
      insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason, sqlstate)
      values (v_parked.peer_id, v_parked.table_id, v_parked.n, 'park', v_parked.kind, v_parked.reason, v_parked.sqlstate);
    end if;
  end loop;
  return jsonb_build_object('complete', true, 'rows', v_rows);
end $$;
comment on function tandem.apply_split(jsonb, boolean, timestamptz, bigint) is 'Applies what can be applied of a set that failed.';

-- tandem.parents_first(p_plans) -> jsonb: the plans in foreign-key order; within a cycle by name.
create or replace function tandem.parents_first(p_plans jsonb) returns jsonb
language plpgsql stable as $$
declare
  v_ids integer[] := array(select (e ->> 'id')::integer from jsonb_array_elements(p_plans) e order by e ->> 'schema', e ->> 'table');
  v_children integer[];
  v_parents integer[];
  v_order integer[] := '{}';
  v_free integer[];
begin
  select coalesce(array_agg(u.id), '{}'), coalesce(array_agg(p.table_id), '{}') into v_children, v_parents
  from unnest(v_ids) u (id) cross join lateral tandem.foreign_keys(u.id) f join tandem.tracked_table p on p.relid = f.parent_oid
  where p.table_id = any (v_ids) and p.table_id <> u.id;
  while cardinality(v_ids) > 0 loop
    with waits as (select f.child, count(*) as parents from unnest(v_children, v_parents) f (child, parent) where f.parent = any (v_ids) group by 1),
      x as (select u.id, u.i, coalesce(w.parents, 0) as parents from unnest(v_ids) with ordinality u (id, i) left join waits w on w.child = u.id)
    select coalesce(array_agg(x.id order by x.i) filter (where x.parents = 0), (array_agg(x.id order by x.parents, x.i))[1:1]) into v_free from x;
    v_order := v_order || v_free;
    v_ids := array(select u.id from unnest(v_ids) with ordinality u (id, i) where u.id <> all (v_free) order by u.i);
  end loop;
  return (select coalesce(jsonb_agg(e order by array_position(v_order, (e ->> 'id')::integer)), '[]') from jsonb_array_elements(p_plans) e);
end $$;
comment on function tandem.parents_first(jsonb) is 'Plans in foreign-key order.';
