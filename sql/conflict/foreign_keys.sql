-- Deletions of rows that are referred to here by rows the source does not know. The foreign key's own action decides: RESTRICT and
-- NO ACTION write the parent anew; CASCADE, SET NULL and SET DEFAULT are carried out. Both are changes of this node.

-- tandem.references_to(p_table_id): the enforced foreign keys that refer to a tracked table (parent alias t, child alias c); set_columns: those
-- that SET NULL and SET DEFAULT change, all of the key's or, from PostgreSQL 15 on, the ones it names; to_key: they refer
-- to the columns of its key.
create or replace function tandem.references_to(p_table_id integer)
returns table (name text, action "char", child_oid oid, child text, child_id integer, child_is_t text, child_columns text[], set_columns text[], update_action "char",
  to_key boolean)
language sql stable as $$
  select c.conname::text, c.confdeltype, c.conrelid, c.conrelid::regclass::text, ct.table_id,
    string_agg(format('c.%I operator(%I.%s) t.%I', ca.attname, n.nspname, o.oprname, ta.attname), ' and ' order by k.i),
    array_agg(ca.attname::text order by k.i),
    array_agg(ca.attname::text order by k.i) filter (where tandem.action_sets(to_jsonb(c), k.child)), c.confupdtype,
    array_agg(ta.attname::text order by ta.attname) = array(select u from unnest(t.key_columns) u order by u)
  from tandem.tracked_table t
  join pg_constraint c on c.confrelid = t.relid and c.contype = 'f' and tandem.is_enforced(to_jsonb(c))
  join pg_class cc on cc.oid = c.conrelid and not cc.relispartition
  left join tandem.tracked_table ct on ct.relid = c.conrelid
  cross join lateral unnest(c.conkey, c.confkey, c.conpfeqop) with ordinality k (child, parent, op, i)
  join pg_attribute ca on ca.attrelid = c.conrelid and ca.attnum = k.child
  join pg_attribute ta on ta.attrelid = c.confrelid and ta.attnum = k.parent
  join pg_operator o on o.oid = k.op
  join pg_namespace n on n.oid = o.oprnamespace
  where t.table_id = p_table_id
  group by c.oid, c.conname, c.confdeltype, c.confupdtype, c.conrelid, ct.table_id, t.key_columns
  order by c.conname
$$;
comment on function tandem.references_to(integer) is 'Foreign keys that refer to a tracked table.';

-- tandem.is_enforced(p_constraint) -> boolean: whether a foreign key, a row of pg_constraint, is enforced. Before PostgreSQL 18 all are.
create or replace function tandem.is_enforced(p_constraint jsonb) returns boolean
language sql immutable as $$
  select coalesce((p_constraint ->> 'conenforced')::boolean, true)
$$;
comment on function tandem.is_enforced(jsonb) is 'Whether a foreign key is enforced.';

-- tandem.action_sets(p_constraint, p_attnum) -> boolean: whether ON DELETE SET NULL or SET DEFAULT of a foreign key, a row of pg_constraint,
-- changes this column of it. Older servers know no list of columns.
create or replace function tandem.action_sets(p_constraint jsonb, p_attnum smallint) returns boolean
language sql immutable as $$
  select coalesce(nullif(p_constraint -> 'confdelsetcols', 'null') @> to_jsonb(p_attnum), true)
$$;
comment on function tandem.action_sets(jsonb, smallint) is 'Whether a foreign key''s action changes a column.';

-- tandem.child_not_written(p_plans, p_child_id, p_alias) -> text
-- Condition on the row p_alias: no staged row of this batch writes it, so it stays as it is. 'true' where the child's table is not in the batch.
create or replace function tandem.child_not_written(p_plans jsonb, p_child_id integer, p_alias text default 'c') returns text
language plpgsql stable as $$
begin
  return (
    select coalesce((select format('not exists (select from %s s where %s and %s)', e ->> 'stage',
        tandem.all_equal(t.key_operators, tandem.columns(p_alias, t.key_columns), tandem.key_names('s', cardinality(t.key_columns))), tandem.applies(e))
      from jsonb_array_elements(p_plans) e join tandem.tracked_table t on t.table_id = (e ->> 'id')::integer
      where t.table_id = p_child_id), 'true'));
end $$;
comment on function tandem.child_not_written(jsonb, integer, text) is 'Condition that a row is not written by the batch.';

-- tandem.row_waits(p_plans, p_table_id, p_alias, p_for) -> text
-- Condition on the row p_alias: the source has changed it too, and that change v waits. p_for: a further condition.
create or replace function tandem.row_waits(p_plans jsonb, p_table_id integer, p_alias text, p_for text default 'true') returns text
language plpgsql stable as $$
begin
  return (
    select coalesce((select format('exists (select from %s z join tandem.verdict v on v.peer_id = %s and v.table_id = %s and v.n = z.n and v.verdict = ''park'' where %s and (%s))',
        e ->> 'stage', e ->> 'peer', e ->> 'id',
        tandem.all_equal(t.key_operators, tandem.columns(p_alias, t.key_columns), tandem.key_names('z', cardinality(t.key_columns))), p_for)
      from jsonb_array_elements(p_plans) e join tandem.tracked_table t on t.table_id = (e ->> 'id')::integer
      where t.table_id = p_table_id
        and exists (select from tandem.verdict v where v.peer_id = (e ->> 'peer')::integer and v.table_id = p_table_id and v.verdict = 'park')), 'false'));
end $$;
comment on function tandem.row_waits(jsonb, integer, text, text) is 'Condition that the source''s change of a row waits.';

-- tandem.deletion_tree(p_plan, p_plans) -> text
-- A query for the rows that the set's deletions of one table would touch here by foreign keys, at any depth, and that the set does
-- not write: n (the staged deletion), child_id, rel and tid (the row), action, name (the foreign key), blocked (it forbids the deletion:
-- RESTRICT and NO ACTION, SET NULL of a column that is NOT NULL, SET DEFAULT without such a parent), waits (the source's change of it
-- does, and not for a deletion that waits for this one: see mark_crossed). Null where nothing refers to it.
-- The first level is joined as sets; deeper ones, row by row, exist only below a CASCADE.
create or replace function tandem.deletion_tree(p_plan jsonb, p_plans jsonb) returns text
language plpgsql stable as $$
declare
  f record;
  v_first text[] := '{}';
  v_deeper text[] := '{}';
  v_todo integer[] := '{}';
  v_seen integer[] := '{}';
  v_id integer;
  v_row text := 'select %s, %s::integer as child_id, c.tableoid as rel, c.ctid::text as tid, %L::text as action, %L::text as name, %s as blocked, %s as waits from ';
begin
  for f in select r.*, tandem.action_blocked(r.child_oid, r.name, r.action) as blocked from tandem.plan_references(p_plan) r loop
    v_first := v_first || (format(v_row, 's.n', coalesce(f.child_id, -1), f.action, f.name, f.blocked, tandem.row_waits(p_plans, f.child_id, 'c', f.blocked || ' or not v.crossed'))
      || format('%s s join %s t on %s join %s c on %s where not s.present and %s and %s', p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row',
        f.child, f.child_is_t, tandem.applies(p_plan), tandem.child_not_written(p_plans, f.child_id)));
    if f.action = 'c' and f.child_id is not null then
      v_todo := v_todo || f.child_id;
    end if;
  end loop;
  while cardinality(v_todo) > 0 loop
    v_id := v_todo[1];
    v_todo := v_todo[2:];
    continue when v_id = any (v_seen);
    v_seen := v_seen || v_id;
    for f in
      select r.*, p.relid::regclass::text as parent, tandem.action_blocked(r.child_oid, r.name, r.action::text) as blocked
      from tandem.references_to(v_id) r join tandem.tracked_table p on p.table_id = v_id
    loop
      v_deeper := v_deeper || (format(v_row, 'g.n', coalesce(f.child_id, -1), f.action, f.name, f.blocked, tandem.row_waits(p_plans, f.child_id, 'c', f.blocked || ' or not v.crossed'))
        || format('%s t join %s c on %s where g.child_id = %s and g.action = ''c'' and t.tableoid = g.rel and t.ctid = g.tid::tid and (c.tableoid, c.ctid) <> (t.tableoid, t.ctid) and %s',
          f.parent, f.child, f.child_is_t, v_id, tandem.child_not_written(p_plans, f.child_id)));
      if f.action = 'c' and f.child_id is not null then
        v_todo := v_todo || f.child_id;
      end if;
    end loop;
  end loop;
  if cardinality(v_deeper) = 0 then
    return array_to_string(v_first, ' union all ');
  end if;
  return format('with recursive reached as (select * from (%s) b union select x.* from reached g cross join lateral (%s) x) select * from reached',
    array_to_string(v_first, ' union all '), array_to_string(v_deeper, ' union all '));
end $$;
comment on function tandem.deletion_tree(jsonb, jsonb) is 'Query for the rows that deletions would touch by foreign keys.';

-- tandem.action_blocked(p_child, p_name, p_action) -> text: condition on the parent t and the child c that the action of a foreign key cannot be carried out.
create or replace function tandem.action_blocked(p_child oid, p_name text, p_action text) returns text
language sql stable as $$
  select case
    when p_action in ('a', 'r') then 'true'
    when p_action = 'c' then 'false'
    when p_action = 'n' or bool_or(s.sets and d.adbin is null)
      then coalesce(bool_or(a.attnotnull and (p_action = 'n' or d.adbin is null)) filter (where s.sets), false)::text
    else format('not exists (select from %s q where %s and (q.tableoid, q.ctid) <> (t.tableoid, t.ctid))', c.confrelid::regclass,
      string_agg(format('q.%I operator(%I.%s) (%s)', pa.attname, n.nspname, o.oprname,
        case when s.sets then pg_get_expr(d.adbin, d.adrelid) else format('c.%I', a.attname) end), ' and '))
  end
  from pg_constraint c
  cross join lateral unnest(c.conkey, c.confkey, c.conppeqop) k (child, parent, op)
  join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.child
  join pg_attribute pa on pa.attrelid = c.confrelid and pa.attnum = k.parent
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  join pg_operator o on o.oid = k.op
  join pg_namespace n on n.oid = o.oprnamespace
  cross join lateral (select tandem.action_sets(to_jsonb(c), k.child) as sets) s
  where c.conrelid = p_child and c.conname = p_name and c.contype = 'f'
  group by c.oid, c.confrelid
$$;
comment on function tandem.action_blocked(oid, text, text) is 'Condition that a foreign-key action cannot be carried out.';

-- tandem.reject_deletions(p_plans) -> bigint
-- Gives "keep" to staged deletions that a row here forbids, directly or at the end of a chain of cascades, to a fixpoint (a parent that
-- is kept is itself a child that stays); "park" where the row's table is held, for what became of it at the source is not known here, and
-- where the source has changed the row too and that waits. Returns how many were rejected.
create or replace function tandem.reject_deletions(p_plans jsonb) returns bigint
language plpgsql as $$
declare
  v_plan jsonb;
  v_tree text;
  v_count bigint;
  v_kept bigint;
  v_total bigint := 0;
begin
  loop
    v_kept := 0;
    for v_plan in select e from jsonb_array_elements(p_plans) e loop
      continue when (v_plan ->> 'existing')::bigint = 0;
      v_tree := tandem.deletion_tree(v_plan, p_plans);
      continue when v_tree = '';
      execute format($sql$
        insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason, local_stamp, local_origin)
        select distinct on (s.n) %1$s, %2$s, s.n, case when h.table_id is null and not g.waits then 'keep' else 'park' end,
          case when h.table_id is null and not g.waits then 'referenced/delete' else 'waits' end,
          case when h.table_id is not null then format('a row of %%I.%%I, which is held, refers to it (%%s)', h.schema_name, h.table_name, g.name)
            else format(case when g.waits then 'a row that waits refers to it (%%s)' else 'a row here refers to it (%%s)' end, g.name) end,
          coalesce(l.stamp, '0001-01-01 00:00:00+00'), coalesce(l.origin, '')
        from (%3$s) g join %4$s s on s.n = g.n
        left join (select t.table_id, t.schema_name, t.table_name from tandem.tracked_table t join tandem.inbound_table b using (schema_name, table_name)
          where b.peer_id = %1$s and b.state = 'held') h on h.table_id = g.child_id
        left join lateral (select l.stamp, l.origin from %5$s l where %6$s order by %7$s limit 1) l on true
        where g.blocked or g.waits or h.table_id is not null
        order by s.n, h.table_id, g.waits, g.name
        on conflict (peer_id, table_id, n) do update set verdict = excluded.verdict, kind = excluded.kind, reason = excluded.reason
      $sql$, v_plan ->> 'peer', v_plan ->> 'id', v_tree, v_plan ->> 'stage', v_plan ->> 'entries', v_plan ->> 'key_is_entry', v_plan ->> 'newest_first');
      get diagnostics v_count = row_count;
      v_kept := v_kept + v_count;
    end loop;
    v_total := v_total + v_kept;
    exit when v_kept = 0;
  end loop;
  return v_total;
end $$;
comment on function tandem.reject_deletions(jsonb) is 'Rejects deletions of rows that must stay.';

-- tandem.reject_orphans(p_plans) -> bigint
-- Lets staged rows wait whose parent is not there after the set, because it waits itself or was not accepted: until then they count
-- with their old parent. Where everything staged is simply written there are none. Returns how many there are.
create or replace function tandem.reject_orphans(p_plans jsonb) returns bigint
language plpgsql as $$
declare
  v_plan jsonb;
  f record;
  v_count bigint;
  v_total bigint := 0;
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    for f in
      select k.*, t.key_operators, t.key_columns, p.e as parent_plan
      from tandem.plan_parents(v_plan) k
      join tandem.tracked_table t on t.table_id = k.parent_id
      join jsonb_array_elements(p_plans) p (e) on (p.e ->> 'id')::integer = k.parent_id
      where exists (select from tandem.verdict v where v.peer_id = (v_plan ->> 'peer')::integer and v.table_id = k.parent_id
        and v.verdict not in ('adopt', 'win', 'anew'))
    loop
      execute format($sql$
        insert into tandem.verdict (peer_id, table_id, n, verdict, kind, reason)
        select %1$s, %2$s, s.n, 'park', 'waits', 'the row it refers to is not there'
        from %3$s s
        where s.present and %4$s and %5$s and not exists (select from %6$s p where %7$s)
          and not exists (select from (select s.* from %8$s s where s.present and %9$s) z where %10$s)
        on conflict (peer_id, table_id, n) do update set verdict = excluded.verdict, kind = excluded.kind, reason = excluded.reason
      $sql$, v_plan ->> 'peer', v_plan ->> 'id', v_plan ->> 'stage', tandem.applies(v_plan),
        (select string_agg(u || ' is distinct from null', ' and ') from unnest(f.staged_values) u), f.parent, f.parent_is_s,
        f.parent_plan ->> 'stage', tandem.applies(f.parent_plan),
        tandem.all_equal(f.key_operators, tandem.key_names('z', cardinality(f.key_columns)), f.staged_values));
      get diagnostics v_count = row_count;
      v_total := v_total + v_count;
    end loop;
  end loop;
  return v_total;
end $$;
comment on function tandem.reject_orphans(jsonb) is 'Lets rows wait whose parent is not there.';

-- tandem.mark_crossed(p_plans) -> bigint
-- Marks staged rows that wait for a parent which was deleted here, where that deletion waits at the source: what holds it up there may be
-- the deletion of their old parent (two rows, each merged into the other), and the two would wait for each other for ever. So these
-- rows hold up no deletion here: CASCADE, SET NULL and SET DEFAULT are carried out on the row that is here. RESTRICT still waits: it
-- forbids the other deletion, at the source. Returns how many there are.
create or replace function tandem.mark_crossed(p_plans jsonb) returns bigint
language plpgsql as $$
declare
  v_plan jsonb;
  f record;
  v_count bigint;
  v_total bigint := 0;
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    continue when not exists (select from tandem.outbound_parked k where k.peer_id = (v_plan ->> 'peer')::integer and k.key <> '{}')
      or not exists (select from tandem.verdict v where (v.peer_id, v.table_id, v.verdict) = ((v_plan ->> 'peer')::integer, (v_plan ->> 'id')::integer, 'park'));
    for f in
      select k.parent, k.parent_is_s, tandem.same_parked_key(t, 'k', k.staged_values) as waits_there
      from tandem.plan_parents(v_plan) k join tandem.tracked_table t on t.table_id = k.parent_id
    loop
      execute format('update tandem.verdict v set crossed = true from %s s
          where v.peer_id = %s and v.table_id = %s and v.verdict = ''park'' and v.kind = ''waits'' and not v.crossed and s.n = v.n and s.present
            and not exists (select from %s p where %s) and exists (select from tandem.outbound_parked k where k.peer_id = v.peer_id and %s)',
        v_plan ->> 'stage', v_plan ->> 'peer', v_plan ->> 'id', f.parent, f.parent_is_s, f.waits_there);
      get diagnostics v_count = row_count;
      v_total := v_total + v_count;
    end loop;
  end loop;
  return v_total;
end $$;
comment on function tandem.mark_crossed(jsonb) is 'Marks rows that wait for a deletion which waits for them.';
