-- tandem.prune(p_limit) -> bigint
-- Deletes log entries that nobody needs any more, at most about p_limit per table; returns how many. An entry goes when it is
-- older than the retention, when every peer has acknowledged it and nothing older can still arrive from that peer (tandem.outbound.prunable,
-- see tandem.confirm), and when no peer has its key parked. The newest entry of a row that exists goes too: such a row has the
-- unknown version. Prunes no entry while a configured peer has never acknowledged. Conflicts go after a time of their own (tandem.prune_conflicts).
-- Errors: of check_identity.
create or replace function tandem.prune(p_limit bigint default 100000) returns bigint
language plpgsql as $$
declare
  n tandem.local_node;
  t tandem.tracked_table;
  o record;
  v_condition text := 'true';
  v_cutoff timestamptz;
  v_count bigint;
  v_total bigint := 0;
begin
  perform tandem.check_identity();
  select * into strict n from tandem.local_node;
  v_cutoff := clock_timestamp() - n.retention;
  perform tandem.prune_conflicts(), tandem.settle_dropped();
  for o in select b.peer_id, b.prunable from tandem.outbound b join tandem.peer p using (peer_id) loop
    if o.prunable is null then
      return 0;
    end if;
    v_condition := v_condition || format(' and pg_visible_in_snapshot(l.xid, %L::pg_snapshot)', o.prunable);
  end loop;
  update tandem.local_node set horizon = v_cutoff, pruned_at = clock_timestamp() where horizon < v_cutoff;
  for t in select * from tandem.tracked_table order by table_id loop
    execute format('delete from tandem_log.%1$I l where l.ctid in (select l.ctid from tandem_log.%1$I l where l.stamp < %2$L and %3$s
        and not exists (select from tandem.outbound_parked k where k.schema_name = %4$L and k.table_name = %5$L and k.key = array[%6$s])
        and not exists (select from tandem.inbound_table b where b.state <> ''flow'' and b.schema_name = %4$L and b.table_name = %5$L) limit %7$s)',
      t.log_name, v_cutoff, v_condition, t.schema_name, t.table_name,
      (select string_agg(u || '::text', ', ') from unnest(tandem.key_names('l', cardinality(t.key_columns))) u), p_limit);
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  return v_total;
end $$;
comment on function tandem.prune(bigint) is 'Deletes log entries that every peer has passed.';
