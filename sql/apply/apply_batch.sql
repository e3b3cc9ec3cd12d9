-- tandem.try_replica_role(p_session) -> boolean
-- Whether this role may set session_replication_role; then it is set for this transaction, and application triggers do not fire. p_session: for
-- the session, if the transaction commits. Each change of it makes PostgreSQL forget all plans of the session, which are made anew at a
-- multiple of what running them costs.
create or replace function tandem.try_replica_role(p_session boolean default false) returns boolean
language plpgsql as $$
begin
  perform set_config('session_replication_role', 'replica', not p_session);
  return true;
exception when insufficient_privilege then
  return false;
end $$;
comment on function tandem.try_replica_role(boolean) is 'Sets replica role where the role may.';

-- tandem.apply_batch(p_batch) -> jsonb
-- Everything from the first row lock to the moment before COMMIT, for what begin_stage and prepare_stage have staged. p_batch:
--   peer (id), staging, from and to (positions; equal when only parked rows or a range of a copy are applied), token (null: keep),
--   horizon (of the source), source (its name), mode ("batch", "copy", "alone"), copy ({"schema", "name", "upto", "done"} or null), released
--   ([{"schema", "name"}], tables that flow with the link from now on), unsettled ("park": rows that the source was asked to settle, and could
--   not, wait), cut, skew (an interval), asOf and since (of note_caught_up), tables ([{"id", "columns", "as_text", "known",
--   "mark" (the columns_mark that was staged by)}]).
-- Returns {"complete", "step", "unsettled": [{"id", "keys"}], "undecided", "conflicts", "seen", "tables": {id: {"staged", "applied",
-- "adopted", "superseded", "parked", "inserted", "updated", "deleted"}}, "parked": [{"schema", "table", "key"}] (an empty key: the table
-- does not flow), "held": [{"schema", "name", "position"}] (tables that do not flow with the link)}.
-- Not complete: locks would have been held too long; commit and call again with the same staging and "again": the "step" of this answer
-- (apply_split's). Unsettled: nothing was done; the source must write fresh entries for these keys first.
-- Errors: TD013 there are blocks that single keys would be looked for in: call tandem.write_out_for and this again, TD014 for all blocks; TD003 another applier has moved this link on (or staged anew), or a crash has emptied the staging tables; TD012 a table's
-- columns have changed since it was staged; TD001 no such link.
create or replace function tandem.apply_batch(p_batch jsonb) returns jsonb
language plpgsql as $$
declare
  v_peer integer := (p_batch ->> 'peer')::integer;
  v_from pg_snapshot := (p_batch ->> 'from')::pg_snapshot;
  v_to pg_snapshot := (p_batch ->> 'to')::pg_snapshot;
  v_copy boolean := p_batch ->> 'mode' = 'copy';
  v_alone boolean := p_batch ->> 'mode' = 'alone';
  v_step bigint := (p_batch ->> 'again')::bigint;
  v_replica boolean;
  v_plans jsonb;
  v_plan jsonb;
  v_next jsonb;
  v_unsettled jsonb := '[]';
  v_keys jsonb;
  v_conflicts bigint := 0;
  v_result jsonb;
  v_complete boolean := true;
  v_free boolean;
  v_whole boolean;
  v_newest timestamptz;
  v_one timestamptz;
  v_tables jsonb;
begin
  update tandem.inbound set applying = pg_current_xact_id(),
    applying_tables = array(select (e ->> 'id')::integer from jsonb_array_elements(p_batch -> 'tables') e)
  where peer_id = v_peer and position::text = v_from::text;
  -- Gone with the staged rows, if the server has crashed since: behind a pooler the connection does not tell.
  if not found or not exists (select from tandem.staged where peer_id = v_peer and staging = (p_batch ->> 'staging')::uuid) then
    raise exception 'another applier has moved this link on, or the staged rows went with a crash' using errcode = 'TD003';
  end if;
  v_replica := tandem.try_replica_role();
  select coalesce(jsonb_agg(e || tandem.look_at_stage(e) order by i), '[]') into v_plans
  from jsonb_array_elements(tandem.make_plans(v_peer, p_batch -> 'tables', v_replica)) with ordinality x (e, i);
  for v_plan in select e from jsonb_array_elements(v_plans) e where e ->> 'unsettled' is distinct from '0' loop
    execute format('select jsonb_agg(to_jsonb(%s)) from %s s where s.unsettled', v_plan ->> 'key_text', v_plan ->> 'stage') into v_keys;
    if v_keys is not null then
      v_unsettled := v_unsettled || jsonb_build_array(jsonb_build_object('schema', v_plan -> 'schema', 'name', v_plan -> 'table', 'keys', v_keys));
    end if;
  end loop;
  if v_unsettled <> '[]' and p_batch ->> 'unsettled' is distinct from 'park' then
    return jsonb_build_object('complete', false, 'unsettled', v_unsettled);
  end if;
  for v_plan in select e from jsonb_array_elements(v_plans) e loop
    v_whole := (tandem.look_at_set(v_plan, v_step is null, p_batch ->> 'mode') ->> 'whole')::boolean;
    if not v_whole and tandem.has_blocks((v_plan ->> 'id')::integer) then
      raise exception 'blocks are to be written out before this batch is applied' using errcode = 'TD013';
    end if;
    -- Triggers look for single rows too.
    if not v_whole or (v_plan ->> 'rewritable')::boolean then
      perform tandem.index_stage(v_plan, 'keys');
    end if;
  end loop;
  perform set_config('tandem.applying', pg_current_xact_id()::text, true);
  perform tandem.take_turns(v_plans);
  perform tandem.limit_waits(v_alone);
  for v_plan in select e from jsonb_array_elements(v_plans) e loop
    perform tandem.tell_triggers(v_plan);
  end loop;
  for v_try in 1..5 loop
    -- What the last call for this staging could not write is not tried again: else rows that take all of its time would never end.
    delete from tandem.verdict where peer_id = v_peer and not (v_step is not null and verdict = 'park');
    v_next := '[]';
    for v_plan in select e from jsonb_array_elements(v_plans) e loop
      v_free := tandem.lock_table(v_plan, v_try = 1);
      v_next := v_next || jsonb_build_array(v_plan || jsonb_build_object('free', v_free));
    end loop;
    select coalesce(jsonb_agg(e || jsonb_build_object('claiming', (e ->> 'free')::boolean and tandem.heed_writers(e, v_try = 1)) order by i), '[]') into v_plans
    from jsonb_array_elements(v_next) with ordinality x (e, i);
    v_next := '[]';
    for v_plan in select e from jsonb_array_elements(v_plans) e loop
      if v_unsettled <> '[]' then
        perform tandem.park_unsettled(v_plan);
      end if;
      v_plan := v_plan || tandem.look_at_set(v_plan, v_try = 1 and v_step is null, p_batch ->> 'mode');
      v_next := v_next || jsonb_build_array(v_plan || case when (v_plan ->> 'fresh')::boolean or not (v_plan ->> 'free')::boolean then '{"existing": 0}'
        else tandem.lock_rows(v_plan, v_alone) end);
      perform tandem.limit_waits(v_alone);
      -- From the row locks on no column changes any more.
      if v_plan ->> 'mark' <> (select tandem.columns_mark(t.relid) from tandem.tracked_table t where t.table_id = (v_plan ->> 'id')::integer) then
        raise exception 'the columns of % changed while a batch was under way', v_plan ->> 'relation' using errcode = 'TD012';
      end if;
    end loop;
    if v_next @> '[{"whole": true}]' then
      perform tandem.use_memory();
    end if;
    -- What is to be locked is; what is committed from here on the verdicts may not have seen.
    select coalesce(jsonb_agg(e || jsonb_build_object('decided', pg_current_snapshot()::text) order by i), '[]') into v_plans
    from jsonb_array_elements(v_next) with ordinality x (e, i);
    -- What was committed between the look at a set without locks and this would never be found: such a set is looked at anew, with locks.
    continue when exists (select from jsonb_array_elements(v_plans) e where (e ->> 'ahead')::boolean and not tandem.is_ahead(e));
    -- Each look for a key would go through all blocks, while rows are locked. Those that come after this are found as whatever comes after the verdicts.
    if exists (select from jsonb_array_elements(v_plans) e where not (e ->> 'whole')::boolean and tandem.has_blocks((e ->> 'id')::integer)) then
      raise exception 'many rows were written while a batch was about to be applied' using errcode = case when v_try = 1 then 'TD013' else 'TD014' end;
    end if;
    select coalesce(jsonb_agg(case when (e ->> 'whole')::boolean then e else e || jsonb_build_object('entries', e -> 'log', 'all_entries', coalesce(e -> 'all_entries', e -> 'entries')) end order by i), '[]')
    into v_plans from jsonb_array_elements(v_plans) with ordinality x (e, i);
    for v_plan in select e from jsonb_array_elements(v_plans) e loop
      if v_copy then
        perform tandem.note_assumed(v_plan);
      end if;
      perform tandem.decide(v_plan, (v_plan ->> 'known')::pg_snapshot, (p_batch ->> 'horizon')::timestamptz, v_copy, p_batch ->> 'source');
    end loop;
    -- Forbidden deletions and changes, rejected claims and children without a parent bring each other about: one fixpoint.
    -- A row is marked as crossed in the pass that lets it wait: before a deletion could wait for it, which nothing would take back.
    while tandem.reject_deletions(v_plans) + tandem.reject_updates(v_plans) + tandem.reject_claims(v_plans) + tandem.reject_orphans(v_plans) + tandem.mark_crossed(v_plans) > 0 loop
    end loop;
    v_plans := tandem.mark_actions(tandem.mark_unique(v_plans));
    v_newest := null;
    for v_plan in select e from jsonb_array_elements(v_plans) e loop
      v_conflicts := v_conflicts + tandem.record_conflicts(v_plan, p_batch ->> 'source');
      v_one := (v_plan ->> 'newest')::timestamptz;
      if v_one is null or tandem.applies(v_plan) <> 'true' then
        execute format('select max(s.stamp) from %s s where s.n not in (select v.n from tandem.verdict v where v.peer_id = %s and v.table_id = %s and v.verdict = ''park'' and v.kind in (''ahead'', ''unplaced''))',
          v_plan ->> 'stage', v_peer, v_plan ->> 'id') into v_one;
      end if;
      v_newest := greatest(v_newest, v_one);
    end loop;
    perform tandem.raise_floor(v_peer, v_newest);
    v_result := '{"ok": true}';
    if jsonb_array_length(v_plans) > 0 and v_step is not null then
      -- The set is known to fail as a whole: to try that once more would hold the locks for as long again.
      v_result := '{"ok": false}';
    elsif jsonb_array_length(v_plans) > 0 then
      v_result := tandem.apply_set(v_plans, 'true', v_replica);
    end if;
    exit when (v_result ->> 'ok')::boolean or v_result ->> 'sqlstate' is distinct from 'TD007' or v_try = 5;
  end loop;
  if not (v_result ->> 'ok')::boolean then
    perform tandem.limit_waits(v_alone);
    -- As long as it took to come here, at least: locking and deciding go over all that is staged, and are done anew in each call.
    v_result := tandem.apply_split(v_plans, v_replica, clock_timestamp() + greatest(interval '200 milliseconds', clock_timestamp() - now()), v_step);
    v_complete := (v_result ->> 'complete')::boolean;
  end if;

  if v_plans @> '[{"act": true}]' then
    for v_plan in select e from jsonb_array_elements(v_plans) e loop
      v_conflicts := v_conflicts + tandem.keep_taken(v_plan, tandem.over(v_plan, v_result -> 'left'));
    end loop;
  end if;
  for v_plan in select e from jsonb_array_elements(v_plans) e loop
    if exists (select from tandem.verdict v where v.peer_id = v_peer and v.table_id = (v_plan ->> 'id')::integer and v.verdict in ('prefer', 'keep', 'anew')) then
      perform tandem.write_anew(v_plan), tandem.note_kept(v_plan), tandem.note_fallbacks(v_plan);
    end if;
    perform tandem.write_missing(v_plan);
    perform tandem.reassert_holders(v_plan);
    perform tandem.park_verdicts(v_plan, tandem.over(v_plan, v_result -> 'left'));
  end loop;
  perform tandem.advance_sequences(v_plans);
  v_tables := tandem.batch_counts(v_plans, v_result -> 'left');
  if v_complete then
    perform tandem.advance_link(p_batch, v_to, v_tables);
  else
    perform tandem.note_piece(p_batch, v_tables);
    for v_plan in select e from jsonb_array_elements(v_plans) e loop
      execute format('delete from %s s where %s', v_plan ->> 'stage', tandem.over(v_plan, v_result -> 'left'));
    end loop;
    update tandem.inbound set applying = null, applying_tables = '{}' where peer_id = v_peer;
  end if;
  perform tandem.hurry_parked(v_tables);
  perform set_config('tandem.applying', '', true);
  perform tandem.wake_onward(v_peer);
  return jsonb_build_object('complete', v_complete, 'step', v_result -> 'step', 'unsettled', '[]'::jsonb, 'conflicts', v_conflicts, 'tables', v_tables,
    'undecided', (select coalesce(sum((t.value ->> 'undecided')::bigint), 0) from jsonb_each(v_tables) t),
    'seen', pg_current_snapshot()::text,
    'held', (select coalesce(jsonb_agg(jsonb_build_object('schema', b.schema_name, 'name', b.table_name, 'position', b.position::text)), '[]')
      from tandem.inbound_table b where b.peer_id = v_peer and b.state <> 'flow'),
    'parked', (select coalesce(jsonb_agg(jsonb_build_object('schema', c.schema_name, 'table', c.table_name, 'key', to_jsonb(c.key))), '[]')
      from (select p.schema_name, p.table_name, p.key from tandem.parked_change p where p.peer_id = v_peer
        union all select b.schema_name, b.table_name, '{}' from tandem.inbound_table b where b.peer_id = v_peer and b.state <> 'flow') c));
end $$;
comment on function tandem.apply_batch(jsonb) is 'Applies a staged batch.';

-- tandem.over(p_plan, p_left) -> text: condition on s that a staged row is written, or parked, and does not come again. p_left: what
-- apply_split has left; null when it is through.
create or replace function tandem.over(p_plan jsonb, p_left jsonb) returns text
language plpgsql immutable as $$
begin
  return (
    select coalesce((select 'not (' || string_agg(format('%s and s.n >= %s', x.phase, x.low), ' or ') || ')'
      from (select e ->> 'phase' as phase, min((e ->> 'low')::bigint) as low from jsonb_array_elements(p_left) e where e -> 'id' = p_plan -> 'id' group by 1) x), 'true'));
end $$;
comment on function tandem.over(jsonb, jsonb) is 'Condition that a staged row is done with.';

-- tandem.batch_counts(p_plans, p_left) -> jsonb: per table what became of the staged rows that are over: applied + adopted +
-- superseded + parked + undecided = staged.
create or replace function tandem.batch_counts(p_plans jsonb, p_left jsonb default null) returns jsonb
language plpgsql stable as $$
declare
  v_plan jsonb;
  v_counts jsonb := '{}';
  v_one jsonb;
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    -- Of a large set that was written as it is all is known.
    if v_plan ? 'staged' and p_left is null
      and not exists (select from tandem.verdict b where b.peer_id = (v_plan ->> 'peer')::integer and b.table_id = (v_plan ->> 'id')::integer)
    then
      v_counts := v_counts || jsonb_build_object(v_plan ->> 'id', '{"adopted": 0, "superseded": 0, "parked": 0, "undecided": 0}' || jsonb_build_object('schema', v_plan -> 'schema',
        'name', v_plan -> 'table', 'staged', v_plan -> 'staged', 'applied', v_plan -> 'staged', 'deleted', v_plan -> 'gone'));
      continue;
    end if;
    execute format($sql$
      select jsonb_build_object('schema', %4$L::text, 'name', %5$L::text, 'staged', s.n, 'applied', s.n - v.all_verdicts, 'deleted', s.deleted, 'adopted', v.adopted,
        'superseded', v.superseded, 'parked', v.parked, 'undecided', v.undecided)
      from (select count(*) as n, count(*) filter (where not present) as deleted from %1$s s where %6$s) s
      cross join (select count(*) filter (where verdict not in ('win', 'anew')) as all_verdicts, count(*) filter (where verdict = 'adopt') as adopted,
          count(*) filter (where verdict in ('drop', 'lose', 'prefer', 'keep', 'tie', 'missing')) as superseded,
          count(*) filter (where verdict = 'park') as parked, count(*) filter (where verdict = 'undecided') as undecided
        from tandem.verdict b join %1$s s on s.n = b.n where b.peer_id = %2$s and b.table_id = %3$s and %6$s) v
    $sql$, v_plan ->> 'stage', v_plan ->> 'peer', v_plan ->> 'id', v_plan ->> 'schema', v_plan ->> 'table', tandem.over(v_plan, p_left)) into v_one;
    v_counts := v_counts || jsonb_build_object(v_plan ->> 'id', v_one);
  end loop;
  return v_counts;
end $$;
comment on function tandem.batch_counts(jsonb, jsonb) is 'What became of staged rows.';

-- tandem.note_piece(p_batch, p_tables) -> void: counts what a call that was not complete has done; the position stays.
create or replace function tandem.note_piece(p_batch jsonb, p_tables jsonb) returns void
language plpgsql as $$
declare
  v_peer integer := (p_batch ->> 'peer')::integer;
begin
  update tandem.inbound set
    batches_cut = batches_cut + 1,
    rows_applied = rows_applied + (select coalesce(sum((t.value ->> 'applied')::bigint), 0) from jsonb_each(p_tables) t),
    rows_superseded = rows_superseded + (select coalesce(sum((t.value ->> 'superseded')::bigint), 0) from jsonb_each(p_tables) t)
  where peer_id = v_peer;
  update tandem.inbound_table b set
    rows_copied = b.rows_copied + (select coalesce(sum((t.value ->> 'staged')::bigint), 0) from jsonb_each(p_tables) t),
    rows_undecided = b.rows_undecided + (select coalesce(sum((t.value ->> 'undecided')::bigint), 0) from jsonb_each(p_tables) t)
  where b.peer_id = v_peer and p_batch ->> 'mode' = 'copy' and b.state = 'copy'
    and (b.schema_name, b.table_name) = (p_batch #>> '{copy,schema}', p_batch #>> '{copy,name}');
end $$;
comment on function tandem.note_piece(jsonb, jsonb) is 'Counts what a piece of a batch has done.';

-- tandem.advance_link(p_batch, p_to, p_tables) -> void
-- Stores how far the link has come: the position, the contact token, how far behind it is, a copy's progress, tables that flow again. What
-- is written from here on is nobody's batch.
create or replace function tandem.advance_link(p_batch jsonb, p_to pg_snapshot, p_tables jsonb) returns void
language plpgsql as $$
declare
  v_peer integer := (p_batch ->> 'peer')::integer;
  v_as_of timestamptz := (p_batch ->> 'asOf')::timestamptz;
  v_reached boolean := p_batch ->> 'mode' = 'batch' and not (p_batch ->> 'cut')::boolean;
begin
  delete from tandem.staged where peer_id = v_peer;
  update tandem.inbound set
    position = p_to, token = coalesce((p_batch ->> 'token')::uuid, token), applied_at = clock_timestamp(),
    caught_up_at = case when v_reached then v_as_of else caught_up_at end,
    lag = case when v_reached then tandem.measured_lag(coalesce((p_batch ->> 'since')::timestamptz, caught_up_at)) else lag end,
    batches = batches + 1, batches_cut = batches_cut + case when (p_batch ->> 'cut')::boolean then 1 else 0 end,
    rows_applied = rows_applied + (select coalesce(sum((t.value ->> 'applied')::bigint), 0) from jsonb_each(p_tables) t),
    rows_superseded = rows_superseded + (select coalesce(sum((t.value ->> 'superseded')::bigint), 0) from jsonb_each(p_tables) t),
    clock_skew = coalesce((p_batch ->> 'skew')::interval, clock_skew), last_error = null, last_error_at = null,
    applying = null, applying_tables = '{}'
  where peer_id = v_peer;
  if p_batch ->> 'mode' = 'copy' then
    -- Rows that a first meeting could not decide keep the table in this state; the next copy begins anew.
    update tandem.inbound_table b set
      rows_copied = case when x.again then 0 else b.rows_copied + x.staged end,
      rows_undecided = case when x.done then 0 else b.rows_undecided + x.undecided end,
      copied_to = case when not x.done then array(select jsonb_array_elements_text(p_batch #> '{copy,upto}')) end,
      state = case when x.done and not x.again then 'catch_up' else b.state end,
      reason = case when x.again then format(case when b.rejoin is not null then '%s only in node %s and may have been deleted here'
          else '%s and nothing says which is newer' end, x.count || case when b.rejoin is not null then case x.count when 1 then ' row is' else ' rows are' end
            else case x.count when 1 then ' row differs' else ' rows differ' end end, p_batch ->> 'source') end
    from (select (p_batch #>> '{copy,done}')::boolean as done, y.staged, y.undecided, c.rows_undecided + y.undecided as count,
        (p_batch #>> '{copy,done}')::boolean and c.rows_undecided + y.undecided > 0 as again
      from tandem.inbound_table c
      cross join (select coalesce(sum((t.value ->> 'staged')::bigint), 0) as staged, coalesce(sum((t.value ->> 'undecided')::bigint), 0) as undecided
        from jsonb_each(p_tables) t) y
      where c.peer_id = v_peer and c.schema_name = p_batch #>> '{copy,schema}' and c.table_name = p_batch #>> '{copy,name}') x
    where b.peer_id = v_peer and b.schema_name = p_batch #>> '{copy,schema}' and b.table_name = p_batch #>> '{copy,name}' and b.state = 'copy';
  end if;
  update tandem.inbound_table b set state = 'flow', position = null, copied_to = null, reason = null
  from jsonb_array_elements(p_batch -> 'released') e
  where b.peer_id = v_peer and b.schema_name = e ->> 'schema' and b.table_name = e ->> 'name' and b.state = 'catch_up';
end $$;
comment on function tandem.advance_link(jsonb, pg_snapshot, jsonb) is 'Stores how far a link has come.';
