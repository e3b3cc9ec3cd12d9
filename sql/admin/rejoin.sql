-- A node that is no longer the database it was (restored, branched, cloned, made anew) comes back: it gets a new incarnation, nothing
-- of its links is believed any more, and every table is compared by the first copy's machinery before it flows. First the others are
-- read into it, then it into the others: what it decides then, it decides knowing all.
--
-- Versions that are not in a log any more: the survivors' rows count as changed when their log begins (tandem.log_begin), the
-- returning node's as older than everything. Whether a version was known is told by its very entry alone, for a node of
-- that name may have written on in two places.

-- tandem.log_begin() -> timestamptz
-- Of anything that was changed here after this moment the log still holds an entry.
create or replace function tandem.log_begin() returns timestamptz
language sql stable as $$
  select greatest(n.horizon, n.installed_at) from tandem.local_node n
$$;
comment on function tandem.log_begin() is 'Since when this node''s logs are complete.';

-- tandem.rejoin_node(p_name, p_peers, p_settings, p_incarnations) -> uuid
-- Makes this database node p_name anew, whatever it was before, and returns its new incarnation. p_peers and p_settings: as for
-- configure_node. p_incarnations: {"local": "..."}, those of the peers as they are now; what was received from another one of that
-- name is sent to everybody. Errors: TD004 the server is a standby.
-- Locks: every tracked table whose triggers are not as they were, SHARE ROW EXCLUSIVE.
create or replace function tandem.rejoin_node(p_name text, p_peers jsonb, p_settings jsonb, p_incarnations jsonb) returns uuid
language plpgsql as $$
declare
  v_incarnation uuid := gen_random_uuid();
  v_state text;
  t tandem.tracked_table;
begin
  if pg_is_in_recovery() then
    raise exception 'this server is a standby (in recovery)' using errcode = 'TD004';
  end if;
  if not exists (select from tandem.local_node) then
    perform tandem.configure_node(p_name, p_peers, p_settings);
  end if;
  v_state := case when exists (select from tandem.inbound i where i.position is not null) then 'restored' else 'replaced' end;
  update tandem.local_node set name = p_name, incarnation = v_incarnation, system_identifier = tandem.system_identifier(),
    database_oid = (select d.oid from pg_database d where d.datname = current_database()), highest_xid = pg_snapshot_xmax(pg_current_snapshot());
  perform tandem.forget_peer(p.peer_id) from tandem.peer p
  where p.gone_at is null and (p.name = p_name or p.incarnation <> (p_incarnations ->> p.name)::uuid);
  for t in select * from tandem.tracked_table order by table_id loop
    perform tandem.take_over_table(t);
  end loop;
  perform tandem.configure_node(p_name, p_peers, p_settings);
  perform tandem.meet_anew(p.peer_id, v_state) from tandem.peer p where p.configured;
  return v_incarnation;
end $$;
comment on function tandem.rejoin_node(text, jsonb, jsonb, jsonb) is 'Makes this database a node anew.';

-- tandem.take_over_table(p_table) -> void
-- Puts right what Tandem keeps of a table in terms of the database that this one was: its oid, the triggers, the capture function with
-- the node's name, and transaction ids of another server that this one has still before it. Writes no entry.
create or replace function tandem.take_over_table(p_table tandem.tracked_table) returns void
language plpgsql as $$
begin
  perform tandem.write_out(p_table.table_id);
  execute format('update tandem_log.%I set xid = pg_current_xact_id() where xid >= pg_snapshot_xmin(pg_current_snapshot())', p_table.log_name);
  update tandem.tracked_table t set relid = to_regclass(format('%I.%I', t.schema_name, t.table_name))
  where t.table_id = p_table.table_id and to_regclass(format('%I.%I', t.schema_name, t.table_name)) is not null;
  if found then
    perform tandem.make_capture_function(p_table.table_id);
    perform tandem.arm_table(p_table.table_id);
  end if;
end $$;
comment on function tandem.take_over_table(tandem.tracked_table) is 'Puts right what is kept of a table of a copied database.';

-- tandem.meet_anew(p_peer_id, p_rejoin) -> void
-- Forgets how far both links with a peer have come: every table is to be compared. p_rejoin: see tandem.inbound_table.
create or replace function tandem.meet_anew(p_peer_id integer, p_rejoin text) returns void
language plpgsql as $$
begin
  perform from tandem.inbound where peer_id = p_peer_id for update;
  delete from tandem.staged where peer_id = p_peer_id;
  delete from tandem.verdict where peer_id = p_peer_id;
  delete from tandem.plan where peer_id = p_peer_id;
  delete from tandem.parked_change where peer_id = p_peer_id;
  delete from tandem.outbound_parked where peer_id = p_peer_id;
  delete from tandem.outbound_held where peer_id = p_peer_id;
  delete from tandem.inbound_table where peer_id = p_peer_id;
  update tandem.inbound set position = null, token = null, applying = null, applying_tables = '{}', missing = null,
    settle_seen = null, settle_upto = null, settled = null, last_error = null, last_error_at = null
  where peer_id = p_peer_id;
  if found then
    insert into tandem.inbound_table (peer_id, schema_name, table_name, state, position, rejoin)
    select p_peer_id, t.schema_name, t.table_name, 'copy', '1:1:', p_rejoin from tandem.tracked_table t;
  end if;
  update tandem.outbound set token = null, pending_tokens = '{}', acknowledged = null, acknowledged_at = null,
    candidate = null, candidate_seen = null, prunable = null
  where peer_id = p_peer_id;
end $$;
comment on function tandem.meet_anew(integer, text) is 'Forgets how far the links with a peer have come.';

-- tandem.renew_peer(p_peer, p_incarnation) -> void
-- A peer has come back as another incarnation: the old one is forgotten, what was received from it is sent to everybody, and
-- both links begin with a comparison. p_peer: as an element of configure_node's p_peers.
create or replace function tandem.renew_peer(p_peer jsonb, p_incarnation uuid) returns void
language plpgsql as $$
declare
  v_hears text[] := array(select jsonb_array_elements_text(p_peer -> 'receives_from') order by 1);
  v_id integer;
begin
  perform tandem.forget_peer(p.peer_id) from tandem.peer p
  where p.name = p_peer ->> 'name' and p.gone_at is null and p.incarnation <> p_incarnation;
  insert into tandem.peer (name, incarnation, receives_from) values (p_peer ->> 'name', p_incarnation, v_hears)
  on conflict (name) where gone_at is null do update set incarnation = p_incarnation, receives_from = v_hears, configured = true
  returning peer_id into v_id;
  if (p_peer ->> 'sends')::boolean then
    insert into tandem.inbound (peer_id) values (v_id) on conflict do nothing;
  end if;
  if (p_peer ->> 'receives')::boolean then
    insert into tandem.outbound (peer_id) values (v_id) on conflict do nothing;
  end if;
  perform tandem.meet_anew(v_id, 'survivor'), tandem.make_floor();
end $$;
comment on function tandem.renew_peer(jsonb, uuid) is 'Takes up a peer that came back.';

-- tandem.note_assumed(p_plan) -> void
-- Notes the versions of the staged rows of a survivor that have no entry there. The survivor itself, and whoever else has no entry of such a row,
-- takes any change of it; what this node rejects because of such a version has to be told to all (tandem.verdict_query: assumed).
create or replace function tandem.note_assumed(p_plan jsonb) returns void
language plpgsql as $$
begin
  if p_plan ->> 'rejoin' in ('restored', 'replaced') then
    execute format('insert into tandem.assumed_version select distinct s.stamp, s.origin from %s s where s.present and s.op is null and s.stamp is not null on conflict do nothing',
      p_plan ->> 'stage');
  end if;
end $$;
comment on function tandem.note_assumed(jsonb) is 'Notes the versions that rows without an entry count with.';

-- tandem.date_waiting(p_peer_id) -> void
-- Rows without an entry that wait at a peer that came back get one, with the version by which they were compared: tried again without it, they
-- would lose to whatever the peer remembers of them.
create or replace function tandem.date_waiting(p_peer_id integer) returns void
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_count integer;
begin
  for t in select * from tandem.tracked_table x where exists (select from tandem.outbound_parked k
      where k.peer_id = p_peer_id and (k.schema_name, k.table_name) = (x.schema_name, x.table_name) and k.key <> '{}') order by x.table_id loop
    v_count := cardinality(t.key_columns);
    perform tandem.write_out(t.table_id);
    execute tandem.capture_insert(t, (select name from tandem.local_node), '$1', 'U', tandem.key_names('o', v_count),
      format('from (select %s from %I.%I t join tandem.outbound_parked k on k.peer_id = $2 and %s) o where not exists (select from tandem_log.%I l where %s)',
        (select string_agg(format('t.%I as k%s', u.name, u.i), ', ' order by u.i) from unnest(t.key_columns) with ordinality u (name, i)),
        t.schema_name, t.table_name, tandem.same_parked_key(t, 'k', tandem.columns('t', t.key_columns)),
        t.entries_name, tandem.all_equal(t.key_operators, tandem.key_names('l', v_count), tandem.key_names('o', v_count))))
    using tandem.after(tandem.log_begin()), p_peer_id;
  end loop;
end $$;
comment on function tandem.date_waiting(integer) is 'Gives entries to rows that wait at a peer that came back.';

-- tandem.choose_missing(p_peer, p_choice) -> void: what becomes of rows that only that node has, older than this one's log: keep or delete.
create or replace function tandem.choose_missing(p_peer text, p_choice text) returns void
language sql as $$
  update tandem.inbound i set missing = p_choice from tandem.peer p where p.peer_id = i.peer_id and p.name = p_peer and p.configured
$$;
comment on function tandem.choose_missing(text, text) is 'Notes what becomes of rows that only a rejoined node has.';
