-- First copy: ranges of keys, each read in a transaction of its own, so that it can be interrupted and no provider's time-out
-- ends it. What changes meanwhile comes by the log.

-- tandem.copy_order(p_table, p_alias) -> text[]
-- The key's columns as the copy orders them: as they are, or as text where the type is not PostgreSQL's own (its comparison
-- operators cannot be named without its schema).
create or replace function tandem.copy_order(p_table tandem.tracked_table, p_alias text) returns text[]
language sql stable as $$
  select array_agg(case when t.typnamespace = 'pg_catalog'::regnamespace or t.typtype = 'e' then format('%s.%I', p_alias, u.name)
    else format('%s.%I::text collate "C"', p_alias, u.name) end order by u.i)
  from unnest(p_table.key_columns) with ordinality u (name, i)
  join pg_attribute a on a.attrelid = p_table.relid and a.attname = u.name
  join pg_type t on t.oid = a.atttypid
$$;
comment on function tandem.copy_order(tandem.tracked_table, text) is 'Expressions by which a copy orders keys.';

-- tandem.copy_range(p_table, p_after, p_upto) -> text: condition for the keys after the one (null: from the first) and up to the other
-- (null: to the last).
create or replace function tandem.copy_range(p_table tandem.tracked_table, p_after text[], p_upto text[]) returns text
language sql stable as $$
  select coalesce(nullif(concat_ws(' and ',
    case when p_after is not null then format('(%s) > (%s)', o.columns, tandem.copy_values(p_table, p_after)) end,
    case when p_upto is not null then format('(%s) <= (%s)', o.columns, tandem.copy_values(p_table, p_upto)) end), ''), 'true')
  from (select array_to_string(tandem.copy_order(p_table, 't'), ', ') as columns) o
$$;
comment on function tandem.copy_range(tandem.tracked_table, text[], text[]) is 'Condition for a range of keys.';

create or replace function tandem.copy_values(p_table tandem.tracked_table, p_key text[]) returns text
language sql stable as $$
  select string_agg(case when u.expression like '%::text collate "C"' then quote_literal(p_key[u.i])
    else format('%L::%s', p_key[u.i], p_table.key_types[u.i]) end, ', ' order by u.i)
  from unnest(tandem.copy_order(p_table, 't')) with ordinality u (expression, i)
$$;
comment on function tandem.copy_values(tandem.tracked_table, text[]) is 'A key as literals for a range.';

-- tandem.copy_bound(p_table_id, p_after, p_rows) -> text[]
-- The key at which a range of p_rows rows after p_after ends; null when fewer are left. To count that many keys reads the index (20 to 35 ms for
-- 50,000): where they are whole numbers most of which are taken, as a sequence gives them, the range ends at a number, and holds fewer rows.
create or replace function tandem.copy_bound(p_table_id integer, p_after text[], p_rows bigint) returns text[]
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  v_key text[];
  v_order text;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_order := array_to_string(tandem.copy_order(t, 't'), ', ');
  if t.key_types in ('{bigint}', '{integer}') then
    -- 50 numbers of the range, at no regular distance
    execute format('select array[(x.first + %4$s - 1)::text] from (select t.%1$I::bigint as first from %2$I.%3$I t where %5$s order by t.%1$I limit 1) x
      where x.first < 9223372036854775807 - %4$s and exists (select from %2$I.%3$I t where t.%1$I > x.first + %4$s - 1)
        and 40 <= (select count(*) from generate_series(1, 50) g where exists (select from %2$I.%3$I t where t.%1$I = x.first + (g * 7919) %% %4$s))',
      t.key_columns[1], t.schema_name, t.table_name, p_rows, tandem.copy_range(t, p_after, null))
    into v_key;
  end if;
  if v_key is null then
    execute format('select array[%s] from %I.%I t where %s order by %s offset %s limit 1',
      (select string_agg(u || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) u),
      t.schema_name, t.table_name, tandem.copy_range(t, p_after, null), v_order, p_rows - 1)
    into v_key;
  end if;
  return v_key;
end $$;
comment on function tandem.copy_bound(integer, text[], bigint) is 'Where a range of a first copy ends.';

-- tandem.copy_query(p_table_id, p_peer_id, p_after, p_upto, p_columns, p_unplaced, p_vector) -> {"query", "columns"}
-- The rows of a range, each with its version: its newest entry, else its updated_at column (times in the future count as now),
-- else the unknown version; the seed's rows with unknown version bear the seed's name, so that they win. Where a node came back, see
-- admin/rejoin.sql.
create or replace function tandem.copy_query(p_table_id integer, p_peer_id integer, p_after text[], p_upto text[],
  p_columns text[], p_unplaced text[], p_vector text default null) returns jsonb
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  v_none boolean;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  perform tandem.refuse_blocks(t, true);
  v_none := tandem.none_logged(t, p_after, p_upto);
  return (select tandem.query_of(
    tandem.sent_columns(t, p_peer_id, p_columns, p_unplaced, p_vector,
      format('coalesce(n.stamp, %s)', tandem.unlogged_stamp(t, 't', x.rejoin)), format('coalesce(n.origin, %s)', tandem.unlogged_origin(t, 't', x.rejoin)), false,
      case when v_none then 'none' else 'true' end),
    format('from %I.%I t cross join lateral (select %s) k %s where %s', t.schema_name, t.table_name,
      (select string_agg(format('t.%I as k%s', u.name, u.i), ', ' order by u.i) from unnest(t.key_columns) with ordinality u (name, i)),
      case when v_none then 'cross join lateral (select null::"char" as op, null::timestamptz as stamp, null::text as origin, null::integer as received_from, null::xid8 as xid) n'
        else tandem.newest_entry(t, 'k') end,
      tandem.copy_range(t, p_after, p_upto)))
  from (select (select b.rejoin from tandem.inbound_table b
    where (b.peer_id, b.schema_name, b.table_name) = (p_peer_id, t.schema_name, t.table_name)) as rejoin) x);
end $$;
comment on function tandem.copy_query(integer, integer, text[], text[], text[], text[], text) is 'The COPY query of a range of keys.';

-- tandem.none_logged(p_table, p_after, p_upto) -> boolean
-- Whether this snapshot knows no entry of a key in a range, by the first column of its bounds, and so none has to be looked for. False where that
-- would have to be counted: the log is not empty, and its keys are of a type that other indexes may order otherwise.
create or replace function tandem.none_logged(p_table tandem.tracked_table, p_after text[], p_upto text[]) returns boolean
language plpgsql stable as $$
declare
  v_none boolean := pg_relation_size(format('tandem_log.%I', p_table.log_name)) = 0;
begin
  if not v_none and p_table.key_types[1] in ('smallint', 'integer', 'bigint', 'date', 'timestamp with time zone', 'timestamp without time zone', 'uuid') then
    execute format('select not exists (select from tandem_log.%I l where %s and %s)', p_table.log_name,
      case when p_after is null then 'true' else format('l.k1 >= %L', p_after[1]) end, case when p_upto is null then 'true' else format('l.k1 <= %L', p_upto[1]) end)
    into v_none;
  end if;
  return v_none;
end $$;
comment on function tandem.none_logged(tandem.tracked_table, text[], text[]) is 'Whether a range of keys has no entries.';

-- tandem.unlogged_stamp(p_table, p_alias, p_rejoin), tandem.unlogged_origin(p_table, p_alias, p_rejoin) -> text
-- Expressions for the version of a row without an entry, as a first meeting counts it, or (p_rejoin) as it counts when a node came back.
create or replace function tandem.unlogged_stamp(p_table tandem.tracked_table, p_alias text, p_rejoin text default null) returns text
language plpgsql stable as $$
begin
  return (
    select case p_rejoin when 'survivor' then format('%L::timestamptz', tandem.log_begin())
      when 'restored' then 'timestamptz ''0001-01-01 00:00:00+00''' when 'replaced' then 'timestamptz ''0001-01-01 00:00:00+00'''
      else coalesce((select format('coalesce(least(%s.%I::timestamptz, clock_timestamp()), timestamptz ''0001-01-01 00:00:00+00'')', p_alias, u)
      from tandem.time_column(p_table) u), 'timestamptz ''0001-01-01 00:00:00+00''') end);
end $$;
comment on function tandem.unlogged_stamp(tandem.tracked_table, text, text) is 'Stamp of a row without an entry.';

create or replace function tandem.unlogged_origin(p_table tandem.tracked_table, p_alias text, p_rejoin text default null) returns text
language plpgsql stable as $$
begin
  return (
    select case p_rejoin when 'survivor' then quote_literal(n.name) when 'restored' then '''''' when 'replaced' then '''''' else coalesce((select format('case when %s.%I is null then %L else %L end', p_alias, u, s.origin, n.name) from tandem.time_column(p_table) u),
      quote_literal(s.origin)) end
    from tandem.local_node n cross join lateral (select case when n.seed = n.name then n.name else '' end as origin) s);
end $$;
comment on function tandem.unlogged_origin(tandem.tracked_table, text, text) is 'Origin of a row without an entry.';

-- tandem.time_column(p_table) -> text: the column that says when a row was last changed, if there is one.
create or replace function tandem.time_column(p_table tandem.tracked_table) returns setof text
language sql stable as $$
  select a.attname::text from pg_attribute a
  where a.attrelid = p_table.relid and not a.attisdropped and a.attname = coalesce(p_table.updated_at_column, 'updated_at')
    and a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
$$;
comment on function tandem.time_column(tandem.tracked_table) is 'The column by which rows without an entry are dated.';
