-- tandem.verify_links(p_schema, p_table) -> jsonb
-- How far each link into this node has come with one table: [{"source", "position", "state", "reason"}]. state: that of
-- tandem.inbound_table, or "new" where the link has not met the table; position: the table's own where it has one, else the link's; null
-- where nothing was applied yet.
create or replace function tandem.verify_links(p_schema text, p_table text) returns jsonb
language sql stable as $$
  select coalesce(jsonb_agg(jsonb_build_object('source', p.name, 'state', coalesce(b.state, 'new'), 'reason', b.reason,
    'position', case when b.state = 'flow' then i.position::text when b.state in ('held', 'catch_up') then b.position::text end)
    order by p.name), '[]')
  from tandem.inbound i join tandem.peer p using (peer_id)
  left join tandem.inbound_table b on b.peer_id = i.peer_id and (b.schema_name, b.table_name) = (p_schema, p_table)
  where p.configured
$$;
comment on function tandem.verify_links(text, text) is 'How far the links into this node have come with a table.';

-- tandem.verify_look(p_spec, p_keys, p_targets) -> rows, one per key
-- One look at keys ([["1"],["2"]]), in this transaction's snapshot: n (its place in p_keys), key (as it stands in the row; null: there is no row), hash
-- of the row, the newest entry (version: microseconds and origin, empty for none; op; xid; received_from as a name), pending: the targets that have not applied everything that this node
-- has entered for the key; parked: [{"source", "kind", "reason"}]. p_targets: [{"target", "position"}] as verify_links gave it, read before.
-- What was received from a target, or what reaches it by another link, does not wait for it.
create or replace function tandem.verify_look(p_spec jsonb, p_keys jsonb, p_targets jsonb)
returns table (n integer, key text, hash text, version text, op text, xid text, received_from text, pending text, parked text)
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  v record;
  v_count integer;
  v_pending text;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_spec ->> 'id')::integer;
  select * into v from tandem.verify_rows(p_spec, t);
  v_count := cardinality(t.key_columns);
  select string_agg(format('case when exists (select from tandem_log.%I l where %s and (l.xid >= %L::xid8 or l.xid = any (%L::xid8[]))
      and (l.received_from is null or l.received_from <> all (%L::integer[]))) then %L end',
    t.entries_name, tandem.all_equal(t.key_operators, tandem.key_names('l', v_count), tandem.key_names('k', v_count)),
    coalesce(pg_snapshot_xmax(x.position), '0'), case when x.position is null then '{}' else array(select pg_snapshot_xip(x.position)) end,
    tandem.not_forwarded(p.peer_id), p.name), ', ')
  into v_pending
  from (select e ->> 'target' as target, (e ->> 'position')::pg_snapshot as position from jsonb_array_elements(p_targets) e) x
  join tandem.peer p on p.name = x.target and p.configured
  join tandem.outbound o on o.peer_id = p.peer_id;
  return query execute format($sql$
    select k.n::integer, s.key, case when s.key is not null then (%1$s)::text end,
      coalesce(tandem.to_us(e.stamp) || ' ' || e.origin, ''), e.op::text, e.xid::text, p.name, nullif(concat_ws(',', %2$s), ''), w.parked
    from (select x.n, %3$s from jsonb_array_elements($1) with ordinality x (e, n)) k
    left join lateral (select to_jsonb(array[%4$s])::text as key, %5$s from %6$I.%7$I t where %8$s offset 0) s on true
    left join lateral (select l.stamp, l.origin, l.op, l.xid, l.received_from from tandem_log.%9$I l where %10$s
      order by %11$s, l.stamp desc, l.origin desc limit 1) e on true
    left join tandem.peer p on p.peer_id = e.received_from
    left join lateral (select jsonb_agg(jsonb_build_object('source', q.name, 'kind', c.kind, 'reason', c.reason) order by q.name)::text as parked
      from tandem.parked_change c join tandem.peer q using (peer_id)
      where %12$s) w on true
  $sql$,
    v.hash, coalesce(v_pending, 'null'),
    (select string_agg(format('(x.e ->> %s)::%s as k%s', u.i - 1, u.type, u.i), ', ' order by u.i) from unnest(t.key_types) with ordinality u (type, i)),
    (select string_agg(u || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) u),
    v.parts, t.schema_name, t.table_name,
    tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('k', v_count)),
    t.entries_name,
    tandem.all_equal(t.key_operators, tandem.key_names('l', v_count), tandem.key_names('k', v_count)),
    array_to_string(array(select u || ' desc' from unnest(tandem.key_names('l', v_count)) u), ', '),
    tandem.same_parked_key(t, 'c', tandem.key_names('k', v_count)))
  using p_keys;
end $$;
comment on function tandem.verify_look(jsonb, jsonb, jsonb) is 'One look at some keys.';
