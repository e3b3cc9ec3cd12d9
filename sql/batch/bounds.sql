-- A position is a pg_snapshot of the source. The batch from one to the next holds the entries that are visible in the second and
-- not in the first: exact, whatever order transactions began, took ids and committed in. (After PgQ's ticks.)

-- tandem.between(p_from, p_to) -> text, tandem.since(p_from) -> text
-- Condition on a log's column xid for the entries l of a batch, and for all that are not in p_from. What the reading transaction sees is visible in its own
-- snapshot; the second half leaves out what a cut keeps back. By index: a transaction open for hours costs nothing. What is empty is left out: in a
-- large batch each condition costs a millisecond for 30,000 entries.
create or replace function tandem.between(p_from pg_snapshot, p_to pg_snapshot) returns text
language sql immutable as $$
  select concat_ws(' and ', tandem.since(p_from), format('l.xid < %L::xid8', pg_snapshot_xmax(p_to)),
    case when cardinality(x.later) > 0 then format('l.xid <> all (%L::xid8[])', x.later) end)
  from (select array(select pg_snapshot_xip(p_to)) as later) x
$$;
comment on function tandem.between(pg_snapshot, pg_snapshot) is 'Condition for the entries between two positions.';

create or replace function tandem.since(p_from pg_snapshot) returns text
language sql immutable as $$
  select format(case when cardinality(x.before) > 0 then '(l.xid >= %1$L::xid8 or l.xid = any (%2$L::xid8[]))' else 'l.xid >= %1$L::xid8' end, pg_snapshot_xmax(p_from), x.before)
  from (select array(select pg_snapshot_xip(p_from)) as before) x
$$;
comment on function tandem.since(pg_snapshot) is 'Condition for the entries after a position.';

-- tandem.snapshot_of(p_xmax, p_xip) -> pg_snapshot
-- A snapshot with these parts; xmin is lowered or raised to what the rest demands.
create or replace function tandem.snapshot_of(p_xmax xid8, p_xip xid8[]) returns pg_snapshot
language sql immutable as $$
  select format('%s:%s:%s', coalesce((array_agg(x order by x))[1], p_xmax), p_xmax, string_agg(x::text, ',' order by x))::pg_snapshot
  from unnest(p_xip) x where x < p_xmax
$$;
comment on function tandem.snapshot_of(xid8, xid8[]) is 'A snapshot of given parts.';

-- tandem.tables_with_entries(p_from) -> setof integer
-- Ids of the tracked tables whose log has anything that is not visible in p_from and is visible now. Where no transaction has ended since, no
-- log is looked at. LIMIT with an order: the index serves it whatever the planner thinks of the log.
create or replace function tandem.tables_with_entries(p_from pg_snapshot) returns setof integer
language plpgsql stable as $$
declare
  t record;
  v_log text;
  v_there boolean;
  v_xmax xid8 := pg_snapshot_xmax(p_from);
  v_xip xid8[] := array(select pg_snapshot_xip(p_from));
begin
  if pg_snapshot_xmax(pg_current_snapshot()) = v_xmax and array(select pg_snapshot_xip(pg_current_snapshot())) @> v_xip then
    return;
  end if;
  for t in select table_id, log_name, blocks_name from tandem.tracked_table order by table_id loop
    v_there := false;
    foreach v_log in array array_remove(array[t.log_name, t.blocks_name], null) loop
      continue when v_there or v_log = t.blocks_name and pg_relation_size(format('tandem_log.%I', v_log)) = 0;
      execute format('select (select xid from tandem_log.%I where xid >= $1 order by xid limit 1) is not null', v_log) into v_there using v_xmax;
      if not v_there and cardinality(v_xip) > 0 then
        execute format('select (select xid from tandem_log.%I where xid = any ($1) order by xid limit 1) is not null', v_log) into v_there using v_xip;
      end if;
    end loop;
    if v_there then
      return next t.table_id;
    end if;
  end loop;
end $$;
comment on function tandem.tables_with_entries(pg_snapshot) is 'Tracked tables with entries after a position.';

-- tandem.entries_for(p_from, p_peer_id) -> (table_id, sent)
-- Of each of these tables whether any of those entries is sent to the peer; the others it hears from whom this node has them from.
create or replace function tandem.entries_for(p_from pg_snapshot, p_peer_id integer) returns table (table_id integer, sent boolean)
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  v_log text;
  v_sent text := tandem.sent_to(p_peer_id);
begin
  for t in select x.* from tandem.tables_with_entries(p_from) i (id) join tandem.tracked_table x on x.table_id = i.id order by i.id loop
    sent := false;
    foreach v_log in array array_remove(array[t.log_name, t.blocks_name], null) loop
      continue when sent;
      execute format('select (select xid from tandem_log.%1$I l where xid >= $1 and %2$s order by xid limit 1) is not null
          or cardinality($2) > 0 and (select xid from tandem_log.%1$I l where xid = any ($2) and %2$s order by xid limit 1) is not null', v_log, v_sent)
      into sent using pg_snapshot_xmax(p_from), array(select pg_snapshot_xip(p_from));
    end loop;
    table_id := t.table_id;
    return next;
  end loop;
end $$;
comment on function tandem.entries_for(pg_snapshot, integer) is 'Tables with entries after a position, and whether a peer is sent any.';

-- tandem.counted(p_tables, p_condition) -> text
-- Query of the oldest entries of some logs for which a condition holds, (xid, n), more than $2 of each, by the index: what is counted too low lies beyond a cut.
create or replace function tandem.counted(p_tables integer[], p_condition text) returns text
language plpgsql stable as $$
begin
  return (
    select string_agg(format('(select xid, %s as n from tandem_log.%I where %s order by xid limit $2 + 1)', x.n, x.name, p_condition), ' union all ')
    from tandem.tracked_table t cross join lateral (values ('1', t.log_name), ('rows', t.blocks_name)) x (n, name)
    where t.table_id = any (p_tables) and x.name is not null);
end $$;
comment on function tandem.counted(integer[], text) is 'Query of the oldest entries of some logs.';

-- tandem.count_of(p_tables, p_condition) -> text
-- Expression for how many such entries there are, or more than $2. By the index alone, and nothing is made of an entry, which costs less than adding up a query of them.
create or replace function tandem.count_of(p_tables integer[], p_condition text) returns text
language plpgsql stable as $$
begin
  return (
    select string_agg(format('(select %s from (select %s from tandem_log.%I where %s order by xid limit $2 + 1) x)', x.sum, x.n, x.name, p_condition), ' + ')
    from tandem.tracked_table t cross join lateral (values ('count(*)', '', t.log_name), ('coalesce(sum(x.rows), 0)', 'rows', t.blocks_name)) x (sum, n, name)
    where t.table_id = any (p_tables) and x.name is not null);
end $$;
comment on function tandem.count_of(integer[], text) is 'How many entries of some logs there are.';

-- tandem.batch_end(p_from, p_tables, p_limit) -> (position, cut)
-- Where a batch from p_from over these tables ends: this transaction's snapshot, or a cut where more than p_limit entries wait.
-- The cut is at a transaction id, never inside a transaction, and the end always contains p_from: at c >= xmax(from) it is
-- c with what is in progress below c; inside xip(from) xmax(from) stays and only the delivered ids are taken out.
create or replace function tandem.batch_end(p_from pg_snapshot, p_tables integer[], p_limit bigint)
returns table (position_to pg_snapshot, cut boolean)
language plpgsql stable as $$
declare
  v_now pg_snapshot := pg_current_snapshot();
  v_xmax xid8 := pg_snapshot_xmax(p_from);
  v_xip xid8[] := array(select pg_snapshot_xip(p_from));
  v_counts text;
  v_old bigint;
  v_taken xid8[];
  v_all boolean;
  v_cut xid8;
  v_pinned text[] := array[current_setting('enable_sort'), current_setting('enable_seqscan'), current_setting('enable_bitmapscan')];
begin
  v_counts := tandem.counted(p_tables, 'xid = any ($1)');
  if v_counts is null then
    return query select v_now, false;
    return;
  end if;
  execute format('with e as (select xid, sum(n) as n from (%s) u group by xid), s as (select xid, sum(n) over (order by xid) as upto, n from e)
      select coalesce((select sum(n) from e), 0)::bigint, array(select xid from s where upto <= $2 or upto = n order by xid)', v_counts)
  into v_old, v_taken using v_xip, p_limit;
  if v_old > p_limit then
    return query select tandem.snapshot_of(v_xmax, array(select x from unnest(v_xip) x where x <> all (v_taken))), true;
    return;
  end if;
  v_counts := tandem.counted(p_tables, 'xid >= $1');
  -- To add them up by transaction costs several times as much, and mostly they are not too many. The planner would read the log as a whole, and sort it.
  perform set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true);
  execute format('select %s <= $2', tandem.count_of(p_tables, 'xid >= $1')) into v_all using v_xmax, p_limit - v_old;
  perform set_config('enable_sort', v_pinned[1], true), set_config('enable_seqscan', v_pinned[2], true), set_config('enable_bitmapscan', v_pinned[3], true);
  if v_all then
    return query select v_now, false;
    return;
  end if;
  execute format('with e as (select xid, sum(n) as n from (%s) u group by xid), s as (select xid, sum(n) over (order by xid) as upto, n from e)
      select (xid::text::numeric + 1)::text::xid8 from s where (upto <= $2 or upto = n) and (select sum(n) from e) > $2 order by xid desc limit 1', v_counts)
  into v_cut using v_xmax, p_limit - v_old;
  if v_cut is null or v_cut >= pg_snapshot_xmax(v_now) then
    return query select v_now, false;
  else
    return query select tandem.snapshot_of(v_cut, array(select pg_snapshot_xip(v_now))), true;
  end if;
end $$;
comment on function tandem.batch_end(pg_snapshot, integer[], bigint) is 'Where a batch ends.';
