-- Rows that went without a trigger (a partition dropped, a trigger disabled) and of which the log knows nothing, for they were there before
-- it or their entries have been pruned: nothing here names them any more. Their peers do. Each of them asks this node, key by key, for what
-- it has from here or has sent here; what is missing enters the log as a deletion and travels as one.

-- tandem.note_vanished(p_table_id) -> void: rows of a table may have gone of which the log knows nothing.
create or replace function tandem.note_vanished(p_table_id integer) returns void
language sql as $$
  update tandem.tracked_table set vanished = vanished + 1 where table_id = p_table_id
$$;
comment on function tandem.note_vanished(integer) is 'Notes that rows may have gone unseen.';

-- tandem.keys_there(p_peer_id, p_table_id, p_known, p_after, p_rows) -> jsonb
-- Run at a peer of the node where rows went: the keys of the next p_rows rows after p_after that p_peer_id must have, and where they end:
-- {"keys": [["1"], ...], "upto": ["9"] or null for the last}. It must have what came from it, what was made here and lies within p_known, its
-- position of this node, and what has no entry.
create or replace function tandem.keys_there(p_peer_id integer, p_table_id integer, p_known pg_snapshot, p_after text[], p_rows bigint) returns jsonb
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_upto text[] := tandem.copy_bound(p_table_id, p_after, p_rows);
  v_keys jsonb;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  perform tandem.write_out(p_table_id);
  execute format('select jsonb_agg(to_jsonb(array[%s])) from %I.%I t
      left join lateral (select l.received_from, l.xid from tandem_log.%I l where %s order by %s, l.stamp desc, l.origin desc limit 1) n on true
      where %s and (n.xid is null or n.received_from = %s or (n.received_from is null and pg_visible_in_snapshot(n.xid, %L::pg_snapshot)))',
    (select string_agg(u || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) u), t.schema_name, t.table_name, t.entries_name,
    tandem.all_equal(t.key_operators, tandem.key_names('l', cardinality(t.key_columns)), tandem.columns('t', t.key_columns)),
    array_to_string(array(select u || ' desc' from unnest(tandem.key_names('l', cardinality(t.key_columns))) u), ', '),
    tandem.copy_range(t, p_after, v_upto), p_peer_id, p_known)
  into v_keys;
  return jsonb_build_object('keys', coalesce(v_keys, '[]'), 'upto', to_jsonb(v_upto));
end $$;
comment on function tandem.keys_there(integer, integer, pg_snapshot, text[], bigint) is 'Keys that a peer must have.';

-- tandem.log_missing(p_table_id, p_keys) -> bigint
-- Run where rows went: writes a deletion for each of these keys that has no row, unless its newest entry says so already or the row waits
-- here, parked. Returns how many.
create or replace function tandem.log_missing(p_table_id integer, p_keys jsonb) returns bigint
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_keys text[];
  v_count bigint;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  perform tandem.write_out(p_table_id);
  v_keys := tandem.key_names('o', cardinality(t.key_columns));
  execute tandem.capture_insert(t, (select name from tandem.local_node), '$1', 'D', v_keys,
    format('from (select %s from jsonb_array_elements($2) x) o
      left join lateral (select l.op from tandem_log.%I l where %s order by %s, l.stamp desc, l.origin desc limit 1) n on true
      where n.op is distinct from ''D'' and not exists (select from %I.%I t where %s)
        and not exists (select from tandem.parked_change c where %s)',
      (select string_agg(format('(x ->> %s)::%s as k%s', u.i - 1, u.type, u.i), ', ' order by u.i) from unnest(t.key_types) with ordinality u (type, i)),
      t.entries_name, tandem.all_equal(t.key_operators, tandem.key_names('l', cardinality(v_keys)), v_keys),
      array_to_string(array(select u || ' desc' from unnest(tandem.key_names('l', cardinality(v_keys))) u), ', '),
      t.schema_name, t.table_name, tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), v_keys),
      tandem.same_parked_key(t, 'c', v_keys)))
  using tandem.next_stamp(), p_keys;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function tandem.log_missing(integer, jsonb) is 'Enters deletions of rows that a peer has and this node lacks.';
