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
    then n.name else tandem.object_name('', n.name, left(md5(p_schema || '.' || p_table), 8)) end
  from tandem.changelog_view_name(p_schema, p_table) n (name)
$$;
comment on function tandem.free_changelog_name(text, text) is 'Name of the view of a table''s change log that no other table has.';

-- tandem.synced(p_xid, p_received_from) -> boolean
-- Whether every peer this node sends to has acknowledged what transaction p_xid wrote (its source aside).
create or replace function tandem.synced(p_xid xid8, p_received_from integer) returns boolean
language sql stable as $$
  select not exists (select from tandem.outbound o join tandem.peer p using (peer_id)
    where p.configured and o.peer_id is distinct from p_received_from
      and not coalesce(pg_visible_in_snapshot(p_xid, o.acknowledged), false)
      and not tandem.forwarded_by_other(p_received_from, o.peer_id))
$$;
comment on function tandem.synced(xid8, integer) is 'Whether all peers have acknowledged a transaction.';

-- tandem.forwarded_by_other(p_received_from, p_peer_id) -> boolean
-- Whether what was received from one peer reaches the other by a link of its own, so that this node does not forward it.
create or replace function tandem.forwarded_by_other(p_received_from integer, p_peer_id integer) returns boolean
language sql stable as $$
  select coalesce((select s.name = any (t.receives_from)
    from tandem.peer s, tandem.peer t where s.peer_id = p_received_from and t.peer_id = p_peer_id), false)
$$;
comment on function tandem.forwarded_by_other(integer, integer) is 'Whether a peer gets something from its source directly.';

-- tandem.make_changelog_view(p_table_id) -> void
-- tandem.<table>_changelog: op, the key under its own names, changed_at, origin, synced. A key column that is named as one of
-- these gets "key_" in front.
create or replace function tandem.make_changelog_view(p_table_id integer) returns void
language plpgsql as $$
declare
  t tandem.tracked_table;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  if to_regclass(format('tandem.%I', t.changelog_view)) is not null then
    return;
  end if;
  execute format('create view tandem.%I as select l.op::text as op, %s, l.stamp as changed_at, l.origin,'
    ' tandem.synced(l.xid, l.received_from) as synced from tandem_log.%I l',
    t.changelog_view,
    (select string_agg(format('l.k%s as %I', u.i,
       case when u.name in ('op', 'changed_at', 'origin', 'synced') then 'key_' || u.name else u.name end), ', ' order by u.i)
     from unnest(t.key_columns) with ordinality u (name, i)),
    t.log_name);
  execute format('comment on view tandem.%I is %L', t.changelog_view,
    format('Captured changes of %I.%I; what waits: … where not synced.', t.schema_name, t.table_name));
end $$;
comment on function tandem.make_changelog_view(integer) is 'Makes the view of a table''s change log.';

-- tandem.entries(p_schema, p_table) -> rows
-- All entries of one table's log, whatever its key: key as text[].
create or replace function tandem.entries(p_schema text, p_table text)
returns table (key text[], op text, stamp timestamptz, origin text, received_from integer, xid xid8)
language plpgsql stable as $$
declare
  t tandem.tracked_table;
begin
  select * into t from tandem.tracked_table where schema_name = p_schema and table_name = p_table;
  if not found then
    raise exception 'table %.% is not tracked', quote_ident(p_schema), quote_ident(p_table) using errcode = 'TD010';
  end if;
  return query execute format('select array[%s], l.op::text, l.stamp, l.origin, l.received_from, l.xid from tandem_log.%I l',
    (select string_agg(format('l.k%s::text', i), ', ' order by i) from generate_series(1, cardinality(t.key_columns)) i), t.log_name);
end $$;
comment on function tandem.entries(text, text) is 'Entries of one change log.';

-- tandem.history(p_table, p_key) -> rows, newest first
-- What happened to one row: tandem.history('perfis', '42'), tandem.history('crm.perfis', '{42,pt}'). The key is compared as text.
create or replace function tandem.history(p_table text, p_key text)
returns table (changed_at timestamptz, op text, origin text, received_from text, synced boolean)
language sql stable as $$
  select e.stamp, e.op, e.origin, p.name, tandem.synced(e.xid, e.received_from)
  from tandem.tracked_table t
  cross join lateral tandem.entries(t.schema_name, t.table_name) e
  left join tandem.peer p on p.peer_id = e.received_from
  where (t.schema_name || '.' || t.table_name = p_table or (t.schema_name = 'public' and t.table_name = p_table))
    and tandem.key_text(e.key) = p_key
  order by e.stamp desc, e.origin desc
$$;
comment on function tandem.history(text, text) is 'The entries of one row, newest first.';
