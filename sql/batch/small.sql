-- Reading a small batch: what a link that keeps up finds, in one message. The usual way (src/postgres/source.ts) takes several. A function per
-- link and table, whose plans stay in the session, yields the rows.

create or replace function tandem.reader_name(p_peer_id integer, p_schema text, p_table text) returns text
language sql immutable as $$
  select tandem.object_name('reader ' || p_peer_id || ' ', p_schema, p_table)
$$;
comment on function tandem.reader_name(integer, text, text) is 'Name of the function that reads small batches of a link and table.';

-- tandem.open_small(p_self, p_target, p_from, p_confirm, p_tables) -> jsonb
-- What source_state says. p_confirm: what the last batch is acknowledged with, {"position", "token", "seen"}, for a target that has nothing parked;
-- null: nothing is owed. p_tables: those for which a reader is made ready where something was written after p_from: [{"id", "mark", "columns", "unplaced"}].
-- Errors: of source_state and confirm.
create or replace function tandem.open_small(p_self text, p_target text, p_from pg_snapshot, p_confirm jsonb, p_tables jsonb) returns jsonb
language plpgsql as $$
declare
  v_state jsonb := tandem.source_state(p_self, p_target);
  v_peer integer := (v_state ->> 'peer')::integer;
  v_changed integer[];
begin
  if p_confirm is not null then
    perform tandem.confirm(v_peer, (p_confirm ->> 'position')::pg_snapshot, (p_confirm ->> 'token')::uuid, (p_confirm ->> 'seen')::pg_snapshot, '[]');
  end if;
  if p_tables <> '[]' then
    v_changed := array(select tandem.tables_with_entries(p_from));
    perform tandem.make_reader(v_peer, e) from jsonb_array_elements(p_tables) e where (e ->> 'id')::integer = any (v_changed);
  end if;
  return v_state;
end $$;
comment on function tandem.open_small(text, text, pg_snapshot, jsonb, jsonb) is 'Begins a small batch at its source.';

-- tandem.offer_small(p_target, p_from, p_held) -> jsonb
-- {"quiet" (nothing was written after p_from that the target is sent), "passed" (but something was), "offer"}: a new contact token where it is not; null also where the token that the target is
-- believed to have (p_held) does not fit, for another applier may have moved the link on. To be committed durably after the batch was read and before
-- it is applied: that brings to the disk what was read, whose commits may not have been waited for. Sent before, a crash could undo here what is there, and
-- give its transaction id to another change, which the target would take for known.
create or replace function tandem.offer_small(p_target text, p_from pg_snapshot, p_held uuid) returns jsonb
language plpgsql as $$
declare
  v_peer integer := (select p.peer_id from tandem.peer p where p.name = p_target and p.configured);
  v_sent boolean := (select bool_or(e.sent) from tandem.entries_for(p_from, v_peer) e);
begin
  if not coalesce(v_sent, false) then
    return jsonb_build_object('quiet', true, 'passed', v_sent is not null, 'offer', null);
  end if;
  return jsonb_build_object('quiet', false, 'passed', false, 'offer', case when tandem.contact_fits(v_peer, p_held) then tandem.offer_contact(v_peer, p_held) end);
end $$;
comment on function tandem.offer_small(text, pg_snapshot, uuid) is 'Offers the token of a small batch.';

-- tandem.read_small(p_target, p_from, p_limit, p_tables) -> jsonb
-- Within the reading transaction, whose first statements have locked these tables: {"small": true, "to", "horizon", "tables": [{"id", "known",
-- "rows": [a record of the target's staging table, as text]}]}; {"small": false} where another table has entries, more than p_limit entries of a
-- table wait, its rows would take more than 256 kB, or its columns are not what they were. p_tables: as in open_small.
create or replace function tandem.read_small(p_target text, p_from pg_snapshot, p_limit bigint, p_tables jsonb) returns jsonb
language plpgsql as $$
declare
  v_peer integer := (select p.peer_id from tandem.peer p where p.name = p_target and p.configured);
  v_changed integer[] := array(select tandem.tables_with_entries(p_from));
  v_header jsonb;
  e jsonb;
  v_reader regprocedure;
  v_rows text[];
  v_tables jsonb := '[]';
begin
  if v_peer is null or not v_changed <@ array(select (x ->> 'id')::integer from jsonb_array_elements(p_tables) x) then
    return '{"small": false}';
  end if;
  v_header := tandem.batch_header(v_peer, v_changed);
  for e in select x from jsonb_array_elements(p_tables) x where (x ->> 'id')::integer = any (v_changed) loop
    -- Made before the locks: what it was made of must not have changed since.
    v_reader := tandem.reader_of(v_peer, (e ->> 'id')::integer);
    if tandem.reader_mark(v_peer, e) is distinct from tandem.comment_on(v_reader, 'pg_proc') then
      return '{"small": false}';
    end if;
    execute format('select %s($1, $2, $3)', v_reader::regproc) into v_rows
    using pg_snapshot_xmax(p_from), array(select pg_snapshot_xip(p_from)), p_limit;
    if v_rows is null then
      return '{"small": false}';
    end if;
    v_tables := v_tables || jsonb_build_array(jsonb_build_object('id', e -> 'id', 'known', v_header #> array['known', e ->> 'id'], 'rows', to_jsonb(v_rows)));
  end loop;
  return jsonb_build_object('small', true, 'to', pg_current_snapshot()::text, 'horizon', v_header -> 'horizon', 'tables', v_tables);
end $$;
comment on function tandem.read_small(text, pg_snapshot, bigint, jsonb) is 'Reads a small batch.';

-- tandem.reader_of(p_peer_id, p_table_id) -> regprocedure: the reader of a link and table; null where there is none.
create or replace function tandem.reader_of(p_peer_id integer, p_table_id integer) returns regprocedure
language plpgsql stable as $$
begin
  return (select to_regprocedure(format('tandem_log.%I(xid8, xid8[], bigint)', tandem.reader_name(p_peer_id, t.schema_name, t.table_name)))
    from tandem.tracked_table t where t.table_id = p_table_id);
end $$;
comment on function tandem.reader_of(integer, integer) is 'The reader of a link and table.';

-- tandem.reader_mark(p_peer_id, p_table) -> text
-- Changes whenever something does that a reader is made of; null where the table is not there as p_table ({"id", "mark", "columns", "unplaced"}) has it.
create or replace function tandem.reader_mark(p_peer_id integer, p_table jsonb) returns text
language plpgsql stable as $$
begin
  return (
    select md5(concat_ws(' ', t.xmin, c.xmin, p_table, tandem.not_forwarded(p_peer_id), (select max(f.installed_at) from tandem.sql_file f)))
    from tandem.tracked_table t
    join pg_class c on c.oid = t.relid and c.oid = to_regclass(format('%I.%I', t.schema_name, t.table_name))
    where t.table_id = (p_table ->> 'id')::integer and tandem.columns_mark(t.relid) = p_table ->> 'mark');
end $$;
comment on function tandem.reader_mark(integer, jsonb) is 'Fingerprint of what a reader is made of.';

-- tandem.make_reader(p_peer_id, p_table) -> void
-- Makes the function that yields the rows of a small batch, unless it is there as it should be. Its rows are records of the staging table (see
-- prepare_stage), written by the types' own output functions; null where more than p_limit entries wait, the table has blocks, or the rows would take more
-- than 256 kB: then not one value is fetched. Its plans live on: made while log and table were tiny they must not read all of them.
create or replace function tandem.make_reader(p_peer_id integer, p_table jsonb) returns void
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_mark text := tandem.reader_mark(p_peer_id, p_table);
  v_name text;
  v_columns text[] := array(select jsonb_array_elements_text(p_table -> 'columns'));
  v_keys text[];
  v_values text[] := array(select 'c' || i from generate_series(1, cardinality(v_columns)) i);
  v_said text := 'op, present, stamp, origin, known_stamps, known_origins, parked_there, unsettled, unplaced, asked';
begin
  if v_mark is null or v_mark = tandem.comment_on(tandem.reader_of(p_peer_id, (p_table ->> 'id')::integer), 'pg_proc') then
    return;
  end if;
  select * into strict t from tandem.tracked_table where table_id = (p_table ->> 'id')::integer;
  v_keys := array(select 'k' || i from generate_series(1, cardinality(t.key_columns)) i);
  v_name := format('tandem_log.%I', tandem.reader_name(p_peer_id, t.schema_name, t.table_name));
  execute format('create or replace function %s(p_xmax xid8, p_xip xid8[], p_limit bigint) returns text[] language plpgsql stable
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as %L', v_name, format($body$
declare
  v_rows text[];
  v_all boolean;
begin
  if %6$s(select count(*) from (select from %1$s l where l.xid >= p_xmax order by l.xid limit p_limit + 1) x)
    + (select count(*) from (select from %1$s l where l.xid = any (p_xip) order by l.xid limit p_limit + 1) x) > p_limit
  then
    return null;
  end if;
  select array_agg(y.line order by y.n), bool_and(y.line is not null) into v_rows, v_all
  from (select x.n, case when sum(%2$s) over () <= 262144 then row(%3$s)::text end as line
    from (select row_number() over () as n, q.* from (%4$s) q (%5$s)) x) y;
  return case when coalesce(v_all, true) then coalesce(v_rows, '{}') end;
end $body$,
    format('tandem_log.%I', t.log_name),
    (select concat_ws(' + ', '100', string_agg(format('coalesce(pg_column_size(x.%s), 0)', u), ' + ')) from unnest(v_values || v_keys) u),
    (select string_agg('x.' || u, ', ') from unnest('{n}'::text[] || v_keys) u) || ', ' || (select string_agg('x.' || u, ', ') from unnest(string_to_array(v_said, ', ')) u)
      || ', null, null' || coalesce((select string_agg(', x.' || u, '') from unnest(v_values) u), ''),
    tandem.keys_query(t, p_peer_id, v_columns, array(select jsonb_array_elements_text(p_table -> 'unplaced')),
      case when cardinality(tandem.not_forwarded(p_peer_id)) > 1 then 'newest' end, false,
      format('select %s, false as named from tandem_log.%I l where (l.xid >= p_xmax or l.xid = any (p_xip)) and (l.received_from is null or l.received_from <> all (%L::integer[]))',
        array_to_string(tandem.key_names('l', cardinality(v_keys)), ', '), t.log_name, tandem.not_forwarded(p_peer_id)), true) ->> 'query',
    array_to_string(v_keys, ', ') || ', ' || v_said || coalesce((select string_agg(', ' || u, '') from unnest(v_values) u), ''),
    'exists (select from tandem_log.' || quote_ident(t.blocks_name) || ') or '));
  execute format('revoke execute on function %s from public', v_name);
  execute format('comment on function %s is %L', v_name, v_mark);
end $$;
comment on function tandem.make_reader(integer, jsonb) is 'Makes the function that reads small batches of a table.';
