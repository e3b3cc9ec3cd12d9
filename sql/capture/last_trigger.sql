-- tandem.arm_last_trigger(p_table_id) -> boolean
-- Tables with BEFORE ROW triggers of the application's get one more, "~tandem_last", which fires last by its name and puts
-- the staged image back while the applier writes as an ordinary owner: "BEFORE UPDATE ... SET updated_at = now()" would else
-- rewrite every applied row. So do tables with a GENERATED ALWAYS identity beside the key, which UPDATE can set to its default only,
-- and a trigger to anything: there it fires always. Where it is not needed, the trigger is taken away. Returns whether anything had
-- to be done; then SHARE ROW EXCLUSIVE on the table.
create or replace function tandem.arm_last_trigger(p_table_id integer) returns boolean
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_name text;
  v_body text;
  v_wanted boolean;
  v_always boolean;
  v_there boolean;
  v_done boolean := false;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_name := tandem.object_name('last ', t.schema_name, t.table_name);
  v_always := exists (select from pg_attribute a where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped
    and a.attidentity = 'a' and a.attname <> all (t.key_columns));
  v_wanted := v_always or exists (select from pg_trigger g where g.tgrelid = t.relid and not g.tgisinternal
    and g.tgtype & 1 = 1 and g.tgtype & 2 = 2 and g.tgtype & (4 | 16) <> 0 and g.tgname <> '~tandem_last');
  v_there := exists (select from pg_trigger g where g.tgrelid = t.relid and g.tgname = '~tandem_last');
  if not v_wanted then
    if v_there then
      execute format('drop trigger "~tandem_last" on %s', t.relid::regclass);
      execute format('drop function tandem_log.%I()', v_name);
    end if;
    return v_there;
  end if;
  v_body := format($body$
declare
  v_image text := current_setting('tandem.image_of_%1$s', true);
begin
  if v_image <> '' and current_setting('tandem.applying', true) = pg_current_xact_id_if_assigned()::text
    and pg_trigger_depth() = 1
    and exists (select from tandem.inbound i
      where i.applying = pg_current_xact_id_if_assigned() and %1$s = any (i.applying_tables))
  then
    -- Made by the applier (tandem.image_query): the row being written, with every staged column as it was staged. A row whose key is
    -- not staged stays as it is: a trigger of the application's changed the key, and the applier finds and parks it.
    execute v_image into new using new;
  end if;
  return new;
end
$body$, t.table_id);
  if v_body is distinct from (select p.prosrc from pg_proc p where p.oid = to_regprocedure(format('tandem_log.%I()', v_name))) then
    execute format('create or replace function tandem_log.%I() returns trigger language plpgsql security definer'
      ' set search_path = pg_catalog, pg_temp as %L', v_name, v_body);
    execute format('revoke execute on function tandem_log.%I() from public', v_name);
    execute format('comment on function tandem_log.%I() is %L', v_name,
      format('Puts the staged image of a row of %I.%I back after the application''s BEFORE triggers.', t.schema_name, t.table_name));
    v_done := true;
  end if;
  if not v_there then
    execute format('create trigger "~tandem_last" before insert or update on %s for each row execute function tandem_log.%I()',
      t.relid::regclass, v_name);
    v_done := true;
  end if;
  if (select g.tgenabled = 'A' from pg_trigger g where g.tgrelid = t.relid and g.tgname = '~tandem_last') <> v_always then
    execute format('alter table %s enable %s trigger "~tandem_last"', t.relid::regclass, case when v_always then 'always' else '' end);
    v_done := true;
  end if;
  return v_done;
end $$;
comment on function tandem.arm_last_trigger(integer) is 'Adds or removes the trigger that puts the staged image back.';

-- tandem.tell_triggers(p_plan, p_images) -> void
-- Tells the triggers of a table, for this transaction, how its rows are staged; not p_images: what is written next is not as staged.
create or replace function tandem.tell_triggers(p_plan jsonb, p_images boolean default true) returns void
language sql as $$
  select set_config('tandem.image_of_' || (p_plan ->> 'id'), case when p_images then p_plan ->> 'image_query' else '' end, true),
    set_config('tandem.refers_of_' || (p_plan ->> 'id'), case when p_images then coalesce(p_plan ->> 'refers', '') else '' end, true)
$$;
comment on function tandem.tell_triggers(jsonb, boolean) is 'Tells triggers how rows are staged.';

-- tandem.refers_as_staged(p_plan) -> text
-- Condition on the row o that the columns by which actions of foreign keys change rows are as in the staged row s; null where there are none.
create or replace function tandem.refers_as_staged(p_plan jsonb) returns text
language sql stable as $$
  select format('record_image_eq(row(%s), row(%s))', string_agg(format('o.%I::%s', c.name, c.base), ', ' order by c.i), string_agg(format('%s::%s', c.value, c.base), ', ' order by c.i))
  from tandem.tracked_table t
  cross join lateral tandem.plan_columns(t.relid, array(select jsonb_array_elements_text(p_plan -> 'columns')), (p_plan ->> 'as_text')::boolean) c
  where t.table_id = (p_plan ->> 'id')::integer and exists (select from pg_constraint k where k.conrelid = t.relid and k.contype = 'f' and c.attnum = any (k.conkey)
    and (k.confdeltype not in ('a', 'r') or k.confupdtype not in ('a', 'r')))
  having count(*) > 0
$$;
comment on function tandem.refers_as_staged(jsonb) is 'Condition that a row refers to what it was staged with.';

-- tandem.image_query(p_plan) -> text
-- What "~tandem_last" runs for each row, $1: the row as staged. A value that is too long does not come so far:
-- the statement's own assignment has refused it.
create or replace function tandem.image_query(p_plan jsonb) returns text
language sql stable as $$
  select format('select %s from (select ($1).*) o left join lateral (select true as staged, s.* from %s s where %s limit 1) s on true',
    (select string_agg(case when c.i is null then format('o.%I', a.attname)
        else format('case when s.staged then %s::%s else o.%I end as %I', c.value, format_type(a.atttypid, a.atttypmod), a.attname, a.attname) end, ', ' order by a.attnum)
     from pg_attribute a
     left join tandem.plan_columns(t.relid, array(select jsonb_array_elements_text(p_plan -> 'columns')), (p_plan ->> 'as_text')::boolean) c on c.name = a.attname
     where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped),
    p_plan ->> 'stage',
    tandem.all_equal(t.key_operators, tandem.key_names('s', cardinality(t.key_columns)), array(select format('($1).%I', u) from unnest(t.key_columns) u)))
  from tandem.tracked_table t where t.table_id = (p_plan ->> 'id')::integer
$$;
comment on function tandem.image_query(jsonb) is 'The row being written as it was staged.';
