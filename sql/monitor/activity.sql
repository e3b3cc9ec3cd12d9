-- What people see of the past: what happened, and how much moved, minute by minute. Written by the sidecar, kept for a while, so that a
-- sidecar that is started again shows what the one before it saw. Nothing decides by it.

-- tandem.note_history(p_history) -> void
-- Keeps {"activity": [{"at", "kind", "source", "target", "message", "actor"}], "moved": [{"source", "minute", "rows", "behind" (milliseconds)}]}; rows of
-- one minute add up, of "behind" the greatest stays. No more than the newest 10,000 activities, and seven days of minutes, stay.
-- Locks: tandem.activity_entry against other writers.
create or replace function tandem.note_history(p_history jsonb) returns void
language plpgsql as $$
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
comment on function tandem.note_history(jsonb) is 'Keeps what happened, and how much moved.';

create or replace view tandem.activity as
select a.activity_id as id, a.at, a.kind, a.source, a.target, a.message, a.actor from tandem.activity_entry a;
comment on view tandem.activity is 'What happened: links that failed and were well again, were paused and resumed, backups, what people asked for.';

create or replace view tandem.moved as
select p.name as peer, t.minute, t.rows, t.behind, (extract(epoch from t.behind) * 1000)::bigint as behind_ms from tandem.throughput t join tandem.peer p using (peer_id);
comment on view tandem.moved is 'Rows that came from each peer, by the minute, and how far behind it this node was at most; a minute without rows is not there.';
