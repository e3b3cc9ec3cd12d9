-- Checks on what was just written, before anything is committed. Each returns staged rows at fault; the caller rolls back to the
-- savepoint, gives them the verdict "park" and writes the others.

-- tandem.rewritten_rows(p_plan, p_where): rows that are not there (or still there), or not as staged: a trigger of the application's
-- returned NULL, or rewrote them in spite of "~tandem_last".
create or replace function tandem.rewritten_rows(p_plan jsonb, p_where text) returns table (n bigint, reason text)
language plpgsql as $$
declare
  v_triggers text;
begin
  if not (p_plan ->> 'rewritable')::boolean then
    return;
  end if;
  select string_agg(distinct quote_ident(g.tgname), ', ') into v_triggers
  from pg_trigger g join tandem.tracked_table t on g.tgrelid = t.relid
  where t.table_id = (p_plan ->> 'id')::integer and not g.tgisinternal and g.tgtype & 3 = 3 and g.tgname !~ '^(tandem_|~tandem_last$)';
  v_triggers := coalesce(v_triggers, 'none of the application''s');
  return query execute format('select s.n, case when not s.present then %L when %s is not distinct from null then %L else %L end from %s s left join %s t on %s
      where (%s) and %s and case when s.present then %s is not distinct from null or not %s else %s is distinct from null end',
    'a BEFORE trigger let the row stay: ' || v_triggers, p_plan ->> 'first_key',
    'a BEFORE trigger let the row vanish: ' || v_triggers, 'a BEFORE trigger changed the row: ' || v_triggers,
    p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_where, tandem.applies(p_plan), p_plan ->> 'first_key', p_plan ->> 'image_is_row',
    p_plan ->> 'first_key');
end $$;
comment on function tandem.rewritten_rows(jsonb, text) is 'Staged rows that a trigger changed or dropped.';

-- tandem.orphans(p_plan, p_where): rows whose parent is not there (in replica role PostgreSQL does not look). Parents are locked
-- FOR KEY SHARE, as its own check would.
create or replace function tandem.orphans(p_plan jsonb, p_where text) returns table (n bigint, reason text)
language plpgsql as $$
declare
  f record;
begin
  for f in select * from tandem.plan_foreign_keys(p_plan) loop
    -- The distinct values first: a lock keeps the planner from turning EXISTS into a join.
    execute format('with x as materialized (select distinct %s from %s s join %s t on %s where (%s) and s.present and %s and %s)
        select count(*) from (select 1 from x t join %s p on %s for key share of p) y',
      f.t_columns, p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_where, tandem.applies(p_plan), f.t_not_null, f.parent, f.parent_is_t);
    return query execute format('select s.n, %L::text from %s s join %s t on %s where (%s) and s.present and %s and %s and not exists (select from %s p where %s)',
      format('the row it refers to is not there (%s)', f.name), p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_where, tandem.applies(p_plan),
      f.t_not_null, f.parent, f.parent_is_t);
  end loop;
end $$;
comment on function tandem.orphans(jsonb, text) is 'Staged rows without the parent they refer to.';

-- tandem.foreign_keys(p_table_id): the foreign keys of a tracked table (alias t) that are enforced, with conditions against the parent (alias p).
create or replace function tandem.foreign_keys(p_table_id integer)
returns table (name text, parent_oid oid, parent text, parent_is_t text, t_not_null text, t_columns text)
language sql stable as $$
  select c.conname::text, c.confrelid, c.confrelid::regclass::text,
    string_agg(format('p.%I operator(%I.%s) t.%I', pa.attname, n.nspname, o.oprname, ta.attname), ' and ' order by k.i),
    string_agg(format('t.%I is distinct from null', ta.attname), ' and ' order by k.i),
    string_agg(format('t.%I', ta.attname), ', ' order by k.i)
  from tandem.tracked_table t
  join pg_constraint c on c.conrelid = t.relid and c.contype = 'f' and tandem.is_enforced(to_jsonb(c))
  cross join lateral unnest(c.conkey, c.confkey, c.conpfeqop) with ordinality k (child, parent, op, i)
  join pg_attribute ta on ta.attrelid = c.conrelid and ta.attnum = k.child
  join pg_attribute pa on pa.attrelid = c.confrelid and pa.attnum = k.parent
  join pg_operator o on o.oid = k.op
  join pg_namespace n on n.oid = o.oprnamespace
  where t.table_id = p_table_id and c.confrelid in (select p.oid from pg_class p where p.relkind in ('r', 'p') and not p.relispartition)
  group by c.oid, c.conname, c.confrelid
$$;
comment on function tandem.foreign_keys(integer) is 'Foreign keys of a tracked table.';

-- tandem.deferrable_duplicates(p_plan, p_where): rows that break a deferrable unique or exclusion constraint together with another row; in replica role
-- PostgreSQL does not look. Columns, expressions and the predicate are those of the constraint's index, which names columns without a table.
create or replace function tandem.deferrable_duplicates(p_plan jsonb, p_where text) returns table (n bigint, reason text, sqlstate text)
language plpgsql as $$
declare
  u record;
begin
  for u in
    select c.conname, case c.contype when 'x' then '23P01' else '23505' end as state,
      string_agg(format('%s as x%s', pg_get_indexdef(i.indexrelid, g.g, true), g.g), ', ' order by g.g) as parts,
      tandem.same_by_index(i.indexrelid, 'v.x', 'o.x') as same,
      coalesce(pg_get_expr(i.indpred, i.indrelid), 'true') as predicate
    from tandem.tracked_table t
    join pg_constraint c on c.conrelid = t.relid and c.contype in ('u', 'p', 'x') and c.condeferrable
    join pg_index i on i.indexrelid = c.conindid
    cross join lateral generate_series(1, i.indnkeyatts) g
    where t.table_id = (p_plan ->> 'id')::integer
    group by c.conname, c.contype, i.indexrelid, i.indpred, i.indrelid
  loop
    return query execute format('select s.n, %1$L::text, %2$L::text from %3$s s join %4$s t on %5$s cross join lateral (select %6$s from (select t.*) q where %7$s) v
      where (%8$s) and s.present and %9$s
        and exists (select from (select q.tableoid as in_table, q.ctid as at, %6$s from %4$s q where %7$s) o where (o.in_table, o.at) <> (t.tableoid, t.ctid) and %10$s)',
      format(case u.state when '23505' then 'another row has the same value (%s)' else 'another row excludes it (%s)' end, u.conname), u.state,
      p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', u.parts, u.predicate, p_where, tandem.applies(p_plan), u.same);
  end loop;
end $$;
comment on function tandem.deferrable_duplicates(jsonb, text) is 'Staged rows that break a deferrable constraint.';
