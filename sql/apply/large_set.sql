-- What is known of a large staged set as a whole, so that not each of its rows has to be asked about.

-- tandem.is_large(p_relation) -> boolean: whether looking at a table as a whole pays. Else the look would cost more than it saves.
create or replace function tandem.is_large(p_relation text) returns boolean
language plpgsql stable as $$
begin
  return pg_relation_size(p_relation) > 1048576;
end $$;
comment on function tandem.is_large(text) is 'Whether looking at a table as a whole pays.';

-- tandem.is_worth(p_log, p_rows) -> boolean: whether reading all of a log pays where it spares a look for each of so many keys.
create or replace function tandem.is_worth(p_log text, p_rows bigint) returns boolean
language plpgsql stable as $$
begin
  return pg_relation_size(p_log) / 70 <= 10 * p_rows;   -- each entry takes 70 bytes or more
end $$;
comment on function tandem.is_worth(text, bigint) is 'Whether reading all of a log pays.';

-- tandem.sample_step(p_rows) -> bigint: of so many staged rows each such one is looked at where a few hundred tell what all are like.
create or replace function tandem.sample_step(p_rows bigint) returns bigint
language sql immutable as $$
  select greatest(1, p_rows / 300)
$$;
comment on function tandem.sample_step(bigint) is 'Which of many staged rows are looked at.';

-- tandem.use_memory() -> void
-- Lets each sort and each transition table of this transaction's statements take half of the memory that the administrator grants to maintenance, 32 MB at
-- most, for there are two or three of them; over a large set they would be put into files otherwise.
create or replace function tandem.use_memory() returns void
language plpgsql as $$
begin
  perform set_config('work_mem', x.kb || 'kB', true)
  from (select greatest(least(32768, max(s.setting::bigint) filter (where s.name = 'maintenance_work_mem') / 2), max(s.setting::bigint) filter (where s.name = 'work_mem')) as kb
    from pg_settings s where s.name in ('maintenance_work_mem', 'work_mem')) x;
end $$;
comment on function tandem.use_memory() is 'Grants a transaction the memory of maintenance.';

-- tandem.look_at_stage(p_plan) -> jsonb
-- For a large set, by one pass over it: {"staged" (rows), "gone" (deletions among them), "unsettled" (how many are), "versions" (how many name other
-- nodes'), "oldest" and "newest" (of their stamps), "sound" (no row has a mark for which it would be parked or dropped where nothing is known of it
-- here), "plain" (nor one for which it would be decided by itself), "least" and "most" (of the first key column, where tandem.none_here asks for them)},
-- else {}. What is staged stays as it is while it is applied.
create or replace function tandem.look_at_stage(p_plan jsonb) returns jsonb
language plpgsql as $$
declare
  v_look jsonb := '{}';
  v_ordered boolean := p_plan ->> 'first_key_type' in ('smallint', 'integer', 'bigint', 'date', 'timestamp with time zone', 'timestamp without time zone');
begin
  if tandem.is_large(p_plan ->> 'stage') then
    execute format('select jsonb_build_object(''staged'', x.staged, ''gone'', x.gone, ''unsettled'', x.unsettled, ''versions'', x.versions, ''oldest'', x.oldest, ''newest'', x.newest,
        ''sound'', x.sound, ''plain'', x.sound and not x.single and x.unsettled + x.versions = 0, ''least'', x.least, ''most'', x.most)
      from (select count(*) as staged, count(*) filter (where not s.present) as gone, count(*) filter (where s.unsettled) as unsettled, count(s.known_stamps) as versions,
          min(s.stamp) as oldest, max(s.stamp) as newest, bool_or(s.parked_there or s.asked) as single,
          %s as least, %s as most,
          coalesce(not bool_or(s.stamp is null or s.unplaced is not null or s.misfit is not null or %s is not null)
            and max(s.stamp) <= clock_timestamp() + (select o.max_skew from tandem.local_node o), false) as sound
        from %s s) x', case when v_ordered then 'min(s.k1)::text' else 'null::text' end, case when v_ordered then 'max(s.k1)::text' else 'null::text' end,
      p_plan ->> 'too_long', p_plan ->> 'stage') into v_look;
  end if;
  return v_look;
end $$;
comment on function tandem.look_at_stage(jsonb) is 'What is staged, in a large set.';

-- tandem.look_at_set(p_plan, p_first, p_mode) -> jsonb
-- For a large set, whose plan holds what look_at_stage found: {"fresh" (no key of it is here, neither as a row nor in the log), "ahead" (see is_ahead),
-- "whole" (either: no single key of it is looked for in the log)}. Fresh or ahead only where p_first: what appears after this look is found by the
-- index that refuses it, or by tandem.changed_meanwhile, and the set is decided anew, this time row by row. p_mode: the batch's.
create or replace function tandem.look_at_set(p_plan jsonb, p_first boolean, p_mode text) returns jsonb
language plpgsql as $$
declare
  v_fresh boolean := false;
  v_ahead boolean := false;
begin
  if p_first and p_plan ->> 'gone' = '0' then
    v_fresh := tandem.none_here(p_plan);
    v_ahead := not v_fresh and p_mode = 'batch' and (p_plan ->> 'plain')::boolean and tandem.is_ahead(p_plan);
  end if;
  return jsonb_build_object('fresh', v_fresh, 'ahead', v_ahead, 'whole', v_fresh or v_ahead);
end $$;
comment on function tandem.look_at_set(jsonb, boolean, text) is 'What is known of a large staged set as a whole.';

-- tandem.is_ahead(p_plan) -> boolean
-- Whether every staged row (p_plan holds what look_at_stage found) is newer than all entries of its table here, and each of these came from the source
-- or was known to it: then nothing is in conflict, and each row is written, or adopted where it is equal. By one pass over the log, so only where
-- that is not much longer than the set. Not where single entries may be asked for all the same: another unique index, a node that is preferred or has come back.
create or replace function tandem.is_ahead(p_plan jsonb) returns boolean
language plpgsql stable as $$
declare
  v_ahead boolean := false;
begin
  if p_plan ->> 'policy' = 'newest' and not exists (select from tandem.plan_uniques(p_plan)) and not p_plan ? 'rejoin'
    and (p_plan ->> 'oldest')::timestamptz > timestamptz '0001-01-01 00:00:00+00' and p_plan ->> 'known' is not null
    and tandem.is_worth(p_plan ->> 'log', (p_plan ->> 'staged')::bigint)
  then
    execute (
      select 'select ' || string_agg(format('not exists (select from tandem_log.%I l where l.stamp >= $1 or l.received_from is distinct from $2
          and (not coalesce(pg_visible_in_snapshot(l.xid, $3), false) or l.received_from = any ($4)))', x.name), ' and ')
      from tandem.tracked_table t cross join unnest(array[t.log_name, t.blocks_name]) x (name)
      where t.table_id = (p_plan ->> 'id')::integer and x.name is not null)
    into v_ahead using (p_plan ->> 'oldest')::timestamptz, (p_plan ->> 'peer')::integer, (p_plan ->> 'known')::pg_snapshot,
      tandem.heard_elsewhere((p_plan ->> 'peer')::integer);
  end if;
  return v_ahead;
end $$;
comment on function tandem.is_ahead(jsonb) is 'Whether a staged set is newer than all that is here.';

-- tandem.write_out_for(p_batch, p_all) -> void
-- To be called in a transaction of its own before apply_batch: writes out the blocks of the batch's tables, but for sets that are decided as a whole.
-- p_all: also for these, after they could not be written so, and of the tables whose rows go or change with theirs.
create or replace function tandem.write_out_for(p_batch jsonb, p_all boolean) returns void
language plpgsql as $$
declare
  e jsonb;
  v_plan jsonb;
begin
  if p_all then
    perform tandem.write_out(c.id) from (
      with recursive c as (select (x ->> 'id')::integer as id from jsonb_array_elements(p_batch -> 'tables') x
        union select r.child_id from c cross join lateral tandem.references_to(c.id) r
        where r.child_id is not null and (r.action not in ('a', 'r') or r.update_action not in ('a', 'r')))
      select c.id from c order by c.id) c;
    return;
  end if;
  for e in select x from jsonb_array_elements(p_batch -> 'tables') x where tandem.has_blocks((x ->> 'id')::integer) loop
    v_plan := tandem.make_plans((p_batch ->> 'peer')::integer, jsonb_build_array(e), current_setting('session_replication_role') = 'replica') -> 0;
    if not (tandem.look_at_set(v_plan || tandem.look_at_stage(v_plan), p_batch ->> 'again' is null, p_batch ->> 'mode') ->> 'whole')::boolean then
      perform tandem.write_out((e ->> 'id')::integer);
    end if;
  end loop;
end $$;
comment on function tandem.write_out_for(jsonb, boolean) is 'Writes out blocks before a batch is applied.';

-- tandem.none_here(p_plan) -> boolean
-- Whether this node has neither row nor entry with a key between the least and the greatest staged one, by the first column; false where that
-- is not of a type that every index orders alike (text has collations). By the indexes, whatever the planner thinks of the tables. p_plan holds what
-- look_at_stage found.
create or replace function tandem.none_here(p_plan jsonb) returns boolean
language plpgsql as $$
declare
  v_none boolean := false;
begin
  if p_plan ->> 'least' is not null or p_plan ->> 'first_key_type' = 'uuid' then
    execute format('select coalesce((select %1$s from %2$s t where %1$s >= x.least order by %1$s limit 1) > x.most, true)
        and coalesce((select l.k1 from %3$s l where l.k1 >= x.least order by l.k1 limit 1) > x.most, true)%5$s
      from (select %4$s) x',
      p_plan ->> 'first_key', p_plan ->> 'relation', p_plan ->> 'log',
      case when p_plan ->> 'least' is not null then format('%L::%s as least, %L::%2$s as most', p_plan ->> 'least', p_plan ->> 'first_key_type', p_plan ->> 'most')
        -- which has no min before PostgreSQL 18
        else format('(select s.k1 from %1$s s order by s.k1 limit 1) as least, (select s.k1 from %1$s s order by s.k1 desc limit 1) as most', p_plan ->> 'stage') end,
      (select ' and not exists (select from tandem_log.' || quote_ident(t.blocks_name) || ' b where b.least is null or b.least <= x.most and b.most >= x.least)'
       from tandem.tracked_table t where t.table_id = (p_plan ->> 'id')::integer)) into v_none;
  end if;
  return v_none;
end $$;
comment on function tandem.none_here(jsonb) is 'Whether no key of a staged set is here.';
