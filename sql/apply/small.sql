-- Small batches without a conflict: most of what a link that keeps up has to do. A function per link and table, whose plans stay in the
-- session, does what apply_batch does where every row is simply written. It judges by the same query, and where anything else is
-- wanted (a conflict, a missing parent, a row that is locked, refused, to be settled or parked) nothing is done and the batch goes the usual way.

create or replace function tandem.small_name(p_peer_id integer, p_schema text, p_table text) returns text
language sql immutable as $$
  select tandem.object_name('small ' || p_peer_id || ' ', p_schema, p_table)
$$;
comment on function tandem.small_name(integer, text, text) is 'Name of the function that applies small batches of a link and table.';

-- tandem.drop_small(p_peer_id, p_schema, p_table) -> void: drops what small batches of a link and table are read and applied by.
create or replace function tandem.drop_small(p_peer_id integer, p_schema text, p_table text) returns void
language plpgsql as $$
begin
  execute format('drop function if exists tandem_log.%I(text, text[], pg_snapshot, timestamptz, integer[], pg_snapshot)', tandem.small_name(p_peer_id, p_schema, p_table));
  execute format('drop function if exists tandem_log.%I(xid8, xid8[], bigint)', tandem.reader_name(p_peer_id, p_schema, p_table));
end $$;
comment on function tandem.drop_small(integer, text, text) is 'Drops what small batches of a link and table go by.';

-- tandem.apply_small(p_batch) -> jsonb
-- Applies a small batch: {"complete": true, "seen", "tables"} as apply_batch, with all that advance_link notes; or {"complete": false}, and nothing was
-- done. p_batch: peer, source, from, to, held (the token that the target is to have), token, horizon, skew, asOf, since, tables: [{"id", "columns", "mark", "known",
-- "rows" (each a record of the staging table, as text)}]. It waits for another applier of the link as lock_timeout says.
-- Errors: what no row is to blame for, as they come.
create or replace function tandem.apply_small(p_batch jsonb) returns jsonb
language plpgsql as $$
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
comment on function tandem.apply_small(jsonb) is 'Applies a small batch that has no conflict.';

-- tandem.flows_freely(p_peer_id) -> boolean
-- Whether nothing of a link rests or waits: it is not paused, all of its tables flow, no row is parked.
create or replace function tandem.flows_freely(p_peer_id integer) returns boolean
language plpgsql stable as $$
begin
  return not exists (select from tandem.paused_link l where l.peer_id = p_peer_id)
    and not exists (select from tandem.parked_change c where c.peer_id = p_peer_id)
    and not exists (select from tandem.inbound_table b where b.peer_id = p_peer_id and b.state <> 'flow');
end $$;
comment on function tandem.flows_freely(integer) is 'Whether nothing of a link rests or waits.';

-- tandem.apply_small_tables(p_batch, p_heard, p_replica) -> jsonb
-- Locks and judges the rows of all tables, then writes them, then looks for rows without their parent: {table's id: counts as batch_counts
-- has them}; null where they are not simply written: the caller rolls back.
create or replace function tandem.apply_small_tables(p_batch jsonb, p_heard integer[], p_replica boolean) returns jsonb
language plpgsql as $$
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
end $$;
comment on function tandem.apply_small_tables(jsonb, integer[], boolean) is 'Applies the rows of a small batch.';

-- tandem.small_function(p_peer_id, p_source, p_table, p_replica, p_several) -> text
-- The name, quoted, of the function for small batches of a link and table ({"id", "columns"}), made anew whenever what it was made of has changed;
-- null where the table has what only the usual way can do: a deferrable unique constraint, triggers that may rewrite rows, and
-- outside replica role any trigger of the application's, foreign-key actions, or foreign keys between several tables (p_several).
create or replace function tandem.small_function(p_peer_id integer, p_source text, p_table jsonb, p_replica boolean, p_several boolean) returns text
language plpgsql as $$
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
comment on function tandem.small_function(integer, text, jsonb, boolean, boolean) is 'The function for small batches of a table.';

-- tandem.small_body(p_plan, p_stage, p_source, p_replica) -> text: its body. The steps: decide -> {"at": the snapshot decided in}, write -> counts, check -> {};
-- finish: write and check -> counts; null: not simply written.
create or replace function tandem.small_body(p_plan jsonb, p_stage oid, p_source text, p_replica boolean) returns text
language plpgsql stable as $$
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
end $$;
comment on function tandem.small_body(jsonb, oid, text, boolean) is 'The body of a function for small batches.';
