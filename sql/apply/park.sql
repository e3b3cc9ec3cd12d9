-- tandem.park_verdicts(p_plan, p_where) -> void
-- Brings tandem.parked_change up to date with the verdicts on one table: what got "park" is entered or counted once more, with
-- the time of its next try (twice as long each time, at most an hour; a busy row sooner, at most 13 s; one stamped ahead when its time
-- has come at the latest); whatever else was staged waits no longer.
-- p_where: condition on s for the rows that are over.
create or replace function tandem.park_verdicts(p_plan jsonb, p_where text default 'true') returns void
language plpgsql as $$
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
end $$;
comment on function tandem.park_verdicts(jsonb, text) is 'Enters what could not be applied, and forgets what waits no longer.';

-- tandem.park_unsettled(p_plan) -> void
-- The verdict "park", kind busy, for staged rows whose entries the source could not settle, for somebody holds the rows locked there.
create or replace function tandem.park_unsettled(p_plan jsonb) returns void
language plpgsql as $$
begin
  execute format('insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason)
      select %s, %s, s.n, ''park'', ''busy'', ''the row is locked at the source, where its entries must be settled first'' from %s s where s.unsettled
      on conflict do nothing', p_plan ->> 'peer', p_plan ->> 'id', p_plan ->> 'stage');
end $$;
comment on function tandem.park_unsettled(jsonb) is 'Lets rows wait that the source could not settle.';

-- tandem.parked_keys(p_peer_id, p_due_only) -> jsonb
-- What is parked from a peer: [{"schema", "name", "keys": [[...]], "busy": [[...]]}]; p_due_only: whose next try has come, or whose last one
-- lies in the future, for the clock has stepped back.
create or replace function tandem.parked_keys(p_peer_id integer, p_due_only boolean) returns jsonb
language sql stable as $$
  select coalesce(jsonb_agg(jsonb_build_object('schema', x.schema_name, 'name', x.table_name, 'keys', x.keys, 'busy', x.busy)), '[]')
  from (
    select c.schema_name, c.table_name, jsonb_agg(to_jsonb(c.key)) as keys, coalesce(jsonb_agg(to_jsonb(c.key)) filter (where c.kind = 'busy'), '[]') as busy
    from tandem.parked_change c
    where c.peer_id = p_peer_id and (not p_due_only or c.next_try_at <= clock_timestamp() or c.tried_at > clock_timestamp())
    group by 1, 2 order by 1, 2) x
$$;
comment on function tandem.parked_keys(integer, boolean) is 'Keys parked from a peer.';

-- tandem.hurry_parked(p_tables) -> void
-- After a batch: rows that wait for another one, in tables that foreign keys connect with what was written (from whichever
-- peer), are tried with the next round, whatever their pause. p_tables: tandem.batch_counts. At most 200, those first that were tried
-- longest ago; a round that wrote nothing hurries nothing, so this comes to an end.
create or replace function tandem.hurry_parked(p_tables jsonb) returns void
language plpgsql as $$
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
comment on function tandem.hurry_parked(jsonb) is 'Lets rows that wait for others be tried again after a batch.';

-- tandem.retry_parked(p_parked_id) -> boolean: the next round tries it (null: all) again at once.
create or replace function tandem.retry_parked(p_parked_id bigint) returns bigint
language plpgsql as $$
declare
  v_count bigint;
begin
  update tandem.parked_change set next_try_at = clock_timestamp() where p_parked_id is null or parked_id = p_parked_id;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function tandem.retry_parked(bigint) is 'Lets parked changes be tried again at once.';
