-- tandem.source_state(p_self, p_target) -> jsonb
-- What a source says of itself to begin a round: {"peer" (the target's id here), "incarnation", "clock", "snapshot", "token" (of the
-- link the other way, which must fit at the target), "acknowledged" (the target's position as far as it is known here; '1:1:' before
-- the first), "waits" (this node came back and has not yet got everything from every peer: until then it sends nothing to anybody),
-- "settled" (every transaction below this id has reached all peers; null while anything is parked or held there)}.
-- Errors: TD001, TD002, TD004 of check_identity.
create or replace function tandem.source_state(p_self text, p_target text) returns jsonb
language plpgsql as $$
declare
  v_state jsonb;
begin
  perform tandem.check_identity(p_self);
  select jsonb_build_object('peer', p.peer_id, 'incarnation', n.incarnation, 'clock', clock_timestamp(), 'snapshot', pg_current_snapshot()::text,
    'token', (select i.token from tandem.inbound i where i.peer_id = p.peer_id),
    'acknowledged', coalesce(o.acknowledged::text, '1:1:'),
    'settled', (select case when bool_and(b.acknowledged is not null) and not exists (select from tandem.outbound_parked)
      then (array_agg(pg_snapshot_xmin(b.acknowledged) order by pg_snapshot_xmin(b.acknowledged)))[1]::text end from tandem.outbound b),
    'waits', exists (select from tandem.inbound_table b join tandem.peer s using (peer_id) where s.configured and b.rejoin in ('restored', 'replaced') and b.state in ('copy', 'catch_up')))
  into v_state
  from tandem.local_node n, tandem.outbound o join tandem.peer p using (peer_id) where p.name = p_target and p.configured;
  if not found then
    raise exception 'this node has no link to node "%": run "tandem migrate"', p_target using errcode = 'TD001';
  end if;
  return v_state;
end $$;
comment on function tandem.source_state(text, text) is 'What a source says of itself.';

-- tandem.related_tables(p_tables) -> integer[]
-- These tables and all that foreign keys connect them with, either way: what a batch of them may have to read.
create or replace function tandem.related_tables(p_tables integer[]) returns integer[]
language plpgsql stable as $$
begin
  return (
    with recursive edges as (
      select a.table_id as one, b.table_id as other
      from pg_constraint c join tandem.tracked_table a on a.relid = c.conrelid join tandem.tracked_table b on b.relid = c.confrelid
      where c.contype = 'f'),
    reached as (
      select u as id from unnest(p_tables) u
      union
      select case when e.one = r.id then e.other else e.one end from reached r join edges e on r.id in (e.one, e.other))
    select coalesce(array_agg(id order by id), '{}') from reached);
end $$;
comment on function tandem.related_tables(integer[]) is 'Tables connected by foreign keys.';

-- tandem.relations_to_lock(p_tables) -> jsonb
-- ["table, log, blocks", ...]: the tables with their logs, quoted, in the order of their ids. To be locked IN ACCESS SHARE MODE before the first
-- snapshot of the reading transaction: a table that is rewritten in between reads as empty.
create or replace function tandem.relations_to_lock(p_tables integer[]) returns jsonb
language plpgsql stable as $$
begin
  return (
    select coalesce(jsonb_agg(concat_ws(', ', format('%I.%I, tandem_log.%I', t.schema_name, t.table_name, t.log_name),
      'tandem_log.' || quote_ident(t.blocks_name)) order by t.table_id), '[]')
    from tandem.tracked_table t where t.table_id = any (p_tables));
end $$;
comment on function tandem.relations_to_lock(integer[]) is 'What is locked to read a batch.';

-- tandem.write_out_before(p_tables, p_from, p_peer_id, p_keys) -> bigint
-- Before a batch of these tables is read: blocks that it would look for single keys in are written out; how many entries that were. They are left
-- where the batch is a good part of the log, which is then read in one pass, unless p_keys (keys are asked for, or the table is copied)
-- or each key's known versions are sent.
create or replace function tandem.write_out_before(p_tables integer[], p_from pg_snapshot, p_peer_id integer, p_keys boolean) returns bigint
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_all bigint;
  v_batch bigint;
  v_total bigint := 0;
begin
  for t in select * from tandem.tracked_table x where x.table_id = any (p_tables) and tandem.has_blocks(x.table_id) order by x.table_id loop
    v_batch := 0;
    if not p_keys and t.conflict_policy not like 'prefer: %' and cardinality(tandem.not_forwarded(p_peer_id)) < 2 then
      execute format('select sum(b.rows), coalesce(sum(b.rows) filter (where b.xid >= $1), 0) from tandem_log.%I b', t.blocks_name) into v_all, v_batch
      using pg_snapshot_xmax(p_from);
      v_all := v_all + pg_relation_size(format('tandem_log.%I', t.log_name)) / 70;   -- an entry takes 70 bytes or more
      if v_batch * 50 < v_all then
        execute format('select $2 + count(*) from (select from tandem_log.%I l where l.xid >= $1 order by l.xid limit $3) x', t.log_name) into v_batch
        using pg_snapshot_xmax(p_from), v_batch, v_all / 50 + 1;
      end if;
    end if;
    if v_batch = 0 or v_batch * 50 < v_all then
      v_total := v_total + tandem.write_out(t.table_id);
    end if;
  end loop;
  return v_total;
end $$;
comment on function tandem.write_out_before(integer[], pg_snapshot, integer, boolean) is 'Writes out blocks that a batch would look into.';

-- tandem.batch_header(p_peer_id, p_tables) -> jsonb
-- What goes with every batch: {"horizon", "vector" (whether rows must name the versions known here), "known": {table's id:
-- position of the target that this node has applied}}.
create or replace function tandem.batch_header(p_peer_id integer, p_tables integer[]) returns jsonb
language plpgsql stable as $$
begin
  return (
    select jsonb_build_object('horizon', n.horizon, 'vector', cardinality(tandem.not_forwarded(p_peer_id)) > 1,
      'known', (select coalesce(jsonb_object_agg(t.table_id,
          case when b.state is null or b.state = 'copy' then null when b.state = 'flow' then i.position::text else b.position::text end), '{}')
        from tandem.tracked_table t
        left join tandem.inbound i on i.peer_id = p_peer_id
        left join tandem.inbound_table b on b.peer_id = p_peer_id and (b.schema_name, b.table_name) = (t.schema_name, t.table_name)
        where t.table_id = any (p_tables)))
    from tandem.local_node n);
end $$;
comment on function tandem.batch_header(integer, integer[]) is 'What goes with a batch.';
