-- What the foreign keys' own actions do with rows here, once it is decided which deletions and changes are carried out: images are kept of all that
-- CASCADE, SET NULL and SET DEFAULT delete or change, and in replica role the actions are carried out, for PostgreSQL does not.

-- tandem.mark_actions(p_plans) -> jsonb
-- Keeps the images of rows that CASCADE, SET NULL or SET DEFAULT will delete or change, at any depth, but of rows that the set writes, which
-- tandem.keep_taken looks after. Returns the plans, those with such deletions marked "act"; where PostgreSQL carries the actions out, all that may have some.
create or replace function tandem.mark_actions(p_plans jsonb) returns jsonb
language plpgsql as $$
declare
  v_plan jsonb;
  v_result jsonb := '[]';
begin
  for v_plan in select e from jsonb_array_elements(p_plans) e loop
    if (v_plan ->> 'existing')::bigint > 0 then
      if exists (select from tandem.plan_references(v_plan) r where r.action not in ('a', 'r')) then
        v_plan := v_plan || jsonb_build_object('act', tandem.keep_images(v_plan, tandem.deletion_tree(v_plan, p_plans), 'referring/delete') > 0
          or v_plan ->> 'gone' is distinct from '0' and current_setting('session_replication_role') <> 'replica');
      end if;
      if exists (select from tandem.plan_changes(v_plan) r where r.action not in ('a', 'r')) then
        perform tandem.keep_images(v_plan, tandem.moved_children(v_plan, p_plans), 'referring/update');
      end if;
    end if;
    v_result := v_result || jsonb_build_array(v_plan);
  end loop;
  return v_result;
end $$;
comment on function tandem.mark_actions(jsonb) is 'Marks plans whose deletions have foreign-key actions.';

-- tandem.keep_images(p_plan, p_rows, p_kind) -> bigint
-- Puts rows that a foreign key's action is about to change into tandem.conflict; p_rows: a query for them (n, child_id, rel, tid, action, name).
-- Returns how many there are, those of tables that are not tracked too, of which no image is kept. Error: TD013, the newest entries of these rows
-- would be looked for in blocks.
create or replace function tandem.keep_images(p_plan jsonb, p_rows text, p_kind text) returns bigint
language plpgsql as $$
declare
  k record;
  v_total bigint := 0;
begin
  for k in execute format('select g.child_id, g.name, g.rows, t.schema_name, t.table_name, t.key_columns, t.key_operators, t.entries_name, t.relid::regclass::text as relation,
      array(select a.attname::text from pg_attribute a where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped order by a.attnum) as columns
    from (select r.child_id, r.name, count(*) as rows from (%s) r where r.action not in (''a'', ''r'') group by 1, 2) g
    left join tandem.tracked_table t on t.table_id = g.child_id', p_rows)
  loop
    v_total := v_total + k.rows;
    continue when k.relation is null;
    if tandem.has_blocks(k.child_id) then
      raise exception 'blocks of % are to be written out before its rows change', k.relation using errcode = 'TD013';
    end if;
    execute format($sql$
      insert into tandem.conflict (peer_id, schema_name, table_name, key, kind, rule, winner, local_stamp, local_origin,
        incoming_stamp, incoming_origin, local_columns, local_values)
      select distinct on (x.key) %1$s, %2$L, %3$L, x.key, %15$L, %4$L, 'incoming', x.stamp, x.origin, x.parent_stamp, x.parent_origin, %5$L::text[], x.image
      from (
        select array[%6$s] as key, coalesce(l.stamp, '0001-01-01 00:00:00+00') as stamp, coalesce(l.origin, '') as origin,
          s.stamp as parent_stamp, s.origin as parent_origin, array[%7$s] as image
        from (%8$s) g join %9$s s on s.n = g.n join %10$s c on c.tableoid = g.rel and c.ctid = g.tid::tid
        left join lateral (select l.stamp, l.origin from tandem_log.%11$I l where %12$s order by l.stamp desc, l.origin desc limit 1) l on true
        where g.child_id = %13$s and g.name = %14$L) x
      on conflict do nothing
    $sql$, p_plan ->> 'peer', k.schema_name, k.table_name, 'foreign key ' || k.name, k.columns,
      (select string_agg(u || '::text', ', ') from unnest(tandem.columns('c', k.key_columns)) u),
      (select string_agg(tandem.text_of(u), ', ') from unnest(tandem.columns('c', k.columns)) u),
      p_rows, p_plan ->> 'stage', k.relation, k.entries_name,
      tandem.all_equal(k.key_operators, tandem.key_names('l', cardinality(k.key_columns)), tandem.columns('c', k.key_columns)),
      k.child_id, k.name, p_kind);
  end loop;
  return v_total;
end $$;
comment on function tandem.keep_images(jsonb, text, text) is 'Keeps the images of rows that a foreign key''s action changes.';

-- tandem.keep_taken(p_plan, p_over) -> bigint
-- After a set was written: puts rows that came with it, and that an action took or changed at once, into tandem.conflict, as they came. What they
-- refer to was here, and went by a deletion of the same set that the source could not know to go so far. (What a change of the set moves on so
-- is still at the source as it was, and its image is kept there; keys that are only written otherwise move nothing: tandem.rewrite_keys.)
-- p_over: condition on s, rows that are done with. Returns how many there are.
create or replace function tandem.keep_taken(p_plan jsonb, p_over text) returns bigint
language plpgsql as $$
declare
  v_columns text[] := array(select jsonb_array_elements_text(p_plan -> 'incoming_columns'));
  f record;
  v_count bigint;
  v_total bigint := 0;
begin
  for f in
    select r.name, r.child_is_t, r.child_columns, p.relid::regclass::text as parent
    from tandem.tracked_table p cross join lateral tandem.references_to(p.table_id) r
    where r.child_id = (p_plan ->> 'id')::integer and r.action not in ('a', 'r') and r.child_columns <@ v_columns
  loop
    -- the order takes the index whatever the planner believes of the log's size
    execute format($sql$
      with own as materialized (
        select distinct on (%1$s) l.* from (select * from %2$s l where l.xid >= pg_current_xact_id() order by l.xid) l
        where l.received_from is null and l.origin = %3$L order by %4$s)
      insert into tandem.conflict (peer_id, schema_name, table_name, key, kind, rule, winner, local_stamp, local_origin, incoming_stamp, incoming_origin,
        incoming_columns, incoming_values)
      select %5$s, %6$L, %7$L, %8$s, 'referring/delete', %9$L, 'local', l.stamp, l.origin, s.stamp, s.origin, %10$L::text[], %11$s
      from own l join %12$s s on %13$s cross join lateral (%14$s) c
      where s.present and %15$s and %16$s and %17$s and not exists (select from %18$s t where %19$s)
      on conflict do nothing
    $sql$, p_plan ->> 'log_keys', p_plan ->> 'entries', (select name from tandem.local_node), p_plan ->> 'newest_first',
      p_plan ->> 'peer', p_plan ->> 'schema', p_plan ->> 'table', p_plan ->> 'key_text', 'foreign key ' || f.name, v_columns, p_plan ->> 'incoming_values',
      p_plan ->> 'stage', p_plan ->> 'key_is_entry',
      tandem.staged_row((p_plan ->> 'id')::integer, array(select jsonb_array_elements_text(p_plan -> 'columns')), (p_plan ->> 'as_text')::boolean),
      tandem.applies(p_plan), p_over, (select string_agg(format('c.%I is distinct from null', u), ' and ') from unnest(f.child_columns) u), f.parent, f.child_is_t);
    get diagnostics v_count = row_count;
    v_total := v_total + v_count;
  end loop;
  return v_total;
end $$;
comment on function tandem.keep_taken(jsonb, text) is 'Keeps the images of written rows that a foreign key''s action took at once.';

-- tandem.carry_out_actions(p_plans) -> void
-- In replica role PostgreSQL carries out no foreign-key action: this does, after the parents went, level by level, captured as
-- changes of this node (the applier's mark is taken off meanwhile). In the ordinary-owner way PostgreSQL does it by itself.
create or replace function tandem.carry_out_actions(p_plans jsonb) returns void
language plpgsql as $$
declare
  v_mark text := current_setting('tandem.applying', true);
  v_tables integer[] := array(select (e ->> 'id')::integer from jsonb_array_elements(p_plans) e where (e ->> 'act')::boolean);
  v_next integer[];
  v_table integer;
  f record;
  v_count bigint;
begin
  if cardinality(v_tables) = 0 then
    return;
  end if;
  perform set_config('tandem.applying', '', true);
  while cardinality(v_tables) > 0 loop
    v_next := '{}';
    foreach v_table in array v_tables loop
      for f in select r.*, p.relid::regclass::text as parent from tandem.references_to(v_table) r join tandem.tracked_table p on p.table_id = v_table loop
        execute format(case f.action when 'c' then 'delete from %1$s c where %2$s' when 'n' then 'update %1$s c set %3$s where %2$s'
            when 'd' then 'update %1$s c set %4$s where %2$s' else 'select 1 from %1$s c where %2$s limit 1' end,
          f.child,
          (select string_agg(format('c.%I is distinct from null', u), ' and ') from unnest(f.child_columns) u)
            || format(' and not exists (select from %s t where %s)', f.parent, f.child_is_t),
          (select string_agg(format('%I = null', u), ', ') from unnest(f.set_columns) u),
          (select string_agg(format('%I = default', u), ', ') from unnest(f.set_columns) u));
        get diagnostics v_count = row_count;
        if v_count > 0 and f.action in ('a', 'r') then
          raise exception 'a row of % refers to what a foreign-key action would delete (%)', f.child, f.name using errcode = '23503';
        end if;
        if v_count > 0 and f.action = 'd' then
          execute format('select count(*) from %s c where %s and not exists (select from %s t where %s)', f.child,
            (select string_agg(format('c.%I is distinct from null', u), ' and ') from unnest(f.child_columns) u), f.parent, f.child_is_t) into v_count;
          if v_count > 0 then
            raise exception 'the default of a row of % refers to nothing (%)', f.child, f.name using errcode = '23503';
          end if;
        end if;
        if v_count > 0 and f.action = 'c' and f.child_id is not null then
          v_next := v_next || f.child_id;
        end if;
      end loop;
    end loop;
    v_tables := v_next;
  end loop;
  perform set_config('tandem.applying', v_mark, true);
end $$;
comment on function tandem.carry_out_actions(jsonb) is 'Carries out foreign-key actions in replica role.';
