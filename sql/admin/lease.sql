-- Of several sidecars one works on the links into a node, the others stand by. A lease is a row that is over by itself, by the clock of
-- this database: a lock of the session would be lost behind a transaction pooler. Two that both believe to hold it do no harm: the
-- position stored with the rows decides.

-- tandem.hold_lease(p_holder, p_label, p_lasts) -> jsonb
-- Takes the lease where there is none or it is over, renews it where p_holder has it; returns {"held", "label" (whose it is now),
-- "taken_at", "awaited" (another one has asked for it within p_lasts)}. A lease from the future, beyond what it lasts, is over too: the clock has stepped back. Who takes over from a
-- holder that was silent ends its sessions that still hold a link (see end_stalled).
-- Locks: the row, for a moment.
create or replace function tandem.hold_lease(p_holder uuid, p_label text, p_lasts interval) returns jsonb
language plpgsql as $$
declare
  v_was uuid;
  v_now tandem.lease;
begin
  insert into tandem.lease (holder, label, taken_at, renewed_at, lasts)
  values (p_holder, p_label, clock_timestamp(), clock_timestamp(), p_lasts) on conflict do nothing;
  select holder into v_was from tandem.lease for no key update;
  update tandem.lease l set holder = p_holder, label = p_label, lasts = p_lasts, renewed_at = clock_timestamp(),
    taken_at = case when l.holder = p_holder then l.taken_at else clock_timestamp() end,
    awaited_at = case when l.holder = p_holder then l.awaited_at end
  where l.holder = p_holder or not tandem.lease_stands(l);
  update tandem.lease l set awaited_at = clock_timestamp() where l.holder <> p_holder;
  select * into v_now from tandem.lease;
  if v_now.holder = p_holder and v_was <> p_holder then
    perform tandem.end_stalled(p_lasts / 2);
  end if;
  return jsonb_build_object('held', v_now.holder = p_holder, 'label', v_now.label, 'taken_at', v_now.taken_at,
    'awaited', coalesce(clock_timestamp() - v_now.awaited_at < p_lasts, false));
end $$;
comment on function tandem.hold_lease(uuid, text, interval) is 'Takes or renews the lease of this node''s links.';

-- tandem.lease_stands(p_lease) -> boolean: whether a lease is not over.
create or replace function tandem.lease_stands(p_lease tandem.lease) returns boolean
language sql volatile as $$
  select clock_timestamp() between p_lease.renewed_at - p_lease.lasts and p_lease.renewed_at + p_lease.lasts
$$;
comment on function tandem.lease_stands(tandem.lease) is 'Whether a lease is not over.';

-- tandem.release_lease(p_holder) -> boolean: gives the lease back, so that another sidecar need not wait for its end; false: it was not held.
create or replace function tandem.release_lease(p_holder uuid) returns boolean
language plpgsql as $$
begin
  delete from tandem.lease where holder = p_holder;
  return found;
end $$;
comment on function tandem.release_lease(uuid) is 'Gives a lease back.';

-- tandem.end_stalled(p_silent) -> integer
-- Ends the sessions that hold a link for staging (see begin_stage) and have waited for their client for longer than p_silent: its
-- machine sleeps or is gone, and the link would stay taken until the network notices. Returns how many; sessions of another role
-- stay, for they may not be ended.
create or replace function tandem.end_stalled(p_silent interval) returns integer
language plpgsql as $$
declare
  v_pid integer;
  v_count integer := 0;
begin
  for v_pid in
    select l.pid from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.classid = tandem.link_lock() and l.objsubid = 2
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and (a.state like 'idle in transaction%' or a.wait_event_type = 'Client') and a.state_change < clock_timestamp() - p_silent
  loop
    begin
      perform pg_terminate_backend(v_pid);
      v_count := v_count + 1;
    exception when insufficient_privilege then
      null;
    end;
  end loop;
  return v_count;
end $$;
comment on function tandem.end_stalled(interval) is 'Ends sessions that hold a link for a client that is gone.';
