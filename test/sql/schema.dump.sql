--
-- PostgreSQL database dump
--



SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: public; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA public;


--
-- Name: SCHEMA public; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA public IS 'standard public schema';


--
-- Name: tandem; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA tandem;


--
-- Name: SCHEMA tandem; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA tandem IS 'Tandem: what people and the applier see. Removed by "tandem uninstall".';


--
-- Name: tandem_log; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA tandem_log;


--
-- Name: SCHEMA tandem_log; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA tandem_log IS 'Tandem: change logs, staging tables, clock floors. Nobody but Tandem reads or writes here.';


--
-- Name: action_blocked(oid, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.action_blocked(p_child oid, p_name text, p_action text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select case
    when p_action in ('a', 'r') then 'true'
    when p_action = 'c' then 'false'
    when p_action = 'n' or bool_or(s.sets and d.adbin is null)
      then coalesce(bool_or(a.attnotnull and (p_action = 'n' or d.adbin is null)) filter (where s.sets), false)::text
    else format('not exists (select from %s q where %s and (q.tableoid, q.ctid) <> (t.tableoid, t.ctid))', c.confrelid::regclass,
      string_agg(format('q.%I operator(%I.%s) (%s)', pa.attname, n.nspname, o.oprname,
        case when s.sets then pg_get_expr(d.adbin, d.adrelid) else format('c.%I', a.attname) end), ' and '))
  end
  from pg_constraint c
  cross join lateral unnest(c.conkey, c.confkey, c.conppeqop) k (child, parent, op)
  join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.child
  join pg_attribute pa on pa.attrelid = c.confrelid and pa.attnum = k.parent
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  join pg_operator o on o.oid = k.op
  join pg_namespace n on n.oid = o.oprnamespace
  cross join lateral (select tandem.action_sets(to_jsonb(c), k.child) as sets) s
  where c.conrelid = p_child and c.conname = p_name and c.contype = 'f'
  group by c.oid, c.confrelid
$$;


--
-- Name: FUNCTION action_blocked(p_child oid, p_name text, p_action text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.action_blocked(p_child oid, p_name text, p_action text) IS 'Condition that a foreign-key action cannot be carried out.';


--
-- Name: action_sets(jsonb, smallint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.action_sets(p_constraint jsonb, p_attnum smallint) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
  select coalesce(nullif(p_constraint -> 'confdelsetcols', 'null') @> to_jsonb(p_attnum), true)
$$;


--
-- Name: FUNCTION action_sets(p_constraint jsonb, p_attnum smallint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.action_sets(p_constraint jsonb, p_attnum smallint) IS 'Whether a foreign key''s action changes a column.';


--
-- Name: added_with_default(oid, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.added_with_default(p_relid oid, p_shape text) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  select exists (
    select from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = p_relid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      and not (p_shape::jsonb -> 'columns' ? a.attnum::text)
      and (a.attidentity <> '' or d.adbin::text not like '{CONST %'))
$$;


--
-- Name: FUNCTION added_with_default(p_relid oid, p_shape text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.added_with_default(p_relid oid, p_shape text) IS 'Whether a column came whose default may differ from row to row.';


--
-- Name: advance_link(jsonb, pg_snapshot, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.advance_link(p_batch jsonb, p_to pg_snapshot, p_tables jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION advance_link(p_batch jsonb, p_to pg_snapshot, p_tables jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.advance_link(p_batch jsonb, p_to pg_snapshot, p_tables jsonb) IS 'Stores how far a link has come.';


--
-- Name: advance_sequence(regclass, numeric); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.advance_sequence(p_sequence regclass, p_value numeric) RETURNS void
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION advance_sequence(p_sequence regclass, p_value numeric); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.advance_sequence(p_sequence regclass, p_value numeric) IS 'Sets a sequence past a value, never backwards.';


--
-- Name: advance_sequences(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.advance_sequences(p_plans jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION advance_sequences(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.advance_sequences(p_plans jsonb) IS 'Sets sequences past the applied data.';


--
-- Name: after(timestamp with time zone); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.after(p_stamp timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$
  select p_stamp + case when date_part('microseconds', p_stamp)::bigint & 1 = 1 then interval '1 microsecond' else interval '2 microseconds' end
$$;


--
-- Name: FUNCTION after(p_stamp timestamp with time zone); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.after(p_stamp timestamp with time zone) IS 'The next even stamp.';


--
-- Name: all_equal(text[], text[], text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.all_equal(p_operators text[], p_left text[], p_right text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $$
begin
  return (
    select string_agg(format('%s %s %s', u.l, u.o, u.r), ' and ' order by u.position)
    from unnest(p_operators, p_left, p_right) with ordinality u (o, l, r, position));
end $$;


--
-- Name: FUNCTION all_equal(p_operators text[], p_left text[], p_right text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.all_equal(p_operators text[], p_left text[], p_right text[]) IS 'Condition that two lists of expressions are equal one by one.';


--
-- Name: application_path(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.application_path(p_plans jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_replica boolean := current_setting('session_replication_role') = 'replica';
begin
  if not exists (
    select from jsonb_array_elements(p_plans) e cross join lateral (select (e ->> 'relation')::regclass as root) t
    join pg_trigger g on g.tgrelid = t.root or g.tgrelid in (select h.relid from pg_partition_tree(t.root) h)
    join pg_proc f on f.oid = g.tgfoid
    where not g.tgisinternal and f.pronamespace <> 'tandem_log'::regnamespace and (g.tgenabled = 'A' or g.tgenabled = case when v_replica then 'R' else 'O' end))
  then
    return null;
  end if;
  return (select case when s.reset_val ~ 'pg_catalog' then 'pg_catalog, ' else '' end || s.reset_val from pg_settings s where s.name = 'search_path');
end $$;


--
-- Name: FUNCTION application_path(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.application_path(p_plans jsonb) IS 'The search_path in which triggers of the application''s fire.';


--
-- Name: application_triggers(oid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.application_triggers(p_relid oid) RETURNS TABLE(trigger_id oid, relid oid, name text, before boolean, enabled text, guarded boolean)
    LANGUAGE sql STABLE
    AS $$
  select g.oid, g.tgrelid, g.tgname::text, g.tgtype & 2 = 2, g.tgenabled::text,
    strpos(coalesce((select p.condition from tandem.trigger_parts(g.oid) p), ''), tandem.guard_condition()) in (1, 2)
  from pg_trigger g join pg_proc f on f.oid = g.tgfoid
  where g.tgrelid in (select h.relid from pg_partition_tree(p_relid) h union select p_relid)
    and not g.tgisinternal and g.tgparentid = 0 and g.tgtype & 28 <> 0 and g.tgenabled <> 'R'
    and f.pronamespace <> all (array(select n.oid from pg_namespace n where n.nspname = 'tandem_log'))
$$;


--
-- Name: FUNCTION application_triggers(p_relid oid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.application_triggers(p_relid oid) IS 'Triggers of the application''s that may fire for what is applied.';


--
-- Name: applied_op(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.applied_op() RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select 'case when not s.present then ''D'' when coalesce(s.op, ''D'') = ''D'' then ''I'' else s.op end'
$$;


--
-- Name: FUNCTION applied_op(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.applied_op() IS 'The op under which a staged row is entered.';


--
-- Name: applies(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.applies(p_plan jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select case when exists (select from tandem.verdict v where v.peer_id = (p_plan ->> 'peer')::integer and v.table_id = (p_plan ->> 'id')::integer)
      then format('s.n not in (select v.n from tandem.verdict v where v.peer_id = %s and v.table_id = %s and v.verdict not in (''win'', ''anew''))',
        p_plan ->> 'peer', p_plan ->> 'id')
      else 'true' end);
end $$;


--
-- Name: FUNCTION applies(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.applies(p_plan jsonb) IS 'Condition that a staged row is to be written.';


--
-- Name: apply_batch(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.apply_batch(p_batch jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION apply_batch(p_batch jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.apply_batch(p_batch jsonb) IS 'Applies a staged batch.';


--
-- Name: apply_plan(integer, integer, text[], boolean, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.apply_plan(p_peer_id integer, p_table_id integer, p_columns text[], p_as_text boolean, p_replica boolean) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  t tandem.tracked_table;
  v_count integer;
  v_plan jsonb;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_count := cardinality(t.key_columns);
  select jsonb_build_object(
    'id', t.table_id, 'peer', p_peer_id, 'schema', t.schema_name, 'table', t.table_name, 'policy', t.conflict_policy,
    'relation', format('%I.%I', t.schema_name, t.table_name),
    'stage', format('tandem_log.%I', tandem.stage_name(p_peer_id, t.schema_name, t.table_name)),
    'log', format('tandem_log.%I', t.log_name), 'entries', format('tandem_log.%I', t.entries_name),
    'blocks', t.blocks_name is not null,
    'key_columns', array_to_string(tandem.quoted(t.key_columns), ', '),
    'first_key', format('t.%I', t.key_columns[1]), 'first_key_type', t.key_types[1],
    'log_keys', array_to_string(array(select 'k' || i from generate_series(1, v_count) i), ', '),
    'stage_keys', array_to_string(tandem.key_names('s', v_count), ', '),
    'key_text', format('array[%s]', (select string_agg(u || '::text', ', ') from unnest(tandem.key_names('s', v_count)) u)),
    'key_is_row', tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('s', v_count)),
    'key_is_entry', tandem.all_equal(t.key_operators, tandem.key_names('l', v_count), tandem.key_names('s', v_count)),
    'newest_first', array_to_string(array(select u || ' desc' from unnest(tandem.key_names('l', v_count)) u), ', ') || ', l.stamp desc, l.origin desc',
    'image_is_row', coalesce((select case when count(*) > 0 then format('record_image_eq(row(%s), row(%s))',
        string_agg(format('t.%I::%s', c.name, c.base), ', ' order by c.i), string_agg(format('%s::%s', c.value, c.base), ', ' order by c.i)) end
      from tandem.plan_columns(t.relid, p_columns, p_as_text) c), 'true'),
    -- A GENERATED ALWAYS identity is put in by "~tandem_last".
    'set', (select coalesce(string_agg(format('%I = %s', c.name, c.value), ', ' order by c.i) filter (where c.identity <> 'a'),
        case when count(*) > 0 then format('%1$I = t.%1$I', t.key_columns[1]) end)
      from tandem.plan_columns(t.relid, p_columns, p_as_text) c),
    -- A generated column of the key follows from the others.
    'insert_columns', array_to_string(tandem.quoted(array(select u.name from unnest(t.key_columns) with ordinality u (name, i)
      join pg_attribute a on a.attrelid = t.relid and a.attname = u.name and a.attgenerated = '' where u.name <> all (p_columns) order by u.i) || p_columns), ', '),
    'insert_values', concat_ws(', ',
      (select string_agg('s.k' || u.i, ', ' order by u.i) from unnest(t.key_columns) with ordinality u (name, i)
        join pg_attribute a on a.attrelid = t.relid and a.attname = u.name and a.attgenerated = '' where u.name <> all (p_columns)),
      (select string_agg(c.value, ', ' order by c.i) from tandem.plan_columns(t.relid, p_columns, p_as_text) c)),
    'overriding', case when exists (select from pg_attribute a where a.attrelid = t.relid and a.attidentity = 'a') then 'overriding system value' else '' end,
    'local_columns', (select to_jsonb(array_agg(a.attname order by a.attnum)) from pg_attribute a
      where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped),
    'local_values', (select format('array[%s]', string_agg(tandem.text_of(format('t.%I', a.attname)), ', ' order by a.attnum)) from pg_attribute a
      where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped),
    'incoming_columns', to_jsonb(array(select u from unnest(t.key_columns) u where u <> all (p_columns)) || p_columns),
    'incoming_values', format('array[%s]', concat_ws(', ',
      (select string_agg(tandem.text_of('s.k' || u.i), ', ' order by u.i) from unnest(t.key_columns) with ordinality u (name, i) where u.name <> all (p_columns)),
      (select string_agg(tandem.text_of('s.c' || u.i), ', ' order by u.i) from unnest(p_columns) with ordinality u (name, i)))),
    'unlogged_stamp', tandem.unlogged_stamp(t, 't'), 'unlogged_origin', tandem.unlogged_origin(t, 't'),
    'unique_changed', coalesce((select '(' || string_agg(tandem.differs(c.base, format('t.%I', c.name), c.value), ' or ') || ')'
      from tandem.plan_columns(t.relid, p_columns, p_as_text) c
      where exists (select from pg_index i where i.indrelid = t.relid and i.indisunique and not i.indisprimary and i.indpred is null and c.attnum = any (i.indkey))), 'false'),
    -- Whether s may claim a value that a constraint in replica role would not see another session take (tandem.heed_writers); null: never.
    'claims', case when p_replica and exists (select from pg_constraint d where d.conrelid = t.relid and d.contype = 'x' and d.condeferrable) then 'true'
      when p_replica then (select format('(t.%I is not distinct from null or %s)', t.key_columns[1],
        string_agg(tandem.differs(c.base, format('t.%I', c.name), c.value), ' or '))
      from tandem.plan_columns(t.relid, p_columns, p_as_text) c
      where exists (select from pg_constraint d where d.conrelid = t.relid and d.contype in ('u', 'p') and d.condeferrable and c.attnum = any (d.conkey))
      having count(*) > 0) end,
    -- PostgreSQL refuses a text that is too long for its column, but one that is so by blanks alone it cuts.
    'too_long', coalesce((select format('nullif(concat_ws('', '', %s), '''')', string_agg(format('case when length(%s) > %s then %L end', c.value, m.typmod - 4, c.name), ', ' order by c.i))
      from tandem.plan_columns(t.relid, p_columns, p_as_text) c
      join pg_attribute a on a.attrelid = t.relid and a.attnum = c.attnum and tandem.base_type(a.atttypid) = 'varchar'::regtype
      cross join lateral (select tandem.base_typmod(a.atttypid, a.atttypmod) as typmod) m
      where m.typmod <> -1 having count(*) > 0), 'null::text'),
    'rewritable', exists (select from tandem.plan_columns(t.relid, p_columns, p_as_text) c where c.identity = 'a') or exists (select from pg_trigger g where not g.tgisinternal and g.tgrelid in (select h.relid from pg_partition_tree(t.relid) h union select t.relid)
      and g.tgname not like 'tandem\_%' and g.tgname <> '~tandem_last' and g.tgtype & 1 = 1 and g.tgtype & 2 = 2
      and case when p_replica then g.tgenabled in ('A', 'R') else g.tgenabled in ('O', 'A') end))
  into v_plan;
  return v_plan;
end $_$;


--
-- Name: FUNCTION apply_plan(p_peer_id integer, p_table_id integer, p_columns text[], p_as_text boolean, p_replica boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.apply_plan(p_peer_id integer, p_table_id integer, p_columns text[], p_as_text boolean, p_replica boolean) IS 'Fragments of SQL for one table of a batch.';


--
-- Name: apply_set(jsonb, text, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.apply_set(p_plans jsonb, p_where text, p_replica boolean) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION apply_set(p_plans jsonb, p_where text, p_replica boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.apply_set(p_plans jsonb, p_where text, p_replica boolean) IS 'Writes one set of staged rows, or nothing of it.';


--
-- Name: apply_small(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.apply_small(p_batch jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  v_peer integer := (p_batch ->> 'peer')::integer;
  v_heard integer[];
  v_replica boolean;
  v_done jsonb;
begin
  v_replica := tandem.try_replica_role();
  update tandem.inbound i set applying = pg_current_xact_id(),
    applying_tables = array(select (e ->> 'id')::integer from jsonb_array_elements(p_batch -> 'tables') e)
  where i.peer_id = v_peer and i.position::text = p_batch ->> 'from' and i.token = (p_batch ->> 'held')::uuid;
  if not found or not tandem.flows_freely(v_peer) then
    update tandem.inbound set applying = null, applying_tables = '{}' where peer_id = v_peer and applying = pg_current_xact_id();
    return '{"complete": false}';
  end if;
  v_heard := tandem.heard_elsewhere(v_peer);
  begin
    perform set_config('tandem.applying', pg_current_xact_id()::text, true);
    perform tandem.limit_waits(false);
    v_done := tandem.apply_small_tables(p_batch, v_heard, v_replica);
    if v_done is null then
      raise exception 'this batch is not simply written' using errcode = 'TD007';
    end if;
  exception
    when query_canceled or admin_shutdown or crash_shutdown or disk_full or io_error or out_of_memory or internal_error or data_corrupted or index_corrupted then
      raise;
    -- Whatever a row or another session is to blame for is met again, and told, the usual way.
    when others then
      update tandem.inbound set applying = null, applying_tables = '{}' where peer_id = v_peer;
      perform set_config('tandem.applying', '', true);
      return '{"complete": false}';
  end;
  perform tandem.advance_link(p_batch || '{"mode": "batch", "cut": false, "released": []}', (p_batch ->> 'to')::pg_snapshot, v_done);
  perform tandem.hurry_parked(v_done);
  perform set_config('tandem.applying', '', true);
  perform tandem.wake_onward(v_peer);
  return jsonb_build_object('complete', true, 'seen', pg_current_snapshot()::text, 'tables', v_done, 'clock', clock_timestamp());
end $$;


--
-- Name: FUNCTION apply_small(p_batch jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.apply_small(p_batch jsonb) IS 'Applies a small batch that has no conflict.';


--
-- Name: apply_small_tables(jsonb, integer[], boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.apply_small_tables(p_batch jsonb, p_heard integer[], p_replica boolean) RETURNS jsonb
    LANGUAGE plpgsql
    AS $_$
declare
  e jsonb;
  v_step text;
  v_name text;
  v_rows text[];
  v_answer jsonb;
  v_decided jsonb := '{}';
  v_done jsonb := '{}';
begin
  -- Before the first row lock, as tandem.take_turns and tandem.lock_table do. What a small batch deletes is there, and locked.
  for e in select x.e from jsonb_array_elements(p_batch -> 'tables') x (e) loop
    if not pg_try_advisory_xact_lock_shared(tandem.turn_lock(), (e ->> 'id')::integer) then
      return null;
    end if;
    execute format('lock table only %s in row exclusive mode nowait', (select t.relid::regclass from tandem.tracked_table t where t.table_id = (e ->> 'id')::integer));
  end loop;
  foreach v_step in array case when jsonb_array_length(p_batch -> 'tables') = 1 then array['decide', 'finish'] else array['decide', 'write', 'check'] end loop
    for e in select x.e from jsonb_array_elements(p_batch -> 'tables') x (e) loop
      if v_step = 'decide' then
        v_name := tandem.small_function((p_batch ->> 'peer')::integer, p_batch ->> 'source', e, p_replica, jsonb_array_length(p_batch -> 'tables') > 1);
        if v_name is null then
          return null;
        end if;
        v_decided := v_decided || jsonb_build_object(e ->> 'id', jsonb_build_object('name', v_name));
      end if;
      v_rows := array(select r.line from jsonb_array_elements_text(e -> 'rows') with ordinality r (line, i) order by r.i);
      execute format('select %s($1, $2, $3, $4, $5, $6)', v_decided #>> array[e ->> 'id', 'name']) into v_answer
      using v_step, v_rows, (e ->> 'known')::pg_snapshot, (p_batch ->> 'horizon')::timestamptz, p_heard, (v_decided #>> array[e ->> 'id', 'at'])::pg_snapshot;
      if v_answer is null then
        return null;
      end if;
      case v_step
        when 'decide' then
          -- From the row locks on no column changes any more.
          if e ->> 'mark' is distinct from (select tandem.columns_mark(t.relid) from tandem.tracked_table t where t.table_id = (e ->> 'id')::integer) then
            return null;
          end if;
          v_decided := jsonb_set(v_decided, array[e ->> 'id'], v_decided -> (e ->> 'id') || v_answer);
        when 'write', 'finish' then
          v_done := v_done || jsonb_build_object(e ->> 'id', v_answer);
        else
          null;
      end case;
    end loop;
  end loop;
  return v_done;
end $_$;


--
-- Name: FUNCTION apply_small_tables(p_batch jsonb, p_heard integer[], p_replica boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.apply_small_tables(p_batch jsonb, p_heard integer[], p_replica boolean) IS 'Applies the rows of a small batch.';


--
-- Name: apply_split(jsonb, boolean, timestamp with time zone, bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.apply_split(p_plans jsonb, p_replica boolean, p_deadline timestamp with time zone, p_step bigint) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION apply_split(p_plans jsonb, p_replica boolean, p_deadline timestamp with time zone, p_step bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.apply_split(p_plans jsonb, p_replica boolean, p_deadline timestamp with time zone, p_step bigint) IS 'Applies what can be applied of a set that failed.';


--
-- Name: applying_peer(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.applying_peer(p_table_id integer) RETURNS integer
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_peer integer;
begin
  if current_setting('tandem.applying', true) is distinct from pg_current_xact_id_if_assigned()::text or pg_trigger_depth() > 1 then
    return null;
  end if;
  select i.peer_id into v_peer from tandem.inbound i
  where i.applying = pg_current_xact_id_if_assigned() and (p_table_id = any (i.applying_tables) or current_setting('tandem.as_before', true) = 'true');
  if v_peer is not null and (current_setting('tandem.as_before', true) = 'true' or current_setting('session_replication_role') = 'replica' or not exists (
    select from pg_constraint c join tandem.tracked_table t on t.relid = c.conrelid
    where t.table_id = p_table_id and c.contype = 'f' and (c.confdeltype not in ('a', 'r') or c.confupdtype not in ('a', 'r'))))
  then
    return 0;
  end if;
  return v_peer;
end $$;


--
-- Name: FUNCTION applying_peer(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.applying_peer(p_table_id integer) IS 'Whose rows the applier itself is writing when a trigger fires.';


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: tracked_table; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.tracked_table (
    table_id integer NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    relid oid NOT NULL,
    log_name text NOT NULL,
    entries_name text NOT NULL,
    blocks_name text,
    changelog_view text NOT NULL,
    key_columns text[] NOT NULL,
    key_types text[] NOT NULL,
    key_operators text[] NOT NULL,
    partitioned boolean NOT NULL,
    conflict_policy text DEFAULT 'newest'::text NOT NULL COLLATE pg_catalog."C",
    updated_at_column text,
    leaves text[] DEFAULT '{}'::text[] NOT NULL,
    vanished integer DEFAULT 0 NOT NULL,
    shape text,
    CONSTRAINT tracked_table_check CHECK ((((cardinality(key_columns) >= 1) AND (cardinality(key_columns) <= 32)) AND (cardinality(key_types) = cardinality(key_columns)) AND (cardinality(key_operators) = cardinality(key_columns))))
);


--
-- Name: TABLE tracked_table; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.tracked_table IS 'Tables whose changes are captured here, each with its log table in tandem_log.';


--
-- Name: COLUMN tracked_table.entries_name; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.tracked_table.entries_name IS 'The view of all entries: those of the log, each a row, and those of the blocks.';


--
-- Name: COLUMN tracked_table.blocks_name; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.tracked_table.blocks_name IS 'The table of its blocks, each of which holds many entries; null where the key''s types cannot be in one.';


--
-- Name: COLUMN tracked_table.leaves; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.tracked_table.leaves IS 'Leaf partitions known when the table was last armed; others have come or gone since.';


--
-- Name: COLUMN tracked_table.vanished; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.tracked_table.vanished IS 'How often rows may have gone here of which the log knows nothing.';


--
-- Name: are_apart(tandem.tracked_table, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.are_apart(p_table tandem.tracked_table, p_condition text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_apart boolean := false;
begin
  if tandem.has_blocks(p_table.table_id) and tandem.has_least(p_table) then
    execute format('with x as materialized (select l.k1 as least, l.k1 as most, 1 as single, 0 as rows from tandem_log.%1$I l where %3$s limit 1001),
          y as (select * from x union all select l.least, l.most, 0, l.rows from tandem_log.%2$I l where %3$s)
        select count(*) filter (where y.single = 1) <= least(1000, sum(y.rows)) and bool_and(coalesce(y.least > y.before, y.before is null and y.least is not null))
        from (select y.*, lag(y.most) over (order by y.least, y.most) as before from y) y',
      p_table.log_name, p_table.blocks_name, p_condition) into v_apart;
  end if;
  return coalesce(v_apart, false);
end $_$;


--
-- Name: FUNCTION are_apart(p_table tandem.tracked_table, p_condition text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.are_apart(p_table tandem.tracked_table, p_condition text) IS 'Whether no two entries of a batch are of one key.';


--
-- Name: arm_last_trigger(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.arm_last_trigger(p_table_id integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_name text;
  v_body text;
  v_wanted boolean;
  v_always boolean;
  v_there boolean;
  v_done boolean := false;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_name := tandem.object_name('last ', t.schema_name, t.table_name);
  v_always := exists (select from pg_attribute a where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped
    and a.attidentity = 'a' and a.attname <> all (t.key_columns));
  v_wanted := v_always or exists (select from pg_trigger g where g.tgrelid = t.relid and not g.tgisinternal
    and g.tgtype & 1 = 1 and g.tgtype & 2 = 2 and g.tgtype & (4 | 16) <> 0 and g.tgname <> '~tandem_last');
  v_there := exists (select from pg_trigger g where g.tgrelid = t.relid and g.tgname = '~tandem_last');
  if not v_wanted then
    if v_there then
      execute format('drop trigger "~tandem_last" on %s', t.relid::regclass);
      execute format('drop function tandem_log.%I()', v_name);
    end if;
    return v_there;
  end if;
  v_body := format($body$
declare
  v_image text := current_setting('tandem.image_of_%1$s', true);
begin
  if v_image <> '' and current_setting('tandem.applying', true) = pg_current_xact_id_if_assigned()::text
    and pg_trigger_depth() = 1
    and exists (select from tandem.inbound i
      where i.applying = pg_current_xact_id_if_assigned() and %1$s = any (i.applying_tables))
  then
    -- Made by the applier (tandem.image_query): the row being written, with every staged column as it was staged. A row whose key is
    -- not staged stays as it is: a trigger of the application's changed the key, and the applier finds and parks it.
    execute v_image into new using new;
  end if;
  return new;
end
$body$, t.table_id);
  if v_body is distinct from (select p.prosrc from pg_proc p where p.oid = to_regprocedure(format('tandem_log.%I()', v_name))) then
    execute format('create or replace function tandem_log.%I() returns trigger language plpgsql security definer'
      ' set search_path = pg_catalog, pg_temp as %L', v_name, v_body);
    execute format('revoke execute on function tandem_log.%I() from public', v_name);
    execute format('comment on function tandem_log.%I() is %L', v_name,
      format('Puts the staged image of a row of %I.%I back after the application''s BEFORE triggers.', t.schema_name, t.table_name));
    v_done := true;
  end if;
  if not v_there then
    execute format('create trigger "~tandem_last" before insert or update on %s for each row execute function tandem_log.%I()',
      t.relid::regclass, v_name);
    v_done := true;
  end if;
  if (select g.tgenabled = 'A' from pg_trigger g where g.tgrelid = t.relid and g.tgname = '~tandem_last') <> v_always then
    execute format('alter table %s enable %s trigger "~tandem_last"', t.relid::regclass, case when v_always then 'always' else '' end);
    v_done := true;
  end if;
  return v_done;
end $_$;


--
-- Name: FUNCTION arm_last_trigger(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.arm_last_trigger(p_table_id integer) IS 'Adds or removes the trigger that puts the staged image back.';


--
-- Name: arm_table(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.arm_table(p_table_id integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
declare
  t tandem.tracked_table;
  v_function text;
  v_leaves text[];
  v_shape text;
  v_done boolean := false;
  r record;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_function := format('tandem_log.%I', tandem.object_name('capture ', t.schema_name, t.table_name));
  -- A trigger of the same name that calls another function is of a table that bore this one's place before (renamed since).
  for r in
    select g.tgrelid::regclass as rel, g.tgname
    from tandem.wanted_triggers(p_table_id) w join pg_trigger g on g.tgrelid = w.relid and g.tgname = w.name
    where g.tgfoid <> to_regprocedure(v_function || '()') and g.tgparentid = 0
  loop
    execute format('drop trigger %I on %s', r.tgname, r.rel);
  end loop;
  for r in
    select w.* from tandem.wanted_triggers(p_table_id) w
    where not exists (select from pg_trigger g where g.tgrelid = w.relid and g.tgname = w.name)
  loop
    execute format('create trigger %I %s on %s %s execute function %s()',
      r.name, r.event, r.relid::regclass, r.detail, v_function);
    v_done := true;
  end loop;
  for r in
    select g.tgrelid::regclass as rel, g.tgname
    from pg_trigger g
    where (g.tgrelid = t.relid or g.tgrelid in (select h.relid from pg_partition_tree(t.relid) h))
      and g.tgfoid = to_regprocedure(v_function || '()') and g.tgenabled <> 'A'
    order by g.tgrelid, g.tgname
  loop
    execute format('alter table only %s enable always trigger %I', r.rel, r.tgname);
    v_done := true;
  end loop;
  v_leaves := tandem.leaves(t.relid);
  v_shape := tandem.table_shape(t.relid);
  if v_leaves is distinct from t.leaves or v_shape is distinct from t.shape then
    update tandem.tracked_table set leaves = v_leaves, shape = v_shape where table_id = p_table_id;
    v_done := true;
  end if;
  return v_done;
end $$;


--
-- Name: FUNCTION arm_table(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.arm_table(p_table_id integer) IS 'Creates and enables the capture triggers that a tracked table lacks.';


--
-- Name: ask_wake(bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.ask_wake(p_ms bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
declare
  v_now constant bigint := date_part('epoch', clock_timestamp()) * 1000;
  v_until constant bigint := coalesce(pg_sequence_last_value('tandem.wake_until'), 0);
begin
  if v_until < v_now + p_ms / 2 then
    perform setval('tandem.wake_until', v_now + p_ms);
  end if;
  return v_until > v_now;
end $$;


--
-- Name: FUNCTION ask_wake(p_ms bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.ask_wake(p_ms bigint) IS 'Asks to be told of commits for a while.';


--
-- Name: await_writers(jsonb, interval); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.await_writers(p_plan jsonb, p_longest interval DEFAULT (current_setting('lock_timeout'::text))::interval) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
declare
  v_tables oid[] := array(select h.relid from tandem.tracked_table t cross join lateral (select t.relid union select p.relid from pg_partition_tree(t.relid) p) h
    where t.table_id = (p_plan ->> 'id')::integer);
  v_until timestamptz := clock_timestamp() + p_longest;
  v_writers text[];
begin
  loop
    v_writers := array(select distinct l.virtualtransaction from pg_locks l
      where l.locktype = 'relation' and l.relation = any (v_tables) and l.database = (select d.oid from pg_database d where d.datname = current_database())
        and l.granted and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        and l.pid is distinct from pg_backend_pid() and (v_writers is null or l.virtualtransaction = any (v_writers)));
    if cardinality(v_writers) = 0 or clock_timestamp() >= v_until then
      return cardinality(v_writers) = 0;
    end if;
    perform pg_sleep(0.001);
  end loop;
end $$;


--
-- Name: FUNCTION await_writers(p_plan jsonb, p_longest interval); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.await_writers(p_plan jsonb, p_longest interval) IS 'Waits for whoever writes a table.';


--
-- Name: base_type(oid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.base_type(p_type oid) RETURNS oid
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    with recursive d as (
      select t.oid, t.typtype, t.typbasetype from pg_type t where t.oid = p_type
      union all
      select t.oid, t.typtype, t.typbasetype from d join pg_type t on t.oid = d.typbasetype where d.typtype = 'd')
    select oid from d where typtype <> 'd');
end $$;


--
-- Name: FUNCTION base_type(p_type oid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.base_type(p_type oid) IS 'The type under a domain.';


--
-- Name: base_typmod(oid, integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.base_typmod(p_type oid, p_typmod integer) RETURNS integer
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    with recursive d as (
      select t.typtype, t.typbasetype, case when t.typtype = 'd' then t.typtypmod else p_typmod end as typmod from pg_type t where t.oid = p_type
      union all
      select t.typtype, t.typbasetype, case when t.typtype = 'd' then t.typtypmod else d.typmod end from d join pg_type t on t.oid = d.typbasetype where d.typtype = 'd')
    select typmod from d where typtype <> 'd');
end $$;


--
-- Name: FUNCTION base_typmod(p_type oid, p_typmod integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.base_typmod(p_type oid, p_typmod integer) IS 'The type modifier under a domain.';


--
-- Name: batch_counts(jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.batch_counts(p_plans jsonb, p_left jsonb DEFAULT NULL::jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $_$
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
end $_$;


--
-- Name: FUNCTION batch_counts(p_plans jsonb, p_left jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.batch_counts(p_plans jsonb, p_left jsonb) IS 'What became of staged rows.';


--
-- Name: batch_end(pg_snapshot, integer[], bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.batch_end(p_from pg_snapshot, p_tables integer[], p_limit bigint) RETURNS TABLE(position_to pg_snapshot, cut boolean)
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_now pg_snapshot := pg_current_snapshot();
  v_xmax xid8 := pg_snapshot_xmax(p_from);
  v_xip xid8[] := array(select pg_snapshot_xip(p_from));
  v_counts text;
  v_old bigint;
  v_taken xid8[];
  v_all boolean;
  v_cut xid8;
  v_pinned text[] := array[current_setting('enable_sort'), current_setting('enable_seqscan'), current_setting('enable_bitmapscan')];
begin
  v_counts := tandem.counted(p_tables, 'xid = any ($1)');
  if v_counts is null then
    return query select v_now, false;
    return;
  end if;
  execute format('with e as (select xid, sum(n) as n from (%s) u group by xid), s as (select xid, sum(n) over (order by xid) as upto, n from e)
      select coalesce((select sum(n) from e), 0)::bigint, array(select xid from s where upto <= $2 or upto = n order by xid)', v_counts)
  into v_old, v_taken using v_xip, p_limit;
  if v_old > p_limit then
    return query select tandem.snapshot_of(v_xmax, array(select x from unnest(v_xip) x where x <> all (v_taken))), true;
    return;
  end if;
  v_counts := tandem.counted(p_tables, 'xid >= $1');
  -- To add them up by transaction costs several times as much, and mostly they are not too many. The planner would read the log as a whole, and sort it.
  perform set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true);
  execute format('select %s <= $2', tandem.count_of(p_tables, 'xid >= $1')) into v_all using v_xmax, p_limit - v_old;
  perform set_config('enable_sort', v_pinned[1], true), set_config('enable_seqscan', v_pinned[2], true), set_config('enable_bitmapscan', v_pinned[3], true);
  if v_all then
    return query select v_now, false;
    return;
  end if;
  execute format('with e as (select xid, sum(n) as n from (%s) u group by xid), s as (select xid, sum(n) over (order by xid) as upto, n from e)
      select (xid::text::numeric + 1)::text::xid8 from s where (upto <= $2 or upto = n) and (select sum(n) from e) > $2 order by xid desc limit 1', v_counts)
  into v_cut using v_xmax, p_limit - v_old;
  if v_cut is null or v_cut >= pg_snapshot_xmax(v_now) then
    return query select v_now, false;
  else
    return query select tandem.snapshot_of(v_cut, array(select pg_snapshot_xip(v_now))), true;
  end if;
end $_$;


--
-- Name: FUNCTION batch_end(p_from pg_snapshot, p_tables integer[], p_limit bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.batch_end(p_from pg_snapshot, p_tables integer[], p_limit bigint) IS 'Where a batch ends.';


--
-- Name: batch_header(integer, integer[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.batch_header(p_peer_id integer, p_tables integer[]) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select jsonb_build_object('horizon', n.horizon, 'vector', cardinality(tandem.not_forwarded(p_peer_id)) > 1,
      'known', (select coalesce(jsonb_object_agg(t.table_id,
          case when b.state is null or b.state = 'copy' then null when b.state = 'flow' then i.position::text else b.position::text end), '{}')
        from tandem.tracked_table t
        left join tandem.inbound i on i.peer_id = p_peer_id
        left join tandem.inbound_table b on b.peer_id = p_peer_id and (b.schema_name, b.table_name) = (t.schema_name, t.table_name)
        where t.table_id = any (p_tables)))
    from tandem.local_node n);
end $$;


--
-- Name: FUNCTION batch_header(p_peer_id integer, p_tables integer[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.batch_header(p_peer_id integer, p_tables integer[]) IS 'What goes with a batch.';


--
-- Name: batch_query(integer, pg_snapshot, pg_snapshot, integer, text[], text[], jsonb, text, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.batch_query(p_table_id integer, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer, p_columns text[], p_unplaced text[], p_keys jsonb DEFAULT '[]'::jsonb, p_vector text DEFAULT NULL::text, p_asked boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
declare
  t tandem.tracked_table;
  v_count integer;
  v_entries text;
  v_newest jsonb;
  v_apart boolean;
  v_repeats boolean;
begin
  perform tandem.join_in_order(false);
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_count := cardinality(t.key_columns);
  perform tandem.refuse_blocks(t, p_vector is not null or t.conflict_policy like 'prefer: %');
  if p_keys = '[]' then
    v_newest := tandem.newest_of_all(t, p_from, p_to, p_peer_id);
  end if;
  if v_newest is not null then
    v_entries := tandem.sent_entries(p_from, p_to, p_peer_id);
    v_apart := (v_newest ->> 'apart')::boolean or tandem.are_apart(t, v_entries);
    v_repeats := not v_apart and tandem.repeats(t, p_from);
    if not v_repeats and tandem.is_much_of(t, (v_newest ->> 'sent')::bigint) then
      perform tandem.join_in_order(true);
    end if;
    return tandem.query_of(
      tandem.sent_columns(t, p_peer_id, p_columns, p_unplaced, p_vector, 'n.stamp', 'n.origin', p_asked, case when v_apart then 'false' else tandem.has_more(t) end),
      format('from (%s) n cross join lateral (select %s) k left join %I.%I t on %s',
        case when v_apart then tandem.entries_apart(t, v_entries) else tandem.newest_entries(t, v_entries, v_repeats) end,
        array_to_string(tandem.key_names('n', v_count), ', '),
        t.schema_name, t.table_name, tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('k', v_count))));
  end if;
  return tandem.keys_query(t, p_peer_id, p_columns, p_unplaced, p_vector, p_asked,
    concat_ws(' union all ',
      case when p_from is not null then format('select %s, false as named from tandem_log.%I l where %s',
        array_to_string(tandem.key_names('l', v_count), ', '), t.entries_name, tandem.sent_entries(p_from, p_to, p_peer_id)) end,
      case when p_from is null or jsonb_array_length(p_keys) > 0 then format('select %s, true as named from jsonb_array_elements(%L) x',
        (select string_agg(format('(x ->> %s)::%s as k%s', u.i - 1, u.type, u.i), ', ' order by u.i)
         from unnest(t.key_types) with ordinality u (type, i)), p_keys) end));
end $$;


--
-- Name: FUNCTION batch_query(p_table_id integer, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer, p_columns text[], p_unplaced text[], p_keys jsonb, p_vector text, p_asked boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.batch_query(p_table_id integer, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer, p_columns text[], p_unplaced text[], p_keys jsonb, p_vector text, p_asked boolean) IS 'The COPY query of one table in a batch.';


--
-- Name: beat(text, text, uuid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.beat(p_self text, p_target text, p_beat uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform tandem.check_identity(p_self);
  if to_regclass('tandem.heartbeat') is null then
    raise exception 'heartbeats are not on in this database: run "tandem migrate"' using errcode = 'TD001';
  end if;
  insert into tandem.heartbeat (source, target, beat) values (p_self, p_target, p_beat)
  on conflict (source, target) do update set beat = excluded.beat;
end $$;


--
-- Name: FUNCTION beat(p_self text, p_target text, p_beat uuid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.beat(p_self text, p_target text, p_beat uuid) IS 'Sends a heartbeat.';


--
-- Name: begin_stage(integer, uuid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.begin_stage(p_peer_id integer, p_staging uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform pg_advisory_xact_lock(tandem.link_lock(), p_peer_id);
  perform 1 from tandem.inbound where peer_id = p_peer_id for no key update;
  if not found then
    raise exception 'this node has no link from peer %', p_peer_id using errcode = 'TD001';
  end if;
  insert into tandem.staged (peer_id, staging) values (p_peer_id, p_staging)
  on conflict (peer_id) do update set staging = excluded.staging;
end $$;


--
-- Name: FUNCTION begin_stage(p_peer_id integer, p_staging uuid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.begin_stage(p_peer_id integer, p_staging uuid) IS 'Takes a link for staging.';


--
-- Name: between(pg_snapshot, pg_snapshot); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem."between"(p_from pg_snapshot, p_to pg_snapshot) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select concat_ws(' and ', tandem.since(p_from), format('l.xid < %L::xid8', pg_snapshot_xmax(p_to)),
    case when cardinality(x.later) > 0 then format('l.xid <> all (%L::xid8[])', x.later) end)
  from (select array(select pg_snapshot_xip(p_to)) as later) x
$$;


--
-- Name: FUNCTION "between"(p_from pg_snapshot, p_to pg_snapshot); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem."between"(p_from pg_snapshot, p_to pg_snapshot) IS 'Condition for the entries between two positions.';


--
-- Name: block_after(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.block_after() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
  select 100
$$;


--
-- Name: FUNCTION block_after(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.block_after() IS 'How many rows of a statement have entries of their own.';


--
-- Name: block_insert(tandem.tracked_table, text, text, text, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.block_insert(p_table tandem.tracked_table, p_fields text, p_values text, p_rows text, p_apart boolean) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select format('insert into tandem_log.%1$I (xid, %2$s, rows, least, most, %3$s) select pg_current_xact_id(), %4$s, count(*), %5$s, %6$s from (%7$s) x group by x.block%8$s',
    p_table.blocks_name, p_fields, array_to_string(k.names, ', '), p_values,
    case when tandem.has_least(p_table) then 'min(x.k1), max(x.k1)' else 'null, null' end,
    (select string_agg(format('array_agg(x.%s)', u), ', ') from unnest(k.names) u), p_rows,
    case when p_apart then ', x.op, x.origin' else '' end)
  from (select array(select 'k' || i from generate_series(1, cardinality(p_table.key_columns)) i) as names) k
$_$;


--
-- Name: FUNCTION block_insert(p_table tandem.tracked_table, p_fields text, p_values text, p_rows text, p_apart boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.block_insert(p_table tandem.tracked_table, p_fields text, p_values text, p_rows text, p_apart boolean) IS 'The statement that writes blocks.';


--
-- Name: block_least(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.block_least() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
  select 500
$$;


--
-- Name: FUNCTION block_least(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.block_least() IS 'How many entries are worth a block.';


--
-- Name: block_of_lists(tandem.tracked_table, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.block_of_lists(p_table tandem.tracked_table, p_node text, p_op text) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select format('with k as materialized (select %1$s)
            insert into tandem_log.%2$I (xid, oldest, stamp, op, origin, rows, least, most, %3$s)
            select pg_current_xact_id(), v_now, v_now, %4$L, %5$L, least(%6$s, v_rows - (i - 1) * %6$s), v_leasts[i], v_mosts[i], %7$s from k, generate_series(1, cardinality(v_leasts)) i',
    string_agg(format('v_list%1$s || ''{}'' as list%1$s', i), ', ' order by i), p_table.blocks_name, string_agg('k' || i, ', ' order by i), p_op, p_node, tandem.block_rows(),
    string_agg(format('k.list%s[%s + (i - 1) * %s + 1:%2$s + i * %3$s]', i, tandem.block_after(), tandem.block_rows()), ', ' order by i))
  from generate_series(1, cardinality(p_table.key_columns)) i
$_$;


--
-- Name: FUNCTION block_of_lists(p_table tandem.tracked_table, p_node text, p_op text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.block_of_lists(p_table tandem.tracked_table, p_node text, p_op text) IS 'The statement that writes blocks of lists.';


--
-- Name: block_rows(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.block_rows() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
  select 1000
$$;


--
-- Name: FUNCTION block_rows(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.block_rows() IS 'How many entries a block holds at most.';


--
-- Name: capture_caused(integer, integer, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.capture_caused(p_table_id integer, p_peer_id integer, p_op text, p_from text) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select tandem.capture_insert(t, n.name, '$1', left(p_op, 1), k.columns, format(
    'from %s o where not exists (select from tandem_log.%I s where %s and s.present = %L%s and not exists (select from tandem.verdict v
        where v.peer_id = %s and v.table_id = %s and v.n = s.n and v.verdict not in (''win'', ''anew'')))
      and not exists (select from tandem_log.%I l where %s and l.xid = pg_current_xact_id() and l.op = ''D'' and %L = ''DELETE'')',
    p_from, tandem.stage_name(p_peer_id, t.schema_name, t.table_name),
    tandem.all_equal(t.key_operators, tandem.key_names('s', cardinality(k.columns)), k.columns), p_op <> 'DELETE',
    case when p_op = 'UPDATE' then ' and ' || nullif(current_setting('tandem.refers_of_' || p_table_id, true), '') end,
    p_peer_id, t.table_id,
    t.entries_name, tandem.all_equal(t.key_operators, tandem.key_names('l', cardinality(k.columns)), k.columns), p_op))
  from tandem.tracked_table t
  cross join tandem.local_node n
  cross join lateral (select tandem.columns('o', t.key_columns) as columns) k
  where t.table_id = p_table_id
$_$;


--
-- Name: FUNCTION capture_caused(p_table_id integer, p_peer_id integer, p_op text, p_from text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.capture_caused(p_table_id integer, p_peer_id integer, p_op text, p_from text) IS 'The insert into a change log for what applying causes.';


--
-- Name: capture_first(tandem.tracked_table, text, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.capture_first(p_table tandem.tracked_table, p_node text, p_op text, p_rows text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select format('%s;
    get diagnostics v_rows = row_count;',
    tandem.capture_insert(p_table, p_node, 'v_now', p_op, tandem.columns('r', p_table.key_columns),
      format('from (select %s from %s r limit %s) r', array_to_string(tandem.columns('r', p_table.key_columns), ', '), p_rows, tandem.block_after()), 'v_blind'))
$$;


--
-- Name: FUNCTION capture_first(p_table tandem.tracked_table, p_node text, p_op text, p_rows text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.capture_first(p_table tandem.tracked_table, p_node text, p_op text, p_rows text) IS 'The statements that log the first rows of a statement.';


--
-- Name: capture_insert(tandem.tracked_table, text, text, text, text[], text, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.capture_insert(p_table tandem.tracked_table, p_node text, p_now text, p_op text, p_keys text[], p_from text, p_blind text DEFAULT 'false'::text, p_newer text DEFAULT 'false'::text) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select format(
    'insert into tandem_log.%1$I (xid, stamp, op, blind, origin, %2$s)
      select pg_current_xact_id(), greatest(%3$s, case when not (%10$s or %11$s) then (select tandem.after(l.stamp) from tandem_log.%1$I l where %4$s and l.stamp >= %3$s
        order by %5$s, l.stamp desc limit 1) end), %6$L, %10$s, %7$L, %8$s %9$s',
    p_table.log_name,
    array_to_string(array(select 'k' || i from generate_series(1, cardinality(p_keys)) i), ', '),
    p_now,
    tandem.all_equal(p_table.key_operators, tandem.key_names('l', cardinality(p_keys)), p_keys),
    array_to_string(array(select 'l.k' || i || ' desc' from generate_series(1, cardinality(p_keys)) i), ', '),
    p_op, p_node, array_to_string(p_keys, ', '), p_from, p_blind, p_newer)
$_$;


--
-- Name: FUNCTION capture_insert(p_table tandem.tracked_table, p_node text, p_now text, p_op text, p_keys text[], p_from text, p_blind text, p_newer text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.capture_insert(p_table tandem.tracked_table, p_node text, p_now text, p_op text, p_keys text[], p_from text, p_blind text, p_newer text) IS 'The insert into a change log that a trigger runs.';


--
-- Name: capture_intact(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.capture_intact(p_table_id integer) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
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


--
-- Name: FUNCTION capture_intact(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.capture_intact(p_table_id integer) IS 'Whether a table''s capture triggers are all there and ALWAYS.';


--
-- Name: capture_list(tandem.tracked_table, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.capture_list(p_table tandem.tracked_table, p_rows text) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select format('select %1$s into %2$s from (select %3$s from %4$s r limit %5$s) r;
        v_listed := cardinality(v_list1) <= %6$s;
        v_rows := cardinality(v_list1) - %7$s;
        ', tandem.lists_of(p_table, 'r'), (select string_agg('v_list' || i, ', ') from generate_series(1, cardinality(p_table.key_columns)) i),
    array_to_string(tandem.columns('r', p_table.key_columns), ', '), p_rows, tandem.list_most(p_table) + 1, tandem.list_most(p_table), tandem.block_after())
$_$;


--
-- Name: FUNCTION capture_list(p_table tandem.tracked_table, p_rows text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.capture_list(p_table tandem.tracked_table, p_rows text) IS 'The statements that put keys into lists.';


--
-- Name: capture_look(tandem.tracked_table, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.capture_look(p_table tandem.tracked_table, p_rows text) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select case when tandem.has_least(p_table) then concat(
    case when p_table.blocks_name is not null then format('if v_listed then
          with k as materialized (select v_list1 || ''{}'' as list)
          select array_agg(b.least order by i), array_agg(b.most order by i) into v_leasts, v_mosts
          from k, generate_series(%1$s, v_rows + %1$s - 1, %2$s) i, lateral (select min(y.u) as least, max(y.u) as most from (select unnest(k.list[i + 1:i + %2$s]) as u) y) b;
          select min(u.least), max(u.most) into v_least, v_most from unnest(v_leasts, v_mosts) u (least, most);
        else
          ', tandem.block_after(), tandem.block_rows()) end,
    format('select count(*), min(r.%1$I), max(r.%1$I) into v_rows, v_least, v_most from (select r.%1$I from %2$s r offset %3$s) r;
        ', p_table.key_columns[1], p_rows, tandem.block_after()),
    case when p_table.blocks_name is not null then 'end if;
        ' end,
    format('select count(*) < 3 * v_rows and bool_and(few.stamp < v_now) is not false into v_newer
        from (select l.stamp from tandem_log.%I l where l.k1 between v_least and v_most limit 3 * v_rows) few', p_table.log_name))
  else 'v_newer := false' end
$_$;


--
-- Name: FUNCTION capture_look(p_table tandem.tracked_table, p_rows text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.capture_look(p_table tandem.tracked_table, p_rows text) IS 'One look for the newest entries of many rows.';


--
-- Name: capture_many(tandem.tracked_table, text, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.capture_many(p_table tandem.tracked_table, p_node text, p_op text, p_rows text) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select format('v_now := greatest(tandem.next_stamp(), tandem.after(v_now));
      %1$s%2$s;
      %3$s
      %4$s;
      %5$s',
    case when p_table.blocks_name is not null and (p_op = 'U' or tandem.has_least(p_table)) then tandem.capture_list(p_table, p_rows) end,
    tandem.capture_look(p_table, p_rows),
    case when p_table.blocks_name is not null then format('if v_newer and not v_blind and v_rows >= %s then
        if v_listed then
          %s;
        else
          %s;
        end if;
        perform tandem.raise_block_floor(v_now);
      else', tandem.block_least(), tandem.block_of_lists(p_table, p_node, p_op),
        tandem.block_insert(p_table, 'oldest, stamp, op, origin', format('v_now, v_now, %L, %L', p_op, p_node),
          format('select %1$s, (row_number() over () - 1 - %4$s) / %2$s as block from %3$s r offset %4$s', x.named, tandem.block_rows(), p_rows, tandem.block_after()), false)) end,
    tandem.capture_insert(p_table, p_node, 'v_now', p_op, x.columns, format('from (select %s from %s r offset %s) r', x.keys, p_rows, tandem.block_after()), 'v_blind', 'v_newer'),
    case when p_table.blocks_name is not null then 'end if;' end)
  from (select tandem.columns('r', p_table.key_columns) as columns, array_to_string(tandem.columns('r', p_table.key_columns), ', ') as keys,
    (select string_agg(format('r.%I as k%s', u.name, u.i), ', ' order by u.i) from unnest(p_table.key_columns) with ordinality u (name, i)) as named) x
$_$;


--
-- Name: FUNCTION capture_many(p_table tandem.tracked_table, p_node text, p_op text, p_rows text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.capture_many(p_table tandem.tracked_table, p_node text, p_op text, p_rows text) IS 'The statements that log the many rows of a statement.';


--
-- Name: capture_row(tandem.tracked_table, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.capture_row(p_table tandem.tracked_table, p_node text) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select format($body$
  if tg_op = 'UPDATE' and v_peer is null then
    %1$s;
    if not (%2$s) then
      %3$s;
    end if;
  elsif tg_op = 'INSERT' and v_peer is null then
    %4$s;
  elsif tg_op = 'DELETE' and v_peer is null then
    %3$s;
  elsif tg_op = 'TRUNCATE' then
    %5$s
  elsif tg_op = 'DELETE' then
    execute tandem.capture_caused(%6$s, v_peer, tg_op, '(select ($2).*)') using v_now, old;
  else
    execute tandem.capture_caused(%6$s, v_peer, tg_op, '(select ($2).*)') using v_now, new;
    if tg_op = 'UPDATE' then
      if not (%2$s) then
        %3$s;
      end if;
    end if;
  end if;$body$,
    tandem.capture_insert(p_table, p_node, 'v_now', 'U', tandem.columns('new', p_table.key_columns), '', 'v_blind'),
    tandem.all_equal(p_table.key_operators, tandem.columns('old', p_table.key_columns), tandem.columns('new', p_table.key_columns)),
    tandem.capture_insert(p_table, p_node, 'v_now', 'D', tandem.columns('old', p_table.key_columns), '', 'v_blind'),
    tandem.capture_insert(p_table, p_node, 'v_now', 'I', tandem.columns('new', p_table.key_columns), '', 'v_blind'),
    tandem.capture_truncate(p_table, p_node), p_table.table_id)
$_$;


--
-- Name: FUNCTION capture_row(p_table tandem.tracked_table, p_node text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.capture_row(p_table tandem.tracked_table, p_node text) IS 'What logs a row.';


--
-- Name: capture_statement(tandem.tracked_table, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.capture_statement(p_table tandem.tracked_table, p_node text) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select format($body$
  if tg_op = 'UPDATE' and v_peer is null then
    %1$s
    -- A key that was changed is also a deletion of the old one. Looked for first: to begin an insert costs more than to see that there is
    -- nothing to insert. Where one row was updated two keys are compared, which costs half of a join; none may still be a row that went.
    -- Of many rows the old and the new stand in one order, so where no key was changed the two lists are equal.
    if v_rows = 1 then
      if exists (select from tandem_old o, tandem_new n where not (%2$s)) then
        %3$s;
      end if;
    elsif v_rows = %4$s then
      %5$s
      if (%6$s) then
        if exists (select %7$s) then
          %3$s;
        end if;
      end if;
    elsif exists (select %7$s) then
      %3$s;
    end if;
  elsif tg_op = 'INSERT' and v_peer is null then
    %8$s
    if v_rows = %4$s then
      %9$s
    end if;
  elsif tg_op = 'DELETE' and v_peer is null then
    %10$s
    if v_rows = %4$s then
      %11$s
    end if;
  elsif tg_op = 'TRUNCATE' then
    %12$s
  else
    execute tandem.capture_caused(%13$s, v_peer, tg_op, case tg_op when 'DELETE' then 'tandem_old' else 'tandem_new' end) using v_now;
    if tg_op = 'UPDATE' then
      if exists (select %7$s) then
        %3$s;
      end if;
    end if;
  end if;$body$,
    tandem.capture_first(p_table, p_node, 'U', 'tandem_new'), x.same_key, tandem.capture_insert(p_table, p_node, 'v_now', 'D', tandem.columns('o', p_table.key_columns), x.gone, 'v_blind'),
    tandem.block_after(), tandem.capture_many(p_table, p_node, 'U', 'tandem_new'), tandem.keys_moved(p_table), x.gone,
    tandem.capture_first(p_table, p_node, 'I', 'tandem_new'), tandem.capture_many(p_table, p_node, 'I', 'tandem_new'),
    tandem.capture_first(p_table, p_node, 'D', 'tandem_old'), tandem.capture_many(p_table, p_node, 'D', 'tandem_old'), tandem.capture_truncate(p_table, p_node), p_table.table_id)
  from (select y.same_key, format('from tandem_old o where not exists (select from tandem_new n where %s)', y.same_key) as gone
    from (select tandem.all_equal(p_table.key_operators, tandem.columns('n', p_table.key_columns), tandem.columns('o', p_table.key_columns)) as same_key) y) x
$_$;


--
-- Name: FUNCTION capture_statement(p_table tandem.tracked_table, p_node text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.capture_statement(p_table tandem.tracked_table, p_node text) IS 'What logs a statement.';


--
-- Name: capture_truncate(tandem.tracked_table, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.capture_truncate(p_table tandem.tracked_table, p_node text) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select format($body$perform set_config('enable_seqscan', 'on', true);
    execute %L || tg_relid::regclass || ' o where o.tableoid not in (select g.tgrelid from pg_trigger g
      where g.tgname = ''tandem_truncate'' and g.tgenabled = ''A'' and g.tgrelid <> $3)' using v_now, v_blind, tg_relid;$body$,
    tandem.capture_insert(p_table, p_node, '$1', 'D', tandem.columns('o', p_table.key_columns), 'from ', '$2'))
$_$;


--
-- Name: FUNCTION capture_truncate(p_table tandem.tracked_table, p_node text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.capture_truncate(p_table tandem.tracked_table, p_node text) IS 'What logs a TRUNCATE.';


--
-- Name: carry_out_actions(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.carry_out_actions(p_plans jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $_$
declare
  v_mark text := current_setting('tandem.applying', true);
  v_tables integer[] := array(select (e ->> 'id')::integer from jsonb_array_elements(p_plans) e where (e ->> 'act')::boolean);
  v_next integer[];
  v_table integer;
  f record;
  v_count bigint;
begin
  if cardinality(v_tables) = 0 then
    return;
  end if;
  perform set_config('tandem.applying', '', true);
  while cardinality(v_tables) > 0 loop
    v_next := '{}';
    foreach v_table in array v_tables loop
      for f in select r.*, p.relid::regclass::text as parent from tandem.references_to(v_table) r join tandem.tracked_table p on p.table_id = v_table loop
        execute format(case f.action when 'c' then 'delete from %1$s c where %2$s' when 'n' then 'update %1$s c set %3$s where %2$s'
            when 'd' then 'update %1$s c set %4$s where %2$s' else 'select 1 from %1$s c where %2$s limit 1' end,
          f.child,
          (select string_agg(format('c.%I is distinct from null', u), ' and ') from unnest(f.child_columns) u)
            || format(' and not exists (select from %s t where %s)', f.parent, f.child_is_t),
          (select string_agg(format('%I = null', u), ', ') from unnest(f.set_columns) u),
          (select string_agg(format('%I = default', u), ', ') from unnest(f.set_columns) u));
        get diagnostics v_count = row_count;
        if v_count > 0 and f.action in ('a', 'r') then
          raise exception 'a row of % refers to what a foreign-key action would delete (%)', f.child, f.name using errcode = '23503';
        end if;
        if v_count > 0 and f.action = 'd' then
          execute format('select count(*) from %s c where %s and not exists (select from %s t where %s)', f.child,
            (select string_agg(format('c.%I is distinct from null', u), ' and ') from unnest(f.child_columns) u), f.parent, f.child_is_t) into v_count;
          if v_count > 0 then
            raise exception 'the default of a row of % refers to nothing (%)', f.child, f.name using errcode = '23503';
          end if;
        end if;
        if v_count > 0 and f.action = 'c' and f.child_id is not null then
          v_next := v_next || f.child_id;
        end if;
      end loop;
    end loop;
    v_tables := v_next;
  end loop;
  perform set_config('tandem.applying', v_mark, true);
end $_$;


--
-- Name: FUNCTION carry_out_actions(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.carry_out_actions(p_plans jsonb) IS 'Carries out foreign-key actions in replica role.';


--
-- Name: carry_out_updates(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.carry_out_updates(p_plans jsonb, p_where text) RETURNS void
    LANGUAGE plpgsql
    AS $_$
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
end $_$;


--
-- Name: FUNCTION carry_out_updates(p_plans jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.carry_out_updates(p_plans jsonb, p_where text) IS 'Carries out ON UPDATE actions in replica role.';


--
-- Name: cast_error(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.cast_error(p_query text) RETURNS text
    LANGUAGE plpgsql
    AS $$
begin
  execute p_query;
  return null;
exception when data_exception or integrity_constraint_violation then
  return sqlstate;
end $$;


--
-- Name: FUNCTION cast_error(p_query text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.cast_error(p_query text) IS 'How a query of casts fails.';


--
-- Name: catalog_mark(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.catalog_mark(p_table_id integer) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select md5(concat_ws(' ',
      t.xmin, (select c.xmin from pg_class c where c.oid = t.relid),
      (select string_agg(a.xmin::text, ',' order by a.attnum) from pg_attribute a where a.attrelid = t.relid and a.attnum > 0),
      (select string_agg(d.xmin::text, ',' order by d.adnum) from pg_attrdef d where d.adrelid = t.relid),
      (select string_agg(i.xmin::text, ',' order by i.indexrelid) from pg_index i where i.indrelid = t.relid),
      (select string_agg(c.xmin::text, ',' order by c.oid) from pg_constraint c where c.conrelid = t.relid),
      (select string_agg(c.xmin::text, ',' order by c.oid) from pg_constraint c
        where c.oid = any (array(select g.tgconstraint from pg_trigger g where g.tgrelid = t.relid)) and c.confrelid = t.relid),
      (select string_agg(concat_ws(' ', (select r.xmin from pg_class r where r.oid = o.oid),
          (select string_agg(a.xmin::text, ',' order by a.attnum) from pg_attribute a where a.attrelid = o.oid and a.attnum > 0)), ',' order by o.oid)
        from (select c.confrelid as oid from pg_constraint c where c.conrelid = t.relid and c.contype = 'f'
          union select c.conrelid from pg_constraint c
          where c.oid = any (array(select g.tgconstraint from pg_trigger g where g.tgrelid = t.relid)) and c.confrelid = t.relid) o),
      (select string_agg(g.xmin::text, ',' order by g.oid) from pg_trigger g where g.tgrelid = t.relid),
      case when t.partitioned then (select string_agg(g.xmin::text, ',' order by g.oid) from pg_trigger g
        where g.tgrelid in (select h.relid from pg_partition_tree(t.relid) h)) end,
      (select string_agg(o.xmin::text, ',' order by o.table_id) from tandem.tracked_table o),
      (select max(f.installed_at) from tandem.sql_file f)))
    from tandem.tracked_table t where t.table_id = p_table_id);
end $$;


--
-- Name: FUNCTION catalog_mark(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.catalog_mark(p_table_id integer) IS 'Fingerprint of the catalogs a plan is made of.';


--
-- Name: change_guard(oid, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.change_guard(p_trigger oid, p_guard boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  v_guard constant text := tandem.guard_condition();
  g pg_trigger;
  d record;
  r record;
  v_relation text;
  v_comment text := obj_description(p_trigger, 'pg_trigger');
  v_constraint_comment text;
  v_extensions text[];
  v_clones jsonb;   -- whether the clones in partitions are enabled, each by itself
  v_condition text;
begin
  select * into strict g from pg_trigger where oid = p_trigger;
  select * into d from tandem.trigger_parts(p_trigger);
  v_relation := g.tgrelid::regclass::text;
  v_constraint_comment := obj_description(g.tgconstraint, 'pg_constraint');
  v_extensions := array(select e.extname from pg_depend x join pg_extension e on e.oid = x.refobjid
    where x.classid = 'pg_trigger'::regclass and x.objid = p_trigger and x.refclassid = 'pg_extension'::regclass and x.deptype = 'x');
  select jsonb_object_agg(c.tgrelid, c.tgenabled) into v_clones
  from pg_trigger c join pg_partition_tree(g.tgrelid) h on h.relid = c.tgrelid where c.tgname = g.tgname;
  v_condition := case
    when p_guard and d.condition is null then v_guard
    when p_guard then format('(%s AND %s)', v_guard, d.condition)
    when d.condition <> v_guard then substr(d.condition, length('(' || v_guard || ' AND ') + 1, length(d.condition) - length('(' || v_guard || ' AND )'))
  end;
  execute format('drop trigger %I on %s', g.tgname, v_relation);
  execute d.head || coalesce('WHEN (' || v_condition || ') ', '') || d.tail;
  for r in
    select c.tgrelid::regclass as rel, coalesce(v_clones ->> c.tgrelid::text, g.tgenabled::text) as wanted
    from pg_trigger c where c.tgname = g.tgname and c.tgrelid in (select h.relid from pg_partition_tree(g.tgrelid) h union select g.tgrelid)
      and c.tgenabled::text <> coalesce(v_clones ->> c.tgrelid::text, g.tgenabled::text)
  loop
    execute format('alter table only %s %s trigger %I', r.rel, case r.wanted when 'A' then 'enable always' when 'R' then 'enable replica' when 'D' then 'disable' else 'enable' end, g.tgname);
  end loop;
  if v_comment is not null then
    execute format('comment on trigger %I on %s is %L', g.tgname, v_relation, v_comment);
  end if;
  if v_constraint_comment is not null then
    execute format('comment on constraint %I on %s is %L', g.tgname, v_relation, v_constraint_comment);
  end if;
  for r in select u.name from unnest(v_extensions) u (name) loop
    execute format('alter trigger %I on %s depends on extension %I', g.tgname, v_relation, r.name);
  end loop;
end $$;


--
-- Name: FUNCTION change_guard(p_trigger oid, p_guard boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.change_guard(p_trigger oid, p_guard boolean) IS 'Guards a trigger, or takes the guard off.';


--
-- Name: changed_meanwhile(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.changed_meanwhile(p_plans jsonb, p_where text) RETURNS boolean
    LANGUAGE plpgsql
    AS $_$
declare
  v_plan jsonb;
  v_changed boolean := false;
  v_nestloop text := current_setting('enable_nestloop');
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    if (v_plan ->> 'whole')::boolean then
      perform set_config('enable_nestloop', 'off', true);
    end if;
    -- the order takes the index whatever the planner believes of the log's size
    execute format('select exists (select from (select * from %1$s l where l.xid >= pg_snapshot_xmin(%2$L::pg_snapshot) order by l.xid) l
        join %3$s s on %4$s where not pg_visible_in_snapshot(l.xid, %2$L) and l.xid <> pg_current_xact_id() and (%5$s) and %6$s)',
      coalesce(v_plan ->> 'all_entries', v_plan ->> 'entries'), v_plan ->> 'decided', v_plan ->> 'stage', v_plan ->> 'key_is_entry', p_where, tandem.applies(v_plan))
    into v_changed;
    perform set_config('enable_nestloop', v_nestloop, true);
    exit when v_changed;
  end loop;
  return v_changed;
end $_$;


--
-- Name: FUNCTION changed_meanwhile(p_plans jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.changed_meanwhile(p_plans jsonb, p_where text) IS 'Whether rows changed after they were decided on.';


--
-- Name: changelog_view_name(text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.changelog_view_name(p_schema text, p_table text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select case when octet_length(n.name) <= 63 then n.name else replace(tandem.object_name('', p_schema, p_table || '_changelog'), '.', '_') end
  from (select case p_schema when 'public' then '' else p_schema || '_' end || p_table || '_changelog') n (name)
$$;


--
-- Name: FUNCTION changelog_view_name(p_schema text, p_table text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.changelog_view_name(p_schema text, p_table text) IS 'Name of the view of a table''s change log.';


--
-- Name: check_identity(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.check_identity(p_name text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  n tandem.local_node;
begin
  if pg_is_in_recovery() then
    raise exception 'this server is a standby (in recovery): its snapshots do not list what is in progress' using errcode = 'TD004';
  end if;
  select * into n from tandem.local_node;
  if not found then
    raise exception 'this database is not configured as a node' using errcode = 'TD001';
  end if;
  if n.name <> p_name then
    raise exception 'this database is node "%", not "%"', n.name, p_name using errcode = 'TD002';
  end if;
  if n.system_identifier <> tandem.system_identifier()
    or n.database_oid <> (select d.oid from pg_database d where d.datname = current_database())
  then
    raise exception 'node "%": this is a copy of the database that was configured, not the same one', n.name using errcode = 'TD002';
  end if;
  if pg_snapshot_xmax(pg_current_snapshot()) < n.highest_xid then
    raise exception 'node "%": its transaction counter went back, so it was restored to an earlier state', n.name using errcode = 'TD002';
  end if;
end $$;


--
-- Name: FUNCTION check_identity(p_name text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.check_identity(p_name text) IS 'Stops where this database is not the one that was configured.';


--
-- Name: child_not_written(jsonb, integer, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.child_not_written(p_plans jsonb, p_child_id integer, p_alias text DEFAULT 'c'::text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select coalesce((select format('not exists (select from %s s where %s and %s)', e ->> 'stage',
        tandem.all_equal(t.key_operators, tandem.columns(p_alias, t.key_columns), tandem.key_names('s', cardinality(t.key_columns))), tandem.applies(e))
      from jsonb_array_elements(p_plans) e join tandem.tracked_table t on t.table_id = (e ->> 'id')::integer
      where t.table_id = p_child_id), 'true'));
end $$;


--
-- Name: FUNCTION child_not_written(p_plans jsonb, p_child_id integer, p_alias text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.child_not_written(p_plans jsonb, p_child_id integer, p_alias text) IS 'Condition that a row is not written by the batch.';


--
-- Name: choose_missing(text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.choose_missing(p_peer text, p_choice text) RETURNS void
    LANGUAGE sql
    AS $$
  update tandem.inbound i set missing = p_choice from tandem.peer p where p.peer_id = i.peer_id and p.name = p_peer and p.configured
$$;


--
-- Name: FUNCTION choose_missing(p_peer text, p_choice text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.choose_missing(p_peer text, p_choice text) IS 'Notes what becomes of rows that only a rejoined node has.';


--
-- Name: choose_triggers(text, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.choose_triggers(p_schema text, p_table text, p_choice text) RETURNS text[]
    LANGUAGE sql
    AS $$
  select coalesce((select tandem.set_guards(t.relid, p_choice = 'guard') from tandem.tracked_table t
    where (t.schema_name, t.table_name) = (p_schema, p_table) and p_choice is not null), '{}')
$$;


--
-- Name: FUNCTION choose_triggers(p_schema text, p_table text, p_choice text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.choose_triggers(p_schema text, p_table text, p_choice text) IS 'Does with a table''s triggers what the configuration says.';


--
-- Name: claims(jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.claims(p_plan jsonb, p_plans jsonb) RETURNS SETOF text
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  t tandem.tracked_table;
  u record;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_plan ->> 'id')::integer;
  for u in
    select * from tandem.plan_uniques(p_plan)
  loop
    return next format($sql$
      select x.*, not x.kept and not x.waits and x.later as newer,
        exists (select from tandem.fallback_pair p where p.schema_name = %19$L and p.table_name = %20$L
          and p.local_key = x.local_key and p.incoming_key = x.incoming_key) as fell_back
      from (select y.*, y.holder_waits and not (y.goes and y.later and not y.referenced) as waits from (
        select s.n, s.stamp, s.origin, %2$s as incoming_key, %1$L::text as index_name, t.local_key, t.local_stamp, t.local_origin,
          (s.stamp, s.origin, %2$s) > (t.local_stamp, t.local_origin, t.local_key) as later, %3$s as referenced, exists (select from %4$s t where %5$s) as here,
          exists (select from %6$s z join tandem.verdict v on v.peer_id = %7$s and v.table_id = %8$s and v.n = z.n
            and v.verdict in ('keep', 'prefer') where %9$s) as kept,
          %21$s as holder_waits,
          exists (select from %6$s z join tandem.verdict v on v.peer_id = %7$s and v.table_id = %8$s and v.n = z.n
            and v.verdict = 'park' and v.holder is not null where %9$s) as goes,
          exists (select from %6$s z where z.present and %9$s) as there,
          %22$s as referenced_there
        from %6$s s
        join (
          select r.tandem_n, t.*, array[%10$s] as local_key, coalesce(l.stamp, '0001-01-01 00:00:00+00') as local_stamp, coalesce(l.origin, '') as local_origin
          from %11$s join %12$s on %13$s
          left join lateral (select l.stamp, l.origin from tandem_log.%14$I l where %15$s order by l.stamp desc, l.origin desc limit 1) l on true
          where not (%16$s)) t on t.tandem_n = s.n
        where %17$s and %18$s) y) x
    $sql$,
      u.index_name, p_plan ->> 'key_text', tandem.referenced_after(p_plan, p_plans), p_plan ->> 'relation', p_plan ->> 'key_is_row',
      p_plan ->> 'stage', p_plan ->> 'peer', p_plan ->> 'id',
      tandem.all_equal(t.key_operators, tandem.key_names('z', cardinality(t.key_columns)), tandem.columns('t', t.key_columns)),
      (select string_agg(c || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) c),
      u.staged, u.local, u.same_value, t.entries_name,
      tandem.all_equal(t.key_operators, tandem.key_names('l', cardinality(t.key_columns)), tandem.columns('t', t.key_columns)), u.same_key,
      tandem.applies(p_plan), tandem.child_not_written(p_plans, t.table_id, 't'),
      t.schema_name, t.table_name, tandem.row_waits(p_plans, t.table_id, 't'), tandem.referenced_there(p_plan, p_plans));
  end loop;
end $_$;


--
-- Name: FUNCTION claims(p_plan jsonb, p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.claims(p_plan jsonb, p_plans jsonb) IS 'Queries for local rows that hold a value an incoming row claims.';


--
-- Name: close_probe(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.close_probe() RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform tandem.drop_own_table('probe');
end $$;


--
-- Name: FUNCTION close_probe(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.close_probe() IS 'Takes the probe of a round trip away.';


--
-- Name: closure(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.closure(p_plans jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  v_plan jsonb;
  f record;
  v_all jsonb := '[]';
  v_keys jsonb;
  v_there boolean;
begin
  perform tandem.index_stage(e, 'keys') from jsonb_array_elements(p_plans) e
  where not tandem.is_large(e ->> 'stage') or (e ->> 'rewritable')::boolean or jsonb_array_length(e -> 'foreign_keys') + jsonb_array_length(e -> 'references') + jsonb_array_length(e -> 'uniques') > 0;
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    v_there := false;
    if jsonb_array_length(v_plan -> 'references') > 0 then
      execute format('select exists (select from %s where not present)', v_plan ->> 'stage') into v_there;
    end if;
    for f in
      select x.*, t.schema_name, t.table_name, t.key_columns, t.table_id
      from (select r.child, r.child_is_t, r.child_id, 'not s.present' as touched from tandem.plan_references(v_plan) r where v_there
        union all select c.child, c.child_is_t, c.child_id, 's.present and ' || c.changed from tandem.plan_changes(v_plan) c) x
      join tandem.tracked_table t on t.table_id = x.child_id
    loop
      execute format('select jsonb_agg(distinct to_jsonb(array[%s])) from %s s join %s t on %s join %s c on %s where %s and %s',
        (select string_agg(u || '::text', ', ') from unnest(tandem.columns('c', f.key_columns)) u),
        v_plan ->> 'stage', v_plan ->> 'relation', v_plan ->> 'key_is_row', f.child, f.child_is_t, f.touched,
        tandem.not_staged(p_plans, f.table_id, tandem.columns('c', f.key_columns)))
      into v_keys;
      v_all := v_all || tandem.keys_of(f.schema_name, f.table_name, v_keys);
    end loop;
    for f in
      select k.*, t.schema_name, t.table_name, t.key_columns, t.table_id
      from tandem.plan_parents(v_plan) k join tandem.tracked_table t on t.table_id = k.parent_id
    loop
      execute format('select jsonb_agg(distinct to_jsonb(array[%s])) from %s s where s.present and %s and not exists (select from %s p where %s) and %s',
        (select string_agg(u || '::text', ', ') from unnest(f.staged_values) u), v_plan ->> 'stage',
        (select string_agg(u || ' is distinct from null', ' and ') from unnest(f.staged_values) u), f.parent, f.parent_is_s,
        tandem.not_staged(p_plans, f.table_id, f.staged_values))
      into v_keys;
      v_all := v_all || tandem.keys_of(f.schema_name, f.table_name, v_keys);
    end loop;
    for f in select * from tandem.plan_uniques(v_plan) loop
      execute format('select jsonb_agg(distinct to_jsonb(array[%s])) from %s join %s on %s where not (%s) and %s',
        (select string_agg(u || '::text', ', ') from unnest(tandem.columns('t', f.key_columns)) u),
        f.staged, f.local, f.same_value, f.same_key,
        tandem.not_staged(p_plans, (v_plan ->> 'id')::integer, tandem.columns('t', f.key_columns)))
      into v_keys;
      v_all := v_all || tandem.keys_of(v_plan ->> 'schema', v_plan ->> 'table', v_keys);
    end loop;
    v_all := v_all || tandem.closure_of_holders(v_plan, p_plans);
  end loop;
  return coalesce((select jsonb_agg(jsonb_build_object('schema', x.schema, 'name', x.name, 'referring', x.referring, 'keys', x.keys))
    from (select e ->> 'schema' as schema, e ->> 'name' as name, coalesce((e ->> 'referring')::boolean, false) as referring, jsonb_agg(distinct k) as keys
      from jsonb_array_elements(v_all) e cross join jsonb_array_elements(e -> 'keys') k group by 1, 2, 3) x), '[]'::jsonb);
end $$;


--
-- Name: FUNCTION closure(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.closure(p_plans jsonb) IS 'Keys to ask the source for before deciding.';


--
-- Name: closure_of_holders(jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.closure_of_holders(p_plan jsonb, p_plans jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  u record;
  f record;
  v_all jsonb := '[]';
  v_keys jsonb;
begin
  for u in select * from tandem.plan_uniques(p_plan) loop
    for f in
      select r.child, r.child_is_t, t.schema_name, t.table_name, t.key_columns, t.table_id
      from tandem.plan_references(p_plan) r join tandem.tracked_table t on t.table_id = r.child_id
    loop
      execute format('select jsonb_agg(distinct to_jsonb(array[%s])) from %s join %s on %s join %s c on %s where not (%s) and %s',
        (select string_agg(c || '::text', ', ') from unnest(tandem.columns('c', f.key_columns)) c),
        u.staged, u.local, u.same_value, f.child, f.child_is_t, u.same_key, tandem.not_staged(p_plans, f.table_id, tandem.columns('c', f.key_columns)))
      into v_keys;
      v_all := v_all || tandem.keys_of(f.schema_name, f.table_name, v_keys);
      execute format('select jsonb_agg(distinct to_jsonb(%s)) from %s join %s on %s join %s s on s.n = r.tandem_n where not (%s) and exists (select from %s c where %s)',
        p_plan ->> 'key_text', u.staged, u.local, u.same_value, p_plan ->> 'stage', u.same_key, f.child, f.child_is_t)
      into v_keys;
      v_all := v_all || coalesce((select jsonb_agg(e || '{"referring": true}') from jsonb_array_elements(tandem.keys_of(p_plan ->> 'schema', p_plan ->> 'table', v_keys)) e), '[]');
    end loop;
  end loop;
  return v_all;
end $$;


--
-- Name: FUNCTION closure_of_holders(p_plan jsonb, p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.closure_of_holders(p_plan jsonb, p_plans jsonb) IS 'Keys to ask for because of holders that others refer to.';


--
-- Name: columns(text, text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.columns(p_alias text, p_names text[]) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    AS $$
begin
  return (
    select coalesce(array_agg(format('%s.%I', p_alias, u.name) order by u.position), '{}')
    from unnest(p_names) with ordinality u (name, position));
end $$;


--
-- Name: FUNCTION columns(p_alias text, p_names text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.columns(p_alias text, p_names text[]) IS 'Quoted column references behind an alias.';


--
-- Name: columns_mark(oid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.columns_mark(p_relid oid) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select md5(string_agg(concat_ws(' ', a.attnum, quote_ident(a.attname), a.atttypid, a.atttypmod, a.attgenerated), ',' order by a.attnum))
    from pg_attribute a where a.attrelid = p_relid and a.attnum > 0 and not a.attisdropped);
end $$;


--
-- Name: FUNCTION columns_mark(p_relid oid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.columns_mark(p_relid oid) IS 'Fingerprint of a table''s columns.';


--
-- Name: comment_on(oid, regclass); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.comment_on(p_object oid, p_catalog regclass) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (select d.description from pg_description d where d.objoid = p_object and d.classoid = p_catalog and d.objsubid = 0);
end $$;


--
-- Name: FUNCTION comment_on(p_object oid, p_catalog regclass); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.comment_on(p_object oid, p_catalog regclass) IS 'The comment on an object.';


--
-- Name: configure_node(text, jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.configure_node(p_name text, p_peers jsonb, p_settings jsonb DEFAULT '{}'::jsonb) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
declare
  n tandem.local_node;
  v_peer jsonb;
  v_id integer;
  v_hears text[];
  v_heard text[];
  v_lost text[] := '{}';
  v_done boolean := false;
begin
  select * into n from tandem.local_node;
  if not found then
    insert into tandem.local_node (name, incarnation, system_identifier, database_oid, highest_xid)
    values (p_name, gen_random_uuid(), tandem.system_identifier(),
      (select d.oid from pg_database d where d.datname = current_database()), pg_snapshot_xmax(pg_current_snapshot()));
    v_done := true;
  else
    perform tandem.check_identity(p_name);
  end if;
  update tandem.local_node set
    max_skew = coalesce((p_settings ->> 'max_skew')::interval, max_skew),
    retention = coalesce((p_settings ->> 'retention')::interval, retention),
    keep_conflicts = coalesce((p_settings ->> 'keep_conflicts')::interval, keep_conflicts),
    seed = p_settings ->> 'seed'
  where (max_skew, retention, keep_conflicts) is distinct from
      (coalesce((p_settings ->> 'max_skew')::interval, max_skew), coalesce((p_settings ->> 'retention')::interval, retention),
      coalesce((p_settings ->> 'keep_conflicts')::interval, keep_conflicts))
    or seed is distinct from p_settings ->> 'seed';
  v_done := v_done or found;
  for v_peer in select e from jsonb_array_elements(p_peers) with ordinality x (e, i) order by i loop
    v_hears := array(select jsonb_array_elements_text(v_peer -> 'receives_from') order by 1);
    select p.peer_id, p.receives_from into v_id, v_heard from tandem.peer p where p.name = v_peer ->> 'name' and p.gone_at is null;
    if not found then
      insert into tandem.peer (name) values (v_peer ->> 'name') returning peer_id, receives_from into v_id, v_heard;
      v_done := true;
    end if;
    v_lost := v_lost || array(select u from unnest(v_heard) u where u <> all (v_hears));
    update tandem.peer p set configured = true, receives_from = v_hears
    where p.peer_id = v_id and (not p.configured or p.receives_from <> v_hears);
    v_done := v_done or found;
    if (v_peer ->> 'sends')::boolean then
      insert into tandem.inbound (peer_id) values (v_id) on conflict do nothing;
      v_done := v_done or found;
    end if;
    if (v_peer ->> 'receives')::boolean then
      insert into tandem.outbound (peer_id) values (v_id) on conflict do nothing;
      v_done := v_done or found;
    end if;
  end loop;
  perform tandem.forward_received(p.peer_id) from tandem.peer p where p.name = any (v_lost);
  perform tandem.forget_peer(p.peer_id) from tandem.peer p
  where p.gone_at is null and p_settings -> 'nodes' ? p.name and p.name not in (select e ->> 'name' from jsonb_array_elements(p_peers) e);
  v_done := v_done or found;
  update tandem.peer p set configured = false
  where p.configured and p.name not in (select e ->> 'name' from jsonb_array_elements(p_peers) e);
  v_done := v_done or found;
  perform tandem.make_floor();
  return tandem.set_heartbeat(coalesce((p_settings ->> 'heartbeat')::boolean, false)) or v_done;
end $$;


--
-- Name: FUNCTION configure_node(p_name text, p_peers jsonb, p_settings jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.configure_node(p_name text, p_peers jsonb, p_settings jsonb) IS 'Makes this database a node with these peers.';


--
-- Name: confirm(integer, pg_snapshot, uuid, pg_snapshot, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.confirm(p_peer_id integer, p_position pg_snapshot, p_token uuid, p_seen pg_snapshot, p_parked jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  update tandem.outbound o set
    token = p_token, pending_tokens = case when p_token = o.token then o.pending_tokens else '{}' end, acknowledged = p_position, acknowledged_at = clock_timestamp(),
    prunable = case when x.through then o.candidate else o.prunable end,
    candidate = case when x.through or o.candidate is null then p_position else o.candidate end,
    candidate_seen = case when x.through or o.candidate is null then p_seen else o.candidate_seen end
  from (select coalesce(pg_snapshot_xmin(i.position) >= pg_snapshot_xmax(b.candidate_seen), false) as through
    from tandem.outbound b left join tandem.inbound i using (peer_id) where b.peer_id = p_peer_id) x
  where o.peer_id = p_peer_id and (p_token = o.token or p_token = any (o.pending_tokens));
  if not found then
    raise exception 'the contact token of peer "%" does not fit', (select name from tandem.peer where peer_id = p_peer_id) using errcode = 'TD002';
  end if;
  update tandem.local_node set highest_xid = pg_snapshot_xmax(p_position)
  where highest_xid < pg_snapshot_xmax(p_position);
  delete from tandem.outbound_parked k where k.peer_id = p_peer_id and not exists (
    select from jsonb_array_elements(p_parked) e
    where e ->> 'schema' = k.schema_name and e ->> 'table' = k.table_name
      and array(select jsonb_array_elements_text(e -> 'key')) = k.key);
  insert into tandem.outbound_parked (peer_id, schema_name, table_name, key)
  select p_peer_id, e ->> 'schema', e ->> 'table', array(select jsonb_array_elements_text(e -> 'key')) from jsonb_array_elements(p_parked) e
  on conflict do nothing;
  if tandem.has_returned(p_peer_id) then
    perform tandem.date_waiting(p_peer_id);
  end if;
end $$;


--
-- Name: FUNCTION confirm(p_peer_id integer, p_position pg_snapshot, p_token uuid, p_seen pg_snapshot, p_parked jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.confirm(p_peer_id integer, p_position pg_snapshot, p_token uuid, p_seen pg_snapshot, p_parked jsonb) IS 'Notes what a target has acknowledged.';


--
-- Name: conflict_details(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.conflict_details(p_id text) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
  select jsonb_build_object('schema', c.schema_name, 'table', c.table_name, 'key', tandem.key_text(c.key), 'kind', c.kind, 'rule', c.rule, 'winner', c.winner,
    'detectedAt', tandem.iso_text(c.detected_at), 'restoredAt', tandem.iso_text(c.restored_at),
    'local', jsonb_build_object('origin', c.local_origin, 'changedAt', tandem.iso_text(c.local_stamp),
      'columns', to_jsonb(c.local_columns), 'values', to_jsonb(c.local_values)),
    'incoming', jsonb_build_object('origin', c.incoming_origin, 'changedAt', tandem.iso_text(c.incoming_stamp),
      'columns', to_jsonb(c.incoming_columns), 'values', to_jsonb(c.incoming_values)))
  from tandem.conflict c where tandem.conflict_id(c) = p_id
  order by c.conflict_id limit 1
$$;


--
-- Name: FUNCTION conflict_details(p_id text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.conflict_details(p_id text) IS 'One conflict with both images.';


--
-- Name: conflict; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.conflict (
    conflict_id bigint NOT NULL,
    detected_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    peer_id integer NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    key text[] NOT NULL,
    kind text NOT NULL,
    rule text NOT NULL,
    winner text NOT NULL,
    local_stamp timestamp with time zone NOT NULL,
    local_origin text NOT NULL COLLATE pg_catalog."C",
    incoming_stamp timestamp with time zone NOT NULL,
    incoming_origin text NOT NULL COLLATE pg_catalog."C",
    local_columns text[],
    local_values text[],
    incoming_columns text[],
    incoming_values text[],
    restored_at timestamp with time zone,
    CONSTRAINT conflict_check CHECK ((NOT (cardinality(local_columns) IS DISTINCT FROM cardinality(local_values)))),
    CONSTRAINT conflict_check1 CHECK ((NOT (cardinality(incoming_columns) IS DISTINCT FROM cardinality(incoming_values)))),
    CONSTRAINT conflict_winner_check CHECK ((winner = ANY (ARRAY['local'::text, 'incoming'::text])))
);


--
-- Name: TABLE conflict; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.conflict IS 'Two changes of one row where neither writer had seen the other''s; both images, each column as its own text. Null values: the row was gone.';


--
-- Name: conflict_id(tandem.conflict); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.conflict_id(p_conflict tandem.conflict) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select left(md5(concat_ws(chr(31), p_conflict.schema_name, p_conflict.table_name, p_conflict.key::text,
    (select string_agg(v.version, chr(31) order by v.version collate "C") from (values
      (to_char(p_conflict.local_stamp at time zone 'UTC', 'YYYYMMDDHH24MISSUS') || p_conflict.local_origin),
      (to_char(p_conflict.incoming_stamp at time zone 'UTC', 'YYYYMMDDHH24MISSUS') || p_conflict.incoming_origin)) v (version)),
    case when p_conflict.kind like 'referring/%' then 'referring' end)), 12)
$$;


--
-- Name: FUNCTION conflict_id(p_conflict tandem.conflict); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.conflict_id(p_conflict tandem.conflict) IS 'The name of a conflict, the same on every node.';


--
-- Name: contact_fits(integer, uuid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.contact_fits(p_peer_id integer, p_token uuid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select case when p_token is null then o.token is null else coalesce(p_token = o.token, false) or p_token = any (o.pending_tokens) end
    from tandem.outbound o where o.peer_id = p_peer_id);
end $$;


--
-- Name: FUNCTION contact_fits(p_peer_id integer, p_token uuid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.contact_fits(p_peer_id integer, p_token uuid) IS 'Whether a target''s contact token fits.';


--
-- Name: copy_bound(integer, text[], bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.copy_bound(p_table_id integer, p_after text[], p_rows bigint) RETURNS text[]
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  t tandem.tracked_table;
  v_key text[];
  v_order text;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_order := array_to_string(tandem.copy_order(t, 't'), ', ');
  if t.key_types in ('{bigint}', '{integer}') then
    -- 50 numbers of the range, at no regular distance
    execute format('select array[(x.first + %4$s - 1)::text] from (select t.%1$I::bigint as first from %2$I.%3$I t where %5$s order by t.%1$I limit 1) x
      where x.first < 9223372036854775807 - %4$s and exists (select from %2$I.%3$I t where t.%1$I > x.first + %4$s - 1)
        and 40 <= (select count(*) from generate_series(1, 50) g where exists (select from %2$I.%3$I t where t.%1$I = x.first + (g * 7919) %% %4$s))',
      t.key_columns[1], t.schema_name, t.table_name, p_rows, tandem.copy_range(t, p_after, null))
    into v_key;
  end if;
  if v_key is null then
    execute format('select array[%s] from %I.%I t where %s order by %s offset %s limit 1',
      (select string_agg(u || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) u),
      t.schema_name, t.table_name, tandem.copy_range(t, p_after, null), v_order, p_rows - 1)
    into v_key;
  end if;
  return v_key;
end $_$;


--
-- Name: FUNCTION copy_bound(p_table_id integer, p_after text[], p_rows bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.copy_bound(p_table_id integer, p_after text[], p_rows bigint) IS 'Where a range of a first copy ends.';


--
-- Name: copy_order(tandem.tracked_table, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.copy_order(p_table tandem.tracked_table, p_alias text) RETURNS text[]
    LANGUAGE sql STABLE
    AS $$
  select array_agg(case when t.typnamespace = 'pg_catalog'::regnamespace or t.typtype = 'e' then format('%s.%I', p_alias, u.name)
    else format('%s.%I::text collate "C"', p_alias, u.name) end order by u.i)
  from unnest(p_table.key_columns) with ordinality u (name, i)
  join pg_attribute a on a.attrelid = p_table.relid and a.attname = u.name
  join pg_type t on t.oid = a.atttypid
$$;


--
-- Name: FUNCTION copy_order(p_table tandem.tracked_table, p_alias text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.copy_order(p_table tandem.tracked_table, p_alias text) IS 'Expressions by which a copy orders keys.';


--
-- Name: copy_query(integer, integer, text[], text[], text[], text[], text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.copy_query(p_table_id integer, p_peer_id integer, p_after text[], p_upto text[], p_columns text[], p_unplaced text[], p_vector text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
declare
  t tandem.tracked_table;
  v_none boolean;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  perform tandem.refuse_blocks(t, true);
  v_none := tandem.none_logged(t, p_after, p_upto);
  return (select tandem.query_of(
    tandem.sent_columns(t, p_peer_id, p_columns, p_unplaced, p_vector,
      format('coalesce(n.stamp, %s)', tandem.unlogged_stamp(t, 't', x.rejoin)), format('coalesce(n.origin, %s)', tandem.unlogged_origin(t, 't', x.rejoin)), false,
      case when v_none then 'none' else 'true' end),
    format('from %I.%I t cross join lateral (select %s) k %s where %s', t.schema_name, t.table_name,
      (select string_agg(format('t.%I as k%s', u.name, u.i), ', ' order by u.i) from unnest(t.key_columns) with ordinality u (name, i)),
      case when v_none then 'cross join lateral (select null::"char" as op, null::timestamptz as stamp, null::text as origin, null::integer as received_from, null::xid8 as xid) n'
        else tandem.newest_entry(t, 'k') end,
      tandem.copy_range(t, p_after, p_upto)))
  from (select (select b.rejoin from tandem.inbound_table b
    where (b.peer_id, b.schema_name, b.table_name) = (p_peer_id, t.schema_name, t.table_name)) as rejoin) x);
end $$;


--
-- Name: FUNCTION copy_query(p_table_id integer, p_peer_id integer, p_after text[], p_upto text[], p_columns text[], p_unplaced text[], p_vector text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.copy_query(p_table_id integer, p_peer_id integer, p_after text[], p_upto text[], p_columns text[], p_unplaced text[], p_vector text) IS 'The COPY query of a range of keys.';


--
-- Name: copy_range(tandem.tracked_table, text[], text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.copy_range(p_table tandem.tracked_table, p_after text[], p_upto text[]) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select coalesce(nullif(concat_ws(' and ',
    case when p_after is not null then format('(%s) > (%s)', o.columns, tandem.copy_values(p_table, p_after)) end,
    case when p_upto is not null then format('(%s) <= (%s)', o.columns, tandem.copy_values(p_table, p_upto)) end), ''), 'true')
  from (select array_to_string(tandem.copy_order(p_table, 't'), ', ') as columns) o
$$;


--
-- Name: FUNCTION copy_range(p_table tandem.tracked_table, p_after text[], p_upto text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.copy_range(p_table tandem.tracked_table, p_after text[], p_upto text[]) IS 'Condition for a range of keys.';


--
-- Name: copy_values(tandem.tracked_table, text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.copy_values(p_table tandem.tracked_table, p_key text[]) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select string_agg(case when u.expression like '%::text collate "C"' then quote_literal(p_key[u.i])
    else format('%L::%s', p_key[u.i], p_table.key_types[u.i]) end, ', ' order by u.i)
  from unnest(tandem.copy_order(p_table, 't')) with ordinality u (expression, i)
$$;


--
-- Name: FUNCTION copy_values(p_table tandem.tracked_table, p_key text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.copy_values(p_table tandem.tracked_table, p_key text[]) IS 'A key as literals for a range.';


--
-- Name: count_of(integer[], text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.count_of(p_tables integer[], p_condition text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
begin
  return (
    select string_agg(format('(select %s from (select %s from tandem_log.%I where %s order by xid limit $2 + 1) x)', x.sum, x.n, x.name, p_condition), ' + ')
    from tandem.tracked_table t cross join lateral (values ('count(*)', '', t.log_name), ('coalesce(sum(x.rows), 0)', 'rows', t.blocks_name)) x (sum, n, name)
    where t.table_id = any (p_tables) and x.name is not null);
end $_$;


--
-- Name: FUNCTION count_of(p_tables integer[], p_condition text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.count_of(p_tables integer[], p_condition text) IS 'How many entries of some logs there are.';


--
-- Name: counted(integer[], text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.counted(p_tables integer[], p_condition text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
begin
  return (
    select string_agg(format('(select xid, %s as n from tandem_log.%I where %s order by xid limit $2 + 1)', x.n, x.name, p_condition), ' union all ')
    from tandem.tracked_table t cross join lateral (values ('1', t.log_name), ('rows', t.blocks_name)) x (n, name)
    where t.table_id = any (p_tables) and x.name is not null);
end $_$;


--
-- Name: FUNCTION counted(p_tables integer[], p_condition text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.counted(p_tables integer[], p_condition text) IS 'Query of the oldest entries of some logs.';


--
-- Name: date_kept(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.date_kept(p_plan jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $_$
begin
  execute format('update %1$s s set stamp = tandem.after(tandem.log_begin()), origin = (select o.name from tandem.local_node o)
    where s.present and s.stamp <= tandem.log_begin() and not exists (select from %2$s t where %3$s) and not exists (select from %4$s l where %5$s)',
    p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_plan ->> 'entries', p_plan ->> 'key_is_entry');
end $_$;


--
-- Name: FUNCTION date_kept(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.date_kept(p_plan jsonb) IS 'Dates rows that are kept though they may have been deleted.';


--
-- Name: date_waiting(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.date_waiting(p_peer_id integer) RETURNS void
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_count integer;
begin
  for t in select * from tandem.tracked_table x where exists (select from tandem.outbound_parked k
      where k.peer_id = p_peer_id and (k.schema_name, k.table_name) = (x.schema_name, x.table_name) and k.key <> '{}') order by x.table_id loop
    v_count := cardinality(t.key_columns);
    perform tandem.write_out(t.table_id);
    execute tandem.capture_insert(t, (select name from tandem.local_node), '$1', 'U', tandem.key_names('o', v_count),
      format('from (select %s from %I.%I t join tandem.outbound_parked k on k.peer_id = $2 and %s) o where not exists (select from tandem_log.%I l where %s)',
        (select string_agg(format('t.%I as k%s', u.name, u.i), ', ' order by u.i) from unnest(t.key_columns) with ordinality u (name, i)),
        t.schema_name, t.table_name, tandem.same_parked_key(t, 'k', tandem.columns('t', t.key_columns)),
        t.entries_name, tandem.all_equal(t.key_operators, tandem.key_names('l', v_count), tandem.key_names('o', v_count))))
    using tandem.after(tandem.log_begin()), p_peer_id;
  end loop;
end $_$;


--
-- Name: FUNCTION date_waiting(p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.date_waiting(p_peer_id integer) IS 'Gives entries to rows that wait at a peer that came back.';


--
-- Name: decide(jsonb, pg_snapshot, timestamp with time zone, boolean, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.decide(p_plan jsonb, p_known pg_snapshot, p_horizon timestamp with time zone, p_copy boolean, p_source text) RETURNS void
    LANGUAGE plpgsql
    AS $_$
declare
  v_plan jsonb := p_plan;
begin
  if p_copy and p_plan ->> 'rejoin' = 'survivor' and p_plan ->> 'missing' = 'keep' then
    perform tandem.date_kept(p_plan);
  end if;
  -- Looked for once more: what was committed before this is not found by tandem.changed_meanwhile.
  if (p_plan ->> 'fresh')::boolean and tandem.none_here(p_plan) then
    v_plan := v_plan || '{"key_is_entry": "false", "key_is_row": "false"}';
    if not p_plan ? 'rejoin' and (p_plan ->> 'sound')::boolean
      and not exists (select from tandem.verdict v where v.peer_id = (p_plan ->> 'peer')::integer and v.table_id = (p_plan ->> 'id')::integer)
    then
      return;
    end if;
  elsif (p_plan ->> 'ahead')::boolean then
    if p_plan ->> 'same' <> '0' then
      execute format('insert into tandem.verdict (peer_id, table_id, n, verdict) select %s, %s, s.n, ''adopt'' from %s s join %s t on %s where %s on conflict do nothing',
        p_plan ->> 'peer', p_plan ->> 'id', p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_plan ->> 'image_is_row');
    end if;
    return;
  elsif (p_plan ->> 'whole')::boolean and tandem.has_blocks((p_plan ->> 'id')::integer) then
    raise exception 'rows were written while a batch was about to be applied' using errcode = 'TD013';
  end if;
  execute format($sql$
    insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason, sqlstate, local_stamp, local_origin)
    select %1$s, %2$s, x.n, x.verdict,
      case when x.verdict = 'park' then case when x.unplaced is not null then 'unplaced' when x.ahead then 'ahead' else 'refused' end
        else concat(case x.local_op when 'I' then 'insert' when 'D' then 'delete' else 'update' end, '/',
          case x.op when 'I' then 'insert' when 'D' then 'delete' else 'update' end) end,
      case when x.unplaced is not null then 'columns that this node lacks hold values: ' || x.unplaced
        when x.ahead then 'its stamp lies further in the future than max_skew allows'
        when x.verdict = 'keep' then 'assumed'
        when x.misfit is not null then x.misfit
        when x.too_long is not null then 'values are too long for these columns: ' || x.too_long end,
      case when x.verdict = 'park' and x.unplaced is null and not x.ahead then coalesce(x.misfit_state, '22001') end,
      x.local_stamp, x.local_origin
    from (%3$s where c.n not in (select b.n from tandem.verdict b where b.peer_id = %1$s and b.table_id = %2$s)) x
    where x.verdict <> 'apply'
  $sql$,
    p_plan ->> 'peer', p_plan ->> 'id',
    tandem.verdict_query(v_plan, p_plan ->> 'stage', format('%L::pg_snapshot', p_known), format('%L::timestamptz', p_horizon),
      format('%L::integer[]', tandem.heard_elsewhere((p_plan ->> 'peer')::integer)), p_copy, p_source));
end $_$;


--
-- Name: FUNCTION decide(p_plan jsonb, p_known pg_snapshot, p_horizon timestamp with time zone, p_copy boolean, p_source text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.decide(p_plan jsonb, p_known pg_snapshot, p_horizon timestamp with time zone, p_copy boolean, p_source text) IS 'Decides which staged rows are written.';


--
-- Name: deferrable_duplicates(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.deferrable_duplicates(p_plan jsonb, p_where text) RETURNS TABLE(n bigint, reason text, sqlstate text)
    LANGUAGE plpgsql
    AS $_$
declare
  u record;
begin
  for u in
    select c.conname, case c.contype when 'x' then '23P01' else '23505' end as state,
      string_agg(format('%s as x%s', pg_get_indexdef(i.indexrelid, g.g, true), g.g), ', ' order by g.g) as parts,
      tandem.same_by_index(i.indexrelid, 'v.x', 'o.x') as same,
      coalesce(pg_get_expr(i.indpred, i.indrelid), 'true') as predicate
    from tandem.tracked_table t
    join pg_constraint c on c.conrelid = t.relid and c.contype in ('u', 'p', 'x') and c.condeferrable
    join pg_index i on i.indexrelid = c.conindid
    cross join lateral generate_series(1, i.indnkeyatts) g
    where t.table_id = (p_plan ->> 'id')::integer
    group by c.conname, c.contype, i.indexrelid, i.indpred, i.indrelid
  loop
    return query execute format('select s.n, %1$L::text, %2$L::text from %3$s s join %4$s t on %5$s cross join lateral (select %6$s from (select t.*) q where %7$s) v
      where (%8$s) and s.present and %9$s
        and exists (select from (select q.tableoid as in_table, q.ctid as at, %6$s from %4$s q where %7$s) o where (o.in_table, o.at) <> (t.tableoid, t.ctid) and %10$s)',
      format(case u.state when '23505' then 'another row has the same value (%s)' else 'another row excludes it (%s)' end, u.conname), u.state,
      p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', u.parts, u.predicate, p_where, tandem.applies(p_plan), u.same);
  end loop;
end $_$;


--
-- Name: FUNCTION deferrable_duplicates(p_plan jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.deferrable_duplicates(p_plan jsonb, p_where text) IS 'Staged rows that break a deferrable constraint.';


--
-- Name: delete_again(tandem.tracked_table, text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.delete_again(p_table tandem.tracked_table, p_key text[]) RETURNS boolean
    LANGUAGE plpgsql
    AS $_$
declare
  v_row text := format('%I.%I t where %s', p_table.schema_name, p_table.table_name, tandem.all_equal(p_table.key_operators,
    tandem.columns('t', p_table.key_columns), array(select format('$1[%s]::%s', u.i, u.type) from unnest(p_table.key_types) with ordinality u (type, i) order by u.i)));
  v_there boolean;
begin
  execute format('select exists (select from %s)', v_row) into v_there using p_key;
  if not v_there then
    return false;
  end if;
  execute format('delete from %s', v_row) using p_key;
  execute format('select exists (select from %s)', v_row) into v_there using p_key;
  if v_there then
    raise exception 'a BEFORE trigger let the row stay';
  end if;
  return true;
end $_$;


--
-- Name: FUNCTION delete_again(p_table tandem.tracked_table, p_key text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.delete_again(p_table tandem.tracked_table, p_key text[]) IS 'Carries out a deletion that lost a conflict.';


--
-- Name: deletion_tree(jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.deletion_tree(p_plan jsonb, p_plans jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
declare
  f record;
  v_first text[] := '{}';
  v_deeper text[] := '{}';
  v_todo integer[] := '{}';
  v_seen integer[] := '{}';
  v_id integer;
  v_row text := 'select %s, %s::integer as child_id, c.tableoid as rel, c.ctid::text as tid, %L::text as action, %L::text as name, %s as blocked, %s as waits from ';
begin
  for f in select r.*, tandem.action_blocked(r.child_oid, r.name, r.action) as blocked from tandem.plan_references(p_plan) r loop
    v_first := v_first || (format(v_row, 's.n', coalesce(f.child_id, -1), f.action, f.name, f.blocked, tandem.row_waits(p_plans, f.child_id, 'c', f.blocked || ' or not v.crossed'))
      || format('%s s join %s t on %s join %s c on %s where not s.present and %s and %s', p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row',
        f.child, f.child_is_t, tandem.applies(p_plan), tandem.child_not_written(p_plans, f.child_id)));
    if f.action = 'c' and f.child_id is not null then
      v_todo := v_todo || f.child_id;
    end if;
  end loop;
  while cardinality(v_todo) > 0 loop
    v_id := v_todo[1];
    v_todo := v_todo[2:];
    continue when v_id = any (v_seen);
    v_seen := v_seen || v_id;
    for f in
      select r.*, p.relid::regclass::text as parent, tandem.action_blocked(r.child_oid, r.name, r.action::text) as blocked
      from tandem.references_to(v_id) r join tandem.tracked_table p on p.table_id = v_id
    loop
      v_deeper := v_deeper || (format(v_row, 'g.n', coalesce(f.child_id, -1), f.action, f.name, f.blocked, tandem.row_waits(p_plans, f.child_id, 'c', f.blocked || ' or not v.crossed'))
        || format('%s t join %s c on %s where g.child_id = %s and g.action = ''c'' and t.tableoid = g.rel and t.ctid = g.tid::tid and (c.tableoid, c.ctid) <> (t.tableoid, t.ctid) and %s',
          f.parent, f.child, f.child_is_t, v_id, tandem.child_not_written(p_plans, f.child_id)));
      if f.action = 'c' and f.child_id is not null then
        v_todo := v_todo || f.child_id;
      end if;
    end loop;
  end loop;
  if cardinality(v_deeper) = 0 then
    return array_to_string(v_first, ' union all ');
  end if;
  return format('with recursive reached as (select * from (%s) b union select x.* from reached g cross join lateral (%s) x) select * from reached',
    array_to_string(v_first, ' union all '), array_to_string(v_deeper, ' union all '));
end $$;


--
-- Name: FUNCTION deletion_tree(p_plan jsonb, p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.deletion_tree(p_plan jsonb, p_plans jsonb) IS 'Query for the rows that deletions would touch by foreign keys.';


--
-- Name: describe_tables(integer[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.describe_tables(p_tables integer[] DEFAULT NULL::integer[]) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    with described as materialized (
      select t.*, c.oid, c.reltuples from tandem.tracked_table t
      left join (select c.oid, c.relname, c.reltuples, n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace) c
        on c.oid = t.relid and (c.nspname, c.relname) = (t.schema_name, t.table_name)
      where p_tables is null or t.table_id = any (p_tables)),
    -- Each type once: many columns share a few.
    types as materialized (
      select d.atttypid, d.atttypmod, format_type(d.atttypid, d.atttypmod) as name, tandem.value_class(d.atttypid, d.atttypmod) as class
      from (select distinct a.atttypid, a.atttypmod from pg_attribute a join described t on a.attrelid = t.oid
        where a.attnum > 0 and not a.attisdropped) d)
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', t.table_id, 'schema', t.schema_name, 'name', t.table_name, 'relation', format('%I.%I', t.schema_name, t.table_name),
      'exists', t.oid is not null, 'key', to_jsonb(t.key_columns), 'keyTypes', to_jsonb(t.key_types),
      'estimate', greatest(t.reltuples, 0)::bigint, 'exactKey', coalesce((select to_jsonb(array_agg(a.attname)) from pg_attribute a
        where a.attrelid = t.oid and a.attname = any (t.key_columns) and tandem.equal_is_identical(a.atttypid, a.attcollation)), '[]'::jsonb),
      'columns', coalesce((select jsonb_agg(jsonb_build_object('name', a.attname, 'type', y.name, 'valueClass', y.class,
          'generated', a.attgenerated <> '') order by a.attnum)
        from pg_attribute a join types y using (atttypid, atttypmod) where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped), '[]'::jsonb),
      'mark', tandem.columns_mark(t.relid), 'vanished', t.vanished)
      order by t.schema_name collate "C", t.table_name collate "C"), '[]'::jsonb)
    from described t);
end $$;


--
-- Name: FUNCTION describe_tables(p_tables integer[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.describe_tables(p_tables integer[]) IS 'Columns and keys of tracked tables.';


--
-- Name: differs(text, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.differs(p_base text, p_one text, p_other text) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select case when y.typtype in ('e', 'r', 'm', 'c') or y.typcategory = 'A' or exists (select from pg_operator o
      where o.oprname = '=' and o.oprnamespace = 'pg_catalog'::regnamespace and o.oprleft = o.oprright and (o.oprleft = y.oid or exists (select from pg_cast b
        where b.castsource = y.oid and b.casttarget = o.oprleft and b.castmethod = 'b' and b.castcontext = 'i')))
    then format('%1$s::%3$s is distinct from %2$s::%3$s', p_one, p_other, p_base)
    else format('%s is distinct from %s', tandem.text_of(format('%s::%s', p_one, p_base)), tandem.text_of(format('%s::%s', p_other, p_base))) end
  from pg_type y where y.oid = p_base::regtype
$_$;


--
-- Name: FUNCTION differs(p_base text, p_one text, p_other text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.differs(p_base text, p_one text, p_other text) IS 'Condition that two values are distinct.';


--
-- Name: displace(jsonb, jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.displace(p_plan jsonb, p_plans jsonb, p_where text) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_query text;
  v_pairs text;
  v_count bigint;
  v_total bigint := 0;
begin
  if not coalesce((p_plan ->> 'displaces')::boolean, false) then
    return 0;
  end if;
  select * into strict t from tandem.tracked_table where table_id = (p_plan ->> 'id')::integer;
  for v_query in select * from tandem.claims(p_plan, p_plans) loop
    v_pairs := format('select distinct on (x.local_key) x.* , s.stamp as incoming_stamp, s.origin as incoming_origin, s.n as staged_n from (%s) x join %s s on s.n = x.n where x.newer and (%s) order by x.local_key, s.stamp desc, s.origin desc',
      v_query, p_plan ->> 'stage', p_where);
    execute format($sql$
      with x as materialized (%1$s),
      kept as (
        insert into tandem.conflict (peer_id, schema_name, table_name, key, kind, rule, winner, local_stamp, local_origin,
          incoming_stamp, incoming_origin, local_columns, local_values, incoming_columns, incoming_values)
        select %2$s, %3$L, %4$L, x.local_key, 'unique', 'unique index ' || x.index_name || ', newest', 'incoming', x.local_stamp, x.local_origin,
          x.incoming_stamp, x.incoming_origin, %5$L::text[], %6$s, %7$L::text[], %8$s
        from x join %9$s t on array[%10$s] = x.local_key join %11$s s on s.n = x.staged_n
        on conflict do nothing),
      gone as (
        delete from %9$s t using x where array[%10$s] = x.local_key returning %12$s, x.local_stamp, x.local_origin)
      insert into tandem_log.%13$I (xid, stamp, op, origin, %14$s)
      select pg_current_xact_id(), g.local_stamp + interval '1 microsecond', 'D', g.local_origin, %15$s from gone g
    $sql$,
      v_pairs, p_plan ->> 'peer', t.schema_name, t.table_name,
      array(select jsonb_array_elements_text(p_plan -> 'local_columns')), p_plan ->> 'local_values',
      array(select jsonb_array_elements_text(p_plan -> 'incoming_columns')), p_plan ->> 'incoming_values',
      p_plan ->> 'relation', (select string_agg(c || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) c), p_plan ->> 'stage',
      (select string_agg(format('t.%I as k%s', u.name, u.i), ', ' order by u.i) from unnest(t.key_columns) with ordinality u (name, i)),
      t.log_name, p_plan ->> 'log_keys', array_to_string(tandem.key_names('g', cardinality(t.key_columns)), ', '));
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  return v_total;
end $_$;


--
-- Name: FUNCTION displace(p_plan jsonb, p_plans jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.displace(p_plan jsonb, p_plans jsonb, p_where text) IS 'Removes rows that newer incoming ones displace.';


--
-- Name: drop_own_table(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.drop_own_table(p_table text) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform tandem.untrack_table('tandem', p_table);
  execute format('drop table if exists tandem.%I', p_table);
  delete from tandem.inbound_table where (schema_name, table_name) = ('tandem', p_table);
  delete from tandem.outbound_held where (schema_name, table_name) = ('tandem', p_table);
  delete from tandem.outbound_parked where (schema_name, table_name) = ('tandem', p_table);
  delete from tandem.parked_change where (schema_name, table_name) = ('tandem', p_table);
  delete from tandem.dropped_change where (schema_name, table_name) = ('tandem', p_table);
  delete from tandem.conflict where (schema_name, table_name) = ('tandem', p_table);
end $$;


--
-- Name: FUNCTION drop_own_table(p_table text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.drop_own_table(p_table text) IS 'Takes away a table of Tandem''s own.';


--
-- Name: drop_parked(bigint, text, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.drop_parked(p_parked_id bigint, p_reason text, p_image jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  c tandem.parked_change;
begin
  perform 1 from tandem.inbound i join tandem.parked_change p using (peer_id) where p.parked_id = p_parked_id for no key update of i;
  delete from tandem.parked_change where parked_id = p_parked_id returning * into c;
  if not found then
    raise exception 'there is no parked change %', p_parked_id using errcode = 'TD020';
  end if;
  delete from tandem.staged where peer_id = c.peer_id;
  update tandem.dropped_change d set settled_at = clock_timestamp()
  where d.settled_at is null and (d.peer_id, d.schema_name, d.table_name, d.key) = (c.peer_id, c.schema_name, c.table_name, c.key);
  insert into tandem.dropped_change (parked_id, peer_id, schema_name, table_name, key, kind, refusal, sqlstate, stamp, origin, parked_at, attempts, reason, columns, image)
  select c.parked_id, c.peer_id, c.schema_name, c.table_name, c.key, c.kind, c.reason, c.sqlstate, c.stamp, c.origin, c.parked_at, c.attempts, p_reason,
    case when p_image is not null then array(select jsonb_array_elements_text(p_image -> 'columns')) end,
    case when p_image is not null then array(select jsonb_array_elements_text(p_image -> 'values')) end;
  if c.kind <> 'ahead' then
    perform tandem.raise_floor(c.peer_id, c.stamp);
  end if;
end $$;


--
-- Name: FUNCTION drop_parked(p_parked_id bigint, p_reason text, p_image jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.drop_parked(p_parked_id bigint, p_reason text, p_image jsonb) IS 'Gives a parked change up.';


--
-- Name: drop_small(integer, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.drop_small(p_peer_id integer, p_schema text, p_table text) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  execute format('drop function if exists tandem_log.%I(text, text[], pg_snapshot, timestamptz, integer[], pg_snapshot)', tandem.small_name(p_peer_id, p_schema, p_table));
  execute format('drop function if exists tandem_log.%I(xid8, xid8[], bigint)', tandem.reader_name(p_peer_id, p_schema, p_table));
end $$;


--
-- Name: FUNCTION drop_small(p_peer_id integer, p_schema text, p_table text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.drop_small(p_peer_id integer, p_schema text, p_table text) IS 'Drops what small batches of a link and table go by.';


--
-- Name: dropped_open(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.dropped_open() RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  d tandem.dropped_change;
  t tandem.tracked_table;
  v_changed boolean;
begin
  for d in select * from tandem.dropped_change x where x.settled_at is null loop
    select * into t from tandem.tracked_table x where (x.schema_name, x.table_name) = (d.schema_name, d.table_name);
    continue when not found or cardinality(t.key_columns) <> cardinality(d.key);
    execute format('select exists (select from tandem_log.%I l where %s and (l.stamp, l.origin) >= ($2, $3))', t.entries_name,
      tandem.all_equal(t.key_operators, tandem.key_names('l', cardinality(t.key_columns)),
        array(select format('$1[%s]::%s', u.i, u.type) from unnest(t.key_types) with ordinality u (type, i) order by u.i)))
    into v_changed using d.key, coalesce(d.stamp, '-infinity'), coalesce(d.origin, '');
    if not v_changed then
      return next d.dropped_id;
    end if;
  end loop;
end $_$;


--
-- Name: FUNCTION dropped_open(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.dropped_open() IS 'Dropped changes whose rows have not changed since.';


--
-- Name: end_stalled(interval); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.end_stalled(p_silent interval) RETURNS integer
    LANGUAGE plpgsql
    AS $$
declare
  v_pid integer;
  v_count integer := 0;
begin
  for v_pid in
    select l.pid from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.classid = tandem.link_lock() and l.objsubid = 2
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and (a.state like 'idle in transaction%' or a.wait_event_type = 'Client') and a.state_change < clock_timestamp() - p_silent
  loop
    begin
      perform pg_terminate_backend(v_pid);
      v_count := v_count + 1;
    exception when insufficient_privilege then
      null;
    end;
  end loop;
  return v_count;
end $$;


--
-- Name: FUNCTION end_stalled(p_silent interval); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.end_stalled(p_silent interval) IS 'Ends sessions that hold a link for a client that is gone.';


--
-- Name: entries_apart(tandem.tracked_table, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.entries_apart(p_table tandem.tracked_table, p_condition text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_count integer := cardinality(p_table.key_columns);
begin
  if not tandem.has_blocks(p_table.table_id) then
    return format('select l.xid, l.stamp, %1$s, l.received_from, l.op, l.origin from tandem_log.%2$I l where %3$s order by %1$s',
      array_to_string(tandem.key_names('l', v_count), ', '), p_table.log_name, p_condition);
  end if;
  return format('select b.xid, coalesce(u.stamp, b.stamp) as stamp, %1$s, b.received_from, b.op, b.origin from (select l.* from tandem_log.%2$I l where %4$s order by l.least) b
      cross join lateral unnest(b.stamps, %3$s) u (stamp, %5$s)
    union all select l.xid, l.stamp, %6$s, l.received_from, l.op, l.origin from tandem_log.%7$I l where %4$s',
    array_to_string(tandem.key_names('u', v_count), ', '), p_table.blocks_name, array_to_string(tandem.key_names('b', v_count), ', '), p_condition,
    array_to_string(array(select 'k' || i from generate_series(1, v_count) i), ', '), array_to_string(tandem.key_names('l', v_count), ', '), p_table.log_name);
end $_$;


--
-- Name: FUNCTION entries_apart(p_table tandem.tracked_table, p_condition text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.entries_apart(p_table tandem.tracked_table, p_condition text) IS 'Query of entries no two of which are of one key.';


--
-- Name: entries_for(pg_snapshot, integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.entries_for(p_from pg_snapshot, p_peer_id integer) RETURNS TABLE(table_id integer, sent boolean)
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  t tandem.tracked_table;
  v_log text;
  v_sent text := tandem.sent_to(p_peer_id);
begin
  for t in select x.* from tandem.tables_with_entries(p_from) i (id) join tandem.tracked_table x on x.table_id = i.id order by i.id loop
    sent := false;
    foreach v_log in array array_remove(array[t.log_name, t.blocks_name], null) loop
      continue when sent;
      execute format('select (select xid from tandem_log.%1$I l where xid >= $1 and %2$s order by xid limit 1) is not null
          or cardinality($2) > 0 and (select xid from tandem_log.%1$I l where xid = any ($2) and %2$s order by xid limit 1) is not null', v_log, v_sent)
      into sent using pg_snapshot_xmax(p_from), array(select pg_snapshot_xip(p_from));
    end loop;
    table_id := t.table_id;
    return next;
  end loop;
end $_$;


--
-- Name: FUNCTION entries_for(p_from pg_snapshot, p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.entries_for(p_from pg_snapshot, p_peer_id integer) IS 'Tables with entries after a position, and whether a peer is sent any.';


--
-- Name: equal_is_identical(oid, oid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.equal_is_identical(p_type oid, p_collation oid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select (tandem.base_type(p_type) in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'uuid'::regtype, 'bool'::regtype, 'bytea'::regtype,
        'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'oid'::regtype, '"char"'::regtype, 'time'::regtype)
      or (tandem.base_type(p_type) in ('text'::regtype, 'varchar'::regtype, 'name'::regtype)
        and coalesce((select c.collisdeterministic from pg_collation c where c.oid = p_collation), true))
      or exists (select from pg_type t where t.oid = tandem.base_type(p_type) and t.typtype = 'e')));
end $$;


--
-- Name: FUNCTION equal_is_identical(p_type oid, p_collation oid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.equal_is_identical(p_type oid, p_collation oid) IS 'Whether equal values are the same bytes.';


--
-- Name: fits_blocks(oid, text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.fits_blocks(p_relid oid, p_key_columns text[]) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  select bool_and(t.typtype in ('b', 'e', 'r') and t.typcategory <> 'A' and t.typarray <> 0)
  from pg_attribute a join pg_type t on t.oid = tandem.base_type(a.atttypid)
  where a.attrelid = p_relid and a.attname = any (p_key_columns) and not a.attisdropped
$$;


--
-- Name: FUNCTION fits_blocks(p_relid oid, p_key_columns text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.fits_blocks(p_relid oid, p_key_columns text[]) IS 'Whether keys can be in a block.';


--
-- Name: floor_us(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.floor_us() RETURNS bigint
    LANGUAGE sql
    AS $$select greatest(0, pg_catalog.pg_sequence_last_value('tandem.block_floor'::regclass), pg_catalog.pg_sequence_last_value('tandem_log."floor external"'::regclass))$$;


--
-- Name: FUNCTION floor_us(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.floor_us() IS 'The greatest of the floors, in microseconds since 1970.';


--
-- Name: flows_freely(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.flows_freely(p_peer_id integer) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return not exists (select from tandem.paused_link l where l.peer_id = p_peer_id)
    and not exists (select from tandem.parked_change c where c.peer_id = p_peer_id)
    and not exists (select from tandem.inbound_table b where b.peer_id = p_peer_id and b.state <> 'flow');
end $$;


--
-- Name: FUNCTION flows_freely(p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.flows_freely(p_peer_id integer) IS 'Whether nothing of a link rests or waits.';


--
-- Name: follow_key(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.follow_key(p_table_id integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION follow_key(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.follow_key(p_table_id integer) IS 'Follows a key whose columns were renamed or got other types.';


--
-- Name: foreign_keys(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.foreign_keys(p_table_id integer) RETURNS TABLE(name text, parent_oid oid, parent text, parent_is_t text, t_not_null text, t_columns text)
    LANGUAGE sql STABLE
    AS $$
  select c.conname::text, c.confrelid, c.confrelid::regclass::text,
    string_agg(format('p.%I operator(%I.%s) t.%I', pa.attname, n.nspname, o.oprname, ta.attname), ' and ' order by k.i),
    string_agg(format('t.%I is distinct from null', ta.attname), ' and ' order by k.i),
    string_agg(format('t.%I', ta.attname), ', ' order by k.i)
  from tandem.tracked_table t
  join pg_constraint c on c.conrelid = t.relid and c.contype = 'f' and tandem.is_enforced(to_jsonb(c))
  cross join lateral unnest(c.conkey, c.confkey, c.conpfeqop) with ordinality k (child, parent, op, i)
  join pg_attribute ta on ta.attrelid = c.conrelid and ta.attnum = k.child
  join pg_attribute pa on pa.attrelid = c.confrelid and pa.attnum = k.parent
  join pg_operator o on o.oid = k.op
  join pg_namespace n on n.oid = o.oprnamespace
  where t.table_id = p_table_id and c.confrelid in (select p.oid from pg_class p where p.relkind in ('r', 'p') and not p.relispartition)
  group by c.oid, c.conname, c.confrelid
$$;


--
-- Name: FUNCTION foreign_keys(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.foreign_keys(p_table_id integer) IS 'Foreign keys of a tracked table.';


--
-- Name: forget_parked(text, text, text, text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.forget_parked(p_target text, p_schema text, p_table text, p_key text[]) RETURNS void
    LANGUAGE sql
    AS $$
  delete from tandem.outbound_parked k using tandem.peer p
  where p.peer_id = k.peer_id and p.name = p_target and (k.schema_name, k.table_name, k.key) = (p_schema, p_table, p_key)
$$;


--
-- Name: FUNCTION forget_parked(p_target text, p_schema text, p_table text, p_key text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.forget_parked(p_target text, p_schema text, p_table text, p_key text[]) IS 'Notes that a target waits for a key no longer.';


--
-- Name: forget_peer(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.forget_peer(p_peer_id integer) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
declare
  t record;
begin
  perform from tandem.inbound where peer_id = p_peer_id for update;
  perform from tandem.outbound where peer_id = p_peer_id for update;
  delete from tandem.staged where peer_id = p_peer_id;
  delete from tandem.verdict where peer_id = p_peer_id;
  delete from tandem.plan where peer_id = p_peer_id;
  delete from tandem.parked_change where peer_id = p_peer_id;
  delete from tandem.outbound_parked where peer_id = p_peer_id;
  delete from tandem.outbound_held where peer_id = p_peer_id;
  delete from tandem.inbound_table where peer_id = p_peer_id;
  delete from tandem.paused_link where peer_id = p_peer_id;
  delete from tandem.inbound where peer_id = p_peer_id;
  delete from tandem.outbound where peer_id = p_peer_id;
  update tandem.peer set configured = false, gone_at = clock_timestamp() where peer_id = p_peer_id and gone_at is null;
  for t in select schema_name, table_name from tandem.tracked_table order by table_id loop
    execute format('drop table if exists tandem_log.%I', tandem.stage_name(p_peer_id, t.schema_name, t.table_name));
    perform tandem.drop_small(p_peer_id, t.schema_name, t.table_name);
  end loop;
  return tandem.forward_received(p_peer_id);
end $$;


--
-- Name: FUNCTION forget_peer(p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.forget_peer(p_peer_id integer) IS 'Ends both links with a peer that is no more.';


--
-- Name: forward_received(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.forward_received(p_peer_id integer) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  t record;
  v_count bigint;
  v_total bigint := 0;
begin
  for t in select table_id, log_name from tandem.tracked_table order by table_id loop
    perform tandem.write_out(t.table_id);
    execute format('update tandem_log.%I set xid = pg_current_xact_id() where received_from = $1', t.log_name) using p_peer_id;
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  return v_total;
end $_$;


--
-- Name: FUNCTION forward_received(p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.forward_received(p_peer_id integer) IS 'Enters what was received from a peer anew, for everybody.';


--
-- Name: forwarded_by_other(integer, integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.forwarded_by_other(p_received_from integer, p_peer_id integer) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  select coalesce((select s.name = any (t.receives_from)
    from tandem.peer s, tandem.peer t where s.peer_id = p_received_from and s.gone_at is null and t.peer_id = p_peer_id), false)
$$;


--
-- Name: FUNCTION forwarded_by_other(p_received_from integer, p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.forwarded_by_other(p_received_from integer, p_peer_id integer) IS 'Whether a peer gets something from its source directly.';


--
-- Name: free_changelog_name(text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.free_changelog_name(p_schema text, p_table text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select case when not exists (select from tandem.tracked_table t where t.changelog_view = n.name and (t.schema_name, t.table_name) <> (p_schema, p_table))
    then n.name else tandem.object_name('', n.name, left(md5(format('%I.%I', p_schema, p_table)), 8)) end
  from tandem.changelog_view_name(p_schema, p_table) n (name)
$$;


--
-- Name: FUNCTION free_changelog_name(p_schema text, p_table text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.free_changelog_name(p_schema text, p_table text) IS 'Name of the view of a table''s change log that no other table has.';


--
-- Name: from_us(bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.from_us(p_us bigint) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$
  select timestamptz '1970-01-01 00:00:00+00' + p_us * interval '1 microsecond'
$$;


--
-- Name: FUNCTION from_us(p_us bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.from_us(p_us bigint) IS 'The stamp of so many microseconds since 1970.';


--
-- Name: generated_columns(oid, text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.generated_columns(p_relid oid, p_columns text[]) RETURNS TABLE(name text, expression text)
    LANGUAGE sql STABLE
    AS $$
  select a.attname::text, format('(%s)::%s', pg_get_expr(d.adbin, d.adrelid), format_type(a.atttypid, a.atttypmod))
    || case when a.attcollation <> 0 then format(' collate %s', a.attcollation::regcollation) else '' end
  from pg_attribute a
  join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attrelid = p_relid and a.attgenerated = 's' and not a.attisdropped and a.attname <> all (p_columns) and not exists (
    select from tandem.generated_from(p_relid, a.attnum) f join pg_attribute b on b.attrelid = p_relid and b.attnum = f.attnum where b.attname <> all (p_columns))
$$;


--
-- Name: FUNCTION generated_columns(p_relid oid, p_columns text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.generated_columns(p_relid oid, p_columns text[]) IS 'Generated columns that follow from others.';


--
-- Name: generated_from(oid, smallint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.generated_from(p_relid oid, p_attnum smallint) RETURNS TABLE(attnum smallint)
    LANGUAGE sql STABLE
    AS $$
  select p.refobjsubid::smallint from pg_depend p
  where ((p.classid, p.objid) = ('pg_attrdef'::regclass, (select d.oid from pg_attrdef d where d.adrelid = p_relid and d.adnum = p_attnum))
      or (p.classid, p.objid, p.objsubid) = ('pg_class'::regclass, p_relid, p_attnum))
    and p.refclassid = 'pg_class'::regclass and p.refobjid = p_relid and p.refobjsubid not in (0, p_attnum)
$$;


--
-- Name: FUNCTION generated_from(p_relid oid, p_attnum smallint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.generated_from(p_relid oid, p_attnum smallint) IS 'What a generated column follows from.';


--
-- Name: guard_condition(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.guard_condition() RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select '((COALESCE(current_setting(''tandem.applying''::text, true), ''''::text) IS DISTINCT FROM (pg_current_xact_id_if_assigned())::text) OR (pg_trigger_depth() > 0))'
$$;


--
-- Name: FUNCTION guard_condition(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.guard_condition() IS 'The condition that guards a trigger.';


--
-- Name: has_blocks(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.has_blocks(p_table_id integer) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_name text := (select t.blocks_name from tandem.tracked_table t where t.table_id = p_table_id);
  v_there boolean := false;
begin
  if v_name is not null and pg_relation_size(format('tandem_log.%I', v_name)) > 0 then
    execute format('select exists (select from tandem_log.%I)', v_name) into v_there;
  end if;
  return v_there;
end $$;


--
-- Name: FUNCTION has_blocks(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.has_blocks(p_table_id integer) IS 'Whether a table has blocks.';


--
-- Name: has_least(tandem.tracked_table); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.has_least(p_table tandem.tracked_table) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  select exists (
    select from pg_attribute a cross join lateral (select tandem.base_type(a.atttypid) as oid) b
    join pg_proc p on p.proname = 'min' and p.pronamespace = 'pg_catalog'::regnamespace
      and p.proargtypes[0] in (b.oid, case when b.oid = 'varchar'::regtype then 'text'::regtype end)
    where a.attrelid = p_table.relid and a.attname = p_table.key_columns[1] and not a.attisdropped)
$$;


--
-- Name: FUNCTION has_least(p_table tandem.tracked_table); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.has_least(p_table tandem.tracked_table) IS 'Whether the key''s first column knows a least value.';


--
-- Name: has_more(tandem.tracked_table); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.has_more(p_table tandem.tracked_table) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  -- Never null: else what stands behind an AND is looked at for each row.
  return format('coalesce(%s, false)', tandem.all_equal(p_table.key_operators, array(select 'n.last' || i from generate_series(1, cardinality(p_table.key_columns)) i),
    tandem.key_names('k', cardinality(p_table.key_columns))));
end $$;


--
-- Name: FUNCTION has_more(p_table tandem.tracked_table); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.has_more(p_table tandem.tracked_table) IS 'Condition that a key has more than one entry.';


--
-- Name: has_returned(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.has_returned(p_peer_id integer) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  select exists (select from tandem.inbound_table b where b.peer_id = p_peer_id and b.rejoin = 'survivor' and b.state in ('copy', 'catch_up'))
$$;


--
-- Name: FUNCTION has_returned(p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.has_returned(p_peer_id integer) IS 'Whether a peer came back and is still to be compared.';


--
-- Name: heard_elsewhere(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.heard_elsewhere(p_peer_id integer) RETURNS integer[]
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select coalesce(array_agg(s.peer_id order by s.peer_id), '{}') from tandem.peer s
    where s.peer_id <> p_peer_id and tandem.forwarded_by_other(s.peer_id, p_peer_id));
end $$;


--
-- Name: FUNCTION heard_elsewhere(p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.heard_elsewhere(p_peer_id integer) IS 'Whose changes a peer hears directly.';


--
-- Name: heed_writers(jsonb, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.heed_writers(p_plan jsonb, p_first boolean) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
declare
  v_claiming boolean := false;
begin
  if p_plan ->> 'claims' is not null then
    execute format('select exists (select from %s s left join %s t on %s where s.present and %s)',
      p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_plan ->> 'claims') into v_claiming;
    if v_claiming and not tandem.await_writers(p_plan, case when p_first then least(interval '700 milliseconds', 0.7 * current_setting('deadlock_timeout')::interval)
      else current_setting('lock_timeout')::interval end)
    then
      execute format('insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason)
        select %s, %s, s.n, ''park'', ''busy'', ''another session is writing to the table, perhaps the unique value that this row claims''
        from %s s left join %s t on %s where s.present and %s on conflict do nothing',
        p_plan ->> 'peer', p_plan ->> 'id', p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_plan ->> 'claims');
      v_claiming := false;
    end if;
  end if;
  return v_claiming;
end $$;


--
-- Name: FUNCTION heed_writers(p_plan jsonb, p_first boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.heed_writers(p_plan jsonb, p_first boolean) IS 'Whether rows claim values that nobody else may be writing.';


--
-- Name: history(text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.history(p_table text, p_key text) RETURNS TABLE(changed_at timestamp with time zone, op text, origin text, received_from text, synced boolean)
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  t tandem.tracked_table;
begin
  for t in
    select x.* from tandem.tracked_table x
    where p_table in (x.schema_name || '.' || x.table_name, format('%I.%I', x.schema_name, x.table_name)) or (x.schema_name = 'public' and x.table_name = p_table)
    order by x.table_id
  loop
    return query execute format('select l.stamp, l.op::text, l.origin, p.name, tandem.synced(l.xid, l.received_from)
      from tandem_log.%I l left join tandem.peer p on p.peer_id = l.received_from
      where tandem.key_text(array[%s]) = $1 order by l.stamp desc, l.origin desc',
      t.entries_name, (select string_agg(u || '::text', ', ') from unnest(tandem.key_names('l', cardinality(t.key_columns))) u))
    using p_key;
  end loop;
end $_$;


--
-- Name: FUNCTION history(p_table text, p_key text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.history(p_table text, p_key text) IS 'The entries of one row, newest first.';


--
-- Name: hold_lease(uuid, text, interval); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.hold_lease(p_holder uuid, p_label text, p_lasts interval) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  v_was uuid;
  v_now tandem.lease;
begin
  insert into tandem.lease (holder, label, taken_at, renewed_at, lasts)
  values (p_holder, p_label, clock_timestamp(), clock_timestamp(), p_lasts) on conflict do nothing;
  select holder into v_was from tandem.lease for no key update;
  update tandem.lease l set holder = p_holder, label = p_label, lasts = p_lasts, renewed_at = clock_timestamp(),
    taken_at = case when l.holder = p_holder then l.taken_at else clock_timestamp() end,
    awaited_at = case when l.holder = p_holder then l.awaited_at end
  where l.holder = p_holder or not tandem.lease_stands(l);
  update tandem.lease l set awaited_at = clock_timestamp() where l.holder <> p_holder;
  select * into v_now from tandem.lease;
  if v_now.holder = p_holder and v_was <> p_holder then
    perform tandem.end_stalled(p_lasts / 2);
  end if;
  return jsonb_build_object('held', v_now.holder = p_holder, 'label', v_now.label, 'taken_at', v_now.taken_at,
    'awaited', coalesce(clock_timestamp() - v_now.awaited_at < p_lasts, false));
end $$;


--
-- Name: FUNCTION hold_lease(p_holder uuid, p_label text, p_lasts interval); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.hold_lease(p_holder uuid, p_label text, p_lasts interval) IS 'Takes or renews the lease of this node''s links.';


--
-- Name: hurry_parked(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.hurry_parked(p_tables jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  if exists (select from tandem.parked_change c where c.kind = 'waits' and c.next_try_at > clock_timestamp()) then
    update tandem.parked_change c set next_try_at = clock_timestamp()
    where c.parked_id in (
      select w.parked_id from tandem.parked_change w
      join tandem.tracked_table t on (t.schema_name, t.table_name) = (w.schema_name, w.table_name)
      where w.kind = 'waits' and w.next_try_at > clock_timestamp() and t.table_id = any (tandem.related_tables(
        array(select e.key::integer from jsonb_each(p_tables) e where (e.value ->> 'applied')::bigint > 0)))
      order by w.tried_at limit 200);
  end if;
end $$;


--
-- Name: FUNCTION hurry_parked(p_tables jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.hurry_parked(p_tables jsonb) IS 'Lets rows that wait for others be tried again after a batch.';


--
-- Name: hush_wake(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.hush_wake() RETURNS void
    LANGUAGE sql
    AS $$
  select setval('tandem.wake_until', 0) where pg_sequence_last_value('tandem.wake_until') > 0
$$;


--
-- Name: FUNCTION hush_wake(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.hush_wake() IS 'Ends what tandem.ask_wake has asked for.';


--
-- Name: image(text[], text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.image(p_columns text[], p_values text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select string_agg(format('%I = %s', u.c, coalesce(quote_literal(u.v), 'null')), ', ' order by u.i)
  from unnest(p_columns, p_values) with ordinality u (c, v, i)
$$;


--
-- Name: FUNCTION image(p_columns text[], p_values text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.image(p_columns text[], p_values text[]) IS 'An image for people to read.';


--
-- Name: image_query(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.image_query(p_plan jsonb) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select format('select %s from (select ($1).*) o left join lateral (select true as staged, s.* from %s s where %s limit 1) s on true',
    (select string_agg(case when c.i is null then format('o.%I', a.attname)
        else format('case when s.staged then %s::%s else o.%I end as %I', c.value, format_type(a.atttypid, a.atttypmod), a.attname, a.attname) end, ', ' order by a.attnum)
     from pg_attribute a
     left join tandem.plan_columns(t.relid, array(select jsonb_array_elements_text(p_plan -> 'columns')), (p_plan ->> 'as_text')::boolean) c on c.name = a.attname
     where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped),
    p_plan ->> 'stage',
    tandem.all_equal(t.key_operators, tandem.key_names('s', cardinality(t.key_columns)), array(select format('($1).%I', u) from unnest(t.key_columns) u)))
  from tandem.tracked_table t where t.table_id = (p_plan ->> 'id')::integer
$_$;


--
-- Name: FUNCTION image_query(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.image_query(p_plan jsonb) IS 'The row being written as it was staged.';


--
-- Name: inbound_peer(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.inbound_peer(p_source text) RETURNS integer
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_peer integer;
begin
  select p.peer_id into v_peer from tandem.inbound i join tandem.peer p using (peer_id) where p.name = p_source and p.configured;
  if not found then
    raise exception 'this node has no link from node "%": run "tandem migrate"', p_source using errcode = 'TD001';
  end if;
  return v_peer;
end $$;


--
-- Name: FUNCTION inbound_peer(p_source text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.inbound_peer(p_source text) IS 'The peer of a link into this node.';


--
-- Name: inbound_state(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.inbound_state(p_source text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  v_state jsonb;
begin
  select jsonb_build_object('peer', p.peer_id, 'position', i.position::text, 'token', i.token,
    'known', (select count(*) from tandem.inbound_table b where b.peer_id = p.peer_id),
    'tables', (select coalesce(jsonb_agg(jsonb_build_object('schema', b.schema_name, 'name', b.table_name, 'state', b.state,
        'position', b.position::text, 'copiedTo', to_jsonb(b.copied_to), 'rowsCopied', b.rows_copied, 'reason', b.reason, 'rejoin', b.rejoin)
        order by b.schema_name, b.table_name), '[]')
      from tandem.inbound_table b where b.peer_id = p.peer_id and b.state <> 'flow'),
    'parked', tandem.parked_keys(p.peer_id, true), 'anyParked', exists (select from tandem.parked_change c where c.peer_id = p.peer_id), 'pausedBy', (select l.paused_by from tandem.paused_link l where l.peer_id = p.peer_id),
    'blocks', exists (select from tandem.tables_with_blocks()), 'clock', clock_timestamp())
  into v_state
  from tandem.inbound i join tandem.peer p using (peer_id)
  where p.name = p_source and p.configured;
  if not found then
    raise exception 'this node has no link from node "%": run "tandem migrate"', p_source using errcode = 'TD001';
  end if;
  return v_state;
end $$;


--
-- Name: FUNCTION inbound_state(p_source text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.inbound_state(p_source text) IS 'How far a link into this node has come.';


--
-- Name: index_stage(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.index_stage(p_plan jsonb, p_what text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_name text := tandem.object_name(p_what || ' ' || (p_plan ->> 'peer') || ' ', p_plan ->> 'schema', p_plan ->> 'table');
begin
  if to_regclass(format('tandem_log.%I', v_name)) is null then
    execute format('create index %I on %s (%s)', v_name, p_plan ->> 'stage', case p_what when 'keys' then p_plan ->> 'log_keys' else 'n' end);
  end if;
end $$;


--
-- Name: FUNCTION index_stage(p_plan jsonb, p_what text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.index_stage(p_plan jsonb, p_what text) IS 'Indexes a staging table.';


--
-- Name: insert_missing(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.insert_missing(p_plan jsonb) RETURNS bigint[]
    LANGUAGE plpgsql
    AS $$
declare
  v_where text := format('s.present and %s and not exists (select from %s t where %s)', tandem.applies(p_plan), p_plan ->> 'relation', p_plan ->> 'key_is_row');
  v_rows bigint;
  v_expected bigint;
begin
  execute format('select count(*) from %s s where %s', p_plan ->> 'stage', v_where) into v_expected;
  execute format('insert into %s (%s) %s select %s from %s s where %s order by s.n on conflict (%s) do nothing',
    p_plan ->> 'relation', p_plan ->> 'insert_columns', p_plan ->> 'overriding', p_plan ->> 'insert_values', p_plan ->> 'stage', v_where, p_plan ->> 'key_columns');
  get diagnostics v_rows = row_count;
  return array[v_rows, v_expected];
end $$;


--
-- Name: FUNCTION insert_missing(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.insert_missing(p_plan jsonb) IS 'Inserts staged rows that are not here.';


--
-- Name: interleave_sequences(bigint, bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.interleave_sequences(p_residue bigint, p_modulus bigint) RETURNS integer
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION interleave_sequences(p_residue bigint, p_modulus bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.interleave_sequences(p_residue bigint, p_modulus bigint) IS 'Gives this node''s sequences a residue class of their own.';


--
-- Name: is_ahead(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.is_ahead(p_plan jsonb) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_ahead boolean := false;
begin
  if p_plan ->> 'policy' = 'newest' and not exists (select from tandem.plan_uniques(p_plan)) and not p_plan ? 'rejoin'
    and (p_plan ->> 'oldest')::timestamptz > timestamptz '0001-01-01 00:00:00+00' and p_plan ->> 'known' is not null
    and tandem.is_worth(p_plan ->> 'log', (p_plan ->> 'staged')::bigint)
  then
    execute (
      select 'select ' || string_agg(format('not exists (select from tandem_log.%I l where l.stamp >= $1 or l.received_from is distinct from $2
          and (not coalesce(pg_visible_in_snapshot(l.xid, $3), false) or l.received_from = any ($4)))', x.name), ' and ')
      from tandem.tracked_table t cross join unnest(array[t.log_name, t.blocks_name]) x (name)
      where t.table_id = (p_plan ->> 'id')::integer and x.name is not null)
    into v_ahead using (p_plan ->> 'oldest')::timestamptz, (p_plan ->> 'peer')::integer, (p_plan ->> 'known')::pg_snapshot,
      tandem.heard_elsewhere((p_plan ->> 'peer')::integer);
  end if;
  return v_ahead;
end $_$;


--
-- Name: FUNCTION is_ahead(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.is_ahead(p_plan jsonb) IS 'Whether a staged set is newer than all that is here.';


--
-- Name: is_enforced(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.is_enforced(p_constraint jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
  select coalesce((p_constraint ->> 'conenforced')::boolean, true)
$$;


--
-- Name: FUNCTION is_enforced(p_constraint jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.is_enforced(p_constraint jsonb) IS 'Whether a foreign key is enforced.';


--
-- Name: is_large(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.is_large(p_relation text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return pg_relation_size(p_relation) > 1048576;
end $$;


--
-- Name: FUNCTION is_large(p_relation text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.is_large(p_relation text) IS 'Whether looking at a table as a whole pays.';


--
-- Name: is_much_of(tandem.tracked_table, bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.is_much_of(p_table tandem.tracked_table, p_entries bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return p_table.key_types <@ '{smallint,integer,bigint,uuid}' and not tandem.has_blocks(p_table.table_id) and exists (
    select from pg_class c where c.oid = p_table.relid and c.relkind = 'r' and c.reltuples > 0 and c.relpages > 0
      and p_entries > c.reltuples * (pg_relation_size(c.oid) / current_setting('block_size')::integer) / c.relpages / 4);
end $$;


--
-- Name: FUNCTION is_much_of(p_table tandem.tracked_table, p_entries bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.is_much_of(p_table tandem.tracked_table, p_entries bigint) IS 'Whether entries are of many rows of a table.';


--
-- Name: is_worth(text, bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.is_worth(p_log text, p_rows bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return pg_relation_size(p_log) / 70 <= 10 * p_rows;   -- each entry takes 70 bytes or more
end $$;


--
-- Name: FUNCTION is_worth(p_log text, p_rows bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.is_worth(p_log text, p_rows bigint) IS 'Whether reading all of a log pays.';


--
-- Name: iso_text(timestamp with time zone); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.iso_text(p_instant timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select to_char(p_instant at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;


--
-- Name: FUNCTION iso_text(p_instant timestamp with time zone); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.iso_text(p_instant timestamp with time zone) IS 'An instant in ISO 8601.';


--
-- Name: join_in_order(boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.join_in_order(p_in_order boolean) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_before text[] := string_to_array(nullif(current_setting('tandem.joins', true), ''), ' ');
begin
  if p_in_order and v_before is null then
    perform set_config('tandem.joins', concat_ws(' ', current_setting('enable_nestloop'), current_setting('enable_hashjoin'), current_setting('enable_mergejoin')), true),
      set_config('enable_nestloop', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'on', true);
  elsif not p_in_order and v_before is not null then
    perform set_config('enable_nestloop', v_before[1], true), set_config('enable_hashjoin', v_before[2], true), set_config('enable_mergejoin', v_before[3], true),
      set_config('tandem.joins', '', true);
  end if;
end $$;


--
-- Name: FUNCTION join_in_order(p_in_order boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.join_in_order(p_in_order boolean) IS 'How the statements that follow are joined.';


--
-- Name: join_row(tandem.tracked_table, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.join_row(p_table tandem.tracked_table, p_alias text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return format('left join %I.%I t on %s', p_table.schema_name, p_table.table_name,
    tandem.all_equal(p_table.key_operators, tandem.columns('t', p_table.key_columns), tandem.key_names(p_alias, cardinality(p_table.key_columns))));
end $$;


--
-- Name: FUNCTION join_row(p_table tandem.tracked_table, p_alias text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.join_row(p_table tandem.tracked_table, p_alias text) IS 'Join of a key with its row.';


--
-- Name: keep_alerts(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.keep_alerts(p_alerts jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  lock table tandem.alert in share row exclusive mode;
  delete from tandem.alert;
  insert into tandem.alert select * from jsonb_populate_recordset(null::tandem.alert, p_alerts);
end $$;


--
-- Name: FUNCTION keep_alerts(p_alerts jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.keep_alerts(p_alerts jsonb) IS 'Keeps what people are told of.';


--
-- Name: keep_images(jsonb, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.keep_images(p_plan jsonb, p_rows text, p_kind text) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  k record;
  v_total bigint := 0;
begin
  for k in execute format('select g.child_id, g.name, g.rows, t.schema_name, t.table_name, t.key_columns, t.key_operators, t.entries_name, t.relid::regclass::text as relation,
      array(select a.attname::text from pg_attribute a where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped order by a.attnum) as columns
    from (select r.child_id, r.name, count(*) as rows from (%s) r where r.action not in (''a'', ''r'') group by 1, 2) g
    left join tandem.tracked_table t on t.table_id = g.child_id', p_rows)
  loop
    v_total := v_total + k.rows;
    continue when k.relation is null;
    if tandem.has_blocks(k.child_id) then
      raise exception 'blocks of % are to be written out before its rows change', k.relation using errcode = 'TD013';
    end if;
    execute format($sql$
      insert into tandem.conflict (peer_id, schema_name, table_name, key, kind, rule, winner, local_stamp, local_origin,
        incoming_stamp, incoming_origin, local_columns, local_values)
      select distinct on (x.key) %1$s, %2$L, %3$L, x.key, %15$L, %4$L, 'incoming', x.stamp, x.origin, x.parent_stamp, x.parent_origin, %5$L::text[], x.image
      from (
        select array[%6$s] as key, coalesce(l.stamp, '0001-01-01 00:00:00+00') as stamp, coalesce(l.origin, '') as origin,
          s.stamp as parent_stamp, s.origin as parent_origin, array[%7$s] as image
        from (%8$s) g join %9$s s on s.n = g.n join %10$s c on c.tableoid = g.rel and c.ctid = g.tid::tid
        left join lateral (select l.stamp, l.origin from tandem_log.%11$I l where %12$s order by l.stamp desc, l.origin desc limit 1) l on true
        where g.child_id = %13$s and g.name = %14$L) x
      on conflict do nothing
    $sql$, p_plan ->> 'peer', k.schema_name, k.table_name, 'foreign key ' || k.name, k.columns,
      (select string_agg(u || '::text', ', ') from unnest(tandem.columns('c', k.key_columns)) u),
      (select string_agg(tandem.text_of(u), ', ') from unnest(tandem.columns('c', k.columns)) u),
      p_rows, p_plan ->> 'stage', k.relation, k.entries_name,
      tandem.all_equal(k.key_operators, tandem.key_names('l', cardinality(k.key_columns)), tandem.columns('c', k.key_columns)),
      k.child_id, k.name, p_kind);
  end loop;
  return v_total;
end $_$;


--
-- Name: FUNCTION keep_images(p_plan jsonb, p_rows text, p_kind text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.keep_images(p_plan jsonb, p_rows text, p_kind text) IS 'Keeps the images of rows that a foreign key''s action changes.';


--
-- Name: keep_taken(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.keep_taken(p_plan jsonb, p_over text) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  v_columns text[] := array(select jsonb_array_elements_text(p_plan -> 'incoming_columns'));
  f record;
  v_count bigint;
  v_total bigint := 0;
begin
  for f in
    select r.name, r.child_is_t, r.child_columns, p.relid::regclass::text as parent
    from tandem.tracked_table p cross join lateral tandem.references_to(p.table_id) r
    where r.child_id = (p_plan ->> 'id')::integer and r.action not in ('a', 'r') and r.child_columns <@ v_columns
  loop
    -- the order takes the index whatever the planner believes of the log's size
    execute format($sql$
      with own as materialized (
        select distinct on (%1$s) l.* from (select * from %2$s l where l.xid >= pg_current_xact_id() order by l.xid) l
        where l.received_from is null and l.origin = %3$L order by %4$s)
      insert into tandem.conflict (peer_id, schema_name, table_name, key, kind, rule, winner, local_stamp, local_origin, incoming_stamp, incoming_origin,
        incoming_columns, incoming_values)
      select %5$s, %6$L, %7$L, %8$s, 'referring/delete', %9$L, 'local', l.stamp, l.origin, s.stamp, s.origin, %10$L::text[], %11$s
      from own l join %12$s s on %13$s cross join lateral (%14$s) c
      where s.present and %15$s and %16$s and %17$s and not exists (select from %18$s t where %19$s)
      on conflict do nothing
    $sql$, p_plan ->> 'log_keys', p_plan ->> 'entries', (select name from tandem.local_node), p_plan ->> 'newest_first',
      p_plan ->> 'peer', p_plan ->> 'schema', p_plan ->> 'table', p_plan ->> 'key_text', 'foreign key ' || f.name, v_columns, p_plan ->> 'incoming_values',
      p_plan ->> 'stage', p_plan ->> 'key_is_entry',
      tandem.staged_row((p_plan ->> 'id')::integer, array(select jsonb_array_elements_text(p_plan -> 'columns')), (p_plan ->> 'as_text')::boolean),
      tandem.applies(p_plan), p_over, (select string_agg(format('c.%I is distinct from null', u), ' and ') from unnest(f.child_columns) u), f.parent, f.child_is_t);
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  return v_total;
end $_$;


--
-- Name: FUNCTION keep_taken(p_plan jsonb, p_over text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.keep_taken(p_plan jsonb, p_over text) IS 'Keeps the images of written rows that a foreign key''s action took at once.';


--
-- Name: key_lists(tandem.tracked_table); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.key_lists(p_table tandem.tracked_table) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select string_agg(format(E'\n  %s %s;', x.name, regexp_replace(x.type, '( collate .*)?$', '[]\1')), '')
  from tandem.log_types(p_table.relid, p_table.key_columns) t (types)
  cross join lateral (select 'v_list' || u.i as name, u.type from unnest(t.types) with ordinality u (type, i)
    union all select u, t.types[1] from unnest('{v_leasts,v_mosts}'::text[]) u) x
  where p_table.blocks_name is not null
$_$;


--
-- Name: FUNCTION key_lists(p_table tandem.tracked_table); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.key_lists(p_table tandem.tracked_table) IS 'The lists of a capture function.';


--
-- Name: key_names(text, integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.key_names(p_alias text, p_count integer) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    AS $$
begin
  return (
    select array_agg(p_alias || '.k' || i order by i) from generate_series(1, p_count) i);
end $$;


--
-- Name: FUNCTION key_names(p_alias text, p_count integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.key_names(p_alias text, p_count integer) IS 'References to the key columns of a log or staging table.';


--
-- Name: key_rewriting(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.key_rewriting(p_plan jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
  select jsonb_build_object(
    'differs', format('not record_image_eq(row(%s), row(%s))', string_agg(format('t.%I::%s', c.name, c.base), ', ' order by c.i), string_agg(format('%s::%s', c.value, c.base), ', ' order by c.i)),
    'set', string_agg(format('%I = %s', c.name, c.value), ', ' order by c.i))
  from tandem.tracked_table t
  cross join lateral tandem.plan_columns(t.relid, array(select jsonb_array_elements_text(p_plan -> 'columns')), (p_plan ->> 'as_text')::boolean) c
  where t.table_id = (p_plan ->> 'id')::integer and c.name = any (t.key_columns) and c.identity <> 'a'
    and exists (select from tandem.references_to(t.table_id) r where r.to_key and r.update_action in ('r', 'n', 'd'))
  having count(*) > 0
$$;


--
-- Name: FUNCTION key_rewriting(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.key_rewriting(p_plan jsonb) IS 'How keys are written as the source has them.';


--
-- Name: key_text(text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.key_text(p_key text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select case cardinality(p_key) when 1 then p_key[1] else p_key::text end
$$;


--
-- Name: FUNCTION key_text(p_key text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.key_text(p_key text[]) IS 'A key for people to read.';


--
-- Name: keys_moved(tandem.tracked_table); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.keys_moved(p_table tandem.tracked_table) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select case when p_table.blocks_name is null or p_table.key_operators <> array_fill('operator(pg_catalog.=)'::text, array[cardinality(p_table.key_operators)]) then 'true'
    else format('case when v_listed then (select (%s) is distinct from (%s) from tandem_old o) else exists (select from (%s) o full join (%s) n using (block) where (%s) is distinct from (%s)) end',
      tandem.lists_of(p_table, 'o'), (select string_agg('v_list' || i, ', ') from generate_series(1, cardinality(p_table.key_columns)) i),
      x.pieces[1], x.pieces[2], array_to_string(tandem.key_names('o', cardinality(p_table.key_columns)), ', '), array_to_string(tandem.key_names('n', cardinality(p_table.key_columns)), ', ')) end
  from (select array_agg(format('select y.block, %s from (select %s, (row_number() over () - 1) / %s as block from %s r) y group by y.block',
      (select string_agg(format('array_agg(y.k%1$s) as k%1$s', i), ', ' order by i) from generate_series(1, cardinality(p_table.key_columns)) i),
      (select string_agg(format('r.%I as k%s', u.name, u.i), ', ' order by u.i) from unnest(p_table.key_columns) with ordinality u (name, i)),
      tandem.block_rows(), r) order by r desc) as pieces
    from unnest('{tandem_old,tandem_new}'::text[]) r) x
$_$;


--
-- Name: FUNCTION keys_moved(p_table tandem.tracked_table); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.keys_moved(p_table tandem.tracked_table) IS 'Condition that an update may have changed keys.';


--
-- Name: keys_of(text, text, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.keys_of(p_schema text, p_name text, p_keys jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
  select case when p_keys is null then '[]'::jsonb else jsonb_build_array(jsonb_build_object('schema', p_schema, 'name', p_name, 'keys', p_keys)) end
$$;


--
-- Name: FUNCTION keys_of(p_schema text, p_name text, p_keys jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.keys_of(p_schema text, p_name text, p_keys jsonb) IS 'One element of a closure.';


--
-- Name: keys_query(tandem.tracked_table, integer, text[], text[], text, boolean, text, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.keys_query(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[], p_vector text, p_asked boolean, p_keys text, p_look boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_first text := format('t.%I', p_table.key_columns[1]);
  v_count integer := cardinality(p_table.key_columns);
  v_newest text;
  v_more text := 'true';
begin
  if not p_look and tandem.has_blocks(p_table.table_id) then
    v_more := tandem.has_more(p_table);
    v_newest := format('left join (%s) n on %s %s',
      tandem.newest_entries(p_table, format('exists (select from (%s) e where %s)', p_keys, tandem.all_equal(p_table.key_operators, tandem.key_names('e', v_count), tandem.key_names('l', v_count)))),
      tandem.all_equal(p_table.key_operators, tandem.key_names('n', v_count), tandem.key_names('k', v_count)), tandem.join_row(p_table, 'k'));
  end if;
  return tandem.query_of(
    tandem.sent_columns(p_table, p_peer_id, p_columns, p_unplaced, p_vector,
      format('coalesce(n.stamp, case when %s is distinct from null then timestamptz ''0001-01-01 00:00:00+00'' end)', v_first),
      format('coalesce(n.origin, case when %s is distinct from null then '''' end)', v_first), p_asked, v_more, p_look),
    format('from (select %1$s, bool_or(e.named) as named from (%2$s) e group by %1$s order by %1$s) k %3$s where k.named or n.received_from is null or n.received_from <> all (%4$L::integer[]) or (n.op = ''D'') = (%5$s is distinct from null)%6$s',
      array_to_string(tandem.key_names('e', v_count), ', '), p_keys, coalesce(v_newest, tandem.newest_and_row(p_table, 'k', p_look)),
      tandem.not_forwarded(p_peer_id), v_first, case when tandem.has_returned(p_peer_id) then ' or n.op = ''D''' end));
end $_$;


--
-- Name: FUNCTION keys_query(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[], p_vector text, p_asked boolean, p_keys text, p_look boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.keys_query(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[], p_vector text, p_asked boolean, p_keys text, p_look boolean) IS 'The query of given keys in a batch.';


--
-- Name: keys_there(integer, integer, pg_snapshot, text[], bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.keys_there(p_peer_id integer, p_table_id integer, p_known pg_snapshot, p_after text[], p_rows bigint) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  t tandem.tracked_table;
  v_upto text[] := tandem.copy_bound(p_table_id, p_after, p_rows);
  v_keys jsonb;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  perform tandem.write_out(p_table_id);
  execute format('select jsonb_agg(to_jsonb(array[%s])) from %I.%I t
      left join lateral (select l.received_from, l.xid from tandem_log.%I l where %s order by %s, l.stamp desc, l.origin desc limit 1) n on true
      where %s and (n.xid is null or n.received_from = %s or (n.received_from is null and pg_visible_in_snapshot(n.xid, %L::pg_snapshot)))',
    (select string_agg(u || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) u), t.schema_name, t.table_name, t.entries_name,
    tandem.all_equal(t.key_operators, tandem.key_names('l', cardinality(t.key_columns)), tandem.columns('t', t.key_columns)),
    array_to_string(array(select u || ' desc' from unnest(tandem.key_names('l', cardinality(t.key_columns))) u), ', '),
    tandem.copy_range(t, p_after, v_upto), p_peer_id, p_known)
  into v_keys;
  return jsonb_build_object('keys', coalesce(v_keys, '[]'), 'upto', to_jsonb(v_upto));
end $$;


--
-- Name: FUNCTION keys_there(p_peer_id integer, p_table_id integer, p_known pg_snapshot, p_after text[], p_rows bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.keys_there(p_peer_id integer, p_table_id integer, p_known pg_snapshot, p_after text[], p_rows bigint) IS 'Keys that a peer must have.';


--
-- Name: known_versions_insert(jsonb, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.known_versions_insert(p_plan jsonb, p_rows text, p_where text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
begin
  return format('insert into %1$s (xid, stamp, %2$s, received_from, op, origin)
    select pg_current_xact_id(), k.stamp, %3$s, %4$s, ''U'', k.origin
    from %5$s s cross join lateral unnest(s.known_stamps, s.known_origins) k (stamp, origin)
    where %6$s and s.known_stamps is not null and (k.stamp, k.origin) < (s.stamp, s.origin)
      and not exists (select from %8$s l where %7$s and l.origin = k.origin and l.stamp >= k.stamp)',
    p_plan ->> 'log', p_plan ->> 'log_keys', p_plan ->> 'stage_keys', p_plan ->> 'peer', p_rows, p_where, p_plan ->> 'key_is_entry', p_plan ->> 'entries');
end $_$;


--
-- Name: FUNCTION known_versions_insert(p_plan jsonb, p_rows text, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.known_versions_insert(p_plan jsonb, p_rows text, p_where text) IS 'The statement that enters versions that a source knew of.';


--
-- Name: last_verification(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.last_verification() RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
  select jsonb_build_object('asOf', v.as_of, 'finishedAt', v.finished_at, 'nodes', v.nodes, 'identical', v.identical,
    'tables', v.tables, 'rows', v.rows, 'differing', v.differing, 'diverged', v.diverged)
  from tandem.verification v order by v.as_of desc, v.verification_id desc limit 1
$$;


--
-- Name: FUNCTION last_verification(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.last_verification() IS 'What the newest comparison of all nodes has shown.';


--
-- Name: lease; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.lease (
    only_row boolean DEFAULT true NOT NULL,
    holder uuid NOT NULL,
    label text NOT NULL,
    taken_at timestamp with time zone NOT NULL,
    renewed_at timestamp with time zone NOT NULL,
    lasts interval NOT NULL,
    awaited_at timestamp with time zone,
    CONSTRAINT lease_lasts_check CHECK ((lasts > '00:00:00'::interval)),
    CONSTRAINT lease_only_row_check CHECK (only_row)
);


--
-- Name: TABLE lease; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.lease IS 'The sidecar that works on the links into this node; another one stands by until the lease is over, by this clock.';


--
-- Name: lease_stands(tandem.lease); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.lease_stands(p_lease tandem.lease) RETURNS boolean
    LANGUAGE sql
    AS $$
  select clock_timestamp() between p_lease.renewed_at - p_lease.lasts and p_lease.renewed_at + p_lease.lasts
$$;


--
-- Name: FUNCTION lease_stands(p_lease tandem.lease); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.lease_stands(p_lease tandem.lease) IS 'Whether a lease is not over.';


--
-- Name: leaves(oid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.leaves(p_relid oid) RETURNS text[]
    LANGUAGE sql STABLE
    AS $$
  select coalesce(array_agg(format('%I.%I', n.nspname, c.relname) order by n.nspname, c.relname), '{}')
  from pg_partition_tree(p_relid) h
  join pg_class c on c.oid = h.relid
  join pg_namespace n on n.oid = c.relnamespace
  where h.isleaf and h.relid <> p_relid
$$;


--
-- Name: FUNCTION leaves(p_relid oid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.leaves(p_relid oid) IS 'Leaf partitions of a table.';


--
-- Name: left_to_its_link(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.left_to_its_link(p_peer_id integer) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return exists (select from tandem.peer p join tandem.peer q on q.configured and q.peer_id <> p.peer_id and p.name = any (q.receives_from)
    where p.peer_id = p_peer_id);
end $$;


--
-- Name: FUNCTION left_to_its_link(p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.left_to_its_link(p_peer_id integer) IS 'Whether another peer hears this one directly.';


--
-- Name: limit_waits(boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.limit_waits(p_alone boolean) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_longest numeric := 700 * extract(epoch from current_setting('deadlock_timeout')::interval);
  v_passed numeric := 1000 * extract(epoch from clock_timestamp() - now());
begin
  perform set_config('lock_timeout', greatest(1, least(v_longest, greatest(10, case when p_alone then least(700, v_longest) - v_passed end)))::integer || 'ms', true);
end $$;


--
-- Name: FUNCTION limit_waits(p_alone boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.limit_waits(p_alone boolean) IS 'Bounds how long the applier waits for a lock.';


--
-- Name: link_lock(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.link_lock() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
  select 1950109540
$$;


--
-- Name: FUNCTION link_lock(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.link_lock() IS 'Class of the advisory locks of links.';


--
-- Name: list_most(tandem.tracked_table); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.list_most(p_table tandem.tracked_table) RETURNS integer
    LANGUAGE sql STABLE
    AS $$
  select case when p_table.blocks_name is null then 0
    when (select bool_and(a.attlen > 0) from pg_attribute a where a.attrelid = p_table.relid and a.attname = any (p_table.key_columns) and not a.attisdropped) then 1000000
    else 10000 end
$$;


--
-- Name: FUNCTION list_most(p_table tandem.tracked_table); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.list_most(p_table tandem.tracked_table) IS 'How many keys of a statement go into lists.';


--
-- Name: listed(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.listed(p_texts jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select string_agg(u.t, ', ' order by u.i) from jsonb_array_elements_text(p_texts) with ordinality u (t, i)
$$;


--
-- Name: FUNCTION listed(p_texts jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.listed(p_texts jsonb) IS 'Texts with commas between them.';


--
-- Name: lists_of(tandem.tracked_table, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.lists_of(p_table tandem.tracked_table, p_alias text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select string_agg(format('array_agg(%s.%I::%s)', p_alias, u.name, t.types[u.i]), ', ' order by u.i)
  from tandem.log_types(p_table.relid, p_table.key_columns) t (types) cross join unnest(p_table.key_columns) with ordinality u (name, i)
$$;


--
-- Name: FUNCTION lists_of(p_table tandem.tracked_table, p_alias text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.lists_of(p_table tandem.tracked_table, p_alias text) IS 'Lists of a transition table''s keys.';


--
-- Name: lock_rows(jsonb, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.lock_rows(p_plan jsonb, p_wait boolean) RETURNS jsonb
    LANGUAGE plpgsql
    AS $_$
declare
  v_skip text := case when p_wait then '' else 'skip locked' end;
  v_same bigint;
  v_existing bigint;
  v_locked bigint;
  v_statement text;
  v_assumed boolean;
begin
  if (p_plan ->> 'ahead')::boolean then
    -- Not where foreign keys would have all of the set be written by one statement.
    if current_setting('session_replication_role') = 'replica' and p_plan ->> 'set' is not null then
      execute format('select count(*) > 0 and count(*) = count(*) filter (where %s is distinct from null and not %s) from (select * from %s s where s.n %% %s = 0) s left join %s t on %s',
        p_plan ->> 'first_key', p_plan ->> 'image_is_row', p_plan ->> 'stage', tandem.sample_step((p_plan ->> 'staged')::bigint), p_plan ->> 'relation', p_plan ->> 'key_is_row') into v_assumed;
      if v_assumed then
        return jsonb_build_object('existing', p_plan -> 'staged', 'same', 0, 'assumed', true);
      end if;
    end if;
    execute format('select count(*), count(*) filter (where %s) from %s s join %s t on %s',
      p_plan ->> 'image_is_row', p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row') into v_existing, v_same;
    if v_same = 0 then
      return jsonb_build_object('existing', v_existing, 'same', v_same);
    end if;
  end if;
  for v_round in 1..5 loop
    v_locked := 0;
    foreach v_statement in array array['(not s.present or %2$s) order by %3$s for update of t', '(s.present and not %2$s) order by %3$s for no key update of t'] loop
      v_statement := format('select count(*) from (select from %1$s s join %4$s t on %5$s where ' || v_statement || ' %6$s) x',
        p_plan ->> 'stage', p_plan ->> 'unique_changed', p_plan ->> 'stage_keys', p_plan ->> 'relation', p_plan ->> 'key_is_row', v_skip);
      if v_skip <> '' then
        execute v_statement into v_existing;
      else
        begin
          execute v_statement into v_existing;
        exception when lock_not_available then
          -- Waited in vain: from here on as if it were not alone, so that it is parked once more.
          v_skip := 'skip locked';
          v_existing := 0;
        end;
      end if;
      v_locked := v_locked + v_existing;
    end loop;
    -- There cannot be more of them than are staged.
    if v_locked = (p_plan ->> 'staged')::bigint then
      v_existing := v_locked;
    else
      execute format('select count(*) from %s s join %s t on %s', p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row')
      into v_existing;
    end if;
    exit when v_locked = v_existing;
  end loop;
  if v_locked < v_existing then
    execute format('with held as materialized (select s.n from %1$s s join %2$s t on %3$s order by %4$s for update of t skip locked)
        insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason)
        select %5$s, %6$s, s.n, ''park'', ''busy'', ''the row is locked by another session''
        from %1$s s join %2$s t on %3$s where s.n not in (select n from held) on conflict do nothing',
      p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_plan ->> 'stage_keys', p_plan ->> 'peer', p_plan ->> 'id');
  end if;
  return jsonb_build_object('existing', v_existing, 'same', v_same);
end $_$;


--
-- Name: FUNCTION lock_rows(p_plan jsonb, p_wait boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.lock_rows(p_plan jsonb, p_wait boolean) IS 'Locks the rows that a batch will change.';


--
-- Name: lock_table(jsonb, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.lock_table(p_plan jsonb, p_first boolean) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
begin
  execute format('lock table only %s in row exclusive mode %s', p_plan ->> 'relation', case when p_first then '' else 'nowait' end);
  return true;
exception when lock_not_available then
  execute format('lock table only %s in access share mode nowait', p_plan ->> 'relation');
  execute format('insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason)
    select %s, %s, s.n, ''park'', ''busy'', ''the table is locked by another session'' from %s s on conflict do nothing',
    p_plan ->> 'peer', p_plan ->> 'id', p_plan ->> 'stage');
  return false;
end $$;


--
-- Name: FUNCTION lock_table(p_plan jsonb, p_first boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.lock_table(p_plan jsonb, p_first boolean) IS 'Locks a table that a batch will write.';


--
-- Name: log_again(integer, text, "char"); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.log_again(p_table_id integer, p_from text, p_op "char") RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
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
end $_$;


--
-- Name: FUNCTION log_again(p_table_id integer, p_from text, p_op "char"); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.log_again(p_table_id integer, p_from text, p_op "char") IS 'Enters all rows of a relation into the log anew.';


--
-- Name: log_begin(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.log_begin() RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$
  select greatest(n.horizon, n.installed_at) from tandem.local_node n
$$;


--
-- Name: FUNCTION log_begin(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.log_begin() IS 'Since when this node''s logs are complete.';


--
-- Name: log_gone(integer, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.log_gone(p_table_id integer, p_from text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
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
end $_$;


--
-- Name: FUNCTION log_gone(p_table_id integer, p_from text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.log_gone(p_table_id integer, p_from text) IS 'Enters deletions of rows that went without a trigger.';


--
-- Name: log_missing(integer, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.log_missing(p_table_id integer, p_keys jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_keys text[];
  v_count bigint;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  perform tandem.write_out(p_table_id);
  v_keys := tandem.key_names('o', cardinality(t.key_columns));
  execute tandem.capture_insert(t, (select name from tandem.local_node), '$1', 'D', v_keys,
    format('from (select %s from jsonb_array_elements($2) x) o
      left join lateral (select l.op from tandem_log.%I l where %s order by %s, l.stamp desc, l.origin desc limit 1) n on true
      where n.op is distinct from ''D'' and not exists (select from %I.%I t where %s)
        and not exists (select from tandem.parked_change c where %s)',
      (select string_agg(format('(x ->> %s)::%s as k%s', u.i - 1, u.type, u.i), ', ' order by u.i) from unnest(t.key_types) with ordinality u (type, i)),
      t.entries_name, tandem.all_equal(t.key_operators, tandem.key_names('l', cardinality(v_keys)), v_keys),
      array_to_string(array(select u || ' desc' from unnest(tandem.key_names('l', cardinality(v_keys))) u), ', '),
      t.schema_name, t.table_name, tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), v_keys),
      tandem.same_parked_key(t, 'c', v_keys)))
  using tandem.next_stamp(), p_keys;
  get diagnostics v_count = row_count;
  return v_count;
end $_$;


--
-- Name: FUNCTION log_missing(p_table_id integer, p_keys jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.log_missing(p_table_id integer, p_keys jsonb) IS 'Enters deletions of rows that a peer has and this node lacks.';


--
-- Name: log_types(oid, text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.log_types(p_relid oid, p_key_columns text[]) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select array_agg(case when b.oid in ('int2'::regtype, 'int4'::regtype) then 'bigint' else format_type(b.oid, -1) end
    || case when a.attcollation <> t.typcollation then format(' collate %I.%I', cn.nspname, co.collname) else '' end order by k.i)
  from unnest(p_key_columns) with ordinality k (name, i)
  join pg_attribute a on a.attrelid = p_relid and a.attname = k.name and not a.attisdropped
  cross join lateral (select tandem.base_type(a.atttypid) as oid) b
  join pg_type t on t.oid = b.oid
  left join pg_collation co on co.oid = a.attcollation
  left join pg_namespace cn on cn.oid = co.collnamespace
$$;


--
-- Name: FUNCTION log_types(p_relid oid, p_key_columns text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.log_types(p_relid oid, p_key_columns text[]) IS 'Types of the key columns of a change log.';


--
-- Name: look_at_set(jsonb, boolean, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.look_at_set(p_plan jsonb, p_first boolean, p_mode text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  v_fresh boolean := false;
  v_ahead boolean := false;
begin
  if p_first and p_plan ->> 'gone' = '0' then
    v_fresh := tandem.none_here(p_plan);
    v_ahead := not v_fresh and p_mode = 'batch' and (p_plan ->> 'plain')::boolean and tandem.is_ahead(p_plan);
  end if;
  return jsonb_build_object('fresh', v_fresh, 'ahead', v_ahead, 'whole', v_fresh or v_ahead);
end $$;


--
-- Name: FUNCTION look_at_set(p_plan jsonb, p_first boolean, p_mode text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.look_at_set(p_plan jsonb, p_first boolean, p_mode text) IS 'What is known of a large staged set as a whole.';


--
-- Name: look_at_stage(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.look_at_stage(p_plan jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  v_look jsonb := '{}';
  v_ordered boolean := p_plan ->> 'first_key_type' in ('smallint', 'integer', 'bigint', 'date', 'timestamp with time zone', 'timestamp without time zone');
begin
  if tandem.is_large(p_plan ->> 'stage') then
    execute format('select jsonb_build_object(''staged'', x.staged, ''gone'', x.gone, ''unsettled'', x.unsettled, ''versions'', x.versions, ''oldest'', x.oldest, ''newest'', x.newest,
        ''sound'', x.sound, ''plain'', x.sound and not x.single and x.unsettled + x.versions = 0, ''least'', x.least, ''most'', x.most)
      from (select count(*) as staged, count(*) filter (where not s.present) as gone, count(*) filter (where s.unsettled) as unsettled, count(s.known_stamps) as versions,
          min(s.stamp) as oldest, max(s.stamp) as newest, bool_or(s.parked_there or s.asked) as single,
          %s as least, %s as most,
          coalesce(not bool_or(s.stamp is null or s.unplaced is not null or s.misfit is not null or %s is not null)
            and max(s.stamp) <= clock_timestamp() + (select o.max_skew from tandem.local_node o), false) as sound
        from %s s) x', case when v_ordered then 'min(s.k1)::text' else 'null::text' end, case when v_ordered then 'max(s.k1)::text' else 'null::text' end,
      p_plan ->> 'too_long', p_plan ->> 'stage') into v_look;
  end if;
  return v_look;
end $$;


--
-- Name: FUNCTION look_at_stage(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.look_at_stage(p_plan jsonb) IS 'What is staged, in a large set.';


--
-- Name: looked_in(tandem.tracked_table, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.looked_in(p_table tandem.tracked_table, p_none boolean) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return case when p_none or not tandem.has_blocks(p_table.table_id) then p_table.log_name else p_table.entries_name end;
end $$;


--
-- Name: FUNCTION looked_in(p_table tandem.tracked_table, p_none boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.looked_in(p_table tandem.tracked_table, p_none boolean) IS 'What entries of single keys are looked for in.';


--
-- Name: make_blocks(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.make_blocks(p_table_id integer) RETURNS void
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_types text[];
  v_names text[];
  v_keys text;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_types := tandem.log_types(t.relid, t.key_columns);
  v_names := array(select 'k' || i from generate_series(1, cardinality(t.key_columns)) i);
  v_keys := array_to_string(v_names, ', ');
  if t.blocks_name is not null then
    execute format('create table tandem_log.%I (xid xid8 not null, oldest timestamptz not null, stamp timestamptz not null, received_from integer,'
      ' op "char" not null, origin text collate "C" not null, rows integer not null, least %s, most %s, stamps timestamptz[], %s)',
      t.blocks_name, v_types[1], v_types[1],
      (select string_agg(format('k%s %s not null', u.i, regexp_replace(u.type, '( collate .*)?$', '[]\1')), ', ' order by u.i)
       from unnest(v_types) with ordinality u (type, i)));
    -- Not compressed: that would cost as much as the entries' indexes.
    execute format('alter table tandem_log.%I %s', t.blocks_name,
      (select string_agg(format('alter %s set storage external', u), ', ') from unnest(v_names || 'stamps'::text) u));
    execute format('create index on tandem_log.%I (xid)', t.blocks_name);
    execute format('comment on table tandem_log.%I is %L', t.blocks_name,
      format('Change log of %I.%I: entries that were written many at a time.', t.schema_name, t.table_name));
  end if;
  execute format('create view tandem_log.%I as select l.xid, l.stamp, %s, l.received_from, l.op, l.blind, l.origin from tandem_log.%I l%s',
    t.entries_name, array_to_string(tandem.key_names('l', cardinality(v_names)), ', '), t.log_name,
    case when t.blocks_name is not null then format(' union all select b.xid, coalesce(u.stamp, b.stamp), %s, b.received_from, b.op, false, b.origin'
      ' from tandem_log.%I b cross join lateral unnest(b.stamps, %s) u (stamp, %s)',
      array_to_string(tandem.key_names('u', cardinality(v_names)), ', '), t.blocks_name, array_to_string(tandem.key_names('b', cardinality(v_names)), ', '), v_keys) end);
  execute format('comment on view tandem_log.%I is %L', t.entries_name, format('Change log of %I.%I: all entries.', t.schema_name, t.table_name));
end $_$;


--
-- Name: FUNCTION make_blocks(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.make_blocks(p_table_id integer) IS 'Creates the blocks of a log and the view of all entries.';


--
-- Name: make_capture_function(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.make_capture_function(p_table_id integer) RETURNS void
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_node text;
  v_name text;
  v_body text;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  select name into strict v_node from tandem.local_node;
  v_name := tandem.object_name('capture ', t.schema_name, t.table_name);
  v_body := format($body$
#variable_conflict use_variable
-- Key: %s
declare
  v_now timestamptz;
  v_blind boolean;
  v_peer integer;
  v_rows bigint;
  v_least %s;
  v_most %2$s;
  v_newer boolean;
  v_listed boolean;%s
begin
  if current_setting('tandem.applying', true) <> '' then
    v_peer := tandem.applying_peer(%s);
    if v_peer = 0 then
      return null;
    end if;
  end if;
  v_now := tandem.next_stamp();
  if pg_sequence_last_value('tandem.wake_until') > date_part('epoch', clock_timestamp()) * 1000 then
    perform tandem.wake();
  end if;
  v_blind := current_setting('transaction_isolation') = 'serializable';
%s
  return null;
end
$body$,
    array_to_string(t.key_types, ', '), (tandem.log_types(t.relid, t.key_columns))[1], tandem.key_lists(t), t.table_id,
    case when t.partitioned then tandem.capture_row(t, v_node) else tandem.capture_statement(t, v_node) end);
  if not exists (
    select from pg_proc p where p.oid = to_regprocedure(format('tandem_log.%I()', v_name)) and p.prosrc = v_body and 'jit=off' = any (p.proconfig))
  then
    execute format('create or replace function tandem_log.%I() returns trigger language plpgsql security definer'
      ' set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_nestloop = off set jit = off as %L', v_name, v_body);
    execute format('revoke execute on function tandem_log.%I() from public', v_name);
    execute format('comment on function tandem_log.%I() is %L', v_name,
      format('Writes each change of %I.%I to its change log.', t.schema_name, t.table_name));
  end if;
end $_$;


--
-- Name: FUNCTION make_capture_function(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.make_capture_function(p_table_id integer) IS 'Makes the capture function of a tracked table.';


--
-- Name: make_changelog_view(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.make_changelog_view(p_table_id integer) RETURNS void
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_names text[];
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  if to_regclass(format('tandem.%I', t.changelog_view)) is not null then
    return;
  end if;
  v_names := t.key_columns;
  for i in 1..cardinality(v_names) loop
    while v_names[i] in ('op', 'changed_at', 'origin', 'synced') or v_names[i] = any (v_names[:i - 1] || v_names[i + 1:]) loop
      v_names[i] := 'key_' || v_names[i];
    end loop;
  end loop;
  execute format('create view tandem.%1$I as select l.op::text as op, %2$s, l.stamp as changed_at, l.origin,'
    ' %3$s and not exists (select from tandem.outbound_parked k join tandem.peer p using (peer_id)'
    ' where p.configured and %6$s)'
    ' and not exists (select from tandem.outbound_held h join tandem.peer p using (peer_id)'
    ' where p.configured and h.schema_name = %4$L and h.table_name = %5$L and h.peer_id is distinct from l.received_from'
    ' and not pg_visible_in_snapshot(l.xid, h.position)) as synced from tandem_log.%7$I l',
    t.changelog_view,
    (select string_agg(format('l.k%s as %I', u.i, u.name), ', ' order by u.i) from unnest(v_names) with ordinality u (name, i)),
    tandem.synced_condition(), t.schema_name, t.table_name,
    tandem.same_parked_key(t, 'k', tandem.key_names('l', cardinality(v_names))), t.entries_name);
  execute format('comment on view tandem.%I is %L', t.changelog_view,
    format('Captured changes of %I.%I; what waits: ... where not synced.', t.schema_name, t.table_name));
end $_$;


--
-- Name: FUNCTION make_changelog_view(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.make_changelog_view(p_table_id integer) IS 'Makes the view of a table''s change log.';


--
-- Name: make_floor(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.make_floor() RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_peer record;
  v_reads text := '0, pg_catalog.pg_sequence_last_value(''tandem.block_floor''::regclass)';
  v_body text;
begin
  for v_peer in
    select distinct p.name collate "C" as name from tandem.peer p
    where exists (select from tandem.inbound i where i.peer_id = p.peer_id) or to_regclass(format('tandem_log.%I', 'floor ' || p.name)) is not null
    order by 1
  loop
    if to_regclass(format('tandem_log.%I', 'floor ' || v_peer.name)) is null then
      execute format('create sequence tandem_log.%I minvalue 0 start 0', 'floor ' || v_peer.name);
      execute format('comment on sequence tandem_log.%I is %L', 'floor ' || v_peer.name,
        'Newest stamp applied here from ' || v_peer.name || ', in microseconds since 1970.');
    end if;
    v_reads := v_reads || format(', pg_catalog.pg_sequence_last_value(%L::regclass)',
      format('tandem_log.%I', 'floor ' || v_peer.name));
  end loop;
  v_body := format('select greatest(%s)', v_reads);
  if v_body is distinct from (select p.prosrc from pg_proc p where p.oid = to_regprocedure('tandem.floor_us()')) then
    execute format('create or replace function tandem.floor_us() returns bigint language sql volatile as %L', v_body);
    execute 'revoke execute on function tandem.floor_us() from public';
    execute 'comment on function tandem.floor_us() is ''The greatest of the floors, in microseconds since 1970.''';
  end if;
end $$;


--
-- Name: FUNCTION make_floor(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.make_floor() IS 'Makes the floors of the incoming links and the function that reads them.';


--
-- Name: make_log(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.make_log(p_table_id integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  t tandem.tracked_table;
  v_keys text;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_keys := array_to_string(array(select 'k' || i from generate_series(1, cardinality(t.key_columns)) i), ', ');
  execute format('create table tandem_log.%I (xid xid8 not null, stamp timestamptz not null, %s, received_from integer,'
    ' op "char" not null, blind boolean not null default false, origin text collate "C" not null)',
    t.log_name,
    (select string_agg(format('k%s %s not null', u.i, u.type), ', ' order by u.i)
     from unnest(tandem.log_types(t.relid, t.key_columns)) with ordinality u (type, i)));
  execute format('create index on tandem_log.%I (%s, stamp, origin)', t.log_name, v_keys);
  execute format('create index on tandem_log.%I (xid)', t.log_name);
  execute format('create index on tandem_log.%I (%s, xid) where blind', t.log_name, v_keys);
  execute format('comment on table tandem_log.%I is %L', t.log_name,
    format('Change log of %I.%I, by key (%s).', t.schema_name, t.table_name, array_to_string(t.key_columns, ', ')));
  perform tandem.make_blocks(p_table_id);
end $$;


--
-- Name: FUNCTION make_log(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.make_log(p_table_id integer) IS 'Creates the log table of a tracked table.';


--
-- Name: make_plans(integer, jsonb, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.make_plans(p_peer_id integer, p_tables jsonb, p_replica boolean) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  e jsonb;
  v_columns text[];
  v_mark text;
  v_plan jsonb;
  v_rejoin text;
  v_plans jsonb := '[]';
begin
  for e in select x.e from jsonb_array_elements(p_tables) with ordinality x (e, i) order by x.i loop
    v_columns := array(select jsonb_array_elements_text(e -> 'columns'));
    v_mark := tandem.catalog_mark((e ->> 'id')::integer);
    select p.plan into v_plan from tandem.plan p
    where (p.peer_id, p.table_id, p.columns, p.as_text, p.replica) = (p_peer_id, (e ->> 'id')::integer, v_columns, (e ->> 'as_text')::boolean, p_replica)
      and p.catalog_mark = v_mark;
    if not found then
      v_plan := tandem.apply_plan(p_peer_id, (e ->> 'id')::integer, v_columns, (e ->> 'as_text')::boolean, p_replica);
      v_plan := v_plan || tandem.plan_catalog(v_plan || e);
      insert into tandem.plan (peer_id, table_id, columns, as_text, replica, catalog_mark, plan)
      values (p_peer_id, (e ->> 'id')::integer, v_columns, (e ->> 'as_text')::boolean, p_replica, v_mark, v_plan)
      on conflict (peer_id, table_id, columns, as_text, replica) do update set catalog_mark = excluded.catalog_mark, plan = excluded.plan;
    end if;
    select b.rejoin into v_rejoin from tandem.inbound_table b
    where (b.peer_id, b.schema_name, b.table_name) = (p_peer_id, v_plan ->> 'schema', v_plan ->> 'table') and b.state <> 'flow';
    if v_rejoin is not null then
      v_plan := v_plan || (select jsonb_build_object('rejoin', v_rejoin, 'missing', i.missing,
          'unlogged_stamp', tandem.unlogged_stamp(t, 't', v_rejoin), 'unlogged_origin', tandem.unlogged_origin(t, 't', v_rejoin))
        from tandem.tracked_table t, tandem.inbound i where t.table_id = (e ->> 'id')::integer and i.peer_id = p_peer_id);
    end if;
    v_plans := v_plans || jsonb_build_array(e || v_plan);
  end loop;
  return v_plans;
end $$;


--
-- Name: FUNCTION make_plans(p_peer_id integer, p_tables jsonb, p_replica boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.make_plans(p_peer_id integer, p_tables jsonb, p_replica boolean) IS 'Plans for the tables of a batch.';


--
-- Name: make_reader(integer, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.make_reader(p_peer_id integer, p_table jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_mark text := tandem.reader_mark(p_peer_id, p_table);
  v_name text;
  v_columns text[] := array(select jsonb_array_elements_text(p_table -> 'columns'));
  v_keys text[];
  v_values text[] := array(select 'c' || i from generate_series(1, cardinality(v_columns)) i);
  v_said text := 'op, present, stamp, origin, known_stamps, known_origins, parked_there, unsettled, unplaced, asked';
begin
  if v_mark is null or v_mark = tandem.comment_on(tandem.reader_of(p_peer_id, (p_table ->> 'id')::integer), 'pg_proc') then
    return;
  end if;
  select * into strict t from tandem.tracked_table where table_id = (p_table ->> 'id')::integer;
  v_keys := array(select 'k' || i from generate_series(1, cardinality(t.key_columns)) i);
  v_name := format('tandem_log.%I', tandem.reader_name(p_peer_id, t.schema_name, t.table_name));
  execute format('create or replace function %s(p_xmax xid8, p_xip xid8[], p_limit bigint) returns text[] language plpgsql stable
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as %L', v_name, format($body$
declare
  v_rows text[];
  v_all boolean;
begin
  if %6$s(select count(*) from (select from %1$s l where l.xid >= p_xmax order by l.xid limit p_limit + 1) x)
    + (select count(*) from (select from %1$s l where l.xid = any (p_xip) order by l.xid limit p_limit + 1) x) > p_limit
  then
    return null;
  end if;
  select array_agg(y.line order by y.n), bool_and(y.line is not null) into v_rows, v_all
  from (select x.n, case when sum(%2$s) over () <= 262144 then row(%3$s)::text end as line
    from (select row_number() over () as n, q.* from (%4$s) q (%5$s)) x) y;
  return case when coalesce(v_all, true) then coalesce(v_rows, '{}') end;
end $body$,
    format('tandem_log.%I', t.log_name),
    (select concat_ws(' + ', '100', string_agg(format('coalesce(pg_column_size(x.%s), 0)', u), ' + ')) from unnest(v_values || v_keys) u),
    (select string_agg('x.' || u, ', ') from unnest('{n}'::text[] || v_keys) u) || ', ' || (select string_agg('x.' || u, ', ') from unnest(string_to_array(v_said, ', ')) u)
      || ', null, null' || coalesce((select string_agg(', x.' || u, '') from unnest(v_values) u), ''),
    tandem.keys_query(t, p_peer_id, v_columns, array(select jsonb_array_elements_text(p_table -> 'unplaced')),
      case when cardinality(tandem.not_forwarded(p_peer_id)) > 1 then 'newest' end, false,
      format('select %s, false as named from tandem_log.%I l where (l.xid >= p_xmax or l.xid = any (p_xip)) and (l.received_from is null or l.received_from <> all (%L::integer[]))',
        array_to_string(tandem.key_names('l', cardinality(v_keys)), ', '), t.log_name, tandem.not_forwarded(p_peer_id)), true) ->> 'query',
    array_to_string(v_keys, ', ') || ', ' || v_said || coalesce((select string_agg(', ' || u, '') from unnest(v_values) u), ''),
    'exists (select from tandem_log.' || quote_ident(t.blocks_name) || ') or '));
  execute format('revoke execute on function %s from public', v_name);
  execute format('comment on function %s is %L', v_name, v_mark);
end $_$;


--
-- Name: FUNCTION make_reader(p_peer_id integer, p_table jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.make_reader(p_peer_id integer, p_table jsonb) IS 'Makes the function that reads small batches of a table.';


--
-- Name: mark_actions(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.mark_actions(p_plans jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  v_plan jsonb;
  v_result jsonb := '[]';
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    if (v_plan ->> 'existing')::bigint > 0 then
      if exists (select from tandem.plan_references(v_plan) r where r.action not in ('a', 'r')) then
        v_plan := v_plan || jsonb_build_object('act', tandem.keep_images(v_plan, tandem.deletion_tree(v_plan, p_plans), 'referring/delete') > 0
          or v_plan ->> 'gone' is distinct from '0' and current_setting('session_replication_role') <> 'replica');
      end if;
      if exists (select from tandem.plan_changes(v_plan) r where r.action not in ('a', 'r')) then
        perform tandem.keep_images(v_plan, tandem.moved_children(v_plan, p_plans), 'referring/update');
      end if;
    end if;
    v_result := v_result || jsonb_build_array(v_plan);
  end loop;
  return v_result;
end $$;


--
-- Name: FUNCTION mark_actions(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.mark_actions(p_plans jsonb) IS 'Marks plans whose deletions have foreign-key actions.';


--
-- Name: mark_crossed(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.mark_crossed(p_plans jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
declare
  v_plan jsonb;
  f record;
  v_count bigint;
  v_total bigint := 0;
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    continue when not exists (select from tandem.outbound_parked k where k.peer_id = (v_plan ->> 'peer')::integer and k.key <> '{}')
      or not exists (select from tandem.verdict v where (v.peer_id, v.table_id, v.verdict) = ((v_plan ->> 'peer')::integer, (v_plan ->> 'id')::integer, 'park'));
    for f in
      select k.parent, k.parent_is_s, tandem.same_parked_key(t, 'k', k.staged_values) as waits_there
      from tandem.plan_parents(v_plan) k join tandem.tracked_table t on t.table_id = k.parent_id
    loop
      execute format('update tandem.verdict v set crossed = true from %s s
          where v.peer_id = %s and v.table_id = %s and v.verdict = ''park'' and v.kind = ''waits'' and not v.crossed and s.n = v.n and s.present
            and not exists (select from %s p where %s) and exists (select from tandem.outbound_parked k where k.peer_id = v.peer_id and %s)',
        v_plan ->> 'stage', v_plan ->> 'peer', v_plan ->> 'id', f.parent, f.parent_is_s, f.waits_there);
      get diagnostics v_count = row_count;
      v_total := v_total + v_count;
    end loop;
  end loop;
  return v_total;
end $$;


--
-- Name: FUNCTION mark_crossed(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.mark_crossed(p_plans jsonb) IS 'Marks rows that wait for a deletion which waits for them.';


--
-- Name: mark_unique(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.mark_unique(p_plans jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  v_plan jsonb;
  v_result jsonb := '[]';
  v_query text;
  v_displaces boolean;
  v_swaps boolean;
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    v_displaces := false;
    for v_query in select * from tandem.claims(v_plan, p_plans) loop
      execute format('select exists (%s)', v_query) into v_displaces;
      exit when v_displaces;
    end loop;
    v_swaps := false;
    for v_query in select q.holders from tandem.swaps(v_plan, 'true') q loop
      execute format('select exists (%s)', v_query) into v_swaps;
      exit when v_swaps;
    end loop;
    v_result := v_result || jsonb_build_array(v_plan || jsonb_build_object('displaces', v_displaces, 'swaps', v_swaps));
  end loop;
  return v_result;
end $$;


--
-- Name: FUNCTION mark_unique(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.mark_unique(p_plans jsonb) IS 'Marks plans in which unique values change hands.';


--
-- Name: measured_lag(timestamp with time zone); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.measured_lag(p_since timestamp with time zone) RETURNS interval
    LANGUAGE sql
    AS $$
  select greatest(clock_timestamp() - p_since, interval '0') where p_since is not null
$$;


--
-- Name: FUNCTION measured_lag(p_since timestamp with time zone); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.measured_lag(p_since timestamp with time zone) IS 'How long the last changes were under way, at most.';


--
-- Name: meet(text, text, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.meet(p_self text, p_name text, p_state jsonb) RETURNS integer
    LANGUAGE plpgsql
    AS $$
declare
  p tandem.peer;
  v_incarnation uuid := p_state ->> 'incarnation';
begin
  perform tandem.check_identity(p_self);
  select * into p from tandem.peer where name = p_name and configured;
  if not found then
    raise exception 'node "%" is not a peer of this node: run "tandem migrate" again', p_name using errcode = 'TD001';
  end if;
  if p.incarnation is null then
    update tandem.peer set incarnation = v_incarnation where peer_id = p.peer_id and incarnation is null;
  elsif p.incarnation <> v_incarnation then
    raise exception 'node "%" is not the one that was met before (another incarnation)', p_name using errcode = 'TD002';
  end if;
  if not coalesce(tandem.contact_fits(p.peer_id, (p_state ->> 'token')::uuid), true) then
    raise exception 'the contact token of node "%" does not fit: one of the two databases was restored, cloned or branched', p_name using errcode = 'TD002';
  end if;
  perform tandem.note_settled(p.peer_id, (p_state ->> 'settled')::xid8, pg_snapshot_xmax((p_state ->> 'now')::pg_snapshot));
  return p.peer_id;
end $$;


--
-- Name: FUNCTION meet(p_self text, p_name text, p_state jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.meet(p_self text, p_name text, p_state jsonb) IS 'Recognizes a peer.';


--
-- Name: meet_anew(integer, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.meet_anew(p_peer_id integer, p_rejoin text) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform from tandem.inbound where peer_id = p_peer_id for update;
  delete from tandem.staged where peer_id = p_peer_id;
  delete from tandem.verdict where peer_id = p_peer_id;
  delete from tandem.plan where peer_id = p_peer_id;
  delete from tandem.parked_change where peer_id = p_peer_id;
  delete from tandem.outbound_parked where peer_id = p_peer_id;
  delete from tandem.outbound_held where peer_id = p_peer_id;
  delete from tandem.inbound_table where peer_id = p_peer_id;
  update tandem.inbound set position = null, token = null, applying = null, applying_tables = '{}', missing = null,
    settle_seen = null, settle_upto = null, settled = null, last_error = null, last_error_at = null
  where peer_id = p_peer_id;
  if found then
    insert into tandem.inbound_table (peer_id, schema_name, table_name, state, position, rejoin)
    select p_peer_id, t.schema_name, t.table_name, 'copy', '1:1:', p_rejoin from tandem.tracked_table t;
  end if;
  update tandem.outbound set token = null, pending_tokens = '{}', acknowledged = null, acknowledged_at = null,
    candidate = null, candidate_seen = null, prunable = null
  where peer_id = p_peer_id;
end $$;


--
-- Name: FUNCTION meet_anew(p_peer_id integer, p_rejoin text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.meet_anew(p_peer_id integer, p_rejoin text) IS 'Forgets how far the links with a peer have come.';


--
-- Name: moved_children(jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.moved_children(p_plan jsonb, p_plans jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
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
end $_$;


--
-- Name: FUNCTION moved_children(p_plan jsonb, p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.moved_children(p_plan jsonb, p_plans jsonb) IS 'Query for rows that refer to a value which changes.';


--
-- Name: newest_and_row(tandem.tracked_table, text, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.newest_and_row(p_table tandem.tracked_table, p_alias text, p_no_blocks boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return tandem.newest_entry(p_table, p_alias, p_no_blocks) || ' ' || tandem.join_row(p_table, p_alias);
end $$;


--
-- Name: FUNCTION newest_and_row(p_table tandem.tracked_table, p_alias text, p_no_blocks boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.newest_and_row(p_table tandem.tracked_table, p_alias text, p_no_blocks boolean) IS 'Joins of a key with its newest entry and its row.';


--
-- Name: newest_entries(tandem.tracked_table, text, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.newest_entries(p_table tandem.tracked_table, p_condition text, p_repeats boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_count integer := cardinality(p_table.key_columns);
  v_keys text := array_to_string(tandem.key_names('l', v_count), ', ');
begin
  if p_repeats then
    return format('select l.*, %1$s from (select %2$s, max(l.stamp) as newest, count(*) as entries from tandem_log.%3$I l where %4$s group by %2$s order by %2$s) m
        cross join lateral (select l.* from tandem_log.%3$I l where %5$s and l.stamp = m.newest and (%4$s) order by l.origin desc limit 1) l',
      (select string_agg(format('case when m.entries > 1 then l.k%1$s end as last%1$s', i), ', ' order by i) from generate_series(1, v_count) i),
      v_keys, p_table.log_name, p_condition, tandem.all_equal(p_table.key_operators, tandem.key_names('l', v_count), tandem.key_names('m', v_count)));
  end if;
  return format('select l.* from (select l.*, %2$s from tandem_log.%3$I l where %4$s window w as (order by %1$s, l.stamp, l.origin)) l where (%5$s) is not true',
    v_keys,
    (select string_agg(format('lead(l.k%1$s) over w as next%1$s, lag(l.k%1$s) over w as last%1$s', i), ', ' order by i) from generate_series(1, v_count) i),
    tandem.looked_in(p_table, false), p_condition,
    tandem.all_equal(p_table.key_operators, array(select 'l.next' || i from generate_series(1, v_count) i), tandem.key_names('l', v_count)));
end $_$;


--
-- Name: FUNCTION newest_entries(p_table tandem.tracked_table, p_condition text, p_repeats boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.newest_entries(p_table tandem.tracked_table, p_condition text, p_repeats boolean) IS 'Query of the newest entries of all keys.';


--
-- Name: newest_entry(tandem.tracked_table, text, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.newest_entry(p_table tandem.tracked_table, p_alias text, p_no_blocks boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_entry text[] := tandem.key_names('l', cardinality(p_table.key_columns));
begin
  return format('left join lateral (select l.op, l.stamp, l.origin, l.received_from, l.xid from tandem_log.%I l where %s order by %s, l.stamp desc, l.origin desc limit 1) n on true',
    tandem.looked_in(p_table, p_no_blocks), tandem.all_equal(p_table.key_operators, v_entry, tandem.key_names(p_alias, cardinality(v_entry))),
    array_to_string(array(select u || ' desc' from unnest(v_entry) u), ', '));
end $$;


--
-- Name: FUNCTION newest_entry(p_table tandem.tracked_table, p_alias text, p_no_blocks boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.newest_entry(p_table tandem.tracked_table, p_alias text, p_no_blocks boolean) IS 'Join of a key with its newest entry.';


--
-- Name: newest_of_all(tandem.tracked_table, pg_snapshot, pg_snapshot, integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.newest_of_all(p_table tandem.tracked_table, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_log text := format('tandem_log.%I', p_table.log_name);
  v_blocks text;
  v_entries bigint := pg_relation_size(v_log) / 70;   -- each takes 70 bytes or more
  v_in_blocks bigint := 0;
  v_sent bigint := 0;
  v_newest boolean;
  v_setting text := 'tandem.newest_' || p_table.table_id;
  v_known text[] := string_to_array(current_setting(v_setting, true), '|', '');
  v_before timestamptz;
  v_upto timestamptz;
  v_apart text := 'false';
  v_said jsonb;
  v_pinned text := current_setting('enable_seqscan');
begin
  if p_from is null then
    return null;
  end if;
  if tandem.has_blocks(p_table.table_id) then
    v_blocks := format('tandem_log.%I', p_table.blocks_name);
    execute format('select sum(b.rows), coalesce(sum(b.rows) filter (where b.xid >= $1), 0) from %s b', v_blocks) into v_in_blocks, v_sent
    using pg_snapshot_xmax(p_from);
  elsif not tandem.is_large(v_log) then
    return null;
  elsif p_table.key_types in ('{smallint}', '{integer}', '{bigint}') then
    v_apart := 'count(distinct l.k1) filter (where l.sent) = count(*) filter (where l.sent)';
  end if;
  v_newest := v_sent * 20 > v_entries + v_in_blocks;
  if not v_newest then
    execute format('select exists (select from %s where xid >= $1 order by xid offset %s limit 1)', v_log, (v_entries + v_in_blocks) / 20) into v_newest
    using pg_snapshot_xmax(p_from);
  end if;
  -- What a cut keeps back is newer, mostly: all of it need not be read to see that.
  if v_newest then
    execute format('select (select xid from %s where xid >= $1 order by xid limit 1) is null', v_log) into v_newest using pg_snapshot_xmax(p_to);
  end if;
  if v_newest then
    -- What is visible there is in p_from too: nothing that this batch sends.
    if pg_snapshot_xmax(v_known[1]::pg_snapshot) <= pg_snapshot_xmax(p_from)
      and not exists (select from pg_snapshot_xip(p_from) x where pg_visible_in_snapshot(x, v_known[1]::pg_snapshot)) then
      v_before := v_known[2]::timestamptz;
      -- The planner would read all of the log.
      perform set_config('enable_seqscan', 'off', true);
    end if;
    execute format('select case when min(l.oldest) filter (where l.sent) > coalesce(greatest(max(l.stamp) filter (where not l.sent), $1), ''-infinity'')
          then jsonb_build_object(''sent'', count(*) filter (where l.sent), ''apart'', %s) end,
        greatest(max(l.stamp) filter (where pg_visible_in_snapshot(l.xid, $2)), $1)
        from (%s) l', v_apart, (select string_agg(format('select l.xid, l.stamp%s, %s as oldest, coalesce(%s, false) as sent from %s l %s', case when v_apart <> 'false' then ', l.k1' end, x.oldest, tandem.sent_entries(p_from, p_to, p_peer_id), x.name,
            case when v_before is not null then 'where ' || tandem.since(v_known[1]::pg_snapshot) end), ' union all ')
          from (values ('l.stamp', v_log), ('l.oldest', v_blocks)) x (oldest, name) where x.name is not null)) into v_said, v_upto using v_before, p_to;
    perform set_config('enable_seqscan', v_pinned, true), set_config(v_setting, concat_ws('|', p_to, v_upto), false);
  end if;
  return v_said;
end $_$;


--
-- Name: FUNCTION newest_of_all(p_table tandem.tracked_table, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.newest_of_all(p_table tandem.tracked_table, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer) IS 'Whether a batch is newer than all else in a log.';


--
-- Name: next_stamp(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.next_stamp() RETURNS timestamp with time zone
    LANGUAGE plpgsql
    AS $$
begin
  return timestamptz '1970-01-01 00:00:00+00' + (greatest((date_part('epoch', clock_timestamp()) * 1000000)::bigint, tandem.floor_us()) / 2 + 1) * 2 * interval '1 microsecond';
end $$;


--
-- Name: FUNCTION next_stamp(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.next_stamp() IS 'A stamp for a change made now.';


--
-- Name: none_here(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.none_here(p_plan jsonb) RETURNS boolean
    LANGUAGE plpgsql
    AS $_$
declare
  v_none boolean := false;
begin
  if p_plan ->> 'least' is not null or p_plan ->> 'first_key_type' = 'uuid' then
    execute format('select coalesce((select %1$s from %2$s t where %1$s >= x.least order by %1$s limit 1) > x.most, true)
        and coalesce((select l.k1 from %3$s l where l.k1 >= x.least order by l.k1 limit 1) > x.most, true)%5$s
      from (select %4$s) x',
      p_plan ->> 'first_key', p_plan ->> 'relation', p_plan ->> 'log',
      case when p_plan ->> 'least' is not null then format('%L::%s as least, %L::%2$s as most', p_plan ->> 'least', p_plan ->> 'first_key_type', p_plan ->> 'most')
        -- which has no min before PostgreSQL 18
        else format('(select s.k1 from %1$s s order by s.k1 limit 1) as least, (select s.k1 from %1$s s order by s.k1 desc limit 1) as most', p_plan ->> 'stage') end,
      (select ' and not exists (select from tandem_log.' || quote_ident(t.blocks_name) || ' b where b.least is null or b.least <= x.most and b.most >= x.least)'
       from tandem.tracked_table t where t.table_id = (p_plan ->> 'id')::integer)) into v_none;
  end if;
  return v_none;
end $_$;


--
-- Name: FUNCTION none_here(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.none_here(p_plan jsonb) IS 'Whether no key of a staged set is here.';


--
-- Name: none_logged(tandem.tracked_table, text[], text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.none_logged(p_table tandem.tracked_table, p_after text[], p_upto text[]) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_none boolean := pg_relation_size(format('tandem_log.%I', p_table.log_name)) = 0;
begin
  if not v_none and p_table.key_types[1] in ('smallint', 'integer', 'bigint', 'date', 'timestamp with time zone', 'timestamp without time zone', 'uuid') then
    execute format('select not exists (select from tandem_log.%I l where %s and %s)', p_table.log_name,
      case when p_after is null then 'true' else format('l.k1 >= %L', p_after[1]) end, case when p_upto is null then 'true' else format('l.k1 <= %L', p_upto[1]) end)
    into v_none;
  end if;
  return v_none;
end $$;


--
-- Name: FUNCTION none_logged(p_table tandem.tracked_table, p_after text[], p_upto text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.none_logged(p_table tandem.tracked_table, p_after text[], p_upto text[]) IS 'Whether a range of keys has no entries.';


--
-- Name: not_forwarded(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.not_forwarded(p_peer_id integer) RETURNS integer[]
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select array_agg(s.peer_id order by s.peer_id)
    from tandem.peer s where s.peer_id = p_peer_id or tandem.forwarded_by_other(s.peer_id, p_peer_id));
end $$;


--
-- Name: FUNCTION not_forwarded(p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.not_forwarded(p_peer_id integer) IS 'Whose changes are not sent on to a peer.';


--
-- Name: not_staged(jsonb, integer, text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.not_staged(p_plans jsonb, p_table_id integer, p_values text[]) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select coalesce((select format('not exists (select from %s z where %s)', e ->> 'stage',
        tandem.all_equal(t.key_operators, tandem.key_names('z', cardinality(t.key_columns)), p_values))
      from jsonb_array_elements(p_plans) e join tandem.tracked_table t on t.table_id = (e ->> 'id')::integer
      where t.table_id = p_table_id), 'true'));
end $$;


--
-- Name: FUNCTION not_staged(p_plans jsonb, p_table_id integer, p_values text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.not_staged(p_plans jsonb, p_table_id integer, p_values text[]) IS 'Condition that a key is not staged.';


--
-- Name: note_assumed(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.note_assumed(p_plan jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  if p_plan ->> 'rejoin' in ('restored', 'replaced') then
    execute format('insert into tandem.assumed_version select distinct s.stamp, s.origin from %s s where s.present and s.op is null and s.stamp is not null on conflict do nothing',
      p_plan ->> 'stage');
  end if;
end $$;


--
-- Name: FUNCTION note_assumed(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.note_assumed(p_plan jsonb) IS 'Notes the versions that rows without an entry count with.';


--
-- Name: note_caught_up(integer, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.note_caught_up(p_peer_id integer, p_as_of timestamp with time zone, p_since timestamp with time zone) RETURNS void
    LANGUAGE sql
    AS $$
  update tandem.inbound set caught_up_at = p_as_of, lag = tandem.measured_lag(coalesce(p_since, caught_up_at))
  where peer_id = p_peer_id and coalesce(caught_up_at not between p_as_of - interval '30 seconds' and p_as_of, true)
$$;


--
-- Name: FUNCTION note_caught_up(p_peer_id integer, p_as_of timestamp with time zone, p_since timestamp with time zone); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.note_caught_up(p_peer_id integer, p_as_of timestamp with time zone, p_since timestamp with time zone) IS 'Notes that nothing waits for this node.';


--
-- Name: note_error(integer, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.note_error(p_peer_id integer, p_error text) RETURNS void
    LANGUAGE sql
    AS $$
  update tandem.inbound set last_error = p_error, last_error_at = case when p_error is null then null else clock_timestamp() end
  where peer_id = p_peer_id and last_error is distinct from p_error
$$;


--
-- Name: FUNCTION note_error(p_peer_id integer, p_error text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.note_error(p_peer_id integer, p_error text) IS 'Keeps a link''s error for status.';


--
-- Name: note_fallbacks(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.note_fallbacks(p_plan jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  if exists (select from tandem.verdict v where v.peer_id = (p_plan ->> 'peer')::integer and v.table_id = (p_plan ->> 'id')::integer
    and v.verdict = 'keep' and v.holder is not null)
  then
    execute format('insert into tandem.fallback_pair (schema_name, table_name, local_key, incoming_key)
        select %L, %L, v.holder, %s from %s s
        join tandem.verdict v on v.peer_id = %s and v.table_id = %s and v.n = s.n and v.verdict = ''keep'' and v.holder is not null
        on conflict do nothing',
      p_plan ->> 'schema', p_plan ->> 'table', p_plan ->> 'key_text', p_plan ->> 'stage', p_plan ->> 'peer', p_plan ->> 'id');
  end if;
end $$;


--
-- Name: FUNCTION note_fallbacks(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.note_fallbacks(p_plan jsonb) IS 'Notes rows that fell back because of the holder of their value.';


--
-- Name: note_heartbeat(integer, uuid, interval); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.note_heartbeat(p_peer_id integer, p_beat uuid, p_took interval) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
begin
  if to_regclass('tandem.heartbeat') is null or not exists (
    select from tandem.heartbeat h, tandem.peer p, tandem.local_node n
    where p.peer_id = p_peer_id and (h.source, h.target, h.beat) = (p.name, n.name, p_beat))
  then
    return false;
  end if;
  update tandem.inbound set heartbeat = p_took, heartbeat_at = clock_timestamp() where peer_id = p_peer_id;
  return true;
end $$;


--
-- Name: FUNCTION note_heartbeat(p_peer_id integer, p_beat uuid, p_took interval); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.note_heartbeat(p_peer_id integer, p_beat uuid, p_took interval) IS 'Keeps how long a heartbeat took, once it has come.';


--
-- Name: note_held(integer, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.note_held(p_peer_id integer, p_tables jsonb) RETURNS void
    LANGUAGE sql
    AS $$
  delete from tandem.outbound_held h where h.peer_id = p_peer_id
    and (h.schema_name, h.table_name) not in (select e ->> 'schema', e ->> 'name' from jsonb_array_elements(p_tables) e where e ->> 'position' <> '1:1:');
  insert into tandem.outbound_held as h (peer_id, schema_name, table_name, position)
  select p_peer_id, e ->> 'schema', e ->> 'name', (e ->> 'position')::pg_snapshot
  from jsonb_array_elements(p_tables) e where e ->> 'position' <> '1:1:'
  on conflict (peer_id, schema_name, table_name) do update set position = excluded.position where h.position::text <> excluded.position::text
$$;


--
-- Name: FUNCTION note_held(p_peer_id integer, p_tables jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.note_held(p_peer_id integer, p_tables jsonb) IS 'Notes which tables a target does not let flow.';


--
-- Name: note_history(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.note_history(p_history jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  lock table tandem.activity_entry in share row exclusive mode;
  insert into tandem.activity_entry (at, kind, source, target, message, actor)
  select e.at, e.kind, e.source, e.target, e.message, e.actor
  from jsonb_to_recordset(coalesce(p_history -> 'activity', '[]')) e (at timestamptz, kind text, source text, target text, message text, actor text);
  delete from tandem.activity_entry where activity_id <= (select max(activity_id) - 10000 from tandem.activity_entry);
  insert into tandem.throughput as t (peer_id, minute, rows, behind)
  select p.peer_id, date_trunc('minute', m.minute), sum(m.rows), max(m.behind) * interval '1 millisecond'
  from jsonb_to_recordset(coalesce(p_history -> 'moved', '[]')) m (source text, minute timestamptz, rows bigint, behind bigint)
  join tandem.peer p on p.name = m.source and p.gone_at is null
  group by 1, 2
  on conflict (peer_id, minute) do update set rows = t.rows + excluded.rows, behind = greatest(t.behind, excluded.behind);
  delete from tandem.throughput where minute < clock_timestamp() - interval '7 days';
end $$;


--
-- Name: FUNCTION note_history(p_history jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.note_history(p_history jsonb) IS 'Keeps what happened, and how much moved.';


--
-- Name: note_kept(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.note_kept(p_plan jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION note_kept(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.note_kept(p_plan jsonb) IS 'Notes rows that were kept for others that refer to them.';


--
-- Name: note_piece(jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.note_piece(p_batch jsonb, p_tables jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION note_piece(p_batch jsonb, p_tables jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.note_piece(p_batch jsonb, p_tables jsonb) IS 'Counts what a piece of a batch has done.';


--
-- Name: note_settled(integer, xid8, xid8); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.note_settled(p_peer_id integer, p_upto xid8, p_now xid8) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  if tandem.left_to_its_link(p_peer_id) then
    update tandem.inbound i set
      settled = case when i.settle_upto <= p_upto then i.settle_seen else i.settled end,
      settle_seen = case when i.settle_seen is null or i.settle_upto <= p_upto then pg_current_snapshot() else i.settle_seen end,
      settle_upto = case when i.settle_seen is not null and i.settle_upto is null then p_now end
    where i.peer_id = p_peer_id and (i.settle_seen is null or i.settle_upto is null or i.settle_upto <= p_upto);
  end if;
end $$;


--
-- Name: FUNCTION note_settled(p_peer_id integer, p_upto xid8, p_now xid8); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.note_settled(p_peer_id integer, p_upto xid8, p_now xid8) IS 'Notes what has reached all whom a peer sends to.';


--
-- Name: note_vanished(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.note_vanished(p_table_id integer) RETURNS void
    LANGUAGE sql
    AS $$
  update tandem.tracked_table set vanished = vanished + 1 where table_id = p_table_id
$$;


--
-- Name: FUNCTION note_vanished(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.note_vanished(p_table_id integer) IS 'Notes that rows may have gone unseen.';


--
-- Name: note_verification(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.note_verification(p_result jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  lock table tandem.verification in share row exclusive mode;
  insert into tandem.verification (as_of, finished_at, nodes, identical, tables, rows, differing, diverged)
  select r."asOf", r."finishedAt", r.nodes, r.identical, r.tables, r.rows, r.differing, r.diverged
  from jsonb_to_record(p_result) r ("asOf" timestamptz, "finishedAt" timestamptz, nodes text[], identical boolean, tables integer, rows bigint, differing bigint, diverged bigint);
  delete from tandem.verification where verification_id <= (select max(verification_id) - 100 from tandem.verification);
end $$;


--
-- Name: FUNCTION note_verification(p_result jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.note_verification(p_result jsonb) IS 'Keeps what a comparison of all nodes has shown.';


--
-- Name: object_name(text, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.object_name(p_prefix text, p_schema text, p_table text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $$
declare
  v_name text := p_prefix || p_schema || '.' || p_table;
  v_head text := v_name;
begin
  if octet_length(v_name) <= 63 and position('.' in p_schema || p_table) = 0 then
    return v_name;
  end if;
  while octet_length(v_head) > 54 loop
    v_head := left(v_head, -1);
  end loop;
  return v_head || '~' || left(md5(p_prefix || format('%I.%I', p_schema, p_table)), 8);
end $$;


--
-- Name: FUNCTION object_name(p_prefix text, p_schema text, p_table text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.object_name(p_prefix text, p_schema text, p_table text) IS 'Name of an object of Tandem''s for a user''s table.';


--
-- Name: offer_contact(integer, uuid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.offer_contact(p_peer_id integer, p_token uuid) RETURNS uuid
    LANGUAGE plpgsql
    AS $$
declare
  v_token uuid := gen_random_uuid();
begin
  perform 1 from tandem.outbound where peer_id = p_peer_id for no key update;
  if not coalesce(tandem.contact_fits(p_peer_id, p_token), false) then
    raise exception 'the contact token of peer "%" does not fit: one of the two databases was restored, cloned or branched',
      (select name from tandem.peer where peer_id = p_peer_id) using errcode = 'TD002';
  end if;
  update tandem.outbound set token = p_token,
    pending_tokens = array[v_token] || case when token is not distinct from p_token then pending_tokens[:99] else '{}' end
  where peer_id = p_peer_id;
  return v_token;
end $$;


--
-- Name: FUNCTION offer_contact(p_peer_id integer, p_token uuid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.offer_contact(p_peer_id integer, p_token uuid) IS 'Offers the token of the next contact.';


--
-- Name: offer_small(text, pg_snapshot, uuid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.offer_small(p_target text, p_from pg_snapshot, p_held uuid) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  v_peer integer := (select p.peer_id from tandem.peer p where p.name = p_target and p.configured);
  v_sent boolean := (select bool_or(e.sent) from tandem.entries_for(p_from, v_peer) e);
begin
  if not coalesce(v_sent, false) then
    return jsonb_build_object('quiet', true, 'passed', v_sent is not null, 'offer', null);
  end if;
  return jsonb_build_object('quiet', false, 'passed', false, 'offer', case when tandem.contact_fits(v_peer, p_held) then tandem.offer_contact(v_peer, p_held) end);
end $$;


--
-- Name: FUNCTION offer_small(p_target text, p_from pg_snapshot, p_held uuid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.offer_small(p_target text, p_from pg_snapshot, p_held uuid) IS 'Offers the token of a small batch.';


--
-- Name: open_probe(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.open_probe() RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform tandem.close_probe();
  create table tandem.probe (node text collate "C" primary key, sent_at timestamptz not null default clock_timestamp());
  comment on table tandem.probe is 'Rows of "tandem doctor --roundtrip", while it runs.';
  perform tandem.track_own_table('probe');
end $$;


--
-- Name: FUNCTION open_probe(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.open_probe() IS 'Makes and captures the table of a round trip.';


--
-- Name: open_small(text, text, pg_snapshot, jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.open_small(p_self text, p_target text, p_from pg_snapshot, p_confirm jsonb, p_tables jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  v_state jsonb := tandem.source_state(p_self, p_target);
  v_peer integer := (v_state ->> 'peer')::integer;
  v_changed integer[];
begin
  if p_confirm is not null then
    perform tandem.confirm(v_peer, (p_confirm ->> 'position')::pg_snapshot, (p_confirm ->> 'token')::uuid, (p_confirm ->> 'seen')::pg_snapshot, '[]');
  end if;
  if p_tables <> '[]' then
    v_changed := array(select tandem.tables_with_entries(p_from));
    perform tandem.make_reader(v_peer, e) from jsonb_array_elements(p_tables) e where (e ->> 'id')::integer = any (v_changed);
  end if;
  return v_state;
end $$;


--
-- Name: FUNCTION open_small(p_self text, p_target text, p_from pg_snapshot, p_confirm jsonb, p_tables jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.open_small(p_self text, p_target text, p_from pg_snapshot, p_confirm jsonb, p_tables jsonb) IS 'Begins a small batch at its source.';


--
-- Name: orphans(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.orphans(p_plan jsonb, p_where text) RETURNS TABLE(n bigint, reason text)
    LANGUAGE plpgsql
    AS $$
declare
  f record;
begin
  for f in select * from tandem.plan_foreign_keys(p_plan) loop
    -- The distinct values first: a lock keeps the planner from turning EXISTS into a join.
    execute format('with x as materialized (select distinct %s from %s s join %s t on %s where (%s) and s.present and %s and %s)
        select count(*) from (select 1 from x t join %s p on %s for key share of p) y',
      f.t_columns, p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_where, tandem.applies(p_plan), f.t_not_null, f.parent, f.parent_is_t);
    return query execute format('select s.n, %L::text from %s s join %s t on %s where (%s) and s.present and %s and %s and not exists (select from %s p where %s)',
      format('the row it refers to is not there (%s)', f.name), p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_where, tandem.applies(p_plan),
      f.t_not_null, f.parent, f.parent_is_t);
  end loop;
end $$;


--
-- Name: FUNCTION orphans(p_plan jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.orphans(p_plan jsonb, p_where text) IS 'Staged rows without the parent they refer to.';


--
-- Name: over(jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.over(p_plan jsonb, p_left jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $$
begin
  return (
    select coalesce((select 'not (' || string_agg(format('%s and s.n >= %s', x.phase, x.low), ' or ') || ')'
      from (select e ->> 'phase' as phase, min((e ->> 'low')::bigint) as low from jsonb_array_elements(p_left) e where e -> 'id' = p_plan -> 'id' group by 1) x), 'true'));
end $$;


--
-- Name: FUNCTION over(p_plan jsonb, p_left jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.over(p_plan jsonb, p_left jsonb) IS 'Condition that a staged row is done with.';


--
-- Name: parents_first(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.parents_first(p_plans jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
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


--
-- Name: FUNCTION parents_first(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.parents_first(p_plans jsonb) IS 'Plans in foreign-key order.';


--
-- Name: park_unsettled(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.park_unsettled(p_plan jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  execute format('insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason)
      select %s, %s, s.n, ''park'', ''busy'', ''the row is locked at the source, where its entries must be settled first'' from %s s where s.unsettled
      on conflict do nothing', p_plan ->> 'peer', p_plan ->> 'id', p_plan ->> 'stage');
end $$;


--
-- Name: FUNCTION park_unsettled(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.park_unsettled(p_plan jsonb) IS 'Lets rows wait that the source could not settle.';


--
-- Name: park_verdicts(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.park_verdicts(p_plan jsonb, p_where text DEFAULT 'true'::text) RETURNS void
    LANGUAGE plpgsql
    AS $_$
begin
  if exists (select from tandem.parked_change c
    where (c.peer_id, c.schema_name, c.table_name) = ((p_plan ->> 'peer')::integer, p_plan ->> 'schema', p_plan ->> 'table'))
  then
    execute format('delete from tandem.parked_change c using %1$s s where c.peer_id = %2$s and c.schema_name = %3$L and c.table_name = %4$L and c.key = %5$s and (%7$s)
        and s.n not in (select v.n from tandem.verdict v where v.peer_id = %2$s and v.table_id = %6$s and v.verdict = ''park'')',
      p_plan ->> 'stage', p_plan ->> 'peer', p_plan ->> 'schema', p_plan ->> 'table', p_plan ->> 'key_text', p_plan ->> 'id', p_where);
  end if;
  if not exists (select from tandem.verdict v
    where (v.peer_id, v.table_id, v.verdict) = ((p_plan ->> 'peer')::integer, (p_plan ->> 'id')::integer, 'park'))
  then
    return;
  end if;
  execute format($sql$
    insert into tandem.parked_change as c (peer_id, schema_name, table_name, key, kind, reason, sqlstate, stamp, origin)
    select %1$s, %2$L, %3$L, %4$s, v.kind, v.reason, v.sqlstate, s.stamp, s.origin
    from tandem.verdict v join %5$s s on s.n = v.n
    where v.peer_id = %1$s and v.table_id = %6$s and v.verdict = 'park' and (%7$s)
    on conflict (peer_id, schema_name, table_name, key) do update set
      kind = excluded.kind, reason = excluded.reason, sqlstate = excluded.sqlstate, stamp = excluded.stamp, origin = excluded.origin,
      attempts = case when (c.stamp, c.origin) is not distinct from (excluded.stamp, excluded.origin) then c.attempts + 1 else 1 end,
      tried_at = clock_timestamp(),
      next_try_at = least(
        clock_timestamp() + case excluded.kind when 'busy' then interval '100 milliseconds' * 2 ^ least(c.attempts, 7)
          else least(interval '1 hour', interval '1 second' * 2 ^ least(c.attempts, 12)) end,
        case excluded.kind when 'ahead' then excluded.stamp - (select n.max_skew from tandem.local_node n) end)
  $sql$, p_plan ->> 'peer', p_plan ->> 'schema', p_plan ->> 'table', p_plan ->> 'key_text', p_plan ->> 'stage', p_plan ->> 'id', p_where);
end $_$;


--
-- Name: FUNCTION park_verdicts(p_plan jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.park_verdicts(p_plan jsonb, p_where text) IS 'Enters what could not be applied, and forgets what waits no longer.';


--
-- Name: parked_keys(integer, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.parked_keys(p_peer_id integer, p_due_only boolean) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
  select coalesce(jsonb_agg(jsonb_build_object('schema', x.schema_name, 'name', x.table_name, 'keys', x.keys, 'busy', x.busy)), '[]')
  from (
    select c.schema_name, c.table_name, jsonb_agg(to_jsonb(c.key)) as keys, coalesce(jsonb_agg(to_jsonb(c.key)) filter (where c.kind = 'busy'), '[]') as busy
    from tandem.parked_change c
    where c.peer_id = p_peer_id and (not p_due_only or c.next_try_at <= clock_timestamp() or c.tried_at > clock_timestamp())
    group by 1, 2 order by 1, 2) x
$$;


--
-- Name: FUNCTION parked_keys(p_peer_id integer, p_due_only boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.parked_keys(p_peer_id integer, p_due_only boolean) IS 'Keys parked from a peer.';


--
-- Name: parked_row(bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.parked_row(p_parked_id bigint) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
  select jsonb_build_object('peer', p.name, 'schema', c.schema_name, 'table', c.table_name, 'key', to_jsonb(c.key))
  from tandem.parked_change c join tandem.peer p using (peer_id) where c.parked_id = p_parked_id
$$;


--
-- Name: FUNCTION parked_row(p_parked_id bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.parked_row(p_parked_id bigint) IS 'Which row a parked change is of.';


--
-- Name: passed_by_all(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.passed_by_all() RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select case when not coalesce(a.missing, false) then concat_ws(' and ', 'true', a.passed, b.settled) end
  from (select bool_or(o.prunable is null) as missing, string_agg(format('pg_visible_in_snapshot(l.xid, %L::pg_snapshot)', o.prunable), ' and ') as passed
    from tandem.outbound o) a
  cross join (select string_agg(format('(l.received_from is null or (l.received_from <> %s and (l.received_from, l.origin) in (%s)) or %s)', i.peer_id, n.names,
      coalesce(format('pg_visible_in_snapshot(l.xid, %L::pg_snapshot)', i.settled::text), 'false')), ' and ') as settled
    from tandem.inbound i cross join (select string_agg(format('(%s, %L)', p.peer_id, p.name), ', ') as names from tandem.peer p) n
    where tandem.left_to_its_link(i.peer_id)) b
$$;


--
-- Name: FUNCTION passed_by_all(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.passed_by_all() IS 'Condition that every peer has an entry for good.';


--
-- Name: pause_link(text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.pause_link(p_source text, p_by text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
begin
  insert into tandem.paused_link (peer_id, paused_by) values (tandem.inbound_peer(p_source), p_by) on conflict do nothing;
  return found;
end $$;


--
-- Name: FUNCTION pause_link(p_source text, p_by text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.pause_link(p_source text, p_by text) IS 'Lets the link from a source rest.';


--
-- Name: plan_catalog(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.plan_catalog(p_plan jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_id constant integer := p_plan ->> 'id';
  v_relid constant oid := (select t.relid from tandem.tracked_table t where t.table_id = v_id);
  v_columns constant text[] := array(select jsonb_array_elements_text(p_plan -> 'columns'));
  v_as_text constant boolean := p_plan ->> 'as_text';
  v_said jsonb := '{"foreign_keys": [], "parents": [], "references": [], "changes": [], "uniques": []}';
begin
  -- each of these queries takes longer to plan than a round lasts: what a table does not have is not asked for
  if exists (select from pg_constraint c where c.conrelid = v_relid and c.contype = 'f') then
    v_said := v_said || jsonb_build_object(
      'foreign_keys', (select coalesce(jsonb_agg(to_jsonb(f) order by f.name), '[]') from tandem.foreign_keys(v_id) f),
      'parents', (select coalesce(jsonb_agg(to_jsonb(r)), '[]') from tandem.staged_parents(p_plan) r), 'refers', tandem.refers_as_staged(p_plan));
  end if;
  if exists (select from pg_constraint c where c.confrelid = v_relid and c.contype = 'f') then
    v_said := v_said || jsonb_build_object(
      'references', (select coalesce(jsonb_agg(to_jsonb(r) order by r.name), '[]') from tandem.references_to(v_id) r),
      'changes', (select coalesce(jsonb_agg(to_jsonb(r) order by r.name), '[]') from tandem.reference_changes(v_id, v_columns, v_as_text) r),
      'rewriting', tandem.key_rewriting(p_plan));
  end if;
  if (select count(*) > 1 from pg_index i where i.indrelid = v_relid and i.indisunique) then
    v_said := v_said || jsonb_build_object('uniques', (select coalesce(jsonb_agg(to_jsonb(u) order by u.index_name), '[]')
      from tandem.unique_matches(v_id, v_columns, v_as_text, p_plan ->> 'stage') u));
  end if;
  return v_said || jsonb_build_object('image_query', tandem.image_query(p_plan),
    'sequences', (select coalesce(jsonb_agg(to_jsonb(s)), '[]') from tandem.sequences_of(v_id) s));
end $$;


--
-- Name: FUNCTION plan_catalog(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.plan_catalog(p_plan jsonb) IS 'What the catalogs say of a table.';


--
-- Name: plan_changes(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.plan_changes(p_plan jsonb) RETURNS TABLE(name text, action text, child_oid oid, child text, child_id integer, child_is_t text, child_columns text[], changed text, assignments text)
    LANGUAGE sql IMMUTABLE
    AS $$
  select * from jsonb_to_recordset(p_plan -> 'changes')
    as x (name text, action text, child_oid oid, child text, child_id integer, child_is_t text, child_columns text[], changed text, assignments text)
$$;


--
-- Name: FUNCTION plan_changes(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.plan_changes(p_plan jsonb) IS 'Foreign keys that refer to columns beside the key, from a plan.';


--
-- Name: plan_columns(oid, text[], boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.plan_columns(p_relid oid, p_columns text[], p_as_text boolean) RETURNS TABLE(i bigint, name text, attnum smallint, base text, identity "char", value text)
    LANGUAGE sql STABLE
    AS $$
  select u.i, u.name, a.attnum, b.base, a.attidentity, case when p_as_text then format('s.c%s::%s', u.i, b.base) else 's.c' || u.i end
  from unnest(p_columns) with ordinality u (name, i)
  join pg_attribute a on a.attrelid = p_relid and a.attname = u.name and not a.attisdropped
  cross join lateral (select format_type(tandem.base_type(a.atttypid), -1) as base) b
$$;


--
-- Name: FUNCTION plan_columns(p_relid oid, p_columns text[], p_as_text boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.plan_columns(p_relid oid, p_columns text[], p_as_text boolean) IS 'Staged columns as a plan needs them.';


--
-- Name: plan_foreign_keys(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.plan_foreign_keys(p_plan jsonb) RETURNS TABLE(name text, parent_oid oid, parent text, parent_is_t text, t_not_null text, t_columns text)
    LANGUAGE sql IMMUTABLE
    AS $$
  select * from jsonb_to_recordset(p_plan -> 'foreign_keys')
    as x (name text, parent_oid oid, parent text, parent_is_t text, t_not_null text, t_columns text)
$$;


--
-- Name: FUNCTION plan_foreign_keys(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.plan_foreign_keys(p_plan jsonb) IS 'Foreign keys, from a plan.';


--
-- Name: plan_parents(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.plan_parents(p_plan jsonb) RETURNS TABLE(parent_id integer, parent text, parent_is_s text, staged_values text[])
    LANGUAGE sql IMMUTABLE
    AS $$
  select * from jsonb_to_recordset(p_plan -> 'parents') as x (parent_id integer, parent text, parent_is_s text, staged_values text[])
$$;


--
-- Name: FUNCTION plan_parents(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.plan_parents(p_plan jsonb) IS 'Parents of staged rows, from a plan.';


--
-- Name: plan_references(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.plan_references(p_plan jsonb) RETURNS TABLE(name text, action text, child_oid oid, child text, child_id integer, child_is_t text, child_columns text[], set_columns text[], update_action text, to_key boolean)
    LANGUAGE sql IMMUTABLE
    AS $$
  select * from jsonb_to_recordset(p_plan -> 'references')
    as x (name text, action text, child_oid oid, child text, child_id integer, child_is_t text, child_columns text[], set_columns text[], update_action text, to_key boolean)
$$;


--
-- Name: FUNCTION plan_references(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.plan_references(p_plan jsonb) IS 'Foreign keys that refer to the table, from a plan.';


--
-- Name: plan_sequences(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.plan_sequences(p_plan jsonb) RETURNS TABLE(column_name text, sequence regclass, increment bigint)
    LANGUAGE sql IMMUTABLE
    AS $$
  select * from jsonb_to_recordset(p_plan -> 'sequences') as x (column_name text, sequence regclass, increment bigint)
$$;


--
-- Name: FUNCTION plan_sequences(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.plan_sequences(p_plan jsonb) IS 'Sequences of the table''s columns, from a plan.';


--
-- Name: plan_uniques(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.plan_uniques(p_plan jsonb) RETURNS TABLE(index_name text, key_columns text[], staged text, local text, same_value text, same_key text)
    LANGUAGE sql IMMUTABLE
    AS $$
  select * from jsonb_to_recordset(p_plan -> 'uniques')
    as x (index_name text, key_columns text[], staged text, local text, same_value text, same_key text)
$$;


--
-- Name: FUNCTION plan_uniques(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.plan_uniques(p_plan jsonb) IS 'Unique indexes beside the key, from a plan.';


--
-- Name: prepare_stage(integer, integer, text[], boolean, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.prepare_stage(p_peer_id integer, p_table_id integer, p_columns text[], p_as_text boolean DEFAULT false, p_append boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql
    AS $$
declare
  t tandem.tracked_table;
  v_name text;
  v_definition text;
  v_index regclass;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_name := tandem.stage_name(p_peer_id, t.schema_name, t.table_name);
  select format('n bigint not null default nextval(''tandem.staged_row''), %s, op "char", present boolean not null, stamp timestamptz, origin text collate "C", '
    'known_stamps timestamptz[], known_origins text[], parked_there boolean not null default false, unsettled boolean not null default false, unplaced text, asked boolean not null default false, '
    'misfit_state text, misfit text',
    (select string_agg(format('k%s %s not null', u.i, tandem.sent_key_type(u.type)), ', ' order by u.i) from unnest(t.key_types) with ordinality u (type, i)))
    || coalesce((select string_agg(format(', c%s %s', u.i, case when p_as_text then 'text'
        else format_type(tandem.base_type(a.atttypid), -1) end), '' order by u.i)
      from unnest(p_columns) with ordinality u (name, i)
      join pg_attribute a on a.attrelid = t.relid and a.attname = u.name and not a.attisdropped), '')
  into v_definition;
  if v_definition is distinct from tandem.comment_on(to_regclass(format('tandem_log.%I', v_name)), 'pg_class') then
    execute format('drop table if exists tandem_log.%I', v_name);
    execute format('create unlogged table tandem_log.%I (%s)', v_name, v_definition);
    execute format('comment on table tandem_log.%I is %L', v_name, v_definition);
    -- It is emptied by TRUNCATE, which waits for an autovacuum longer than the applier does, or by DELETE while it is small.
    execute format('alter table tandem_log.%I set (autovacuum_enabled = off, toast.autovacuum_enabled = off)', v_name);
  elsif p_append then
    null;
  elsif pg_relation_size(format('tandem_log.%I', v_name)) > 1048576 then
    for v_index in select i.indexrelid::regclass from pg_index i where i.indrelid = format('tandem_log.%I', v_name)::regclass loop
      execute format('drop index %s', v_index);
    end loop;
    execute format('truncate tandem_log.%I', v_name);
  else
    execute format('delete from tandem_log.%I', v_name);
  end if;
  return format('tandem_log.%I', v_name);
end $$;


--
-- Name: FUNCTION prepare_stage(p_peer_id integer, p_table_id integer, p_columns text[], p_as_text boolean, p_append boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.prepare_stage(p_peer_id integer, p_table_id integer, p_columns text[], p_as_text boolean, p_append boolean) IS 'Makes a staging table empty and fit.';


--
-- Name: preview_batch(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.preview_batch(p_batch jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $_$
declare
  v_peer integer := (p_batch ->> 'peer')::integer;
  v_plan jsonb;
  v_one jsonb;
  v_all jsonb := '[]';
begin
  delete from tandem.verdict where peer_id = v_peer;
  perform tandem.write_out((e ->> 'id')::integer) from jsonb_array_elements(p_batch -> 'tables') e;
  for v_plan in select e from jsonb_array_elements(tandem.make_plans(v_peer, p_batch -> 'tables', false)) e loop
    perform tandem.decide(v_plan, (v_plan ->> 'known')::pg_snapshot, (p_batch ->> 'horizon')::timestamptz, p_batch ->> 'mode' = 'copy', p_batch ->> 'source');
    execute format($sql$
      select jsonb_build_object('schema', %1$L::text, 'name', %2$L::text,
        'insert', count(*) filter (where s.present and %3$s is not distinct from null and x.written),
        'update', count(*) filter (where s.present and %3$s is distinct from null and x.written),
        'delete', count(*) filter (where not s.present and %3$s is distinct from null and x.written),
        'conflict', count(*) filter (where v.verdict in ('win', 'lose', 'prefer', 'tie', 'anew')),
        'refuse', count(*) filter (where v.verdict in ('undecided', 'park')))
      from %4$s s left join %5$s t on %6$s
      left join tandem.verdict v on v.peer_id = %7$s and v.table_id = %8$s and v.n = s.n
      cross join lateral (select v.verdict is null or v.verdict in ('win', 'anew') as written) x
    $sql$, v_plan ->> 'schema', v_plan ->> 'table', v_plan ->> 'first_key', v_plan ->> 'stage', v_plan ->> 'relation', v_plan ->> 'key_is_row', v_peer, v_plan ->> 'id')
    into v_one;
    v_all := v_all || jsonb_build_array(v_one);
  end loop;
  return jsonb_build_object('tables', v_all);
end $_$;


--
-- Name: FUNCTION preview_batch(p_batch jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.preview_batch(p_batch jsonb) IS 'What a staged batch would do.';


--
-- Name: probe_flows(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.probe_flows(p_source text) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
  select exists (
    select from tandem.inbound_table b join tandem.peer p using (peer_id)
    where p.name = p_source and p.configured and (b.schema_name, b.table_name, b.state) = ('tandem', 'probe', 'flow'))
$$;


--
-- Name: FUNCTION probe_flows(p_source text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.probe_flows(p_source text) IS 'Whether a link carries the probe.';


--
-- Name: prune(bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.prune(p_limit bigint DEFAULT 100000) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  n tandem.local_node;
  t tandem.tracked_table;
  v_passed text := tandem.passed_by_all();
  v_cutoff timestamptz;
  v_count bigint;
  v_total bigint := 0;
begin
  perform tandem.check_identity();
  select * into strict n from tandem.local_node;
  v_cutoff := clock_timestamp() - n.retention;
  perform tandem.prune_conflicts(), tandem.settle_dropped();
  if v_passed is null then
    return 0;
  end if;
  update tandem.local_node set horizon = v_cutoff, pruned_at = clock_timestamp() where horizon < v_cutoff;
  for t in select * from tandem.tracked_table order by table_id loop
    perform tandem.write_out(t.table_id, p_limit / tandem.block_rows());
    execute format('delete from tandem_log.%1$I l where l.ctid in (select l.ctid from tandem_log.%1$I l where l.stamp < %2$L and %3$s
        and not exists (select from tandem_log.%10$I o where %8$s and (o.stamp, o.origin) < (l.stamp, l.origin) and not (%9$s))
        and not exists (select from tandem.outbound_parked k where k.schema_name = %4$L and k.table_name = %5$L and k.key = ''{}'')
        and not exists (select from tandem.outbound_parked k where %6$s)
        and not exists (select from tandem.inbound_table b where b.state <> ''flow'' and b.schema_name = %4$L and b.table_name = %5$L)
      order by l.stamp, l.origin limit %7$s)',
      t.log_name, v_cutoff, v_passed, t.schema_name, t.table_name,
      tandem.same_parked_key(t, 'k', tandem.key_names('l', cardinality(t.key_columns))), p_limit,
      tandem.all_equal(t.key_operators, tandem.key_names('o', cardinality(t.key_columns)), tandem.key_names('l', cardinality(t.key_columns))),
      replace(v_passed, 'l.', 'o.'), t.entries_name);
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  return v_total;
end $_$;


--
-- Name: FUNCTION prune(p_limit bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.prune(p_limit bigint) IS 'Deletes log entries that every peer has passed.';


--
-- Name: prune_conflicts(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.prune_conflicts() RETURNS bigint
    LANGUAGE plpgsql
    AS $$
declare
  v_count bigint;
begin
  delete from tandem.conflict c using tandem.local_node n where c.detected_at < clock_timestamp() - n.keep_conflicts;
  get diagnostics v_count = row_count;
  return v_count;
end $$;


--
-- Name: FUNCTION prune_conflicts(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.prune_conflicts() IS 'Forgets conflicts that were kept long enough.';


--
-- Name: query_of(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.query_of(p_columns jsonb, p_from text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    AS $$
begin
  return (
    select jsonb_build_object('query', format('select %s %s', string_agg(format('%s as %s', c ->> 1, c ->> 0), ', ' order by i), p_from), 'columns', jsonb_agg(c -> 0 order by i))
    from jsonb_array_elements(p_columns) with ordinality x (c, i));
end $$;


--
-- Name: FUNCTION query_of(p_columns jsonb, p_from text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.query_of(p_columns jsonb, p_from text) IS 'A COPY query and what it yields.';


--
-- Name: quoted(text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.quoted(p_names text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    AS $$
  select coalesce(array_agg(quote_ident(u.name) order by u.i), '{}') from unnest(p_names) with ordinality u (name, i)
$$;


--
-- Name: FUNCTION quoted(p_names text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.quoted(p_names text[]) IS 'Names, quoted where they need it.';


--
-- Name: raise_block_floor(timestamp with time zone); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.raise_block_floor(p_stamp timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_us bigint := tandem.to_us(p_stamp);
begin
  perform 1 from tandem.block_floor_turn for update;
  if v_us > coalesce(pg_sequence_last_value('tandem.block_floor'), 0) then
    perform setval('tandem.block_floor', v_us);
  end if;
  raise exception using errcode = 'TD009';
exception when sqlstate 'TD009' then
  null;
end $$;


--
-- Name: FUNCTION raise_block_floor(p_stamp timestamp with time zone); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.raise_block_floor(p_stamp timestamp with time zone) IS 'Raises the floor under stamps to that of a block.';


--
-- Name: raise_floor(integer, timestamp with time zone); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.raise_floor(p_peer_id integer, p_stamp timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_sequence regclass;
begin
  select format('tandem_log.%I', 'floor ' || p.name)::regclass into strict v_sequence
  from tandem.peer p where p.peer_id = p_peer_id;
  if p_stamp > timestamptz '1970-01-01 00:00:00+00'
    and tandem.to_us(p_stamp) > coalesce(pg_sequence_last_value(v_sequence), 0) then
    perform setval(v_sequence, tandem.to_us(p_stamp));
  end if;
end $$;


--
-- Name: FUNCTION raise_floor(p_peer_id integer, p_stamp timestamp with time zone); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.raise_floor(p_peer_id integer, p_stamp timestamp with time zone) IS 'Raises the floor of an incoming link.';


--
-- Name: read_small(text, pg_snapshot, bigint, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.read_small(p_target text, p_from pg_snapshot, p_limit bigint, p_tables jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $_$
declare
  v_peer integer := (select p.peer_id from tandem.peer p where p.name = p_target and p.configured);
  v_changed integer[] := array(select tandem.tables_with_entries(p_from));
  v_header jsonb;
  e jsonb;
  v_reader regprocedure;
  v_rows text[];
  v_tables jsonb := '[]';
begin
  if v_peer is null or not v_changed <@ array(select (x ->> 'id')::integer from jsonb_array_elements(p_tables) x) then
    return '{"small": false}';
  end if;
  v_header := tandem.batch_header(v_peer, v_changed);
  for e in select x from jsonb_array_elements(p_tables) x where (x ->> 'id')::integer = any (v_changed) loop
    -- Made before the locks: what it was made of must not have changed since.
    v_reader := tandem.reader_of(v_peer, (e ->> 'id')::integer);
    if tandem.reader_mark(v_peer, e) is distinct from tandem.comment_on(v_reader, 'pg_proc') then
      return '{"small": false}';
    end if;
    execute format('select %s($1, $2, $3)', v_reader::regproc) into v_rows
    using pg_snapshot_xmax(p_from), array(select pg_snapshot_xip(p_from)), p_limit;
    if v_rows is null then
      return '{"small": false}';
    end if;
    v_tables := v_tables || jsonb_build_array(jsonb_build_object('id', e -> 'id', 'known', v_header #> array['known', e ->> 'id'], 'rows', to_jsonb(v_rows)));
  end loop;
  return jsonb_build_object('small', true, 'to', pg_current_snapshot()::text, 'horizon', v_header -> 'horizon', 'tables', v_tables);
end $_$;


--
-- Name: FUNCTION read_small(p_target text, p_from pg_snapshot, p_limit bigint, p_tables jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.read_small(p_target text, p_from pg_snapshot, p_limit bigint, p_tables jsonb) IS 'Reads a small batch.';


--
-- Name: reader_mark(integer, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.reader_mark(p_peer_id integer, p_table jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select md5(concat_ws(' ', t.xmin, c.xmin, p_table, tandem.not_forwarded(p_peer_id), (select max(f.installed_at) from tandem.sql_file f)))
    from tandem.tracked_table t
    join pg_class c on c.oid = t.relid and c.oid = to_regclass(format('%I.%I', t.schema_name, t.table_name))
    where t.table_id = (p_table ->> 'id')::integer and tandem.columns_mark(t.relid) = p_table ->> 'mark');
end $$;


--
-- Name: FUNCTION reader_mark(p_peer_id integer, p_table jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.reader_mark(p_peer_id integer, p_table jsonb) IS 'Fingerprint of what a reader is made of.';


--
-- Name: reader_name(integer, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.reader_name(p_peer_id integer, p_schema text, p_table text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select tandem.object_name('reader ' || p_peer_id || ' ', p_schema, p_table)
$$;


--
-- Name: FUNCTION reader_name(p_peer_id integer, p_schema text, p_table text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.reader_name(p_peer_id integer, p_schema text, p_table text) IS 'Name of the function that reads small batches of a link and table.';


--
-- Name: reader_of(integer, integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.reader_of(p_peer_id integer, p_table_id integer) RETURNS regprocedure
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (select to_regprocedure(format('tandem_log.%I(xid8, xid8[], bigint)', tandem.reader_name(p_peer_id, t.schema_name, t.table_name)))
    from tandem.tracked_table t where t.table_id = p_table_id);
end $$;


--
-- Name: FUNCTION reader_of(p_peer_id integer, p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.reader_of(p_peer_id integer, p_table_id integer) IS 'The reader of a link and table.';


--
-- Name: reassert_holders(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.reassert_holders(p_plan jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_key text;
  v_count bigint;
begin
  if not exists (select from tandem.fallback_pair p where (p.schema_name, p.table_name) = (p_plan ->> 'schema', p_plan ->> 'table'))
    and not exists (select from tandem.verdict v
      where (v.peer_id, v.table_id, v.verdict) = ((p_plan ->> 'peer')::integer, (p_plan ->> 'id')::integer, 'park') and v.holder is not null)
  then
    return 0;
  end if;
  select * into strict t from tandem.tracked_table where table_id = (p_plan ->> 'id')::integer;
  v_key := format('array[%s]', (select string_agg(c || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) c));
  execute format('delete from tandem.fallback_pair p where p.schema_name = %L and p.table_name = %L and not exists (select from %s t where %s = p.local_key)',
    t.schema_name, t.table_name, p_plan ->> 'relation', v_key);
  if not exists (select from tandem.verdict v where v.peer_id = (p_plan ->> 'peer')::integer and v.table_id = t.table_id and v.verdict = 'park' and v.holder is not null) then
    return 0;
  end if;
  execute tandem.capture_insert(t, (select name from tandem.local_node), '$1', 'U', tandem.columns('t', t.key_columns),
    format('from %s t where %s in (select v.holder from tandem.verdict v where v.peer_id = %s and v.table_id = %s and v.verdict = ''park'')',
      p_plan ->> 'relation', v_key, p_plan ->> 'peer', t.table_id))
  using tandem.next_stamp();
  get diagnostics v_count = row_count;
  return v_count;
end $_$;


--
-- Name: FUNCTION reassert_holders(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.reassert_holders(p_plan jsonb) IS 'Writes referred-to holders anew.';


--
-- Name: received_from(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.received_from(p_plan jsonb, p_alias text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select case when p_plan ->> 'rejoin' = 'survivor' and p_plan ->> 'missing' = 'keep'
    then format('case when %s.origin <> %L then %s end', p_alias, n.name, p_plan ->> 'peer') else p_plan ->> 'peer' end
  from tandem.local_node n
$$;


--
-- Name: FUNCTION received_from(p_plan jsonb, p_alias text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.received_from(p_plan jsonb, p_alias text) IS 'From which peer a staged row is received.';


--
-- Name: reconcile_tables(integer, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.reconcile_tables(p_peer_id integer, p_source_tables jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  v_changed integer := 0;
  r record;
begin
  update tandem.inbound set position = '1:1:' where peer_id = p_peer_id and position is null;
  v_changed := v_changed + (case when found then 1 else 0 end);
  for r in
    select s.schema, s.name, s.vanished, b.state, i.position,
      case
        when not s.exists then 'the table is not there at the source any more'
        when t.id is null then coalesce((select 'not tracked here: ' || c.reason from tandem.table_candidates c
          where c.schema_name = s.schema and c.table_name = s.name and c.reason is not null),
          case when to_regclass(format('%I.%I', s.schema, s.name)) is null then 'there is no such table here' else 'not tracked here' end)
        when not t.exists then 'the table is not there any more'
        else tandem.shape_difference(s.e, t.e)
      end as reason, b.reason as old_reason
    from (select e, e ->> 'schema' as schema, e ->> 'name' as name, (e ->> 'exists')::boolean as exists, (e ->> 'vanished')::integer as vanished
      from jsonb_array_elements(p_source_tables) e) s
    left join (select e, e ->> 'schema' as schema, e ->> 'name' as name, (e ->> 'id')::integer as id, (e ->> 'exists')::boolean as exists
      from jsonb_array_elements(tandem.describe_tables()) e) t using (schema, name)
    left join tandem.inbound_table b on b.peer_id = p_peer_id and b.schema_name = s.schema and b.table_name = s.name
    join tandem.inbound i on i.peer_id = p_peer_id
    where t.id is not null or s.schema <> 'tandem'
  loop
    if r.reason is not null and r.state is null then
      insert into tandem.inbound_table (peer_id, schema_name, table_name, state, position, reason, vanished_seen)
      values (p_peer_id, r.schema, r.name, 'held', '1:1:', r.reason, r.vanished);
      v_changed := v_changed + 1;
    elsif r.reason is not null and (r.state <> 'held' or r.reason <> r.old_reason) then
      update tandem.inbound_table set state = 'held', position = coalesce(position, r.position), reason = r.reason, since = clock_timestamp()
      where peer_id = p_peer_id and schema_name = r.schema and table_name = r.name;
      v_changed := v_changed + 1;
    elsif r.reason is null and r.state is null then
      insert into tandem.inbound_table (peer_id, schema_name, table_name, state, position, vanished_seen)
      values (p_peer_id, r.schema, r.name, 'copy', '1:1:', r.vanished);
      v_changed := v_changed + 1;
    elsif r.reason is null and r.state = 'held' then
      update tandem.inbound_table set state = case when position::text = '1:1:' then 'copy' else 'catch_up' end, reason = null, since = clock_timestamp()
      where peer_id = p_peer_id and schema_name = r.schema and table_name = r.name;
      v_changed := v_changed + 1;
    end if;
  end loop;
  return jsonb_build_object('changed', v_changed, 'vanished', (
    select coalesce(jsonb_agg(jsonb_build_object('schema', b.schema_name, 'name', b.table_name, 'vanished', e -> 'vanished')), '[]')
    from tandem.inbound_table b join jsonb_array_elements(p_source_tables) e on (e ->> 'schema', e ->> 'name') = (b.schema_name, b.table_name)
    where b.peer_id = p_peer_id and b.state = 'flow' and b.vanished_seen <> (e ->> 'vanished')::integer));
end $$;


--
-- Name: FUNCTION reconcile_tables(p_peer_id integer, p_source_tables jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.reconcile_tables(p_peer_id integer, p_source_tables jsonb) IS 'Brings the tables a link knows up to date.';


--
-- Name: record_conflicts(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.record_conflicts(p_plan jsonb, p_source text) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  v_count bigint;
begin
  if not exists (select from tandem.verdict v where (v.peer_id, v.table_id) = ((p_plan ->> 'peer')::integer, (p_plan ->> 'id')::integer)) then
    return 0;
  end if;
  execute format($sql$
    insert into tandem.conflict (peer_id, schema_name, table_name, key, kind, rule, winner,
      local_stamp, local_origin, incoming_stamp, incoming_origin, local_columns, local_values, incoming_columns, incoming_values)
    select v.peer_id, %1$L, %2$L, %3$s, v.kind,
      case
        when v.verdict = 'prefer' or x.overruled then %14$L
        when v.verdict = 'keep' then v.reason
        when v.verdict in ('anew', 'tie') then 'same version'
        when v.local_stamp <= timestamptz '0001-01-01 00:00:00+00' or s.stamp <= timestamptz '0001-01-01 00:00:00+00' then 'seed'
        else 'newest'
      end,
      case when v.verdict in ('win', 'anew') or x.overruled then 'incoming' else 'local' end,
      v.local_stamp, v.local_origin, s.stamp, s.origin,
      case when %4$s is distinct from null then %5$L::text[] end, case when %4$s is distinct from null then %6$s end,
      case when s.present then %7$L::text[] end, case when s.present then %8$s end
    from tandem.verdict v
    join %9$s s on s.n = v.n
    left join %10$s t on %11$s
    cross join lateral (select v.verdict = 'lose' and s.origin = %15$L and v.local_origin = %16$L and %14$L = 'prefer: ' || s.origin as overruled) x
    where v.peer_id = %12$s and v.table_id = %13$s and v.verdict in ('win', 'lose', 'prefer', 'keep', 'anew', 'tie')
    on conflict do nothing
  $sql$,
    p_plan ->> 'schema', p_plan ->> 'table', p_plan ->> 'key_text', p_plan ->> 'first_key',
    array(select jsonb_array_elements_text(p_plan -> 'local_columns')), p_plan ->> 'local_values',
    array(select jsonb_array_elements_text(p_plan -> 'incoming_columns')), p_plan ->> 'incoming_values',
    p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_plan ->> 'peer', p_plan ->> 'id',
    p_plan ->> 'policy', p_source, (select name from tandem.local_node));
  get diagnostics v_count = row_count;
  return v_count;
end $_$;


--
-- Name: FUNCTION record_conflicts(p_plan jsonb, p_source text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.record_conflicts(p_plan jsonb, p_source text) IS 'Keeps both images of conflicts.';


--
-- Name: record_versions(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.record_versions(p_plan jsonb, p_where text) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
declare
  v_count bigint;
  v_sort text := current_setting('enable_sort');
  v_where text := format('(%s) and s.n not in (select v.n from tandem.verdict v where v.peer_id = %s and v.table_id = %s and v.verdict not in (''win'', ''adopt''))',
    p_where, p_plan ->> 'peer', p_plan ->> 'id');
begin
  if tandem.applies(p_plan) = 'true' then
    v_where := p_where;
  end if;
  if p_where = 'true' and p_plan ? 'staged' and (p_plan ->> 'blocks')::boolean then
    -- They are staged in order, and lie so: to sort them by their block costs more than all else.
    perform set_config('enable_sort', 'off', true);
    execute tandem.version_blocks_insert(p_plan, v_where);
    perform set_config('enable_sort', v_sort, true);
    v_count := (p_plan ->> 'staged')::bigint;
  else
    execute tandem.versions_insert(p_plan, p_plan ->> 'stage', v_where);
    get diagnostics v_count = row_count;
  end if;
  if p_plan ->> 'versions' is distinct from '0' then
    execute tandem.known_versions_insert(p_plan, p_plan ->> 'stage', v_where);
  end if;
  return v_count;
end $$;


--
-- Name: FUNCTION record_versions(p_plan jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.record_versions(p_plan jsonb, p_where text) IS 'Enters applied versions into the log.';


--
-- Name: reference_changes(integer, text[], boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.reference_changes(p_table_id integer, p_columns text[], p_as_text boolean) RETURNS TABLE(name text, action text, child_oid oid, child text, child_id integer, child_is_t text, child_columns text[], changed text, assignments text)
    LANGUAGE sql STABLE
    AS $$
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


--
-- Name: FUNCTION reference_changes(p_table_id integer, p_columns text[], p_as_text boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.reference_changes(p_table_id integer, p_columns text[], p_as_text boolean) IS 'Foreign keys that refer to columns beside the key.';


--
-- Name: referenced_after(jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.referenced_after(p_plan jsonb, p_plans jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select coalesce('(' || string_agg(format('exists (select from %s c where %s and %s)', r.child, r.child_is_t, tandem.child_not_written(p_plans, r.child_id)), ' or ') || ')', 'false')
    from tandem.plan_references(p_plan) r);
end $$;


--
-- Name: FUNCTION referenced_after(p_plan jsonb, p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.referenced_after(p_plan jsonb, p_plans jsonb) IS 'Condition that a row is referred to after the set.';


--
-- Name: referenced_there(jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.referenced_there(p_plan jsonb, p_plans jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select case when exists (select from tandem.plan_references(p_plan) r where not r.to_key or r.child_id is null) then 'true'
      else coalesce((select '(' || string_agg(format('exists (select from (select %s from %s s where s.present) c where %s)',
          (select string_agg(format('%s as k%s', u.value, u.i), ', ') from unnest(k.staged_values) with ordinality u (value, i)), e ->> 'stage',
          tandem.all_equal(t.key_operators, tandem.key_names('c', cardinality(t.key_columns)), tandem.key_names('s', cardinality(t.key_columns)))), ' or ') || ')'
        from jsonb_array_elements(p_plans) e cross join lateral tandem.plan_parents(e) k join tandem.tracked_table t on t.table_id = k.parent_id
        where k.parent_id = (p_plan ->> 'id')::integer), 'false') end);
end $$;


--
-- Name: FUNCTION referenced_there(p_plan jsonb, p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.referenced_there(p_plan jsonb, p_plans jsonb) IS 'Condition that rows of the source refer to a staged row.';


--
-- Name: references_to(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.references_to(p_table_id integer) RETURNS TABLE(name text, action "char", child_oid oid, child text, child_id integer, child_is_t text, child_columns text[], set_columns text[], update_action "char", to_key boolean)
    LANGUAGE sql STABLE
    AS $$
  select c.conname::text, c.confdeltype, c.conrelid, c.conrelid::regclass::text, ct.table_id,
    string_agg(format('c.%I operator(%I.%s) t.%I', ca.attname, n.nspname, o.oprname, ta.attname), ' and ' order by k.i),
    array_agg(ca.attname::text order by k.i),
    array_agg(ca.attname::text order by k.i) filter (where tandem.action_sets(to_jsonb(c), k.child)), c.confupdtype,
    array_agg(ta.attname::text order by ta.attname) = array(select u from unnest(t.key_columns) u order by u)
  from tandem.tracked_table t
  join pg_constraint c on c.confrelid = t.relid and c.contype = 'f' and tandem.is_enforced(to_jsonb(c))
  join pg_class cc on cc.oid = c.conrelid and not cc.relispartition
  left join tandem.tracked_table ct on ct.relid = c.conrelid
  cross join lateral unnest(c.conkey, c.confkey, c.conpfeqop) with ordinality k (child, parent, op, i)
  join pg_attribute ca on ca.attrelid = c.conrelid and ca.attnum = k.child
  join pg_attribute ta on ta.attrelid = c.confrelid and ta.attnum = k.parent
  join pg_operator o on o.oid = k.op
  join pg_namespace n on n.oid = o.oprnamespace
  where t.table_id = p_table_id
  group by c.oid, c.conname, c.confdeltype, c.confupdtype, c.conrelid, ct.table_id, t.key_columns
  order by c.conname
$$;


--
-- Name: FUNCTION references_to(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.references_to(p_table_id integer) IS 'Foreign keys that refer to a tracked table.';


--
-- Name: referred_to_in_turn(integer, text[], jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.referred_to_in_turn(p_table_id integer, p_columns text[], p_plans jsonb) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select coalesce('(' || string_agg(format('exists (select from %s t join %s c on %s where t.tableoid = m.rel and t.ctid = m.tid::tid and %s)',
      t.relid::regclass, r.child, r.child_is_t, tandem.child_not_written(p_plans, r.child_id)), ' or ') || ')', 'false')
  from tandem.tracked_table t
  cross join lateral tandem.references_to(t.table_id) r
  where t.table_id = p_table_id and exists (select from pg_constraint c
    join pg_attribute a on a.attrelid = c.confrelid and a.attnum = any (c.confkey)
    where c.conrelid = r.child_oid and c.conname = r.name and c.contype = 'f' and a.attname = any (p_columns))
$$;


--
-- Name: FUNCTION referred_to_in_turn(p_table_id integer, p_columns text[], p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.referred_to_in_turn(p_table_id integer, p_columns text[], p_plans jsonb) IS 'Condition that a row is referred to by some columns.';


--
-- Name: referring_keys(text, text, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.referring_keys(p_schema text, p_name text, p_keys jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  t tandem.tracked_table;
  f record;
  v_all jsonb := '[]';
  v_keys jsonb;
begin
  perform tandem.join_in_order(false);
  select * into strict t from tandem.tracked_table where (schema_name, table_name) = (p_schema, p_name);
  for f in
    select r.child, r.child_is_t, c.schema_name, c.table_name, c.key_columns
    from tandem.references_to(t.table_id) r join tandem.tracked_table c on c.table_id = r.child_id
  loop
    execute format('select jsonb_agg(distinct o.key) from (select %s from jsonb_array_elements($1) x) k join %I.%I t on %s
        cross join lateral (select to_jsonb(array[%s]) as key from %s c where %s order by %s limit 1) o',
      (select string_agg(format('(x ->> %s)::%s as k%s', u.i - 1, u.type, u.i), ', ') from unnest(t.key_types) with ordinality u (type, i)),
      t.schema_name, t.table_name, tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('k', cardinality(t.key_columns))),
      (select string_agg(u || '::text', ', ') from unnest(tandem.columns('c', f.key_columns)) u), f.child, f.child_is_t,
      array_to_string(tandem.columns('c', f.key_columns), ', '))
    into v_keys using p_keys;
    v_all := v_all || tandem.keys_of(f.schema_name, f.table_name, v_keys);
  end loop;
  return v_all;
end $_$;


--
-- Name: FUNCTION referring_keys(p_schema text, p_name text, p_keys jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.referring_keys(p_schema text, p_name text, p_keys jsonb) IS 'Keys of rows that refer to others.';


--
-- Name: refers_as_staged(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.refers_as_staged(p_plan jsonb) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select format('record_image_eq(row(%s), row(%s))', string_agg(format('o.%I::%s', c.name, c.base), ', ' order by c.i), string_agg(format('%s::%s', c.value, c.base), ', ' order by c.i))
  from tandem.tracked_table t
  cross join lateral tandem.plan_columns(t.relid, array(select jsonb_array_elements_text(p_plan -> 'columns')), (p_plan ->> 'as_text')::boolean) c
  where t.table_id = (p_plan ->> 'id')::integer and exists (select from pg_constraint k where k.conrelid = t.relid and k.contype = 'f' and c.attnum = any (k.conkey)
    and (k.confdeltype not in ('a', 'r') or k.confupdtype not in ('a', 'r')))
  having count(*) > 0
$$;


--
-- Name: FUNCTION refers_as_staged(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.refers_as_staged(p_plan jsonb) IS 'Condition that a row refers to what it was staged with.';


--
-- Name: refuse_blocks(tandem.tracked_table, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.refuse_blocks(p_table tandem.tracked_table, p_where boolean) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
begin
  if p_where and tandem.has_blocks(p_table.table_id) then
    raise exception 'many rows of %.% were written while a batch was about to be read', quote_ident(p_table.schema_name), quote_ident(p_table.table_name)
      using errcode = '40001';
  end if;
end $$;


--
-- Name: FUNCTION refuse_blocks(p_table tandem.tracked_table, p_where boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.refuse_blocks(p_table tandem.tracked_table, p_where boolean) IS 'Refuses to look for many single keys in blocks.';


--
-- Name: reject_claims(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.reject_claims(p_plans jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  v_plan jsonb;
  v_query text;
  v_rejected bigint;
  v_total bigint := 0;
  v_count bigint;
begin
  loop
    v_rejected := 0;
    for v_plan in select e from jsonb_array_elements(p_plans) e loop
      for v_query in select * from tandem.claims(v_plan, p_plans) loop
        execute format($sql$
          with x as materialized (
            select c.*, case when c.waits then 'waits' when not c.newer then case when c.here then 'keep' else 'loser' end
              when c.there then 'there' when c.here and not c.fell_back then 'fallback' else 'one must go' end as what
            from (%1$s) c where not c.newer or c.referenced),
          rejected as (
            insert into tandem.verdict as v (peer_id, table_id, n, verdict, kind, reason, local_stamp, local_origin, holder)
            select distinct on (x.n) %2$s, %3$s, x.n, case when x.what in ('keep', 'fallback') then 'keep' else 'park' end,
              case when x.what in ('keep', 'fallback') then 'unique' else 'waits' end,
              format('another row holds the value it claims (%%s, key %%s)', x.index_name, tandem.key_text(x.local_key)), x.local_stamp, x.local_origin,
              case when x.what = 'fallback' or x.what = 'one must go' and not x.referenced_there then x.local_key end
            from x
            order by x.n, x.what <> 'waits', x.newer
            on conflict (peer_id, table_id, n) do update set verdict = excluded.verdict, kind = excluded.kind, reason = excluded.reason,
              local_stamp = excluded.local_stamp, local_origin = excluded.local_origin, holder = excluded.holder
            returning 1)
          select count(*) from rejected
        $sql$, v_query, v_plan ->> 'peer', v_plan ->> 'id') into v_count;
        v_rejected := v_rejected + v_count;
      end loop;
    end loop;
    v_total := v_total + v_rejected;
    exit when v_rejected = 0;
  end loop;
  return v_total;
end $_$;


--
-- Name: FUNCTION reject_claims(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.reject_claims(p_plans jsonb) IS 'Rejects incoming rows that may not displace the holder of their unique value.';


--
-- Name: reject_deletions(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.reject_deletions(p_plans jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  v_plan jsonb;
  v_tree text;
  v_count bigint;
  v_kept bigint;
  v_total bigint := 0;
begin
  loop
    v_kept := 0;
    for v_plan in select e from jsonb_array_elements(p_plans) e loop
      continue when (v_plan ->> 'existing')::bigint = 0;
      v_tree := tandem.deletion_tree(v_plan, p_plans);
      continue when v_tree = '';
      execute format($sql$
        insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason, local_stamp, local_origin)
        select distinct on (s.n) %1$s, %2$s, s.n, case when h.table_id is null and not g.waits then 'keep' else 'park' end,
          case when h.table_id is null and not g.waits then 'referenced/delete' else 'waits' end,
          case when h.table_id is not null then format('a row of %%I.%%I, which is held, refers to it (%%s)', h.schema_name, h.table_name, g.name)
            else format(case when g.waits then 'a row that waits refers to it (%%s)' else 'a row here refers to it (%%s)' end, g.name) end,
          coalesce(l.stamp, '0001-01-01 00:00:00+00'), coalesce(l.origin, '')
        from (%3$s) g join %4$s s on s.n = g.n
        left join (select t.table_id, t.schema_name, t.table_name from tandem.tracked_table t join tandem.inbound_table b using (schema_name, table_name)
          where b.peer_id = %1$s and b.state = 'held') h on h.table_id = g.child_id
        left join lateral (select l.stamp, l.origin from %5$s l where %6$s order by %7$s limit 1) l on true
        where g.blocked or g.waits or h.table_id is not null
        order by s.n, h.table_id, g.waits, g.name
        on conflict (peer_id, table_id, n) do update set verdict = excluded.verdict, kind = excluded.kind, reason = excluded.reason
      $sql$, v_plan ->> 'peer', v_plan ->> 'id', v_tree, v_plan ->> 'stage', v_plan ->> 'entries', v_plan ->> 'key_is_entry', v_plan ->> 'newest_first');
      get diagnostics v_count = row_count;
      v_kept := v_kept + v_count;
    end loop;
    v_total := v_total + v_kept;
    exit when v_kept = 0;
  end loop;
  return v_total;
end $_$;


--
-- Name: FUNCTION reject_deletions(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.reject_deletions(p_plans jsonb) IS 'Rejects deletions of rows that must stay.';


--
-- Name: reject_orphans(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.reject_orphans(p_plans jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  v_plan jsonb;
  f record;
  v_count bigint;
  v_total bigint := 0;
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    for f in
      select k.*, t.key_operators, t.key_columns, p.e as parent_plan
      from tandem.plan_parents(v_plan) k
      join tandem.tracked_table t on t.table_id = k.parent_id
      join jsonb_array_elements(p_plans) p (e) on (p.e ->> 'id')::integer = k.parent_id
      where exists (select from tandem.verdict v where v.peer_id = (v_plan ->> 'peer')::integer and v.table_id = k.parent_id
        and v.verdict not in ('adopt', 'win', 'anew'))
    loop
      execute format($sql$
        insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason)
        select %1$s, %2$s, s.n, 'park', 'waits', 'the row it refers to is not there'
        from %3$s s
        where s.present and %4$s and %5$s and not exists (select from %6$s p where %7$s)
          and not exists (select from (select s.* from %8$s s where s.present and %9$s) z where %10$s)
        on conflict (peer_id, table_id, n) do update set verdict = excluded.verdict, kind = excluded.kind, reason = excluded.reason
      $sql$, v_plan ->> 'peer', v_plan ->> 'id', v_plan ->> 'stage', tandem.applies(v_plan),
        (select string_agg(u || ' is distinct from null', ' and ') from unnest(f.staged_values) u), f.parent, f.parent_is_s,
        f.parent_plan ->> 'stage', tandem.applies(f.parent_plan),
        tandem.all_equal(f.key_operators, tandem.key_names('z', cardinality(f.key_columns)), f.staged_values));
      get diagnostics v_count = row_count;
      v_total := v_total + v_count;
    end loop;
  end loop;
  return v_total;
end $_$;


--
-- Name: FUNCTION reject_orphans(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.reject_orphans(p_plans jsonb) IS 'Lets rows wait whose parent is not there.';


--
-- Name: reject_updates(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.reject_updates(p_plans jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
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
end $_$;


--
-- Name: FUNCTION reject_updates(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.reject_updates(p_plans jsonb) IS 'Rejects changes of values that must stay.';


--
-- Name: rejoin_node(text, jsonb, jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.rejoin_node(p_name text, p_peers jsonb, p_settings jsonb, p_incarnations jsonb) RETURNS uuid
    LANGUAGE plpgsql
    AS $$
declare
  v_incarnation uuid := gen_random_uuid();
  v_state text;
  t tandem.tracked_table;
begin
  if pg_is_in_recovery() then
    raise exception 'this server is a standby (in recovery)' using errcode = 'TD004';
  end if;
  if not exists (select from tandem.local_node) then
    perform tandem.configure_node(p_name, p_peers, p_settings);
  end if;
  v_state := case when exists (select from tandem.inbound i where i.position is not null) then 'restored' else 'replaced' end;
  update tandem.local_node set name = p_name, incarnation = v_incarnation, system_identifier = tandem.system_identifier(),
    database_oid = (select d.oid from pg_database d where d.datname = current_database()), highest_xid = pg_snapshot_xmax(pg_current_snapshot());
  perform tandem.forget_peer(p.peer_id) from tandem.peer p
  where p.gone_at is null and (p.name = p_name or p.incarnation <> (p_incarnations ->> p.name)::uuid);
  for t in select * from tandem.tracked_table order by table_id loop
    perform tandem.take_over_table(t);
  end loop;
  perform tandem.configure_node(p_name, p_peers, p_settings);
  perform tandem.meet_anew(p.peer_id, v_state) from tandem.peer p where p.configured;
  return v_incarnation;
end $$;


--
-- Name: FUNCTION rejoin_node(p_name text, p_peers jsonb, p_settings jsonb, p_incarnations jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.rejoin_node(p_name text, p_peers jsonb, p_settings jsonb, p_incarnations jsonb) IS 'Makes this database a node anew.';


--
-- Name: related_tables(integer[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.related_tables(p_tables integer[]) RETURNS integer[]
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    with recursive edges as (
      select a.table_id as one, b.table_id as other
      from pg_constraint c join tandem.tracked_table a on a.relid = c.conrelid join tandem.tracked_table b on b.relid = c.confrelid
      where c.contype = 'f'),
    reached as (
      select u as id from unnest(p_tables) u
      union
      select case when e.one = r.id then e.other else e.one end from reached r join edges e on r.id in (e.one, e.other))
    select coalesce(array_agg(id order by id), '{}') from reached);
end $$;


--
-- Name: FUNCTION related_tables(p_tables integer[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.related_tables(p_tables integer[]) IS 'Tables connected by foreign keys.';


--
-- Name: relations_to_lock(integer[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.relations_to_lock(p_tables integer[]) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select coalesce(jsonb_agg(concat_ws(', ', format('%I.%I, tandem_log.%I', t.schema_name, t.table_name, t.log_name),
      'tandem_log.' || quote_ident(t.blocks_name)) order by t.table_id), '[]')
    from tandem.tracked_table t where t.table_id = any (p_tables));
end $$;


--
-- Name: FUNCTION relations_to_lock(p_tables integer[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.relations_to_lock(p_tables integer[]) IS 'What is locked to read a batch.';


--
-- Name: release_lease(uuid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.release_lease(p_holder uuid) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
begin
  delete from tandem.lease where holder = p_holder;
  return found;
end $$;


--
-- Name: FUNCTION release_lease(p_holder uuid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.release_lease(p_holder uuid) IS 'Gives a lease back.';


--
-- Name: renew_peer(jsonb, uuid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.renew_peer(p_peer jsonb, p_incarnation uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_hears text[] := array(select jsonb_array_elements_text(p_peer -> 'receives_from') order by 1);
  v_id integer;
begin
  perform tandem.forget_peer(p.peer_id) from tandem.peer p
  where p.name = p_peer ->> 'name' and p.gone_at is null and p.incarnation <> p_incarnation;
  insert into tandem.peer (name, incarnation, receives_from) values (p_peer ->> 'name', p_incarnation, v_hears)
  on conflict (name) where gone_at is null do update set incarnation = p_incarnation, receives_from = v_hears, configured = true
  returning peer_id into v_id;
  if (p_peer ->> 'sends')::boolean then
    insert into tandem.inbound (peer_id) values (v_id) on conflict do nothing;
  end if;
  if (p_peer ->> 'receives')::boolean then
    insert into tandem.outbound (peer_id) values (v_id) on conflict do nothing;
  end if;
  perform tandem.meet_anew(v_id, 'survivor'), tandem.make_floor();
end $$;


--
-- Name: FUNCTION renew_peer(p_peer jsonb, p_incarnation uuid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.renew_peer(p_peer jsonb, p_incarnation uuid) IS 'Takes up a peer that came back.';


--
-- Name: repair_anew(jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.repair_anew(p_spec jsonb, p_rows jsonb) RETURNS integer[]
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_done integer[];
  v_op text;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_spec ->> 'id')::integer;
  execute format('select array_agg(r.n) from (%s) r where r.hash is not distinct from r.e ->> ''hash'' and r.version = r.e ->> ''version''
      and (r.hash is not null or not exists (select from %I.%I t where %s))',
    tandem.repair_rows(p_spec, true), t.schema_name, t.table_name,
    tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('r', cardinality(t.key_columns))))
  into v_done using p_rows;
  foreach v_op in array array['U', 'D'] loop
    execute tandem.capture_insert(t, (select name from tandem.local_node), 'o.fresh', v_op, tandem.key_names('o', cardinality(t.key_columns)),
      format('from (select tandem.from_us((x.e ->> ''stamp'')::bigint) as fresh, %s from jsonb_array_elements($1) with ordinality x (e, n)
          where x.n = any ($2) and (x.e ->> ''hash'' is null) = %L) o',
        (select string_agg(format('(x.e -> ''key'' ->> %s)::%s as k%s', u.i - 1, u.type, u.i), ', ' order by u.i) from unnest(t.key_types) with ordinality u (type, i)),
        v_op = 'D'))
    using p_rows, v_done;
  end loop;
  return coalesce(v_done, '{}');
end $_$;


--
-- Name: FUNCTION repair_anew(p_spec jsonb, p_rows jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.repair_anew(p_spec jsonb, p_rows jsonb) IS 'Enters rows into the log anew.';


--
-- Name: repair_forget(bigint[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.repair_forget(p_ids bigint[]) RETURNS void
    LANGUAGE sql
    AS $$
  delete from tandem.conflict where conflict_id = any (p_ids) and rule = 'repair'
$$;


--
-- Name: FUNCTION repair_forget(p_ids bigint[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.repair_forget(p_ids bigint[]) IS 'Forgets what a repair kept in vain.';


--
-- Name: repair_images(jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.repair_images(p_spec jsonb, p_rows jsonb) RETURNS TABLE(n integer, columns text[], texts text[])
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return query execute format('select r.n, r.columns, r.texts from (%s) r where r.hash = r.e ->> ''hash''', tandem.repair_rows(p_spec, false)) using p_rows;
end $$;


--
-- Name: FUNCTION repair_images(p_spec jsonb, p_rows jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.repair_images(p_spec jsonb, p_rows jsonb) IS 'Images to be written anew.';


--
-- Name: repair_keep(jsonb, jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.repair_keep(p_spec jsonb, p_rows jsonb, p_winner text) RETURNS TABLE(n integer, conflict_id bigint)
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_peer integer;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_spec ->> 'id')::integer;
  -- With a link of its own where there is one; else the image stands under the neighbour by whom the change may come.
  select p.peer_id into strict v_peer from tandem.inbound i join tandem.peer p using (peer_id) where p.configured order by p.name <> p_winner, p.peer_id limit 1;
  return query execute format($sql$
    with r as materialized (%1$s), fit as (
      select r.*, tandem.from_us((r.e ->> 'stamp')::bigint) as fresh from r where r.key is not null and r.hash = r.e ->> 'hash' and r.version = r.e ->> 'version'),
    kept as (
      insert into tandem.conflict as c (peer_id, schema_name, table_name, key, kind, rule, winner, local_stamp, local_origin,
        incoming_stamp, incoming_origin, local_columns, local_values, incoming_columns, incoming_values)
      select %2$s, %3$L, %4$L, f.key, concat(case f.op when 'I' then 'insert' when 'D' then 'delete' else 'update' end, '/',
          case when f.e ->> 'texts' is null then 'delete' else 'update' end), 'repair', 'incoming',
        coalesce(f.stamp, '0001-01-01 00:00:00+00'), coalesce(f.origin, ''), f.fresh, %5$L, f.columns, f.texts, (f.e ->> 'columns')::text[], (f.e ->> 'texts')::text[]
      from fit f
      on conflict do nothing
      returning c.key, c.conflict_id)
    select f.n, k.conflict_id from fit f left join kept k on k.key = f.key
  $sql$, tandem.repair_rows(p_spec, false), v_peer, t.schema_name, t.table_name, p_winner)
  using p_rows;
end $_$;


--
-- Name: FUNCTION repair_keep(p_spec jsonb, p_rows jsonb, p_winner text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.repair_keep(p_spec jsonb, p_rows jsonb, p_winner text) IS 'Keeps images that a repair overwrites.';


--
-- Name: repair_rows(jsonb, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.repair_rows(p_spec jsonb, p_locked boolean) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select format($sql$
    select k.*, s.key, case when s.key is not null then (%1$s)::text end as hash, %2$L::text[] as columns, s.texts,
      coalesce(tandem.to_us(l.stamp) || ' ' || l.origin, '') as version, l.stamp, l.origin, l.op
    from (select x.n::integer as n, x.e, %3$s from jsonb_array_elements($1) with ordinality x (e, n)) k
    left join lateral (select array[%4$s] as key, array[%5$s] as texts, %6$s from %7$I.%8$I t where %9$s offset 0 %10$s) s on true
    left join lateral (select l.stamp, l.origin, l.op from tandem_log.%11$I l where %12$s order by %13$s, l.stamp desc, l.origin desc limit 1) l on true
  $sql$,
    v.hash, c.names,
    (select string_agg(format('(x.e -> ''key'' ->> %s)::%s as k%s', u.i - 1, u.type, u.i), ', ' order by u.i) from unnest(t.key_types) with ordinality u (type, i)),
    (select string_agg(u || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) u), c.texts,
    v.parts, t.schema_name, t.table_name,
    tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('k', cardinality(t.key_columns))),
    case when p_locked then 'for no key update skip locked' else '' end, t.entries_name,
    tandem.all_equal(t.key_operators, tandem.key_names('l', cardinality(t.key_columns)), tandem.key_names('k', cardinality(t.key_columns))),
    array_to_string(array(select u || ' desc' from unnest(tandem.key_names('l', cardinality(t.key_columns))) u), ', '))
  from tandem.tracked_table t
  cross join lateral tandem.verify_rows(p_spec, t) v
  cross join lateral (select array_agg(a.attname::text order by a.attnum) as names, string_agg(format('t.%I::text', a.attname), ', ' order by a.attnum) as texts
    from pg_attribute a where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped) c
  where t.table_id = (p_spec ->> 'id')::integer
$_$;


--
-- Name: FUNCTION repair_rows(p_spec jsonb, p_locked boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.repair_rows(p_spec jsonb, p_locked boolean) IS 'Rows to be repaired, as they are now.';


--
-- Name: repair_stamp(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.repair_stamp() RETURNS bigint
    LANGUAGE sql
    AS $$
  select tandem.to_us(tandem.next_stamp())
$$;


--
-- Name: FUNCTION repair_stamp(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.repair_stamp() IS 'A stamp for a repair.';


--
-- Name: repeats(tandem.tracked_table, pg_snapshot); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.repeats(p_table tandem.tracked_table, p_from pg_snapshot) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_repeats boolean := false;
begin
  if not tandem.has_blocks(p_table.table_id) then
    execute format('select count(*) * tandem.repeats_from() <= sum(x.entries) from (select count(*) as entries from (select %1$s from tandem_log.%2$I l where l.xid >= $1 order by l.xid limit 1000) l group by %1$s) x',
      array_to_string(tandem.key_names('l', cardinality(p_table.key_columns)), ', '), p_table.log_name) into v_repeats using pg_snapshot_xmax(p_from);
  end if;
  return coalesce(v_repeats, false);
end $_$;


--
-- Name: FUNCTION repeats(p_table tandem.tracked_table, p_from pg_snapshot); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.repeats(p_table tandem.tracked_table, p_from pg_snapshot) IS 'Whether the entries after a position are of few keys.';


--
-- Name: repeats_from(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.repeats_from() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
  select 8
$$;


--
-- Name: FUNCTION repeats_from(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.repeats_from() IS 'Entries of a key from which on they are grouped.';


--
-- Name: restore_conflict(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.restore_conflict(p_id text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  c tandem.conflict;
  t tandem.tracked_table;
  v_columns text[];
  v_values text[];
  v_left_out text[];
  v_changed boolean;
begin
  perform tandem.check_identity();
  select * into c from tandem.conflict x where tandem.conflict_id(x) = p_id order by x.conflict_id limit 1 for update;
  if not found then
    raise exception 'no conflict % is kept here', p_id using errcode = 'TD020';
  end if;
  select * into t from tandem.tracked_table x where (x.schema_name, x.table_name) = (c.schema_name, c.table_name);
  if not found then
    raise exception 'conflict %: table %.% is not tracked here any more', p_id, c.schema_name, c.table_name using errcode = 'TD021';
  elsif cardinality(t.key_columns) <> cardinality(c.key) then
    raise exception 'conflict %: table %.% has another key by now', p_id, c.schema_name, c.table_name using errcode = 'TD021';
  end if;
  v_columns := case c.winner when 'local' then c.incoming_columns else c.local_columns end;
  v_values := case c.winner when 'local' then c.incoming_values else c.local_values end;
  begin
    if v_columns is null then
      v_changed := tandem.delete_again(t, c.key);
    else
      v_changed := tandem.write_again(t, coalesce((select i.peer_id from tandem.inbound i where i.peer_id = c.peer_id), (select min(i.peer_id) from tandem.inbound i)),
        c.key, v_columns, v_values);
    end if;
    set constraints all immediate;
  exception when others then
    if sqlstate like 'TD%' or sqlstate in ('40001', '40P01', '55P03', '57014', '57P01') then
      raise;
    end if;
    raise exception 'conflict % of %.% % cannot be restored: %', p_id, c.schema_name, c.table_name, tandem.key_text(c.key), sqlerrm using errcode = 'TD021';
  end;
  update tandem.conflict set restored_at = clock_timestamp() where conflict_id = c.conflict_id;
  v_left_out := array(select u.c from unnest(v_columns) u (c)
    where not exists (select from pg_attribute a where a.attrelid = t.relid and a.attname = u.c and a.attnum > 0 and not a.attisdropped));
  return jsonb_build_object('schema', t.schema_name, 'table', t.table_name, 'key', tandem.key_text(c.key), 'changed', v_changed, 'leftOut', to_jsonb(v_left_out));
end $$;


--
-- Name: FUNCTION restore_conflict(p_id text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.restore_conflict(p_id text) IS 'Brings back the image that lost a conflict.';


--
-- Name: restore_sequences(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.restore_sequences() RETURNS integer
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION restore_sequences(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.restore_sequences() IS 'Takes interleaving back.';


--
-- Name: resume_link(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.resume_link(p_source text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
begin
  delete from tandem.paused_link where peer_id = tandem.inbound_peer(p_source);
  return found;
end $$;


--
-- Name: FUNCTION resume_link(p_source text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.resume_link(p_source text) IS 'Lets the link from a source work again.';


--
-- Name: retry_parked(bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.retry_parked(p_parked_id bigint) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
declare
  v_count bigint;
begin
  update tandem.parked_change set next_try_at = clock_timestamp() where p_parked_id is null or parked_id = p_parked_id;
  get diagnostics v_count = row_count;
  return v_count;
end $$;


--
-- Name: FUNCTION retry_parked(p_parked_id bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.retry_parked(p_parked_id bigint) IS 'Lets parked changes be tried again at once.';


--
-- Name: retype_log(tandem.tracked_table, text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.retype_log(p_table tandem.tracked_table, p_types text[]) RETURNS boolean
    LANGUAGE plpgsql
    AS $_$
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
end $_$;


--
-- Name: FUNCTION retype_log(p_table tandem.tracked_table, p_types text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.retype_log(p_table tandem.tracked_table, p_types text[]) IS 'Gives the key columns of a log other types.';


--
-- Name: rewrite_keys(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.rewrite_keys(p_plan jsonb, p_where text) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
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
end $_$;


--
-- Name: FUNCTION rewrite_keys(p_plan jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.rewrite_keys(p_plan jsonb, p_where text) IS 'Writes keys as the source has them.';


--
-- Name: rewritten_rows(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.rewritten_rows(p_plan jsonb, p_where text) RETURNS TABLE(n bigint, reason text)
    LANGUAGE plpgsql
    AS $_$
declare
  v_triggers text;
begin
  if not (p_plan ->> 'rewritable')::boolean then
    return;
  end if;
  select string_agg(distinct quote_ident(g.tgname), ', ') into v_triggers
  from pg_trigger g join tandem.tracked_table t on g.tgrelid = t.relid
  where t.table_id = (p_plan ->> 'id')::integer and not g.tgisinternal and g.tgtype & 3 = 3 and g.tgname !~ '^(tandem_|~tandem_last$)';
  v_triggers := coalesce(v_triggers, 'none of the application''s');
  return query execute format('select s.n, case when not s.present then %L when %s is not distinct from null then %L else %L end from %s s left join %s t on %s
      where (%s) and %s and case when s.present then %s is not distinct from null or not %s else %s is distinct from null end',
    'a BEFORE trigger let the row stay: ' || v_triggers, p_plan ->> 'first_key',
    'a BEFORE trigger let the row vanish: ' || v_triggers, 'a BEFORE trigger changed the row: ' || v_triggers,
    p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_where, tandem.applies(p_plan), p_plan ->> 'first_key', p_plan ->> 'image_is_row',
    p_plan ->> 'first_key');
end $_$;


--
-- Name: FUNCTION rewritten_rows(p_plan jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.rewritten_rows(p_plan jsonb, p_where text) IS 'Staged rows that a trigger changed or dropped.';


--
-- Name: row_image(text, text, text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.row_image(p_schema text, p_table text, p_key text[]) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  t tandem.tracked_table;
  v_image jsonb;
begin
  select * into t from tandem.tracked_table where (schema_name, table_name) = (p_schema, p_table);
  if not found then
    return null;
  end if;
  execute (select format('select jsonb_build_object(''columns'', to_jsonb(%L::text[]), ''values'', to_jsonb(array[%s])) from %I.%I t where %s',
      array_agg(a.attname order by a.attnum), string_agg(tandem.text_of(format('t.%I', a.attname)), ', ' order by a.attnum), p_schema, p_table,
      tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns),
        array(select format('$1[%s]::%s', u.i, u.type) from unnest(t.key_types) with ordinality u (type, i) order by u.i)))
    from pg_attribute a where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped)
  into v_image using p_key;
  return v_image;
end $_$;


--
-- Name: FUNCTION row_image(p_schema text, p_table text, p_key text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.row_image(p_schema text, p_table text, p_key text[]) IS 'A row as its types write it.';


--
-- Name: row_waits(jsonb, integer, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.row_waits(p_plans jsonb, p_table_id integer, p_alias text, p_for text DEFAULT 'true'::text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select coalesce((select format('exists (select from %s z join tandem.verdict v on v.peer_id = %s and v.table_id = %s and v.n = z.n and v.verdict = ''park'' where %s and (%s))',
        e ->> 'stage', e ->> 'peer', e ->> 'id',
        tandem.all_equal(t.key_operators, tandem.columns(p_alias, t.key_columns), tandem.key_names('z', cardinality(t.key_columns))), p_for)
      from jsonb_array_elements(p_plans) e join tandem.tracked_table t on t.table_id = (e ->> 'id')::integer
      where t.table_id = p_table_id
        and exists (select from tandem.verdict v where v.peer_id = (e ->> 'peer')::integer and v.table_id = p_table_id and v.verdict = 'park')), 'false'));
end $$;


--
-- Name: FUNCTION row_waits(p_plans jsonb, p_table_id integer, p_alias text, p_for text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.row_waits(p_plans jsonb, p_table_id integer, p_alias text, p_for text) IS 'Condition that the source''s change of a row waits.';


--
-- Name: same_by_index(oid, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.same_by_index(p_index oid, p_one text, p_other text) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select string_agg(format(case when coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)
      then '(%1$s operator(%3$I.%4$s) %2$s or (%1$s is not distinct from null and %2$s is not distinct from null))'
      else '%1$s operator(%3$I.%4$s) %2$s' end, p_one || g.g, p_other || g.g, n.nspname, o.oprname), ' and ' order by g.g)
  from pg_index i
  cross join lateral generate_series(1, i.indnkeyatts) g
  join pg_opclass oc on oc.oid = i.indclass[g.g - 1]
  left join pg_constraint c on i.indisexclusion and c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x')
  left join pg_amop am on not i.indisexclusion and am.amopfamily = oc.opcfamily and am.amopstrategy = 3 and am.amoplefttype = oc.opcintype and am.amoprighttype = oc.opcintype
  join pg_operator o on o.oid = coalesce(c.conexclop[g.g], am.amopopr)
  join pg_namespace n on n.oid = o.oprnamespace
  where i.indexrelid = p_index
$_$;


--
-- Name: FUNCTION same_by_index(p_index oid, p_one text, p_other text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.same_by_index(p_index oid, p_one text, p_other text) IS 'Condition that two rows hold the same value of an index.';


--
-- Name: same_parked_key(tandem.tracked_table, text, text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.same_parked_key(p_table tandem.tracked_table, p_alias text, p_names text[]) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
begin
  return (
    select format('%1$s.schema_name = %2$L and %1$s.table_name = %3$L and %4$s', p_alias, p_table.schema_name, p_table.table_name,
      case when bool_and(x.exact) then format('%s.key = array[%s]', p_alias, string_agg(x.name || '::text', ', ' order by x.i))
      else format('case when %1$s.schema_name = %2$L and %1$s.table_name = %3$L and cardinality(%1$s.key) = %4$s then %5$s else false end',
        p_alias, p_table.schema_name, p_table.table_name, count(*),
        tandem.all_equal(p_table.key_operators, array_agg(format('%s.key[%s]::%s', p_alias, x.i, p_table.key_types[x.i]) order by x.i), p_names)) end)
    from (
      select u.i, u.name, coalesce(t.typtype = 'e' or coalesce(c.collisdeterministic, true) and t.oid in ('int2'::regtype, 'int4'::regtype,
        'int8'::regtype, 'oid'::regtype, 'text'::regtype, 'varchar'::regtype, 'name'::regtype, 'uuid'::regtype, 'bool'::regtype,
        'bytea'::regtype, 'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype), false) as exact
      from unnest(p_table.key_columns, p_names) with ordinality u (key_column, name, i)
      left join pg_attribute a on a.attrelid = p_table.relid and a.attname = u.key_column and not a.attisdropped
      left join pg_collation c on c.oid = a.attcollation
      left join pg_type t on t.oid = tandem.base_type(a.atttypid)) x);
end $_$;


--
-- Name: FUNCTION same_parked_key(p_table tandem.tracked_table, p_alias text, p_names text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.same_parked_key(p_table tandem.tracked_table, p_alias text, p_names text[]) IS 'Condition that a parked change is of this key.';


--
-- Name: sample_step(bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.sample_step(p_rows bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    AS $$
  select greatest(1, p_rows / 300)
$$;


--
-- Name: FUNCTION sample_step(p_rows bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.sample_step(p_rows bigint) IS 'Which of many staged rows are looked at.';


--
-- Name: sent_columns(tandem.tracked_table, integer, text[], text[], text, text, text, boolean, text, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.sent_columns(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[], p_vector text, p_stamp text, p_origin text, p_asked boolean, p_more text DEFAULT 'true'::text, p_look boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_keys text[] := tandem.key_names('k', cardinality(p_table.key_columns));
  v_present text := format('t.%I is distinct from null', p_table.key_columns[1]);
  v_same_key text := tandem.all_equal(p_table.key_operators, tandem.key_names('l', cardinality(p_table.key_columns)), v_keys);
  v_known text := format(case p_vector when 'all' then 'select l.origin, l.stamp from tandem_log.%I l where %s'
    else 'select l.origin, max(l.stamp) as stamp from tandem_log.%I l where %s group by l.origin' end, tandem.looked_in(p_table, p_look), v_same_key);
  v_vector boolean := p_vector is not null or p_table.conflict_policy like 'prefer: %';
  v_parked boolean := p_look or exists (select from tandem.parked_change c where c.peer_id = p_peer_id
    and (c.schema_name, c.table_name) = (p_table.schema_name, p_table.table_name));
begin
  return (
    select jsonb_agg(jsonb_build_array(x.name, x.expression) order by x.part, x.i)
    from (
      select 1 as part, u.i, 'k' || u.i as name, case when tandem.sent_key_type(u.type) <> u.type then format('k.k%s::%s', u.i, tandem.sent_key_type(u.type)) else 'k.k' || u.i end as expression
      from unnest(p_table.key_types) with ordinality u (type, i)
      union all select 2, s.i, s.name, s.expression from (values
        (1, 'op', 'n.op'),
        (2, 'present', v_present),
        (3, 'stamp', p_stamp),
        (4, 'origin', p_origin),
        (5, 'known_stamps', case when v_vector then format('(select array_agg(v.stamp order by v.origin, v.stamp) from (%s) v)', v_known) when p_look then 'null' end),
        (6, 'known_origins', case when v_vector then format('(select array_agg(v.origin order by v.origin, v.stamp) from (%s) v)', v_known) when p_look then 'null' end),
        (7, 'parked_there', case when v_parked then format('exists (select from tandem.parked_change c where c.peer_id = %s and %s)', p_peer_id,
          tandem.same_parked_key(p_table, 'c', v_keys)) end),
        (8, 'unsettled', case when p_more <> 'none' then format('coalesce((n.op = ''D'') = (%1$s) or (n.received_from is null and (%4$s and exists (select from tandem_log.%2$I l where %3$s and l.stamp = n.stamp and l.origin = n.origin and l.received_from is null and l.xid <> n.xid)
          or ((select l.k1 from tandem_log.%5$I l where l.blind order by l.k1 limit 1) is not null and exists (select from tandem_log.%5$I l where %3$s and l.blind and l.xid > n.xid and l.stamp < n.stamp)))), false)',
          v_present, tandem.looked_in(p_table, p_look), v_same_key, p_more, p_table.log_name) end),
        (9, 'unplaced', case when cardinality(p_unplaced) > 0 then format('nullif(concat_ws('', '', %s), '''')',
          (select string_agg(format('case when t.%1$I is distinct from null then %1$L end', u), ', ') from unnest(p_unplaced) u)) when p_look then 'null' end),
        (10, 'asked', case when p_asked or p_look then p_asked::text end)) s (i, name, expression)
      where s.expression is not null
      union all select 3, u.i, 'c' || u.i, u.name from unnest(tandem.columns('t', p_columns)) with ordinality u (name, i)) x);
end $_$;


--
-- Name: FUNCTION sent_columns(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[], p_vector text, p_stamp text, p_origin text, p_asked boolean, p_more text, p_look boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.sent_columns(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[], p_vector text, p_stamp text, p_origin text, p_asked boolean, p_more text, p_look boolean) IS 'The select list of a COPY query.';


--
-- Name: sent_entries(pg_snapshot, pg_snapshot, integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.sent_entries(p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return concat_ws(' and ', tandem.between(p_from, p_to), tandem.sent_to(p_peer_id));
end $$;


--
-- Name: FUNCTION sent_entries(p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.sent_entries(p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer) IS 'Condition for the entries of a batch that are sent.';


--
-- Name: sent_key_type(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.sent_key_type(p_type text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select case when p_type in ('smallint', 'integer') then 'bigint' else p_type end
$$;


--
-- Name: FUNCTION sent_key_type(p_type text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.sent_key_type(p_type text) IS 'The type in which a key is sent.';


--
-- Name: sent_to(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.sent_to(p_peer_id integer) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return format('(l.received_from is null or l.received_from <> all (%L::integer[])%s)', tandem.not_forwarded(p_peer_id),
    case when tandem.has_returned(p_peer_id) then ' or l.op = ''D''' end);
end $$;


--
-- Name: FUNCTION sent_to(p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.sent_to(p_peer_id integer) IS 'Condition for the entries that are sent to a peer.';


--
-- Name: sequences_of(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.sequences_of(p_table_id integer) RETURNS TABLE(column_name text, sequence regclass, increment bigint)
    LANGUAGE sql STABLE
    AS $$
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


--
-- Name: FUNCTION sequences_of(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.sequences_of(p_table_id integer) IS 'Sequences of a tracked table''s columns.';


--
-- Name: set_guards(oid, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.set_guards(p_relid oid, p_guard boolean) RETURNS text[]
    LANGUAGE plpgsql
    AS $$
declare
  g record;
  v_names text[] := '{}';
begin
  for g in select * from tandem.application_triggers(p_relid) a where a.guarded <> p_guard order by a.relid, a.name collate "C" loop
    perform tandem.change_guard(g.trigger_id, p_guard);
    v_names := v_names || g.name;
  end loop;
  return v_names;
end $$;


--
-- Name: FUNCTION set_guards(p_relid oid, p_guard boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.set_guards(p_relid oid, p_guard boolean) IS 'Guards the triggers of a table, or takes the guards off.';


--
-- Name: set_heartbeat(boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.set_heartbeat(p_on boolean) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
begin
  if p_on = (to_regclass('tandem.heartbeat') is not null) then
    return false;
  end if;
  if p_on then
    create table tandem.heartbeat (source text collate "C", target text collate "C", beat uuid not null, primary key (source, target));
    comment on table tandem.heartbeat is 'One row for each link, changed at its source once in a while and timed into its target.';
    perform tandem.track_own_table('heartbeat');
  else
    perform tandem.drop_own_table('heartbeat');
    update tandem.inbound set heartbeat = null, heartbeat_at = null where heartbeat_at is not null;
  end if;
  return true;
end $$;


--
-- Name: FUNCTION set_heartbeat(p_on boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.set_heartbeat(p_on boolean) IS 'Turns heartbeats on or off in this node.';


--
-- Name: set_misfits_aside(integer, integer, text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.set_misfits_aside(p_peer_id integer, p_table_id integer, p_columns text[]) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
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
end $_$;


--
-- Name: FUNCTION set_misfits_aside(p_peer_id integer, p_table_id integer, p_columns text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.set_misfits_aside(p_peer_id integer, p_table_id integer, p_columns text[]) IS 'Marks staged rows with values that are not of their column''s type.';


--
-- Name: settle(integer, jsonb, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.settle(p_table_id integer, p_keys jsonb, p_wait boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql
    AS $_$
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
end $_$;


--
-- Name: FUNCTION settle(p_table_id integer, p_keys jsonb, p_wait boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.settle(p_table_id integer, p_keys jsonb, p_wait boolean) IS 'Writes fresh entries where log and rows disagree.';


--
-- Name: settle_dropped(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.settle_dropped() RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  update tandem.dropped_change d set settled_at = clock_timestamp()
  where d.settled_at is null and d.dropped_id not in (select o from tandem.dropped_open() o);
  delete from tandem.dropped_change d using tandem.local_node n where d.settled_at < clock_timestamp() - n.keep_conflicts;
end $$;


--
-- Name: FUNCTION settle_dropped(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.settle_dropped() IS 'Notes which dropped changes are over.';


--
-- Name: shape_difference(jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.shape_difference(p_source jsonb, p_here jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select case
    when p_source -> 'key' <> p_here -> 'key' then format('its key differs: (%s) at the source, (%s) here', tandem.listed(p_source -> 'key'), tandem.listed(p_here -> 'key'))
    when p_source -> 'keyTypes' <> p_here -> 'keyTypes'
      then format('its key''s type differs: %s at the source, %s here', tandem.listed(p_source -> 'keyTypes'), tandem.listed(p_here -> 'keyTypes'))
    else (
      select string_agg(case
          when s.c -> 'generated' <> h.c -> 'generated' then format('column %I is generated %s only', s.c ->> 'name',
            case when (s.c ->> 'generated')::boolean then 'at the source' else 'here' end)
          when s.c -> 'type' <> h.c -> 'type' then format('column %I is %s at the source, %s here', s.c ->> 'name', s.c ->> 'type', h.c ->> 'type')
          else format('column %I is %s at the source, %s here', s.c ->> 'name', s.c ->> 'valueClass', h.c ->> 'valueClass')
        end, '; ' order by s.i)
      from jsonb_array_elements(p_source -> 'columns') with ordinality s (c, i)
      join jsonb_array_elements(p_here -> 'columns') h (c) on h.c ->> 'name' = s.c ->> 'name'
      where (s.c -> 'valueClass', s.c -> 'generated') <> (h.c -> 'valueClass', h.c -> 'generated'))
  end
$$;


--
-- Name: FUNCTION shape_difference(p_source jsonb, p_here jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.shape_difference(p_source jsonb, p_here jsonb) IS 'Why a table cannot flow between two shapes of it.';


--
-- Name: since(pg_snapshot); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.since(p_from pg_snapshot) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $_$
  select format(case when cardinality(x.before) > 0 then '(l.xid >= %1$L::xid8 or l.xid = any (%2$L::xid8[]))' else 'l.xid >= %1$L::xid8' end, pg_snapshot_xmax(p_from), x.before)
  from (select array(select pg_snapshot_xip(p_from)) as before) x
$_$;


--
-- Name: FUNCTION since(p_from pg_snapshot); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.since(p_from pg_snapshot) IS 'Condition for the entries after a position.';


--
-- Name: small_body(jsonb, oid, text, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.small_body(p_plan jsonb, p_stage oid, p_source text, p_replica boolean) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_relid oid := (select t.relid from tandem.tracked_table t where t.table_id = (p_plan ->> 'id')::integer);
  v_update boolean := p_plan ->> 'set' is not null;
  v_referred boolean := jsonb_array_length(p_plan -> 'references') > 0 or jsonb_array_length(p_plan -> 'changes') > 0;
begin
  if (p_plan ->> 'rewritable')::boolean
    or exists (select from pg_constraint c where c.conrelid = v_relid and c.condeferrable and c.contype in ('u', 'p', 'x'))
    or not p_replica and (exists (select from pg_constraint c where c.conrelid = v_relid and c.contype = 'f' and (c.confdeltype not in ('a', 'r') or c.confupdtype not in ('a', 'r')))
      or exists (select from pg_trigger g where not g.tgisinternal and g.tgname not like 'tandem\_%' and g.tgname <> '~tandem_last'
        and g.tgenabled in ('O', 'A') and g.tgrelid in (select h.relid from pg_partition_tree(v_relid) h union select v_relid)))
  then
    return 'begin return null; end';
  end if;
  return format($body$
declare
  v_rows %1$s[] := p_rows::%1$s[];
  v_locked bigint;
  v_more bigint;
  v_deleted bigint;
  v_updated bigint := 0;
  v_inserted bigint;
  v_value numeric;
  v_counts jsonb := '{}';
begin
  if p_step = 'decide' then
    if exists (select from unnest(v_rows) s where s.unsettled %2$s) then
      return null;
    end if;
    select count(*) into v_locked from (select 1 from unnest(v_rows) s join %3$s t on %4$s where (not s.present or %5$s) order by %6$s for update of t skip locked) x;
    select count(*) into v_more from (select 1 from unnest(v_rows) s join %3$s t on %4$s where (s.present and not %5$s) order by %6$s for no key update of t skip locked) x;
    if v_locked + v_more <> (select count(*) from unnest(v_rows) s join %3$s t on %4$s) then
      return null;
    end if;
    p_decided := pg_current_snapshot();
    -- Blocks that come after this are found as whatever comes after the verdicts.
    if %22$sexists (select from (%7$s) x where x.verdict <> 'apply') then
      return null;
    end if;
    perform tandem.raise_floor(%8$s, (select max(s.stamp) from unnest(v_rows) s));
    return jsonb_build_object('at', p_decided::text);
  elsif p_step <> 'check' then
    delete from %3$s t using unnest(v_rows) s where %4$s and not s.present;
    get diagnostics v_deleted = row_count;
    %9$s
    insert into %3$s (%10$s) %11$s select %12$s from unnest(v_rows) s where s.present and not exists (select from %3$s t where %4$s) order by s.n on conflict (%13$s) do nothing;
    get diagnostics v_inserted = row_count;
    if v_updated + v_inserted <> (select count(*) from unnest(v_rows) s where s.present) then
      return null;
    end if;
    if exists (select from (select * from %14$s l where l.xid >= pg_snapshot_xmin(p_decided) order by l.xid) l
      join unnest(v_rows) s on %15$s where not pg_visible_in_snapshot(l.xid, p_decided) and l.xid <> pg_current_xact_id())
    then
      return null;
    end if;
    %16$s;
    if exists (select from unnest(v_rows) s where s.known_stamps is not null) then
      %17$s;
    end if;
    %18$s
    v_counts := jsonb_build_object('schema', %19$L::text, 'name', %20$L::text, 'staged', cardinality(v_rows), 'applied', cardinality(v_rows), 'deleted', (select count(*) from unnest(v_rows) s where not s.present),
      'adopted', 0, 'superseded', 0, 'parked', 0, 'undecided', 0);
    if p_step = 'write' then
      return v_counts;
    end if;
  end if;
  %21$s
  return v_counts;
end $body$,
    p_stage::regclass,
    case when v_referred then 'or not s.present or exists (select from ' || (p_plan ->> 'relation') || ' t where ' || (p_plan ->> 'key_is_row') || ' and ' || (p_plan ->> 'unique_changed') || ')' else '' end,
    p_plan ->> 'relation', p_plan ->> 'key_is_row', p_plan ->> 'unique_changed', p_plan ->> 'stage_keys',
    tandem.verdict_query(p_plan || jsonb_build_object('entries', p_plan -> 'log'), 'unnest(v_rows)', 'p_known', 'p_horizon', 'p_heard', false, p_source),
    p_plan ->> 'peer',
    case when v_update then format('update %s t set %s from unnest(v_rows) s where %s and s.present; get diagnostics v_updated = row_count;',
        p_plan ->> 'relation', p_plan ->> 'set', p_plan ->> 'key_is_row')
      else format('select count(*) into v_updated from %s t join unnest(v_rows) s on %s where s.present;', p_plan ->> 'relation', p_plan ->> 'key_is_row') end,
    p_plan ->> 'insert_columns', p_plan ->> 'overriding', p_plan ->> 'insert_values', p_plan ->> 'key_columns',
    p_plan ->> 'entries', p_plan ->> 'key_is_entry',
    tandem.versions_insert(p_plan, 'unnest(v_rows)', 'true'), tandem.known_versions_insert(p_plan, 'unnest(v_rows)', 'true'),
    (select string_agg(format('select %s(%s)::numeric into v_value from unnest(v_rows) s where s.present;
      if v_value is not null then perform tandem.advance_sequence(%L::regclass, v_value); end if;', case when q.increment > 0 then 'max' else 'min' end, x.value, q.sequence::text), E'\n    ')
      from tandem.plan_sequences(p_plan) q cross join lateral (select tandem.staged_value(p_plan, q.column_name) as value) x where coalesce(x.value, '') <> ''),
    p_plan ->> 'schema', p_plan ->> 'table',
    case when p_replica then (select string_agg(format('perform 1 from (select distinct %1$s from unnest(v_rows) s join %2$s t on %3$s where s.present and %4$s) t join %5$s p on %6$s for key share of p;
      if exists (select from unnest(v_rows) s join %2$s t on %3$s where s.present and %4$s and not exists (select from %5$s p where %6$s)) then
        return null;
      end if;', f.t_columns, p_plan ->> 'relation', p_plan ->> 'key_is_row', f.t_not_null, f.parent, f.parent_is_t), E'\n    ') from tandem.plan_foreign_keys(p_plan) f)
      else 'set constraints all immediate;' end,
    (select 'exists (select from tandem_log.' || quote_ident(t.blocks_name) || ') or ' from tandem.tracked_table t where t.table_id = (p_plan ->> 'id')::integer));
end $_$;


--
-- Name: FUNCTION small_body(p_plan jsonb, p_stage oid, p_source text, p_replica boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.small_body(p_plan jsonb, p_stage oid, p_source text, p_replica boolean) IS 'The body of a function for small batches.';


--
-- Name: small_function(integer, text, jsonb, boolean, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.small_function(p_peer_id integer, p_source text, p_table jsonb, p_replica boolean, p_several boolean) RETURNS text
    LANGUAGE plpgsql
    AS $$
declare
  t tandem.tracked_table;
  v_stage oid;
  v_name text;
  v_mark text;
  v_plan jsonb;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_table ->> 'id')::integer;
  v_stage := to_regclass(format('tandem_log.%I', tandem.stage_name(p_peer_id, t.schema_name, t.table_name)));
  if v_stage is null then
    return null;
  end if;
  v_name := format('tandem_log.%I', tandem.small_name(p_peer_id, t.schema_name, t.table_name));
  v_mark := md5(concat_ws(' ', tandem.catalog_mark(t.table_id), p_table ->> 'columns', p_source, p_replica, v_stage,
    (select n.name from tandem.local_node n), tandem.comment_on(v_stage, 'pg_class')));
  if tandem.comment_on(to_regprocedure(v_name || '(text, text[], pg_snapshot, timestamptz, integer[], pg_snapshot)'), 'pg_proc') is distinct from v_mark then
    v_plan := tandem.make_plans(p_peer_id, jsonb_build_array(p_table || '{"as_text": false}'), p_replica) -> 0;
    execute format('create or replace function %s(p_step text, p_rows text[], p_known pg_snapshot, p_horizon timestamptz, p_heard integer[], p_decided pg_snapshot)
      returns jsonb language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as %L', v_name, tandem.small_body(v_plan, v_stage, p_source, p_replica));
    execute format('revoke execute on function %s from public', v_name);
    execute format('comment on function %s is %L', v_name, v_mark);
  end if;
  if not p_replica and p_several and exists (select from pg_constraint c where c.contype = 'f' and t.relid in (c.conrelid, c.confrelid)) then
    return null;
  end if;
  return v_name;
end $$;


--
-- Name: FUNCTION small_function(p_peer_id integer, p_source text, p_table jsonb, p_replica boolean, p_several boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.small_function(p_peer_id integer, p_source text, p_table jsonb, p_replica boolean, p_several boolean) IS 'The function for small batches of a table.';


--
-- Name: small_name(integer, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.small_name(p_peer_id integer, p_schema text, p_table text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select tandem.object_name('small ' || p_peer_id || ' ', p_schema, p_table)
$$;


--
-- Name: FUNCTION small_name(p_peer_id integer, p_schema text, p_table text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.small_name(p_peer_id integer, p_schema text, p_table text) IS 'Name of the function that applies small batches of a link and table.';


--
-- Name: snapshot_of(xid8, xid8[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.snapshot_of(p_xmax xid8, p_xip xid8[]) RETURNS pg_snapshot
    LANGUAGE sql IMMUTABLE
    AS $$
  select format('%s:%s:%s', coalesce((array_agg(x order by x))[1], p_xmax), p_xmax, string_agg(x::text, ',' order by x))::pg_snapshot
  from unnest(p_xip) x where x < p_xmax
$$;


--
-- Name: FUNCTION snapshot_of(p_xmax xid8, p_xip xid8[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.snapshot_of(p_xmax xid8, p_xip xid8[]) IS 'A snapshot of given parts.';


--
-- Name: source_state(text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.source_state(p_self text, p_target text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
  v_state jsonb;
begin
  perform tandem.check_identity(p_self);
  select jsonb_build_object('peer', p.peer_id, 'incarnation', n.incarnation, 'clock', clock_timestamp(), 'snapshot', pg_current_snapshot()::text,
    'token', (select i.token from tandem.inbound i where i.peer_id = p.peer_id),
    'acknowledged', coalesce(o.acknowledged::text, '1:1:'),
    'settled', (select case when bool_and(b.acknowledged is not null) and not exists (select from tandem.outbound_parked)
      then (array_agg(pg_snapshot_xmin(b.acknowledged) order by pg_snapshot_xmin(b.acknowledged)))[1]::text end from tandem.outbound b),
    'waits', exists (select from tandem.inbound_table b join tandem.peer s using (peer_id) where s.configured and b.rejoin in ('restored', 'replaced') and b.state in ('copy', 'catch_up')))
  into v_state
  from tandem.local_node n, tandem.outbound o join tandem.peer p using (peer_id) where p.name = p_target and p.configured;
  if not found then
    raise exception 'this node has no link to node "%": run "tandem migrate"', p_target using errcode = 'TD001';
  end if;
  return v_state;
end $$;


--
-- Name: FUNCTION source_state(p_self text, p_target text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.source_state(p_self text, p_target text) IS 'What a source says of itself.';


--
-- Name: stage_name(integer, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.stage_name(p_peer_id integer, p_schema text, p_table text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select tandem.object_name('stage ' || p_peer_id || ' ', p_schema, p_table)
$$;


--
-- Name: FUNCTION stage_name(p_peer_id integer, p_schema text, p_table text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.stage_name(p_peer_id integer, p_schema text, p_table text) IS 'Name of the staging table of a link and table.';


--
-- Name: staged_key(bigint, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.staged_key(p_number bigint, p_type text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $_$
  select case p_type when 'integer' then format('case when s.k%1$s between -2147483648 and 2147483647 then s.k%1$s::integer end', p_number)
    when 'smallint' then format('case when s.k%1$s between -32768 and 32767 then s.k%1$s::smallint end', p_number)
    else 's.k' || p_number end
$_$;


--
-- Name: FUNCTION staged_key(p_number bigint, p_type text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.staged_key(p_number bigint, p_type text) IS 'A staged key as its column has it.';


--
-- Name: staged_parents(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.staged_parents(p_plan jsonb) RETURNS TABLE(parent_id integer, parent text, parent_is_s text, staged_values text[])
    LANGUAGE sql STABLE
    AS $$
  select pt.table_id, c.confrelid::regclass::text,
    string_agg(format('p.%I operator(%I.%s) %s', pa.attname, n.nspname, o.oprname, x.value), ' and ' order by k.i),
    array_agg(x.value order by array_position(pt.key_columns, pa.attname::text))
  from tandem.tracked_table t
  join pg_constraint c on c.conrelid = t.relid and c.contype = 'f' and tandem.is_enforced(to_jsonb(c))
  join tandem.tracked_table pt on pt.relid = c.confrelid
  cross join lateral unnest(c.conkey, c.confkey, c.conpfeqop) with ordinality k (child, parent, op, i)
  join pg_attribute ta on ta.attrelid = c.conrelid and ta.attnum = k.child
  join pg_attribute pa on pa.attrelid = c.confrelid and pa.attnum = k.parent
  join pg_operator o on o.oid = k.op
  join pg_namespace n on n.oid = o.oprnamespace
  cross join lateral (select coalesce(
    (select q.value from tandem.plan_columns(t.relid, array(select jsonb_array_elements_text(p_plan -> 'columns')), (p_plan ->> 'as_text')::boolean) q where q.name = ta.attname),
    's.k' || array_position(t.key_columns, ta.attname::text)) as value) x
  where t.table_id = (p_plan ->> 'id')::integer
  group by c.oid, c.confrelid, pt.table_id, pt.key_columns
  having bool_and(x.value is not null) and array_agg(pa.attname::text order by pa.attname) = (select array_agg(u order by u) from unnest(pt.key_columns) u)
$$;


--
-- Name: FUNCTION staged_parents(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.staged_parents(p_plan jsonb) IS 'Parents that staged rows refer to.';


--
-- Name: staged_row(integer, text[], boolean, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.staged_row(p_table_id integer, p_columns text[], p_as_text boolean, p_rest text DEFAULT ''::text) RETURNS text
    LANGUAGE sql STABLE
    AS $_$
  select format(case when g.list is null then 'select %1$s%2$s' else 'select b.*, %3$s from (select %1$s%2$s) b' end, string_agg(q.e, ', '), p_rest, g.list)
  from tandem.tracked_table t cross join lateral (
    select format('%s as %I', tandem.staged_key(u.i, format_type(a.atttypid, null)), u.name) as e from unnest(t.key_columns) with ordinality u (name, i)
    join pg_attribute a on a.attrelid = t.relid and a.attname = u.name and not a.attisdropped where u.name <> all (p_columns)
    union all select format('%s as %I', q.value, q.name) from tandem.plan_columns(t.relid, p_columns, p_as_text) q) q
  cross join lateral (select string_agg(format('%s as %I', c.expression, c.name), ', ') as list
    from tandem.generated_columns(t.relid, p_columns || t.key_columns) c) g
  where t.table_id = p_table_id
  group by g.list
$_$;


--
-- Name: FUNCTION staged_row(p_table_id integer, p_columns text[], p_as_text boolean, p_rest text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.staged_row(p_table_id integer, p_columns text[], p_as_text boolean, p_rest text) IS 'A staged row under the table''s column names.';


--
-- Name: staged_value(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.staged_value(p_plan jsonb, p_column text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select coalesce(
      (select q.value from tandem.tracked_table t
        cross join lateral tandem.plan_columns(t.relid, array(select jsonb_array_elements_text(p_plan -> 'columns')), (p_plan ->> 'as_text')::boolean) q
        where t.table_id = (p_plan ->> 'id')::integer and q.name = p_column),
      (select 's.k' || array_position(t.key_columns, p_column) from tandem.tracked_table t
        where t.table_id = (p_plan ->> 'id')::integer and p_column = any (t.key_columns))));
end $$;


--
-- Name: FUNCTION staged_value(p_plan jsonb, p_column text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.staged_value(p_plan jsonb, p_column text) IS 'The staged value of a column.';


--
-- Name: swaps(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.swaps(p_plan jsonb, p_where text) RETURNS TABLE(index_name text, holders text, column_name text, vacant text)
    LANGUAGE sql STABLE
    AS $$
  select u.index_name,
    format('select %s from %s join %s on %s join %s s on s.n = r.tandem_n where not (%s) and (%s) and %s and exists (select from %s z join (select s.* from %s s where s.present and %s) w on w.n = z.n where %s)',
      array_to_string(tandem.columns('t', t.key_columns), ', '), u.staged, u.local, u.same_value, p_plan ->> 'stage', u.same_key, p_where, tandem.applies(p_plan),
      p_plan ->> 'stage', p_plan ->> 'stage', tandem.applies(p_plan),
      tandem.all_equal(t.key_operators, tandem.key_names('z', cardinality(t.key_columns)), tandem.columns('t', t.key_columns))),
    v.attname, v.expression
  from tandem.tracked_table t
  cross join lateral tandem.plan_uniques(p_plan) u
  left join lateral (
    select x.attname, x.expression from (
      select a.attname, a.attnum, case
          when not a.attnotnull and not coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) then 'null'
          when b.oid in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype) then
            case when a.atttypmod > 4 then format('left(md5(random()::text), %s)', a.atttypmod - 4) else 'md5(random()::text)' end
          when b.oid = 'uuid'::regtype then 'gen_random_uuid()'
          when b.oid = 'int2'::regtype then '(-32768 + (random() * 16000)::int)::int2'
          when b.oid in ('int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float8'::regtype) then '-(1 + (random() * 2147483646)::int)'
          when b.oid in ('timestamptz'::regtype, 'timestamp'::regtype) then 'timestamp ''4000-01-01 BC'' + random() * interval ''1000 years'''
        end as expression
      from pg_index i
      join pg_class ic on ic.oid = i.indexrelid and ic.relname = u.index_name
      cross join lateral (
        select k::smallint as attnum from unnest(i.indkey::int2[]) k where k > 0
        union select d.refobjsubid::smallint from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
          and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid > 0) k
      join pg_attribute a on a.attrelid = i.indrelid and (a.attnum = k.attnum or a.attnum in (select f.attnum from tandem.generated_from(i.indrelid, k.attnum) f))
      join pg_type b on b.oid = tandem.base_type(a.atttypid)
      where i.indrelid = t.relid and a.attname <> all (t.key_columns) and a.attgenerated = '') x
    where x.expression is not null
    order by x.expression <> 'null', x.attnum limit 1) v on true
  where t.table_id = (p_plan ->> 'id')::integer
$$;


--
-- Name: FUNCTION swaps(p_plan jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.swaps(p_plan jsonb, p_where text) IS 'Rows that stand in the way of others that are written with them.';


--
-- Name: synced(xid8, integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.synced(p_xid xid8, p_received_from integer) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_synced boolean;
begin
  execute format('select %s from (select $1 as xid, $2 as received_from) l', tandem.synced_condition()) into v_synced using p_xid, p_received_from;
  return v_synced;
end $_$;


--
-- Name: FUNCTION synced(p_xid xid8, p_received_from integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.synced(p_xid xid8, p_received_from integer) IS 'Whether all peers have acknowledged an entry.';


--
-- Name: synced_condition(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.synced_condition() RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select 'not exists (select from tandem.outbound o join tandem.peer p using (peer_id)
    where p.configured and o.peer_id is distinct from l.received_from and not coalesce(pg_visible_in_snapshot(l.xid, o.acknowledged), false)
      and not exists (select from tandem.peer s where s.peer_id = l.received_from and s.gone_at is null and s.name = any (p.receives_from)))'
$$;


--
-- Name: FUNCTION synced_condition(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.synced_condition() IS 'Condition that all peers have acknowledged an entry.';


--
-- Name: system_identifier(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.system_identifier() RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (select c.system_identifier::text from pg_control_system() c);
exception when insufficient_privilege then
  return '';
end $$;


--
-- Name: FUNCTION system_identifier(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.system_identifier() IS 'The server''s system identifier.';


--
-- Name: table_key(oid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.table_key(p_relid oid) RETURNS TABLE(index_oid oid, key_columns text[], key_types text[], key_operators text[])
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select i.indexrelid, c.names, c.types, c.operators
  from pg_index i
  cross join lateral (
    select array_agg(a.attname::text order by k.position) as names,
      array_agg(format_type(a.atttypid, a.atttypmod)
        || case when a.attcollation <> t.typcollation
             then (select format(' collate %I.%I', cn.nspname, co.collname)
                   from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation)
             else '' end order by k.position) as types,
      array_agg(format('operator(%I.%s)', n.nspname, o.oprname) order by k.position) as operators,
      bool_and(a.attnotnull) as not_null
    from unnest(i.indkey::int2[], i.indclass::oid[]) with ordinality k (attnum, opclass, position)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    join pg_type t on t.oid = a.atttypid
    join pg_opclass oc on oc.oid = k.opclass
    join pg_amop am on am.amopfamily = oc.opcfamily and am.amopstrategy = 3
      and am.amoplefttype = oc.opcintype and am.amoprighttype = oc.opcintype
    join pg_operator o on o.oid = am.amopopr
    join pg_namespace n on n.oid = o.oprnamespace
    where k.position <= i.indnkeyatts
  ) c
  where i.indrelid = p_relid and i.indisunique and not i.indisexclusion and i.indimmediate and i.indisvalid
    and i.indpred is null and i.indexprs is null and c.not_null
    and cardinality(c.names) = i.indnkeyatts
  order by i.indisprimary desc, i.indnkeyatts, c.names
  limit 1
$$;


--
-- Name: FUNCTION table_key(p_relid oid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.table_key(p_relid oid) IS 'The key that a table is tracked by.';


--
-- Name: table_shape(oid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.table_shape(p_relid oid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select jsonb_build_object(
    'columns', (select jsonb_object_agg(a.attnum, jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)))
      from pg_attribute a where a.attrelid = p_relid and a.attnum > 0 and not a.attisdropped),
    'triggers', (select jsonb_object_agg(g.tgrelid || ' ' || g.tgname, jsonb_build_array(g.oid, g.tgenabled, g.tgfoid))
      from pg_trigger g
      where (g.tgrelid = p_relid or g.tgrelid in (select h.relid from pg_partition_tree(p_relid) h)) and g.tgname like 'tandem\_%'),
    'leaves', (select jsonb_object_agg(format('%I.%I', n.nspname, c.relname), g.oid)
      from pg_partition_tree(p_relid) h
      join pg_class c on c.oid = h.relid
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_trigger g on g.tgrelid = h.relid and g.tgname = 'tandem_row'
      where h.isleaf and h.relid <> p_relid))::text
$$;


--
-- Name: FUNCTION table_shape(p_relid oid); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.table_shape(p_relid oid) IS 'Fingerprint of a table''s columns, capture triggers and leaves.';


--
-- Name: tables_with_blocks(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.tables_with_blocks() RETURNS SETOF integer
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return query select t.table_id from tandem.tracked_table t join pg_class c on c.relname = t.blocks_name and c.relnamespace = 'tandem_log'::regnamespace
  where case when pg_relation_size(c.oid) > 0 then tandem.has_blocks(t.table_id) end order by t.table_id;
end $$;


--
-- Name: FUNCTION tables_with_blocks(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.tables_with_blocks() IS 'The tables that have blocks.';


--
-- Name: tables_with_entries(pg_snapshot); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.tables_with_entries(p_from pg_snapshot) RETURNS SETOF integer
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  t record;
  v_log text;
  v_there boolean;
  v_xmax xid8 := pg_snapshot_xmax(p_from);
  v_xip xid8[] := array(select pg_snapshot_xip(p_from));
begin
  if pg_snapshot_xmax(pg_current_snapshot()) = v_xmax and array(select pg_snapshot_xip(pg_current_snapshot())) @> v_xip then
    return;
  end if;
  for t in select table_id, log_name, blocks_name from tandem.tracked_table order by table_id loop
    v_there := false;
    foreach v_log in array array_remove(array[t.log_name, t.blocks_name], null) loop
      continue when v_there or v_log = t.blocks_name and pg_relation_size(format('tandem_log.%I', v_log)) = 0;
      execute format('select (select xid from tandem_log.%I where xid >= $1 order by xid limit 1) is not null', v_log) into v_there using v_xmax;
      if not v_there and cardinality(v_xip) > 0 then
        execute format('select (select xid from tandem_log.%I where xid = any ($1) order by xid limit 1) is not null', v_log) into v_there using v_xip;
      end if;
    end loop;
    if v_there then
      return next t.table_id;
    end if;
  end loop;
end $_$;


--
-- Name: FUNCTION tables_with_entries(p_from pg_snapshot); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.tables_with_entries(p_from pg_snapshot) IS 'Tracked tables with entries after a position.';


--
-- Name: take_over_table(tandem.tracked_table); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.take_over_table(p_table tandem.tracked_table) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform tandem.write_out(p_table.table_id);
  execute format('update tandem_log.%I set xid = pg_current_xact_id() where xid >= pg_snapshot_xmin(pg_current_snapshot())', p_table.log_name);
  update tandem.tracked_table t set relid = to_regclass(format('%I.%I', t.schema_name, t.table_name))
  where t.table_id = p_table.table_id and to_regclass(format('%I.%I', t.schema_name, t.table_name)) is not null;
  if found then
    perform tandem.make_capture_function(p_table.table_id);
    perform tandem.arm_table(p_table.table_id);
  end if;
end $$;


--
-- Name: FUNCTION take_over_table(p_table tandem.tracked_table); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.take_over_table(p_table tandem.tracked_table) IS 'Puts right what is kept of a table of a copied database.';


--
-- Name: take_turns(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.take_turns(p_plans jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_plan jsonb;
  v_deletes boolean;
begin
  perform set_config('lock_timeout', '60s', true);
  for v_plan in select e from jsonb_array_elements(p_plans) e order by (e ->> 'id')::integer loop
    v_deletes := v_plan ->> 'gone' <> '0';
    if v_deletes is null then
      execute format('select exists (select from %s s where not s.present)', v_plan ->> 'stage') into v_deletes;
    end if;
    if v_deletes or v_plan ->> 'claims' is not null then
      perform pg_advisory_xact_lock(tandem.turn_lock(), (v_plan ->> 'id')::integer);
    else
      perform pg_advisory_xact_lock_shared(tandem.turn_lock(), (v_plan ->> 'id')::integer);
    end if;
  end loop;
end $$;


--
-- Name: FUNCTION take_turns(p_plans jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.take_turns(p_plans jsonb) IS 'Lets no two links write a table at once of which one deletes.';


--
-- Name: tell_triggers(jsonb, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.tell_triggers(p_plan jsonb, p_images boolean DEFAULT true) RETURNS void
    LANGUAGE sql
    AS $$
  select set_config('tandem.image_of_' || (p_plan ->> 'id'), case when p_images then p_plan ->> 'image_query' else '' end, true),
    set_config('tandem.refers_of_' || (p_plan ->> 'id'), case when p_images then coalesce(p_plan ->> 'refers', '') else '' end, true)
$$;


--
-- Name: FUNCTION tell_triggers(p_plan jsonb, p_images boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.tell_triggers(p_plan jsonb, p_images boolean) IS 'Tells triggers how rows are staged.';


--
-- Name: text_of(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.text_of(p_expression text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $_$
  select format('case when %1$s is distinct from null then concat(%1$s) end', p_expression)
$_$;


--
-- Name: FUNCTION text_of(p_expression text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.text_of(p_expression text) IS 'Expression for a value as its type writes it.';


--
-- Name: tidy(bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.tidy(p_limit bigint DEFAULT 50) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
declare
  v_table integer;
  v_left bigint := p_limit;
begin
  for v_table in select tandem.tables_with_blocks() loop
    v_left := v_left - ceil(tandem.write_out(v_table, v_left, true) / tandem.block_rows()::numeric);
    exit when v_left <= 0;
  end loop;
  return v_left <= 0;
end $$;


--
-- Name: FUNCTION tidy(p_limit bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.tidy(p_limit bigint) IS 'Writes out some blocks.';


--
-- Name: time_column(tandem.tracked_table); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.time_column(p_table tandem.tracked_table) RETURNS SETOF text
    LANGUAGE sql STABLE
    AS $$
  select a.attname::text from pg_attribute a
  where a.attrelid = p_table.relid and not a.attisdropped and a.attname = coalesce(p_table.updated_at_column, 'updated_at')
    and a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
$$;


--
-- Name: FUNCTION time_column(p_table tandem.tracked_table); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.time_column(p_table tandem.tracked_table) IS 'The column by which rows without an entry are dated.';


--
-- Name: to_us(timestamp with time zone); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.to_us(p_stamp timestamp with time zone) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
  select (extract(epoch from date_trunc('second', p_stamp))::bigint) * 1000000
    + extract(microseconds from p_stamp)::bigint % 1000000
$$;


--
-- Name: FUNCTION to_us(p_stamp timestamp with time zone); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.to_us(p_stamp timestamp with time zone) IS 'A stamp as microseconds since 1970.';


--
-- Name: track_own_table(text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.track_own_table(p_table text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_id integer;
begin
  insert into tandem.tracked_table (schema_name, table_name, relid, log_name, entries_name, blocks_name, changelog_view, key_columns, key_types, key_operators, partitioned)
  select 'tandem', p_table, c.oid, tandem.object_name('', 'tandem', p_table), tandem.object_name('entries ', 'tandem', p_table), tandem.object_name('blocks ', 'tandem', p_table), tandem.free_changelog_name('tandem', p_table),
    k.key_columns, k.key_types, k.key_operators, false
  from pg_class c cross join lateral tandem.table_key(c.oid) k
  where c.oid = format('tandem.%I', p_table)::regclass
  returning table_id into strict v_id;
  perform tandem.make_log(v_id);
  perform tandem.make_capture_function(v_id);
  perform tandem.make_changelog_view(v_id);
  perform tandem.arm_table(v_id);
  perform tandem.arm_last_trigger(v_id);
end $$;


--
-- Name: FUNCTION track_own_table(p_table text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.track_own_table(p_table text) IS 'Has a table of Tandem''s own captured.';


--
-- Name: track_table(text, text, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.track_table(p_schema text, p_table text, p_policy text DEFAULT 'newest'::text, p_updated_at text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
declare
  c tandem.table_candidates;
  t tandem.tracked_table;
  k record;
  v_done boolean := false;
  v_tracked boolean := false;
  v_recreated boolean := false;
begin
  if not exists (select from tandem.local_node) then
    raise exception 'this database is not configured as a node' using errcode = 'TD001';
  end if;
  select * into c from tandem.table_candidates where schema_name = p_schema and table_name = p_table;
  if not found then
    raise exception 'there is no table %.%', quote_ident(p_schema), quote_ident(p_table) using errcode = 'TD010';
  end if;
  if c.reason_code in ('no_key', 'inheritance', 'period', 'not_owner', 'temporary') then
    raise exception 'table %.% %', quote_ident(p_schema), quote_ident(p_table), c.reason using errcode = 'TD011';
  end if;
  select * into strict k from tandem.table_key(c.relid);
  -- A table that was renamed is another table to its peers.
  perform tandem.untrack_table(x.schema_name, x.table_name) from tandem.tracked_table x
  where x.relid = c.relid and (x.schema_name, x.table_name) <> (p_schema, p_table);
  perform tandem.follow_key(x.table_id) from tandem.tracked_table x
  where (x.schema_name, x.table_name, x.relid) = (p_schema, p_table, c.relid);
  select * into t from tandem.tracked_table where schema_name = p_schema and table_name = p_table;
  if found and (t.key_columns, t.key_types, t.key_operators, t.partitioned)
    is distinct from (k.key_columns, k.key_types, k.key_operators, c.partitioned)
  then
    -- Another key means another log: entries by the old one cannot be told apart by the new one.
    perform tandem.untrack_table(p_schema, p_table);
    t := null;
    v_done := true;
  end if;
  if t.table_id is null then
    insert into tandem.tracked_table (schema_name, table_name, relid, log_name, entries_name, blocks_name, changelog_view,
      key_columns, key_types, key_operators, partitioned, conflict_policy, updated_at_column)
    values (p_schema, p_table, c.relid, tandem.object_name('', p_schema, p_table), tandem.object_name('entries ', p_schema, p_table),
      case when tandem.fits_blocks(c.relid, k.key_columns) then tandem.object_name('blocks ', p_schema, p_table) end, tandem.free_changelog_name(p_schema, p_table),
      k.key_columns, k.key_types, k.key_operators, c.partitioned, p_policy, p_updated_at)
    returning * into t;
    perform tandem.make_log(t.table_id);
    v_done := true;
  elsif t.relid = c.relid then
    v_tracked := true;
  end if;
  if (t.relid, t.conflict_policy, t.updated_at_column) is distinct from (c.relid, p_policy, p_updated_at) then
    v_recreated := t.relid <> c.relid;
    update tandem.tracked_table set relid = c.relid, conflict_policy = p_policy, updated_at_column = p_updated_at
    where table_id = t.table_id;
    v_done := true;
  end if;
  perform tandem.make_capture_function(t.table_id);
  perform tandem.make_changelog_view(t.table_id);
  if v_tracked then
    v_done := tandem.watch_table(t.table_id) or v_done;
  else
    v_done := tandem.arm_table(t.table_id) or v_done;
  end if;
  if v_recreated then
    perform tandem.log_again(t.table_id, c.relid::regclass::text, 'I');
    perform tandem.log_gone(t.table_id);
    perform tandem.note_vanished(t.table_id);
  end if;
  return tandem.arm_last_trigger(t.table_id) or v_done;
end $$;


--
-- Name: FUNCTION track_table(p_schema text, p_table text, p_policy text, p_updated_at text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.track_table(p_schema text, p_table text, p_policy text, p_updated_at text) IS 'Starts to capture a table.';


--
-- Name: trigger_parts(oid); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.trigger_parts(p_trigger oid, OUT head text, OUT condition text, OUT tail text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  v_definition text := pg_get_triggerdef(p_trigger);
  v_mask text := '';   -- as long as the definition, with x for whatever is quoted
  v_quote text := '';
  v_char text;
  v_when integer;
  v_execute integer;
begin
  foreach v_char in array regexp_split_to_array(v_definition, '') loop
    if v_quote <> '' then
      v_mask := v_mask || 'x';
      -- A doubled quote opens again at once.
      v_quote := case when v_char = v_quote then '' else v_quote end;
    elsif v_char in ('''', '"') then
      v_mask := v_mask || 'x';
      v_quote := v_char;
    else
      v_mask := v_mask || v_char;
    end if;
  end loop;
  v_when := strpos(v_mask, substring(v_mask from ' FOR EACH (?:ROW|STATEMENT) ')) + length(substring(v_mask from ' FOR EACH (?:ROW|STATEMENT) '));
  v_execute := strpos(v_mask, ' EXECUTE FUNCTION ') + 1;
  head := left(v_definition, v_when - 1);
  tail := substr(v_definition, v_execute);
  if v_execute > v_when then
    condition := substr(v_definition, v_when + length('WHEN ('), v_execute - v_when - length('WHEN () '));
  end if;
end $$;


--
-- Name: FUNCTION trigger_parts(p_trigger oid, OUT head text, OUT condition text, OUT tail text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.trigger_parts(p_trigger oid, OUT head text, OUT condition text, OUT tail text) IS 'A trigger''s definition around its condition.';


--
-- Name: try_replica_role(boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.try_replica_role(p_session boolean DEFAULT false) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
begin
  perform set_config('session_replication_role', 'replica', not p_session);
  return true;
exception when insufficient_privilege then
  return false;
end $$;


--
-- Name: FUNCTION try_replica_role(p_session boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.try_replica_role(p_session boolean) IS 'Sets replica role where the role may.';


--
-- Name: turn_lock(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.turn_lock() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
  select 1950109541
$$;


--
-- Name: FUNCTION turn_lock(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.turn_lock() IS 'Class of the advisory locks of turns at tables.';


--
-- Name: unique_matches(integer, text[], boolean, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.unique_matches(p_table_id integer, p_columns text[], p_as_text boolean, p_stage text) RETURNS TABLE(index_name text, key_columns text[], staged text, local text, same_value text, same_key text)
    LANGUAGE sql STABLE
    AS $$
  select ic.relname::text, t.key_columns,
    format('(select b.*, %s from (%s) b) r', x.values_,
      tandem.staged_row(p_table_id, p_columns, p_as_text, format(', s.n as tandem_n from %s s where s.present', p_stage))),
    format('(select b.*, %s from %I.%I b) t', x.values_, t.schema_name, t.table_name),
    tandem.same_by_index(i.indexrelid, 'r.tandem_', 't.tandem_') || ' and r.tandem_where and t.tandem_where',
    tandem.all_equal(t.key_operators, tandem.columns('r', t.key_columns), tandem.columns('t', t.key_columns))
  from tandem.tracked_table t
  join pg_index i on i.indrelid = t.relid and i.indisunique and i.indisvalid
  join pg_class ic on ic.oid = i.indexrelid
  cross join lateral (select
    string_agg(format('(%s) as tandem_%s', pg_get_indexdef(i.indexrelid, g.g, false), g.g), ', ' order by g.g)
      || format(', (%s) as tandem_where', coalesce(pg_get_expr(i.indpred, i.indrelid), 'true')) as values_
    from generate_series(1, i.indnkeyatts) g) x
  where t.table_id = p_table_id and i.indexrelid <> (select k.index_oid from tandem.table_key(t.relid) k)
    and not exists (select from unnest(i.indkey::int2[]) z join pg_attribute a on a.attrelid = t.relid and a.attnum = z
      where z > 0 and a.attname <> all (p_columns || t.key_columns || array(select c.name from tandem.generated_columns(t.relid, p_columns || t.key_columns) c)))
$$;


--
-- Name: FUNCTION unique_matches(p_table_id integer, p_columns text[], p_as_text boolean, p_stage text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.unique_matches(p_table_id integer, p_columns text[], p_as_text boolean, p_stage text) IS 'How to find who holds a unique value.';


--
-- Name: unlogged_origin(tandem.tracked_table, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.unlogged_origin(p_table tandem.tracked_table, p_alias text, p_rejoin text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select case p_rejoin when 'survivor' then quote_literal(n.name) when 'restored' then '''''' when 'replaced' then '''''' else coalesce((select format('case when %s.%I is null then %L else %L end', p_alias, u, s.origin, n.name) from tandem.time_column(p_table) u),
      quote_literal(s.origin)) end
    from tandem.local_node n cross join lateral (select case when n.seed = n.name then n.name else '' end as origin) s);
end $$;


--
-- Name: FUNCTION unlogged_origin(p_table tandem.tracked_table, p_alias text, p_rejoin text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.unlogged_origin(p_table tandem.tracked_table, p_alias text, p_rejoin text) IS 'Origin of a row without an entry.';


--
-- Name: unlogged_stamp(tandem.tracked_table, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.unlogged_stamp(p_table tandem.tracked_table, p_alias text, p_rejoin text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return (
    select case p_rejoin when 'survivor' then format('%L::timestamptz', tandem.log_begin())
      when 'restored' then 'timestamptz ''0001-01-01 00:00:00+00''' when 'replaced' then 'timestamptz ''0001-01-01 00:00:00+00'''
      else coalesce((select format('coalesce(least(%s.%I::timestamptz, clock_timestamp()), timestamptz ''0001-01-01 00:00:00+00'')', p_alias, u)
      from tandem.time_column(p_table) u), 'timestamptz ''0001-01-01 00:00:00+00''') end);
end $$;


--
-- Name: FUNCTION unlogged_stamp(p_table tandem.tracked_table, p_alias text, p_rejoin text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.unlogged_stamp(p_table tandem.tracked_table, p_alias text, p_rejoin text) IS 'Stamp of a row without an entry.';


--
-- Name: unstaged_keys(integer, text, text, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.unstaged_keys(p_peer_id integer, p_schema text, p_name text, p_keys jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  t tandem.tracked_table;
  v_keys jsonb;
begin
  select * into strict t from tandem.tracked_table where (schema_name, table_name) = (p_schema, p_name);
  execute format('select coalesce(jsonb_agg(x), ''[]'') from jsonb_array_elements($1) x where not exists (select from tandem_log.%I z where %s)',
    tandem.stage_name(p_peer_id, p_schema, p_name),
    tandem.all_equal(t.key_operators, tandem.key_names('z', cardinality(t.key_columns)),
      array(select format('(x ->> %s)::%s', u.i - 1, u.type) from unnest(t.key_types) with ordinality u (type, i) order by u.i)))
  into v_keys using p_keys;
  return v_keys;
end $_$;


--
-- Name: FUNCTION unstaged_keys(p_peer_id integer, p_schema text, p_name text, p_keys jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.unstaged_keys(p_peer_id integer, p_schema text, p_name text, p_keys jsonb) IS 'Keys of which no row is staged.';


--
-- Name: unsynced(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.unsynced(p_peer_id integer) RETURNS TABLE(schema_name text, table_name text, op text, key text[], stamp timestamp with time zone, origin text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  t tandem.tracked_table;
  v_from pg_snapshot;
  v_skip integer[] := tandem.not_forwarded(p_peer_id);
  v_reader name := coalesce(nullif(current_setting('role'), 'none'), session_user);
begin
  if not (has_table_privilege(v_reader, 'tandem.pending', 'select') or has_table_privilege(v_reader, 'tandem.status', 'select')) then
    raise exception 'permission denied: "%" may read neither tandem.pending nor tandem.status', v_reader using errcode = '42501';
  end if;
  select o.acknowledged into v_from from tandem.outbound o where o.peer_id = p_peer_id;
  v_from := coalesce(v_from, '1:1:'::pg_snapshot);
  for t in select * from tandem.tracked_table x where x.schema_name <> 'tandem' order by x.schema_name, x.table_name loop
    return query execute format(
      'select %L::text, %L::text, l.op::text, array[%s], l.stamp, l.origin from tandem_log.%I l
       where (l.xid >= pg_snapshot_xmax($1) or l.xid in (select pg_snapshot_xip($1)))
         and (l.received_from is null or l.received_from <> all ($2))',
      t.schema_name, t.table_name,
      (select string_agg(format('l.k%s::text', i), ', ' order by i) from generate_series(1, cardinality(t.key_columns)) i), t.entries_name)
    using coalesce((select h.position from tandem.outbound_held h
      where (h.peer_id, h.schema_name, h.table_name) = (p_peer_id, t.schema_name, t.table_name)), v_from), v_skip;
  end loop;
end $_$;


--
-- Name: FUNCTION unsynced(p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.unsynced(p_peer_id integer) IS 'Entries that a peer has not acknowledged.';


--
-- Name: untrack_table(text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.untrack_table(p_schema text, p_table text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
declare
  t tandem.tracked_table;
  r record;
begin
  select * into t from tandem.tracked_table where schema_name = p_schema and table_name = p_table;
  if not found then
    return false;
  end if;
  -- Triggers cloned into partitions go with the parent's; a trigger of a detached partition stands on its own.
  for r in
    select g.tgrelid::regclass as rel, g.tgname
    from pg_trigger g join pg_proc p on p.oid = g.tgfoid join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'tandem_log' and g.tgparentid = 0
      and p.proname in (tandem.object_name('capture ', p_schema, p_table), tandem.object_name('last ', p_schema, p_table))
  loop
    execute format('drop trigger %I on %s', r.tgname, r.rel);
  end loop;
  execute format('drop function if exists tandem_log.%I()', tandem.object_name('capture ', p_schema, p_table));
  execute format('drop function if exists tandem_log.%I()', tandem.object_name('last ', p_schema, p_table));
  execute format('drop view if exists tandem.%I', t.changelog_view);
  execute format('drop view if exists tandem_log.%I', t.entries_name);
  if t.blocks_name is not null then
    execute format('drop table if exists tandem_log.%I', t.blocks_name);
  end if;
  execute format('drop table if exists tandem_log.%I', t.log_name);
  for r in
    select c.relname from pg_class c
    where c.relnamespace = 'tandem_log'::regnamespace and c.relkind = 'r'
      and c.relname in (select tandem.stage_name(p.peer_id, t.schema_name, t.table_name) from tandem.peer p)
  loop
    execute format('drop table tandem_log.%I', r.relname);
  end loop;
  perform tandem.drop_small(p.peer_id, t.schema_name, t.table_name) from tandem.peer p;
  perform tandem.set_guards(t.relid, false);
  delete from tandem.tracked_table where table_id = t.table_id;
  return true;
end $$;


--
-- Name: FUNCTION untrack_table(p_schema text, p_table text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.untrack_table(p_schema text, p_table text) IS 'Stops to capture a table and drops its log.';


--
-- Name: use_memory(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.use_memory() RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform set_config('work_mem', x.kb || 'kB', true)
  from (select greatest(least(32768, max(s.setting::bigint) filter (where s.name = 'maintenance_work_mem') / 2), max(s.setting::bigint) filter (where s.name = 'work_mem')) as kb
    from pg_settings s where s.name in ('maintenance_work_mem', 'work_mem')) x;
end $$;


--
-- Name: FUNCTION use_memory(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.use_memory() IS 'Grants a transaction the memory of maintenance.';


--
-- Name: vacate(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.vacate(p_plan jsonb, p_where text) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
declare
  t tandem.tracked_table;
  w record;
  v_count bigint;
  v_total bigint := 0;
begin
  if not coalesce((p_plan ->> 'swaps')::boolean, false) then
    return 0;
  end if;
  select * into strict t from tandem.tracked_table where table_id = (p_plan ->> 'id')::integer;
  perform tandem.tell_triggers(p_plan, false);
  for w in select * from tandem.swaps(p_plan, p_where) loop
    continue when w.vacant is null;
    execute format('with h as materialized (%s) update %s t set %I = %s from h where %s',
      w.holders, p_plan ->> 'relation', w.column_name, w.vacant,
      tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.columns('h', t.key_columns)));
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  perform tandem.tell_triggers(p_plan);
  return v_total;
end $$;


--
-- Name: FUNCTION vacate(p_plan jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.vacate(p_plan jsonb, p_where text) IS 'First step of a swap of unique values.';


--
-- Name: value_class(oid, integer, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.value_class(p_type oid, p_typmod integer, p_inside boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  t pg_type;
  v_name text;
begin
  select * into strict t from pg_type where oid = p_type;
  v_name := case when t.typnamespace = 'pg_catalog'::regnamespace then format_type(p_type, p_typmod)
    else t.typname || coalesce(substring(format_type(p_type, p_typmod) from '\([^()]*\)$'), '') end;
  case
    when t.typtype = 'd' then
      return tandem.value_class(t.typbasetype, t.typtypmod, p_inside);
    when t.typcategory = 'A' and t.typelem <> 0 then
      return tandem.value_class(t.typelem, p_typmod, true) || '[]';
    when p_type in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) then
      return 'integer';
    when p_type in ('text'::regtype, 'varchar'::regtype) and (p_typmod = -1 or not p_inside) then
      return 'text';
    when p_type = 'numeric'::regtype and p_typmod <> -1 then
      -- The scale as PostgreSQL 15 packs it, where it may be negative; older versions pack those they know alike.
      return format('numeric of scale %s', (((p_typmod - 4) & 2047) # 1024) - 1024);
    when t.typtype = 'e' then
      return 'enum ' || t.typname;
    when t.typtype = 'c' then
      return (select format('%s(%s)', v_name, string_agg(tandem.value_class(a.atttypid, a.atttypmod, true), ', ' order by a.attnum))
        from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped);
    when t.typtype in ('r', 'm') then
      return (select format('%s(%s)', v_name, tandem.value_class(r.rngsubtype, -1, true))
        from pg_range r where p_type in (r.rngtypid, (to_jsonb(r) ->> 'rngmultitypid')::oid));
    else
      return v_name;
  end case;
end $_$;


--
-- Name: FUNCTION value_class(p_type oid, p_typmod integer, p_inside boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.value_class(p_type oid, p_typmod integer, p_inside boolean) IS 'What two columns must have in common to carry each other''s values.';


--
-- Name: verdict_query(jsonb, text, text, text, text, boolean, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.verdict_query(p_plan jsonb, p_rows text, p_known text, p_horizon text, p_heard text, p_copy boolean, p_source text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  n tandem.local_node;
begin
  select * into strict n from tandem.local_node;
  return format($sql$
      select c.*,
        case
          when c.unplaced is not null or c.ahead or c.misfit is not null or (c.too_long is not null and not c.same) then 'park'
          when c.same then case when c.newer and not c.both_unlogged and not c.forgotten then 'adopt' else 'drop' end
          when c.missing then case %22$L when 'keep' then 'apply' when 'delete' then 'missing' else 'undecided' end
          when c.unknown then 'drop'
          when c.equal_version and c.local_stamp <= timestamptz '0001-01-01 00:00:00+00' and c.local_origin = '' then 'undecided'
          when c.equal_version then case when %2$L > %3$L then 'anew' else 'tie' end
          when c.newer and c.local_known then 'apply'
          when c.newer and %4$L = 'prefer: ' || c.local_origin and c.local_origin = %3$L then 'prefer'
          when c.newer then 'win'
          when c.assumed then 'keep'
          when c.incoming_known then 'drop'
          else 'lose'
        end as verdict
      from (
        select s.n, case when s.present then coalesce(s.op::text, 'I') else 'D' end as op, s.unplaced, s.misfit, s.misfit_state, %20$s as too_long,
          s.stamp > clock_timestamp() + (select o.max_skew from tandem.local_node o) as ahead,
          coalesce(case when u.unsettled then 'U' else l.op::text end, case when %5$s is distinct from null then 'U' else 'D' end) as local_op,
          coalesce(w.stamp, v.stamp) as local_stamp, coalesce(w.origin, v.origin) as local_origin,
          (s.stamp, s.origin) > (v.stamp, v.origin) as newer,
          (s.stamp, s.origin) = (v.stamp, v.origin) as equal_version,
          s.stamp is null or (not %19$L and s.stamp <= timestamptz '0001-01-01 00:00:00+00' and v.stamp > '-infinity') as unknown,
          (%5$s is distinct from null) = s.present and (not s.present or %6$s) as same,
          %23$L and s.op is null and s.present and l.op is null as both_unlogged,
          s.asked and l.op is null as forgotten,
          %24$L and s.present and l.op is null and %5$s is not distinct from null and s.stamp <= tandem.log_begin() as missing,
          case
            when l.xid is null then %7$s
            when u.unsettled then false
            when l.received_from = %1$s then true
            when s.parked_there then false
            when pg_visible_in_snapshot(l.xid, %8$s)
              and (l.stamp < %10$s or not %21$s and (l.received_from is null or l.received_from <> all (%9$s))) then true
            else coalesce((select bool_or(k.stamp %25$s v.stamp) from unnest(s.known_stamps, s.known_origins) k (stamp, origin) where k.origin = v.origin), false)
          end as local_known,
          %26$s as assumed,
          case when (s.stamp, s.origin) > (v.stamp, v.origin) then false
            else exists (select from %11$s l where %12$s and l.origin = s.origin and l.stamp %25$s s.stamp) end as incoming_known
        from %13$s s
        left join %14$s t on %15$s
        left join lateral (select l.op, l.stamp, l.origin, l.received_from, l.xid from %11$s l where %12$s order by %16$s limit 1) l on true
        cross join lateral (select coalesce(l.op = 'D' and %5$s is distinct from null, false) as unsettled) u
        left join lateral (select l.stamp, l.origin from %11$s l where u.unsettled and %12$s and l.op <> 'D' order by %16$s limit 1) w on true
        cross join lateral (select
          coalesce(l.stamp, case when %5$s is distinct from null then %17$s else '-infinity' end) as stamp,
          coalesce(l.origin, case when %5$s is distinct from null then %18$s else '' end) as origin) v
      ) c$sql$,
    p_plan ->> 'peer', p_source, n.name, p_plan ->> 'policy',
    p_plan ->> 'first_key', p_plan ->> 'image_is_row',
    case when p_copy and coalesce(p_plan ->> 'rejoin', 'replaced') = 'replaced' then format('%s is not distinct from null', p_plan ->> 'first_key') else 'true' end,
    p_known, p_heard, p_horizon,
    p_plan ->> 'entries', p_plan ->> 'key_is_entry', p_rows, p_plan ->> 'relation', p_plan ->> 'key_is_row', p_plan ->> 'newest_first',
    case when p_copy or p_plan ? 'rejoin' then p_plan ->> 'unlogged_stamp' else 'timestamptz ''0001-01-01 00:00:00+00''' end,
    case when p_copy or p_plan ? 'rejoin' then p_plan ->> 'unlogged_origin' else '''''' end, p_copy, p_plan ->> 'too_long',
    case when p_plan ->> 'policy' = 'prefer: ' || n.name then format('l.origin = %L', n.name) else 'false' end,
    p_plan ->> 'missing', p_plan ? 'rejoin', p_copy and p_plan ->> 'rejoin' is not distinct from 'survivor',
    case when p_plan ? 'rejoin' then '=' else '>=' end,
    case when p_copy and p_plan ->> 'rejoin' = 'survivor' then format('l.xid is null and %s is distinct from null', p_plan ->> 'first_key')
      when not p_copy and exists (select from tandem.assumed_version) then '(v.stamp, v.origin) in (select a.stamp, a.origin from tandem.assumed_version a)' else 'false' end);
end $_$;


--
-- Name: FUNCTION verdict_query(p_plan jsonb, p_rows text, p_known text, p_horizon text, p_heard text, p_copy boolean, p_source text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.verdict_query(p_plan jsonb, p_rows text, p_known text, p_horizon text, p_heard text, p_copy boolean, p_source text) IS 'The query that judges staged rows.';


--
-- Name: verify_buckets(jsonb, text, bigint, bigint, integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.verify_buckets(p_spec jsonb, p_relation text, p_from bigint, p_to bigint, p_buckets integer) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
declare
  t tandem.tracked_table;
  v record;
  v_sums text;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_spec ->> 'id')::integer;
  select * into v from tandem.verify_rows(p_spec, t);
  -- Without OFFSET 0 a hash is worked out anew wherever it is named.
  execute format('select string_agg(concat(g.b, '','', g.n, '','', g.x, '','', g.y), '';'')
    from (select r.b, count(*) as n, sum(r.h) as x, sum(hashint8extended(r.h, 2)) as y
      from (select s.b, %s as h from (select %s & %s as b, %s from %s offset 0) s offset 0) r group by r.b) g',
    v.hash, v.bucket, p_buckets - 1, v.parts, tandem.verify_piece(p_relation, p_from, p_to))
  into v_sums;
  return v_sums;
end $$;


--
-- Name: FUNCTION verify_buckets(p_spec jsonb, p_relation text, p_from bigint, p_to bigint, p_buckets integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.verify_buckets(p_spec jsonb, p_relation text, p_from bigint, p_to bigint, p_buckets integer) IS 'Sums of hashes per bucket of one piece of a table.';


--
-- Name: verify_extent(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.verify_extent(p_table_id integer) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
  select coalesce(jsonb_agg(jsonb_build_object('relation', format('%I.%I', n.nspname, c.relname),
    'file', pg_relation_filenode(c.oid)::text, 'blocks', case when c.relkind = 'r' then z.blocks end,
    'rows', case when c.reltuples > 0 and c.relpages > 0 then c.reltuples / c.relpages * z.blocks else z.blocks * 60 end::bigint)
    order by c.oid), '[]')
  from tandem.tracked_table t
  cross join lateral (select t.relid::regclass as relid where not t.partitioned
    union all select h.relid from pg_partition_tree(t.relid) h where t.partitioned and h.isleaf) l
  join pg_class c on c.oid = l.relid
  join pg_namespace n on n.oid = c.relnamespace
  cross join lateral (select coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::integer as blocks) z
  where t.table_id = p_table_id
$$;


--
-- Name: FUNCTION verify_extent(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.verify_extent(p_table_id integer) IS 'Where a table''s rows lie.';


--
-- Name: verify_hash(oid, text[], text[], boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.verify_hash(p_relid oid, p_columns text[], p_typed text[], p_portable boolean, OUT parts text, OUT chain text, OUT direct text) RETURNS record
    LANGUAGE plpgsql STABLE
    AS $$
declare
  c record;
  v_mask text[] := '{}';
  v_null text[] := '{}';
  v_text text;
  v_hash text;
  v_collate text;
begin
  chain := '1';
  direct := '0';
  if cardinality(p_columns) > 64 then
    v_text := tandem.verify_text(format('row(%s)::text', array_to_string(tandem.columns('t', p_columns), ', ')), p_portable);
    parts := v_text || ' as c1';
    chain := format('hashtextextended(s.c1 collate "C", %s)', chain);
    direct := format('hashtextextended(%s collate "C", %s)', v_text, direct);
    return;
  end if;
  for c in
    select u.i, u.name, case when u.name = any (p_typed) and not p_portable then k.as_type end as as_type, k.zero,
      case when u.name = any (p_typed) and not p_portable then k.hash end as hash
    from unnest(p_columns) with ordinality u (name, i)
    join pg_attribute a on a.attrelid = p_relid and a.attname = u.name and not a.attisdropped
    left join (values ('int2'::regtype, 'int2', '0', 'hashint2extended'), ('int4', 'int4', '0', 'hashint4extended'),
      ('int8', 'int8', '0', 'hashint8extended'), ('bool', 'int4', '0', 'hashint4extended'), ('oid', 'oid', '0', 'hashoidextended'),
      ('uuid', 'uuid', '00000000-0000-0000-0000-000000000000', 'uuid_hash_extended'),
      ('timestamp', 'timestamp', '2000-01-01', 'timestamp_hash_extended'), ('timestamptz', 'timestamp', '2000-01-01', 'timestamp_hash_extended'),
      ('time', 'time', '0:00', 'time_hash_extended'), ('text', 'text', '', 'hashtextextended'), ('varchar', 'text', '', 'hashtextextended'),
      ('name', 'text', '', 'hashtextextended')) k (type, as_type, zero, hash)
      on k.type = tandem.base_type(a.atttypid)::regtype
    order by u.i
  loop
    v_text := case when c.as_type is null then tandem.verify_text(format('concat(t.%I)', c.name), p_portable)
      else format('coalesce(t.%I::%s, %L)', c.name, c.as_type, c.zero) end;
    v_hash := coalesce(c.hash, 'hashtextextended');
    v_collate := case when v_hash = 'hashtextextended' then ' collate "C"' else '' end;
    parts := concat_ws(', ', parts, format('%s as c%s', v_text, c.i));
    chain := format('%s(s.c%s%s, %s)', v_hash, c.i, v_collate, chain);
    direct := format('%s(%s%s, %s)', v_hash, v_text, v_collate, direct);
    v_null := v_null || format('t.%I is null', c.name);
    v_mask := v_mask || format('case when t.%I is not distinct from null then %s::int8 else 0::int8 end', c.name, 1::bigint << (c.i::integer - 1) % 60);
  end loop;
  for i in 0..(cardinality(v_mask) - 1) / 60 loop
    v_text := format('case when %s then %s else 0::int8 end', array_to_string(v_null[i * 60 + 1 : i * 60 + 60], ' or '),
      array_to_string(v_mask[i * 60 + 1 : i * 60 + 60], ' + '));
    parts := parts || format(', %s as m%s', v_text, i);
    chain := format('hashint8extended(s.m%s, %s)', i, chain);
    direct := format('hashint8extended(%s, %s)', v_text, direct);
  end loop;
end $$;


--
-- Name: FUNCTION verify_hash(p_relid oid, p_columns text[], p_typed text[], p_portable boolean, OUT parts text, OUT chain text, OUT direct text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.verify_hash(p_relid oid, p_columns text[], p_typed text[], p_portable boolean, OUT parts text, OUT chain text, OUT direct text) IS 'How verify hashes a row.';


--
-- Name: verify_keys(jsonb, text, bigint, bigint, integer, bit varying); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.verify_keys(p_spec jsonb, p_relation text, p_from bigint, p_to bigint, p_buckets integer, p_wanted bit varying) RETURNS TABLE(key text, hash text)
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  t tandem.tracked_table;
  v record;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_spec ->> 'id')::integer;
  select * into v from tandem.verify_rows(p_spec, t);
  return query execute format('select s.key, (%s)::text
    from (select to_jsonb(array[%s])::text as key, %s from %s and get_bit($1, (%s & %s)::integer) = 1 offset 0) s',
    v.hash,
    (select string_agg(u || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) u), v.parts,
    tandem.verify_piece(p_relation, p_from, p_to), v.bucket, p_buckets - 1)
  using p_wanted;
end $_$;


--
-- Name: FUNCTION verify_keys(p_spec jsonb, p_relation text, p_from bigint, p_to bigint, p_buckets integer, p_wanted bit varying); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.verify_keys(p_spec jsonb, p_relation text, p_from bigint, p_to bigint, p_buckets integer, p_wanted bit varying) IS 'Keys and hashes of the rows in some buckets.';


--
-- Name: verify_links(text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.verify_links(p_schema text, p_table text) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
  select coalesce(jsonb_agg(jsonb_build_object('source', p.name, 'state', coalesce(b.state, 'new'), 'reason', b.reason,
    'position', case when b.state = 'flow' then i.position::text when b.state in ('held', 'catch_up') then b.position::text end)
    order by p.name), '[]')
  from tandem.inbound i join tandem.peer p using (peer_id)
  left join tandem.inbound_table b on b.peer_id = i.peer_id and (b.schema_name, b.table_name) = (p_schema, p_table)
  where p.configured
$$;


--
-- Name: FUNCTION verify_links(p_schema text, p_table text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.verify_links(p_schema text, p_table text) IS 'How far the links into this node have come with a table.';


--
-- Name: verify_look(jsonb, jsonb, jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.verify_look(p_spec jsonb, p_keys jsonb, p_targets jsonb) RETURNS TABLE(n integer, key text, hash text, version text, op text, xid text, received_from text, pending text, parked text)
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  t tandem.tracked_table;
  v record;
  v_count integer;
  v_pending text;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_spec ->> 'id')::integer;
  select * into v from tandem.verify_rows(p_spec, t);
  v_count := cardinality(t.key_columns);
  select string_agg(format('case when exists (select from tandem_log.%I l where %s and (l.xid >= %L::xid8 or l.xid = any (%L::xid8[]))
      and (l.received_from is null or l.received_from <> all (%L::integer[]))) then %L end',
    t.entries_name, tandem.all_equal(t.key_operators, tandem.key_names('l', v_count), tandem.key_names('k', v_count)),
    coalesce(pg_snapshot_xmax(x.position), '0'), case when x.position is null then '{}' else array(select pg_snapshot_xip(x.position)) end,
    tandem.not_forwarded(p.peer_id), p.name), ', ')
  into v_pending
  from (select e ->> 'target' as target, (e ->> 'position')::pg_snapshot as position from jsonb_array_elements(p_targets) e) x
  join tandem.peer p on p.name = x.target and p.configured
  join tandem.outbound o on o.peer_id = p.peer_id;
  return query execute format($sql$
    select k.n::integer, s.key, case when s.key is not null then (%1$s)::text end,
      coalesce(tandem.to_us(e.stamp) || ' ' || e.origin, ''), e.op::text, e.xid::text, p.name, nullif(concat_ws(',', %2$s), ''), w.parked
    from (select x.n, %3$s from jsonb_array_elements($1) with ordinality x (e, n)) k
    left join lateral (select to_jsonb(array[%4$s])::text as key, %5$s from %6$I.%7$I t where %8$s offset 0) s on true
    left join lateral (select l.stamp, l.origin, l.op, l.xid, l.received_from from tandem_log.%9$I l where %10$s
      order by %11$s, l.stamp desc, l.origin desc limit 1) e on true
    left join tandem.peer p on p.peer_id = e.received_from
    left join lateral (select jsonb_agg(jsonb_build_object('source', q.name, 'kind', c.kind, 'reason', c.reason) order by q.name)::text as parked
      from tandem.parked_change c join tandem.peer q using (peer_id)
      where %12$s) w on true
  $sql$,
    v.hash, coalesce(v_pending, 'null'),
    (select string_agg(format('(x.e ->> %s)::%s as k%s', u.i - 1, u.type, u.i), ', ' order by u.i) from unnest(t.key_types) with ordinality u (type, i)),
    (select string_agg(u || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) u),
    v.parts, t.schema_name, t.table_name,
    tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('k', v_count)),
    t.entries_name,
    tandem.all_equal(t.key_operators, tandem.key_names('l', v_count), tandem.key_names('k', v_count)),
    array_to_string(array(select u || ' desc' from unnest(tandem.key_names('l', v_count)) u), ', '),
    tandem.same_parked_key(t, 'c', tandem.key_names('k', v_count)))
  using p_keys;
end $_$;


--
-- Name: FUNCTION verify_look(p_spec jsonb, p_keys jsonb, p_targets jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.verify_look(p_spec jsonb, p_keys jsonb, p_targets jsonb) IS 'One look at some keys.';


--
-- Name: verify_overview(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.verify_overview() RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
begin
  perform tandem.check_identity();
  return (select jsonb_build_object('name', (select name from tandem.local_node), 'encoding', getdatabaseencoding(),
      'tables', coalesce(jsonb_agg(e || jsonb_build_object('log', format('tandem_log.%I', t.entries_name), 'policy', t.conflict_policy) order by i), '[]'))
    from jsonb_array_elements(tandem.describe_tables()) with ordinality x (e, i)
    join tandem.tracked_table t on t.table_id = (e ->> 'id')::integer and t.schema_name <> 'tandem');
end $$;


--
-- Name: FUNCTION verify_overview(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.verify_overview() IS 'What verify must know of a node.';


--
-- Name: verify_piece(text, bigint, bigint); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.verify_piece(p_relation text, p_from bigint, p_to bigint) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select format('only %s t where ', p_relation) || concat_ws(' and ',
    case when p_from > 0 then format('t.ctid >= ''(%s,0)''::tid', p_from) else 'true' end,
    case when p_to is not null then format('t.ctid < ''(%s,0)''::tid', p_to) end)
$$;


--
-- Name: FUNCTION verify_piece(p_relation text, p_from bigint, p_to bigint); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.verify_piece(p_relation text, p_from bigint, p_to bigint) IS 'FROM and WHERE of one piece.';


--
-- Name: verify_rows(jsonb, tandem.tracked_table); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.verify_rows(p_spec jsonb, p_table tandem.tracked_table, OUT bucket text, OUT parts text, OUT hash text) RETURNS record
    LANGUAGE sql STABLE
    AS $$
  select k.direct, r.parts, r.chain
  from (select array(select jsonb_array_elements_text(p_spec -> 'typed')) as typed, (p_spec ->> 'portable')::boolean as portable) s
  cross join lateral tandem.verify_hash(p_table.relid, p_table.key_columns, s.typed, s.portable) k
  cross join lateral tandem.verify_hash(p_table.relid, array(select jsonb_array_elements_text(p_spec -> 'columns')), s.typed, s.portable) r
$$;


--
-- Name: FUNCTION verify_rows(p_spec jsonb, p_table tandem.tracked_table, OUT bucket text, OUT parts text, OUT hash text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.verify_rows(p_spec jsonb, p_table tandem.tracked_table, OUT bucket text, OUT parts text, OUT hash text) IS 'How verify hashes a table''s rows.';


--
-- Name: verify_text(text, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.verify_text(p_expression text, p_portable boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select case when p_portable then format('encode(convert_to(%s, ''UTF8''), ''hex'')', p_expression) else p_expression end
$$;


--
-- Name: FUNCTION verify_text(p_expression text, p_portable boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.verify_text(p_expression text, p_portable boolean) IS 'A text as verify hashes it.';


--
-- Name: version(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.version() RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
  select '0.1.0'
$$;


--
-- Name: FUNCTION version(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.version() IS 'The version of Tandem that is installed here.';


--
-- Name: version_blocks_insert(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.version_blocks_insert(p_plan jsonb, p_where text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
  select tandem.block_insert(t, 'oldest, stamp, stamps, received_from, op, origin',
    format('min(x.stamp), max(x.stamp), %s, %s, x.op, x.origin',
      case when p_plan ->> 'oldest' = p_plan ->> 'newest' then 'null' else 'case when min(x.stamp) < max(x.stamp) then array_agg(x.stamp) end' end, tandem.received_from(p_plan, 'x')),
    format('select %s, s.stamp, %s as op, s.origin, s.n / %s as block from %s s where %s', p_plan ->> 'stage_keys', tandem.applied_op(), tandem.block_rows(), p_plan ->> 'stage', p_where), true)
  from tandem.tracked_table t where t.table_id = (p_plan ->> 'id')::integer
$$;


--
-- Name: FUNCTION version_blocks_insert(p_plan jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.version_blocks_insert(p_plan jsonb, p_where text) IS 'The statement that enters applied versions as blocks.';


--
-- Name: versions_insert(jsonb, text, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.versions_insert(p_plan jsonb, p_rows text, p_where text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
begin
  return format('insert into %1$s (xid, stamp, %2$s, received_from, op, origin)
    select pg_current_xact_id(), s.stamp, %3$s, %4$s, %7$s, s.origin
    from %5$s s where %6$s',
    p_plan ->> 'log', p_plan ->> 'log_keys', p_plan ->> 'stage_keys', tandem.received_from(p_plan, 's'), p_rows, p_where, tandem.applied_op());
end $_$;


--
-- Name: FUNCTION versions_insert(p_plan jsonb, p_rows text, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.versions_insert(p_plan jsonb, p_rows text, p_where text) IS 'The statement that enters applied versions.';


--
-- Name: wake(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.wake() RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  if pg_sequence_last_value('tandem.wake_until') > date_part('epoch', clock_timestamp()) * 1000 and current_setting('max_prepared_transactions') = '0' then
    perform pg_notify('tandem', '');
  end if;
end $$;


--
-- Name: FUNCTION wake(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.wake() IS 'Tells who has asked that this transaction commits changes.';


--
-- Name: wake_onward(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.wake_onward(p_peer_id integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  if exists (select from tandem.outbound o where o.peer_id <> p_peer_id and not tandem.forwarded_by_other(p_peer_id, o.peer_id)) then
    perform tandem.wake();
  end if;
end $$;


--
-- Name: FUNCTION wake_onward(p_peer_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.wake_onward(p_peer_id integer) IS 'Wakes the links that applied changes go on by.';


--
-- Name: wanted_triggers(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.wanted_triggers(p_table_id integer) RETURNS TABLE(relid oid, name text, event text, detail text)
    LANGUAGE sql STABLE
    AS $$
  select t.relid, w.name, w.event, w.detail
  from tandem.tracked_table t
  cross join lateral (values
    (false, 'tandem_insert', 'after insert', 'referencing new table as tandem_new for each statement'),
    (false, 'tandem_update', 'after update', 'referencing old table as tandem_old new table as tandem_new for each statement'),
    (false, 'tandem_delete', 'after delete', 'referencing old table as tandem_old for each statement'),
    (true, 'tandem_row', 'after insert or update or delete', 'for each row')
  ) w (partitioned, name, event, detail)
  where t.table_id = p_table_id and w.partitioned = t.partitioned
  union all
  select coalesce(h.relid, t.relid), 'tandem_truncate', 'before truncate', 'for each statement'
  from tandem.tracked_table t
  left join lateral pg_partition_tree(t.relid) h on t.partitioned
  where t.table_id = p_table_id
$$;


--
-- Name: FUNCTION wanted_triggers(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.wanted_triggers(p_table_id integer) IS 'The capture triggers of a tracked table.';


--
-- Name: watch(); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.watch() RETURNS integer
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION watch(); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.watch() IS 'Finds and closes ways around capture.';


--
-- Name: watch_table(integer); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.watch_table(p_table_id integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: FUNCTION watch_table(p_table_id integer); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.watch_table(p_table_id integer) IS 'Finds and closes ways around the capture of one table.';


--
-- Name: write_again(tandem.tracked_table, integer, text[], text[], text[]); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.write_again(p_table tandem.tracked_table, p_peer_id integer, p_key text[], p_columns text[], p_values text[]) RETURNS boolean
    LANGUAGE plpgsql
    AS $_$
declare
  v_columns text[];
  v_values text[];
  v_plan jsonb;
  v_result jsonb;
  v_there boolean;
  v_reason text;
begin
  perform tandem.begin_stage(p_peer_id, gen_random_uuid());
  -- What the table computes is computed again; a GENERATED ALWAYS identity that is the key goes in as the key.
  select coalesce(array_agg(u.c order by u.i), '{}'), coalesce(array_agg(u.v order by u.i), '{}') into v_columns, v_values
  from unnest(p_columns, p_values) with ordinality u (c, v, i)
  join pg_attribute a on a.attrelid = p_table.relid and a.attname = u.c and a.attnum > 0 and not a.attisdropped
  where a.attgenerated = '' and not (a.attidentity = 'a' and u.c = any (p_table.key_columns));
  perform tandem.prepare_stage(p_peer_id, p_table.table_id, v_columns, true);
  v_plan := tandem.make_plans(p_peer_id, jsonb_build_array(jsonb_build_object('id', p_table.table_id, 'columns', to_jsonb(v_columns), 'as_text', true)), false) -> 0;
  execute format('insert into %s (%s) select %s', v_plan ->> 'stage',
    concat_ws(', ', v_plan ->> 'log_keys', 'op, present, parked_there, unsettled', nullif(array_to_string(array(select 'c' || i from generate_series(1, cardinality(v_columns)) i), ', '), '')),
    concat_ws(', ',
      (select string_agg(format('$1[%s]::%s', u.i, u.type), ', ' order by u.i) from unnest(p_table.key_types) with ordinality u (type, i)),
      '''U'', true, false, false', nullif(array_to_string(array(select format('$2[%s]', i) from generate_series(1, cardinality(v_columns)) i), ', '), '')))
  using p_key, v_values;
  delete from tandem.verdict where peer_id = p_peer_id;
  execute format('insert into tandem.verdict (peer_id, table_id, n, verdict) select %s, %s, s.n, ''anew'' from %s s', p_peer_id, p_table.table_id, v_plan ->> 'stage');
  execute format('select exists (select from %s s join %s t on %s where %s)', v_plan ->> 'stage', v_plan ->> 'relation', v_plan ->> 'key_is_row', v_plan ->> 'image_is_row')
  into v_there;
  if not v_there then
    update tandem.inbound set applying = pg_current_xact_id(), applying_tables = array[p_table.table_id] where peer_id = p_peer_id;
    perform set_config('tandem.applying', pg_current_xact_id()::text, true), tandem.tell_triggers(v_plan);
    v_plan := v_plan || tandem.lock_rows(v_plan, true);
    v_result := tandem.apply_set(jsonb_build_array(v_plan), 'true', false);
    select v.reason into v_reason from tandem.verdict v where v.peer_id = p_peer_id and v.verdict = 'park';
    if not (v_result ->> 'ok')::boolean or found then
      -- TD007: a key appeared while it was written.
      raise exception '%', coalesce(v_reason, v_result ->> 'reason')
        using errcode = case when v_reason is not null then 'P0001' when v_result ->> 'sqlstate' = 'TD007' then '40001' else v_result ->> 'sqlstate' end;
    end if;
    perform tandem.write_anew(v_plan), tandem.advance_sequences(jsonb_build_array(v_plan));
    perform set_config('tandem.applying', '', true);
  end if;
  delete from tandem.verdict where peer_id = p_peer_id;
  execute format('delete from %s', v_plan ->> 'stage');
  delete from tandem.staged where peer_id = p_peer_id;
  update tandem.inbound set applying = null, applying_tables = '{}' where peer_id = p_peer_id;
  return not v_there;
end $_$;


--
-- Name: FUNCTION write_again(p_table tandem.tracked_table, p_peer_id integer, p_key text[], p_columns text[], p_values text[]); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.write_again(p_table tandem.tracked_table, p_peer_id integer, p_key text[], p_columns text[], p_values text[]) IS 'Writes a kept image as a change of this node.';


--
-- Name: write_anew(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.write_anew(p_plan jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_there boolean;
  v_count bigint;
  v_total bigint := 0;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_plan ->> 'id')::integer;
  for v_there in select unnest(array[true, false]) loop
    execute tandem.capture_insert(t, (select name from tandem.local_node), '$1', case when v_there then 'U' else 'D' end,
      array(select 'o.k' || i from generate_series(1, cardinality(t.key_columns)) i),
      format('from (select %s from %s s left join %s t on %s join tandem.verdict v on v.peer_id = %s and v.table_id = %s and v.n = s.n and v.verdict in (''prefer'', ''keep'', ''anew'')
          where (%s is distinct from null) = %L) o',
        p_plan ->> 'stage_keys', p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_plan ->> 'peer', p_plan ->> 'id', p_plan ->> 'first_key', v_there))
    using tandem.next_stamp();
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  execute format('insert into %1$s (xid, stamp, %2$s, received_from, op, origin)
    select pg_current_xact_id(), k.stamp, %3$s, %4$s, ''U'', k.origin
    from %5$s s join tandem.verdict v on v.peer_id = %4$s and v.table_id = %6$s and v.n = s.n and v.verdict = ''keep''
    cross join lateral (select s.stamp, s.origin union select * from unnest(s.known_stamps, s.known_origins)) k (stamp, origin)
    where k.stamp is not null and not exists (select from %8$s l where %7$s and l.origin = k.origin and l.stamp >= k.stamp)',
    p_plan ->> 'log', p_plan ->> 'log_keys', p_plan ->> 'stage_keys', p_plan ->> 'peer', p_plan ->> 'stage', t.table_id, p_plan ->> 'key_is_entry', p_plan ->> 'entries');
  return v_total;
end $_$;


--
-- Name: FUNCTION write_anew(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.write_anew(p_plan jsonb) IS 'Writes images anew as changes of this node.';


--
-- Name: write_missing(jsonb); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.write_missing(p_plan jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_count bigint := 0;
begin
  if p_plan ? 'rejoin' then
    select * into strict t from tandem.tracked_table where table_id = (p_plan ->> 'id')::integer;
    execute tandem.capture_insert(t, (select name from tandem.local_node), '$1', 'D',
      array(select 'o.k' || i from generate_series(1, cardinality(t.key_columns)) i),
      format('from (select %s from %s s join tandem.verdict v on v.peer_id = %s and v.table_id = %s and v.n = s.n and v.verdict = ''missing'') o',
        p_plan ->> 'stage_keys', p_plan ->> 'stage', p_plan ->> 'peer', p_plan ->> 'id'))
    using tandem.next_stamp();
    get diagnostics v_count = row_count;
  end if;
  return v_count;
end $_$;


--
-- Name: FUNCTION write_missing(p_plan jsonb); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.write_missing(p_plan jsonb) IS 'Deletes what only a node that came back still has.';


--
-- Name: write_out(integer, bigint, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.write_out(p_table_id integer, p_limit bigint DEFAULT NULL::bigint, p_known boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_keys text;
  v_count bigint := 0;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  if t.blocks_name is not null then
    v_keys := array_to_string(tandem.key_names('u', cardinality(t.key_columns)), ', ');
    execute format('with b as (
        delete from tandem_log.%1$I where ctid = any (array(
          select b.ctid from tandem_log.%1$I b%7$s order by b.ctid limit $1 for update of b %6$s)) returning *)
      insert into tandem_log.%2$I (xid, stamp, %3$s, received_from, op, origin)
      select b.xid, coalesce(u.stamp, b.stamp), %4$s, b.received_from, b.op, b.origin from b cross join lateral unnest(b.stamps, %5$s) u (stamp, %3$s) order by %4$s',
      t.blocks_name, t.log_name, array_to_string(array(select 'k' || i from generate_series(1, cardinality(t.key_columns)) i), ', '), v_keys,
      array_to_string(tandem.key_names('b', cardinality(t.key_columns)), ', '), case when p_limit is not null then 'skip locked' end,
      case when p_known then ' where not exists (select from tandem.outbound o join tandem.peer p using (peer_id)
        where p.configured and not coalesce(pg_visible_in_snapshot(b.xid, o.acknowledged), false))' end)
    using p_limit;
    get diagnostics v_count = row_count;
  end if;
  return v_count;
end $_$;


--
-- Name: FUNCTION write_out(p_table_id integer, p_limit bigint, p_known boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.write_out(p_table_id integer, p_limit bigint, p_known boolean) IS 'Writes blocks out as entries.';


--
-- Name: write_out_before(integer[], pg_snapshot, integer, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.write_out_before(p_tables integer[], p_from pg_snapshot, p_peer_id integer, p_keys boolean) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
  t tandem.tracked_table;
  v_all bigint;
  v_batch bigint;
  v_total bigint := 0;
begin
  for t in select * from tandem.tracked_table x where x.table_id = any (p_tables) and tandem.has_blocks(x.table_id) order by x.table_id loop
    v_batch := 0;
    if not p_keys and t.conflict_policy not like 'prefer: %' and cardinality(tandem.not_forwarded(p_peer_id)) < 2 then
      execute format('select sum(b.rows), coalesce(sum(b.rows) filter (where b.xid >= $1), 0) from tandem_log.%I b', t.blocks_name) into v_all, v_batch
      using pg_snapshot_xmax(p_from);
      v_all := v_all + pg_relation_size(format('tandem_log.%I', t.log_name)) / 70;   -- an entry takes 70 bytes or more
      if v_batch * 50 < v_all then
        execute format('select $2 + count(*) from (select from tandem_log.%I l where l.xid >= $1 order by l.xid limit $3) x', t.log_name) into v_batch
        using pg_snapshot_xmax(p_from), v_batch, v_all / 50 + 1;
      end if;
    end if;
    if v_batch = 0 or v_batch * 50 < v_all then
      v_total := v_total + tandem.write_out(t.table_id);
    end if;
  end loop;
  return v_total;
end $_$;


--
-- Name: FUNCTION write_out_before(p_tables integer[], p_from pg_snapshot, p_peer_id integer, p_keys boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.write_out_before(p_tables integer[], p_from pg_snapshot, p_peer_id integer, p_keys boolean) IS 'Writes out blocks that a batch would look into.';


--
-- Name: write_out_for(jsonb, boolean); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.write_out_for(p_batch jsonb, p_all boolean) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  e jsonb;
  v_plan jsonb;
begin
  if p_all then
    perform tandem.write_out(c.id) from (
      with recursive c as (select (x ->> 'id')::integer as id from jsonb_array_elements(p_batch -> 'tables') x
        union select r.child_id from c cross join lateral tandem.references_to(c.id) r
        where r.child_id is not null and (r.action not in ('a', 'r') or r.update_action not in ('a', 'r')))
      select c.id from c order by c.id) c;
    return;
  end if;
  for e in select x from jsonb_array_elements(p_batch -> 'tables') x where tandem.has_blocks((x ->> 'id')::integer) loop
    v_plan := tandem.make_plans((p_batch ->> 'peer')::integer, jsonb_build_array(e), current_setting('session_replication_role') = 'replica') -> 0;
    if not (tandem.look_at_set(v_plan || tandem.look_at_stage(v_plan), p_batch ->> 'again' is null, p_batch ->> 'mode') ->> 'whole')::boolean then
      perform tandem.write_out((e ->> 'id')::integer);
    end if;
  end loop;
end $$;


--
-- Name: FUNCTION write_out_for(p_batch jsonb, p_all boolean); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.write_out_for(p_batch jsonb, p_all boolean) IS 'Writes out blocks before a batch is applied.';


--
-- Name: write_rows(jsonb, text); Type: FUNCTION; Schema: tandem; Owner: -
--

CREATE FUNCTION tandem.write_rows(p_plans jsonb, p_where text DEFAULT 'true'::text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $_$
declare
  v_plan jsonb;
  v_ctes text[] := '{}';
  v_deleted text[] := '{}';
  v_updated text[] := '{}';
  v_inserted text[] := '{}';
  v_expected text[] := '{}';
  v_assumed text[] := '{}';
  v_applies text;
  v_id text;
  v_whole boolean := p_where = 'true';
  v_fresh boolean;
  v_some boolean;
  v_insert text;
  v_update text;
  v_all_assumed boolean;
  v_rows bigint;
  v_more bigint[];
  v_result jsonb;
  v_pinned text := current_setting('search_path');
  v_path text := tandem.application_path(p_plans);
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    v_id := v_plan ->> 'id';
    v_applies := format('(%s) and %s', p_where, tandem.applies(v_plan));
    v_some := (v_plan ->> 'existing')::bigint > 0;
    v_fresh := v_whole and coalesce((v_plan ->> 'fresh')::boolean, false);
    if v_some then
      v_ctes := v_ctes || format('d%s as (delete from %s t using %s s where %s and not s.present and %s returning 1)',
        v_id, v_plan ->> 'relation', v_plan ->> 'stage', v_plan ->> 'key_is_row', case when v_plan ->> 'gone' = '0' then 'false' else v_applies end);
      v_deleted := v_deleted || format('(select count(*) from d%s)', v_id);
      if v_plan ->> 'set' is not null then
        v_ctes := v_ctes || format('u%s as (update %s t set %s from %s s where %s and s.present and %s and (select count(*) from d%s) >= 0 returning 1)',
          v_id, v_plan ->> 'relation', v_plan ->> 'set', v_plan ->> 'stage', v_plan ->> 'key_is_row', v_applies, v_id);
        v_updated := v_updated || format('(select count(*) from u%s)', v_id);
        if (v_plan ->> 'assumed')::boolean then
          v_assumed := v_assumed || format('%L, (select count(*) from u%s)', v_id, v_id);
        end if;
      end if;
    end if;
    -- Nothing is there to insert where all keys are here, for rows that were locked stay, and what becomes of others tandem.changed_meanwhile sees;
    -- but those that stand in the way are taken off.
    if v_whole and v_plan ->> 'staged' = v_plan ->> 'existing' and not coalesce((v_plan ->> 'displaces')::boolean or (v_plan ->> 'swaps')::boolean, false) then
      -- Alone it is a statement of its own: to count its rows by a query costs a fourteenth of it.
      v_all_assumed := (v_plan ->> 'assumed')::boolean;
      v_update := case when v_plan ->> 'gone' = '0' and jsonb_array_length(p_plans) = 1 then format('update %s t set %s from %s s where %s and s.present and %s',
        v_plan ->> 'relation', v_plan ->> 'set', v_plan ->> 'stage', v_plan ->> 'key_is_row', v_applies) end;
      continue;
    end if;
    v_insert := format('insert into %1$s (%2$s) %3$s select %4$s from %5$s s where s.present and %6$s %7$s %8$s',
      v_plan ->> 'relation', v_plan ->> 'insert_columns', v_plan ->> 'overriding', v_plan ->> 'insert_values', v_plan ->> 'stage', v_applies,
      case when v_some then format('and not exists (select from %s t where %s) and (select count(*) from d%s) %s >= 0',
        v_plan ->> 'relation', v_plan ->> 'key_is_row', v_id,
        case when v_plan ->> 'set' is not null then format('+ (select count(*) from u%s)', v_id) else '' end) else '' end,
      -- ON CONFLICT costs nearly half as much again; a key that has appeared all the same is seen by apply_set.
      case when not v_fresh then format('order by s.n on conflict (%s) do nothing', v_plan ->> 'key_columns') else '' end);
    v_ctes := v_ctes || format('i%s as (%s returning 1)', v_id, v_insert);
    v_inserted := v_inserted || format('(select count(*) from i%s)', v_id);
    v_expected := v_expected || case when v_fresh and v_applies = '(true) and true' then v_plan ->> 'staged'
      else format('(select count(*) from %s s where s.present and %s %s)', v_plan ->> 'stage', v_applies,
      case when v_some then format('and not exists (select from %s t where %s)', v_plan ->> 'relation', v_plan ->> 'key_is_row') else '' end) end;
  end loop;
  if v_path is not null then
    perform set_config('search_path', v_path, true);
  end if;
  if v_fresh and jsonb_array_length(p_plans) = 1 then
    execute v_insert;
    get diagnostics v_rows = row_count;
    execute format('select jsonb_build_object(''deleted'', 0, ''updated'', 0, ''inserted'', %s, ''expected'', %s)', v_rows, v_expected[1]) into v_result;
  elsif v_update is not null then
    execute v_update;
    get diagnostics v_rows = row_count;
    v_result := jsonb_build_object('assumed', jsonb_build_object(v_id, case when v_all_assumed then v_rows end),
      'deleted', 0, 'updated', v_rows, 'inserted', 0, 'expected', 0);
  else
    execute format('with %s select jsonb_build_object(''assumed'', jsonb_build_object(%s), ''deleted'', %s, ''updated'', %s, ''inserted'', %s, ''expected'', %s)',
      array_to_string(v_ctes, ', '), array_to_string(v_assumed, ', '),
      coalesce(nullif(array_to_string(v_deleted, ' + '), ''), '0'), coalesce(nullif(array_to_string(v_updated, ' + '), ''), '0'),
      coalesce(nullif(array_to_string(v_inserted, ' + '), ''), '0'), coalesce(nullif(array_to_string(v_expected, ' + '), ''), '0'))
    into v_result;
  end if;
  for v_plan in select e from jsonb_array_elements(p_plans) e where v_whole and (v_result -> 'assumed' ->> (e ->> 'id'))::bigint < (e ->> 'staged')::bigint loop
    v_more := tandem.insert_missing(v_plan);
    v_result := v_result || jsonb_build_object('inserted', (v_result ->> 'inserted')::bigint + v_more[1], 'expected', (v_result ->> 'expected')::bigint + v_more[2]);
  end loop;
  v_result := v_result - 'assumed';
  if v_path is not null then
    perform set_config('search_path', v_pinned, true);
  end if;
  if tandem.changed_meanwhile(p_plans, p_where) then
    raise exception 'rows changed after they had been decided on' using errcode = 'TD007';
  end if;
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    perform tandem.record_versions(v_plan, p_where);
  end loop;
  return v_result;
end $_$;


--
-- Name: FUNCTION write_rows(p_plans jsonb, p_where text); Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON FUNCTION tandem.write_rows(p_plans jsonb, p_where text) IS 'Writes staged rows and notes their versions.';


--
-- Name: capture public.perfis(); Type: FUNCTION; Schema: tandem_log; Owner: -
--

CREATE FUNCTION tandem_log."capture public.perfis"() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_nestloop TO 'off'
    SET jit TO 'off'
    AS $_$
#variable_conflict use_variable
-- Key: integer
declare
  v_now timestamptz;
  v_blind boolean;
  v_peer integer;
  v_rows bigint;
  v_least bigint;
  v_most bigint;
  v_newer boolean;
  v_listed boolean;
  v_list1 bigint[];
  v_leasts bigint[];
  v_mosts bigint[];
begin
  if current_setting('tandem.applying', true) <> '' then
    v_peer := tandem.applying_peer(1);
    if v_peer = 0 then
      return null;
    end if;
  end if;
  v_now := tandem.next_stamp();
  if pg_sequence_last_value('tandem.wake_until') > date_part('epoch', clock_timestamp()) * 1000 then
    perform tandem.wake();
  end if;
  v_blind := current_setting('transaction_isolation') = 'serializable';

  if tg_op = 'UPDATE' and v_peer is null then
    insert into tandem_log."public.perfis" (xid, stamp, op, blind, origin, k1)
      select pg_current_xact_id(), greatest(v_now, case when not (v_blind or false) then (select tandem.after(l.stamp) from tandem_log."public.perfis" l where l.k1 operator(pg_catalog.=) r.id and l.stamp >= v_now
        order by l.k1 desc, l.stamp desc limit 1) end), 'U', v_blind, 'local', r.id from (select r.id from tandem_new r limit 100) r;
    get diagnostics v_rows = row_count;
    -- A key that was changed is also a deletion of the old one. Looked for first: to begin an insert costs more than to see that there is
    -- nothing to insert. Where one row was updated two keys are compared, which costs half of a join; none may still be a row that went.
    -- Of many rows the old and the new stand in one order, so where no key was changed the two lists are equal.
    if v_rows = 1 then
      if exists (select from tandem_old o, tandem_new n where not (n.id operator(pg_catalog.=) o.id)) then
        insert into tandem_log."public.perfis" (xid, stamp, op, blind, origin, k1)
      select pg_current_xact_id(), greatest(v_now, case when not (v_blind or false) then (select tandem.after(l.stamp) from tandem_log."public.perfis" l where l.k1 operator(pg_catalog.=) o.id and l.stamp >= v_now
        order by l.k1 desc, l.stamp desc limit 1) end), 'D', v_blind, 'local', o.id from tandem_old o where not exists (select from tandem_new n where n.id operator(pg_catalog.=) o.id);
      end if;
    elsif v_rows = 100 then
      v_now := greatest(tandem.next_stamp(), tandem.after(v_now));
      select array_agg(r.id::bigint) into v_list1 from (select r.id from tandem_new r limit 1000001) r;
        v_listed := cardinality(v_list1) <= 1000000;
        v_rows := cardinality(v_list1) - 100;
        if v_listed then
          with k as materialized (select v_list1 || '{}' as list)
          select array_agg(b.least order by i), array_agg(b.most order by i) into v_leasts, v_mosts
          from k, generate_series(100, v_rows + 100 - 1, 1000) i, lateral (select min(y.u) as least, max(y.u) as most from (select unnest(k.list[i + 1:i + 1000]) as u) y) b;
          select min(u.least), max(u.most) into v_least, v_most from unnest(v_leasts, v_mosts) u (least, most);
        else
          select count(*), min(r.id), max(r.id) into v_rows, v_least, v_most from (select r.id from tandem_new r offset 100) r;
        end if;
        select count(*) < 3 * v_rows and bool_and(few.stamp < v_now) is not false into v_newer
        from (select l.stamp from tandem_log."public.perfis" l where l.k1 between v_least and v_most limit 3 * v_rows) few;
      if v_newer and not v_blind and v_rows >= 500 then
        if v_listed then
          with k as materialized (select v_list1 || '{}' as list1)
            insert into tandem_log."blocks public.perfis" (xid, oldest, stamp, op, origin, rows, least, most, k1)
            select pg_current_xact_id(), v_now, v_now, 'U', 'local', least(1000, v_rows - (i - 1) * 1000), v_leasts[i], v_mosts[i], k.list1[100 + (i - 1) * 1000 + 1:100 + i * 1000] from k, generate_series(1, cardinality(v_leasts)) i;
        else
          insert into tandem_log."blocks public.perfis" (xid, oldest, stamp, op, origin, rows, least, most, k1) select pg_current_xact_id(), v_now, v_now, 'U', 'local', count(*), min(x.k1), max(x.k1), array_agg(x.k1) from (select r.id as k1, (row_number() over () - 1 - 100) / 1000 as block from tandem_new r offset 100) x group by x.block;
        end if;
        perform tandem.raise_block_floor(v_now);
      else
      insert into tandem_log."public.perfis" (xid, stamp, op, blind, origin, k1)
      select pg_current_xact_id(), greatest(v_now, case when not (v_blind or v_newer) then (select tandem.after(l.stamp) from tandem_log."public.perfis" l where l.k1 operator(pg_catalog.=) r.id and l.stamp >= v_now
        order by l.k1 desc, l.stamp desc limit 1) end), 'U', v_blind, 'local', r.id from (select r.id from tandem_new r offset 100) r;
      end if;
      if (case when v_listed then (select (array_agg(o.id::bigint)) is distinct from (v_list1) from tandem_old o) else exists (select from (select y.block, array_agg(y.k1) as k1 from (select r.id as k1, (row_number() over () - 1) / 1000 as block from tandem_old r) y group by y.block) o full join (select y.block, array_agg(y.k1) as k1 from (select r.id as k1, (row_number() over () - 1) / 1000 as block from tandem_new r) y group by y.block) n using (block) where (o.k1) is distinct from (n.k1)) end) then
        if exists (select from tandem_old o where not exists (select from tandem_new n where n.id operator(pg_catalog.=) o.id)) then
          insert into tandem_log."public.perfis" (xid, stamp, op, blind, origin, k1)
      select pg_current_xact_id(), greatest(v_now, case when not (v_blind or false) then (select tandem.after(l.stamp) from tandem_log."public.perfis" l where l.k1 operator(pg_catalog.=) o.id and l.stamp >= v_now
        order by l.k1 desc, l.stamp desc limit 1) end), 'D', v_blind, 'local', o.id from tandem_old o where not exists (select from tandem_new n where n.id operator(pg_catalog.=) o.id);
        end if;
      end if;
    elsif exists (select from tandem_old o where not exists (select from tandem_new n where n.id operator(pg_catalog.=) o.id)) then
      insert into tandem_log."public.perfis" (xid, stamp, op, blind, origin, k1)
      select pg_current_xact_id(), greatest(v_now, case when not (v_blind or false) then (select tandem.after(l.stamp) from tandem_log."public.perfis" l where l.k1 operator(pg_catalog.=) o.id and l.stamp >= v_now
        order by l.k1 desc, l.stamp desc limit 1) end), 'D', v_blind, 'local', o.id from tandem_old o where not exists (select from tandem_new n where n.id operator(pg_catalog.=) o.id);
    end if;
  elsif tg_op = 'INSERT' and v_peer is null then
    insert into tandem_log."public.perfis" (xid, stamp, op, blind, origin, k1)
      select pg_current_xact_id(), greatest(v_now, case when not (v_blind or false) then (select tandem.after(l.stamp) from tandem_log."public.perfis" l where l.k1 operator(pg_catalog.=) r.id and l.stamp >= v_now
        order by l.k1 desc, l.stamp desc limit 1) end), 'I', v_blind, 'local', r.id from (select r.id from tandem_new r limit 100) r;
    get diagnostics v_rows = row_count;
    if v_rows = 100 then
      v_now := greatest(tandem.next_stamp(), tandem.after(v_now));
      select array_agg(r.id::bigint) into v_list1 from (select r.id from tandem_new r limit 1000001) r;
        v_listed := cardinality(v_list1) <= 1000000;
        v_rows := cardinality(v_list1) - 100;
        if v_listed then
          with k as materialized (select v_list1 || '{}' as list)
          select array_agg(b.least order by i), array_agg(b.most order by i) into v_leasts, v_mosts
          from k, generate_series(100, v_rows + 100 - 1, 1000) i, lateral (select min(y.u) as least, max(y.u) as most from (select unnest(k.list[i + 1:i + 1000]) as u) y) b;
          select min(u.least), max(u.most) into v_least, v_most from unnest(v_leasts, v_mosts) u (least, most);
        else
          select count(*), min(r.id), max(r.id) into v_rows, v_least, v_most from (select r.id from tandem_new r offset 100) r;
        end if;
        select count(*) < 3 * v_rows and bool_and(few.stamp < v_now) is not false into v_newer
        from (select l.stamp from tandem_log."public.perfis" l where l.k1 between v_least and v_most limit 3 * v_rows) few;
      if v_newer and not v_blind and v_rows >= 500 then
        if v_listed then
          with k as materialized (select v_list1 || '{}' as list1)
            insert into tandem_log."blocks public.perfis" (xid, oldest, stamp, op, origin, rows, least, most, k1)
            select pg_current_xact_id(), v_now, v_now, 'I', 'local', least(1000, v_rows - (i - 1) * 1000), v_leasts[i], v_mosts[i], k.list1[100 + (i - 1) * 1000 + 1:100 + i * 1000] from k, generate_series(1, cardinality(v_leasts)) i;
        else
          insert into tandem_log."blocks public.perfis" (xid, oldest, stamp, op, origin, rows, least, most, k1) select pg_current_xact_id(), v_now, v_now, 'I', 'local', count(*), min(x.k1), max(x.k1), array_agg(x.k1) from (select r.id as k1, (row_number() over () - 1 - 100) / 1000 as block from tandem_new r offset 100) x group by x.block;
        end if;
        perform tandem.raise_block_floor(v_now);
      else
      insert into tandem_log."public.perfis" (xid, stamp, op, blind, origin, k1)
      select pg_current_xact_id(), greatest(v_now, case when not (v_blind or v_newer) then (select tandem.after(l.stamp) from tandem_log."public.perfis" l where l.k1 operator(pg_catalog.=) r.id and l.stamp >= v_now
        order by l.k1 desc, l.stamp desc limit 1) end), 'I', v_blind, 'local', r.id from (select r.id from tandem_new r offset 100) r;
      end if;
    end if;
  elsif tg_op = 'DELETE' and v_peer is null then
    insert into tandem_log."public.perfis" (xid, stamp, op, blind, origin, k1)
      select pg_current_xact_id(), greatest(v_now, case when not (v_blind or false) then (select tandem.after(l.stamp) from tandem_log."public.perfis" l where l.k1 operator(pg_catalog.=) r.id and l.stamp >= v_now
        order by l.k1 desc, l.stamp desc limit 1) end), 'D', v_blind, 'local', r.id from (select r.id from tandem_old r limit 100) r;
    get diagnostics v_rows = row_count;
    if v_rows = 100 then
      v_now := greatest(tandem.next_stamp(), tandem.after(v_now));
      select array_agg(r.id::bigint) into v_list1 from (select r.id from tandem_old r limit 1000001) r;
        v_listed := cardinality(v_list1) <= 1000000;
        v_rows := cardinality(v_list1) - 100;
        if v_listed then
          with k as materialized (select v_list1 || '{}' as list)
          select array_agg(b.least order by i), array_agg(b.most order by i) into v_leasts, v_mosts
          from k, generate_series(100, v_rows + 100 - 1, 1000) i, lateral (select min(y.u) as least, max(y.u) as most from (select unnest(k.list[i + 1:i + 1000]) as u) y) b;
          select min(u.least), max(u.most) into v_least, v_most from unnest(v_leasts, v_mosts) u (least, most);
        else
          select count(*), min(r.id), max(r.id) into v_rows, v_least, v_most from (select r.id from tandem_old r offset 100) r;
        end if;
        select count(*) < 3 * v_rows and bool_and(few.stamp < v_now) is not false into v_newer
        from (select l.stamp from tandem_log."public.perfis" l where l.k1 between v_least and v_most limit 3 * v_rows) few;
      if v_newer and not v_blind and v_rows >= 500 then
        if v_listed then
          with k as materialized (select v_list1 || '{}' as list1)
            insert into tandem_log."blocks public.perfis" (xid, oldest, stamp, op, origin, rows, least, most, k1)
            select pg_current_xact_id(), v_now, v_now, 'D', 'local', least(1000, v_rows - (i - 1) * 1000), v_leasts[i], v_mosts[i], k.list1[100 + (i - 1) * 1000 + 1:100 + i * 1000] from k, generate_series(1, cardinality(v_leasts)) i;
        else
          insert into tandem_log."blocks public.perfis" (xid, oldest, stamp, op, origin, rows, least, most, k1) select pg_current_xact_id(), v_now, v_now, 'D', 'local', count(*), min(x.k1), max(x.k1), array_agg(x.k1) from (select r.id as k1, (row_number() over () - 1 - 100) / 1000 as block from tandem_old r offset 100) x group by x.block;
        end if;
        perform tandem.raise_block_floor(v_now);
      else
      insert into tandem_log."public.perfis" (xid, stamp, op, blind, origin, k1)
      select pg_current_xact_id(), greatest(v_now, case when not (v_blind or v_newer) then (select tandem.after(l.stamp) from tandem_log."public.perfis" l where l.k1 operator(pg_catalog.=) r.id and l.stamp >= v_now
        order by l.k1 desc, l.stamp desc limit 1) end), 'D', v_blind, 'local', r.id from (select r.id from tandem_old r offset 100) r;
      end if;
    end if;
  elsif tg_op = 'TRUNCATE' then
    perform set_config('enable_seqscan', 'on', true);
    execute 'insert into tandem_log."public.perfis" (xid, stamp, op, blind, origin, k1)
      select pg_current_xact_id(), greatest($1, case when not ($2 or false) then (select tandem.after(l.stamp) from tandem_log."public.perfis" l where l.k1 operator(pg_catalog.=) o.id and l.stamp >= $1
        order by l.k1 desc, l.stamp desc limit 1) end), ''D'', $2, ''local'', o.id from ' || tg_relid::regclass || ' o where o.tableoid not in (select g.tgrelid from pg_trigger g
      where g.tgname = ''tandem_truncate'' and g.tgenabled = ''A'' and g.tgrelid <> $3)' using v_now, v_blind, tg_relid;
  else
    execute tandem.capture_caused(1, v_peer, tg_op, case tg_op when 'DELETE' then 'tandem_old' else 'tandem_new' end) using v_now;
    if tg_op = 'UPDATE' then
      if exists (select from tandem_old o where not exists (select from tandem_new n where n.id operator(pg_catalog.=) o.id)) then
        insert into tandem_log."public.perfis" (xid, stamp, op, blind, origin, k1)
      select pg_current_xact_id(), greatest(v_now, case when not (v_blind or false) then (select tandem.after(l.stamp) from tandem_log."public.perfis" l where l.k1 operator(pg_catalog.=) o.id and l.stamp >= v_now
        order by l.k1 desc, l.stamp desc limit 1) end), 'D', v_blind, 'local', o.id from tandem_old o where not exists (select from tandem_new n where n.id operator(pg_catalog.=) o.id);
      end if;
    end if;
  end if;
  return null;
end
$_$;


--
-- Name: FUNCTION "capture public.perfis"(); Type: COMMENT; Schema: tandem_log; Owner: -
--

COMMENT ON FUNCTION tandem_log."capture public.perfis"() IS 'Writes each change of public.perfis to its change log.';


--
-- Name: perfis; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.perfis (
    id integer NOT NULL,
    nome text
);


--
-- Name: activity_entry; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.activity_entry (
    activity_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    source text COLLATE pg_catalog."C",
    target text NOT NULL COLLATE pg_catalog."C",
    message text NOT NULL,
    actor text NOT NULL,
    CONSTRAINT activity_entry_kind_check CHECK ((kind ~ '^[a-z_]+$'::text))
);


--
-- Name: TABLE activity_entry; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.activity_entry IS 'What happened, for people: the newest 10,000.';


--
-- Name: activity; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.activity AS
 SELECT a.activity_id AS id,
    a.at,
    a.kind,
    a.source,
    a.target,
    a.message,
    a.actor
   FROM tandem.activity_entry a;


--
-- Name: VIEW activity; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.activity IS 'What happened: links that failed and were well again, were paused and resumed, backups, what people asked for.';


--
-- Name: activity_entry_activity_id_seq; Type: SEQUENCE; Schema: tandem; Owner: -
--

ALTER TABLE tandem.activity_entry ALTER COLUMN activity_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tandem.activity_entry_activity_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: alert; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.alert (
    alert_id text NOT NULL COLLATE pg_catalog."C",
    rule text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL,
    since timestamp with time zone NOT NULL,
    event uuid NOT NULL,
    event_at timestamp with time zone NOT NULL,
    what text NOT NULL,
    message text NOT NULL,
    remedy text NOT NULL,
    told jsonb NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT alert_rule_check CHECK ((rule ~ '^[a-z_]+$'::text)),
    CONSTRAINT alert_state_check CHECK ((state = ANY (ARRAY['firing'::text, 'cleared'::text]))),
    CONSTRAINT alert_what_check CHECK ((what = ANY (ARRAY['fired'::text, 'lasts'::text, 'cleared'::text])))
);


--
-- Name: TABLE alert; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.alert IS 'What people are told of, the same on every node that was reached: the newest thing to tell, and which targets have been told.';


--
-- Name: alerts; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.alerts AS
 SELECT a.rule,
    a.subject,
    a.state,
    a.since,
    a.event_at AS changed_at,
    a.message,
    a.remedy
   FROM tandem.alert a;


--
-- Name: VIEW alerts; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.alerts IS 'What people are told of: while it fires, and for a while after it was over.';


--
-- Name: assumed_version; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.assumed_version (
    stamp timestamp with time zone NOT NULL,
    origin text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: TABLE assumed_version; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.assumed_version IS 'Versions that survivors'' rows without an entry counted with when this node came back: such a row is no newer, how much older nobody knows.';


--
-- Name: backup; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.backup (
    place text NOT NULL,
    backup_id text NOT NULL,
    state text NOT NULL,
    reason text,
    job text,
    label text,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    level integer NOT NULL,
    proven_at timestamp with time zone,
    pinned boolean NOT NULL,
    CONSTRAINT backup_bytes_check CHECK ((bytes >= 0)),
    CONSTRAINT backup_level_check CHECK (((level >= 0) AND (level <= 3))),
    CONSTRAINT backup_rows_check CHECK ((rows >= 0)),
    CONSTRAINT backup_state_check CHECK ((state = ANY (ARRAY['complete'::text, 'degraded'::text, 'damaged'::text, 'failed'::text])))
);


--
-- Name: TABLE backup; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.backup IS 'The backups of this node, and those that failed, by the machine and folder where they lie: a copy of what the folder says, made anew when it is lost.';


--
-- Name: block_floor; Type: SEQUENCE; Schema: tandem; Owner: -
--

CREATE SEQUENCE tandem.block_floor
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;


--
-- Name: SEQUENCE block_floor; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON SEQUENCE tandem.block_floor IS 'Newest stamp of a block written here, in microseconds since 1970.';


--
-- Name: block_floor_turn; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.block_floor_turn (
    only_row boolean DEFAULT true NOT NULL,
    CONSTRAINT block_floor_turn_only_row_check CHECK (only_row)
);


--
-- Name: TABLE block_floor_turn; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.block_floor_turn IS 'Whose turn it is to raise the block floor: its row is locked for that moment.';


--
-- Name: conflict_conflict_id_seq; Type: SEQUENCE; Schema: tandem; Owner: -
--

ALTER TABLE tandem.conflict ALTER COLUMN conflict_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tandem.conflict_conflict_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: peer; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.peer (
    peer_id integer NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    incarnation uuid,
    receives_from text[] DEFAULT '{}'::text[] NOT NULL,
    configured boolean DEFAULT true NOT NULL,
    gone_at timestamp with time zone,
    CONSTRAINT peer_check CHECK (((gone_at IS NULL) OR (NOT configured))),
    CONSTRAINT peer_name_check CHECK ((name ~ '^[a-z][a-z0-9_-]{0,29}$'::text))
);


--
-- Name: TABLE peer; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.peer IS 'The other nodes this one has a link with, and from whom each of them receives directly.';


--
-- Name: COLUMN peer.gone_at; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.peer.gone_at IS 'Set when this incarnation is no more (dropped, or rejoined): what was received from it is sent to everybody.';


--
-- Name: conflicts; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.conflicts AS
 SELECT tandem.conflict_id(c.*) AS id,
    c.detected_at,
    p.name AS peer,
        CASE c.schema_name
            WHEN 'public'::text THEN c.table_name
            ELSE ((c.schema_name || '.'::text) || c.table_name)
        END AS "table",
    tandem.key_text(c.key) AS key,
    c.kind,
    c.rule,
    c.winner,
        CASE c.winner
            WHEN 'local'::text THEN c.local_origin
            ELSE c.incoming_origin
        END AS winner_origin,
        CASE c.winner
            WHEN 'local'::text THEN c.local_stamp
            ELSE c.incoming_stamp
        END AS winner_changed_at,
        CASE c.winner
            WHEN 'local'::text THEN c.incoming_origin
            ELSE c.local_origin
        END AS loser_origin,
        CASE c.winner
            WHEN 'local'::text THEN c.incoming_stamp
            ELSE c.local_stamp
        END AS loser_changed_at,
    tandem.image(c.local_columns, c.local_values) AS local_image,
    tandem.image(c.incoming_columns, c.incoming_values) AS incoming_image,
    c.restored_at
   FROM (tandem.conflict c
     JOIN tandem.peer p USING (peer_id));


--
-- Name: VIEW conflicts; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.conflicts IS 'Conflicts decided here, both images kept; a null image: the row was gone. The id is the same on every node.';


--
-- Name: dropped_change; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.dropped_change (
    dropped_id bigint NOT NULL,
    parked_id bigint NOT NULL,
    peer_id integer NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    key text[] NOT NULL,
    kind text NOT NULL,
    refusal text NOT NULL,
    sqlstate text,
    stamp timestamp with time zone,
    origin text COLLATE pg_catalog."C",
    parked_at timestamp with time zone NOT NULL,
    attempts integer NOT NULL,
    dropped_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    dropped_by text DEFAULT SESSION_USER NOT NULL,
    reason text NOT NULL,
    columns text[],
    image text[],
    settled_at timestamp with time zone,
    CONSTRAINT dropped_change_check CHECK ((NOT (cardinality(columns) IS DISTINCT FROM cardinality(image)))),
    CONSTRAINT dropped_change_reason_check CHECK ((reason <> ''::text))
);


--
-- Name: TABLE dropped_change; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.dropped_change IS 'Parked changes that a person gave up, with the image that was not applied where it could be had.';


--
-- Name: COLUMN dropped_change.settled_at; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.dropped_change.settled_at IS 'When the row was seen to have changed since: until then the nodes differ there.';


--
-- Name: dropped; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.dropped AS
 SELECT d.dropped_id AS id,
    p.name AS peer,
        CASE d.schema_name
            WHEN 'public'::text THEN d.table_name
            ELSE ((d.schema_name || '.'::text) || d.table_name)
        END AS "table",
    tandem.key_text(d.key) AS key,
    d.kind,
    d.refusal,
    d.parked_at,
    d.dropped_at,
    d.dropped_by,
    d.reason,
    tandem.image(d.columns, d.image) AS image,
    (d.dropped_id IN ( SELECT o.o
           FROM tandem.dropped_open() o(o))) AS differs
   FROM (tandem.dropped_change d
     JOIN tandem.peer p USING (peer_id));


--
-- Name: VIEW dropped; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.dropped IS 'Parked changes that a person gave up; differs: the row has not changed since. A null image: gone, or not known.';


--
-- Name: dropped_change_dropped_id_seq; Type: SEQUENCE; Schema: tandem; Owner: -
--

ALTER TABLE tandem.dropped_change ALTER COLUMN dropped_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tandem.dropped_change_dropped_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: fallback_pair; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.fallback_pair (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    local_key text[] NOT NULL,
    incoming_key text[] NOT NULL
);


--
-- Name: TABLE fallback_pair; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.fallback_pair IS 'Newer incoming rows that fell back on their older image because others refer to the holder of the value they claim: once per pair.';


--
-- Name: inbound; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.inbound (
    peer_id integer NOT NULL,
    "position" pg_snapshot,
    token uuid,
    applying xid8,
    applying_tables integer[] DEFAULT '{}'::integer[] NOT NULL,
    applied_at timestamp with time zone,
    caught_up_at timestamp with time zone,
    lag interval,
    heartbeat interval,
    heartbeat_at timestamp with time zone,
    batches bigint DEFAULT 0 NOT NULL,
    rows_applied bigint DEFAULT 0 NOT NULL,
    rows_superseded bigint DEFAULT 0 NOT NULL,
    batches_cut bigint DEFAULT 0 NOT NULL,
    missing text,
    settle_seen pg_snapshot,
    settle_upto xid8,
    settled pg_snapshot,
    clock_skew interval,
    last_error text,
    last_error_at timestamp with time zone,
    CONSTRAINT inbound_heartbeat_check CHECK ((heartbeat >= '00:00:00'::interval)),
    CONSTRAINT inbound_lag_check CHECK ((lag >= '00:00:00'::interval)),
    CONSTRAINT inbound_missing_check CHECK ((missing = ANY (ARRAY['keep'::text, 'delete'::text])))
);


--
-- Name: TABLE inbound; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.inbound IS 'One row per link into this node: how far its source has been applied here, and by whom it is being applied.';


--
-- Name: COLUMN inbound.caught_up_at; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.inbound.caught_up_at IS 'All that was committed at the source before this moment, by the clock of this node, is here, but for what is parked or held.';


--
-- Name: COLUMN inbound.lag; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.inbound.lag IS 'For how long, at most, what came last was under way, from its commit at the source to its commit here.';


--
-- Name: COLUMN inbound.heartbeat; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.inbound.heartbeat IS 'How long the last heartbeat took from the source into this node; null where heartbeats are off or none has come.';


--
-- Name: COLUMN inbound.missing; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.inbound.missing IS 'What becomes of rows that only a rejoined source has and that may have been deleted here: a person''s choice.';


--
-- Name: COLUMN inbound.settled; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.inbound.settled IS 'A snapshot of this node: what was received from the peer and is visible in it has reached all whom the peer sends to directly.';


--
-- Name: inbound_table; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.inbound_table (
    peer_id integer NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    state text NOT NULL,
    "position" pg_snapshot,
    copied_to text[],
    rows_copied bigint DEFAULT 0 NOT NULL,
    rows_undecided bigint DEFAULT 0 NOT NULL,
    vanished_seen integer DEFAULT 0 NOT NULL,
    reason text,
    rejoin text,
    since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT inbound_table_check CHECK (((state = 'flow'::text) = ("position" IS NULL))),
    CONSTRAINT inbound_table_check1 CHECK (((state <> 'held'::text) OR (reason IS NOT NULL))),
    CONSTRAINT inbound_table_rejoin_check CHECK ((rejoin = ANY (ARRAY['restored'::text, 'replaced'::text, 'survivor'::text]))),
    CONSTRAINT inbound_table_state_check CHECK ((state = ANY (ARRAY['flow'::text, 'copy'::text, 'held'::text, 'catch_up'::text])))
);


--
-- Name: TABLE inbound_table; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.inbound_table IS 'The tables a link knows: flowing with it, being copied, held back, or catching up from a position of their own.';


--
-- Name: COLUMN inbound_table.rejoin; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.inbound_table.rejoin IS 'Compared since a node came back: this one (restored with what had flowed, or replaced by a database that had not) or the peer (this one survived).';


--
-- Name: interleaved_sequence; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.interleaved_sequence (
    schema_name text NOT NULL,
    sequence_name text NOT NULL,
    increment_before bigint NOT NULL,
    modulus bigint NOT NULL,
    residue bigint NOT NULL
);


--
-- Name: TABLE interleaved_sequence; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.interleaved_sequence IS 'Sequences whose increment Tandem changed, with what it was before.';


--
-- Name: outbound; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.outbound (
    peer_id integer NOT NULL,
    token uuid,
    pending_tokens uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    acknowledged pg_snapshot,
    acknowledged_at timestamp with time zone,
    candidate pg_snapshot,
    candidate_seen pg_snapshot,
    prunable pg_snapshot,
    CONSTRAINT outbound_check CHECK (((candidate IS NULL) = (candidate_seen IS NULL)))
);


--
-- Name: TABLE outbound; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.outbound IS 'One row per link out of this node: what its target has acknowledged, and from when on entries may be pruned.';


--
-- Name: kept; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.kept AS
 SELECT p.name AS peer,
    p.configured,
    u.changes,
    u.oldest,
    o.acknowledged_at
   FROM ((tandem.outbound o
     JOIN tandem.peer p USING (peer_id))
     CROSS JOIN LATERAL ( SELECT count(*) AS changes,
            min(x.stamp) AS oldest
           FROM tandem.unsynced(p.peer_id) x(schema_name, table_name, op, key, stamp, origin)) u);


--
-- Name: VIEW kept; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.kept IS 'What is kept here for each peer until it has it, also for one that the configuration names no longer.';


--
-- Name: local_node; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.local_node (
    only_row boolean DEFAULT true NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    incarnation uuid NOT NULL,
    system_identifier text NOT NULL,
    database_oid oid NOT NULL,
    highest_xid xid8 NOT NULL,
    max_skew interval DEFAULT '00:05:00'::interval NOT NULL,
    retention interval DEFAULT '7 days'::interval NOT NULL,
    keep_conflicts interval DEFAULT '28 days'::interval NOT NULL,
    seed text COLLATE pg_catalog."C",
    pruned_at timestamp with time zone,
    horizon timestamp with time zone DEFAULT '0001-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    installed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT local_node_name_check CHECK ((name ~ '^[a-z][a-z0-9_-]{0,29}$'::text)),
    CONSTRAINT local_node_only_row_check CHECK (only_row)
);


--
-- Name: TABLE local_node; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.local_node IS 'This database as a node: one row, written when a configured node is first migrated.';


--
-- Name: COLUMN local_node.horizon; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON COLUMN tandem.local_node.horizon IS 'Entries stamped before this may have been pruned here.';


--
-- Name: migrations; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.migrations (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    run_on timestamp without time zone NOT NULL
);


--
-- Name: TABLE migrations; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.migrations IS 'Tandem''s migrations that were applied here, as node-pg-migrate keeps them.';


--
-- Name: migrations_id_seq; Type: SEQUENCE; Schema: tandem; Owner: -
--

CREATE SEQUENCE tandem.migrations_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: migrations_id_seq; Type: SEQUENCE OWNED BY; Schema: tandem; Owner: -
--

ALTER SEQUENCE tandem.migrations_id_seq OWNED BY tandem.migrations.id;


--
-- Name: throughput; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.throughput (
    peer_id integer NOT NULL,
    minute timestamp with time zone NOT NULL,
    rows bigint NOT NULL,
    behind interval NOT NULL
);


--
-- Name: TABLE throughput; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.throughput IS 'Rows that came from each peer, by the minute, of seven days.';


--
-- Name: moved; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.moved AS
 SELECT p.name AS peer,
    t.minute,
    t.rows,
    t.behind,
    ((EXTRACT(epoch FROM t.behind) * (1000)::numeric))::bigint AS behind_ms
   FROM (tandem.throughput t
     JOIN tandem.peer p USING (peer_id));


--
-- Name: VIEW moved; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.moved IS 'Rows that came from each peer, by the minute, and how far behind it this node was at most; a minute without rows is not there.';


--
-- Name: nodes; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.nodes AS
 SELECT n.name,
    true AS here,
    n.incarnation,
    NULL::timestamp with time zone AS acknowledged_at,
    NULL::timestamp with time zone AS applied_at
   FROM tandem.local_node n
UNION ALL
 SELECT p.name,
    false AS here,
    p.incarnation,
    o.acknowledged_at,
    i.applied_at
   FROM ((tandem.peer p
     LEFT JOIN tandem.outbound o USING (peer_id))
     LEFT JOIN tandem.inbound i USING (peer_id))
  WHERE p.configured;


--
-- Name: VIEW nodes; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.nodes IS 'This node and its peers.';


--
-- Name: outbound_held; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.outbound_held (
    peer_id integer NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    "position" pg_snapshot NOT NULL
);


--
-- Name: TABLE outbound_held; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.outbound_held IS 'Tables that a peer holds back or lets catch up, each with where it stands: what came later is pending.';


--
-- Name: outbound_parked; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.outbound_parked (
    peer_id integer NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    key text[] NOT NULL
);


--
-- Name: TABLE outbound_parked; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.outbound_parked IS 'Keys that a peer has parked: their entries stay, and they are not counted as synced.';


--
-- Name: parked_change; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.parked_change (
    parked_id bigint NOT NULL,
    peer_id integer NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    key text[] NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    sqlstate text,
    stamp timestamp with time zone,
    origin text COLLATE pg_catalog."C",
    parked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    tried_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    next_try_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT parked_change_attempts_check CHECK ((attempts > 0)),
    CONSTRAINT parked_change_kind_check CHECK ((kind = ANY (ARRAY['busy'::text, 'refused'::text, 'waits'::text, 'unplaced'::text, 'ahead'::text])))
);


--
-- Name: TABLE parked_change; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.parked_change IS 'Changes that could not be applied here and wait for their next try.';


--
-- Name: parked; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.parked AS
 SELECT c.parked_id AS id,
    p.name AS peer,
        CASE c.schema_name
            WHEN 'public'::text THEN c.table_name
            ELSE ((c.schema_name || '.'::text) || c.table_name)
        END AS "table",
    tandem.key_text(c.key) AS key,
    c.kind,
    c.reason,
    c.sqlstate,
    c.parked_at,
    c.attempts,
    c.tried_at,
    c.next_try_at
   FROM (tandem.parked_change c
     JOIN tandem.peer p USING (peer_id));


--
-- Name: VIEW parked; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.parked IS 'Changes from a peer that could not be applied here and wait.';


--
-- Name: parked_change_parked_id_seq; Type: SEQUENCE; Schema: tandem; Owner: -
--

ALTER TABLE tandem.parked_change ALTER COLUMN parked_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tandem.parked_change_parked_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: paused_link; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.paused_link (
    peer_id integer NOT NULL,
    paused_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    paused_by text NOT NULL
);


--
-- Name: TABLE paused_link; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.paused_link IS 'Links into this node that a person lets rest.';


--
-- Name: peer_peer_id_seq; Type: SEQUENCE; Schema: tandem; Owner: -
--

ALTER TABLE tandem.peer ALTER COLUMN peer_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tandem.peer_peer_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: pending; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.pending AS
 SELECT p.name AS peer,
        CASE u.schema_name
            WHEN 'public'::text THEN u.table_name
            ELSE ((u.schema_name || '.'::text) || u.table_name)
        END AS "table",
    u.op,
    tandem.key_text(u.key) AS key,
    u.stamp AS changed_at
   FROM ((tandem.outbound o
     JOIN tandem.peer p USING (peer_id))
     CROSS JOIN LATERAL tandem.unsynced(o.peer_id) u(schema_name, table_name, op, key, stamp, origin))
  WHERE p.configured;


--
-- Name: VIEW pending; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.pending IS 'One row per change that a peer has not acknowledged.';


--
-- Name: blocks public.perfis; Type: TABLE; Schema: tandem_log; Owner: -
--

CREATE TABLE tandem_log."blocks public.perfis" (
    xid xid8 NOT NULL,
    oldest timestamp with time zone NOT NULL,
    stamp timestamp with time zone NOT NULL,
    received_from integer,
    op "char" NOT NULL,
    origin text NOT NULL COLLATE pg_catalog."C",
    rows integer NOT NULL,
    "least" bigint,
    most bigint,
    stamps timestamp with time zone[],
    k1 bigint[] NOT NULL
);
ALTER TABLE ONLY tandem_log."blocks public.perfis" ALTER COLUMN stamps SET STORAGE EXTERNAL;
ALTER TABLE ONLY tandem_log."blocks public.perfis" ALTER COLUMN k1 SET STORAGE EXTERNAL;


--
-- Name: TABLE "blocks public.perfis"; Type: COMMENT; Schema: tandem_log; Owner: -
--

COMMENT ON TABLE tandem_log."blocks public.perfis" IS 'Change log of public.perfis: entries that were written many at a time.';


--
-- Name: public.perfis; Type: TABLE; Schema: tandem_log; Owner: -
--

CREATE TABLE tandem_log."public.perfis" (
    xid xid8 NOT NULL,
    stamp timestamp with time zone NOT NULL,
    k1 bigint NOT NULL,
    received_from integer,
    op "char" NOT NULL,
    blind boolean DEFAULT false NOT NULL,
    origin text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: TABLE "public.perfis"; Type: COMMENT; Schema: tandem_log; Owner: -
--

COMMENT ON TABLE tandem_log."public.perfis" IS 'Change log of public.perfis, by key (id).';


--
-- Name: entries public.perfis; Type: VIEW; Schema: tandem_log; Owner: -
--

CREATE VIEW tandem_log."entries public.perfis" AS
 SELECT l.xid,
    l.stamp,
    l.k1,
    l.received_from,
    l.op,
    l.blind,
    l.origin
   FROM tandem_log."public.perfis" l
UNION ALL
 SELECT b.xid,
    COALESCE(u.stamp, b.stamp) AS stamp,
    u.k1,
    b.received_from,
    b.op,
    false AS blind,
    b.origin
   FROM (tandem_log."blocks public.perfis" b
     CROSS JOIN LATERAL UNNEST(b.stamps, b.k1) u(stamp, k1));


--
-- Name: VIEW "entries public.perfis"; Type: COMMENT; Schema: tandem_log; Owner: -
--

COMMENT ON VIEW tandem_log."entries public.perfis" IS 'Change log of public.perfis: all entries.';


--
-- Name: perfis_changelog; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.perfis_changelog AS
 SELECT (l.op)::text AS op,
    l.k1 AS id,
    l.stamp AS changed_at,
    l.origin,
    ((NOT (EXISTS ( SELECT
           FROM (tandem.outbound o
             JOIN tandem.peer p USING (peer_id))
          WHERE (p.configured AND (o.peer_id IS DISTINCT FROM l.received_from) AND (NOT COALESCE(pg_visible_in_snapshot(l.xid, o.acknowledged), false)) AND (NOT (EXISTS ( SELECT
                   FROM tandem.peer s
                  WHERE ((s.peer_id = l.received_from) AND (s.gone_at IS NULL) AND (s.name = ANY (p.receives_from)))))))))) AND (NOT (EXISTS ( SELECT
           FROM (tandem.outbound_parked k
             JOIN tandem.peer p USING (peer_id))
          WHERE (p.configured AND (k.schema_name = 'public'::text) AND (k.table_name = 'perfis'::text) AND (k.key = ARRAY[(l.k1)::text]))))) AND (NOT (EXISTS ( SELECT
           FROM (tandem.outbound_held h
             JOIN tandem.peer p USING (peer_id))
          WHERE (p.configured AND (h.schema_name = 'public'::text) AND (h.table_name = 'perfis'::text) AND (h.peer_id IS DISTINCT FROM l.received_from) AND (NOT pg_visible_in_snapshot(l.xid, h."position"))))))) AS synced
   FROM tandem_log."entries public.perfis" l;


--
-- Name: VIEW perfis_changelog; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.perfis_changelog IS 'Captured changes of public.perfis; what waits: ... where not synced.';


--
-- Name: plan; Type: TABLE; Schema: tandem; Owner: -
--

CREATE UNLOGGED TABLE tandem.plan (
    peer_id integer NOT NULL,
    table_id integer NOT NULL,
    columns text[] NOT NULL,
    as_text boolean NOT NULL,
    replica boolean NOT NULL,
    catalog_mark text NOT NULL,
    plan jsonb NOT NULL
);


--
-- Name: TABLE plan; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.plan IS 'Fragments of SQL for applying, kept until the catalogs they were made from change.';


--
-- Name: sidecar; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.sidecar AS
 SELECT l.label,
    l.taken_at AS since,
    l.renewed_at AS seen_at,
    tandem.lease_stands(l.*) AS working
   FROM tandem.lease l;


--
-- Name: VIEW sidecar; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.sidecar IS 'The sidecar that works on the links into this node, if it has been heard of in time.';


--
-- Name: sql_file; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.sql_file (
    path text NOT NULL,
    sha256 text NOT NULL,
    installed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);


--
-- Name: TABLE sql_file; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.sql_file IS 'The files of sql/ as installed here, so that both ends of a link can be seen to fit.';


--
-- Name: staged; Type: TABLE; Schema: tandem; Owner: -
--

CREATE UNLOGGED TABLE tandem.staged (
    peer_id integer NOT NULL,
    staging uuid NOT NULL
);


--
-- Name: TABLE staged; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.staged IS 'Whose rows are staged for a link. A crash empties the staging tables, and this one with them: what is lost is noticed.';


--
-- Name: staged_row; Type: SEQUENCE; Schema: tandem; Owner: -
--

CREATE SEQUENCE tandem.staged_row
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 100;


--
-- Name: SEQUENCE staged_row; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON SEQUENCE tandem.staged_row IS 'Numbers of staged rows, each greater than those staged before by the same session.';


--
-- Name: status; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.status AS
 SELECT p.name AS peer,
    u.pending,
    u.oldest_pending,
    ( SELECT count(*) AS count
           FROM tandem.parked_change c
          WHERE (c.peer_id = p.peer_id)) AS parked,
    ( SELECT count(*) AS count
           FROM tandem.conflict c
          WHERE ((c.peer_id = p.peer_id) AND (c.detected_at > (now() - '24:00:00'::interval)))) AS conflicts_24h,
    ( SELECT count(*) AS count
           FROM tandem.inbound_table b
          WHERE ((b.peer_id = p.peer_id) AND (b.state = 'copy'::text))) AS tables_copying,
    ( SELECT count(*) AS count
           FROM tandem.inbound_table b
          WHERE ((b.peer_id = p.peer_id) AND (b.state = 'held'::text))) AS tables_held,
    (i."position" IS NOT NULL) AS met,
    i.applied_at,
    i.caught_up_at,
    o.acknowledged_at,
    i.rows_applied,
    i.batches_cut,
    i.clock_skew,
    i.last_error,
    i.last_error_at,
    ( SELECT count(*) AS count
           FROM tandem.outbound_parked k
          WHERE ((k.peer_id = p.peer_id) AND (k.key <> '{}'::text[]))) AS parked_there,
    ( SELECT count(*) AS count
           FROM tandem.dropped_change d
          WHERE ((d.peer_id = p.peer_id) AND (d.dropped_id IN ( SELECT o_1.o
                   FROM tandem.dropped_open() o_1(o))))) AS dropped,
    l.paused_at,
    l.paused_by,
    i.lag,
    i.heartbeat,
    i.heartbeat_at
   FROM ((((tandem.peer p
     CROSS JOIN LATERAL ( SELECT count(*) AS pending,
            min(x.stamp) AS oldest_pending
           FROM tandem.unsynced(p.peer_id) x(schema_name, table_name, op, key, stamp, origin)) u)
     LEFT JOIN tandem.inbound i USING (peer_id))
     LEFT JOIN tandem.outbound o USING (peer_id))
     LEFT JOIN tandem.paused_link l USING (peer_id))
  WHERE p.configured;


--
-- Name: VIEW status; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.status IS 'One row per peer: what waits in either direction, and since when all was well.';


--
-- Name: table_candidates; Type: VIEW; Schema: tandem; Owner: -
--

CREATE VIEW tandem.table_candidates AS
 SELECT (n.nspname)::text AS schema_name,
    (c.relname)::text AS table_name,
    c.oid AS relid,
    (c.relkind = 'p'::"char") AS partitioned,
    k.key_columns,
    r.reason_code,
        CASE r.reason_code
            WHEN 'extension'::text THEN 'belongs to an extension'::text
            WHEN 'provider'::text THEN ('belongs to the provider''s schema '::text || (n.nspname)::text)
            WHEN 'bookkeeping'::text THEN 'bookkeeping of a migration tool'::text
            WHEN 'changelog'::text THEN 'looks like a hand-made change log'::text
            WHEN 'no_key'::text THEN (
            CASE
                WHEN (EXISTS ( SELECT
                   FROM pg_index i
                  WHERE ((i.indrelid = c.oid) AND i.indisunique AND i.indisexclusion))) THEN 'has no key but WITHOUT OVERLAPS'::text
                ELSE 'has no primary key and no unique not-null index'::text
            END || ': give it one and run "tandem migrate" again'::text)
            WHEN 'inheritance'::text THEN 'takes part in table inheritance (INHERITS), which is not captured'::text
            WHEN 'period'::text THEN 'takes part in a foreign key with PERIOD, which is not looked at'::text
            WHEN 'not_owner'::text THEN ((('is owned by '::text || (pg_get_userbyid(c.relowner))::text) || ', not by '::text) || (CURRENT_USER)::text)
            WHEN 'temporary'::text THEN 'is temporary'::text
            ELSE NULL::text
        END AS reason
   FROM (((pg_class c
     JOIN pg_namespace n ON ((n.oid = c.relnamespace)))
     LEFT JOIN LATERAL tandem.table_key(c.oid) k(index_oid, key_columns, key_types, key_operators) ON (true))
     CROSS JOIN LATERAL ( SELECT
                CASE
                    WHEN (c.relpersistence = 't'::"char") THEN 'temporary'::text
                    WHEN (EXISTS ( SELECT
                       FROM pg_depend d
                      WHERE ((d.classid = ('pg_class'::regclass)::oid) AND (d.objid = c.oid) AND (d.deptype = 'e'::"char")))) THEN 'extension'::text
                    WHEN (n.nspname = ANY (ARRAY['auth'::name, 'storage'::name, 'realtime'::name, '_realtime'::name, 'cron'::name, 'graphql'::name, 'graphql_public'::name, 'vault'::name, 'pgsodium'::name, 'pgsodium_masks'::name, 'extensions'::name, 'supabase_functions'::name, 'supabase_migrations'::name, '_analytics'::name, 'net'::name, 'pgbouncer'::name, 'neon'::name, 'neon_auth'::name, 'neon_migration'::name, 'rdsadmin'::name, 'pgtle'::name, 'hdb_catalog'::name, 'partman'::name, 'repack'::name, 'bucardo'::name, 'topology'::name, 'tiger'::name])) THEN 'provider'::text
                    WHEN ((c.relname = ANY (ARRAY['pgmigrations'::name, '_prisma_migrations'::name, 'schema_migrations'::name, 'schema_version'::name, 'ar_internal_metadata'::name, 'knex_migrations'::name, 'knex_migrations_lock'::name, 'migrations'::name, 'typeorm_metadata'::name, '__drizzle_migrations'::name, 'drizzle_migrations'::name, 'alembic_version'::name, 'django_migrations'::name, 'flyway_schema_history'::name, 'databasechangelog'::name, 'databasechangeloglock'::name, 'SequelizeMeta'::name, '__EFMigrationsHistory'::name, 'kysely_migration'::name, 'kysely_migration_lock'::name, 'goose_db_version'::name, 'gorp_migrations'::name, 'phinxlog'::name, '_sqlx_migrations'::name, '__diesel_schema_migrations'::name, 'schema_info'::name, 'migrations_lock'::name])) OR (n.nspname = 'drizzle'::name)) THEN 'bookkeeping'::text
                    WHEN (c.relname ~~ '%\_changelog'::text) THEN 'changelog'::text
                    WHEN (NOT pg_has_role(CURRENT_USER, c.relowner, 'USAGE'::text)) THEN 'not_owner'::text
                    WHEN (EXISTS ( SELECT
                       FROM (pg_inherits h
                         JOIN pg_class p ON ((p.oid = h.inhparent)))
                      WHERE (((h.inhparent = c.oid) OR (h.inhrelid = c.oid)) AND (p.relkind = 'r'::"char")))) THEN 'inheritance'::text
                    WHEN (k.key_columns IS NULL) THEN 'no_key'::text
                    WHEN (EXISTS ( SELECT
                       FROM (pg_trigger g
                         JOIN pg_constraint f ON ((f.oid = g.tgconstraint)))
                      WHERE ((g.tgrelid = c.oid) AND (f.contype = 'f'::"char") AND ((to_jsonb(f.*) ->> 'conperiod'::text))::boolean))) THEN 'period'::text
                    ELSE NULL::text
                END AS reason_code) r)
  WHERE ((c.relkind = ANY (ARRAY['r'::"char", 'p'::"char"])) AND (NOT c.relispartition) AND (n.nspname <> ALL (ARRAY['tandem'::name, 'tandem_log'::name, 'information_schema'::name])) AND (n.nspname !~~ 'pg\_%'::text));


--
-- Name: VIEW table_candidates; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON VIEW tandem.table_candidates IS 'Tables that could be tracked, and why the others are not.';


--
-- Name: tracked_table_table_id_seq; Type: SEQUENCE; Schema: tandem; Owner: -
--

ALTER TABLE tandem.tracked_table ALTER COLUMN table_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tandem.tracked_table_table_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: verdict; Type: TABLE; Schema: tandem; Owner: -
--

CREATE UNLOGGED TABLE tandem.verdict (
    peer_id integer NOT NULL,
    table_id integer NOT NULL,
    n bigint NOT NULL,
    verdict text NOT NULL,
    kind text,
    reason text,
    sqlstate text,
    local_stamp timestamp with time zone,
    local_origin text COLLATE pg_catalog."C",
    holder text[],
    crossed boolean DEFAULT false NOT NULL,
    CONSTRAINT verdict_verdict_check CHECK ((verdict = ANY (ARRAY['adopt'::text, 'drop'::text, 'win'::text, 'lose'::text, 'prefer'::text, 'keep'::text, 'tie'::text, 'anew'::text, 'park'::text, 'undecided'::text, 'missing'::text])))
)
WITH (vacuum_truncate=off);


--
-- Name: TABLE verdict; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.verdict IS 'While a batch is applied: what was decided for the staged rows that are not simply written. Holder: of the value that a row claims; a row that is kept fell back because of it, and where one waits it is written anew. Crossed: it waits for a row that was deleted here, and that deletion waits at the source.';


--
-- Name: verification; Type: TABLE; Schema: tandem; Owner: -
--

CREATE TABLE tandem.verification (
    verification_id bigint NOT NULL,
    as_of timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    nodes text[] NOT NULL,
    identical boolean NOT NULL,
    tables integer NOT NULL,
    rows bigint NOT NULL,
    differing bigint NOT NULL,
    diverged bigint NOT NULL
);


--
-- Name: TABLE verification; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON TABLE tandem.verification IS 'What comparing all nodes by content has shown, the newest 100 times; the same on every node that was reached.';


--
-- Name: verification_verification_id_seq; Type: SEQUENCE; Schema: tandem; Owner: -
--

ALTER TABLE tandem.verification ALTER COLUMN verification_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tandem.verification_verification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: wake_until; Type: SEQUENCE; Schema: tandem; Owner: -
--

CREATE SEQUENCE tandem.wake_until
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;


--
-- Name: SEQUENCE wake_until; Type: COMMENT; Schema: tandem; Owner: -
--

COMMENT ON SEQUENCE tandem.wake_until IS 'Until when commits notify those who wait for them, in milliseconds since 1970.';


--
-- Name: floor external; Type: SEQUENCE; Schema: tandem_log; Owner: -
--

CREATE SEQUENCE tandem_log."floor external"
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;


--
-- Name: SEQUENCE "floor external"; Type: COMMENT; Schema: tandem_log; Owner: -
--

COMMENT ON SEQUENCE tandem_log."floor external" IS 'Newest stamp applied here from external, in microseconds since 1970.';


--
-- Name: migrations id; Type: DEFAULT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.migrations ALTER COLUMN id SET DEFAULT nextval('tandem.migrations_id_seq'::regclass);


--
-- Name: perfis perfis_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.perfis
    ADD CONSTRAINT perfis_pkey PRIMARY KEY (id);


--
-- Name: activity_entry activity_entry_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.activity_entry
    ADD CONSTRAINT activity_entry_pkey PRIMARY KEY (activity_id);


--
-- Name: alert alert_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.alert
    ADD CONSTRAINT alert_pkey PRIMARY KEY (alert_id);


--
-- Name: assumed_version assumed_version_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.assumed_version
    ADD CONSTRAINT assumed_version_pkey PRIMARY KEY (stamp, origin);


--
-- Name: backup backup_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.backup
    ADD CONSTRAINT backup_pkey PRIMARY KEY (place, backup_id);


--
-- Name: block_floor_turn block_floor_turn_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.block_floor_turn
    ADD CONSTRAINT block_floor_turn_pkey PRIMARY KEY (only_row);


--
-- Name: conflict conflict_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.conflict
    ADD CONSTRAINT conflict_pkey PRIMARY KEY (conflict_id);


--
-- Name: dropped_change dropped_change_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.dropped_change
    ADD CONSTRAINT dropped_change_pkey PRIMARY KEY (dropped_id);


--
-- Name: fallback_pair fallback_pair_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.fallback_pair
    ADD CONSTRAINT fallback_pair_pkey PRIMARY KEY (schema_name, table_name, local_key, incoming_key);


--
-- Name: inbound inbound_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.inbound
    ADD CONSTRAINT inbound_pkey PRIMARY KEY (peer_id);


--
-- Name: inbound_table inbound_table_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.inbound_table
    ADD CONSTRAINT inbound_table_pkey PRIMARY KEY (peer_id, schema_name, table_name);


--
-- Name: interleaved_sequence interleaved_sequence_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.interleaved_sequence
    ADD CONSTRAINT interleaved_sequence_pkey PRIMARY KEY (schema_name, sequence_name);


--
-- Name: lease lease_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (only_row);


--
-- Name: local_node local_node_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.local_node
    ADD CONSTRAINT local_node_pkey PRIMARY KEY (only_row);


--
-- Name: migrations migrations_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (id);


--
-- Name: outbound_held outbound_held_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.outbound_held
    ADD CONSTRAINT outbound_held_pkey PRIMARY KEY (peer_id, schema_name, table_name);


--
-- Name: outbound_parked outbound_parked_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.outbound_parked
    ADD CONSTRAINT outbound_parked_pkey PRIMARY KEY (peer_id, schema_name, table_name, key);


--
-- Name: outbound outbound_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.outbound
    ADD CONSTRAINT outbound_pkey PRIMARY KEY (peer_id);


--
-- Name: parked_change parked_change_peer_id_schema_name_table_name_key_key; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.parked_change
    ADD CONSTRAINT parked_change_peer_id_schema_name_table_name_key_key UNIQUE (peer_id, schema_name, table_name, key);


--
-- Name: parked_change parked_change_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.parked_change
    ADD CONSTRAINT parked_change_pkey PRIMARY KEY (parked_id);


--
-- Name: paused_link paused_link_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.paused_link
    ADD CONSTRAINT paused_link_pkey PRIMARY KEY (peer_id);


--
-- Name: peer peer_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.peer
    ADD CONSTRAINT peer_pkey PRIMARY KEY (peer_id);


--
-- Name: plan plan_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.plan
    ADD CONSTRAINT plan_pkey PRIMARY KEY (peer_id, table_id, columns, as_text, replica);


--
-- Name: sql_file sql_file_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.sql_file
    ADD CONSTRAINT sql_file_pkey PRIMARY KEY (path);


--
-- Name: staged staged_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.staged
    ADD CONSTRAINT staged_pkey PRIMARY KEY (peer_id);


--
-- Name: throughput throughput_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.throughput
    ADD CONSTRAINT throughput_pkey PRIMARY KEY (peer_id, minute);


--
-- Name: tracked_table tracked_table_blocks_name_key; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.tracked_table
    ADD CONSTRAINT tracked_table_blocks_name_key UNIQUE (blocks_name);


--
-- Name: tracked_table tracked_table_changelog_view_key; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.tracked_table
    ADD CONSTRAINT tracked_table_changelog_view_key UNIQUE (changelog_view);


--
-- Name: tracked_table tracked_table_entries_name_key; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.tracked_table
    ADD CONSTRAINT tracked_table_entries_name_key UNIQUE (entries_name);


--
-- Name: tracked_table tracked_table_log_name_key; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.tracked_table
    ADD CONSTRAINT tracked_table_log_name_key UNIQUE (log_name);


--
-- Name: tracked_table tracked_table_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.tracked_table
    ADD CONSTRAINT tracked_table_pkey PRIMARY KEY (table_id);


--
-- Name: tracked_table tracked_table_schema_name_table_name_key; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.tracked_table
    ADD CONSTRAINT tracked_table_schema_name_table_name_key UNIQUE (schema_name, table_name);


--
-- Name: verdict verdict_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.verdict
    ADD CONSTRAINT verdict_pkey PRIMARY KEY (peer_id, table_id, n);


--
-- Name: verification verification_pkey; Type: CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.verification
    ADD CONSTRAINT verification_pkey PRIMARY KEY (verification_id);


--
-- Name: activity_entry_at; Type: INDEX; Schema: tandem; Owner: -
--

CREATE INDEX activity_entry_at ON tandem.activity_entry USING btree (at);


--
-- Name: conflict_detected; Type: INDEX; Schema: tandem; Owner: -
--

CREATE INDEX conflict_detected ON tandem.conflict USING btree (detected_at);


--
-- Name: conflict_once; Type: INDEX; Schema: tandem; Owner: -
--

CREATE UNIQUE INDEX conflict_once ON tandem.conflict USING btree (schema_name, table_name, key, local_stamp, local_origin, incoming_stamp, incoming_origin, ((kind ~~ 'referring/%'::text)));


--
-- Name: conflict_peer; Type: INDEX; Schema: tandem; Owner: -
--

CREATE INDEX conflict_peer ON tandem.conflict USING btree (peer_id);


--
-- Name: dropped_change_peer; Type: INDEX; Schema: tandem; Owner: -
--

CREATE INDEX dropped_change_peer ON tandem.dropped_change USING btree (peer_id);


--
-- Name: peer_name; Type: INDEX; Schema: tandem; Owner: -
--

CREATE UNIQUE INDEX peer_name ON tandem.peer USING btree (name) WHERE (gone_at IS NULL);


--
-- Name: plan_table; Type: INDEX; Schema: tandem; Owner: -
--

CREATE INDEX plan_table ON tandem.plan USING btree (table_id);


--
-- Name: throughput_minute; Type: INDEX; Schema: tandem; Owner: -
--

CREATE INDEX throughput_minute ON tandem.throughput USING btree (minute);


--
-- Name: blocks public.perfis_xid_idx; Type: INDEX; Schema: tandem_log; Owner: -
--

CREATE INDEX "blocks public.perfis_xid_idx" ON tandem_log."blocks public.perfis" USING btree (xid);


--
-- Name: public.perfis_k1_stamp_origin_idx; Type: INDEX; Schema: tandem_log; Owner: -
--

CREATE INDEX "public.perfis_k1_stamp_origin_idx" ON tandem_log."public.perfis" USING btree (k1, stamp, origin);


--
-- Name: public.perfis_k1_xid_idx; Type: INDEX; Schema: tandem_log; Owner: -
--

CREATE INDEX "public.perfis_k1_xid_idx" ON tandem_log."public.perfis" USING btree (k1, xid) WHERE blind;


--
-- Name: public.perfis_xid_idx; Type: INDEX; Schema: tandem_log; Owner: -
--

CREATE INDEX "public.perfis_xid_idx" ON tandem_log."public.perfis" USING btree (xid);


--
-- Name: perfis tandem_delete; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER tandem_delete AFTER DELETE ON public.perfis REFERENCING OLD TABLE AS tandem_old FOR EACH STATEMENT EXECUTE FUNCTION tandem_log."capture public.perfis"();

ALTER TABLE public.perfis ENABLE ALWAYS TRIGGER tandem_delete;


--
-- Name: perfis tandem_insert; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER tandem_insert AFTER INSERT ON public.perfis REFERENCING NEW TABLE AS tandem_new FOR EACH STATEMENT EXECUTE FUNCTION tandem_log."capture public.perfis"();

ALTER TABLE public.perfis ENABLE ALWAYS TRIGGER tandem_insert;


--
-- Name: perfis tandem_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER tandem_truncate BEFORE TRUNCATE ON public.perfis FOR EACH STATEMENT EXECUTE FUNCTION tandem_log."capture public.perfis"();

ALTER TABLE public.perfis ENABLE ALWAYS TRIGGER tandem_truncate;


--
-- Name: perfis tandem_update; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER tandem_update AFTER UPDATE ON public.perfis REFERENCING OLD TABLE AS tandem_old NEW TABLE AS tandem_new FOR EACH STATEMENT EXECUTE FUNCTION tandem_log."capture public.perfis"();

ALTER TABLE public.perfis ENABLE ALWAYS TRIGGER tandem_update;


--
-- Name: conflict conflict_peer_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.conflict
    ADD CONSTRAINT conflict_peer_id_fkey FOREIGN KEY (peer_id) REFERENCES tandem.peer(peer_id);


--
-- Name: dropped_change dropped_change_peer_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.dropped_change
    ADD CONSTRAINT dropped_change_peer_id_fkey FOREIGN KEY (peer_id) REFERENCES tandem.peer(peer_id);


--
-- Name: inbound inbound_peer_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.inbound
    ADD CONSTRAINT inbound_peer_id_fkey FOREIGN KEY (peer_id) REFERENCES tandem.peer(peer_id);


--
-- Name: inbound_table inbound_table_peer_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.inbound_table
    ADD CONSTRAINT inbound_table_peer_id_fkey FOREIGN KEY (peer_id) REFERENCES tandem.peer(peer_id);


--
-- Name: outbound_held outbound_held_peer_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.outbound_held
    ADD CONSTRAINT outbound_held_peer_id_fkey FOREIGN KEY (peer_id) REFERENCES tandem.peer(peer_id);


--
-- Name: outbound_parked outbound_parked_peer_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.outbound_parked
    ADD CONSTRAINT outbound_parked_peer_id_fkey FOREIGN KEY (peer_id) REFERENCES tandem.peer(peer_id);


--
-- Name: outbound outbound_peer_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.outbound
    ADD CONSTRAINT outbound_peer_id_fkey FOREIGN KEY (peer_id) REFERENCES tandem.peer(peer_id);


--
-- Name: parked_change parked_change_peer_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.parked_change
    ADD CONSTRAINT parked_change_peer_id_fkey FOREIGN KEY (peer_id) REFERENCES tandem.peer(peer_id);


--
-- Name: paused_link paused_link_peer_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.paused_link
    ADD CONSTRAINT paused_link_peer_id_fkey FOREIGN KEY (peer_id) REFERENCES tandem.peer(peer_id);


--
-- Name: plan plan_peer_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.plan
    ADD CONSTRAINT plan_peer_id_fkey FOREIGN KEY (peer_id) REFERENCES tandem.peer(peer_id);


--
-- Name: plan plan_table_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.plan
    ADD CONSTRAINT plan_table_id_fkey FOREIGN KEY (table_id) REFERENCES tandem.tracked_table(table_id) ON DELETE CASCADE;


--
-- Name: staged staged_peer_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.staged
    ADD CONSTRAINT staged_peer_id_fkey FOREIGN KEY (peer_id) REFERENCES tandem.peer(peer_id) ON DELETE CASCADE;


--
-- Name: throughput throughput_peer_id_fkey; Type: FK CONSTRAINT; Schema: tandem; Owner: -
--

ALTER TABLE ONLY tandem.throughput
    ADD CONSTRAINT throughput_peer_id_fkey FOREIGN KEY (peer_id) REFERENCES tandem.peer(peer_id);


--
-- Name: FUNCTION action_blocked(p_child oid, p_name text, p_action text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.action_blocked(p_child oid, p_name text, p_action text) FROM PUBLIC;


--
-- Name: FUNCTION action_sets(p_constraint jsonb, p_attnum smallint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.action_sets(p_constraint jsonb, p_attnum smallint) FROM PUBLIC;


--
-- Name: FUNCTION added_with_default(p_relid oid, p_shape text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.added_with_default(p_relid oid, p_shape text) FROM PUBLIC;


--
-- Name: FUNCTION advance_link(p_batch jsonb, p_to pg_snapshot, p_tables jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.advance_link(p_batch jsonb, p_to pg_snapshot, p_tables jsonb) FROM PUBLIC;


--
-- Name: FUNCTION advance_sequence(p_sequence regclass, p_value numeric); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.advance_sequence(p_sequence regclass, p_value numeric) FROM PUBLIC;


--
-- Name: FUNCTION advance_sequences(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.advance_sequences(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION after(p_stamp timestamp with time zone); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.after(p_stamp timestamp with time zone) FROM PUBLIC;


--
-- Name: FUNCTION all_equal(p_operators text[], p_left text[], p_right text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.all_equal(p_operators text[], p_left text[], p_right text[]) FROM PUBLIC;


--
-- Name: FUNCTION application_path(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.application_path(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION application_triggers(p_relid oid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.application_triggers(p_relid oid) FROM PUBLIC;


--
-- Name: FUNCTION applied_op(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.applied_op() FROM PUBLIC;


--
-- Name: FUNCTION applies(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.applies(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION apply_batch(p_batch jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.apply_batch(p_batch jsonb) FROM PUBLIC;


--
-- Name: FUNCTION apply_plan(p_peer_id integer, p_table_id integer, p_columns text[], p_as_text boolean, p_replica boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.apply_plan(p_peer_id integer, p_table_id integer, p_columns text[], p_as_text boolean, p_replica boolean) FROM PUBLIC;


--
-- Name: FUNCTION apply_set(p_plans jsonb, p_where text, p_replica boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.apply_set(p_plans jsonb, p_where text, p_replica boolean) FROM PUBLIC;


--
-- Name: FUNCTION apply_small(p_batch jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.apply_small(p_batch jsonb) FROM PUBLIC;


--
-- Name: FUNCTION apply_small_tables(p_batch jsonb, p_heard integer[], p_replica boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.apply_small_tables(p_batch jsonb, p_heard integer[], p_replica boolean) FROM PUBLIC;


--
-- Name: FUNCTION apply_split(p_plans jsonb, p_replica boolean, p_deadline timestamp with time zone, p_step bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.apply_split(p_plans jsonb, p_replica boolean, p_deadline timestamp with time zone, p_step bigint) FROM PUBLIC;


--
-- Name: FUNCTION applying_peer(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.applying_peer(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION are_apart(p_table tandem.tracked_table, p_condition text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.are_apart(p_table tandem.tracked_table, p_condition text) FROM PUBLIC;


--
-- Name: FUNCTION arm_last_trigger(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.arm_last_trigger(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION arm_table(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.arm_table(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION ask_wake(p_ms bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.ask_wake(p_ms bigint) FROM PUBLIC;


--
-- Name: FUNCTION await_writers(p_plan jsonb, p_longest interval); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.await_writers(p_plan jsonb, p_longest interval) FROM PUBLIC;


--
-- Name: FUNCTION base_type(p_type oid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.base_type(p_type oid) FROM PUBLIC;


--
-- Name: FUNCTION base_typmod(p_type oid, p_typmod integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.base_typmod(p_type oid, p_typmod integer) FROM PUBLIC;


--
-- Name: FUNCTION batch_counts(p_plans jsonb, p_left jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.batch_counts(p_plans jsonb, p_left jsonb) FROM PUBLIC;


--
-- Name: FUNCTION batch_end(p_from pg_snapshot, p_tables integer[], p_limit bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.batch_end(p_from pg_snapshot, p_tables integer[], p_limit bigint) FROM PUBLIC;


--
-- Name: FUNCTION batch_header(p_peer_id integer, p_tables integer[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.batch_header(p_peer_id integer, p_tables integer[]) FROM PUBLIC;


--
-- Name: FUNCTION batch_query(p_table_id integer, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer, p_columns text[], p_unplaced text[], p_keys jsonb, p_vector text, p_asked boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.batch_query(p_table_id integer, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer, p_columns text[], p_unplaced text[], p_keys jsonb, p_vector text, p_asked boolean) FROM PUBLIC;


--
-- Name: FUNCTION beat(p_self text, p_target text, p_beat uuid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.beat(p_self text, p_target text, p_beat uuid) FROM PUBLIC;


--
-- Name: FUNCTION begin_stage(p_peer_id integer, p_staging uuid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.begin_stage(p_peer_id integer, p_staging uuid) FROM PUBLIC;


--
-- Name: FUNCTION "between"(p_from pg_snapshot, p_to pg_snapshot); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem."between"(p_from pg_snapshot, p_to pg_snapshot) FROM PUBLIC;


--
-- Name: FUNCTION block_after(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.block_after() FROM PUBLIC;


--
-- Name: FUNCTION block_insert(p_table tandem.tracked_table, p_fields text, p_values text, p_rows text, p_apart boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.block_insert(p_table tandem.tracked_table, p_fields text, p_values text, p_rows text, p_apart boolean) FROM PUBLIC;


--
-- Name: FUNCTION block_least(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.block_least() FROM PUBLIC;


--
-- Name: FUNCTION block_of_lists(p_table tandem.tracked_table, p_node text, p_op text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.block_of_lists(p_table tandem.tracked_table, p_node text, p_op text) FROM PUBLIC;


--
-- Name: FUNCTION block_rows(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.block_rows() FROM PUBLIC;


--
-- Name: FUNCTION capture_caused(p_table_id integer, p_peer_id integer, p_op text, p_from text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.capture_caused(p_table_id integer, p_peer_id integer, p_op text, p_from text) FROM PUBLIC;


--
-- Name: FUNCTION capture_first(p_table tandem.tracked_table, p_node text, p_op text, p_rows text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.capture_first(p_table tandem.tracked_table, p_node text, p_op text, p_rows text) FROM PUBLIC;


--
-- Name: FUNCTION capture_insert(p_table tandem.tracked_table, p_node text, p_now text, p_op text, p_keys text[], p_from text, p_blind text, p_newer text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.capture_insert(p_table tandem.tracked_table, p_node text, p_now text, p_op text, p_keys text[], p_from text, p_blind text, p_newer text) FROM PUBLIC;


--
-- Name: FUNCTION capture_intact(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.capture_intact(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION capture_list(p_table tandem.tracked_table, p_rows text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.capture_list(p_table tandem.tracked_table, p_rows text) FROM PUBLIC;


--
-- Name: FUNCTION capture_look(p_table tandem.tracked_table, p_rows text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.capture_look(p_table tandem.tracked_table, p_rows text) FROM PUBLIC;


--
-- Name: FUNCTION capture_many(p_table tandem.tracked_table, p_node text, p_op text, p_rows text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.capture_many(p_table tandem.tracked_table, p_node text, p_op text, p_rows text) FROM PUBLIC;


--
-- Name: FUNCTION capture_row(p_table tandem.tracked_table, p_node text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.capture_row(p_table tandem.tracked_table, p_node text) FROM PUBLIC;


--
-- Name: FUNCTION capture_statement(p_table tandem.tracked_table, p_node text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.capture_statement(p_table tandem.tracked_table, p_node text) FROM PUBLIC;


--
-- Name: FUNCTION capture_truncate(p_table tandem.tracked_table, p_node text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.capture_truncate(p_table tandem.tracked_table, p_node text) FROM PUBLIC;


--
-- Name: FUNCTION carry_out_actions(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.carry_out_actions(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION carry_out_updates(p_plans jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.carry_out_updates(p_plans jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION cast_error(p_query text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.cast_error(p_query text) FROM PUBLIC;


--
-- Name: FUNCTION catalog_mark(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.catalog_mark(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION change_guard(p_trigger oid, p_guard boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.change_guard(p_trigger oid, p_guard boolean) FROM PUBLIC;


--
-- Name: FUNCTION changed_meanwhile(p_plans jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.changed_meanwhile(p_plans jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION changelog_view_name(p_schema text, p_table text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.changelog_view_name(p_schema text, p_table text) FROM PUBLIC;


--
-- Name: FUNCTION check_identity(p_name text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.check_identity(p_name text) FROM PUBLIC;


--
-- Name: FUNCTION child_not_written(p_plans jsonb, p_child_id integer, p_alias text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.child_not_written(p_plans jsonb, p_child_id integer, p_alias text) FROM PUBLIC;


--
-- Name: FUNCTION choose_missing(p_peer text, p_choice text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.choose_missing(p_peer text, p_choice text) FROM PUBLIC;


--
-- Name: FUNCTION choose_triggers(p_schema text, p_table text, p_choice text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.choose_triggers(p_schema text, p_table text, p_choice text) FROM PUBLIC;


--
-- Name: FUNCTION claims(p_plan jsonb, p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.claims(p_plan jsonb, p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION close_probe(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.close_probe() FROM PUBLIC;


--
-- Name: FUNCTION closure(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.closure(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION closure_of_holders(p_plan jsonb, p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.closure_of_holders(p_plan jsonb, p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION columns(p_alias text, p_names text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.columns(p_alias text, p_names text[]) FROM PUBLIC;


--
-- Name: FUNCTION columns_mark(p_relid oid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.columns_mark(p_relid oid) FROM PUBLIC;


--
-- Name: FUNCTION comment_on(p_object oid, p_catalog regclass); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.comment_on(p_object oid, p_catalog regclass) FROM PUBLIC;


--
-- Name: FUNCTION configure_node(p_name text, p_peers jsonb, p_settings jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.configure_node(p_name text, p_peers jsonb, p_settings jsonb) FROM PUBLIC;


--
-- Name: FUNCTION confirm(p_peer_id integer, p_position pg_snapshot, p_token uuid, p_seen pg_snapshot, p_parked jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.confirm(p_peer_id integer, p_position pg_snapshot, p_token uuid, p_seen pg_snapshot, p_parked jsonb) FROM PUBLIC;


--
-- Name: FUNCTION conflict_details(p_id text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.conflict_details(p_id text) FROM PUBLIC;


--
-- Name: FUNCTION contact_fits(p_peer_id integer, p_token uuid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.contact_fits(p_peer_id integer, p_token uuid) FROM PUBLIC;


--
-- Name: FUNCTION copy_bound(p_table_id integer, p_after text[], p_rows bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.copy_bound(p_table_id integer, p_after text[], p_rows bigint) FROM PUBLIC;


--
-- Name: FUNCTION copy_order(p_table tandem.tracked_table, p_alias text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.copy_order(p_table tandem.tracked_table, p_alias text) FROM PUBLIC;


--
-- Name: FUNCTION copy_query(p_table_id integer, p_peer_id integer, p_after text[], p_upto text[], p_columns text[], p_unplaced text[], p_vector text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.copy_query(p_table_id integer, p_peer_id integer, p_after text[], p_upto text[], p_columns text[], p_unplaced text[], p_vector text) FROM PUBLIC;


--
-- Name: FUNCTION copy_range(p_table tandem.tracked_table, p_after text[], p_upto text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.copy_range(p_table tandem.tracked_table, p_after text[], p_upto text[]) FROM PUBLIC;


--
-- Name: FUNCTION copy_values(p_table tandem.tracked_table, p_key text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.copy_values(p_table tandem.tracked_table, p_key text[]) FROM PUBLIC;


--
-- Name: FUNCTION count_of(p_tables integer[], p_condition text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.count_of(p_tables integer[], p_condition text) FROM PUBLIC;


--
-- Name: FUNCTION counted(p_tables integer[], p_condition text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.counted(p_tables integer[], p_condition text) FROM PUBLIC;


--
-- Name: FUNCTION date_kept(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.date_kept(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION date_waiting(p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.date_waiting(p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION decide(p_plan jsonb, p_known pg_snapshot, p_horizon timestamp with time zone, p_copy boolean, p_source text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.decide(p_plan jsonb, p_known pg_snapshot, p_horizon timestamp with time zone, p_copy boolean, p_source text) FROM PUBLIC;


--
-- Name: FUNCTION deferrable_duplicates(p_plan jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.deferrable_duplicates(p_plan jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION delete_again(p_table tandem.tracked_table, p_key text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.delete_again(p_table tandem.tracked_table, p_key text[]) FROM PUBLIC;


--
-- Name: FUNCTION deletion_tree(p_plan jsonb, p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.deletion_tree(p_plan jsonb, p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION describe_tables(p_tables integer[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.describe_tables(p_tables integer[]) FROM PUBLIC;


--
-- Name: FUNCTION differs(p_base text, p_one text, p_other text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.differs(p_base text, p_one text, p_other text) FROM PUBLIC;


--
-- Name: FUNCTION displace(p_plan jsonb, p_plans jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.displace(p_plan jsonb, p_plans jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION drop_own_table(p_table text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.drop_own_table(p_table text) FROM PUBLIC;


--
-- Name: FUNCTION drop_parked(p_parked_id bigint, p_reason text, p_image jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.drop_parked(p_parked_id bigint, p_reason text, p_image jsonb) FROM PUBLIC;


--
-- Name: FUNCTION drop_small(p_peer_id integer, p_schema text, p_table text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.drop_small(p_peer_id integer, p_schema text, p_table text) FROM PUBLIC;


--
-- Name: FUNCTION end_stalled(p_silent interval); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.end_stalled(p_silent interval) FROM PUBLIC;


--
-- Name: FUNCTION entries_apart(p_table tandem.tracked_table, p_condition text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.entries_apart(p_table tandem.tracked_table, p_condition text) FROM PUBLIC;


--
-- Name: FUNCTION entries_for(p_from pg_snapshot, p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.entries_for(p_from pg_snapshot, p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION equal_is_identical(p_type oid, p_collation oid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.equal_is_identical(p_type oid, p_collation oid) FROM PUBLIC;


--
-- Name: FUNCTION fits_blocks(p_relid oid, p_key_columns text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.fits_blocks(p_relid oid, p_key_columns text[]) FROM PUBLIC;


--
-- Name: FUNCTION floor_us(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.floor_us() FROM PUBLIC;


--
-- Name: FUNCTION flows_freely(p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.flows_freely(p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION follow_key(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.follow_key(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION foreign_keys(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.foreign_keys(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION forget_parked(p_target text, p_schema text, p_table text, p_key text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.forget_parked(p_target text, p_schema text, p_table text, p_key text[]) FROM PUBLIC;


--
-- Name: FUNCTION forget_peer(p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.forget_peer(p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION forward_received(p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.forward_received(p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION forwarded_by_other(p_received_from integer, p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.forwarded_by_other(p_received_from integer, p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION free_changelog_name(p_schema text, p_table text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.free_changelog_name(p_schema text, p_table text) FROM PUBLIC;


--
-- Name: FUNCTION from_us(p_us bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.from_us(p_us bigint) FROM PUBLIC;


--
-- Name: FUNCTION generated_columns(p_relid oid, p_columns text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.generated_columns(p_relid oid, p_columns text[]) FROM PUBLIC;


--
-- Name: FUNCTION generated_from(p_relid oid, p_attnum smallint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.generated_from(p_relid oid, p_attnum smallint) FROM PUBLIC;


--
-- Name: FUNCTION guard_condition(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.guard_condition() FROM PUBLIC;


--
-- Name: FUNCTION has_blocks(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.has_blocks(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION has_least(p_table tandem.tracked_table); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.has_least(p_table tandem.tracked_table) FROM PUBLIC;


--
-- Name: FUNCTION has_more(p_table tandem.tracked_table); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.has_more(p_table tandem.tracked_table) FROM PUBLIC;


--
-- Name: FUNCTION has_returned(p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.has_returned(p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION heard_elsewhere(p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.heard_elsewhere(p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION heed_writers(p_plan jsonb, p_first boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.heed_writers(p_plan jsonb, p_first boolean) FROM PUBLIC;


--
-- Name: FUNCTION history(p_table text, p_key text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.history(p_table text, p_key text) FROM PUBLIC;


--
-- Name: FUNCTION hold_lease(p_holder uuid, p_label text, p_lasts interval); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.hold_lease(p_holder uuid, p_label text, p_lasts interval) FROM PUBLIC;


--
-- Name: FUNCTION hurry_parked(p_tables jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.hurry_parked(p_tables jsonb) FROM PUBLIC;


--
-- Name: FUNCTION hush_wake(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.hush_wake() FROM PUBLIC;


--
-- Name: FUNCTION image_query(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.image_query(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION inbound_peer(p_source text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.inbound_peer(p_source text) FROM PUBLIC;


--
-- Name: FUNCTION inbound_state(p_source text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.inbound_state(p_source text) FROM PUBLIC;


--
-- Name: FUNCTION index_stage(p_plan jsonb, p_what text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.index_stage(p_plan jsonb, p_what text) FROM PUBLIC;


--
-- Name: FUNCTION insert_missing(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.insert_missing(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION interleave_sequences(p_residue bigint, p_modulus bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.interleave_sequences(p_residue bigint, p_modulus bigint) FROM PUBLIC;


--
-- Name: FUNCTION is_ahead(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.is_ahead(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION is_enforced(p_constraint jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.is_enforced(p_constraint jsonb) FROM PUBLIC;


--
-- Name: FUNCTION is_large(p_relation text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.is_large(p_relation text) FROM PUBLIC;


--
-- Name: FUNCTION is_much_of(p_table tandem.tracked_table, p_entries bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.is_much_of(p_table tandem.tracked_table, p_entries bigint) FROM PUBLIC;


--
-- Name: FUNCTION is_worth(p_log text, p_rows bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.is_worth(p_log text, p_rows bigint) FROM PUBLIC;


--
-- Name: FUNCTION iso_text(p_instant timestamp with time zone); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.iso_text(p_instant timestamp with time zone) FROM PUBLIC;


--
-- Name: FUNCTION join_in_order(p_in_order boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.join_in_order(p_in_order boolean) FROM PUBLIC;


--
-- Name: FUNCTION join_row(p_table tandem.tracked_table, p_alias text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.join_row(p_table tandem.tracked_table, p_alias text) FROM PUBLIC;


--
-- Name: FUNCTION keep_alerts(p_alerts jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.keep_alerts(p_alerts jsonb) FROM PUBLIC;


--
-- Name: FUNCTION keep_images(p_plan jsonb, p_rows text, p_kind text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.keep_images(p_plan jsonb, p_rows text, p_kind text) FROM PUBLIC;


--
-- Name: FUNCTION keep_taken(p_plan jsonb, p_over text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.keep_taken(p_plan jsonb, p_over text) FROM PUBLIC;


--
-- Name: FUNCTION key_lists(p_table tandem.tracked_table); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.key_lists(p_table tandem.tracked_table) FROM PUBLIC;


--
-- Name: FUNCTION key_names(p_alias text, p_count integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.key_names(p_alias text, p_count integer) FROM PUBLIC;


--
-- Name: FUNCTION key_rewriting(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.key_rewriting(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION keys_moved(p_table tandem.tracked_table); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.keys_moved(p_table tandem.tracked_table) FROM PUBLIC;


--
-- Name: FUNCTION keys_of(p_schema text, p_name text, p_keys jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.keys_of(p_schema text, p_name text, p_keys jsonb) FROM PUBLIC;


--
-- Name: FUNCTION keys_query(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[], p_vector text, p_asked boolean, p_keys text, p_look boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.keys_query(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[], p_vector text, p_asked boolean, p_keys text, p_look boolean) FROM PUBLIC;


--
-- Name: FUNCTION keys_there(p_peer_id integer, p_table_id integer, p_known pg_snapshot, p_after text[], p_rows bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.keys_there(p_peer_id integer, p_table_id integer, p_known pg_snapshot, p_after text[], p_rows bigint) FROM PUBLIC;


--
-- Name: FUNCTION known_versions_insert(p_plan jsonb, p_rows text, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.known_versions_insert(p_plan jsonb, p_rows text, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION last_verification(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.last_verification() FROM PUBLIC;


--
-- Name: FUNCTION leaves(p_relid oid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.leaves(p_relid oid) FROM PUBLIC;


--
-- Name: FUNCTION left_to_its_link(p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.left_to_its_link(p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION limit_waits(p_alone boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.limit_waits(p_alone boolean) FROM PUBLIC;


--
-- Name: FUNCTION link_lock(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.link_lock() FROM PUBLIC;


--
-- Name: FUNCTION list_most(p_table tandem.tracked_table); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.list_most(p_table tandem.tracked_table) FROM PUBLIC;


--
-- Name: FUNCTION listed(p_texts jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.listed(p_texts jsonb) FROM PUBLIC;


--
-- Name: FUNCTION lists_of(p_table tandem.tracked_table, p_alias text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.lists_of(p_table tandem.tracked_table, p_alias text) FROM PUBLIC;


--
-- Name: FUNCTION lock_rows(p_plan jsonb, p_wait boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.lock_rows(p_plan jsonb, p_wait boolean) FROM PUBLIC;


--
-- Name: FUNCTION lock_table(p_plan jsonb, p_first boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.lock_table(p_plan jsonb, p_first boolean) FROM PUBLIC;


--
-- Name: FUNCTION log_again(p_table_id integer, p_from text, p_op "char"); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.log_again(p_table_id integer, p_from text, p_op "char") FROM PUBLIC;


--
-- Name: FUNCTION log_begin(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.log_begin() FROM PUBLIC;


--
-- Name: FUNCTION log_gone(p_table_id integer, p_from text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.log_gone(p_table_id integer, p_from text) FROM PUBLIC;


--
-- Name: FUNCTION log_missing(p_table_id integer, p_keys jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.log_missing(p_table_id integer, p_keys jsonb) FROM PUBLIC;


--
-- Name: FUNCTION log_types(p_relid oid, p_key_columns text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.log_types(p_relid oid, p_key_columns text[]) FROM PUBLIC;


--
-- Name: FUNCTION look_at_set(p_plan jsonb, p_first boolean, p_mode text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.look_at_set(p_plan jsonb, p_first boolean, p_mode text) FROM PUBLIC;


--
-- Name: FUNCTION look_at_stage(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.look_at_stage(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION looked_in(p_table tandem.tracked_table, p_none boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.looked_in(p_table tandem.tracked_table, p_none boolean) FROM PUBLIC;


--
-- Name: FUNCTION make_blocks(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.make_blocks(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION make_capture_function(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.make_capture_function(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION make_changelog_view(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.make_changelog_view(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION make_floor(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.make_floor() FROM PUBLIC;


--
-- Name: FUNCTION make_log(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.make_log(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION make_plans(p_peer_id integer, p_tables jsonb, p_replica boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.make_plans(p_peer_id integer, p_tables jsonb, p_replica boolean) FROM PUBLIC;


--
-- Name: FUNCTION make_reader(p_peer_id integer, p_table jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.make_reader(p_peer_id integer, p_table jsonb) FROM PUBLIC;


--
-- Name: FUNCTION mark_actions(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.mark_actions(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION mark_crossed(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.mark_crossed(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION mark_unique(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.mark_unique(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION measured_lag(p_since timestamp with time zone); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.measured_lag(p_since timestamp with time zone) FROM PUBLIC;


--
-- Name: FUNCTION meet(p_self text, p_name text, p_state jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.meet(p_self text, p_name text, p_state jsonb) FROM PUBLIC;


--
-- Name: FUNCTION meet_anew(p_peer_id integer, p_rejoin text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.meet_anew(p_peer_id integer, p_rejoin text) FROM PUBLIC;


--
-- Name: FUNCTION moved_children(p_plan jsonb, p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.moved_children(p_plan jsonb, p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION newest_and_row(p_table tandem.tracked_table, p_alias text, p_no_blocks boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.newest_and_row(p_table tandem.tracked_table, p_alias text, p_no_blocks boolean) FROM PUBLIC;


--
-- Name: FUNCTION newest_entries(p_table tandem.tracked_table, p_condition text, p_repeats boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.newest_entries(p_table tandem.tracked_table, p_condition text, p_repeats boolean) FROM PUBLIC;


--
-- Name: FUNCTION newest_entry(p_table tandem.tracked_table, p_alias text, p_no_blocks boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.newest_entry(p_table tandem.tracked_table, p_alias text, p_no_blocks boolean) FROM PUBLIC;


--
-- Name: FUNCTION newest_of_all(p_table tandem.tracked_table, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.newest_of_all(p_table tandem.tracked_table, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION next_stamp(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.next_stamp() FROM PUBLIC;


--
-- Name: FUNCTION none_here(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.none_here(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION none_logged(p_table tandem.tracked_table, p_after text[], p_upto text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.none_logged(p_table tandem.tracked_table, p_after text[], p_upto text[]) FROM PUBLIC;


--
-- Name: FUNCTION not_forwarded(p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.not_forwarded(p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION not_staged(p_plans jsonb, p_table_id integer, p_values text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.not_staged(p_plans jsonb, p_table_id integer, p_values text[]) FROM PUBLIC;


--
-- Name: FUNCTION note_assumed(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.note_assumed(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION note_caught_up(p_peer_id integer, p_as_of timestamp with time zone, p_since timestamp with time zone); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.note_caught_up(p_peer_id integer, p_as_of timestamp with time zone, p_since timestamp with time zone) FROM PUBLIC;


--
-- Name: FUNCTION note_error(p_peer_id integer, p_error text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.note_error(p_peer_id integer, p_error text) FROM PUBLIC;


--
-- Name: FUNCTION note_fallbacks(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.note_fallbacks(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION note_heartbeat(p_peer_id integer, p_beat uuid, p_took interval); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.note_heartbeat(p_peer_id integer, p_beat uuid, p_took interval) FROM PUBLIC;


--
-- Name: FUNCTION note_held(p_peer_id integer, p_tables jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.note_held(p_peer_id integer, p_tables jsonb) FROM PUBLIC;


--
-- Name: FUNCTION note_history(p_history jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.note_history(p_history jsonb) FROM PUBLIC;


--
-- Name: FUNCTION note_kept(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.note_kept(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION note_piece(p_batch jsonb, p_tables jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.note_piece(p_batch jsonb, p_tables jsonb) FROM PUBLIC;


--
-- Name: FUNCTION note_settled(p_peer_id integer, p_upto xid8, p_now xid8); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.note_settled(p_peer_id integer, p_upto xid8, p_now xid8) FROM PUBLIC;


--
-- Name: FUNCTION note_vanished(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.note_vanished(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION note_verification(p_result jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.note_verification(p_result jsonb) FROM PUBLIC;


--
-- Name: FUNCTION object_name(p_prefix text, p_schema text, p_table text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.object_name(p_prefix text, p_schema text, p_table text) FROM PUBLIC;


--
-- Name: FUNCTION offer_contact(p_peer_id integer, p_token uuid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.offer_contact(p_peer_id integer, p_token uuid) FROM PUBLIC;


--
-- Name: FUNCTION offer_small(p_target text, p_from pg_snapshot, p_held uuid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.offer_small(p_target text, p_from pg_snapshot, p_held uuid) FROM PUBLIC;


--
-- Name: FUNCTION open_probe(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.open_probe() FROM PUBLIC;


--
-- Name: FUNCTION open_small(p_self text, p_target text, p_from pg_snapshot, p_confirm jsonb, p_tables jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.open_small(p_self text, p_target text, p_from pg_snapshot, p_confirm jsonb, p_tables jsonb) FROM PUBLIC;


--
-- Name: FUNCTION orphans(p_plan jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.orphans(p_plan jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION over(p_plan jsonb, p_left jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.over(p_plan jsonb, p_left jsonb) FROM PUBLIC;


--
-- Name: FUNCTION parents_first(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.parents_first(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION park_unsettled(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.park_unsettled(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION park_verdicts(p_plan jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.park_verdicts(p_plan jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION parked_keys(p_peer_id integer, p_due_only boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.parked_keys(p_peer_id integer, p_due_only boolean) FROM PUBLIC;


--
-- Name: FUNCTION parked_row(p_parked_id bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.parked_row(p_parked_id bigint) FROM PUBLIC;


--
-- Name: FUNCTION passed_by_all(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.passed_by_all() FROM PUBLIC;


--
-- Name: FUNCTION pause_link(p_source text, p_by text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.pause_link(p_source text, p_by text) FROM PUBLIC;


--
-- Name: FUNCTION plan_catalog(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.plan_catalog(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION plan_changes(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.plan_changes(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION plan_columns(p_relid oid, p_columns text[], p_as_text boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.plan_columns(p_relid oid, p_columns text[], p_as_text boolean) FROM PUBLIC;


--
-- Name: FUNCTION plan_foreign_keys(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.plan_foreign_keys(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION plan_parents(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.plan_parents(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION plan_references(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.plan_references(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION plan_sequences(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.plan_sequences(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION plan_uniques(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.plan_uniques(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION prepare_stage(p_peer_id integer, p_table_id integer, p_columns text[], p_as_text boolean, p_append boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.prepare_stage(p_peer_id integer, p_table_id integer, p_columns text[], p_as_text boolean, p_append boolean) FROM PUBLIC;


--
-- Name: FUNCTION preview_batch(p_batch jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.preview_batch(p_batch jsonb) FROM PUBLIC;


--
-- Name: FUNCTION probe_flows(p_source text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.probe_flows(p_source text) FROM PUBLIC;


--
-- Name: FUNCTION prune(p_limit bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.prune(p_limit bigint) FROM PUBLIC;


--
-- Name: FUNCTION prune_conflicts(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.prune_conflicts() FROM PUBLIC;


--
-- Name: FUNCTION query_of(p_columns jsonb, p_from text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.query_of(p_columns jsonb, p_from text) FROM PUBLIC;


--
-- Name: FUNCTION quoted(p_names text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.quoted(p_names text[]) FROM PUBLIC;


--
-- Name: FUNCTION raise_block_floor(p_stamp timestamp with time zone); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.raise_block_floor(p_stamp timestamp with time zone) FROM PUBLIC;


--
-- Name: FUNCTION raise_floor(p_peer_id integer, p_stamp timestamp with time zone); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.raise_floor(p_peer_id integer, p_stamp timestamp with time zone) FROM PUBLIC;


--
-- Name: FUNCTION read_small(p_target text, p_from pg_snapshot, p_limit bigint, p_tables jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.read_small(p_target text, p_from pg_snapshot, p_limit bigint, p_tables jsonb) FROM PUBLIC;


--
-- Name: FUNCTION reader_mark(p_peer_id integer, p_table jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.reader_mark(p_peer_id integer, p_table jsonb) FROM PUBLIC;


--
-- Name: FUNCTION reader_name(p_peer_id integer, p_schema text, p_table text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.reader_name(p_peer_id integer, p_schema text, p_table text) FROM PUBLIC;


--
-- Name: FUNCTION reader_of(p_peer_id integer, p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.reader_of(p_peer_id integer, p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION reassert_holders(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.reassert_holders(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION received_from(p_plan jsonb, p_alias text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.received_from(p_plan jsonb, p_alias text) FROM PUBLIC;


--
-- Name: FUNCTION reconcile_tables(p_peer_id integer, p_source_tables jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.reconcile_tables(p_peer_id integer, p_source_tables jsonb) FROM PUBLIC;


--
-- Name: FUNCTION record_conflicts(p_plan jsonb, p_source text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.record_conflicts(p_plan jsonb, p_source text) FROM PUBLIC;


--
-- Name: FUNCTION record_versions(p_plan jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.record_versions(p_plan jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION reference_changes(p_table_id integer, p_columns text[], p_as_text boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.reference_changes(p_table_id integer, p_columns text[], p_as_text boolean) FROM PUBLIC;


--
-- Name: FUNCTION referenced_after(p_plan jsonb, p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.referenced_after(p_plan jsonb, p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION referenced_there(p_plan jsonb, p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.referenced_there(p_plan jsonb, p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION references_to(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.references_to(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION referred_to_in_turn(p_table_id integer, p_columns text[], p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.referred_to_in_turn(p_table_id integer, p_columns text[], p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION referring_keys(p_schema text, p_name text, p_keys jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.referring_keys(p_schema text, p_name text, p_keys jsonb) FROM PUBLIC;


--
-- Name: FUNCTION refers_as_staged(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.refers_as_staged(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION refuse_blocks(p_table tandem.tracked_table, p_where boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.refuse_blocks(p_table tandem.tracked_table, p_where boolean) FROM PUBLIC;


--
-- Name: FUNCTION reject_claims(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.reject_claims(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION reject_deletions(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.reject_deletions(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION reject_orphans(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.reject_orphans(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION reject_updates(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.reject_updates(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION rejoin_node(p_name text, p_peers jsonb, p_settings jsonb, p_incarnations jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.rejoin_node(p_name text, p_peers jsonb, p_settings jsonb, p_incarnations jsonb) FROM PUBLIC;


--
-- Name: FUNCTION related_tables(p_tables integer[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.related_tables(p_tables integer[]) FROM PUBLIC;


--
-- Name: FUNCTION relations_to_lock(p_tables integer[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.relations_to_lock(p_tables integer[]) FROM PUBLIC;


--
-- Name: FUNCTION release_lease(p_holder uuid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.release_lease(p_holder uuid) FROM PUBLIC;


--
-- Name: FUNCTION renew_peer(p_peer jsonb, p_incarnation uuid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.renew_peer(p_peer jsonb, p_incarnation uuid) FROM PUBLIC;


--
-- Name: FUNCTION repair_anew(p_spec jsonb, p_rows jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.repair_anew(p_spec jsonb, p_rows jsonb) FROM PUBLIC;


--
-- Name: FUNCTION repair_forget(p_ids bigint[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.repair_forget(p_ids bigint[]) FROM PUBLIC;


--
-- Name: FUNCTION repair_images(p_spec jsonb, p_rows jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.repair_images(p_spec jsonb, p_rows jsonb) FROM PUBLIC;


--
-- Name: FUNCTION repair_keep(p_spec jsonb, p_rows jsonb, p_winner text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.repair_keep(p_spec jsonb, p_rows jsonb, p_winner text) FROM PUBLIC;


--
-- Name: FUNCTION repair_rows(p_spec jsonb, p_locked boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.repair_rows(p_spec jsonb, p_locked boolean) FROM PUBLIC;


--
-- Name: FUNCTION repair_stamp(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.repair_stamp() FROM PUBLIC;


--
-- Name: FUNCTION repeats(p_table tandem.tracked_table, p_from pg_snapshot); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.repeats(p_table tandem.tracked_table, p_from pg_snapshot) FROM PUBLIC;


--
-- Name: FUNCTION repeats_from(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.repeats_from() FROM PUBLIC;


--
-- Name: FUNCTION restore_conflict(p_id text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.restore_conflict(p_id text) FROM PUBLIC;


--
-- Name: FUNCTION restore_sequences(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.restore_sequences() FROM PUBLIC;


--
-- Name: FUNCTION resume_link(p_source text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.resume_link(p_source text) FROM PUBLIC;


--
-- Name: FUNCTION retry_parked(p_parked_id bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.retry_parked(p_parked_id bigint) FROM PUBLIC;


--
-- Name: FUNCTION retype_log(p_table tandem.tracked_table, p_types text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.retype_log(p_table tandem.tracked_table, p_types text[]) FROM PUBLIC;


--
-- Name: FUNCTION rewrite_keys(p_plan jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.rewrite_keys(p_plan jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION rewritten_rows(p_plan jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.rewritten_rows(p_plan jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION row_image(p_schema text, p_table text, p_key text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.row_image(p_schema text, p_table text, p_key text[]) FROM PUBLIC;


--
-- Name: FUNCTION row_waits(p_plans jsonb, p_table_id integer, p_alias text, p_for text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.row_waits(p_plans jsonb, p_table_id integer, p_alias text, p_for text) FROM PUBLIC;


--
-- Name: FUNCTION same_by_index(p_index oid, p_one text, p_other text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.same_by_index(p_index oid, p_one text, p_other text) FROM PUBLIC;


--
-- Name: FUNCTION same_parked_key(p_table tandem.tracked_table, p_alias text, p_names text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.same_parked_key(p_table tandem.tracked_table, p_alias text, p_names text[]) FROM PUBLIC;


--
-- Name: FUNCTION sample_step(p_rows bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.sample_step(p_rows bigint) FROM PUBLIC;


--
-- Name: FUNCTION sent_columns(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[], p_vector text, p_stamp text, p_origin text, p_asked boolean, p_more text, p_look boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.sent_columns(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[], p_vector text, p_stamp text, p_origin text, p_asked boolean, p_more text, p_look boolean) FROM PUBLIC;


--
-- Name: FUNCTION sent_entries(p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.sent_entries(p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION sent_key_type(p_type text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.sent_key_type(p_type text) FROM PUBLIC;


--
-- Name: FUNCTION sent_to(p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.sent_to(p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION sequences_of(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.sequences_of(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION set_guards(p_relid oid, p_guard boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.set_guards(p_relid oid, p_guard boolean) FROM PUBLIC;


--
-- Name: FUNCTION set_heartbeat(p_on boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.set_heartbeat(p_on boolean) FROM PUBLIC;


--
-- Name: FUNCTION set_misfits_aside(p_peer_id integer, p_table_id integer, p_columns text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.set_misfits_aside(p_peer_id integer, p_table_id integer, p_columns text[]) FROM PUBLIC;


--
-- Name: FUNCTION settle(p_table_id integer, p_keys jsonb, p_wait boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.settle(p_table_id integer, p_keys jsonb, p_wait boolean) FROM PUBLIC;


--
-- Name: FUNCTION settle_dropped(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.settle_dropped() FROM PUBLIC;


--
-- Name: FUNCTION shape_difference(p_source jsonb, p_here jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.shape_difference(p_source jsonb, p_here jsonb) FROM PUBLIC;


--
-- Name: FUNCTION since(p_from pg_snapshot); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.since(p_from pg_snapshot) FROM PUBLIC;


--
-- Name: FUNCTION small_body(p_plan jsonb, p_stage oid, p_source text, p_replica boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.small_body(p_plan jsonb, p_stage oid, p_source text, p_replica boolean) FROM PUBLIC;


--
-- Name: FUNCTION small_function(p_peer_id integer, p_source text, p_table jsonb, p_replica boolean, p_several boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.small_function(p_peer_id integer, p_source text, p_table jsonb, p_replica boolean, p_several boolean) FROM PUBLIC;


--
-- Name: FUNCTION small_name(p_peer_id integer, p_schema text, p_table text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.small_name(p_peer_id integer, p_schema text, p_table text) FROM PUBLIC;


--
-- Name: FUNCTION snapshot_of(p_xmax xid8, p_xip xid8[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.snapshot_of(p_xmax xid8, p_xip xid8[]) FROM PUBLIC;


--
-- Name: FUNCTION source_state(p_self text, p_target text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.source_state(p_self text, p_target text) FROM PUBLIC;


--
-- Name: FUNCTION stage_name(p_peer_id integer, p_schema text, p_table text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.stage_name(p_peer_id integer, p_schema text, p_table text) FROM PUBLIC;


--
-- Name: FUNCTION staged_key(p_number bigint, p_type text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.staged_key(p_number bigint, p_type text) FROM PUBLIC;


--
-- Name: FUNCTION staged_parents(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.staged_parents(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION staged_row(p_table_id integer, p_columns text[], p_as_text boolean, p_rest text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.staged_row(p_table_id integer, p_columns text[], p_as_text boolean, p_rest text) FROM PUBLIC;


--
-- Name: FUNCTION staged_value(p_plan jsonb, p_column text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.staged_value(p_plan jsonb, p_column text) FROM PUBLIC;


--
-- Name: FUNCTION swaps(p_plan jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.swaps(p_plan jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION synced(p_xid xid8, p_received_from integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.synced(p_xid xid8, p_received_from integer) FROM PUBLIC;


--
-- Name: FUNCTION synced_condition(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.synced_condition() FROM PUBLIC;


--
-- Name: FUNCTION system_identifier(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.system_identifier() FROM PUBLIC;


--
-- Name: FUNCTION table_key(p_relid oid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.table_key(p_relid oid) FROM PUBLIC;


--
-- Name: FUNCTION table_shape(p_relid oid); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.table_shape(p_relid oid) FROM PUBLIC;


--
-- Name: FUNCTION tables_with_blocks(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.tables_with_blocks() FROM PUBLIC;


--
-- Name: FUNCTION tables_with_entries(p_from pg_snapshot); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.tables_with_entries(p_from pg_snapshot) FROM PUBLIC;


--
-- Name: FUNCTION take_over_table(p_table tandem.tracked_table); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.take_over_table(p_table tandem.tracked_table) FROM PUBLIC;


--
-- Name: FUNCTION take_turns(p_plans jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.take_turns(p_plans jsonb) FROM PUBLIC;


--
-- Name: FUNCTION tell_triggers(p_plan jsonb, p_images boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.tell_triggers(p_plan jsonb, p_images boolean) FROM PUBLIC;


--
-- Name: FUNCTION text_of(p_expression text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.text_of(p_expression text) FROM PUBLIC;


--
-- Name: FUNCTION tidy(p_limit bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.tidy(p_limit bigint) FROM PUBLIC;


--
-- Name: FUNCTION time_column(p_table tandem.tracked_table); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.time_column(p_table tandem.tracked_table) FROM PUBLIC;


--
-- Name: FUNCTION to_us(p_stamp timestamp with time zone); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.to_us(p_stamp timestamp with time zone) FROM PUBLIC;


--
-- Name: FUNCTION track_own_table(p_table text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.track_own_table(p_table text) FROM PUBLIC;


--
-- Name: FUNCTION track_table(p_schema text, p_table text, p_policy text, p_updated_at text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.track_table(p_schema text, p_table text, p_policy text, p_updated_at text) FROM PUBLIC;


--
-- Name: FUNCTION trigger_parts(p_trigger oid, OUT head text, OUT condition text, OUT tail text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.trigger_parts(p_trigger oid, OUT head text, OUT condition text, OUT tail text) FROM PUBLIC;


--
-- Name: FUNCTION try_replica_role(p_session boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.try_replica_role(p_session boolean) FROM PUBLIC;


--
-- Name: FUNCTION turn_lock(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.turn_lock() FROM PUBLIC;


--
-- Name: FUNCTION unique_matches(p_table_id integer, p_columns text[], p_as_text boolean, p_stage text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.unique_matches(p_table_id integer, p_columns text[], p_as_text boolean, p_stage text) FROM PUBLIC;


--
-- Name: FUNCTION unlogged_origin(p_table tandem.tracked_table, p_alias text, p_rejoin text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.unlogged_origin(p_table tandem.tracked_table, p_alias text, p_rejoin text) FROM PUBLIC;


--
-- Name: FUNCTION unlogged_stamp(p_table tandem.tracked_table, p_alias text, p_rejoin text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.unlogged_stamp(p_table tandem.tracked_table, p_alias text, p_rejoin text) FROM PUBLIC;


--
-- Name: FUNCTION unstaged_keys(p_peer_id integer, p_schema text, p_name text, p_keys jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.unstaged_keys(p_peer_id integer, p_schema text, p_name text, p_keys jsonb) FROM PUBLIC;


--
-- Name: FUNCTION untrack_table(p_schema text, p_table text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.untrack_table(p_schema text, p_table text) FROM PUBLIC;


--
-- Name: FUNCTION use_memory(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.use_memory() FROM PUBLIC;


--
-- Name: FUNCTION vacate(p_plan jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.vacate(p_plan jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION value_class(p_type oid, p_typmod integer, p_inside boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.value_class(p_type oid, p_typmod integer, p_inside boolean) FROM PUBLIC;


--
-- Name: FUNCTION verdict_query(p_plan jsonb, p_rows text, p_known text, p_horizon text, p_heard text, p_copy boolean, p_source text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.verdict_query(p_plan jsonb, p_rows text, p_known text, p_horizon text, p_heard text, p_copy boolean, p_source text) FROM PUBLIC;


--
-- Name: FUNCTION verify_buckets(p_spec jsonb, p_relation text, p_from bigint, p_to bigint, p_buckets integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.verify_buckets(p_spec jsonb, p_relation text, p_from bigint, p_to bigint, p_buckets integer) FROM PUBLIC;


--
-- Name: FUNCTION verify_extent(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.verify_extent(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION verify_hash(p_relid oid, p_columns text[], p_typed text[], p_portable boolean, OUT parts text, OUT chain text, OUT direct text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.verify_hash(p_relid oid, p_columns text[], p_typed text[], p_portable boolean, OUT parts text, OUT chain text, OUT direct text) FROM PUBLIC;


--
-- Name: FUNCTION verify_keys(p_spec jsonb, p_relation text, p_from bigint, p_to bigint, p_buckets integer, p_wanted bit varying); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.verify_keys(p_spec jsonb, p_relation text, p_from bigint, p_to bigint, p_buckets integer, p_wanted bit varying) FROM PUBLIC;


--
-- Name: FUNCTION verify_links(p_schema text, p_table text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.verify_links(p_schema text, p_table text) FROM PUBLIC;


--
-- Name: FUNCTION verify_look(p_spec jsonb, p_keys jsonb, p_targets jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.verify_look(p_spec jsonb, p_keys jsonb, p_targets jsonb) FROM PUBLIC;


--
-- Name: FUNCTION verify_overview(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.verify_overview() FROM PUBLIC;


--
-- Name: FUNCTION verify_piece(p_relation text, p_from bigint, p_to bigint); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.verify_piece(p_relation text, p_from bigint, p_to bigint) FROM PUBLIC;


--
-- Name: FUNCTION verify_rows(p_spec jsonb, p_table tandem.tracked_table, OUT bucket text, OUT parts text, OUT hash text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.verify_rows(p_spec jsonb, p_table tandem.tracked_table, OUT bucket text, OUT parts text, OUT hash text) FROM PUBLIC;


--
-- Name: FUNCTION verify_text(p_expression text, p_portable boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.verify_text(p_expression text, p_portable boolean) FROM PUBLIC;


--
-- Name: FUNCTION version(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.version() FROM PUBLIC;


--
-- Name: FUNCTION version_blocks_insert(p_plan jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.version_blocks_insert(p_plan jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION versions_insert(p_plan jsonb, p_rows text, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.versions_insert(p_plan jsonb, p_rows text, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION wake(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.wake() FROM PUBLIC;


--
-- Name: FUNCTION wake_onward(p_peer_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.wake_onward(p_peer_id integer) FROM PUBLIC;


--
-- Name: FUNCTION wanted_triggers(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.wanted_triggers(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION watch(); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.watch() FROM PUBLIC;


--
-- Name: FUNCTION watch_table(p_table_id integer); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.watch_table(p_table_id integer) FROM PUBLIC;


--
-- Name: FUNCTION write_again(p_table tandem.tracked_table, p_peer_id integer, p_key text[], p_columns text[], p_values text[]); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.write_again(p_table tandem.tracked_table, p_peer_id integer, p_key text[], p_columns text[], p_values text[]) FROM PUBLIC;


--
-- Name: FUNCTION write_anew(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.write_anew(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION write_missing(p_plan jsonb); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.write_missing(p_plan jsonb) FROM PUBLIC;


--
-- Name: FUNCTION write_out(p_table_id integer, p_limit bigint, p_known boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.write_out(p_table_id integer, p_limit bigint, p_known boolean) FROM PUBLIC;


--
-- Name: FUNCTION write_out_before(p_tables integer[], p_from pg_snapshot, p_peer_id integer, p_keys boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.write_out_before(p_tables integer[], p_from pg_snapshot, p_peer_id integer, p_keys boolean) FROM PUBLIC;


--
-- Name: FUNCTION write_out_for(p_batch jsonb, p_all boolean); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.write_out_for(p_batch jsonb, p_all boolean) FROM PUBLIC;


--
-- Name: FUNCTION write_rows(p_plans jsonb, p_where text); Type: ACL; Schema: tandem; Owner: -
--

REVOKE ALL ON FUNCTION tandem.write_rows(p_plans jsonb, p_where text) FROM PUBLIC;


--
-- Name: FUNCTION "capture public.perfis"(); Type: ACL; Schema: tandem_log; Owner: -
--

REVOKE ALL ON FUNCTION tandem_log."capture public.perfis"() FROM PUBLIC;


--
-- PostgreSQL database dump complete
--


