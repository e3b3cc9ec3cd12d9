-- The newest entries of a large batch, found by going through all of it instead of looking for each key, and with what they are joined to rows.

-- tandem.newest_of_all(p_table, p_from, p_to, p_peer_id) -> {"sent", "apart"}, or null
-- Not null: every entry that this batch sends of a table is newer than every other entry of its log. Then the newest entry of each key is found
-- among them, by one sort, and need not be looked up key by key. How many they are, and whether no two of them are of one key (known only of single whole
-- numbers, and where the table has no blocks). Asked only where the log is large and the batch more than a twentieth of it; so is a
-- catch-up after one side alone has written much. The log is read once as a whole; the session remembers which was the newest stamp up to p_to
-- (tandem.newest_ID: the position and the stamp), and where the next batch begins no earlier, only what came after that is read.
create or replace function tandem.newest_of_all(p_table tandem.tracked_table, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer) returns jsonb
language plpgsql stable as $$
declare
  v_log text := format('tandem_log.%I', p_table.log_name);
  v_blocks text;
  v_entries bigint := pg_relation_size(v_log) / 70;   -- each takes 70 bytes or more
  v_in_blocks bigint := 0;
  v_sent bigint := 0;
  v_newest boolean;
  v_setting text := 'tandem.newest_' || p_table.table_id;
  v_known text[] := string_to_array(current_setting(v_setting, true), '|', '');
  v_before timestamptz;
  v_upto timestamptz;
  v_apart text := 'false';
  v_said jsonb;
  v_pinned text := current_setting('enable_seqscan');
begin
  if p_from is null then
    return null;
  end if;
  if tandem.has_blocks(p_table.table_id) then
    v_blocks := format('tandem_log.%I', p_table.blocks_name);
    execute format('select sum(b.rows), coalesce(sum(b.rows) filter (where b.xid >= $1), 0) from %s b', v_blocks) into v_in_blocks, v_sent
    using pg_snapshot_xmax(p_from);
  elsif not tandem.is_large(v_log) then
    return null;
  elsif p_table.key_types in ('{smallint}', '{integer}', '{bigint}') then
    v_apart := 'count(distinct l.k1) filter (where l.sent) = count(*) filter (where l.sent)';
  end if;
  v_newest := v_sent * 20 > v_entries + v_in_blocks;
  if not v_newest then
    execute format('select exists (select from %s where xid >= $1 order by xid offset %s limit 1)', v_log, (v_entries + v_in_blocks) / 20) into v_newest
    using pg_snapshot_xmax(p_from);
  end if;
  -- What a cut keeps back is newer, mostly: all of it need not be read to see that.
  if v_newest then
    execute format('select (select xid from %s where xid >= $1 order by xid limit 1) is null', v_log) into v_newest using pg_snapshot_xmax(p_to);
  end if;
  if v_newest then
    -- What is visible there is in p_from too: nothing that this batch sends.
    if pg_snapshot_xmax(v_known[1]::pg_snapshot) <= pg_snapshot_xmax(p_from)
      and not exists (select from pg_snapshot_xip(p_from) x where pg_visible_in_snapshot(x, v_known[1]::pg_snapshot)) then
      v_before := v_known[2]::timestamptz;
      -- The planner would read all of the log.
      perform set_config('enable_seqscan', 'off', true);
    end if;
    execute format('select case when min(l.oldest) filter (where l.sent) > coalesce(greatest(max(l.stamp) filter (where not l.sent), $1), ''-infinity'')
          then jsonb_build_object(''sent'', count(*) filter (where l.sent), ''apart'', %s) end,
        greatest(max(l.stamp) filter (where pg_visible_in_snapshot(l.xid, $2)), $1)
        from (%s) l', v_apart, (select string_agg(format('select l.xid, l.stamp%s, %s as oldest, coalesce(%s, false) as sent from %s l %s', case when v_apart <> 'false' then ', l.k1' end, x.oldest, tandem.sent_entries(p_from, p_to, p_peer_id), x.name,
            case when v_before is not null then 'where ' || tandem.since(v_known[1]::pg_snapshot) end), ' union all ')
          from (values ('l.stamp', v_log), ('l.oldest', v_blocks)) x (oldest, name) where x.name is not null)) into v_said, v_upto using v_before, p_to;
    perform set_config('enable_seqscan', v_pinned, true), set_config(v_setting, concat_ws('|', p_to, v_upto), false);
  end if;
  return v_said;
end $$;
comment on function tandem.newest_of_all(tandem.tracked_table, pg_snapshot, pg_snapshot, integer) is 'Whether a batch is newer than all else in a log.';

-- tandem.are_apart(p_table, p_condition) -> boolean, tandem.entries_apart(p_table, p_condition) -> text
-- Whether most entries l for which a condition holds are in blocks, and no two of all are of one key, for the ranges of the blocks do not touch each
-- other, nor the keys of the other entries: no block holds a key twice. And the query of entries no two of which are of one key: in the blocks' order, without a
-- sort, or where there are none by key.
create or replace function tandem.are_apart(p_table tandem.tracked_table, p_condition text) returns boolean
language plpgsql stable as $$
declare
  v_apart boolean := false;
begin
  if tandem.has_blocks(p_table.table_id) and tandem.has_least(p_table) then
    execute format('with x as materialized (select l.k1 as least, l.k1 as most, 1 as single, 0 as rows from tandem_log.%1$I l where %3$s limit 1001),
          y as (select * from x union all select l.least, l.most, 0, l.rows from tandem_log.%2$I l where %3$s)
        select count(*) filter (where y.single = 1) <= least(1000, sum(y.rows)) and bool_and(coalesce(y.least > y.before, y.before is null and y.least is not null))
        from (select y.*, lag(y.most) over (order by y.least, y.most) as before from y) y',
      p_table.log_name, p_table.blocks_name, p_condition) into v_apart;
  end if;
  return coalesce(v_apart, false);
end $$;
comment on function tandem.are_apart(tandem.tracked_table, text) is 'Whether no two entries of a batch are of one key.';

create or replace function tandem.entries_apart(p_table tandem.tracked_table, p_condition text) returns text
language plpgsql stable as $$
declare
  v_count integer := cardinality(p_table.key_columns);
begin
  if not tandem.has_blocks(p_table.table_id) then
    return format('select l.xid, l.stamp, %1$s, l.received_from, l.op, l.origin from tandem_log.%2$I l where %3$s order by %1$s',
      array_to_string(tandem.key_names('l', v_count), ', '), p_table.log_name, p_condition);
  end if;
  return format('select b.xid, coalesce(u.stamp, b.stamp) as stamp, %1$s, b.received_from, b.op, b.origin from (select l.* from tandem_log.%2$I l where %4$s order by l.least) b
      cross join lateral unnest(b.stamps, %3$s) u (stamp, %5$s)
    union all select l.xid, l.stamp, %6$s, l.received_from, l.op, l.origin from tandem_log.%7$I l where %4$s',
    array_to_string(tandem.key_names('u', v_count), ', '), p_table.blocks_name, array_to_string(tandem.key_names('b', v_count), ', '), p_condition,
    array_to_string(array(select 'k' || i from generate_series(1, v_count) i), ', '), array_to_string(tandem.key_names('l', v_count), ', '), p_table.log_name);
end $$;
comment on function tandem.entries_apart(tandem.tracked_table, text) is 'Query of entries no two of which are of one key.';

-- tandem.repeats_from() -> integer: how many entries a key has, on average, from which on they are grouped by key instead of sorted.
create or replace function tandem.repeats_from() returns integer
language sql immutable as $$
  select 8
$$;
comment on function tandem.repeats_from() is 'Entries of a key from which on they are grouped.';

-- tandem.repeats(p_table, p_from) -> boolean
-- Whether the keys of the entries after a position have so many each, as far as the first of them show, and all are in the log itself.
create or replace function tandem.repeats(p_table tandem.tracked_table, p_from pg_snapshot) returns boolean
language plpgsql stable as $$
declare
  v_repeats boolean := false;
begin
  if not tandem.has_blocks(p_table.table_id) then
    execute format('select count(*) * tandem.repeats_from() <= sum(x.entries) from (select count(*) as entries from (select %1$s from tandem_log.%2$I l where l.xid >= $1 order by l.xid limit 1000) l group by %1$s) x',
      array_to_string(tandem.key_names('l', cardinality(p_table.key_columns)), ', '), p_table.log_name) into v_repeats using pg_snapshot_xmax(p_from);
  end if;
  return coalesce(v_repeats, false);
end $$;
comment on function tandem.repeats(tandem.tracked_table, pg_snapshot) is 'Whether the entries after a position are of few keys.';

-- tandem.is_much_of(p_table, p_entries) -> boolean
-- Whether so many entries are a quarter of the rows of a table or more (the dead ones counted, of which an update leaves one each), as
-- far as the planner knows the table, and both can be had in one order: then going along both costs less than to look each row up (187 and 297 ms for
-- 100,000 of as many). A wrong guess costs time, nothing else.
create or replace function tandem.is_much_of(p_table tandem.tracked_table, p_entries bigint) returns boolean
language plpgsql stable as $$
begin
  return p_table.key_types <@ '{smallint,integer,bigint,uuid}' and not tandem.has_blocks(p_table.table_id) and exists (
    select from pg_class c where c.oid = p_table.relid and c.relkind = 'r' and c.reltuples > 0 and c.relpages > 0
      and p_entries > c.reltuples * (pg_relation_size(c.oid) / current_setting('block_size')::integer) / c.relpages / 4);
end $$;
comment on function tandem.is_much_of(tandem.tracked_table, bigint) is 'Whether entries are of many rows of a table.';

-- tandem.join_in_order(p_in_order) -> void
-- Whether the statements of this transaction that follow join what has one order by going along both sides, whatever the planner thinks of a log that
-- has just grown; false: as it was before.
create or replace function tandem.join_in_order(p_in_order boolean) returns void
language plpgsql as $$
declare
  v_before text[] := string_to_array(nullif(current_setting('tandem.joins', true), ''), ' ');
begin
  if p_in_order and v_before is null then
    perform set_config('tandem.joins', concat_ws(' ', current_setting('enable_nestloop'), current_setting('enable_hashjoin'), current_setting('enable_mergejoin')), true),
      set_config('enable_nestloop', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'on', true);
  elsif not p_in_order and v_before is not null then
    perform set_config('enable_nestloop', v_before[1], true), set_config('enable_hashjoin', v_before[2], true), set_config('enable_mergejoin', v_before[3], true),
      set_config('tandem.joins', '', true);
  end if;
end $$;
comment on function tandem.join_in_order(boolean) is 'How the statements that follow are joined.';

-- tandem.newest_entries(p_table, p_condition, p_repeats) -> text, tandem.has_more(p_table) -> text
-- Query of the newest entry of each key among the entries l for which a condition holds, and the condition that such a key has another. By one sort,
-- upwards: mostly they lie in the log in that order already, and a sort sees that. p_repeats: of few keys, all in the log itself: then by its newest stamp,
-- which needs no sort, and one look.
create or replace function tandem.newest_entries(p_table tandem.tracked_table, p_condition text, p_repeats boolean default false) returns text
language plpgsql stable as $$
declare
  v_count integer := cardinality(p_table.key_columns);
  v_keys text := array_to_string(tandem.key_names('l', v_count), ', ');
begin
  if p_repeats then
    return format('select l.*, %1$s from (select %2$s, max(l.stamp) as newest, count(*) as entries from tandem_log.%3$I l where %4$s group by %2$s order by %2$s) m
        cross join lateral (select l.* from tandem_log.%3$I l where %5$s and l.stamp = m.newest and (%4$s) order by l.origin desc limit 1) l',
      (select string_agg(format('case when m.entries > 1 then l.k%1$s end as last%1$s', i), ', ' order by i) from generate_series(1, v_count) i),
      v_keys, p_table.log_name, p_condition, tandem.all_equal(p_table.key_operators, tandem.key_names('l', v_count), tandem.key_names('m', v_count)));
  end if;
  return format('select l.* from (select l.*, %2$s from tandem_log.%3$I l where %4$s window w as (order by %1$s, l.stamp, l.origin)) l where (%5$s) is not true',
    v_keys,
    (select string_agg(format('lead(l.k%1$s) over w as next%1$s, lag(l.k%1$s) over w as last%1$s', i), ', ' order by i) from generate_series(1, v_count) i),
    tandem.looked_in(p_table, false), p_condition,
    tandem.all_equal(p_table.key_operators, array(select 'l.next' || i from generate_series(1, v_count) i), tandem.key_names('l', v_count)));
end $$;
comment on function tandem.newest_entries(tandem.tracked_table, text, boolean) is 'Query of the newest entries of all keys.';

create or replace function tandem.has_more(p_table tandem.tracked_table) returns text
language plpgsql stable as $$
begin
  -- Never null: else what stands behind an AND is looked at for each row.
  return format('coalesce(%s, false)', tandem.all_equal(p_table.key_operators, array(select 'n.last' || i from generate_series(1, cardinality(p_table.key_columns)) i),
    tandem.key_names('k', cardinality(p_table.key_columns))));
end $$;
comment on function tandem.has_more(tandem.tracked_table) is 'Condition that a key has more than one entry.';
