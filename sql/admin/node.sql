-- tandem.configure_node(p_name, p_peers, p_settings) -> boolean
-- Makes this database the node p_name and brings its peers up to date; returns whether anything changed. p_peers:
-- [{"name": "external", "sends": true, "receives": true, "receives_from": ["local"]}, ...]: sends = it has a link into this
-- node; receives = this node has a link into it. p_settings: {"max_skew": "5 minutes", "retention": "7 days", "keep_conflicts": "28 days", "seed": null, "heartbeat": false}.
-- What was received from a node that a peer no longer hears directly is entered anew, to be sent on to it. "nodes" in p_settings names all
-- nodes of the net: a link with one of them that is not among p_peers is over; what a node that is not among them may still need stays.
-- Identity is written here and not by a migration, so that a template database holds none.
-- Errors: TD002 this database is another node already, or no longer the database it was.
create or replace function tandem.configure_node(p_name text, p_peers jsonb, p_settings jsonb default '{}') returns boolean
language plpgsql as $$
declare
  n tandem.local_node;
  v_peer jsonb;
  v_id integer;
  v_hears text[];
  v_heard text[];
  v_lost text[] := '{}';
  v_done boolean := false;
begin
  select * into n from tandem.local_node;
  if not found then
    insert into tandem.local_node (name, incarnation, system_identifier, database_oid, highest_xid)
    values (p_name, gen_random_uuid(), tandem.system_identifier(),
      (select d.oid from pg_database d where d.datname = current_database()), pg_snapshot_xmax(pg_current_snapshot()));
    v_done := true;
  else
    perform tandem.check_identity(p_name);
  end if;
  update tandem.local_node set
    max_skew = coalesce((p_settings ->> 'max_skew')::interval, max_skew),
    retention = coalesce((p_settings ->> 'retention')::interval, retention),
    keep_conflicts = coalesce((p_settings ->> 'keep_conflicts')::interval, keep_conflicts),
    seed = p_settings ->> 'seed'
  where (max_skew, retention, keep_conflicts) is distinct from
      (coalesce((p_settings ->> 'max_skew')::interval, max_skew), coalesce((p_settings ->> 'retention')::interval, retention),
      coalesce((p_settings ->> 'keep_conflicts')::interval, keep_conflicts))
    or seed is distinct from p_settings ->> 'seed';
  v_done := v_done or found;
  for v_peer in select e from jsonb_array_elements(p_peers) with ordinality x (e, i) order by i loop
    v_hears := array(select jsonb_array_elements_text(v_peer -> 'receives_from') order by 1);
    select p.peer_id, p.receives_from into v_id, v_heard from tandem.peer p where p.name = v_peer ->> 'name' and p.gone_at is null;
    if not found then
      insert into tandem.peer (name) values (v_peer ->> 'name') returning peer_id, receives_from into v_id, v_heard;
      v_done := true;
    end if;
    v_lost := v_lost || array(select u from unnest(v_heard) u where u <> all (v_hears));
    update tandem.peer p set configured = true, receives_from = v_hears
    where p.peer_id = v_id and (not p.configured or p.receives_from <> v_hears);
    v_done := v_done or found;
    if (v_peer ->> 'sends')::boolean then
      insert into tandem.inbound (peer_id) values (v_id) on conflict do nothing;
      v_done := v_done or found;
    end if;
    if (v_peer ->> 'receives')::boolean then
      insert into tandem.outbound (peer_id) values (v_id) on conflict do nothing;
      v_done := v_done or found;
    end if;
  end loop;
  perform tandem.forward_received(p.peer_id) from tandem.peer p where p.name = any (v_lost);
  perform tandem.forget_peer(p.peer_id) from tandem.peer p
  where p.gone_at is null and p_settings -> 'nodes' ? p.name and p.name not in (select e ->> 'name' from jsonb_array_elements(p_peers) e);
  v_done := v_done or found;
  update tandem.peer p set configured = false
  where p.configured and p.name not in (select e ->> 'name' from jsonb_array_elements(p_peers) e);
  v_done := v_done or found;
  perform tandem.make_floor();
  return tandem.set_heartbeat(coalesce((p_settings ->> 'heartbeat')::boolean, false)) or v_done;
end $$;
comment on function tandem.configure_node(text, jsonb, jsonb) is 'Makes this database a node with these peers.';

-- tandem.system_identifier() -> text
-- The server's own identifier; empty where this role may not read it (some providers).
create or replace function tandem.system_identifier() returns text
language plpgsql stable as $$
begin
  return (select c.system_identifier::text from pg_control_system() c);
exception when insufficient_privilege then
  return '';
end $$;
comment on function tandem.system_identifier() is 'The server''s system identifier.';

-- tandem.check_identity(p_name) -> void
-- Errors: TD001 not configured; TD002 this is not the database that was configured (restored, cloned, branched), for its
-- server, its oid or its transaction counter say so, or it is another node than p_name (null: not asked); TD004 the server is a standby.
create or replace function tandem.check_identity(p_name text default null) returns void
language plpgsql as $$
declare
  n tandem.local_node;
begin
  if pg_is_in_recovery() then
    raise exception 'this server is a standby (in recovery): its snapshots do not list what is in progress' using errcode = 'TD004';
  end if;
  select * into n from tandem.local_node;
  if not found then
    raise exception 'this database is not configured as a node' using errcode = 'TD001';
  end if;
  if n.name <> p_name then
    raise exception 'this database is node "%", not "%"', n.name, p_name using errcode = 'TD002';
  end if;
  if n.system_identifier <> tandem.system_identifier()
    or n.database_oid <> (select d.oid from pg_database d where d.datname = current_database())
  then
    raise exception 'node "%": this is a copy of the database that was configured, not the same one', n.name using errcode = 'TD002';
  end if;
  if pg_snapshot_xmax(pg_current_snapshot()) < n.highest_xid then
    raise exception 'node "%": its transaction counter went back, so it was restored to an earlier state', n.name using errcode = 'TD002';
  end if;
end $$;
comment on function tandem.check_identity(text) is 'Stops where this database is not the one that was configured.';

-- tandem.meet(p_self, p_name, p_state) -> integer
-- The id of a peer, after seeing that this database and that one are the same as before; at the first contact its incarnation is
-- noted. p_state: what the peer says of itself: {"incarnation", "token" (which it has got by the link from here), "settled", "now"}.
-- Errors: of check_identity; TD001 no such peer here; TD002 another incarnation than was met before, or the token does not fit.
create or replace function tandem.meet(p_self text, p_name text, p_state jsonb) returns integer
language plpgsql as $$
declare
  p tandem.peer;
  v_incarnation uuid := p_state ->> 'incarnation';
begin
  perform tandem.check_identity(p_self);
  select * into p from tandem.peer where name = p_name and configured;
  if not found then
    raise exception 'node "%" is not a peer of this node: run "tandem migrate" again', p_name using errcode = 'TD001';
  end if;
  if p.incarnation is null then
    update tandem.peer set incarnation = v_incarnation where peer_id = p.peer_id and incarnation is null;
  elsif p.incarnation <> v_incarnation then
    raise exception 'node "%" is not the one that was met before (another incarnation)', p_name using errcode = 'TD002';
  end if;
  if not coalesce(tandem.contact_fits(p.peer_id, (p_state ->> 'token')::uuid), true) then
    raise exception 'the contact token of node "%" does not fit: one of the two databases was restored, cloned or branched', p_name using errcode = 'TD002';
  end if;
  perform tandem.note_settled(p.peer_id, (p_state ->> 'settled')::xid8, pg_snapshot_xmax((p_state ->> 'now')::pg_snapshot));
  return p.peer_id;
end $$;
comment on function tandem.meet(text, text, jsonb) is 'Recognizes a peer.';
