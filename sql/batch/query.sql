-- The COPY queries that a source's rows leave by, each with the names of the staging table's columns that it yields, in that table's order (see
-- apply/stage.sql): the key, then of op, present, stamp, origin, known_stamps, known_origins, parked_there, unsettled, unplaced, asked what is not the same for all
-- rows, then the given columns.

-- tandem.batch_query(p_table_id, p_from, p_to, p_peer_id, p_columns, p_unplaced, p_keys, p_vector, p_asked) -> {"query", "columns"}
-- Per key with an entry in the batch, or named in p_keys ([["1"],["2"]], the key's columns as text): the newest version over the
-- whole snapshot, and the row itself or nothing when it is gone. Left out: what was received from the target, and what was
-- received from a node that the target has a link of its own from (but see has_returned); never where entry and row disagree (a deletion came in while
-- the row's insert was not committed yet): that is unsettled, whoever sent the entry. p_unplaced: columns that the target lacks.
-- p_vector: which versions of the row that this node knew are sent: null none, 'newest' one per node, 'all' those the log still names; 'newest' at least where a node is preferred.
-- p_asked: the keys are those of the closure, to be looked at only. Sets how the query is to be joined (join_in_order), for this transaction.
create or replace function tandem.batch_query(p_table_id integer, p_from pg_snapshot, p_to pg_snapshot, p_peer_id integer,
  p_columns text[], p_unplaced text[], p_keys jsonb default '[]', p_vector text default null,
  p_asked boolean default false) returns jsonb
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  v_count integer;
  v_entries text;
  v_newest jsonb;
  v_apart boolean;
  v_repeats boolean;
begin
  perform tandem.join_in_order(false);
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_count := cardinality(t.key_columns);
  perform tandem.refuse_blocks(t, p_vector is not null or t.conflict_policy like 'prefer: %');
  if p_keys = '[]' then
    v_newest := tandem.newest_of_all(t, p_from, p_to, p_peer_id);
  end if;
  if v_newest is not null then
    v_entries := tandem.sent_entries(p_from, p_to, p_peer_id);
    v_apart := (v_newest ->> 'apart')::boolean or tandem.are_apart(t, v_entries);
    v_repeats := not v_apart and tandem.repeats(t, p_from);
    if not v_repeats and tandem.is_much_of(t, (v_newest ->> 'sent')::bigint) then
      perform tandem.join_in_order(true);
    end if;
    return tandem.query_of(
      tandem.sent_columns(t, p_peer_id, p_columns, p_unplaced, p_vector, 'n.stamp', 'n.origin', p_asked, case when v_apart then 'false' else tandem.has_more(t) end),
      format('from (%s) n cross join lateral (select %s) k left join %I.%I t on %s',
        case when v_apart then tandem.entries_apart(t, v_entries) else tandem.newest_entries(t, v_entries, v_repeats) end,
        array_to_string(tandem.key_names('n', v_count), ', '),
        t.schema_name, t.table_name, tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('k', v_count))));
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

-- tandem.keys_query(p_table, p_peer_id, p_columns, p_unplaced, p_vector, p_asked, p_keys, p_look) -> {"query", "columns"}
-- The query of the keys that p_keys yields (k1, ..., named), as batch_query has it. p_look: it will be run more than once, so whether a key of the
-- peer's is parked here is looked up in each run; and it yields all columns. Where the table has blocks the newest entries are found by one pass over all.
create or replace function tandem.keys_query(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[], p_vector text,
  p_asked boolean, p_keys text, p_look boolean default false) returns jsonb
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
  return tandem.query_of(
    tandem.sent_columns(p_table, p_peer_id, p_columns, p_unplaced, p_vector,
      format('coalesce(n.stamp, case when %s is distinct from null then timestamptz ''0001-01-01 00:00:00+00'' end)', v_first),
      format('coalesce(n.origin, case when %s is distinct from null then '''' end)', v_first), p_asked, v_more, p_look),
    format('from (select %1$s, bool_or(e.named) as named from (%2$s) e group by %1$s order by %1$s) k %3$s where k.named or n.received_from is null or n.received_from <> all (%4$L::integer[]) or (n.op = ''D'') = (%5$s is distinct from null)%6$s',
      array_to_string(tandem.key_names('e', v_count), ', '), p_keys, coalesce(v_newest, tandem.newest_and_row(p_table, 'k', p_look)),
      tandem.not_forwarded(p_peer_id), v_first, case when tandem.has_returned(p_peer_id) then ' or n.op = ''D''' end));
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

-- tandem.sent_columns(...) -> jsonb
-- The select list, in the order of the staging table: [[name of its column, expression], ...]. What is the same for all rows, and what the staging table has where nothing
-- is said, is left out unless p_look: it costs as much as a value, at both ends. Unsettled: the newest entry and the row disagree, two transactions share the newest version, or a later transaction
-- made an older entry blindly: a serializable one that wrote the row has seen all earlier ones, so its entry should have been the newest.
-- p_more: condition that the key has more than one entry, where that is known; 'none': no key has any. p_look: see keys_query; it is not run while there are blocks.
create or replace function tandem.sent_columns(p_table tandem.tracked_table, p_peer_id integer, p_columns text[], p_unplaced text[],
  p_vector text, p_stamp text, p_origin text, p_asked boolean, p_more text default 'true', p_look boolean default false) returns jsonb
language plpgsql stable as $$
declare
  v_keys text[] := tandem.key_names('k', cardinality(p_table.key_columns));
  v_present text := format('t.%I is distinct from null', p_table.key_columns[1]);
  v_same_key text := tandem.all_equal(p_table.key_operators, tandem.key_names('l', cardinality(p_table.key_columns)), v_keys);
  v_known text := format(case p_vector when 'all' then 'select l.origin, l.stamp from tandem_log.%I l where %s'
    else 'select l.origin, max(l.stamp) as stamp from tandem_log.%I l where %s group by l.origin' end, tandem.looked_in(p_table, p_look), v_same_key);
  v_vector boolean := p_vector is not null or p_table.conflict_policy like 'prefer: %';
  v_parked boolean := p_look or exists (select from tandem.parked_change c where c.peer_id = p_peer_id
    and (c.schema_name, c.table_name) = (p_table.schema_name, p_table.table_name));
begin
  return (
    select jsonb_agg(jsonb_build_array(x.name, x.expression) order by x.part, x.i)
    from (
      select 1 as part, u.i, 'k' || u.i as name, case when tandem.sent_key_type(u.type) <> u.type then format('k.k%s::%s', u.i, tandem.sent_key_type(u.type)) else 'k.k' || u.i end as expression
      from unnest(p_table.key_types) with ordinality u (type, i)
      union all select 2, s.i, s.name, s.expression from (values
        (1, 'op', 'n.op'),
        (2, 'present', v_present),
        (3, 'stamp', p_stamp),
        (4, 'origin', p_origin),
        (5, 'known_stamps', case when v_vector then format('(select array_agg(v.stamp order by v.origin, v.stamp) from (%s) v)', v_known) when p_look then 'null' end),
        (6, 'known_origins', case when v_vector then format('(select array_agg(v.origin order by v.origin, v.stamp) from (%s) v)', v_known) when p_look then 'null' end),
        (7, 'parked_there', case when v_parked then format('exists (select from tandem.parked_change c where c.peer_id = %s and %s)', p_peer_id,
          tandem.same_parked_key(p_table, 'c', v_keys)) end),
        (8, 'unsettled', case when p_more <> 'none' then format('coalesce((n.op = ''D'') = (%1$s) or (n.received_from is null and (%4$s and exists (select from tandem_log.%2$I l where %3$s and l.stamp = n.stamp and l.origin = n.origin and l.received_from is null and l.xid <> n.xid)
          or ((select l.k1 from tandem_log.%5$I l where l.blind order by l.k1 limit 1) is not null and exists (select from tandem_log.%5$I l where %3$s and l.blind and l.xid > n.xid and l.stamp < n.stamp)))), false)',
          v_present, tandem.looked_in(p_table, p_look), v_same_key, p_more, p_table.log_name) end),
        (9, 'unplaced', case when cardinality(p_unplaced) > 0 then format('nullif(concat_ws('', '', %s), '''')',
          (select string_agg(format('case when t.%1$I is distinct from null then %1$L end', u), ', ') from unnest(p_unplaced) u)) when p_look then 'null' end),
        (10, 'asked', case when p_asked or p_look then p_asked::text end)) s (i, name, expression)
      where s.expression is not null
      union all select 3, u.i, 'c' || u.i, u.name from unnest(tandem.columns('t', p_columns)) with ordinality u (name, i)) x);
end $$;
comment on function tandem.sent_columns(tandem.tracked_table, integer, text[], text[], text, text, text, boolean, text, boolean) is 'The select list of a COPY query.';

-- tandem.query_of(p_columns, p_from) -> {"query", "columns"}
-- The query of such a select list, and the names of the staging table's columns that it yields. p_from: what follows the list.
create or replace function tandem.query_of(p_columns jsonb, p_from text) returns jsonb
language plpgsql immutable as $$
begin
  return (
    select jsonb_build_object('query', format('select %s %s', string_agg(format('%s as %s', c ->> 1, c ->> 0), ', ' order by i), p_from), 'columns', jsonb_agg(c -> 0 order by i))
    from jsonb_array_elements(p_columns) with ordinality x (c, i));
end $$;
comment on function tandem.query_of(jsonb, text) is 'A COPY query and what it yields.';
