-- Two rows that cannot both exist: an incoming row claims a value of a secondary unique index that another row holds here. The
-- newer (version, table, key) stays; by version alone two rows of one statement would tie, and both vanish.

-- tandem.claims(p_plan, p_plans) -> setof text
-- One query per unique index: n (the incoming row), incoming_key, local_key, kept and waits (an incoming row of the holder's key was
-- rejected for good, or waits; so its older image holds the value; not so where it goes: its change waits for a value of a row here that
-- stays, and nobody refers to it on either side), newer (the incoming one is), referenced (others refer to the holder),
-- there (the source has a row of the holder's key), here (an older image of the incoming row is here), fell_back (it has done so once
-- because of this holder), referenced_there (rows of the source refer to the incoming row), index_name, local_stamp, local_origin. Only
-- pairs that are left after the set: the incoming row is written, and the holder is not.
create or replace function tandem.claims(p_plan jsonb, p_plans jsonb) returns setof text
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  u record;
begin
  select * into strict t from tandem.tracked_table where table_id = (p_plan ->> 'id')::integer;
  for u in
    select * from tandem.plan_uniques(p_plan)
  loop
    return next format($sql$
      select x.*, not x.kept and not x.waits and x.later as newer,
        exists (select from tandem.fallback_pair p where p.schema_name = %19$L and p.table_name = %20$L
          and p.local_key = x.local_key and p.incoming_key = x.incoming_key) as fell_back
      from (select y.*, y.holder_waits and not (y.goes and y.later and not y.referenced) as waits from (
        select s.n, s.stamp, s.origin, %2$s as incoming_key, %1$L::text as index_name, t.local_key, t.local_stamp, t.local_origin,
          (s.stamp, s.origin, %2$s) > (t.local_stamp, t.local_origin, t.local_key) as later, %3$s as referenced, exists (select from %4$s t where %5$s) as here,
          exists (select from %6$s z join tandem.verdict v on v.peer_id = %7$s and v.table_id = %8$s and v.n = z.n
            and v.verdict in ('keep', 'prefer') where %9$s) as kept,
          %21$s as holder_waits,
          exists (select from %6$s z join tandem.verdict v on v.peer_id = %7$s and v.table_id = %8$s and v.n = z.n
            and v.verdict = 'park' and v.holder is not null where %9$s) as goes,
          exists (select from %6$s z where z.present and %9$s) as there,
          %22$s as referenced_there
        from %6$s s
        join (
          select r.tandem_n, t.*, array[%10$s] as local_key, coalesce(l.stamp, '0001-01-01 00:00:00+00') as local_stamp, coalesce(l.origin, '') as local_origin
          from %11$s join %12$s on %13$s
          left join lateral (select l.stamp, l.origin from tandem_log.%14$I l where %15$s order by l.stamp desc, l.origin desc limit 1) l on true
          where not (%16$s)) t on t.tandem_n = s.n
        where %17$s and %18$s) y) x
    $sql$,
      u.index_name, p_plan ->> 'key_text', tandem.referenced_after(p_plan, p_plans), p_plan ->> 'relation', p_plan ->> 'key_is_row',
      p_plan ->> 'stage', p_plan ->> 'peer', p_plan ->> 'id',
      tandem.all_equal(t.key_operators, tandem.key_names('z', cardinality(t.key_columns)), tandem.columns('t', t.key_columns)),
      (select string_agg(c || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) c),
      u.staged, u.local, u.same_value, t.entries_name,
      tandem.all_equal(t.key_operators, tandem.key_names('l', cardinality(t.key_columns)), tandem.columns('t', t.key_columns)), u.same_key,
      tandem.applies(p_plan), tandem.child_not_written(p_plans, t.table_id, 't'),
      t.schema_name, t.table_name, tandem.row_waits(p_plans, t.table_id, 't'), tandem.referenced_there(p_plan, p_plans));
  end loop;
end $$;
comment on function tandem.claims(jsonb, jsonb) is 'Queries for local rows that hold a value an incoming row claims.';

-- tandem.referenced_there(p_plan, p_plans) -> text
-- Condition on s, a staged row of the plan's table: rows of the source refer to it (the closure has asked for one of each foreign key).
-- True where the source cannot be asked: the foreign key refers to other columns than the key, or its table is not tracked.
create or replace function tandem.referenced_there(p_plan jsonb, p_plans jsonb) returns text
language plpgsql stable as $$
begin
  return (
    select case when exists (select from tandem.plan_references(p_plan) r where not r.to_key or r.child_id is null) then 'true'
      else coalesce((select '(' || string_agg(format('exists (select from (select %s from %s s where s.present) c where %s)',
          (select string_agg(format('%s as k%s', u.value, u.i), ', ') from unnest(k.staged_values) with ordinality u (value, i)), e ->> 'stage',
          tandem.all_equal(t.key_operators, tandem.key_names('c', cardinality(t.key_columns)), tandem.key_names('s', cardinality(t.key_columns)))), ' or ') || ')'
        from jsonb_array_elements(p_plans) e cross join lateral tandem.plan_parents(e) k join tandem.tracked_table t on t.table_id = k.parent_id
        where k.parent_id = (p_plan ->> 'id')::integer), 'false') end);
end $$;
comment on function tandem.referenced_there(jsonb, jsonb) is 'Condition that rows of the source refer to a staged row.';

-- tandem.referenced_after(p_plan, p_plans) -> text
-- Condition on t, a row of the plan's table: rows that the set does not write refer to it.
create or replace function tandem.referenced_after(p_plan jsonb, p_plans jsonb) returns text
language plpgsql stable as $$
begin
  return (
    select coalesce('(' || string_agg(format('exists (select from %s c where %s and %s)', r.child, r.child_is_t, tandem.child_not_written(p_plans, r.child_id)), ' or ') || ')', 'false')
    from tandem.plan_references(p_plan) r);
end $$;
comment on function tandem.referenced_after(jsonb, jsonb) is 'Condition that a row is referred to after the set.';

-- tandem.reject_claims(p_plans) -> bigint
-- Rejects incoming rows that may not displace the holder, to a fixpoint: a rejected row keeps its older image, which may hold a
-- value that another one claims. An older row keeps its older image, written anew (verdict keep); new here, it waits until its home
-- removes it (park). A newer one whose holder others refer to: where the source has a row of the holder's key, it waits, for there
-- the holder falls back; else it falls back itself, if it has an older image here, once per pair (or two such pairs could go round
-- for ever); else one of the two must go: it waits, and the holder is written anew so that the source removes it, unless
-- rows there refer to it: then both stay, for a person. A row that is to go so, and is not referred to here either, gives way here to whatever
-- newer claims the value it has (its two images fit neither side: both would keep theirs for ever). Returns how many were rejected. Only decides: it may be asked again about the
-- same batch (tandem.note_fallbacks).
create or replace function tandem.reject_claims(p_plans jsonb) returns bigint
language plpgsql as $$
declare
  v_plan jsonb;
  v_query text;
  v_rejected bigint;
  v_total bigint := 0;
  v_count bigint;
begin
  loop
    v_rejected := 0;
    for v_plan in select e from jsonb_array_elements(p_plans) e loop
      for v_query in select * from tandem.claims(v_plan, p_plans) loop
        execute format($sql$
          with x as materialized (
            select c.*, case when c.waits then 'waits' when not c.newer then case when c.here then 'keep' else 'loser' end
              when c.there then 'there' when c.here and not c.fell_back then 'fallback' else 'one must go' end as what
            from (%1$s) c where not c.newer or c.referenced),
          rejected as (
            insert into tandem.verdict as v (peer_id, table_id, n, verdict, kind, reason, local_stamp, local_origin, holder)
            select distinct on (x.n) %2$s, %3$s, x.n, case when x.what in ('keep', 'fallback') then 'keep' else 'park' end,
              case when x.what in ('keep', 'fallback') then 'unique' else 'waits' end,
              format('another row holds the value it claims (%%s, key %%s)', x.index_name, tandem.key_text(x.local_key)), x.local_stamp, x.local_origin,
              case when x.what = 'fallback' or x.what = 'one must go' and not x.referenced_there then x.local_key end
            from x
            order by x.n, x.what <> 'waits', x.newer
            on conflict (peer_id, table_id, n) do update set verdict = excluded.verdict, kind = excluded.kind, reason = excluded.reason,
              local_stamp = excluded.local_stamp, local_origin = excluded.local_origin, holder = excluded.holder
            returning 1)
          select count(*) from rejected
        $sql$, v_query, v_plan ->> 'peer', v_plan ->> 'id') into v_count;
        v_rejected := v_rejected + v_count;
      end loop;
    end loop;
    v_total := v_total + v_rejected;
    exit when v_rejected = 0;
  end loop;
  return v_total;
end $$;
comment on function tandem.reject_claims(jsonb) is 'Rejects incoming rows that may not displace the holder of their unique value.';

-- tandem.note_fallbacks(p_plan) -> void
-- Notes the pairs of a row that fell back and the holder, once it is written anew: a decision that is made again must come out the same.
create or replace function tandem.note_fallbacks(p_plan jsonb) returns void
language plpgsql as $$
begin
  if exists (select from tandem.verdict v where v.peer_id = (p_plan ->> 'peer')::integer and v.table_id = (p_plan ->> 'id')::integer
    and v.verdict = 'keep' and v.holder is not null)
  then
    execute format('insert into tandem.fallback_pair (schema_name, table_name, local_key, incoming_key)
        select %L, %L, v.holder, %s from %s s
        join tandem.verdict v on v.peer_id = %s and v.table_id = %s and v.n = s.n and v.verdict = ''keep'' and v.holder is not null
        on conflict do nothing',
      p_plan ->> 'schema', p_plan ->> 'table', p_plan ->> 'key_text', p_plan ->> 'stage', p_plan ->> 'peer', p_plan ->> 'id');
  end if;
end $$;
comment on function tandem.note_fallbacks(jsonb) is 'Notes rows that fell back because of the holder of their value.';

-- tandem.mark_unique(p_plans) -> jsonb
-- The plans, those in which holders are to go marked "displaces", and those in which staged rows swap values among each other "swaps".
create or replace function tandem.mark_unique(p_plans jsonb) returns jsonb
language plpgsql as $$
declare
  v_plan jsonb;
  v_result jsonb := '[]';
  v_query text;
  v_displaces boolean;
  v_swaps boolean;
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    v_displaces := false;
    for v_query in select * from tandem.claims(v_plan, p_plans) loop
      execute format('select exists (%s)', v_query) into v_displaces;
      exit when v_displaces;
    end loop;
    v_swaps := false;
    for v_query in select q.holders from tandem.swaps(v_plan, 'true') q loop
      execute format('select exists (%s)', v_query) into v_swaps;
      exit when v_swaps;
    end loop;
    v_result := v_result || jsonb_build_array(v_plan || jsonb_build_object('displaces', v_displaces, 'swaps', v_swaps));
  end loop;
  return v_result;
end $$;
comment on function tandem.mark_unique(jsonb) is 'Marks plans in which unique values change hands.';

-- tandem.swaps(p_plan, p_where): per unique index a query for the keys of rows that are to be updated and now hold a value that another
-- staged row claims, and the column to be vacated with an expression for a value nobody has (null where there is none).
create or replace function tandem.swaps(p_plan jsonb, p_where text) returns table (index_name text, holders text, column_name text, vacant text)
language sql stable as $$
  select u.index_name,
    format('select %s from %s join %s on %s join %s s on s.n = r.tandem_n where not (%s) and (%s) and %s and exists (select from %s z join (select s.* from %s s where s.present and %s) w on w.n = z.n where %s)',
      array_to_string(tandem.columns('t', t.key_columns), ', '), u.staged, u.local, u.same_value, p_plan ->> 'stage', u.same_key, p_where, tandem.applies(p_plan),
      p_plan ->> 'stage', p_plan ->> 'stage', tandem.applies(p_plan),
      tandem.all_equal(t.key_operators, tandem.key_names('z', cardinality(t.key_columns)), tandem.columns('t', t.key_columns))),
    v.attname, v.expression
  from tandem.tracked_table t
  cross join lateral tandem.plan_uniques(p_plan) u
  left join lateral (
    select x.attname, x.expression from (
      select a.attname, a.attnum, case
          when not a.attnotnull and not coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) then 'null'
          when b.oid in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype) then
            case when a.atttypmod > 4 then format('left(md5(random()::text), %s)', a.atttypmod - 4) else 'md5(random()::text)' end
          when b.oid = 'uuid'::regtype then 'gen_random_uuid()'
          when b.oid = 'int2'::regtype then '(-32768 + (random() * 16000)::int)::int2'
          when b.oid in ('int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float8'::regtype) then '-(1 + (random() * 2147483646)::int)'
          when b.oid in ('timestamptz'::regtype, 'timestamp'::regtype) then 'timestamp ''4000-01-01 BC'' + random() * interval ''1000 years'''
        end as expression
      from pg_index i
      join pg_class ic on ic.oid = i.indexrelid and ic.relname = u.index_name
      cross join lateral (
        select k::smallint as attnum from unnest(i.indkey::int2[]) k where k > 0
        union select d.refobjsubid::smallint from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
          and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid > 0) k
      join pg_attribute a on a.attrelid = i.indrelid and (a.attnum = k.attnum or a.attnum in (select f.attnum from tandem.generated_from(i.indrelid, k.attnum) f))
      join pg_type b on b.oid = tandem.base_type(a.atttypid)
      where i.indrelid = t.relid and a.attname <> all (t.key_columns) and a.attgenerated = '') x
    where x.expression is not null
    order by x.expression <> 'null', x.attnum limit 1) v on true
  where t.table_id = (p_plan ->> 'id')::integer
$$;
comment on function tandem.swaps(jsonb, text) is 'Rows that stand in the way of others that are written with them.';

-- tandem.vacate(p_plan, p_where) -> bigint
-- The first of two steps where values are swapped between rows of one set: the rows that hold a claimed value get one that nobody
-- has, for PostgreSQL checks a unique index row by row. "~tandem_last" is told to leave this step alone.
create or replace function tandem.vacate(p_plan jsonb, p_where text) returns bigint
language plpgsql as $$
declare
  t tandem.tracked_table;
  w record;
  v_count bigint;
  v_total bigint := 0;
begin
  if not coalesce((p_plan ->> 'swaps')::boolean, false) then
    return 0;
  end if;
  select * into strict t from tandem.tracked_table where table_id = (p_plan ->> 'id')::integer;
  perform tandem.tell_triggers(p_plan, false);
  for w in select * from tandem.swaps(p_plan, p_where) loop
    continue when w.vacant is null;
    execute format('with h as materialized (%s) update %s t set %I = %s from h where %s',
      w.holders, p_plan ->> 'relation', w.column_name, w.vacant,
      tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.columns('h', t.key_columns)));
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  perform tandem.tell_triggers(p_plan);
  return v_total;
end $$;
comment on function tandem.vacate(jsonb, text) is 'First step of a swap of unique values.';

-- tandem.reassert_holders(p_plan) -> bigint
-- Fresh entries for holders that are referred to, so that the other side gives way. Called after the floor was raised. Pairs whose
-- local row is gone are forgotten.
create or replace function tandem.reassert_holders(p_plan jsonb) returns bigint
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_key text;
  v_count bigint;
begin
  if not exists (select from tandem.fallback_pair p where (p.schema_name, p.table_name) = (p_plan ->> 'schema', p_plan ->> 'table'))
    and not exists (select from tandem.verdict v
      where (v.peer_id, v.table_id, v.verdict) = ((p_plan ->> 'peer')::integer, (p_plan ->> 'id')::integer, 'park') and v.holder is not null)
  then
    return 0;
  end if;
  select * into strict t from tandem.tracked_table where table_id = (p_plan ->> 'id')::integer;
  v_key := format('array[%s]', (select string_agg(c || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) c));
  execute format('delete from tandem.fallback_pair p where p.schema_name = %L and p.table_name = %L and not exists (select from %s t where %s = p.local_key)',
    t.schema_name, t.table_name, p_plan ->> 'relation', v_key);
  if not exists (select from tandem.verdict v where v.peer_id = (p_plan ->> 'peer')::integer and v.table_id = t.table_id and v.verdict = 'park' and v.holder is not null) then
    return 0;
  end if;
  execute tandem.capture_insert(t, (select name from tandem.local_node), '$1', 'U', tandem.columns('t', t.key_columns),
    format('from %s t where %s in (select v.holder from tandem.verdict v where v.peer_id = %s and v.table_id = %s and v.verdict = ''park'')',
      p_plan ->> 'relation', v_key, p_plan ->> 'peer', t.table_id))
  using tandem.next_stamp();
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function tandem.reassert_holders(jsonb) is 'Writes referred-to holders anew.';

-- tandem.displace(p_plan, p_plans, p_where) -> bigint
-- Removes the holders that newer incoming rows displace, keeps their images, and enters them into the log as gone with their own
-- version plus 1 us (the odd stamp; with "now", two nodes that decide at different moments would remove both rows), received from
-- nobody: it goes to everybody, its origin too. The row locks are taken without waiting.
create or replace function tandem.displace(p_plan jsonb, p_plans jsonb, p_where text) returns bigint
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_query text;
  v_pairs text;
  v_count bigint;
  v_total bigint := 0;
begin
  if not coalesce((p_plan ->> 'displaces')::boolean, false) then
    return 0;
  end if;
  select * into strict t from tandem.tracked_table where table_id = (p_plan ->> 'id')::integer;
  for v_query in select * from tandem.claims(p_plan, p_plans) loop
    v_pairs := format('select distinct on (x.local_key) x.* , s.stamp as incoming_stamp, s.origin as incoming_origin, s.n as staged_n from (%s) x join %s s on s.n = x.n where x.newer and (%s) order by x.local_key, s.stamp desc, s.origin desc',
      v_query, p_plan ->> 'stage', p_where);
    execute format($sql$
      with x as materialized (%1$s),
      kept as (
        insert into tandem.conflict (peer_id, schema_name, table_name, key, kind, rule, winner, local_stamp, local_origin,
          incoming_stamp, incoming_origin, local_columns, local_values, incoming_columns, incoming_values)
        select %2$s, %3$L, %4$L, x.local_key, 'unique', 'unique index ' || x.index_name || ', newest', 'incoming', x.local_stamp, x.local_origin,
          x.incoming_stamp, x.incoming_origin, %5$L::text[], %6$s, %7$L::text[], %8$s
        from x join %9$s t on array[%10$s] = x.local_key join %11$s s on s.n = x.staged_n
        on conflict do nothing),
      gone as (
        delete from %9$s t using x where array[%10$s] = x.local_key returning %12$s, x.local_stamp, x.local_origin)
      insert into tandem_log.%13$I (xid, stamp, op, origin, %14$s)
      select pg_current_xact_id(), g.local_stamp + interval '1 microsecond', 'D', g.local_origin, %15$s from gone g
    $sql$,
      v_pairs, p_plan ->> 'peer', t.schema_name, t.table_name,
      array(select jsonb_array_elements_text(p_plan -> 'local_columns')), p_plan ->> 'local_values',
      array(select jsonb_array_elements_text(p_plan -> 'incoming_columns')), p_plan ->> 'incoming_values',
      p_plan ->> 'relation', (select string_agg(c || '::text', ', ') from unnest(tandem.columns('t', t.key_columns)) c), p_plan ->> 'stage',
      (select string_agg(format('t.%I as k%s', u.name, u.i), ', ' order by u.i) from unnest(t.key_columns) with ordinality u (name, i)),
      t.log_name, p_plan ->> 'log_keys', array_to_string(tandem.key_names('g', cardinality(t.key_columns)), ', '));
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  return v_total;
end $$;
comment on function tandem.displace(jsonb, jsonb, text) is 'Removes rows that newer incoming ones displace.';
