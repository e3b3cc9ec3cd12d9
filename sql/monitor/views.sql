-- Views for people and dashboards. They show; nothing decides by them.

-- tandem.image(p_columns, p_values) -> text: id = '42', name = 'Ana', note = null; null when the row was gone.
create or replace function tandem.image(p_columns text[], p_values text[]) returns text
language sql immutable as $$
  select string_agg(format('%I = %s', u.c, coalesce(quote_literal(u.v), 'null')), ', ' order by u.i)
  from unnest(p_columns, p_values) with ordinality u (c, v, i)
$$;
comment on function tandem.image(text[], text[]) is 'An image for people to read.';

-- tandem.unsynced(p_peer_id): entries that a peer has not acknowledged and is sent from here, over all tracked tables but Tandem's own, by the
-- log's index on xid. SECURITY DEFINER, and anybody may call it, for a view reads tables with its owner's rights but calls functions with its
-- reader's: who may read neither tandem.pending nor tandem.status gets an error (42501).
create or replace function tandem.unsynced(p_peer_id integer)
returns table (schema_name text, table_name text, op text, key text[], stamp timestamptz, origin text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  t tandem.tracked_table;
  v_from pg_snapshot;
  v_skip integer[] := tandem.not_forwarded(p_peer_id);
  v_reader name := coalesce(nullif(current_setting('role'), 'none'), session_user);
begin
  if not (has_table_privilege(v_reader, 'tandem.pending', 'select') or has_table_privilege(v_reader, 'tandem.status', 'select')) then
    raise exception 'permission denied: "%" may read neither tandem.pending nor tandem.status', v_reader using errcode = '42501';
  end if;
  select o.acknowledged into v_from from tandem.outbound o where o.peer_id = p_peer_id;
  v_from := coalesce(v_from, '1:1:'::pg_snapshot);
  for t in select * from tandem.tracked_table x where x.schema_name <> 'tandem' order by x.schema_name, x.table_name loop
    return query execute format(
      'select %L::text, %L::text, l.op::text, array[%s], l.stamp, l.origin from tandem_log.%I l
       where (l.xid >= pg_snapshot_xmax($1) or l.xid in (select pg_snapshot_xip($1)))
         and (l.received_from is null or l.received_from <> all ($2))',
      t.schema_name, t.table_name,
      (select string_agg(format('l.k%s::text', i), ', ' order by i) from generate_series(1, cardinality(t.key_columns)) i), t.entries_name)
    using coalesce((select h.position from tandem.outbound_held h
      where (h.peer_id, h.schema_name, h.table_name) = (p_peer_id, t.schema_name, t.table_name)), v_from), v_skip;
  end loop;
end $$;
comment on function tandem.unsynced(integer) is 'Entries that a peer has not acknowledged.';

create or replace view tandem.pending as
select p.name as peer, case u.schema_name when 'public' then u.table_name else u.schema_name || '.' || u.table_name end as "table",
  u.op, tandem.key_text(u.key) as key, u.stamp as changed_at
from tandem.outbound o
join tandem.peer p using (peer_id)
cross join lateral tandem.unsynced(o.peer_id) u
where p.configured;
comment on view tandem.pending is 'One row per change that a peer has not acknowledged.';

create or replace view tandem.parked as
select c.parked_id as id, p.name as peer,
  case c.schema_name when 'public' then c.table_name else c.schema_name || '.' || c.table_name end as "table",
  tandem.key_text(c.key) as key, c.kind, c.reason, c.sqlstate, c.parked_at, c.attempts, c.tried_at, c.next_try_at
from tandem.parked_change c join tandem.peer p using (peer_id);
comment on view tandem.parked is 'Changes from a peer that could not be applied here and wait.';

create or replace view tandem.dropped as
select d.dropped_id as id, p.name as peer,
  case d.schema_name when 'public' then d.table_name else d.schema_name || '.' || d.table_name end as "table",
  tandem.key_text(d.key) as key, d.kind, d.refusal, d.parked_at, d.dropped_at, d.dropped_by, d.reason,
  tandem.image(d.columns, d.image) as image, d.dropped_id in (select o from tandem.dropped_open() o) as differs
from tandem.dropped_change d join tandem.peer p using (peer_id);
comment on view tandem.dropped is 'Parked changes that a person gave up; differs: the row has not changed since. A null image: gone, or not known.';

create or replace view tandem.conflicts as
select tandem.conflict_id(c) as id, c.detected_at, p.name as peer,
  case c.schema_name when 'public' then c.table_name else c.schema_name || '.' || c.table_name end as "table",
  tandem.key_text(c.key) as key, c.kind, c.rule, c.winner,
  case c.winner when 'local' then c.local_origin else c.incoming_origin end as winner_origin,
  case c.winner when 'local' then c.local_stamp else c.incoming_stamp end as winner_changed_at,
  case c.winner when 'local' then c.incoming_origin else c.local_origin end as loser_origin,
  case c.winner when 'local' then c.incoming_stamp else c.local_stamp end as loser_changed_at,
  tandem.image(c.local_columns, c.local_values) as local_image,
  tandem.image(c.incoming_columns, c.incoming_values) as incoming_image, c.restored_at
from tandem.conflict c join tandem.peer p using (peer_id);
comment on view tandem.conflicts is 'Conflicts decided here, both images kept; a null image: the row was gone. The id is the same on every node.';

create or replace view tandem.nodes as
select n.name, true as here, n.incarnation, null::timestamptz as acknowledged_at, null::timestamptz as applied_at
from tandem.local_node n
union all
select p.name, false, p.incarnation, o.acknowledged_at, i.applied_at
from tandem.peer p left join tandem.outbound o using (peer_id) left join tandem.inbound i using (peer_id)
where p.configured;
comment on view tandem.nodes is 'This node and its peers.';

create or replace view tandem.status as
select p.name as peer,
  u.pending, u.oldest_pending,
  (select count(*) from tandem.parked_change c where c.peer_id = p.peer_id) as parked,
  (select count(*) from tandem.conflict c where c.peer_id = p.peer_id and c.detected_at > now() - interval '24 hours') as conflicts_24h,
  (select count(*) from tandem.inbound_table b where b.peer_id = p.peer_id and b.state = 'copy') as tables_copying,
  (select count(*) from tandem.inbound_table b where b.peer_id = p.peer_id and b.state = 'held') as tables_held,
  i.position is not null as met, i.applied_at, i.caught_up_at, o.acknowledged_at, i.rows_applied, i.batches_cut, i.clock_skew,
  i.last_error, i.last_error_at,
  (select count(*) from tandem.outbound_parked k where k.peer_id = p.peer_id and k.key <> '{}') as parked_there,
  (select count(*) from tandem.dropped_change d where d.peer_id = p.peer_id and d.dropped_id in (select o from tandem.dropped_open() o)) as dropped,
  l.paused_at, l.paused_by, i.lag, i.heartbeat, i.heartbeat_at
from tandem.peer p
cross join lateral (select count(*) as pending, min(x.stamp) as oldest_pending from tandem.unsynced(p.peer_id) x) u
left join tandem.inbound i using (peer_id)
left join tandem.outbound o using (peer_id)
left join tandem.paused_link l using (peer_id)
where p.configured;
comment on view tandem.status is 'One row per peer: what waits in either direction, and since when all was well.';

create or replace view tandem.kept as
select p.name as peer, p.configured, u.changes, u.oldest, o.acknowledged_at
from tandem.outbound o
join tandem.peer p using (peer_id)
cross join lateral (select count(*) as changes, min(x.stamp) as oldest from tandem.unsynced(p.peer_id) x) u;
comment on view tandem.kept is 'What is kept here for each peer until it has it, also for one that the configuration names no longer.';

create or replace view tandem.sidecar as
select l.label, l.taken_at as since, l.renewed_at as seen_at, tandem.lease_stands(l) as working
from tandem.lease l;
comment on view tandem.sidecar is 'The sidecar that works on the links into this node, if it has been heard of in time.';
