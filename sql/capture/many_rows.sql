-- How a statement of many rows is captured: what is asked of each row of a transition table costs a pass over it, which has gone to a file by then, so the
-- keys are read once, into lists in memory, and whatever else is asked is asked of these.

-- tandem.list_most(p_table) -> integer: how many keys of a statement go into lists; 0: none do, for they fit no block. A variable of so many
-- takes 8 MB where they are short values of one length, and each slice of a list of others goes through what lies before it.
create or replace function tandem.list_most(p_table tandem.tracked_table) returns integer
language sql stable as $$
  select case when p_table.blocks_name is null then 0
    when (select bool_and(a.attlen > 0) from pg_attribute a where a.attrelid = p_table.relid and a.attname = any (p_table.key_columns) and not a.attisdropped) then 1000000
    else 10000 end
$$;
comment on function tandem.list_most(tandem.tracked_table) is 'How many keys of a statement go into lists.';

-- tandem.key_lists(p_table) -> text: the declarations of the lists: v_list1... of the keys, v_leasts and v_mosts of their first column, block by block.
create or replace function tandem.key_lists(p_table tandem.tracked_table) returns text
language sql stable as $$
  select string_agg(format(E'\n  %s %s;', x.name, regexp_replace(x.type, '( collate .*)?$', '[]\1')), '')
  from tandem.log_types(p_table.relid, p_table.key_columns) t (types)
  cross join lateral (select 'v_list' || u.i as name, u.type from unnest(t.types) with ordinality u (type, i)
    union all select u, t.types[1] from unnest('{v_leasts,v_mosts}'::text[]) u) x
  where p_table.blocks_name is not null
$$;
comment on function tandem.key_lists(tandem.tracked_table) is 'The lists of a capture function.';

-- tandem.capture_first(p_table, p_node, p_op, p_rows) -> text
-- The statements that log the first rows (block_after) of a transition table, each by itself. They leave in v_rows how many these are.
create or replace function tandem.capture_first(p_table tandem.tracked_table, p_node text, p_op text, p_rows text) returns text
language sql stable as $$
  select format('%s;
    get diagnostics v_rows = row_count;',
    tandem.capture_insert(p_table, p_node, 'v_now', p_op, tandem.columns('r', p_table.key_columns),
      format('from (select %s from %s r limit %s) r', array_to_string(tandem.columns('r', p_table.key_columns), ', '), p_rows, tandem.block_after()), 'v_blind'))
$$;
comment on function tandem.capture_first(tandem.tracked_table, text, text, text) is 'The statements that log the first rows of a statement.';

-- tandem.capture_many(p_table, p_node, p_op, p_rows) -> text
-- The statements that log the other rows, after one look for all of them, by blocks where they are worth it. They leave in v_listed whether all keys are
-- in the lists, and in v_rows how many of these rows there were, where that was asked.
create or replace function tandem.capture_many(p_table tandem.tracked_table, p_node text, p_op text, p_rows text) returns text
language sql stable as $$
  select format('v_now := greatest(tandem.next_stamp(), tandem.after(v_now));
      %1$s%2$s;
      %3$s
      %4$s;
      %5$s',
    case when p_table.blocks_name is not null and (p_op = 'U' or tandem.has_least(p_table)) then tandem.capture_list(p_table, p_rows) end,
    tandem.capture_look(p_table, p_rows),
    case when p_table.blocks_name is not null then format('if v_newer and not v_blind and v_rows >= %s then
        if v_listed then
          %s;
        else
          %s;
        end if;
        perform tandem.raise_block_floor(v_now);
      else', tandem.block_least(), tandem.block_of_lists(p_table, p_node, p_op),
        tandem.block_insert(p_table, 'oldest, stamp, op, origin', format('v_now, v_now, %L, %L', p_op, p_node),
          format('select %1$s, (row_number() over () - 1 - %4$s) / %2$s as block from %3$s r offset %4$s', x.named, tandem.block_rows(), p_rows, tandem.block_after()), false)) end,
    tandem.capture_insert(p_table, p_node, 'v_now', p_op, x.columns, format('from (select %s from %s r offset %s) r', x.keys, p_rows, tandem.block_after()), 'v_blind', 'v_newer'),
    case when p_table.blocks_name is not null then 'end if;' end)
  from (select tandem.columns('r', p_table.key_columns) as columns, array_to_string(tandem.columns('r', p_table.key_columns), ', ') as keys,
    (select string_agg(format('r.%I as k%s', u.name, u.i), ', ' order by u.i) from unnest(p_table.key_columns) with ordinality u (name, i)) as named) x
$$;
comment on function tandem.capture_many(tandem.tracked_table, text, text, text) is 'The statements that log the many rows of a statement.';

-- tandem.lists_of(p_table, p_alias) -> text: select list of the lists of a transition table's keys, as the log has them.
create or replace function tandem.lists_of(p_table tandem.tracked_table, p_alias text) returns text
language sql stable as $$
  select string_agg(format('array_agg(%s.%I::%s)', p_alias, u.name, t.types[u.i]), ', ' order by u.i)
  from tandem.log_types(p_table.relid, p_table.key_columns) t (types) cross join unnest(p_table.key_columns) with ordinality u (name, i)
$$;
comment on function tandem.lists_of(tandem.tracked_table, text) is 'Lists of a transition table''s keys.';

-- tandem.capture_list(p_table, p_rows) -> text
-- The statements that put the keys of a transition table into the lists, the first rows' too, unless there are too many; they leave in v_listed whether
-- all are in them, and then in v_rows how many rows there are beside the first ones.
create or replace function tandem.capture_list(p_table tandem.tracked_table, p_rows text) returns text
language sql stable as $$
  select format('select %1$s into %2$s from (select %3$s from %4$s r limit %5$s) r;
        v_listed := cardinality(v_list1) <= %6$s;
        v_rows := cardinality(v_list1) - %7$s;
        ', tandem.lists_of(p_table, 'r'), (select string_agg('v_list' || i, ', ') from generate_series(1, cardinality(p_table.key_columns)) i),
    array_to_string(tandem.columns('r', p_table.key_columns), ', '), p_rows, tandem.list_most(p_table) + 1, tandem.list_most(p_table), tandem.block_after())
$$;
comment on function tandem.capture_list(tandem.tracked_table, text) is 'The statements that put keys into lists.';

-- tandem.capture_look(p_table, p_rows) -> text
-- The statements that find, for what lies beyond the first rows of a transition table, in v_newer whether v_now is newer than every entry of those rows. The
-- order is that of the log's index by key. Hazard: PostgreSQL copies the whole of a list that is a variable for each slice of it, but not of one that a query gave.
create or replace function tandem.capture_look(p_table tandem.tracked_table, p_rows text) returns text
language sql stable as $$
  select case when tandem.has_least(p_table) then concat(
    case when p_table.blocks_name is not null then format('if v_listed then
          with k as materialized (select v_list1 || ''{}'' as list)
          select array_agg(b.least order by i), array_agg(b.most order by i) into v_leasts, v_mosts
          from k, generate_series(%1$s, v_rows + %1$s - 1, %2$s) i, lateral (select min(y.u) as least, max(y.u) as most from (select unnest(k.list[i + 1:i + %2$s]) as u) y) b;
          select min(u.least), max(u.most) into v_least, v_most from unnest(v_leasts, v_mosts) u (least, most);
        else
          ', tandem.block_after(), tandem.block_rows()) end,
    format('select count(*), min(r.%1$I), max(r.%1$I) into v_rows, v_least, v_most from (select r.%1$I from %2$s r offset %3$s) r;
        ', p_table.key_columns[1], p_rows, tandem.block_after()),
    case when p_table.blocks_name is not null then 'end if;
        ' end,
    format('select count(*) < 3 * v_rows and bool_and(few.stamp < v_now) is not false into v_newer
        from (select l.stamp from tandem_log.%I l where l.k1 between v_least and v_most limit 3 * v_rows) few', p_table.log_name))
  else 'v_newer := false' end
$$;
comment on function tandem.capture_look(tandem.tracked_table, text) is 'One look for the newest entries of many rows.';

-- tandem.block_of_lists(p_table, p_node, p_op) -> text: the statement that writes blocks of what the lists hold beyond the first rows.
create or replace function tandem.block_of_lists(p_table tandem.tracked_table, p_node text, p_op text) returns text
language sql stable as $$
  select format('with k as materialized (select %1$s)
            insert into tandem_log.%2$I (xid, oldest, stamp, op, origin, rows, least, most, %3$s)
            select pg_current_xact_id(), v_now, v_now, %4$L, %5$L, least(%6$s, v_rows - (i - 1) * %6$s), v_leasts[i], v_mosts[i], %7$s from k, generate_series(1, cardinality(v_leasts)) i',
    string_agg(format('v_list%1$s || ''{}'' as list%1$s', i), ', ' order by i), p_table.blocks_name, string_agg('k' || i, ', ' order by i), p_op, p_node, tandem.block_rows(),
    string_agg(format('k.list%s[%s + (i - 1) * %s + 1:%2$s + i * %3$s]', i, tandem.block_after(), tandem.block_rows()), ', ' order by i))
  from generate_series(1, cardinality(p_table.key_columns)) i
$$;
comment on function tandem.block_of_lists(tandem.tracked_table, text, text) is 'The statement that writes blocks of lists.';

-- tandem.keys_moved(p_table) -> text
-- Condition that the keys of the old and the new rows of an update of many are not the same one by one; 'true' where lists of them cannot be compared
-- as the key's own operators would. The lists are whole, or where they would be too long in pieces, which cost a half more.
create or replace function tandem.keys_moved(p_table tandem.tracked_table) returns text
language sql stable as $$
  select case when p_table.blocks_name is null or p_table.key_operators <> array_fill('operator(pg_catalog.=)'::text, array[cardinality(p_table.key_operators)]) then 'true'
    else format('case when v_listed then (select (%s) is distinct from (%s) from tandem_old o) else exists (select from (%s) o full join (%s) n using (block) where (%s) is distinct from (%s)) end',
      tandem.lists_of(p_table, 'o'), (select string_agg('v_list' || i, ', ') from generate_series(1, cardinality(p_table.key_columns)) i),
      x.pieces[1], x.pieces[2], array_to_string(tandem.key_names('o', cardinality(p_table.key_columns)), ', '), array_to_string(tandem.key_names('n', cardinality(p_table.key_columns)), ', ')) end
  from (select array_agg(format('select y.block, %s from (select %s, (row_number() over () - 1) / %s as block from %s r) y group by y.block',
      (select string_agg(format('array_agg(y.k%1$s) as k%1$s', i), ', ' order by i) from generate_series(1, cardinality(p_table.key_columns)) i),
      (select string_agg(format('r.%I as k%s', u.name, u.i), ', ' order by u.i) from unnest(p_table.key_columns) with ordinality u (name, i)),
      tandem.block_rows(), r) order by r desc) as pieces
    from unnest('{tandem_old,tandem_new}'::text[]) r) x
$$;
comment on function tandem.keys_moved(tandem.tracked_table) is 'Condition that an update may have changed keys.';
