-- tandem.write_rows(p_plans, p_where) -> jsonb
-- Deletes, updates and inserts the staged rows of these tables that the verdicts leave to be written, and notes their versions:
-- ONE statement with data-modifying CTEs, so that foreign keys are checked once, on the state after the whole set, and a key
-- update of a referenced parent, cycles and self-references need no order. Within a table deletions come first, then updates,
-- then inserts, forced by reading the counts. p_where: further condition on s. Returns {"deleted", "updated", "inserted",
-- "expected"}: fewer inserted than expected means that keys appeared meanwhile, or that a trigger refused rows. Error: TD007, nothing may stay of
-- this, where rows changed after the verdicts.
create or replace function tandem.write_rows(p_plans jsonb, p_where text default 'true') returns jsonb
language plpgsql as $$
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
end $$;
comment on function tandem.write_rows(jsonb, text) is 'Writes staged rows and notes their versions.';

-- tandem.insert_missing(p_plan) -> bigint[]: inserts the staged rows that are to be written and not here; how many, and how many were to be.
create or replace function tandem.insert_missing(p_plan jsonb) returns bigint[]
language plpgsql as $$
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
comment on function tandem.insert_missing(jsonb) is 'Inserts staged rows that are not here.';

-- tandem.application_path(p_plans) -> text
-- The search_path that a session of this role begins with, where triggers of the application's will fire for what is written: they name their
-- tables as its own statements do. Null where none will. pg_catalog comes first, so that nothing of ours is found elsewhere.
create or replace function tandem.application_path(p_plans jsonb) returns text
language plpgsql stable as $$
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
comment on function tandem.application_path(jsonb) is 'The search_path in which triggers of the application''s fire.';

-- tandem.changed_meanwhile(p_plans, p_where) -> boolean
-- Whether another transaction has changed a row of the set since it was decided on ("decided" in the plan): a row that did not exist then or, of a set
-- that is ahead, one that was not locked. It may have been overwritten here, for the statement that writes sees more than the one that decided. So this
-- is asked after that statement, and sees whatever it has seen. Not by a nested loop, for a set that is decided as a whole has no index by key.
create or replace function tandem.changed_meanwhile(p_plans jsonb, p_where text) returns boolean
language plpgsql as $$
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
end $$;
comment on function tandem.changed_meanwhile(jsonb, text) is 'Whether rows changed after they were decided on.';

-- tandem.applies(p_plan) -> text: condition on s that no verdict keeps the row from being written. NOT IN is hashed whatever the
-- planner believes of a table that was filled a moment ago; NOT EXISTS became a nested loop.
create or replace function tandem.applies(p_plan jsonb) returns text
language plpgsql stable as $$
begin
  return (
    select case when exists (select from tandem.verdict v where v.peer_id = (p_plan ->> 'peer')::integer and v.table_id = (p_plan ->> 'id')::integer)
      then format('s.n not in (select v.n from tandem.verdict v where v.peer_id = %s and v.table_id = %s and v.verdict not in (''win'', ''anew''))',
        p_plan ->> 'peer', p_plan ->> 'id')
      else 'true' end);
end $$;
comment on function tandem.applies(jsonb) is 'Condition that a staged row is to be written.';

-- tandem.record_versions(p_plan, p_where) -> bigint
-- Enters what was written or adopted into the log with its original stamp and origin, and received_from. What the source knew of
-- other nodes' versions goes in too, so that the log of a key names every version it descends from.
create or replace function tandem.record_versions(p_plan jsonb, p_where text) returns bigint
language plpgsql as $$
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
comment on function tandem.record_versions(jsonb, text) is 'Enters applied versions into the log.';

-- tandem.version_blocks_insert(p_plan, p_where) -> text: the statement that enters them as blocks, for a large set.
create or replace function tandem.version_blocks_insert(p_plan jsonb, p_where text) returns text
language sql stable as $$
  select tandem.block_insert(t, 'oldest, stamp, stamps, received_from, op, origin',
    format('min(x.stamp), max(x.stamp), %s, %s, x.op, x.origin',
      case when p_plan ->> 'oldest' = p_plan ->> 'newest' then 'null' else 'case when min(x.stamp) < max(x.stamp) then array_agg(x.stamp) end' end, tandem.received_from(p_plan, 'x')),
    format('select %s, s.stamp, %s as op, s.origin, s.n / %s as block from %s s where %s', p_plan ->> 'stage_keys', tandem.applied_op(), tandem.block_rows(), p_plan ->> 'stage', p_where), true)
  from tandem.tracked_table t where t.table_id = (p_plan ->> 'id')::integer
$$;
comment on function tandem.version_blocks_insert(jsonb, text) is 'The statement that enters applied versions as blocks.';

-- tandem.received_from(p_plan, p_alias) -> text
-- From which peer a staged row is entered as received. What is kept of a node that came back (tandem.decide) is this node's own: it goes to all, and to that node.
create or replace function tandem.received_from(p_plan jsonb, p_alias text) returns text
language sql stable as $$
  select case when p_plan ->> 'rejoin' = 'survivor' and p_plan ->> 'missing' = 'keep'
    then format('case when %s.origin <> %L then %s end', p_alias, n.name, p_plan ->> 'peer') else p_plan ->> 'peer' end
  from tandem.local_node n
$$;
comment on function tandem.received_from(jsonb, text) is 'From which peer a staged row is received.';

-- tandem.applied_op() -> text: the op under which a staged row s is entered.
create or replace function tandem.applied_op() returns text
language sql immutable as $$
  select 'case when not s.present then ''D'' when coalesce(s.op, ''D'') = ''D'' then ''I'' else s.op end'
$$;
comment on function tandem.applied_op() is 'The op under which a staged row is entered.';

-- tandem.versions_insert(p_plan, p_rows, p_where) -> text, tandem.known_versions_insert(p_plan, p_rows, p_where) -> text
-- The statements that enter the versions of the staged rows s of p_rows (a FROM item) for which p_where holds, and those that their source knew of.
create or replace function tandem.versions_insert(p_plan jsonb, p_rows text, p_where text) returns text
language plpgsql stable as $$
begin
  return format('insert into %1$s (xid, stamp, %2$s, received_from, op, origin)
    select pg_current_xact_id(), s.stamp, %3$s, %4$s, %7$s, s.origin
    from %5$s s where %6$s',
    p_plan ->> 'log', p_plan ->> 'log_keys', p_plan ->> 'stage_keys', tandem.received_from(p_plan, 's'), p_rows, p_where, tandem.applied_op());
end $$;
comment on function tandem.versions_insert(jsonb, text, text) is 'The statement that enters applied versions.';

create or replace function tandem.known_versions_insert(p_plan jsonb, p_rows text, p_where text) returns text
language plpgsql stable as $$
begin
  return format('insert into %1$s (xid, stamp, %2$s, received_from, op, origin)
    select pg_current_xact_id(), k.stamp, %3$s, %4$s, ''U'', k.origin
    from %5$s s cross join lateral unnest(s.known_stamps, s.known_origins) k (stamp, origin)
    where %6$s and s.known_stamps is not null and (k.stamp, k.origin) < (s.stamp, s.origin)
      and not exists (select from %8$s l where %7$s and l.origin = k.origin and l.stamp >= k.stamp)',
    p_plan ->> 'log', p_plan ->> 'log_keys', p_plan ->> 'stage_keys', p_plan ->> 'peer', p_rows, p_where, p_plan ->> 'key_is_entry', p_plan ->> 'entries');
end $$;
comment on function tandem.known_versions_insert(jsonb, text, text) is 'The statement that enters versions that a source knew of.';

-- tandem.write_anew(p_plan) -> bigint
-- Fresh entries, stamped here and received from nobody, for rows whose image is to travel as a change of this node: the preferred
-- node's own image (its deletion, where that is what it has), a parent that may not be deleted, the winner of two images with one
-- version, a restored one. Called after the floor was raised. What was rejected by a "keep" is noted as known: this change was decided with
-- it in view, and the preferred node must not take it for a concurrent one (the two would go round for ever).
create or replace function tandem.write_anew(p_plan jsonb) returns bigint
language plpgsql as $$
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
end $$;
comment on function tandem.write_anew(jsonb) is 'Writes images anew as changes of this node.';

-- tandem.write_missing(p_plan) -> bigint
-- Deletions, stamped here and received from nobody, of rows that only a node that came back still has and that a person wants deleted.
create or replace function tandem.write_missing(p_plan jsonb) returns bigint
language plpgsql as $$
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
end $$;
comment on function tandem.write_missing(jsonb) is 'Deletes what only a node that came back still has.';
