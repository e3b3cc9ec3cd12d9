-- tandem.decide(p_plan, p_known, p_horizon, p_copy, p_source) -> void
-- Compares each staged row with the newest local version of its key and enters a verdict for every row that is not simply
-- written (a statement of its own, after the locks: it sees what was committed while they were awaited). Versions decide:
-- stamp, then origin. Verdicts: adopt (same image, newer version: only the version is noted), drop (not newer, or known here
-- already), win and lose (a conflict, and who stays), prefer (this node is preferred: its image is written anew), anew and tie
-- (same version, other image: the node whose name is greater stays, as a fresh change), undecided (a first meeting's rows that
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
-- everywhere), apply or undecided, as a person chose.
create or replace function tandem.decide(p_plan jsonb, p_known pg_snapshot, p_horizon timestamptz, p_copy boolean, p_source text) returns void
language plpgsql as $$
declare
  n tandem.local_node;
  v_key_is_entry text := p_plan ->> 'key_is_entry';
  v_key_is_row text := p_plan ->> 'key_is_row';
begin
  select * into strict n from tandem.local_node;
  -- Looked for once more: what was committed before this is not found by tandem.changed_meanwhile.
  if (p_plan ->> 'fresh')::boolean and tandem.none_here(p_plan) then
    v_key_is_entry := 'false';
    v_key_is_row := 'false';
  end if;
  execute format($sql$
    insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason, sqlstate, local_stamp, local_origin)
    select %1$s, %2$s, x.n, x.verdict,
      case when x.verdict = 'park' then case when x.unplaced is not null then 'unplaced' when x.ahead then 'ahead' else 'refused' end
        else concat(case x.local_op when 'I' then 'insert' when 'D' then 'delete' else 'update' end, '/',
          case x.op when 'I' then 'insert' when 'D' then 'delete' else 'update' end) end,
      case when x.unplaced is not null then 'columns that this node lacks hold values: ' || x.unplaced
        when x.ahead then 'its stamp lies further in the future than max_skew allows'
        when x.misfit is not null then x.misfit
        when x.too_long is not null then 'values are too long for these columns: ' || x.too_long end,
      case when x.verdict = 'park' and x.unplaced is null and not x.ahead then coalesce(x.misfit_state, '22001') end,
      x.local_stamp, x.local_origin
    from (
      select c.*,
        case
          when c.unplaced is not null or c.ahead or c.misfit is not null or (c.too_long is not null and not c.same) then 'park'
          when c.same then case when c.newer and not c.both_unlogged and not c.forgotten then 'adopt' else 'drop' end
          when c.missing then case %24$L when 'keep' then 'apply' when 'delete' then 'missing' else 'undecided' end
          when c.unknown then 'drop'
          when c.equal_version and c.local_stamp <= timestamptz '0001-01-01 00:00:00+00' and c.local_origin = '' then 'undecided'
          when c.equal_version then case when %3$L > %4$L then 'anew' else 'tie' end
          when c.newer and c.local_known then 'apply'
          when c.newer and %5$L = 'prefer: ' || c.local_origin and c.local_origin = %4$L then 'prefer'
          when c.newer then 'win'
          when c.incoming_known then 'drop'
          else 'lose'
        end as verdict
      from (
        select s.n, case when s.present then coalesce(s.op::text, 'I') else 'D' end as op, s.unplaced, s.misfit, s.misfit_state, %22$s as too_long,
          s.stamp > clock_timestamp() + %6$L::interval as ahead,
          coalesce(l.op::text, case when %7$s is distinct from null then 'U' else 'D' end) as local_op,
          v.stamp as local_stamp, v.origin as local_origin,
          (s.stamp, s.origin) > (v.stamp, v.origin) as newer,
          (s.stamp, s.origin) = (v.stamp, v.origin) as equal_version,
          s.stamp is null or (not %21$L and s.stamp <= timestamptz '0001-01-01 00:00:00+00' and v.stamp > '-infinity') as unknown,
          (%7$s is distinct from null) = s.present and (not s.present or %8$s) as same,
          %25$L and s.op is null and s.present and l.op is null as both_unlogged,
          s.asked and l.op is null as forgotten,
          %26$L and s.present and l.op is null and %7$s is not distinct from null and s.stamp <= tandem.log_begin() as missing,
          case
            when l.xid is null then %9$s
            when l.received_from = %1$s then true
            when s.parked_there then false
            when pg_visible_in_snapshot(l.xid, %10$L::pg_snapshot)
              and (l.stamp < %12$L::timestamptz or not %23$s and (l.received_from is null or l.received_from <> all (%11$L::integer[]))) then true
            else coalesce((select bool_or(k.stamp %27$s v.stamp) from unnest(s.known_stamps, s.known_origins) k (stamp, origin) where k.origin = v.origin), false)
          end as local_known,
          case when (s.stamp, s.origin) > (v.stamp, v.origin) then false
            else exists (select from %13$s l where %14$s and l.origin = s.origin and l.stamp %27$s s.stamp) end as incoming_known
        from %15$s s
        left join %16$s t on %17$s
        left join lateral (select l.op, l.stamp, l.origin, l.received_from, l.xid from %13$s l where %14$s order by %18$s limit 1) l on true
        cross join lateral (select
          coalesce(l.stamp, case when %7$s is distinct from null then %19$s else '-infinity' end) as stamp,
          coalesce(l.origin, case when %7$s is distinct from null then %20$s else '' end) as origin) v
        where s.n not in (select b.n from tandem.verdict b where b.peer_id = %1$s and b.table_id = %2$s)
      ) c
    ) x
    where x.verdict <> 'apply'
  $sql$,
    p_plan ->> 'peer', p_plan ->> 'id', p_source, n.name, p_plan ->> 'policy', n.max_skew,
    p_plan ->> 'first_key', p_plan ->> 'image_is_row',
    case when p_copy and coalesce(p_plan ->> 'rejoin', 'replaced') = 'replaced' then format('%s is not distinct from null', p_plan ->> 'first_key') else 'true' end,
    p_known, tandem.heard_elsewhere((p_plan ->> 'peer')::integer), p_horizon,
    p_plan ->> 'log', v_key_is_entry, p_plan ->> 'stage', p_plan ->> 'relation', v_key_is_row, p_plan ->> 'newest_first',
    case when p_copy or p_plan ? 'rejoin' then p_plan ->> 'unlogged_stamp' else 'timestamptz ''0001-01-01 00:00:00+00''' end,
    case when p_copy or p_plan ? 'rejoin' then p_plan ->> 'unlogged_origin' else '''''' end, p_copy, p_plan ->> 'too_long',
    case when p_plan ->> 'policy' = 'prefer: ' || n.name then format('l.origin = %L', n.name) else 'false' end,
    p_plan ->> 'missing', p_plan ? 'rejoin', p_copy and p_plan ->> 'rejoin' is not distinct from 'survivor',
    case when p_plan ? 'rejoin' then '=' else '>=' end);
end $$;
comment on function tandem.decide(jsonb, pg_snapshot, timestamptz, boolean, text) is 'Decides which staged rows are written.';

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
