-- Blocks: many entries in one row, their keys in arrays. An entry of its own costs a row and two places in indexes, half as much again as the
-- application's insert itself; in a block it costs next to nothing. Statements of many rows and large batches are captured and noted so, and what
-- looks for single keys has the blocks written out as entries first: later, and by whom nobody waits for. Whoever reads all entries reads the view
-- of both, in which a block is what its entries are; they move from one to the other in one transaction, transaction ids kept.

-- tandem.block_rows() -> integer: how many entries a block holds at most. tandem.block_least() -> integer: fewer are not worth one.
-- tandem.block_after() -> integer: so many rows of a statement have entries of their own before anybody asks whether there are more.
create or replace function tandem.block_rows() returns integer
language sql immutable as $$
  select 1000
$$;
comment on function tandem.block_rows() is 'How many entries a block holds at most.';

create or replace function tandem.block_least() returns integer
language sql immutable as $$
  select 500
$$;
comment on function tandem.block_least() is 'How many entries are worth a block.';

create or replace function tandem.block_after() returns integer
language sql immutable as $$
  select 100
$$;
comment on function tandem.block_after() is 'How many rows of a statement have entries of their own.';

-- tandem.fits_blocks(p_relid, p_key_columns) -> boolean
-- Whether keys of these columns can be in a block: there are no arrays of arrays, and unnest takes a composite value apart.
create or replace function tandem.fits_blocks(p_relid oid, p_key_columns text[]) returns boolean
language sql stable as $$
  select bool_and(t.typtype in ('b', 'e', 'r') and t.typcategory <> 'A' and t.typarray <> 0)
  from pg_attribute a join pg_type t on t.oid = tandem.base_type(a.atttypid)
  where a.attrelid = p_relid and a.attname = any (p_key_columns) and not a.attisdropped
$$;
comment on function tandem.fits_blocks(oid, text[]) is 'Whether keys can be in a block.';

-- tandem.has_least(p_table) -> boolean: whether the type of the key's first column knows a least value.
create or replace function tandem.has_least(p_table tandem.tracked_table) returns boolean
language sql stable as $$
  select exists (
    select from pg_attribute a cross join lateral (select tandem.base_type(a.atttypid) as oid) b
    join pg_proc p on p.proname = 'min' and p.pronamespace = 'pg_catalog'::regnamespace
      and p.proargtypes[0] in (b.oid, case when b.oid = 'varchar'::regtype then 'text'::regtype end)
    where a.attrelid = p_table.relid and a.attname = p_table.key_columns[1] and not a.attisdropped)
$$;
comment on function tandem.has_least(tandem.tracked_table) is 'Whether the key''s first column knows a least value.';

-- tandem.make_blocks(p_table_id) -> void
-- Creates the table of a log's blocks, where its key fits one, and the view of all entries. stamp is the newest and oldest the oldest one of a
-- block; stamps, where they differ, those of its entries; rows their number; least and most span the first column of its keys (null: unknown).
create or replace function tandem.make_blocks(p_table_id integer) returns void
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_types text[];
  v_names text[];
  v_keys text;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_types := tandem.log_types(t.relid, t.key_columns);
  v_names := array(select 'k' || i from generate_series(1, cardinality(t.key_columns)) i);
  v_keys := array_to_string(v_names, ', ');
  if t.blocks_name is not null then
    execute format('create table tandem_log.%I (xid xid8 not null, oldest timestamptz not null, stamp timestamptz not null, received_from integer,'
      ' op "char" not null, origin text collate "C" not null, rows integer not null, least %s, most %s, stamps timestamptz[], %s)',
      t.blocks_name, v_types[1], v_types[1],
      (select string_agg(format('k%s %s not null', u.i, regexp_replace(u.type, '( collate .*)?$', '[]\1')), ', ' order by u.i)
       from unnest(v_types) with ordinality u (type, i)));
    -- Not compressed: that would cost as much as the entries' indexes.
    execute format('alter table tandem_log.%I %s', t.blocks_name,
      (select string_agg(format('alter %s set storage external', u), ', ') from unnest(v_names || 'stamps'::text) u));
    execute format('create index on tandem_log.%I (xid)', t.blocks_name);
    execute format('comment on table tandem_log.%I is %L', t.blocks_name,
      format('Change log of %I.%I: entries that were written many at a time.', t.schema_name, t.table_name));
  end if;
  execute format('create view tandem_log.%I as select l.xid, l.stamp, %s, l.received_from, l.op, l.blind, l.origin from tandem_log.%I l%s',
    t.entries_name, array_to_string(tandem.key_names('l', cardinality(v_names)), ', '), t.log_name,
    case when t.blocks_name is not null then format(' union all select b.xid, coalesce(u.stamp, b.stamp), %s, b.received_from, b.op, false, b.origin'
      ' from tandem_log.%I b cross join lateral unnest(b.stamps, %s) u (stamp, %s)',
      array_to_string(tandem.key_names('u', cardinality(v_names)), ', '), t.blocks_name, array_to_string(tandem.key_names('b', cardinality(v_names)), ', '), v_keys) end);
  execute format('comment on view tandem_log.%I is %L', t.entries_name, format('Change log of %I.%I: all entries.', t.schema_name, t.table_name));
end $$;
comment on function tandem.make_blocks(integer) is 'Creates the blocks of a log and the view of all entries.';

-- tandem.block_insert(p_table, p_fields, p_values, p_rows) -> text
-- The statement that writes blocks of the rows of p_rows (a query of block, the number of the block that a row goes into, k1..., and stamp, op, origin where p_values name them).
-- p_fields, p_values: fields beside those that follow from the rows, and what goes into them; rows with other values of op and origin
-- are in blocks of their own where p_apart.
create or replace function tandem.block_insert(p_table tandem.tracked_table, p_fields text, p_values text, p_rows text, p_apart boolean) returns text
language sql stable as $$
  select format('insert into tandem_log.%1$I (xid, %2$s, rows, least, most, %3$s) select pg_current_xact_id(), %4$s, count(*), %5$s, %6$s from (%7$s) x group by x.block%8$s',
    p_table.blocks_name, p_fields, array_to_string(k.names, ', '), p_values,
    case when tandem.has_least(p_table) then 'min(x.k1), max(x.k1)' else 'null, null' end,
    (select string_agg(format('array_agg(x.%s)', u), ', ') from unnest(k.names) u), p_rows,
    case when p_apart then ', x.op, x.origin' else '' end)
  from (select array(select 'k' || i from generate_series(1, cardinality(p_table.key_columns)) i) as names) k
$$;
comment on function tandem.block_insert(tandem.tracked_table, text, text, text, boolean) is 'The statement that writes blocks.';

-- tandem.raise_block_floor(p_stamp) -> void
-- What this node writes from now on is newer than p_stamp, that of a block: so who captures one row need not look into the blocks for its key.
-- A sequence, as the other floors (see capture/stamp.sql), but raised by whoever captures, in turn: the turn is a row lock that is given back
-- at once, by rolling back to a savepoint, which leaves the sequence where it is. Nobody waits for the end of another's transaction.
create or replace function tandem.raise_block_floor(p_stamp timestamptz) returns void
language plpgsql as $$
declare
  v_us bigint := tandem.to_us(p_stamp);
begin
  perform 1 from tandem.block_floor_turn for update;
  if v_us > coalesce(pg_sequence_last_value('tandem.block_floor'), 0) then
    perform setval('tandem.block_floor', v_us);
  end if;
  raise exception using errcode = 'TD009';
exception when sqlstate 'TD009' then
  null;
end $$;
comment on function tandem.raise_block_floor(timestamptz) is 'Raises the floor under stamps to that of a block.';

-- tandem.write_out(p_table_id, p_limit, p_known) -> bigint
-- Writes the blocks of a log out as entries; returns how many. What somebody else is writing out meanwhile is waited for; with p_limit no more than so
-- many blocks, and nobody is waited for. p_known: only those that all peers have.
create or replace function tandem.write_out(p_table_id integer, p_limit bigint default null, p_known boolean default false) returns bigint
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_keys text;
  v_count bigint := 0;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  if t.blocks_name is not null then
    v_keys := array_to_string(tandem.key_names('u', cardinality(t.key_columns)), ', ');
    execute format('with b as (
        delete from tandem_log.%1$I where ctid = any (array(
          select b.ctid from tandem_log.%1$I b%7$s order by b.ctid limit $1 for update of b %6$s)) returning *)
      insert into tandem_log.%2$I (xid, stamp, %3$s, received_from, op, origin)
      select b.xid, coalesce(u.stamp, b.stamp), %4$s, b.received_from, b.op, b.origin from b cross join lateral unnest(b.stamps, %5$s) u (stamp, %3$s) order by %4$s',
      t.blocks_name, t.log_name, array_to_string(array(select 'k' || i from generate_series(1, cardinality(t.key_columns)) i), ', '), v_keys,
      array_to_string(tandem.key_names('b', cardinality(t.key_columns)), ', '), case when p_limit is not null then 'skip locked' end,
      case when p_known then ' where not exists (select from tandem.outbound o join tandem.peer p using (peer_id)
        where p.configured and not coalesce(pg_visible_in_snapshot(b.xid, o.acknowledged), false))' end)
    using p_limit;
    get diagnostics v_count = row_count;
  end if;
  return v_count;
end $$;
comment on function tandem.write_out(integer, bigint, boolean) is 'Writes blocks out as entries.';

-- tandem.has_blocks(p_table_id) -> boolean: whether a table has blocks that are not written out. tandem.tables_with_blocks() -> setof integer: the
-- ids of all that have.
create or replace function tandem.has_blocks(p_table_id integer) returns boolean
language plpgsql stable as $$
declare
  v_name text := (select t.blocks_name from tandem.tracked_table t where t.table_id = p_table_id);
  v_there boolean := false;
begin
  if v_name is not null and pg_relation_size(format('tandem_log.%I', v_name)) > 0 then
    execute format('select exists (select from tandem_log.%I)', v_name) into v_there;
  end if;
  return v_there;
end $$;
comment on function tandem.has_blocks(integer) is 'Whether a table has blocks.';

create or replace function tandem.tables_with_blocks() returns setof integer
language plpgsql stable as $$
begin
  return query select t.table_id from tandem.tracked_table t join pg_class c on c.relname = t.blocks_name and c.relnamespace = 'tandem_log'::regnamespace
  where case when pg_relation_size(c.oid) > 0 then tandem.has_blocks(t.table_id) end order by t.table_id;
end $$;
comment on function tandem.tables_with_blocks() is 'The tables that have blocks.';

-- tandem.tidy(p_limit) -> boolean
-- Writes out some blocks that all peers have, p_limit at most; whether there may be more. For whoever has nothing else to do: what a peer is still
-- to read is read the faster from blocks.
create or replace function tandem.tidy(p_limit bigint default 50) returns boolean
language plpgsql as $$
declare
  v_table integer;
  v_left bigint := p_limit;
begin
  for v_table in select tandem.tables_with_blocks() loop
    v_left := v_left - ceil(tandem.write_out(v_table, v_left, true) / tandem.block_rows()::numeric);
    exit when v_left <= 0;
  end loop;
  return v_left <= 0;
end $$;
comment on function tandem.tidy(bigint) is 'Writes out some blocks.';
