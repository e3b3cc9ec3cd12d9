-- tandem.forward_received(p_peer_id) -> bigint
-- Enters what was received from a peer anew, versions kept, so that every link out of this node carries it; returns how many entries.
-- Called when the peer, or a link of it, goes: until then it was left to that link to bring it to the others, who may stand
-- at different places. The entries move to this transaction: who has read them already reads them once more and drops them.
create or replace function tandem.forward_received(p_peer_id integer) returns bigint
language plpgsql as $$
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
end $$;
comment on function tandem.forward_received(integer) is 'Enters what was received from a peer anew, for everybody.';

-- tandem.forget_peer(p_peer_id) -> bigint
-- A peer that is no more: both its links end here, its entries are free to be pruned, and what was received from it is sent to
-- everybody; returns how many entries that were. The row in tandem.peer stays, marked gone, for the entries name it.
-- Locks: the link's row in tandem.inbound, so that whatever is being applied from the peer ends first.
create or replace function tandem.forget_peer(p_peer_id integer) returns bigint
language plpgsql as $$
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
comment on function tandem.forget_peer(integer) is 'Ends both links with a peer that is no more.';
