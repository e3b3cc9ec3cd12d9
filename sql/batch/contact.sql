-- The contact token of a link: a source that was branched or restored, and a target that was, have every other sign of identity
-- right. The source offers a new token with each batch, the target commits it with the rows, the source confirms it. No two batches
-- are offered the same one: of two copies of a target that both commit, only the one that comes back first fits any longer.

-- tandem.contact_fits(p_peer_id, p_token) -> boolean
-- Whether the target's token is this source's current one or one of the pending ones.
create or replace function tandem.contact_fits(p_peer_id integer, p_token uuid) returns boolean
language plpgsql stable as $$
begin
  return (
    select case when p_token is null then o.token is null else coalesce(p_token = o.token, false) or p_token = any (o.pending_tokens) end
    from tandem.outbound o where o.peer_id = p_peer_id);
end $$;
comment on function tandem.contact_fits(integer, uuid) is 'Whether a target''s contact token fits.';

-- tandem.offer_contact(p_peer_id, p_token) -> uuid
-- A new token for the next batch. One that the target has is confirmed first, and those offered beside it are void; those that it has
-- not got yet stay valid (the newest hundred): with two appliers at once the one that commits may be either.
-- Errors: TD002 the target's does not fit.
create or replace function tandem.offer_contact(p_peer_id integer, p_token uuid) returns uuid
language plpgsql as $$
declare
  v_token uuid := gen_random_uuid();
begin
  perform 1 from tandem.outbound where peer_id = p_peer_id for no key update;
  if not coalesce(tandem.contact_fits(p_peer_id, p_token), false) then
    raise exception 'the contact token of peer "%" does not fit: one of the two databases was restored, cloned or branched',
      (select name from tandem.peer where peer_id = p_peer_id) using errcode = 'TD002';
  end if;
  update tandem.outbound set token = p_token,
    pending_tokens = array[v_token] || case when token is not distinct from p_token then pending_tokens[:99] else '{}' end
  where peer_id = p_peer_id;
  return v_token;
end $$;
comment on function tandem.offer_contact(integer, uuid) is 'Offers the token of the next contact.';

-- tandem.confirm(p_peer_id, p_position, p_token, p_seen, p_parked) -> void
-- The target has committed p_token with p_position: what is visible in it is acknowledged. p_seen: a snapshot of the target at or
-- after that commit; p_parked: what it has parked of this node's, [{"schema", "table", "key"}],
-- with an empty key for a table that does not flow there.
-- What was acknowledged may be pruned once this node's own position of that peer is past p_seen with all transactions then open
-- finished: nothing older can still arrive. One such pair is watched at a time, the next one follows when it is through.
-- A token that the next offer has confirmed already leaves those offered since then as they are.
create or replace function tandem.confirm(p_peer_id integer, p_position pg_snapshot, p_token uuid, p_seen pg_snapshot, p_parked jsonb) returns void
language plpgsql as $$
begin
  update tandem.outbound o set
    token = p_token, pending_tokens = case when p_token = o.token then o.pending_tokens else '{}' end, acknowledged = p_position, acknowledged_at = clock_timestamp(),
    prunable = case when x.through then o.candidate else o.prunable end,
    candidate = case when x.through or o.candidate is null then p_position else o.candidate end,
    candidate_seen = case when x.through or o.candidate is null then p_seen else o.candidate_seen end
  from (select coalesce(pg_snapshot_xmin(i.position) >= pg_snapshot_xmax(b.candidate_seen), false) as through
    from tandem.outbound b left join tandem.inbound i using (peer_id) where b.peer_id = p_peer_id) x
  where o.peer_id = p_peer_id and (p_token = o.token or p_token = any (o.pending_tokens));
  if not found then
    raise exception 'the contact token of peer "%" does not fit', (select name from tandem.peer where peer_id = p_peer_id) using errcode = 'TD002';
  end if;
  update tandem.local_node set highest_xid = pg_snapshot_xmax(p_position)
  where highest_xid < pg_snapshot_xmax(p_position);
  delete from tandem.outbound_parked k where k.peer_id = p_peer_id and not exists (
    select from jsonb_array_elements(p_parked) e
    where e ->> 'schema' = k.schema_name and e ->> 'table' = k.table_name
      and array(select jsonb_array_elements_text(e -> 'key')) = k.key);
  insert into tandem.outbound_parked (peer_id, schema_name, table_name, key)
  select p_peer_id, e ->> 'schema', e ->> 'table', array(select jsonb_array_elements_text(e -> 'key')) from jsonb_array_elements(p_parked) e
  on conflict do nothing;
  if tandem.has_returned(p_peer_id) then
    perform tandem.date_waiting(p_peer_id);
  end if;
end $$;
comment on function tandem.confirm(integer, pg_snapshot, uuid, pg_snapshot, jsonb) is 'Notes what a target has acknowledged.';

-- tandem.note_held(p_peer_id, p_tables) -> void
-- The tables that a target holds back or lets catch up, all of them, each with its position there: [{"schema", "name", "position"}]. One that
-- waits for its first copy is none of them: the copy needs no entry.
create or replace function tandem.note_held(p_peer_id integer, p_tables jsonb) returns void
language sql as $$
  delete from tandem.outbound_held h where h.peer_id = p_peer_id
    and (h.schema_name, h.table_name) not in (select e ->> 'schema', e ->> 'name' from jsonb_array_elements(p_tables) e where e ->> 'position' <> '1:1:');
  insert into tandem.outbound_held as h (peer_id, schema_name, table_name, position)
  select p_peer_id, e ->> 'schema', e ->> 'name', (e ->> 'position')::pg_snapshot
  from jsonb_array_elements(p_tables) e where e ->> 'position' <> '1:1:'
  on conflict (peer_id, schema_name, table_name) do update set position = excluded.position where h.position::text <> excluded.position::text
$$;
comment on function tandem.note_held(integer, jsonb) is 'Notes which tables a target does not let flow.';
