-- tandem.applying_peer(p_table_id) -> integer
-- Whose rows the applier is writing when it is its own statement on this very table that fired the trigger; null: it is not, and
-- everything is captured; 0: it is, and nothing is. The setting alone is not believed: the row in tandem.inbound, which only
-- Tandem may write, must name this transaction. What application triggers write then runs one trigger level deeper; what
-- foreign-key actions do to rows of the table does not (PostgreSQL fires those triggers with the outer statement's), so where
-- there are such actions it is the peer, and what is not in its staging table, or not so, is captured: tandem.capture_caused.
-- A table of which the applier says that its rows will be as before (tandem.rewrite_keys) is none of the batch's, perhaps, and 0 too.
create or replace function tandem.applying_peer(p_table_id integer) returns integer
language plpgsql stable as $$
declare
  v_peer integer;
begin
  if current_setting('tandem.applying', true) is distinct from pg_current_xact_id_if_assigned()::text or pg_trigger_depth() > 1 then
    return null;
  end if;
  select i.peer_id into v_peer from tandem.inbound i
  where i.applying = pg_current_xact_id_if_assigned() and (p_table_id = any (i.applying_tables) or current_setting('tandem.as_before', true) = 'true');
  if v_peer is not null and (current_setting('tandem.as_before', true) = 'true' or current_setting('session_replication_role') = 'replica' or not exists (
    select from pg_constraint c join tandem.tracked_table t on t.relid = c.conrelid
    where t.table_id = p_table_id and c.contype = 'f' and (c.confdeltype not in ('a', 'r') or c.confupdtype not in ('a', 'r'))))
  then
    return 0;
  end if;
  return v_peer;
end $$;
comment on function tandem.applying_peer(integer) is 'Whose rows the applier itself is writing when a trigger fires.';

-- tandem.capture_caused(p_table_id, p_peer_id, p_op, p_from) -> text
-- The statement that logs the rows of p_from ($1: the stamp) but those that the applier writes: staged, not kept back by a verdict,
-- and staged as what happens to them, an update with what they refer to (an action may change a row as soon as it has come, see tandem.refers_as_staged);
-- or removed by it, as the entry of this transaction says.
create or replace function tandem.capture_caused(p_table_id integer, p_peer_id integer, p_op text, p_from text) returns text
language sql stable as $$
  select tandem.capture_insert(t, n.name, '$1', left(p_op, 1), k.columns, format(
    'from %s o where not exists (select from tandem_log.%I s where %s and s.present = %L%s and not exists (select from tandem.verdict v
        where v.peer_id = %s and v.table_id = %s and v.n = s.n and v.verdict not in (''win'', ''anew'')))
      and not exists (select from tandem_log.%I l where %s and l.xid = pg_current_xact_id() and l.op = ''D'' and %L = ''DELETE'')',
    p_from, tandem.stage_name(p_peer_id, t.schema_name, t.table_name),
    tandem.all_equal(t.key_operators, tandem.key_names('s', cardinality(k.columns)), k.columns), p_op <> 'DELETE',
    case when p_op = 'UPDATE' then ' and ' || nullif(current_setting('tandem.refers_of_' || p_table_id, true), '') end,
    p_peer_id, t.table_id,
    t.entries_name, tandem.all_equal(t.key_operators, tandem.key_names('l', cardinality(k.columns)), k.columns), p_op))
  from tandem.tracked_table t
  cross join tandem.local_node n
  cross join lateral (select tandem.columns('o', t.key_columns) as columns) k
  where t.table_id = p_table_id
$$;
comment on function tandem.capture_caused(integer, integer, text, text) is 'The insert into a change log for what applying causes.';

-- tandem.make_capture_function(p_table_id) -> void
-- Creates or replaces the trigger function of one tracked table. The node's name and the log's name are constants in it: a
-- REPEATABLE READ transaction older than the installation can still write. SECURITY DEFINER with a pinned search_path: who
-- writes needs no right on Tandem's schemas. The stamp of each row is newer than the key's newest entry, so stamps of one key
-- strictly increase here even while this clock is behind or steps back.
-- SERIALIZABLE transactions do not look that entry up: they would read pages of the log that every other writer writes to, and
-- abort each other for it. Their entries are marked blind; where two stamp one key alike, or one bears an older stamp than an entry that
-- its transaction has seen (the clock stepped back), the reader settles it (tandem.settle).
-- From its hundredth row on (block_after) a statement looks once for all of them: where no entry between the least and the greatest key is as new as the
-- stamp, none of theirs is, and many of them go into blocks (see capture/blocks.sql). It gives up where there are many more entries there than it
-- has rows, and where the key's type knows no least. Blocks are never looked into: their floor puts every later stamp past theirs.
-- A plan lives on in the session: made while the log was tiny it would read all of it for each row, made for an update of one row
-- compare each of many with each; so enable_seqscan and enable_nestloop are off. What is off makes a plan that has nothing else look so dear that
-- PostgreSQL compiles it, some milliseconds at each call; so jit is off too. The body names the key's types, for what a session has prepared
-- with a field of NEW fails once the field has another type: a new body makes it prepare anew. In a transaction of one statement each expression of the
-- body that is come by costs nearly a microsecond to make ready: so there are few on the way of an update of one row, and no defaults.
create or replace function tandem.make_capture_function(p_table_id integer) returns void
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_node text;
  v_name text;
  v_body text;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  select name into strict v_node from tandem.local_node;
  v_name := tandem.object_name('capture ', t.schema_name, t.table_name);
  v_body := format($body$
#variable_conflict use_variable
-- Key: %s
declare
  v_now timestamptz;
  v_blind boolean;
  v_peer integer;
  v_rows bigint;
  v_least %s;
  v_most %2$s;
  v_newer boolean;
  v_listed boolean;%s
begin
  if current_setting('tandem.applying', true) <> '' then
    v_peer := tandem.applying_peer(%s);
    if v_peer = 0 then
      return null;
    end if;
  end if;
  v_now := tandem.next_stamp();
  if pg_sequence_last_value('tandem.wake_until') > date_part('epoch', clock_timestamp()) * 1000 then
    perform tandem.wake();
  end if;
  v_blind := current_setting('transaction_isolation') = 'serializable';
%s
  return null;
end
$body$,
    array_to_string(t.key_types, ', '), (tandem.log_types(t.relid, t.key_columns))[1], tandem.key_lists(t), t.table_id,
    case when t.partitioned then tandem.capture_row(t, v_node) else tandem.capture_statement(t, v_node) end);
  if not exists (
    select from pg_proc p where p.oid = to_regprocedure(format('tandem_log.%I()', v_name)) and p.prosrc = v_body and 'jit=off' = any (p.proconfig))
  then
    execute format('create or replace function tandem_log.%I() returns trigger language plpgsql security definer'
      ' set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_nestloop = off set jit = off as %L', v_name, v_body);
    execute format('revoke execute on function tandem_log.%I() from public', v_name);
    execute format('comment on function tandem_log.%I() is %L', v_name,
      format('Writes each change of %I.%I to its change log.', t.schema_name, t.table_name));
  end if;
end $$;
comment on function tandem.make_capture_function(integer) is 'Makes the capture function of a tracked table.';

-- tandem.capture_statement(p_table, p_node) -> text
-- The part of a capture function that logs a statement: of an ordinary table's trigger, which has the rows in tandem_old and tandem_new. A row that the
-- applier writes may change others of the table by a foreign key: v_peer says whose rows those are.
create or replace function tandem.capture_statement(p_table tandem.tracked_table, p_node text) returns text
language sql stable as $$
  select format($body$
  if tg_op = 'UPDATE' and v_peer is null then
    %1$s
    -- A key that was changed is also a deletion of the old one. Looked for first: to begin an insert costs more than to see that there is
    -- nothing to insert. Where one row was updated two keys are compared, which costs half of a join; none may still be a row that went.
    -- Of many rows the old and the new stand in one order, so where no key was changed the two lists are equal.
    if v_rows = 1 then
      if exists (select from tandem_old o, tandem_new n where not (%2$s)) then
        %3$s;
      end if;
    elsif v_rows = %4$s then
      %5$s
      if (%6$s) then
        if exists (select %7$s) then
          %3$s;
        end if;
      end if;
    elsif exists (select %7$s) then
      %3$s;
    end if;
  elsif tg_op = 'INSERT' and v_peer is null then
    %8$s
    if v_rows = %4$s then
      %9$s
    end if;
  elsif tg_op = 'DELETE' and v_peer is null then
    %10$s
    if v_rows = %4$s then
      %11$s
    end if;
  elsif tg_op = 'TRUNCATE' then
    %12$s
  else
    execute tandem.capture_caused(%13$s, v_peer, tg_op, case tg_op when 'DELETE' then 'tandem_old' else 'tandem_new' end) using v_now;
    if tg_op = 'UPDATE' then
      if exists (select %7$s) then
        %3$s;
      end if;
    end if;
  end if;$body$,
    tandem.capture_first(p_table, p_node, 'U', 'tandem_new'), x.same_key, tandem.capture_insert(p_table, p_node, 'v_now', 'D', tandem.columns('o', p_table.key_columns), x.gone, 'v_blind'),
    tandem.block_after(), tandem.capture_many(p_table, p_node, 'U', 'tandem_new'), tandem.keys_moved(p_table), x.gone,
    tandem.capture_first(p_table, p_node, 'I', 'tandem_new'), tandem.capture_many(p_table, p_node, 'I', 'tandem_new'),
    tandem.capture_first(p_table, p_node, 'D', 'tandem_old'), tandem.capture_many(p_table, p_node, 'D', 'tandem_old'), tandem.capture_truncate(p_table, p_node), p_table.table_id)
  from (select y.same_key, format('from tandem_old o where not exists (select from tandem_new n where %s)', y.same_key) as gone
    from (select tandem.all_equal(p_table.key_operators, tandem.columns('n', p_table.key_columns), tandem.columns('o', p_table.key_columns)) as same_key) y) x
$$;
comment on function tandem.capture_statement(tandem.tracked_table, text) is 'What logs a statement.';

-- tandem.capture_row(p_table, p_node) -> text: the same of a partitioned table's trigger, which has the row in new and old.
create or replace function tandem.capture_row(p_table tandem.tracked_table, p_node text) returns text
language sql stable as $$
  select format($body$
  if tg_op = 'UPDATE' and v_peer is null then
    %1$s;
    if not (%2$s) then
      %3$s;
    end if;
  elsif tg_op = 'INSERT' and v_peer is null then
    %4$s;
  elsif tg_op = 'DELETE' and v_peer is null then
    %3$s;
  elsif tg_op = 'TRUNCATE' then
    %5$s
  elsif tg_op = 'DELETE' then
    execute tandem.capture_caused(%6$s, v_peer, tg_op, '(select ($2).*)') using v_now, old;
  else
    execute tandem.capture_caused(%6$s, v_peer, tg_op, '(select ($2).*)') using v_now, new;
    if tg_op = 'UPDATE' then
      if not (%2$s) then
        %3$s;
      end if;
    end if;
  end if;$body$,
    tandem.capture_insert(p_table, p_node, 'v_now', 'U', tandem.columns('new', p_table.key_columns), '', 'v_blind'),
    tandem.all_equal(p_table.key_operators, tandem.columns('old', p_table.key_columns), tandem.columns('new', p_table.key_columns)),
    tandem.capture_insert(p_table, p_node, 'v_now', 'D', tandem.columns('old', p_table.key_columns), '', 'v_blind'),
    tandem.capture_insert(p_table, p_node, 'v_now', 'I', tandem.columns('new', p_table.key_columns), '', 'v_blind'),
    tandem.capture_truncate(p_table, p_node), p_table.table_id)
$$;
comment on function tandem.capture_row(tandem.tracked_table, text) is 'What logs a row.';

-- tandem.capture_truncate(p_table, p_node) -> text: the same of a TRUNCATE, which has all rows still before it. Leaves that have a trigger of their own are
-- logged by that.
create or replace function tandem.capture_truncate(p_table tandem.tracked_table, p_node text) returns text
language sql stable as $$
  select format($body$perform set_config('enable_seqscan', 'on', true);
    execute %L || tg_relid::regclass || ' o where o.tableoid not in (select g.tgrelid from pg_trigger g
      where g.tgname = ''tandem_truncate'' and g.tgenabled = ''A'' and g.tgrelid <> $3)' using v_now, v_blind, tg_relid;$body$,
    tandem.capture_insert(p_table, p_node, '$1', 'D', tandem.columns('o', p_table.key_columns), 'from ', '$2'))
$$;
comment on function tandem.capture_truncate(tandem.tracked_table, text) is 'What logs a TRUNCATE.';

-- tandem.capture_insert(p_table, p_node, p_now, p_op, p_keys, p_from, p_blind, p_newer) -> text
-- The statement that logs one entry per row of p_from (or one, from variables, where p_from is empty), each stamped p_now or, if
-- that is not newer than the key's newest entry, after that one; entries older than p_now (an even stamp) are passed over in the index.
-- p_blind, p_newer: conditions under which that entry is not looked up, for it must not or need not be; the former is recorded.
-- The order names the key too, so that the log's index by key serves it whatever the planner thinks of the log's size.
create or replace function tandem.capture_insert(
  p_table tandem.tracked_table, p_node text, p_now text, p_op text, p_keys text[], p_from text, p_blind text default 'false',
  p_newer text default 'false') returns text
language sql stable as $$
  select format(
    'insert into tandem_log.%1$I (xid, stamp, op, blind, origin, %2$s)
      select pg_current_xact_id(), greatest(%3$s, case when not (%10$s or %11$s) then (select tandem.after(l.stamp) from tandem_log.%1$I l where %4$s and l.stamp >= %3$s
        order by %5$s, l.stamp desc limit 1) end), %6$L, %10$s, %7$L, %8$s %9$s',
    p_table.log_name,
    array_to_string(array(select 'k' || i from generate_series(1, cardinality(p_keys)) i), ', '),
    p_now,
    tandem.all_equal(p_table.key_operators, tandem.key_names('l', cardinality(p_keys)), p_keys),
    array_to_string(array(select 'l.k' || i || ' desc' from generate_series(1, cardinality(p_keys)) i), ', '),
    p_op, p_node, array_to_string(p_keys, ', '), p_from, p_blind, p_newer)
$$;
comment on function tandem.capture_insert(tandem.tracked_table, text, text, text, text[], text, text, text) is 'The insert into a change log that a trigger runs.';
