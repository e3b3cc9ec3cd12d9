-- tandem.limit_waits(p_alone) -> void
-- Sets lock_timeout for the next waits of this transaction: 10 ms; where one row is applied alone, what is left of 700 ms since the
-- transaction began. Never above 0.7 of deadlock_timeout: whoever has waited for that long in a circle is ended, and it can be the
-- application, waiting for what this transaction holds. So this one gives up before, also where it waits a second time.
create or replace function tandem.limit_waits(p_alone boolean) returns void
language plpgsql as $$
declare
  v_longest numeric := 700 * extract(epoch from current_setting('deadlock_timeout')::interval);
  v_passed numeric := 1000 * extract(epoch from clock_timestamp() - now());
begin
  perform set_config('lock_timeout', greatest(1, least(v_longest, greatest(10, case when p_alone then least(700, v_longest) - v_passed end)))::integer || 'ms', true);
end $$;
comment on function tandem.limit_waits(boolean) is 'Bounds how long the applier waits for a lock.';

-- tandem.turn_lock() -> integer: class of the advisory locks by which appliers take turns at a table; the other half is the table's id.
create or replace function tandem.turn_lock() returns integer
language sql immutable as $$
  select 1950109541
$$;
comment on function tandem.turn_lock() is 'Class of the advisory locks of turns at tables.';

-- tandem.take_turns(p_plans) -> void
-- To be called before the first row lock: of several links' appliers that write one table at once none may delete. A deletion of a row that is not here
-- leaves nothing but its entry; whoever is inserting that row meanwhile, from another peer, would neither see that nor be seen, and none of the two entries
-- is sent on by which a reader would notice. (Where it is the application that inserts, its own entry is sent, and the reader settles it.) Nor do two
-- write a table with a deferrable unique constraint at once (see apply/writers.sql). All tables in one order, so that nobody waits in a circle. Error: 55P03, after a minute.
create or replace function tandem.take_turns(p_plans jsonb) returns void
language plpgsql as $$
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
comment on function tandem.take_turns(jsonb) is 'Lets no two links write a table at once of which one deletes.';

-- tandem.lock_table(p_plan, p_first) -> boolean
-- Locks one table of a batch as writing it will: to be called for all tables before the first row lock, for who has rows locked must not wait behind
-- somebody who waits for the table (one who has waited for deadlock_timeout by then is ended, though this wait were over in 10 ms). Not waited
-- for where rows are locked already (not p_first). False: somebody else has the table locked, and all staged rows of it got the verdict "park", kind
-- busy. Error: 55P03, it may not even be read.
create or replace function tandem.lock_table(p_plan jsonb, p_first boolean) returns boolean
language plpgsql as $$
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
comment on function tandem.lock_table(jsonb, boolean) is 'Locks a table that a batch will write.';

-- tandem.lock_rows(p_plan, p_wait) -> jsonb
-- Locks the existing rows of a batch in one table, in key order; returns {"existing" (how many there are), "same" (of a set that is ahead: how many of them are
-- as staged, before they were locked), "assumed" (that all of it is here, and other than staged, for a few hundred of its rows are: tandem.write_rows sees
-- whether that was so)}. FOR UPDATE only where a row is to be deleted or a unique column changes (it blocks inserts of children), else FOR NO KEY UPDATE. Repeats
-- until every existing row of the set is locked, for rows may appear meanwhile. A row that somebody else holds is not waited for: it gets the verdict
-- "park", kind busy. p_wait: the row is alone, this is the transaction's first row lock, so it may wait (lock_timeout). Of a set that is ahead nothing is
-- locked if all of it will be written, for each lock writes its row once more: who changes one before that has an entry that tandem.changed_meanwhile
-- finds, and one that somebody holds ends the statement that writes (tandem.apply_set); then the set comes here again, and is not ahead. Rows that are
-- as staged will not be written, so nothing would wait for who is changing them.
create or replace function tandem.lock_rows(p_plan jsonb, p_wait boolean) returns jsonb
language plpgsql as $$
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
end $$;
comment on function tandem.lock_rows(jsonb, boolean) is 'Locks the rows that a batch will change.';
