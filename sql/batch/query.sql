-- The COPY queries that a source's rows leave by. All of them yield the columns of a staging table, in its order (see
-- apply/stage.sql): the key, op, present, stamp, origin, known_stamps, known_origins, parked_there, unsettled, unplaced, asked,
-- then the given columns.

-- tandem.batch_query(p_table_id, p_from, p_to, p_peer_id, p_columns, p_unplaced, p_keys, p_vector, p_asked) -> text
-- Per key with an entry in the batch, or named in p_keys ([["1"],["2"]], the key's columns as text): the newest version over the
-- whole snapshot, and the row itself or nothing when it is gone. Left out: what was received from the target, and what was
-- received from a node that the target has a link of its own from (but see has_returned); never where entry and row disagree (a deletion came in while
-- the row's insert was not committed yet): that is unsettled, whoever sent the entry. p_unplaced: columns that the target lacks.
-- p_vector: which versions of the row that this node knew are sent: null none, 'newest' one per node, 'all' those the log still names; 'newest' at least where a node is preferred.
-- p_asked: the keys are those of the closure, to be looked at only.
create or replace function tandem.batch_query(p_table_id integer, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer,
  p_columns text[], p_unplaced text[], p_keys jsonb default '[]', p_vector text default null,
  p_asked boolean default false) returns text
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  v_count integer;
  v_entries text;
  v_apart boolean;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_count := cardinality(t.key_columns);
  perform tandem.refuse_blocks(t, p_vector is not null or t.conflict_policy like 'prefer: %');
  if p_keys = '[]' and tandem.newest_of_all(t, p_from, p_to, p_peer_id) then
    v_entries := tandem.sent_entries(p_from, p_to, p_peer_id);
    v_apart := tandem.are_apart(t, v_entries);
    return format('select %1$s from (%2$s) n cross join lateral (select %3$s) k left join %4$I.%5$I t on %6$s',
      tandem.sent_columns(t, p_peer_id, p_columns, p_unplaced, p_vector, 'n.stamp', 'n.origin', p_asked, case when v_apart then 'false' else tandem.has_more(t) end),
      case when v_apart then tandem.entries_apart(t, v_entries) else tandem.newest_entries(t, v_entries, tandem.repeats(t, p_from)) end,
      array_to_string(tandem.key_names('n', v_count), ', '),
      t.schema_name, t.table_name, tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('k', v_count)));
  end if;
  return tandem.keys_query(t, p_peer_id, p_columns, p_unplaced, p_vector, p_asked,
    concat_ws(' union all ',
      case when p_from is not null then format('select %s, false as named from tandem_log.%I l where %s',
        array_to_string(tandem.key_names('l', v_count), ', '), t.entries_name, tandem.sent_entries(p_from, p_to, p_peer_id)) end,
      case when p_from is null or jsonb_array_length(p_keys) > 0 then format('select %s, true as named from jsonb_array_elements(%L) x',
        (select string_agg(format('(x ->> %s)::%s as k%s', u.i - 1, u.type, u.i), ', ' order by u.i)
         from unnest(t.key_types) with ordinality u (type, i)), p_keys) end));
end $$;
comment on function tandem.batch_query(integer, pg_snapshot, pg_snapshot, integer, text[], text[], jsonb, text, boolean) is 'The COPY query of one table in a batch.';

-- tandem.refuse_blocks(p_table, p_where) -> void
-- Where p_where: error 40001 if the table has blocks in this snapshot, written since tandem.write_out_before; each row would go through all of them.
create or replace function tandem.refuse_blocks(p_table tandem.tracked_table, p_where boolean) returns void
language plpgsql stable as $$
begin
  if p_where and tandem.has_blocks(p_table.table_id) then
    raise exception 'many rows of %.% were written while a batch was about to be read', quote_ident(p_table.schema_name), quote_ident(p_table.table_name)
      using errcode = '40001';
  end if;
end $$;
comment on function tandem.refuse_blocks(tandem.tracked_table, boolean) is 'Refuses to look for many single keys in blocks.';

-- tandem.keys_query(p_table, p_peer_id, p_columns, p_unplaced, p_vector, p_asked, p_keys, p_look) -> text
-- The query of the keys that p_keys yields (k1, ..., named), as batch_query has it. p_look: it will be run more than once, so whether a key of the
-- peer's is parked here is looked up in each run. Where the table has blocks the newest entries are found by one pass over all.
create or replace function tandem.keys_query(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[], p_vector text,
  p_asked boolean, p_keys text, p_look boolean default false) returns text
language plpgsql stable as $$
declare
  v_first text := format('t.%I', p_table.key_columns[1]);
  v_count integer := cardinality(p_table.key_columns);
  v_newest text;
  v_more text := 'true';
begin
  if not p_look and tandem.has_blocks(p_table.table_id) then
    v_more := tandem.has_more(p_table);
    v_newest := format('left join (%s) n on %s %s',
      tandem.newest_entries(p_table, format('exists (select from (%s) e where %s)', p_keys, tandem.all_equal(p_table.key_operators, tandem.key_names('e', v_count), tandem.key_names('l', v_count)))),
      tandem.all_equal(p_table.key_operators, tandem.key_names('n', v_count), tandem.key_names('k', v_count)), tandem.join_row(p_table, 'k'));
  end if;
  return format('select %1$s from (select %2$s, bool_or(e.named) as named from (%3$s) e group by %2$s order by %2$s) k %4$s where k.named or n.received_from is null or n.received_from <> all (%5$L::integer[]) or (n.op = ''D'') = (%6$s is distinct from null)%7$s',
    tandem.sent_columns(p_table, p_peer_id, p_columns, p_unplaced, p_vector,
      format('coalesce(n.stamp, case when %s is distinct from null then timestamptz ''0001-01-01 00:00:00+00'' end)', v_first),
      format('coalesce(n.origin, case when %s is distinct from null then '''' end)', v_first), p_asked, v_more, p_look),
    array_to_string(tandem.key_names('e', v_count), ', '), p_keys, coalesce(v_newest, tandem.newest_and_row(p_table, 'k', p_look)),
    tandem.not_forwarded(p_peer_id), v_first, case when tandem.has_returned(p_peer_id) then ' or n.op = ''D''' end);
end $$;
comment on function tandem.keys_query(tandem.tracked_table, integer, text[], text[], text, boolean, text, boolean) is 'The query of given keys in a batch.';

-- tandem.sent_to(p_peer_id) -> text: condition on entries l that they may be sent to the peer.
create or replace function tandem.sent_to(p_peer_id integer) returns text
language plpgsql stable as $$
begin
  return format('(l.received_from is null or l.received_from <> all (%L::integer[])%s)', tandem.not_forwarded(p_peer_id),
    case when tandem.has_returned(p_peer_id) then ' or l.op = ''D''' end);
end $$;
comment on function tandem.sent_to(integer) is 'Condition for the entries that are sent to a peer.';

-- tandem.sent_entries(p_from, p_to, p_peer_id) -> text: the same for those of a batch.
create or replace function tandem.sent_entries(p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer) returns text
language plpgsql stable as $$
begin
  return concat_ws(' and ', tandem.between(p_from, p_to), tandem.sent_to(p_peer_id));
end $$;
comment on function tandem.sent_entries(pg_snapshot, pg_snapshot, integer) is 'Condition for the entries of a batch that are sent.';

-- tandem.has_returned(p_peer_id) -> boolean
-- Whether a peer came back and has not been compared with this node in both directions. Until then it is told of every deletion that is
-- remembered here, whoever made it: that node may have pruned its own entry, and would take the row for one that it never had.
create or replace function tandem.has_returned(p_peer_id integer) returns boolean
language sql stable as $$
  select exists (select from tandem.inbound_table b where b.peer_id = p_peer_id and b.rejoin = 'survivor' and b.state in ('copy', 'catch_up'))
$$;
comment on function tandem.has_returned(integer) is 'Whether a peer came back and is still to be compared.';

-- tandem.newest_of_all(p_table, p_from, p_to, p_peer_id) -> boolean
-- Whether every entry that this batch sends of a table is newer than every other entry of its log: then the newest entry of each key is found
-- among them, by one sort, and need not be looked up key by key. Asked only where the log is large and the batch more than a twentieth of it; so is a
-- catch-up after one side alone has written much. The log is read once as a whole; the session remembers which was the newest stamp up to p_to
-- (tandem.newest_ID: the position and the stamp), and where the next batch begins no earlier, only what came after that is read.
create or replace function tandem.newest_of_all(p_table tandem.tracked_table, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer) returns boolean
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
  v_pinned text := current_setting('enable_seqscan');
begin
  if p_from is null then
    return false;
  end if;
  if tandem.has_blocks(p_table.table_id) then
    v_blocks := format('tandem_log.%I', p_table.blocks_name);
    execute format('select sum(b.rows), coalesce(sum(b.rows) filter (where b.xid >= $1), 0) from %s b', v_blocks) into v_in_blocks, v_sent
    using pg_snapshot_xmax(p_from);
  elsif not tandem.is_large(v_log) then
    return false;
  end if;
  v_newest := v_sent * 20 > v_entries + v_in_blocks;
  if not v_newest then
    execute format('select exists (select from %s where xid >= $1 order by xid offset %s limit 1)', v_log, (v_entries + v_in_blocks) / 20) into v_newest
    using pg_snapshot_xmax(p_from);
  end if;
  if v_newest then
    -- What is visible there is in p_from too: nothing that this batch sends.
    if pg_snapshot_xmax(v_known[1]::pg_snapshot) <= pg_snapshot_xmax(p_from)
      and not exists (select from pg_snapshot_xip(p_from) x where pg_visible_in_snapshot(x, v_known[1]::pg_snapshot)) then
      v_before := v_known[2]::timestamptz;
      -- The planner would read all of the log.
      perform set_config('enable_seqscan', 'off', true);
    end if;
    execute format('select coalesce(min(l.oldest) filter (where l.sent) > coalesce(greatest(max(l.stamp) filter (where not l.sent), $1), ''-infinity''), false),
        greatest(max(l.stamp) filter (where pg_visible_in_snapshot(l.xid, $2)), $1)
        from (%s) l', (select string_agg(format('select l.xid, l.stamp, %s as oldest, coalesce(%s, false) as sent from %s l %s', x.oldest, tandem.sent_entries(p_from, p_to, p_peer_id), x.name,
            case when v_before is not null then 'where ' || tandem.since(v_known[1]::pg_snapshot) end), ' union all ')
          from (values ('l.stamp', v_log), ('l.oldest', v_blocks)) x (oldest, name) where x.name is not null)) into v_newest, v_upto using v_before, p_to;
    perform set_config('enable_seqscan', v_pinned, true), set_config(v_setting, concat_ws('|', p_to, v_upto), false);
  end if;
  return v_newest;
end $$;
comment on function tandem.newest_of_all(tandem.tracked_table, pg_snapshot, pg_snapshot, integer) is 'Whether a batch is newer than all else in a log.';

-- tandem.are_apart(p_table, p_condition) -> boolean, tandem.entries_apart(p_table, p_condition) -> text
-- Whether most entries l for which a condition holds are in blocks, and no two of all are of one key, for the ranges of the blocks do not touch each
-- other, nor the keys of the other entries: no block holds a key twice. And the query of them, in the blocks' order, without a sort.
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
    p_table.entries_name, p_condition,
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

-- tandem.not_forwarded(p_peer_id) -> integer[]
-- Peers whose changes this node does not send to p_peer_id: itself, and those it hears directly.
create or replace function tandem.not_forwarded(p_peer_id integer) returns integer[]
language plpgsql stable as $$
begin
  return (
    select array_agg(s.peer_id order by s.peer_id)
    from tandem.peer s where s.peer_id = p_peer_id or tandem.forwarded_by_other(s.peer_id, p_peer_id));
end $$;
comment on function tandem.not_forwarded(integer) is 'Whose changes are not sent on to a peer.';

-- tandem.looked_in(p_table, p_none) -> text
-- Name of what entries of single keys are looked for in, in this snapshot: the log, if there are no blocks. p_none: there will be none when it is run.
create or replace function tandem.looked_in(p_table tandem.tracked_table, p_none boolean) returns text
language plpgsql stable as $$
begin
  return case when p_none or not tandem.has_blocks(p_table.table_id) then p_table.log_name else p_table.entries_name end;
end $$;
comment on function tandem.looked_in(tandem.tracked_table, boolean) is 'What entries of single keys are looked for in.';

-- tandem.newest_and_row(p_table, p_alias, p_no_blocks) -> text, tandem.newest_entry(p_table, p_alias, p_no_blocks) -> text, tandem.join_row(p_table, p_alias) -> text
-- Joins to the keys in p_alias: n, the newest entry, and t, the row; each of them alone. p_no_blocks: see looked_in.
create or replace function tandem.newest_and_row(p_table tandem.tracked_table, p_alias text, p_no_blocks boolean default false) returns text
language plpgsql stable as $$
begin
  return tandem.newest_entry(p_table, p_alias, p_no_blocks) || ' ' || tandem.join_row(p_table, p_alias);
end $$;
comment on function tandem.newest_and_row(tandem.tracked_table, text, boolean) is 'Joins of a key with its newest entry and its row.';

create or replace function tandem.newest_entry(p_table tandem.tracked_table, p_alias text, p_no_blocks boolean default false) returns text
language plpgsql stable as $$
declare
  v_entry text[] := tandem.key_names('l', cardinality(p_table.key_columns));
begin
  return format('left join lateral (select l.op, l.stamp, l.origin, l.received_from, l.xid from tandem_log.%I l where %s order by %s, l.stamp desc, l.origin desc limit 1) n on true',
    tandem.looked_in(p_table, p_no_blocks), tandem.all_equal(p_table.key_operators, v_entry, tandem.key_names(p_alias, cardinality(v_entry))),
    array_to_string(array(select u || ' desc' from unnest(v_entry) u), ', '));
end $$;
comment on function tandem.newest_entry(tandem.tracked_table, text, boolean) is 'Join of a key with its newest entry.';

create or replace function tandem.join_row(p_table tandem.tracked_table, p_alias text) returns text
language plpgsql stable as $$
begin
  return format('left join %I.%I t on %s', p_table.schema_name, p_table.table_name,
    tandem.all_equal(p_table.key_operators, tandem.columns('t', p_table.key_columns), tandem.key_names(p_alias, cardinality(p_table.key_columns))));
end $$;
comment on function tandem.join_row(tandem.tracked_table, text) is 'Join of a key with its row.';

-- tandem.sent_key_type(p_type) -> text: the type in which a key of this type is sent and staged: integers are the widest one, as in the logs.
create or replace function tandem.sent_key_type(p_type text) returns text
language sql immutable as $$
  select case when p_type in ('smallint', 'integer') then 'bigint' else p_type end
$$;
comment on function tandem.sent_key_type(text) is 'The type in which a key is sent.';

-- tandem.staged_key(p_number, p_type) -> text: such a key of a staged row s as its column's own type; null where that does not hold it.
create or replace function tandem.staged_key(p_number bigint, p_type text) returns text
language sql immutable as $$
  select case p_type when 'integer' then format('case when s.k%1$s between -2147483648 and 2147483647 then s.k%1$s::integer end', p_number)
    when 'smallint' then format('case when s.k%1$s between -32768 and 32767 then s.k%1$s::smallint end', p_number)
    else 's.k' || p_number end
$$;
comment on function tandem.staged_key(bigint, text) is 'A staged key as its column has it.';

-- tandem.sent_columns(...) -> text
-- The select list. Unsettled: the newest entry and the row disagree, two transactions share the newest version, or a later transaction
-- made an older entry blindly: a serializable one that wrote the row has seen all earlier ones, so its entry should have been the newest.
-- p_more: condition that the key has more than one entry, where that is known; 'none': no key has any. p_look: see keys_query; it is not run while there are blocks.
create or replace function tandem.sent_columns(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[],
  p_vector text, p_stamp text, p_origin text, p_asked boolean, p_more text default 'true', p_look boolean default false) returns text
language plpgsql stable as $$
begin
  return (
    select concat_ws(', ',
      (select string_agg(case when tandem.sent_key_type(u.type) <> u.type then format('k.k%s::%s', u.i, tandem.sent_key_type(u.type)) else 'k.k' || u.i end, ', ' order by u.i)
       from unnest(p_table.key_types) with ordinality u (type, i)),
      'n.op',
      x.present,
      p_stamp, p_origin,
      case when x.vector then format('(select array_agg(v.stamp order by v.origin, v.stamp) from (%s) v)', x.known) else 'null' end,
      case when x.vector then format('(select array_agg(v.origin order by v.origin, v.stamp) from (%s) v)', x.known) else 'null' end,
      case when p_look or exists (select from tandem.parked_change c where c.peer_id = p_peer_id
          and (c.schema_name, c.table_name) = (p_table.schema_name, p_table.table_name))
        then format('exists (select from tandem.parked_change c where c.peer_id = %s and %s)', p_peer_id,
          tandem.same_parked_key(p_table, 'c', tandem.key_names('k', cardinality(p_table.key_columns))))
        else 'false' end,
      case when p_more = 'none' then 'false' else format('coalesce((n.op = ''D'') = (%1$s) or (n.received_from is null and (%4$s and exists (select from tandem_log.%2$I l where %3$s and l.stamp = n.stamp and l.origin = n.origin and l.received_from is null and l.xid <> n.xid)
          or ((select l.k1 from tandem_log.%5$I l where l.blind order by l.k1 limit 1) is not null and exists (select from tandem_log.%5$I l where %3$s and l.blind and l.xid > n.xid and l.stamp < n.stamp)))), false)',
        x.present, tandem.looked_in(p_table, p_look), x.same_key, p_more, p_table.log_name) end,
      case when cardinality(p_unplaced) = 0 then 'null'
        else format('nullif(concat_ws('', '', %s), '''')',
          (select string_agg(format('case when t.%1$I is distinct from null then %1$L end', u), ', ') from unnest(p_unplaced) u)) end,
      p_asked::text,
      nullif(array_to_string(tandem.columns('t', p_columns), ', '), ''))
    from (select
      p_vector is not null or p_table.conflict_policy like 'prefer: %' as vector,
      format('t.%I is distinct from null', p_table.key_columns[1]) as present,
      tandem.all_equal(p_table.key_operators, tandem.key_names('l', cardinality(p_table.key_columns)), tandem.key_names('k', cardinality(p_table.key_columns))) as same_key,
      format(case p_vector when 'all' then 'select l.origin, l.stamp from tandem_log.%I l where %s'
          else 'select l.origin, max(l.stamp) as stamp from tandem_log.%I l where %s group by l.origin' end, tandem.looked_in(p_table, p_look),
        tandem.all_equal(p_table.key_operators, tandem.key_names('l', cardinality(p_table.key_columns)), tandem.key_names('k', cardinality(p_table.key_columns)))) as known
    ) x);
end $$;
comment on function tandem.sent_columns(tandem.tracked_table, integer, text[], text[], text, text, text, boolean, text, boolean) is 'The select list of a COPY query.';
