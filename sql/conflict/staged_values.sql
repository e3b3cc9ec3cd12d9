-- What a staged row would hold under its table's own column names: generated columns, and the values of unique indexes.

-- tandem.staged_row(p_table_id, p_columns, p_as_text, p_rest) -> text
-- A query for the values of the staged row s under the table's own column names, with the generated ones that follow from them. p_rest
-- follows its select list: ", s.n from ... s".
create or replace function tandem.staged_row(p_table_id integer, p_columns text[], p_as_text boolean, p_rest text default '') returns text
language sql stable as $$
  select format(case when g.list is null then 'select %1$s%2$s' else 'select b.*, %3$s from (select %1$s%2$s) b' end, string_agg(q.e, ', '), p_rest, g.list)
  from tandem.tracked_table t cross join lateral (
    select format('%s as %I', tandem.staged_key(u.i, format_type(a.atttypid, null)), u.name) as e from unnest(t.key_columns) with ordinality u (name, i)
    join pg_attribute a on a.attrelid = t.relid and a.attname = u.name and not a.attisdropped where u.name <> all (p_columns)
    union all select format('%s as %I', q.value, q.name) from tandem.plan_columns(t.relid, p_columns, p_as_text) q) q
  cross join lateral (select string_agg(format('%s as %I', c.expression, c.name), ', ') as list
    from tandem.generated_columns(t.relid, p_columns || t.key_columns) c) g
  where t.table_id = p_table_id
  group by g.list
$$;
comment on function tandem.staged_row(integer, text[], boolean, text) is 'A staged row under the table''s column names.';

-- tandem.generated_columns(p_relid, p_columns): stored generated columns that follow from these columns, with their expression over the names.
create or replace function tandem.generated_columns(p_relid oid, p_columns text[]) returns table (name text, expression text)
language sql stable as $$
  select a.attname::text, format('(%s)::%s', pg_get_expr(d.adbin, d.adrelid), format_type(a.atttypid, a.atttypmod))
    || case when a.attcollation <> 0 then format(' collate %s', a.attcollation::regcollation) else '' end
  from pg_attribute a
  join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attrelid = p_relid and a.attgenerated = 's' and not a.attisdropped and a.attname <> all (p_columns) and not exists (
    select from tandem.generated_from(p_relid, a.attnum) f join pg_attribute b on b.attrelid = p_relid and b.attnum = f.attnum where b.attname <> all (p_columns))
$$;
comment on function tandem.generated_columns(oid, text[]) is 'Generated columns that follow from others.';

-- tandem.generated_from(p_relid, p_attnum): the columns that a generated one follows from. Before PostgreSQL 15 it is the column that depends
-- on them, not its default.
create or replace function tandem.generated_from(p_relid oid, p_attnum smallint) returns table (attnum smallint)
language sql stable as $$
  select p.refobjsubid::smallint from pg_depend p
  where ((p.classid, p.objid) = ('pg_attrdef'::regclass, (select d.oid from pg_attrdef d where d.adrelid = p_relid and d.adnum = p_attnum))
      or (p.classid, p.objid, p.objsubid) = ('pg_class'::regclass, p_relid, p_attnum))
    and p.refclassid = 'pg_class'::regclass and p.refobjid = p_relid and p.refobjsubid not in (0, p_attnum)
$$;
comment on function tandem.generated_from(oid, smallint) is 'What a generated column follows from.';

-- tandem.same_by_index(p_index, p_one, p_other) -> text
-- Condition that two rows hold the same value of a unique index (of an exclusion constraint's: that they exclude each other), by its own
-- operators; its columns are p_one and p_other with their numbers.
create or replace function tandem.same_by_index(p_index oid, p_one text, p_other text) returns text
language sql stable as $$
  select string_agg(format(case when coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)
      then '(%1$s operator(%3$I.%4$s) %2$s or (%1$s is not distinct from null and %2$s is not distinct from null))'
      else '%1$s operator(%3$I.%4$s) %2$s' end, p_one || g.g, p_other || g.g, n.nspname, o.oprname), ' and ' order by g.g)
  from pg_index i
  cross join lateral generate_series(1, i.indnkeyatts) g
  join pg_opclass oc on oc.oid = i.indclass[g.g - 1]
  left join pg_constraint c on i.indisexclusion and c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x')
  left join pg_amop am on not i.indisexclusion and am.amopfamily = oc.opcfamily and am.amopstrategy = 3 and am.amoplefttype = oc.opcintype and am.amoprighttype = oc.opcintype
  join pg_operator o on o.oid = coalesce(c.conexclop[g.g], am.amopopr)
  join pg_namespace n on n.oid = o.oprnamespace
  where i.indexrelid = p_index
$$;
comment on function tandem.same_by_index(oid, text, text) is 'Condition that two rows hold the same value of an index.';

-- tandem.unique_matches(...): per unique index beside the key: the staged rows under the table's own column names (alias r) and the
-- local rows (alias t), each with the index's values as tandem_1, tandem_2, ... and its predicate as tandem_where; the condition
-- that both hold the same value, by the index's own operators (WITHOUT OVERLAPS: or one that overlaps), and that both have the same key.
create or replace function tandem.unique_matches(p_table_id integer, p_columns text[], p_as_text boolean, p_stage text)
returns table (index_name text, key_columns text[], staged text, local text, same_value text, same_key text)
language sql stable as $$
  select ic.relname::text, t.key_columns,
    format('(select b.*, %s from (%s) b) r', x.values_,
      tandem.staged_row(p_table_id, p_columns, p_as_text, format(', s.n as tandem_n from %s s where s.present', p_stage))),
    format('(select b.*, %s from %I.%I b) t', x.values_, t.schema_name, t.table_name),
    tandem.same_by_index(i.indexrelid, 'r.tandem_', 't.tandem_') || ' and r.tandem_where and t.tandem_where',
    tandem.all_equal(t.key_operators, tandem.columns('r', t.key_columns), tandem.columns('t', t.key_columns))
  from tandem.tracked_table t
  join pg_index i on i.indrelid = t.relid and i.indisunique and i.indisvalid
  join pg_class ic on ic.oid = i.indexrelid
  cross join lateral (select
    string_agg(format('(%s) as tandem_%s', pg_get_indexdef(i.indexrelid, g.g, false), g.g), ', ' order by g.g)
      || format(', (%s) as tandem_where', coalesce(pg_get_expr(i.indpred, i.indrelid), 'true')) as values_
    from generate_series(1, i.indnkeyatts) g) x
  where t.table_id = p_table_id and i.indexrelid <> (select k.index_oid from tandem.table_key(t.relid) k)
    and not exists (select from unnest(i.indkey::int2[]) z join pg_attribute a on a.attrelid = t.relid and a.attnum = z
      where z > 0 and a.attname <> all (p_columns || t.key_columns || array(select c.name from tandem.generated_columns(t.relid, p_columns || t.key_columns) c)))
$$;
comment on function tandem.unique_matches(integer, text[], boolean, text) is 'How to find who holds a unique value.';
