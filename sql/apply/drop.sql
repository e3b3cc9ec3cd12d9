-- Parked changes that a person gives up. The row differs between the nodes from then on, until it changes again: what was given
-- up is kept, and status says so.

-- tandem.parked_row(p_parked_id) -> jsonb: {"peer", "schema", "table", "key": [...]} of a parked change; null: there is none.
create or replace function tandem.parked_row(p_parked_id bigint) returns jsonb
language sql stable as $$
  select jsonb_build_object('peer', p.name, 'schema', c.schema_name, 'table', c.table_name, 'key', to_jsonb(c.key))
  from tandem.parked_change c join tandem.peer p using (peer_id) where c.parked_id = p_parked_id
$$;
comment on function tandem.parked_row(bigint) is 'Which row a parked change is of.';

-- tandem.row_image(p_schema, p_table, p_key) -> jsonb
-- A row of a tracked table as its types write it, {"columns": [...], "values": [...]}; null: it is gone, or not tracked.
create or replace function tandem.row_image(p_schema text, p_table text, p_key text[]) returns jsonb
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  v_image jsonb;
begin
  select * into t from tandem.tracked_table where (schema_name, table_name) = (p_schema, p_table);
  if not found then
    return null;
  end if;
  execute (select format('select jsonb_build_object(''columns'', to_jsonb(%L::text[]), ''values'', to_jsonb(array[%s])) from %I.%I t where %s',
      array_agg(a.attname order by a.attnum), string_agg(tandem.text_of(format('t.%I', a.attname)), ', ' order by a.attnum), p_schema, p_table,
      tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns),
        array(select format('$1[%s]::%s', u.i, u.type) from unnest(t.key_types) with ordinality u (type, i) order by u.i)))
    from pg_attribute a where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped)
  into v_image using p_key;
  return v_image;
end $$;
comment on function tandem.row_image(text, text, text[]) is 'A row as its types write it.';

-- tandem.drop_parked(p_parked_id, p_reason, p_image) -> void
-- Gives a parked change up and keeps it in tandem.dropped_change, with the reason and, where the source could be asked, the image
-- (tandem.row_image; null: gone, or not known). What this node writes from now on is newer than the change, so that the next change of the
-- row, on either side, makes the nodes equal; not so a stamp from the future, which must not carry this node's clock along.
-- Locks the link's row: an applier that has staged reads its batch anew. Errors: TD020 no such parked change here.
create or replace function tandem.drop_parked(p_parked_id bigint, p_reason text, p_image jsonb) returns void
language plpgsql as $$
declare
  c tandem.parked_change;
begin
  perform 1 from tandem.inbound i join tandem.parked_change p using (peer_id) where p.parked_id = p_parked_id for no key update of i;
  delete from tandem.parked_change where parked_id = p_parked_id returning * into c;
  if not found then
    raise exception 'there is no parked change %', p_parked_id using errcode = 'TD020';
  end if;
  delete from tandem.staged where peer_id = c.peer_id;
  update tandem.dropped_change d set settled_at = clock_timestamp()
  where d.settled_at is null and (d.peer_id, d.schema_name, d.table_name, d.key) = (c.peer_id, c.schema_name, c.table_name, c.key);
  insert into tandem.dropped_change (parked_id, peer_id, schema_name, table_name, key, kind, refusal, sqlstate, stamp, origin, parked_at, attempts, reason, columns, image)
  select c.parked_id, c.peer_id, c.schema_name, c.table_name, c.key, c.kind, c.reason, c.sqlstate, c.stamp, c.origin, c.parked_at, c.attempts, p_reason,
    case when p_image is not null then array(select jsonb_array_elements_text(p_image -> 'columns')) end,
    case when p_image is not null then array(select jsonb_array_elements_text(p_image -> 'values')) end;
  if c.kind <> 'ahead' then
    perform tandem.raise_floor(c.peer_id, c.stamp);
  end if;
end $$;
comment on function tandem.drop_parked(bigint, text, jsonb) is 'Gives a parked change up.';

-- tandem.forget_parked(p_target, p_schema, p_table, p_key) -> void
-- At the source: the target waits for this key no longer, so its entries may be pruned as any others.
create or replace function tandem.forget_parked(p_target text, p_schema text, p_table text, p_key text[]) returns void
language sql as $$
  delete from tandem.outbound_parked k using tandem.peer p
  where p.peer_id = k.peer_id and p.name = p_target and (k.schema_name, k.table_name, k.key) = (p_schema, p_table, p_key)
$$;
comment on function tandem.forget_parked(text, text, text, text[]) is 'Notes that a target waits for a key no longer.';

-- tandem.dropped_open() -> setof bigint
-- Dropped changes whose row has not changed since, neither here nor by a peer: the nodes differ there. SECURITY DEFINER, for tandem.dropped
-- calls it with its reader's rights; it tells numbers only.
create or replace function tandem.dropped_open() returns setof bigint
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  d tandem.dropped_change;
  t tandem.tracked_table;
  v_changed boolean;
begin
  for d in select * from tandem.dropped_change x where x.settled_at is null loop
    select * into t from tandem.tracked_table x where (x.schema_name, x.table_name) = (d.schema_name, d.table_name);
    continue when not found or cardinality(t.key_columns) <> cardinality(d.key);
    execute format('select exists (select from tandem_log.%I l where %s and (l.stamp, l.origin) >= ($2, $3))', t.entries_name,
      tandem.all_equal(t.key_operators, tandem.key_names('l', cardinality(t.key_columns)),
        array(select format('$1[%s]::%s', u.i, u.type) from unnest(t.key_types) with ordinality u (type, i) order by u.i)))
    into v_changed using d.key, coalesce(d.stamp, '-infinity'), coalesce(d.origin, '');
    if not v_changed then
      return next d.dropped_id;
    end if;
  end loop;
end $$;
comment on function tandem.dropped_open() is 'Dropped changes whose rows have not changed since.';

-- tandem.settle_dropped() -> void
-- Before log entries are pruned: notes which dropped changes are over, for the entries are what shows it; and forgets those that were
-- over for as long as conflicts are kept.
create or replace function tandem.settle_dropped() returns void
language plpgsql as $$
begin
  update tandem.dropped_change d set settled_at = clock_timestamp()
  where d.settled_at is null and d.dropped_id not in (select o from tandem.dropped_open() o);
  delete from tandem.dropped_change d using tandem.local_node n where d.settled_at < clock_timestamp() - n.keep_conflicts;
end $$;
comment on function tandem.settle_dropped() is 'Notes which dropped changes are over.';
