-- tandem.apply_plan(p_peer_id, p_table_id, p_columns, p_as_text, p_replica) -> jsonb
-- The fragments of SQL by which one table of a batch is locked, decided and written. Aliases: s staged row, t row, l entry.
-- Typed values go in by assignment, never by an explicit cast to a length-limited type, which would cut them silently.
create or replace function tandem.apply_plan(p_peer_id integer, p_table_id integer, p_columns text[], p_as_text boolean, p_replica boolean)
returns jsonb
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  v_count integer;
  v_plan jsonb;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_count := cardinality(t.key_columns);
  select jsonb_build_object(
    'id', t.table_id, 'peer', p_peer_id, 'schema', t.schema_name, 'table', t.table_name, 'policy', t.conflict_policy,
    'relation', format('%I.%I', t.schema_name, t.table_name),
    'stage', format('tandem_log.%I', tandem.stage_name(p_peer_id, t.schema_name, t.table_name)),
    'log', format('tandem_log.%I', t.log_name), 'entries', format('tandem_log.%I', t.entries_name),
    'blocks', t.blocks_name is not null,
    'key_columns', array_to_string(tandem.quoted(t.key_columns), ', '),
    'first_key', format('t.%I', t.key_columns[1]), 'first_key_type', t.key_types[1],
    'log_keys', array_to_string(array(select 'k' || i from generate_series(1, v_count) i), ', '),
    'stage_keys', array_to_string(tandem.key_names('s', v_count), ', '),
    'key_text', format('array[%s]', (select string_agg(u || '::text', ', ') from unnest(tandem.key_names('s', v_count)) u)),
    'key_is_row', tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('s', v_count)),
    'key_is_entry', tandem.all_equal(t.key_operators, tandem.key_names('l', v_count), tandem.key_names('s', v_count)),
    'newest_first', array_to_string(array(select u || ' desc' from unnest(tandem.key_names('l', v_count)) u), ', ') || ', l.stamp desc, l.origin desc',
    'image_is_row', coalesce((select case when count(*) > 0 then format('record_image_eq(row(%s), row(%s))',
        string_agg(format('t.%I::%s', c.name, c.base), ', ' order by c.i), string_agg(format('%s::%s', c.value, c.base), ', ' order by c.i)) end
      from tandem.plan_columns(t.relid, p_columns, p_as_text) c), 'true'),
    -- A GENERATED ALWAYS identity is put in by "~tandem_last".
    'set', (select coalesce(string_agg(format('%I = %s', c.name, c.value), ', ' order by c.i) filter (where c.identity <> 'a'),
        case when count(*) > 0 then format('%1$I = t.%1$I', t.key_columns[1]) end)
      from tandem.plan_columns(t.relid, p_columns, p_as_text) c),
    -- A generated column of the key follows from the others.
    'insert_columns', array_to_string(tandem.quoted(array(select u.name from unnest(t.key_columns) with ordinality u (name, i)
      join pg_attribute a on a.attrelid = t.relid and a.attname = u.name and a.attgenerated = '' where u.name <> all (p_columns) order by u.i) || p_columns), ', '),
    'insert_values', concat_ws(', ',
      (select string_agg('s.k' || u.i, ', ' order by u.i) from unnest(t.key_columns) with ordinality u (name, i)
        join pg_attribute a on a.attrelid = t.relid and a.attname = u.name and a.attgenerated = '' where u.name <> all (p_columns)),
      (select string_agg(c.value, ', ' order by c.i) from tandem.plan_columns(t.relid, p_columns, p_as_text) c)),
    'overriding', case when exists (select from pg_attribute a where a.attrelid = t.relid and a.attidentity = 'a') then 'overriding system value' else '' end,
    'local_columns', (select to_jsonb(array_agg(a.attname order by a.attnum)) from pg_attribute a
      where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped),
    'local_values', (select format('array[%s]', string_agg(tandem.text_of(format('t.%I', a.attname)), ', ' order by a.attnum)) from pg_attribute a
      where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped),
    'incoming_columns', to_jsonb(array(select u from unnest(t.key_columns) u where u <> all (p_columns)) || p_columns),
    'incoming_values', format('array[%s]', concat_ws(', ',
      (select string_agg(tandem.text_of('s.k' || u.i), ', ' order by u.i) from unnest(t.key_columns) with ordinality u (name, i) where u.name <> all (p_columns)),
      (select string_agg(tandem.text_of('s.c' || u.i), ', ' order by u.i) from unnest(p_columns) with ordinality u (name, i)))),
    'unlogged_stamp', tandem.unlogged_stamp(t, 't'), 'unlogged_origin', tandem.unlogged_origin(t, 't'),
    'unique_changed', coalesce((select '(' || string_agg(tandem.differs(c.base, format('t.%I', c.name), c.value), ' or ') || ')'
      from tandem.plan_columns(t.relid, p_columns, p_as_text) c
      where exists (select from pg_index i where i.indrelid = t.relid and i.indisunique and not i.indisprimary and i.indpred is null and c.attnum = any (i.indkey))), 'false'),
    -- Whether s may claim a value that a constraint in replica role would not see another session take (tandem.heed_writers); null: never.
    'claims', case when p_replica and exists (select from pg_constraint d where d.conrelid = t.relid and d.contype = 'x' and d.condeferrable) then 'true'
      when p_replica then (select format('(t.%I is not distinct from null or %s)', t.key_columns[1],
        string_agg(tandem.differs(c.base, format('t.%I', c.name), c.value), ' or '))
      from tandem.plan_columns(t.relid, p_columns, p_as_text) c
      where exists (select from pg_constraint d where d.conrelid = t.relid and d.contype in ('u', 'p') and d.condeferrable and c.attnum = any (d.conkey))
      having count(*) > 0) end,
    -- PostgreSQL refuses a text that is too long for its column, but one that is so by blanks alone it cuts.
    'too_long', coalesce((select format('nullif(concat_ws('', '', %s), '''')', string_agg(format('case when length(%s) > %s then %L end', c.value, m.typmod - 4, c.name), ', ' order by c.i))
      from tandem.plan_columns(t.relid, p_columns, p_as_text) c
      join pg_attribute a on a.attrelid = t.relid and a.attnum = c.attnum and tandem.base_type(a.atttypid) = 'varchar'::regtype
      cross join lateral (select tandem.base_typmod(a.atttypid, a.atttypmod) as typmod) m
      where m.typmod <> -1 having count(*) > 0), 'null::text'),
    'rewritable', exists (select from tandem.plan_columns(t.relid, p_columns, p_as_text) c where c.identity = 'a') or exists (select from pg_trigger g where not g.tgisinternal and g.tgrelid in (select h.relid from pg_partition_tree(t.relid) h union select t.relid)
      and g.tgname not like 'tandem\_%' and g.tgname <> '~tandem_last' and g.tgtype & 1 = 1 and g.tgtype & 2 = 2
      and case when p_replica then g.tgenabled in ('A', 'R') else g.tgenabled in ('O', 'A') end))
  into v_plan;
  return v_plan;
end $$;
comment on function tandem.apply_plan(integer, integer, text[], boolean, boolean) is 'Fragments of SQL for one table of a batch.';

-- tandem.plan_columns(p_relid, p_columns, p_as_text): the staged columns with attribute number, type without domain or length,
-- identity kind, and the expression of the staged value.
create or replace function tandem.plan_columns(p_relid oid, p_columns text[], p_as_text boolean)
returns table (i bigint, name text, attnum smallint, base text, identity "char", value text)
language sql stable as $$
  select u.i, u.name, a.attnum, b.base, a.attidentity, case when p_as_text then format('s.c%s::%s', u.i, b.base) else 's.c' || u.i end
  from unnest(p_columns) with ordinality u (name, i)
  join pg_attribute a on a.attrelid = p_relid and a.attname = u.name and not a.attisdropped
  cross join lateral (select format_type(tandem.base_type(a.atttypid), -1) as base) b
$$;
comment on function tandem.plan_columns(oid, text[], boolean) is 'Staged columns as a plan needs them.';

-- tandem.differs(p_base, p_one, p_other) -> text: the condition that two values of type p_base (without domain or length) are distinct, at the
-- least where its own equality says so. PostgreSQL looks for the operator of IS DISTINCT FROM on the search_path, which is pinned to pg_catalog:
-- where there is none for the type (ltree, hstore) the texts are compared.
create or replace function tandem.differs(p_base text, p_one text, p_other text) returns text
language sql stable as $$
  select case when y.typtype in ('e', 'r', 'm', 'c') or y.typcategory = 'A' or exists (select from pg_operator o
      where o.oprname = '=' and o.oprnamespace = 'pg_catalog'::regnamespace and o.oprleft = o.oprright and (o.oprleft = y.oid or exists (select from pg_cast b
        where b.castsource = y.oid and b.casttarget = o.oprleft and b.castmethod = 'b' and b.castcontext = 'i')))
    then format('%1$s::%3$s is distinct from %2$s::%3$s', p_one, p_other, p_base)
    else format('%s is distinct from %s', tandem.text_of(format('%s::%s', p_one, p_base)), tandem.text_of(format('%s::%s', p_other, p_base))) end
  from pg_type y where y.oid = p_base::regtype
$$;
comment on function tandem.differs(text, text, text) is 'Condition that two values are distinct.';

create or replace function tandem.quoted(p_names text[]) returns text[]
language sql immutable as $$
  select coalesce(array_agg(quote_ident(u.name) order by u.i), '{}') from unnest(p_names) with ordinality u (name, i)
$$;
comment on function tandem.quoted(text[]) is 'Names, quoted where they need it.';
