-- What is known of a large staged set as a whole, so that not each of its rows has to be asked about.

-- tandem.is_large(p_relation) -> boolean: whether looking at a table as a whole pays. Else the look would cost more than it saves.
create or replace function tandem.is_large(p_relation text) returns boolean
language plpgsql stable as $$
begin
  return pg_relation_size(p_relation) > 1048576;
end $$;
comment on function tandem.is_large(text) is 'Whether looking at a table as a whole pays.';

-- tandem.look_at_set(p_plan, p_first) -> jsonb
-- For a large set: {"staged" (rows), "gone" (deletions among them), "fresh" (no key of it is here, neither as a row nor in the log)}, else {}.
-- Fresh only where p_first: what appears after this look is found by the index that refuses it, or by tandem.changed_meanwhile, and the set
-- is decided anew, this time row by row.
create or replace function tandem.look_at_set(p_plan jsonb, p_first boolean) returns jsonb
language plpgsql as $$
declare
  v_look jsonb;
begin
  if not tandem.is_large(p_plan ->> 'stage') then
    return '{}';
  end if;
  execute format('select jsonb_build_object(''staged'', count(*), ''gone'', count(*) filter (where not s.present)) from %s s', p_plan ->> 'stage') into v_look;
  return v_look || jsonb_build_object('fresh', p_first and v_look ->> 'gone' = '0' and tandem.none_here(p_plan));
end $$;
comment on function tandem.look_at_set(jsonb, boolean) is 'What is known of a large staged set as a whole.';

-- tandem.write_out_for(p_batch) -> void
-- To be called in a transaction of its own before apply_batch: writes out the blocks of the batch's tables, but for sets that are fresh.
create or replace function tandem.write_out_for(p_batch jsonb) returns void
language plpgsql as $$
declare
  e jsonb;
  v_plan jsonb;
begin
  for e in select x from jsonb_array_elements(p_batch -> 'tables') x where tandem.has_blocks((x ->> 'id')::integer) loop
    v_plan := tandem.make_plans((p_batch ->> 'peer')::integer, jsonb_build_array(e), current_setting('session_replication_role') = 'replica') -> 0;
    if not coalesce((tandem.look_at_set(v_plan, p_batch ->> 'again' is null) ->> 'fresh')::boolean, false) then
      perform tandem.write_out((e ->> 'id')::integer);
    end if;
  end loop;
end $$;
comment on function tandem.write_out_for(jsonb) is 'Writes out blocks before a batch is applied.';

-- tandem.none_here(p_plan) -> boolean
-- Whether this node has neither row nor entry with a key between the least and the greatest staged one, by the first column; false where that
-- is not of a type that every index orders alike (text has collations). By the indexes, whatever the planner thinks of the tables.
create or replace function tandem.none_here(p_plan jsonb) returns boolean
language plpgsql as $$
declare
  v_none boolean := false;
begin
  if (p_plan ->> 'first_key_type') in ('smallint', 'integer', 'bigint', 'uuid', 'date', 'timestamp with time zone', 'timestamp without time zone') then
    execute format('select coalesce((select %1$s from %2$s t where %1$s >= x.least order by %1$s limit 1) > x.most, true)
        and coalesce((select l.k1 from %3$s l where l.k1 >= x.least order by l.k1 limit 1) > x.most, true)%5$s
      from (select (select s.k1 from %4$s s order by s.k1 limit 1) as least, (select s.k1 from %4$s s order by s.k1 desc limit 1) as most) x',
      p_plan ->> 'first_key', p_plan ->> 'relation', p_plan ->> 'log', p_plan ->> 'stage',
      (select ' and not exists (select from tandem_log.' || quote_ident(t.blocks_name) || ' b where b.least is null or b.least <= x.most and b.most >= x.least)'
       from tandem.tracked_table t where t.table_id = (p_plan ->> 'id')::integer)) into v_none;
  end if;
  return v_none;
end $$;
comment on function tandem.none_here(jsonb) is 'Whether no key of a staged set is here.';
