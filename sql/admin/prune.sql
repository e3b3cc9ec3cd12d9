-- tandem.prune(p_limit) -> bigint
-- Deletes log entries that nobody needs any more, at most about p_limit per table; returns how many. An entry goes when it is
-- older than the retention, when every peer has acknowledged it and nothing older can still arrive from that peer (tandem.outbound.prunable,
-- see tandem.confirm), when no peer has its key parked or its table held, when, received from a node whose own link brings it to another peer,
-- it has arrived there (tandem.note_settled: else it were lost with that node), and when no older entry of its key stays: that one would
-- pass for the row's version. The newest entry of a row that exists goes too: such a row has the unknown version. Prunes no entry
-- while a peer has never acknowledged. Conflicts go after a time of their own (tandem.prune_conflicts).
-- Errors: of check_identity.
create or replace function tandem.prune(p_limit bigint default 100000) returns bigint
language plpgsql as $$
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
end $$;
comment on function tandem.prune(bigint) is 'Deletes log entries that every peer has passed.';

-- tandem.passed_by_all() -> text
-- Condition on an entry l that every peer has it for good; null: none may go, since a peer has never acknowledged anything. What was received from
-- a peer that did not make it itself (the closure had asked for it) may be on its way from any other.
create or replace function tandem.passed_by_all() returns text
language sql stable as $$
  select case when not coalesce(a.missing, false) then concat_ws(' and ', 'true', a.passed, b.settled) end
  from (select bool_or(o.prunable is null) as missing, string_agg(format('pg_visible_in_snapshot(l.xid, %L::pg_snapshot)', o.prunable), ' and ') as passed
    from tandem.outbound o) a
  cross join (select string_agg(format('(l.received_from is null or (l.received_from <> %s and (l.received_from, l.origin) in (%s)) or %s)', i.peer_id, n.names,
      coalesce(format('pg_visible_in_snapshot(l.xid, %L::pg_snapshot)', i.settled::text), 'false')), ' and ') as settled
    from tandem.inbound i cross join (select string_agg(format('(%s, %L)', p.peer_id, p.name), ', ') as names from tandem.peer p) n
    where tandem.left_to_its_link(i.peer_id)) b
$$;
comment on function tandem.passed_by_all() is 'Condition that every peer has an entry for good.';

-- tandem.left_to_its_link(p_peer_id) -> boolean
-- Whether another peer hears this one directly, so that what was received from it is not sent there from here.
create or replace function tandem.left_to_its_link(p_peer_id integer) returns boolean
language plpgsql stable as $$
begin
  return exists (select from tandem.peer p join tandem.peer q on q.configured and q.peer_id <> p.peer_id and p.name = any (q.receives_from)
    where p.peer_id = p_peer_id);
end $$;
comment on function tandem.left_to_its_link(integer) is 'Whether another peer hears this one directly.';

-- tandem.note_settled(p_peer_id, p_upto, p_now) -> void
-- Keeps tandem.inbound.settled up to date, in three steps, one a call: a snapshot of this node is taken; whatever is visible in it was read
-- from the peer before p_now, the peer's next transaction id at a later call; once everything below that has reached all whom the peer sends to
-- (p_upto, null: something is parked or held there), the snapshot is settled. Writes only where a step is due.
create or replace function tandem.note_settled(p_peer_id integer, p_upto xid8, p_now xid8) returns void
language plpgsql as $$
begin
  if tandem.left_to_its_link(p_peer_id) then
    update tandem.inbound i set
      settled = case when i.settle_upto <= p_upto then i.settle_seen else i.settled end,
      settle_seen = case when i.settle_seen is null or i.settle_upto <= p_upto then pg_current_snapshot() else i.settle_seen end,
      settle_upto = case when i.settle_seen is not null and i.settle_upto is null then p_now end
    where i.peer_id = p_peer_id and (i.settle_seen is null or i.settle_upto is null or i.settle_upto <= p_upto);
  end if;
end $$;
comment on function tandem.note_settled(integer, xid8, xid8) is 'Notes what has reached all whom a peer sends to.';
