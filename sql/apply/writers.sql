-- Deferrable unique and exclusion constraints in replica role, where PostgreSQL does not look whether a value is there twice. tandem.deferrable_duplicates does, but it
-- cannot see what another transaction has written and not committed; and that one is not told either, where it came first. So whoever writes
-- such a table is awaited: before rows that claim a value are decided on, and once more after they were written, for whoever came in between.
-- Who comes after that finds the value taken.

-- tandem.await_writers(p_plan, p_longest) -> boolean
-- Waits until every transaction that has written a table by now is over, p_longest at most; false: one is not.
create or replace function tandem.await_writers(p_plan jsonb, p_longest interval default current_setting('lock_timeout')::interval) returns boolean
language plpgsql as $$
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
comment on function tandem.await_writers(jsonb, interval) is 'Waits for whoever writes a table.';

-- tandem.heed_writers(p_plan, p_first) -> boolean
-- To be called before a table's rows are decided on: whether any of them claims a value of a deferrable constraint. Where somebody goes on writing
-- the table these rows get the verdict "park", kind busy, and then none does. p_first: no row is locked yet, so nobody is held up by waiting; but not for
-- longer than in tandem.limit_waits, for the table is.
create or replace function tandem.heed_writers(p_plan jsonb, p_first boolean) returns boolean
language plpgsql as $$
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
comment on function tandem.heed_writers(jsonb, boolean) is 'Whether rows claim values that nobody else may be writing.';
