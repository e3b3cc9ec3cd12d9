-- tandem.heartbeat: one row for each link, which its sidecar changes once in a while at the source, to see how long it takes into the target. The
-- table is there only where sync.heartbeat is on; an idle system sends nothing else.

-- tandem.set_heartbeat(p_on) -> boolean
-- Makes the table and has it captured, or takes it away; returns whether anything changed. To be called in a transaction with a lock_timeout.
create or replace function tandem.set_heartbeat(p_on boolean) returns boolean
language plpgsql as $$
begin
  if p_on = (to_regclass('tandem.heartbeat') is not null) then
    return false;
  end if;
  if p_on then
    create table tandem.heartbeat (source text collate "C", target text collate "C", beat uuid not null, primary key (source, target));
    comment on table tandem.heartbeat is 'One row for each link, changed at its source once in a while and timed into its target.';
    perform tandem.track_own_table('heartbeat');
  else
    perform tandem.drop_own_table('heartbeat');
    update tandem.inbound set heartbeat = null, heartbeat_at = null where heartbeat_at is not null;
  end if;
  return true;
end $$;
comment on function tandem.set_heartbeat(boolean) is 'Turns heartbeats on or off in this node.';

-- tandem.beat(p_self, p_target, p_beat) -> void
-- Sends a heartbeat from this node on its link into another one. Errors: of check_identity; TD001 heartbeats are not on here.
create or replace function tandem.beat(p_self text, p_target text, p_beat uuid) returns void
language plpgsql as $$
begin
  perform tandem.check_identity(p_self);
  if to_regclass('tandem.heartbeat') is null then
    raise exception 'heartbeats are not on in this database: run "tandem migrate"' using errcode = 'TD001';
  end if;
  insert into tandem.heartbeat (source, target, beat) values (p_self, p_target, p_beat)
  on conflict (source, target) do update set beat = excluded.beat;
end $$;
comment on function tandem.beat(text, text, uuid) is 'Sends a heartbeat.';

-- tandem.note_heartbeat(p_peer_id, p_beat, p_took) -> boolean
-- Whether that heartbeat of a peer has come by now; if so, how long it took is kept. p_took: measured by the sidecar, by one clock, from
-- before it was committed at the source until it was looked for here.
create or replace function tandem.note_heartbeat(p_peer_id integer, p_beat uuid, p_took interval) returns boolean
language plpgsql as $$
begin
  if to_regclass('tandem.heartbeat') is null or not exists (
    select from tandem.heartbeat h, tandem.peer p, tandem.local_node n
    where p.peer_id = p_peer_id and (h.source, h.target, h.beat) = (p.name, n.name, p_beat))
  then
    return false;
  end if;
  update tandem.inbound set heartbeat = p_took, heartbeat_at = clock_timestamp() where peer_id = p_peer_id;
  return true;
end $$;
comment on function tandem.note_heartbeat(integer, uuid, interval) is 'Keeps how long a heartbeat took, once it has come.';
