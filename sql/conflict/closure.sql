-- tandem.closure(p_plans) -> jsonb
-- What the source must be asked before a local row is blocked, displaced, cascaded, set null or written anew because of what is
-- staged: local children of rows to be deleted or to which they refer by a value that changes, parents that are not here, holders of a unique value. Of these the source sends
-- what it has; what is newer there joins the batch. Without it a cut or parked batch would undo changes of a single writer.
-- Computed before any lock, once the batch is staged, which is then indexed by key but for what may turn out to need no index. Returns [{"schema", "name", "referring", "keys": [["1"], ...]}] for keys not staged yet; the caller asks again
-- until nothing is new. Where "referring" is true it asks for rows that refer to these (tandem.referring_keys): they claim a unique
-- value whose holder here is referred to.
create or replace function tandem.closure(p_plans jsonb) returns jsonb
language plpgsql as $$
declare
  v_plan jsonb;
  f record;
  v_all jsonb := '[]';
  v_keys jsonb;
  v_there boolean;
begin
  perform tandem.index_stage(e, 'keys') from jsonb_array_elements(p_plans) e
  where not tandem.is_large(e ->> 'stage') or (e ->> 'rewritable')::boolean or jsonb_array_length(e -> 'foreign_keys') + jsonb_array_length(e -> 'references') + jsonb_array_length(e -> 'uniques') > 0;
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    v_there := false;
    if jsonb_array_length(v_plan -> 'references') > 0 then
      execute format('select exists (select from %s where not present)', v_plan ->> 'stage') into v_there;
    end if;
    for f in
      select x.*, t.schema_name, t.table_name, t.key_columns, t.table_id
      from (select r.child, r.child_is_t, r.child_id, 'not s.present' as touched from tandem.plan_references(v_plan) r where v_there
        union all select c.child, c.child_is_t, c.child_id, 's.present and ' || c.changed from tandem.plan_changes(v_plan) c) x
      join tandem.tracked_table t on t.table_id = x.child_id
    loop
      execute format('select jsonb_agg(distinct to_jsonb(array[%s])) from %s s join %s t on %s join %s c on %s where %s and %s',
        (select string_agg(u || '::text', ', ') from unnest(tandem.columns('c', f.key_columns)) u),
        v_plan ->> 'stage', v_plan ->> 'relation', v_plan ->> 'key_is_row', f.child, f.child_is_t, f.touched,
        tandem.not_staged(p_plans, f.table_id, tandem.columns('c', f.key_columns)))
      into v_keys;
      v_all := v_all || tandem.keys_of(f.schema_name, f.table_name, v_keys);
    end loop;
    for f in
      select k.*, t.schema_name, t.table_name, t.key_columns, t.table_id
      from tandem.plan_parents(v_plan) k join tandem.tracked_table t on t.table_id = k.parent_id
    loop
      execute format('select jsonb_agg(distinct to_jsonb(array[%s])) from %s s where s.present and %s and not exists (select from %s p where %s) and %s',
        (select string_agg(u || '::text', ', ') from unnest(f.staged_values) u), v_plan ->> 'stage',
        (select string_agg(u || ' is distinct from null', ' and ') from unnest(f.staged_values) u), f.parent, f.parent_is_s,
        tandem.not_staged(p_plans, f.table_id, f.staged_values))
      into v_keys;
      v_all := v_all || tandem.keys_of(f.schema_name, f.table_name, v_keys);
    end loop;
    for f in select * from tandem.plan_uniques(v_plan) loop
      execute format('select jsonb_agg(distinct to_jsonb(array[%s])) from %s join %s on %s where not (%s) and %s',
        (select string_agg(u || '::text', ', ') from unnest(tandem.columns('t', f.key_columns)) u),
        f.staged, f.local, f.same_value, f.same_key,
        tandem.not_staged(p_plans, (v_plan ->> 'id')::integer, tandem.columns('t', f.key_columns)))
      into v_keys;
      v_all := v_all || tandem.keys_of(v_plan ->> 'schema', v_plan ->> 'table', v_keys);
    end loop;
    v_all := v_all || tandem.closure_of_holders(v_plan, p_plans);
  end loop;
  return coalesce((select jsonb_agg(jsonb_build_object('schema', x.schema, 'name', x.name, 'referring', x.referring, 'keys', x.keys))
    from (select e ->> 'schema' as schema, e ->> 'name' as name, coalesce((e ->> 'referring')::boolean, false) as referring, jsonb_agg(distinct k) as keys
      from jsonb_array_elements(v_all) e cross join jsonb_array_elements(e -> 'keys') k group by 1, 2, 3) x), '[]'::jsonb);
end $$;
comment on function tandem.closure(jsonb) is 'Keys to ask the source for before deciding.';

-- tandem.closure_of_holders(p_plan, p_plans) -> jsonb
-- The part of a closure that concerns holders which others refer to: these others, and what refers to the claimants at the source.
create or replace function tandem.closure_of_holders(p_plan jsonb, p_plans jsonb) returns jsonb
language plpgsql as $$
declare
  u record;
  f record;
  v_all jsonb := '[]';
  v_keys jsonb;
begin
  for u in select * from tandem.plan_uniques(p_plan) loop
    for f in
      select r.child, r.child_is_t, t.schema_name, t.table_name, t.key_columns, t.table_id
      from tandem.plan_references(p_plan) r join tandem.tracked_table t on t.table_id = r.child_id
    loop
      execute format('select jsonb_agg(distinct to_jsonb(array[%s])) from %s join %s on %s join %s c on %s where not (%s) and %s',
        (select string_agg(c || '::text', ', ') from unnest(tandem.columns('c', f.key_columns)) c),
        u.staged, u.local, u.same_value, f.child, f.child_is_t, u.same_key, tandem.not_staged(p_plans, f.table_id, tandem.columns('c', f.key_columns)))
      into v_keys;
      v_all := v_all || tandem.keys_of(f.schema_name, f.table_name, v_keys);
      execute format('select jsonb_agg(distinct to_jsonb(%s)) from %s join %s on %s join %s s on s.n = r.tandem_n where not (%s) and exists (select from %s c where %s)',
        p_plan ->> 'key_text', u.staged, u.local, u.same_value, p_plan ->> 'stage', u.same_key, f.child, f.child_is_t)
      into v_keys;
      v_all := v_all || coalesce((select jsonb_agg(e || '{"referring": true}') from jsonb_array_elements(tandem.keys_of(p_plan ->> 'schema', p_plan ->> 'table', v_keys)) e), '[]');
    end loop;
  end loop;
  return v_all;
end $$;
comment on function tandem.closure_of_holders(jsonb, jsonb) is 'Keys to ask for because of holders that others refer to.';

-- tandem.referring_keys(p_schema, p_name, p_keys) -> jsonb
-- At the source, within the batch's snapshot: for rows of a table, the key of one row of each foreign key that refers to them:
-- [{"schema", "name", "keys"}].
create or replace function tandem.referring_keys(p_schema text, p_name text, p_keys jsonb) returns jsonb
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  f record;
  v_all jsonb := '[]';
  v_keys jsonb;
begin
  perform tandem.join_in_order(false);
  select * into strict t from tandem.tracked_table where (schema_name, table_name) = (p_schema, p_name);
  for f in
    select r.child, r.child_is_t, c.schema_name, c.table_name, c.key_columns
    from tandem.references_to(t.table_id) r join tandem.tracked_table c on c.table_id = r.child_id
  loop
    execute format('select jsonb_agg(distinct o.key) from (select %s from jsonb_array_elements($1) x) k join %I.%I t on %s
        cross join lateral (select to_jsonb(array[%s]) as key from %s c where %s order by %s limit 1) o',
      (select string_agg(format('(x ->> %s)::%s as k%s', u.i - 1, u.type, u.i), ', ') from unnest(t.key_types) with ordinality u (type, i)),
      t.schema_name, t.table_name, tandem.all_equal(t.key_operators, tandem.columns('t', t.key_columns), tandem.key_names('k', cardinality(t.key_columns))),
      (select string_agg(u || '::text', ', ') from unnest(tandem.columns('c', f.key_columns)) u), f.child, f.child_is_t,
      array_to_string(tandem.columns('c', f.key_columns), ', '))
    into v_keys using p_keys;
    v_all := v_all || tandem.keys_of(f.schema_name, f.table_name, v_keys);
  end loop;
  return v_all;
end $$;
comment on function tandem.referring_keys(text, text, jsonb) is 'Keys of rows that refer to others.';

-- tandem.unstaged_keys(p_peer_id, p_schema, p_name, p_keys) -> jsonb
-- Those of the keys of which no row is staged: what the source finds by itself may be in the batch already, and a key may be there once only.
create or replace function tandem.unstaged_keys(p_peer_id integer, p_schema text, p_name text, p_keys jsonb) returns jsonb
language plpgsql stable as $$
declare
  t tandem.tracked_table;
  v_keys jsonb;
begin
  select * into strict t from tandem.tracked_table where (schema_name, table_name) = (p_schema, p_name);
  execute format('select coalesce(jsonb_agg(x), ''[]'') from jsonb_array_elements($1) x where not exists (select from tandem_log.%I z where %s)',
    tandem.stage_name(p_peer_id, p_schema, p_name),
    tandem.all_equal(t.key_operators, tandem.key_names('z', cardinality(t.key_columns)),
      array(select format('(x ->> %s)::%s', u.i - 1, u.type) from unnest(t.key_types) with ordinality u (type, i) order by u.i)))
  into v_keys using p_keys;
  return v_keys;
end $$;
comment on function tandem.unstaged_keys(integer, text, text, jsonb) is 'Keys of which no row is staged.';

create or replace function tandem.keys_of(p_schema text, p_name text, p_keys jsonb) returns jsonb
language sql immutable as $$
  select case when p_keys is null then '[]'::jsonb else jsonb_build_array(jsonb_build_object('schema', p_schema, 'name', p_name, 'keys', p_keys)) end
$$;
comment on function tandem.keys_of(text, text, jsonb) is 'One element of a closure.';

-- tandem.not_staged(p_plans, p_table_id, p_values) -> text: condition that no row with this key is staged.
create or replace function tandem.not_staged(p_plans jsonb, p_table_id integer, p_values text[]) returns text
language plpgsql stable as $$
begin
  return (
    select coalesce((select format('not exists (select from %s z where %s)', e ->> 'stage',
        tandem.all_equal(t.key_operators, tandem.key_names('z', cardinality(t.key_columns)), p_values))
      from jsonb_array_elements(p_plans) e join tandem.tracked_table t on t.table_id = (e ->> 'id')::integer
      where t.table_id = p_table_id), 'true'));
end $$;
comment on function tandem.not_staged(jsonb, integer, text[]) is 'Condition that a key is not staged.';

-- tandem.staged_parents(p_plan): enforced foreign keys of a staged table to a tracked parent's key, with the staged values that refer to it.
create or replace function tandem.staged_parents(p_plan jsonb)
returns table (parent_id integer, parent text, parent_is_s text, staged_values text[])
language sql stable as $$
  select pt.table_id, c.confrelid::regclass::text,
    string_agg(format('p.%I operator(%I.%s) %s', pa.attname, n.nspname, o.oprname, x.value), ' and ' order by k.i),
    array_agg(x.value order by array_position(pt.key_columns, pa.attname::text))
  from tandem.tracked_table t
  join pg_constraint c on c.conrelid = t.relid and c.contype = 'f' and tandem.is_enforced(to_jsonb(c))
  join tandem.tracked_table pt on pt.relid = c.confrelid
  cross join lateral unnest(c.conkey, c.confkey, c.conpfeqop) with ordinality k (child, parent, op, i)
  join pg_attribute ta on ta.attrelid = c.conrelid and ta.attnum = k.child
  join pg_attribute pa on pa.attrelid = c.confrelid and pa.attnum = k.parent
  join pg_operator o on o.oid = k.op
  join pg_namespace n on n.oid = o.oprnamespace
  cross join lateral (select coalesce(
    (select q.value from tandem.plan_columns(t.relid, array(select jsonb_array_elements_text(p_plan -> 'columns')), (p_plan ->> 'as_text')::boolean) q where q.name = ta.attname),
    's.k' || array_position(t.key_columns, ta.attname::text)) as value) x
  where t.table_id = (p_plan ->> 'id')::integer
  group by c.oid, c.confrelid, pt.table_id, pt.key_columns
  having bool_and(x.value is not null) and array_agg(pa.attname::text order by pa.attname) = (select array_agg(u order by u) from unnest(pt.key_columns) u)
$$;
comment on function tandem.staged_parents(jsonb) is 'Parents that staged rows refer to.';
