-- tandem.changelog_view_name(p_schema, p_table) -> text
-- perfis_changelog, or crm_perfis_changelog outside schema public.
create or replace function tandem.changelog_view_name(p_schema text, p_table text) returns text
language sql immutable as $$
  select case when octet_length(n.name) <= 63 then n.name else replace(tandem.object_name('', p_schema, p_table || '_changelog'), '.', '_') end
  from (select case p_schema when 'public' then '' else p_schema || '_' end || p_table || '_changelog') n (name)
$$;
comment on function tandem.changelog_view_name(text, text) is 'Name of the view of a table''s change log.';

-- tandem.free_changelog_name(p_schema, p_table) -> text
-- That name, unless another table's view bears it (public.crm_perfis and crm.perfis): the later one gets a hash behind it.
create or replace function tandem.free_changelog_name(p_schema text, p_table text) returns text
language sql stable as $$
  select case when not exists (select from tandem.tracked_table t where t.changelog_view = n.name and (t.schema_name, t.table_name) <> (p_schema, p_table))
    then n.name else tandem.object_name('', n.name, left(md5(format('%I.%I', p_schema, p_table)), 8)) end
  from tandem.changelog_view_name(p_schema, p_table) n (name)
$$;
comment on function tandem.free_changelog_name(text, text) is 'Name of the view of a table''s change log that no other table has.';

-- tandem.synced_condition() -> text
-- Condition on a log's entry l: every peer that this node sends it to has acknowledged it. A text and no function of its own: a
-- function that reads tables costs many times as much for each row of a view, and who reads the view would need a right on it.
create or replace function tandem.synced_condition() returns text
language sql immutable as $$
  select 'not exists (select from tandem.outbound o join tandem.peer p using (peer_id)
    where p.configured and o.peer_id is distinct from l.received_from and not coalesce(pg_visible_in_snapshot(l.xid, o.acknowledged), false)
      and not exists (select from tandem.peer s where s.peer_id = l.received_from and s.gone_at is null and s.name = any (p.receives_from)))'
$$;
comment on function tandem.synced_condition() is 'Condition that all peers have acknowledged an entry.';

-- tandem.synced(p_xid, p_received_from) -> boolean: the same for one entry.
create or replace function tandem.synced(p_xid xid8, p_received_from integer) returns boolean
language plpgsql stable as $$
declare
  v_synced boolean;
begin
  execute format('select %s from (select $1 as xid, $2 as received_from) l', tandem.synced_condition()) into v_synced using p_xid, p_received_from;
  return v_synced;
end $$;
comment on function tandem.synced(xid8, integer) is 'Whether all peers have acknowledged an entry.';

-- tandem.forwarded_by_other(p_received_from, p_peer_id) -> boolean
-- Whether what was received from one peer reaches the other by a link of its own, so that this node does not forward it.
create or replace function tandem.forwarded_by_other(p_received_from integer, p_peer_id integer) returns boolean
language sql stable as $$
  select coalesce((select s.name = any (t.receives_from)
    from tandem.peer s, tandem.peer t where s.peer_id = p_received_from and s.gone_at is null and t.peer_id = p_peer_id), false)
$$;
comment on function tandem.forwarded_by_other(integer, integer) is 'Whether a peer gets something from its source directly.';

-- tandem.make_changelog_view(p_table_id) -> void
-- tandem.<table>_changelog: op, the key under its own names, changed_at, origin, synced (every peer has acknowledged it, and none has
-- its key parked or its table held). A key column that is named as one of these gets "key_" in front, as often as it takes.
create or replace function tandem.make_changelog_view(p_table_id integer) returns void
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_names text[];
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  if to_regclass(format('tandem.%I', t.changelog_view)) is not null then
    return;
  end if;
  v_names := t.key_columns;
  for i in 1..cardinality(v_names) loop
    while v_names[i] in ('op', 'changed_at', 'origin', 'synced') or v_names[i] = any (v_names[:i - 1] || v_names[i + 1:]) loop
      v_names[i] := 'key_' || v_names[i];
    end loop;
  end loop;
  execute format('create view tandem.%1$I as select l.op::text as op, %2$s, l.stamp as changed_at, l.origin,'
    ' %3$s and not exists (select from tandem.outbound_parked k join tandem.peer p using (peer_id)'
    ' where p.configured and %6$s)'
    ' and not exists (select from tandem.outbound_held h join tandem.peer p using (peer_id)'
    ' where p.configured and h.schema_name = %4$L and h.table_name = %5$L and h.peer_id is distinct from l.received_from'
    ' and not pg_visible_in_snapshot(l.xid, h.position)) as synced from tandem_log.%7$I l',
    t.changelog_view,
    (select string_agg(format('l.k%s as %I', u.i, u.name), ', ' order by u.i) from unnest(v_names) with ordinality u (name, i)),
    tandem.synced_condition(), t.schema_name, t.table_name,
    tandem.same_parked_key(t, 'k', tandem.key_names('l', cardinality(v_names))), t.entries_name);
  execute format('comment on view tandem.%I is %L', t.changelog_view,
    format('Captured changes of %I.%I; what waits: ... where not synced.', t.schema_name, t.table_name));
end $$;
comment on function tandem.make_changelog_view(integer) is 'Makes the view of a table''s change log.';

-- tandem.history(p_table, p_key) -> rows, newest first
-- What happened to one row: tandem.history('perfis', '42'), tandem.history('crm.perfis', '{42,pt}'). The key is compared as text.
create or replace function tandem.history(p_table text, p_key text)
returns table (changed_at timestamptz, op text, origin text, received_from text, synced boolean)
language plpgsql stable as $$
declare
  t tandem.tracked_table;
begin
  for t in
    select x.* from tandem.tracked_table x
    where p_table in (x.schema_name || '.' || x.table_name, format('%I.%I', x.schema_name, x.table_name)) or (x.schema_name = 'public' and x.table_name = p_table)
    order by x.table_id
  loop
    return query execute format('select l.stamp, l.op::text, l.origin, p.name, tandem.synced(l.xid, l.received_from)
      from tandem_log.%I l left join tandem.peer p on p.peer_id = l.received_from
      where tandem.key_text(array[%s]) = $1 order by l.stamp desc, l.origin desc',
      t.entries_name, (select string_agg(u || '::text', ', ') from unnest(tandem.key_names('l', cardinality(t.key_columns))) u))
    using p_key;
  end loop;
end $$;
comment on function tandem.history(text, text) is 'The entries of one row, newest first.';
