-- tandem.pause_link(p_source, p_by) -> boolean
-- The link from a source rests from its next round on, whoever works on it, until it is resumed; a batch under way is finished. What it would
-- carry waits at the source and is not pruned there. False: it is paused already. Errors: TD001 no link from there.
create or replace function tandem.pause_link(p_source text, p_by text) returns boolean
language plpgsql as $$
begin
  insert into tandem.paused_link (peer_id, paused_by) values (tandem.inbound_peer(p_source), p_by) on conflict do nothing;
  return found;
end $$;
comment on function tandem.pause_link(text, text) is 'Lets the link from a source rest.';

-- tandem.resume_link(p_source) -> boolean: the link from a source works again; false: it was not paused. Errors: TD001 no link from there.
create or replace function tandem.resume_link(p_source text) returns boolean
language plpgsql as $$
begin
  delete from tandem.paused_link where peer_id = tandem.inbound_peer(p_source);
  return found;
end $$;
comment on function tandem.resume_link(text) is 'Lets the link from a source work again.';

-- tandem.inbound_peer(p_source) -> integer: the peer whose link into this node is configured. Errors: TD001 no link from there.
create or replace function tandem.inbound_peer(p_source text) returns integer
language plpgsql stable as $$
declare
  v_peer integer;
begin
  select p.peer_id into v_peer from tandem.inbound i join tandem.peer p using (peer_id) where p.name = p_source and p.configured;
  if not found then
    raise exception 'this node has no link from node "%": run "tandem migrate"', p_source using errcode = 'TD001';
  end if;
  return v_peer;
end $$;
comment on function tandem.inbound_peer(text) is 'The peer of a link into this node.';
