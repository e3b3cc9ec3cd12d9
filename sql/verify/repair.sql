-- Repair: the node that is right writes its row, or that there is none, anew; this travels to the others as an ordinary change. What
-- is overwritten there was seen by nobody, for it was changed behind the triggers' back: so its image is kept first, where it lies.
-- All functions take rows as [{"key": [...], "hash", "version", "stamp", ...}]: the key's columns as text, hash (null: no row) and
-- version as verify_look gave them, stamp in microseconds: that of the fresh entry. A row that is not as it was looked at is left alone.

-- tandem.repair_stamp() -> bigint: a stamp for a change made now, in microseconds.
create or replace function tandem.repair_stamp() returns bigint
language sql volatile as $$
  select tandem.to_us(tandem.next_stamp())
$$;
comment on function tandem.repair_stamp() is 'A stamp for a repair.';

-- tandem.repair_rows(p_spec, p_locked) -> text
-- Query over $1, the rows: n (their place), e (the row as given), k1... (the key), key (as it stands in the row; null: none), hash, columns and
-- texts (the image), version, op. p_locked: rows that exist are locked, and those that somebody else holds are missing from it.
create or replace function tandem.repair_rows(p_spec jsonb, p_locked boolean) returns text
language sql stable as $$
  select format($sql$
    select k.*, s.key, case when s.key is not null then (%1$s)::text end as hash, %2$L::text[] as columns, s.texts,
      coalesce(tandem.to_us(l.stamp) || ' ' || l.origin, '') as version, l.stamp, l.origin, l.op
    from (select x.n::integer as n, x.e, %3$s from jsonb_array_elements($1) with ordinality x (e, n)) k
    left join lateral (select array[%4$s] as key, array[%5$s] as texts, %6$s from %7$I.%8$I t where %9$s offset 0 %10$s) s on true
    left join lateral (select l.stamp, l.origin, l.op from tandem_log.%11$I l where %12$s order by %13$s, l.stamp desc, l.origin desc limit 1) l on true
  $sql$,
    v.hash, c.names,
    (select string_agg(format('(x.e -> ''key'' ->> %s)::%s as k%s', u.i - 1, u.type, u.i), ', ' order by u.i) from unnest(t.key_types) with ordinality u (type, i)),
    (select string_agg(u || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) u), c.texts,
    v.parts, t.schema_name, t.table_name,
    tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('k', cardinality(t.key_columns))),
    case when p_locked then 'for no key update skip locked' else '' end, t.entries_name,
    tandem.all_equal(t.key_operators, tandem.key_names('l', cardinality(t.key_columns)), tandem.key_names('k', cardinality(t.key_columns))),
    array_to_string(array(select u || ' desc' from unnest(tandem.key_names('l', cardinality(t.key_columns))) u), ', '))
  from tandem.tracked_table t
  cross join lateral tandem.verify_rows(p_spec, t) v
  cross join lateral (select array_agg(a.attname::text order by a.attnum) as names, string_agg(format('t.%I::text', a.attname), ', ' order by a.attnum) as texts
    from pg_attribute a where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped) c
  where t.table_id = (p_spec ->> 'id')::integer
$$;
comment on function tandem.repair_rows(jsonb, boolean) is 'Rows to be repaired, as they are now.';

-- tandem.repair_images(p_spec, p_rows) -> (n, columns, texts): the images that are to be written anew, each column as its own text.
create or replace function tandem.repair_images(p_spec jsonb, p_rows jsonb) returns table (n integer, columns text[], texts text[])
language plpgsql stable as $$
begin
  return query execute format('select r.n, r.columns, r.texts from (%s) r where r.hash = r.e ->> ''hash''', tandem.repair_rows(p_spec, false)) using p_rows;
end $$;
comment on function tandem.repair_images(jsonb, jsonb) is 'Images to be written anew.';

-- tandem.repair_keep(p_spec, p_rows, p_winner) -> (n, conflict_id)
-- Keeps the images that the fresh entries of node p_winner are going to overwrite here. Each row also has "columns" and "texts": the
-- winner's image, as text of arrays, null where it has no row. conflict_id is null where the same was kept before.
create or replace function tandem.repair_keep(p_spec jsonb, p_rows jsonb, p_winner text) returns table (n integer, conflict_id bigint)
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_peer integer;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_spec ->> 'id')::integer;
  -- With a link of its own where there is one; else the image stands under the neighbour by whom the change may come.
  select p.peer_id into strict v_peer from tandem.inbound i join tandem.peer p using (peer_id) where p.configured order by p.name <> p_winner, p.peer_id limit 1;
  return query execute format($sql$
    with r as materialized (%1$s), fit as (
      select r.*, tandem.from_us((r.e ->> 'stamp')::bigint) as fresh from r where r.key is not null and r.hash = r.e ->> 'hash' and r.version = r.e ->> 'version'),
    kept as (
      insert into tandem.conflict as c (peer_id, schema_name, table_name, key, kind, rule, winner, local_stamp, local_origin,
        incoming_stamp, incoming_origin, local_columns, local_values, incoming_columns, incoming_values)
      select %2$s, %3$L, %4$L, f.key, concat(case f.op when 'I' then 'insert' when 'D' then 'delete' else 'update' end, '/',
          case when f.e ->> 'texts' is null then 'delete' else 'update' end), 'repair', 'incoming',
        coalesce(f.stamp, '0001-01-01 00:00:00+00'), coalesce(f.origin, ''), f.fresh, %5$L, f.columns, f.texts, (f.e ->> 'columns')::text[], (f.e ->> 'texts')::text[]
      from fit f
      on conflict do nothing
      returning c.key, c.conflict_id)
    select f.n, k.conflict_id from fit f left join kept k on k.key = f.key
  $sql$, tandem.repair_rows(p_spec, false), v_peer, t.schema_name, t.table_name, p_winner)
  using p_rows;
end $$;
comment on function tandem.repair_keep(jsonb, jsonb, text) is 'Keeps images that a repair overwrites.';

-- tandem.repair_anew(p_spec, p_rows) -> integer[]
-- Enters the rows into the log anew, as changes that this node makes now, and those that are not there as deletions; returns the
-- places of those that are as they were looked at and that nobody else holds. Locks: these rows, FOR NO KEY UPDATE, without waiting.
create or replace function tandem.repair_anew(p_spec jsonb, p_rows jsonb) returns integer[]
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_done integer[];
  v_op text;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_spec ->> 'id')::integer;
  execute format('select array_agg(r.n) from (%s) r where r.hash is not distinct from r.e ->> ''hash'' and r.version = r.e ->> ''version''
      and (r.hash is not null or not exists (select from %I.%I t where %s))',
    tandem.repair_rows(p_spec, true), t.schema_name, t.table_name,
    tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('r', cardinality(t.key_columns))))
  into v_done using p_rows;
  foreach v_op in array array['U', 'D'] loop
    execute tandem.capture_insert(t, (select name from tandem.local_node), 'o.fresh', v_op, tandem.key_names('o', cardinality(t.key_columns)),
      format('from (select tandem.from_us((x.e ->> ''stamp'')::bigint) as fresh, %s from jsonb_array_elements($1) with ordinality x (e, n)
          where x.n = any ($2) and (x.e ->> ''hash'' is null) = %L) o',
        (select string_agg(format('(x.e -> ''key'' ->> %s)::%s as k%s', u.i - 1, u.type, u.i), ', ' order by u.i) from unnest(t.key_types) with ordinality u (type, i)),
        v_op = 'D'))
    using p_rows, v_done;
  end loop;
  return coalesce(v_done, '{}');
end $$;
comment on function tandem.repair_anew(jsonb, jsonb) is 'Enters rows into the log anew.';

-- tandem.repair_forget(p_ids) -> void: what was kept for a repair that did not come about.
create or replace function tandem.repair_forget(p_ids bigint[]) returns void
language sql as $$
  delete from tandem.conflict where conflict_id = any (p_ids) and rule = 'repair'
$$;
comment on function tandem.repair_forget(bigint[]) is 'Forgets what a repair kept in vain.';
