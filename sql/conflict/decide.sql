-- tandem.decide(p_plan, p_known, p_horizon, p_copy, p_source) -> void
-- Compares each staged row with the newest local version of its key and enters a verdict for every row that is not simply
-- written (a statement of its own, after the locks, if there are any: it sees what was committed while they were awaited). Versions decide:
-- stamp, then origin. Verdicts: adopt (same image, newer version: only the version is noted), drop (not newer, or known here
-- already), win and lose (a conflict, and who stays), prefer (this node is preferred: its image is written anew), anew and tie
-- (same version, other image: the node whose name is greater stays, as a fresh change), keep (see verdict_query), undecided (a first meeting's rows that
-- differ and have no time: until a seed is named), missing, park.
-- p_known: the source's position of this node; with it and what each row says, the target tells a conflict from a succession: the
-- local version is known there if its entry lies within p_known and was not filtered out on the way, if the source's own log
-- names it, or if it came from the source. Where this node is preferred, having been told is not enough for its own versions: the
-- source may have rejected one as the older, and its row is then written without regard to it; its log says. p_horizon: entries older than this may have been pruned at the source.
-- A row that the closure has asked for, equal and without an entry here, is left as it is: its entry was pruned, and would come back from whoever
-- still has one for ever, or comes by its own link.
-- p_copy: rows without an entry have the version of a first meeting.
-- A table that is compared because a node came back ("rejoin" in the plan): a version is known only where its very entry is named; a row of
-- the returning node that is older than this node's log, and not here, may have been deleted here: missing (its key is deleted
-- everywhere), apply or undecided, as a person chose. One that is applied is this node's from then on (date_kept).
create or replace function tandem.decide(p_plan jsonb, p_known pg_snapshot, p_horizon timestamptz, p_copy boolean, p_source text) returns void
language plpgsql as $$
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
end $$;
comment on function tandem.decide(jsonb, pg_snapshot, timestamptz, boolean, text) is 'Decides which staged rows are written.';

-- tandem.date_kept(p_plan) -> void
-- Gives staged rows of a node that came back, which are older than this node's log and not here, a version of this node's from just after its log
-- begins: nodes behind this one may remember their deletion, which is no newer than that.
create or replace function tandem.date_kept(p_plan jsonb) returns void
language plpgsql as $$
begin
  execute format('update %1$s s set stamp = tandem.after(tandem.log_begin()), origin = (select o.name from tandem.local_node o)
    where s.present and s.stamp <= tandem.log_begin() and not exists (select from %2$s t where %3$s) and not exists (select from %4$s l where %5$s)',
    p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_plan ->> 'entries', p_plan ->> 'key_is_entry');
end $$;
comment on function tandem.date_kept(jsonb) is 'Dates rows that are kept though they may have been deleted.';

-- tandem.verdict_query(p_plan, p_rows, p_known, p_horizon, p_heard, p_copy, p_source) -> text
-- The query that judges staged rows, for decide and for small batches: n and verdict of each row of p_rows (a FROM item with the columns of a
-- staging table), beside what the verdict is explained with; its alias is c. p_known, p_horizon, p_heard (see heard_elsewhere): expressions.
-- A row that is here though its newest entry says that it is gone (the deletion came in while its insert was not committed yet, and no reader has
-- settled it) has not been seen by anybody: whatever is newer than the deletion is in conflict with it, and its image is kept.
-- What is older than a version that is only assumed, when this node came back (tandem.assumed_version) or of a row without an entry as another one
-- does, is taken by all who have no entry of the row: the row here stays, as a fresh change (keep).
create or replace function tandem.verdict_query(p_plan jsonb, p_rows text, p_known text, p_horizon text, p_heard text, p_copy boolean, p_source text) returns text
language plpgsql stable as $$
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
end $$;
comment on function tandem.verdict_query(jsonb, text, text, text, text, boolean, text) is 'The query that judges staged rows.';

-- tandem.heard_elsewhere(p_peer_id) -> integer[]
-- Peers whose changes this node does not send on to p_peer_id because it has a link of its own from them.
create or replace function tandem.heard_elsewhere(p_peer_id integer) returns integer[]
language plpgsql stable as $$
begin
  return (
    select coalesce(array_agg(s.peer_id order by s.peer_id), '{}') from tandem.peer s
    where s.peer_id <> p_peer_id and tandem.forwarded_by_other(s.peer_id, p_peer_id));
end $$;
comment on function tandem.heard_elsewhere(integer) is 'Whose changes a peer hears directly.';
