-- tandem.restore_conflict(p_id) -> jsonb
-- Writes the image that lost a conflict as a new change of this node, newer than everything seen here, that travels to all: by the
-- applier's own means, value by value as the type wrote it, so that no BEFORE trigger of the application's changes it. A losing deletion
-- is carried out as the application would. Returns {"schema", "table", "key", "changed" (false: the row is so already), "leftOut" (columns
-- of the image that the table has no more)}. All or nothing.
-- Locks: the link's row (an applier of that link waits, and reads its batch anew), then the row.
-- Errors: TD020 no such conflict here; TD021 what stands in the way, in the server's words; TD001, TD002, TD004 of check_identity.
create or replace function tandem.restore_conflict(p_id text) returns jsonb
language plpgsql as $$
declare
  c tandem.conflict;
  t tandem.tracked_table;
  v_columns text[];
  v_values text[];
  v_left_out text[];
  v_changed boolean;
begin
  perform tandem.check_identity();
  select * into c from tandem.conflict x where tandem.conflict_id(x) = p_id order by x.conflict_id limit 1 for update;
  if not found then
    raise exception 'no conflict % is kept here', p_id using errcode = 'TD020';
  end if;
  select * into t from tandem.tracked_table x where (x.schema_name, x.table_name) = (c.schema_name, c.table_name);
  if not found then
    raise exception 'conflict %: table %.% is not tracked here any more', p_id, c.schema_name, c.table_name using errcode = 'TD021';
  elsif cardinality(t.key_columns) <> cardinality(c.key) then
    raise exception 'conflict %: table %.% has another key by now', p_id, c.schema_name, c.table_name using errcode = 'TD021';
  end if;
  v_columns := case c.winner when 'local' then c.incoming_columns else c.local_columns end;
  v_values := case c.winner when 'local' then c.incoming_values else c.local_values end;
  begin
    if v_columns is null then
      v_changed := tandem.delete_again(t, c.key);
    else
      v_changed := tandem.write_again(t, coalesce((select i.peer_id from tandem.inbound i where i.peer_id = c.peer_id), (select min(i.peer_id) from tandem.inbound i)),
        c.key, v_columns, v_values);
    end if;
    set constraints all immediate;
  exception when others then
    if sqlstate like 'TD%' or sqlstate in ('40001', '40P01', '55P03', '57014', '57P01') then
      raise;
    end if;
    raise exception 'conflict % of %.% % cannot be restored: %', p_id, c.schema_name, c.table_name, tandem.key_text(c.key), sqlerrm using errcode = 'TD021';
  end;
  update tandem.conflict set restored_at = clock_timestamp() where conflict_id = c.conflict_id;
  v_left_out := array(select u.c from unnest(v_columns) u (c)
    where not exists (select from pg_attribute a where a.attrelid = t.relid and a.attname = u.c and a.attnum > 0 and not a.attisdropped));
  return jsonb_build_object('schema', t.schema_name, 'table', t.table_name, 'key', tandem.key_text(c.key), 'changed', v_changed, 'leftOut', to_jsonb(v_left_out));
end $$;
comment on function tandem.restore_conflict(text) is 'Brings back the image that lost a conflict.';

-- tandem.write_again(p_table, p_peer_id, p_key, p_columns, p_values) -> boolean
-- Stages one image in the link's staging table, with the verdict of a row that is written anew, and has it applied; false: the row is so
-- already. Never in replica role: foreign keys are checked, and their actions carried out, as for any write of this node.
create or replace function tandem.write_again(p_table tandem.tracked_table, p_peer_id integer, p_key text[], p_columns text[], p_values text[]) returns boolean
language plpgsql as $$
declare
  v_columns text[];
  v_values text[];
  v_plan jsonb;
  v_result jsonb;
  v_there boolean;
  v_reason text;
begin
  perform tandem.begin_stage(p_peer_id, gen_random_uuid());
  -- What the table computes is computed again; a GENERATED ALWAYS identity that is the key goes in as the key.
  select coalesce(array_agg(u.c order by u.i), '{}'), coalesce(array_agg(u.v order by u.i), '{}') into v_columns, v_values
  from unnest(p_columns, p_values) with ordinality u (c, v, i)
  join pg_attribute a on a.attrelid = p_table.relid and a.attname = u.c and a.attnum > 0 and not a.attisdropped
  where a.attgenerated = '' and not (a.attidentity = 'a' and u.c = any (p_table.key_columns));
  perform tandem.prepare_stage(p_peer_id, p_table.table_id, v_columns, true);
  v_plan := tandem.make_plans(p_peer_id, jsonb_build_array(jsonb_build_object('id', p_table.table_id, 'columns', to_jsonb(v_columns), 'as_text', true)), false) -> 0;
  execute format('insert into %s (%s) select %s', v_plan ->> 'stage',
    concat_ws(', ', v_plan ->> 'log_keys', 'op, present, parked_there, unsettled', nullif(array_to_string(array(select 'c' || i from generate_series(1, cardinality(v_columns)) i), ', '), '')),
    concat_ws(', ',
      (select string_agg(format('$1[%s]::%s', u.i, u.type), ', ' order by u.i) from unnest(p_table.key_types) with ordinality u (type, i)),
      '''U'', true, false, false', nullif(array_to_string(array(select format('$2[%s]', i) from generate_series(1, cardinality(v_columns)) i), ', '), '')))
  using p_key, v_values;
  delete from tandem.verdict where peer_id = p_peer_id;
  execute format('insert into tandem.verdict (peer_id, table_id, n, verdict) select %s, %s, s.n, ''anew'' from %s s', p_peer_id, p_table.table_id, v_plan ->> 'stage');
  execute format('select exists (select from %s s join %s t on %s where %s)', v_plan ->> 'stage', v_plan ->> 'relation', v_plan ->> 'key_is_row', v_plan ->> 'image_is_row')
  into v_there;
  if not v_there then
    update tandem.inbound set applying = pg_current_xact_id(), applying_tables = array[p_table.table_id] where peer_id = p_peer_id;
    perform set_config('tandem.applying', pg_current_xact_id()::text, true), tandem.tell_triggers(v_plan);
    v_plan := v_plan || tandem.lock_rows(v_plan, true);
    v_result := tandem.apply_set(jsonb_build_array(v_plan), 'true', false);
    select v.reason into v_reason from tandem.verdict v where v.peer_id = p_peer_id and v.verdict = 'park';
    if not (v_result ->> 'ok')::boolean or found then
      -- TD007: a key appeared while it was written.
      raise exception '%', coalesce(v_reason, v_result ->> 'reason')
        using errcode = case when v_reason is not null then 'P0001' when v_result ->> 'sqlstate' = 'TD007' then '40001' else v_result ->> 'sqlstate' end;
    end if;
    perform tandem.write_anew(v_plan), tandem.advance_sequences(jsonb_build_array(v_plan));
    perform set_config('tandem.applying', '', true);
  end if;
  delete from tandem.verdict where peer_id = p_peer_id;
  execute format('delete from %s', v_plan ->> 'stage');
  delete from tandem.staged where peer_id = p_peer_id;
  update tandem.inbound set applying = null, applying_tables = '{}' where peer_id = p_peer_id;
  return not v_there;
end $$;
comment on function tandem.write_again(tandem.tracked_table, integer, text[], text[], text[]) is 'Writes a kept image as a change of this node.';

-- tandem.delete_again(p_table, p_key) -> boolean: deletes a row as the application would; false: it is gone already. Errors: P0001 a
-- BEFORE trigger let it stay, and what the foreign keys say.
create or replace function tandem.delete_again(p_table tandem.tracked_table, p_key text[]) returns boolean
language plpgsql as $$
declare
  v_row text := format('%I.%I t where %s', p_table.schema_name, p_table.table_name, tandem.all_equal(p_table.key_operators,
    tandem.columns('t', p_table.key_columns), array(select format('$1[%s]::%s', u.i, u.type) from unnest(p_table.key_types) with ordinality u (type, i) order by u.i)));
  v_there boolean;
begin
  execute format('select exists (select from %s)', v_row) into v_there using p_key;
  if not v_there then
    return false;
  end if;
  execute format('delete from %s', v_row) using p_key;
  execute format('select exists (select from %s)', v_row) into v_there using p_key;
  if v_there then
    raise exception 'a BEFORE trigger let the row stay';
  end if;
  return true;
end $$;
comment on function tandem.delete_again(tandem.tracked_table, text[]) is 'Carries out a deletion that lost a conflict.';
