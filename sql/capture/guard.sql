-- Guards: where the applier may not switch the application's triggers off (ordinary owner), a condition on a trigger keeps it from
-- firing for what the applier writes. It names nothing of Tandem's, so that the trigger lives on whatever becomes of Tandem, and it is
-- found again in the catalogs: nothing is written down beside it. The setting it reads may be set by anybody, but holds only for the
-- transaction whose id it is; capture, which must not be fooled, does not rely on it. What foreign keys and other triggers write while
-- changes are applied is a change of this node: there the trigger fires (it then runs a level deeper).

-- tandem.guard_condition() -> text: the condition, as pg_get_triggerdef writes it. In a transaction that has not written yet there is no
-- id, and without the coalesce nothing would be told from nothing.
create or replace function tandem.guard_condition() returns text
language sql immutable as $$
  select '((COALESCE(current_setting(''tandem.applying''::text, true), ''''::text) IS DISTINCT FROM (pg_current_xact_id_if_assigned())::text) OR (pg_trigger_depth() > 0))'
$$;
comment on function tandem.guard_condition() is 'The condition that guards a trigger.';

-- tandem.trigger_parts(p_trigger) -> (head, condition, tail)
-- A trigger's definition around its WHEN: what stands before it, the condition (null: none), EXECUTE FUNCTION and the rest. Keywords are
-- looked for outside of quoted names and literals.
create or replace function tandem.trigger_parts(p_trigger oid, out head text, out condition text, out tail text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_definition text := pg_get_triggerdef(p_trigger);
  v_mask text := '';   -- as long as the definition, with x for whatever is quoted
  v_quote text := '';
  v_char text;
  v_when integer;
  v_execute integer;
begin
  foreach v_char in array regexp_split_to_array(v_definition, '') loop
    if v_quote <> '' then
      v_mask := v_mask || 'x';
      -- A doubled quote opens again at once.
      v_quote := case when v_char = v_quote then '' else v_quote end;
    elsif v_char in ('''', '"') then
      v_mask := v_mask || 'x';
      v_quote := v_char;
    else
      v_mask := v_mask || v_char;
    end if;
  end loop;
  v_when := strpos(v_mask, substring(v_mask from ' FOR EACH (?:ROW|STATEMENT) ')) + length(substring(v_mask from ' FOR EACH (?:ROW|STATEMENT) '));
  v_execute := strpos(v_mask, ' EXECUTE FUNCTION ') + 1;
  head := left(v_definition, v_when - 1);
  tail := substr(v_definition, v_execute);
  if v_execute > v_when then
    condition := substr(v_definition, v_when + length('WHEN ('), v_execute - v_when - length('WHEN () '));
  end if;
end $$;
comment on function tandem.trigger_parts(oid) is 'A trigger''s definition around its condition.';

-- tandem.application_triggers(p_relid) -> rows
-- The application's triggers on a table and its partitions that may fire for what the applier writes: not for TRUNCATE, not those for
-- replica role only. A partition's clone counts with its parent.
create or replace function tandem.application_triggers(p_relid oid)
returns table (trigger_id oid, relid oid, name text, before boolean, enabled text, guarded boolean)
language sql stable as $$
  select g.oid, g.tgrelid, g.tgname::text, g.tgtype & 2 = 2, g.tgenabled::text,
    strpos(coalesce((select p.condition from tandem.trigger_parts(g.oid) p), ''), tandem.guard_condition()) in (1, 2)
  from pg_trigger g join pg_proc f on f.oid = g.tgfoid
  where g.tgrelid in (select h.relid from pg_partition_tree(p_relid) h union select p_relid)
    and not g.tgisinternal and g.tgparentid = 0 and g.tgtype & 28 <> 0 and g.tgenabled <> 'R'
    and f.pronamespace <> all (array(select n.oid from pg_namespace n where n.nspname = 'tandem_log'))
$$;
comment on function tandem.application_triggers(oid) is 'Triggers of the application''s that may fire for what is applied.';

-- tandem.set_guards(p_relid, p_guard) -> text[]
-- Guards all triggers of the application's on a table, or takes the guards off; returns those that were changed. A condition cannot be
-- altered: the trigger is dropped and created, with all that belongs to it, in one transaction. Locks: ACCESS EXCLUSIVE on the table where
-- anything is changed. Errors: what the server says where the role may not execute the trigger's function.
create or replace function tandem.set_guards(p_relid oid, p_guard boolean) returns text[]
language plpgsql as $$
declare
  g record;
  v_names text[] := '{}';
begin
  for g in select * from tandem.application_triggers(p_relid) a where a.guarded <> p_guard order by a.relid, a.name collate "C" loop
    perform tandem.change_guard(g.trigger_id, p_guard);
    v_names := v_names || g.name;
  end loop;
  return v_names;
end $$;
comment on function tandem.set_guards(oid, boolean) is 'Guards the triggers of a table, or takes the guards off.';

-- tandem.change_guard(p_trigger, p_guard) -> void: the same for one trigger, which is not as wanted.
create or replace function tandem.change_guard(p_trigger oid, p_guard boolean) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_guard constant text := tandem.guard_condition();
  g pg_trigger;
  d record;
  r record;
  v_relation text;
  v_comment text := obj_description(p_trigger, 'pg_trigger');
  v_constraint_comment text;
  v_extensions text[];
  v_clones jsonb;   -- whether the clones in partitions are enabled, each by itself
  v_condition text;
begin
  select * into strict g from pg_trigger where oid = p_trigger;
  select * into d from tandem.trigger_parts(p_trigger);
  v_relation := g.tgrelid::regclass::text;
  v_constraint_comment := obj_description(g.tgconstraint, 'pg_constraint');
  v_extensions := array(select e.extname from pg_depend x join pg_extension e on e.oid = x.refobjid
    where x.classid = 'pg_trigger'::regclass and x.objid = p_trigger and x.refclassid = 'pg_extension'::regclass and x.deptype = 'x');
  select jsonb_object_agg(c.tgrelid, c.tgenabled) into v_clones
  from pg_trigger c join pg_partition_tree(g.tgrelid) h on h.relid = c.tgrelid where c.tgname = g.tgname;
  v_condition := case
    when p_guard and d.condition is null then v_guard
    when p_guard then format('(%s AND %s)', v_guard, d.condition)
    when d.condition <> v_guard then substr(d.condition, length('(' || v_guard || ' AND ') + 1, length(d.condition) - length('(' || v_guard || ' AND )'))
  end;
  execute format('drop trigger %I on %s', g.tgname, v_relation);
  execute d.head || coalesce('WHEN (' || v_condition || ') ', '') || d.tail;
  for r in
    select c.tgrelid::regclass as rel, coalesce(v_clones ->> c.tgrelid::text, g.tgenabled::text) as wanted
    from pg_trigger c where c.tgname = g.tgname and c.tgrelid in (select h.relid from pg_partition_tree(g.tgrelid) h union select g.tgrelid)
      and c.tgenabled::text <> coalesce(v_clones ->> c.tgrelid::text, g.tgenabled::text)
  loop
    execute format('alter table only %s %s trigger %I', r.rel, case r.wanted when 'A' then 'enable always' when 'R' then 'enable replica' when 'D' then 'disable' else 'enable' end, g.tgname);
  end loop;
  if v_comment is not null then
    execute format('comment on trigger %I on %s is %L', g.tgname, v_relation, v_comment);
  end if;
  if v_constraint_comment is not null then
    execute format('comment on constraint %I on %s is %L', g.tgname, v_relation, v_constraint_comment);
  end if;
  for r in select u.name from unnest(v_extensions) u (name) loop
    execute format('alter trigger %I on %s depends on extension %I', g.tgname, v_relation, r.name);
  end loop;
end $$;
comment on function tandem.change_guard(oid, boolean) is 'Guards a trigger, or takes the guard off.';

-- tandem.choose_triggers(p_schema, p_table, p_choice) -> text[]: what the configuration says of a tracked table's triggers, "guard" or
-- "leave"; null: as they are. Returns those that were changed.
create or replace function tandem.choose_triggers(p_schema text, p_table text, p_choice text) returns text[]
language sql as $$
  select coalesce((select tandem.set_guards(t.relid, p_choice = 'guard') from tandem.tracked_table t
    where (t.schema_name, t.table_name) = (p_schema, p_table) and p_choice is not null), '{}')
$$;
comment on function tandem.choose_triggers(text, text, text) is 'Does with a table''s triggers what the configuration says.';
