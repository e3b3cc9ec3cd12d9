-- Plans are made of catalog look-ups that cost more than applying a row: they are kept while the catalogs stay as they are.

-- tandem.make_plans(p_peer_id, p_tables, p_replica) -> jsonb
-- The plans for [{"id", "columns", "as_text", "known"}], each with what the catalogs say beside it (see plan_catalog).
create or replace function tandem.make_plans(p_peer_id integer, p_tables jsonb, p_replica boolean) returns jsonb
language plpgsql as $$
declare
  e jsonb;
  v_columns text[];
  v_mark text;
  v_plan jsonb;
  v_rejoin text;
  v_plans jsonb := '[]';
begin
  for e in select x.e from jsonb_array_elements(p_tables) with ordinality x (e, i) order by x.i loop
    v_columns := array(select jsonb_array_elements_text(e -> 'columns'));
    v_mark := tandem.catalog_mark((e ->> 'id')::integer);
    select p.plan into v_plan from tandem.plan p
    where (p.peer_id, p.table_id, p.columns, p.as_text, p.replica) = (p_peer_id, (e ->> 'id')::integer, v_columns, (e ->> 'as_text')::boolean, p_replica)
      and p.catalog_mark = v_mark;
    if not found then
      v_plan := tandem.apply_plan(p_peer_id, (e ->> 'id')::integer, v_columns, (e ->> 'as_text')::boolean, p_replica);
      v_plan := v_plan || tandem.plan_catalog(v_plan || e);
      insert into tandem.plan (peer_id, table_id, columns, as_text, replica, catalog_mark, plan)
      values (p_peer_id, (e ->> 'id')::integer, v_columns, (e ->> 'as_text')::boolean, p_replica, v_mark, v_plan)
      on conflict (peer_id, table_id, columns, as_text, replica) do update set catalog_mark = excluded.catalog_mark, plan = excluded.plan;
    end if;
    select b.rejoin into v_rejoin from tandem.inbound_table b
    where (b.peer_id, b.schema_name, b.table_name) = (p_peer_id, v_plan ->> 'schema', v_plan ->> 'table') and b.state <> 'flow';
    if v_rejoin is not null then
      v_plan := v_plan || (select jsonb_build_object('rejoin', v_rejoin, 'missing', i.missing,
          'unlogged_stamp', tandem.unlogged_stamp(t, 't', v_rejoin), 'unlogged_origin', tandem.unlogged_origin(t, 't', v_rejoin))
        from tandem.tracked_table t, tandem.inbound i where t.table_id = (e ->> 'id')::integer and i.peer_id = p_peer_id);
    end if;
    v_plans := v_plans || jsonb_build_array(e || v_plan);
  end loop;
  return v_plans;
end $$;
comment on function tandem.make_plans(integer, jsonb, boolean) is 'Plans for the tables of a batch.';

-- tandem.catalog_mark(p_table_id) -> text
-- Changes whenever something in the catalogs does that a plan is made of: the table, its columns, defaults, indexes, constraints
-- (its own and those that refer to it), triggers, partitions; names and columns of the tables at the other ends of foreign keys; the set of
-- tracked tables; the installed SQL. No catalog is read whole: what refers to the table is found by its triggers.
create or replace function tandem.catalog_mark(p_table_id integer) returns text
language plpgsql stable as $$
begin
  return (
    select md5(concat_ws(' ',
      t.xmin, (select c.xmin from pg_class c where c.oid = t.relid),
      (select string_agg(a.xmin::text, ',' order by a.attnum) from pg_attribute a where a.attrelid = t.relid and a.attnum > 0),
      (select string_agg(d.xmin::text, ',' order by d.adnum) from pg_attrdef d where d.adrelid = t.relid),
      (select string_agg(i.xmin::text, ',' order by i.indexrelid) from pg_index i where i.indrelid = t.relid),
      (select string_agg(c.xmin::text, ',' order by c.oid) from pg_constraint c where c.conrelid = t.relid),
      (select string_agg(c.xmin::text, ',' order by c.oid) from pg_constraint c
        where c.oid = any (array(select g.tgconstraint from pg_trigger g where g.tgrelid = t.relid)) and c.confrelid = t.relid),
      (select string_agg(concat_ws(' ', (select r.xmin from pg_class r where r.oid = o.oid),
          (select string_agg(a.xmin::text, ',' order by a.attnum) from pg_attribute a where a.attrelid = o.oid and a.attnum > 0)), ',' order by o.oid)
        from (select c.confrelid as oid from pg_constraint c where c.conrelid = t.relid and c.contype = 'f'
          union select c.conrelid from pg_constraint c
          where c.oid = any (array(select g.tgconstraint from pg_trigger g where g.tgrelid = t.relid)) and c.confrelid = t.relid) o),
      (select string_agg(g.xmin::text, ',' order by g.oid) from pg_trigger g where g.tgrelid = t.relid),
      case when t.partitioned then (select string_agg(g.xmin::text, ',' order by g.oid) from pg_trigger g
        where g.tgrelid in (select h.relid from pg_partition_tree(t.relid) h)) end,
      (select string_agg(o.xmin::text, ',' order by o.table_id) from tandem.tracked_table o),
      (select max(f.installed_at) from tandem.sql_file f)))
    from tandem.tracked_table t where t.table_id = p_table_id);
end $$;
comment on function tandem.catalog_mark(integer) is 'Fingerprint of the catalogs a plan is made of.';

-- tandem.plan_catalog(p_plan) -> jsonb
-- What the catalogs say of a table, for the plan: its foreign keys, those that refer to it, parents of staged rows, unique
-- indexes beside the key, deferrable unique constraints, sequences.
create or replace function tandem.plan_catalog(p_plan jsonb) returns jsonb
language plpgsql stable as $$
declare
  v_id constant integer := p_plan ->> 'id';
  v_relid constant oid := (select t.relid from tandem.tracked_table t where t.table_id = v_id);
  v_columns constant text[] := array(select jsonb_array_elements_text(p_plan -> 'columns'));
  v_as_text constant boolean := p_plan ->> 'as_text';
  v_said jsonb := '{"foreign_keys": [], "parents": [], "references": [], "changes": [], "uniques": []}';
begin
  -- each of these queries takes longer to plan than a round lasts: what a table does not have is not asked for
  if exists (select from pg_constraint c where c.conrelid = v_relid and c.contype = 'f') then
    v_said := v_said || jsonb_build_object(
      'foreign_keys', (select coalesce(jsonb_agg(to_jsonb(f) order by f.name), '[]') from tandem.foreign_keys(v_id) f),
      'parents', (select coalesce(jsonb_agg(to_jsonb(r)), '[]') from tandem.staged_parents(p_plan) r), 'refers', tandem.refers_as_staged(p_plan));
  end if;
  if exists (select from pg_constraint c where c.confrelid = v_relid and c.contype = 'f') then
    v_said := v_said || jsonb_build_object(
      'references', (select coalesce(jsonb_agg(to_jsonb(r) order by r.name), '[]') from tandem.references_to(v_id) r),
      'changes', (select coalesce(jsonb_agg(to_jsonb(r) order by r.name), '[]') from tandem.reference_changes(v_id, v_columns, v_as_text) r),
      'rewriting', tandem.key_rewriting(p_plan));
  end if;
  if (select count(*) > 1 from pg_index i where i.indrelid = v_relid and i.indisunique) then
    v_said := v_said || jsonb_build_object('uniques', (select coalesce(jsonb_agg(to_jsonb(u) order by u.index_name), '[]')
      from tandem.unique_matches(v_id, v_columns, v_as_text, p_plan ->> 'stage') u));
  end if;
  return v_said || jsonb_build_object('image_query', tandem.image_query(p_plan),
    'sequences', (select coalesce(jsonb_agg(to_jsonb(s)), '[]') from tandem.sequences_of(v_id) s));
end $$;
comment on function tandem.plan_catalog(jsonb) is 'What the catalogs say of a table.';

-- The same again as rows, from a plan.
create or replace function tandem.plan_foreign_keys(p_plan jsonb)
returns table (name text, parent_oid oid, parent text, parent_is_t text, t_not_null text, t_columns text)
language sql immutable as $$
  select * from jsonb_to_recordset(p_plan -> 'foreign_keys')
    as x (name text, parent_oid oid, parent text, parent_is_t text, t_not_null text, t_columns text)
$$;
comment on function tandem.plan_foreign_keys(jsonb) is 'Foreign keys, from a plan.';

create or replace function tandem.plan_references(p_plan jsonb)
returns table (name text, action text, child_oid oid, child text, child_id integer, child_is_t text, child_columns text[], set_columns text[], update_action text, to_key boolean)
language sql immutable as $$
  select * from jsonb_to_recordset(p_plan -> 'references')
    as x (name text, action text, child_oid oid, child text, child_id integer, child_is_t text, child_columns text[], set_columns text[], update_action text, to_key boolean)
$$;
comment on function tandem.plan_references(jsonb) is 'Foreign keys that refer to the table, from a plan.';

create or replace function tandem.plan_changes(p_plan jsonb)
returns table (name text, action text, child_oid oid, child text, child_id integer, child_is_t text, child_columns text[], changed text, assignments text)
language sql immutable as $$
  select * from jsonb_to_recordset(p_plan -> 'changes')
    as x (name text, action text, child_oid oid, child text, child_id integer, child_is_t text, child_columns text[], changed text, assignments text)
$$;
comment on function tandem.plan_changes(jsonb) is 'Foreign keys that refer to columns beside the key, from a plan.';

create or replace function tandem.plan_parents(p_plan jsonb)
returns table (parent_id integer, parent text, parent_is_s text, staged_values text[])
language sql immutable as $$
  select * from jsonb_to_recordset(p_plan -> 'parents') as x (parent_id integer, parent text, parent_is_s text, staged_values text[])
$$;
comment on function tandem.plan_parents(jsonb) is 'Parents of staged rows, from a plan.';

create or replace function tandem.plan_uniques(p_plan jsonb)
returns table (index_name text, key_columns text[], staged text, local text, same_value text, same_key text)
language sql immutable as $$
  select * from jsonb_to_recordset(p_plan -> 'uniques')
    as x (index_name text, key_columns text[], staged text, local text, same_value text, same_key text)
$$;
comment on function tandem.plan_uniques(jsonb) is 'Unique indexes beside the key, from a plan.';

create or replace function tandem.plan_sequences(p_plan jsonb)
returns table (column_name text, sequence regclass, increment bigint)
language sql immutable as $$
  select * from jsonb_to_recordset(p_plan -> 'sequences') as x (column_name text, sequence regclass, increment bigint)
$$;
comment on function tandem.plan_sequences(jsonb) is 'Sequences of the table''s columns, from a plan.';
