-- tandem.inbound_state(p_source) -> jsonb
-- How far the link from a source has come: {"peer", "position", "token", "skew", "tables": [{"schema", "name", "state", "position",
-- "copiedTo", "rowsCopied", "reason", "rejoin"}] (those that do not simply flow), "known" (how many tables the link knows), "parked" (due keys, see
-- parked_keys), "anyParked" (due or not), "pausedBy" (null: it may work), "blocks" (whether any are to be written out), "clock"}. Errors: TD001 no link from there.
create or replace function tandem.inbound_state(p_source text) returns jsonb
language plpgsql as $$
declare
  v_state jsonb;
begin
  select jsonb_build_object('peer', p.peer_id, 'position', i.position::text, 'token', i.token,
    'known', (select count(*) from tandem.inbound_table b where b.peer_id = p.peer_id),
    'tables', (select coalesce(jsonb_agg(jsonb_build_object('schema', b.schema_name, 'name', b.table_name, 'state', b.state,
        'position', b.position::text, 'copiedTo', to_jsonb(b.copied_to), 'rowsCopied', b.rows_copied, 'reason', b.reason, 'rejoin', b.rejoin)
        order by b.schema_name, b.table_name), '[]')
      from tandem.inbound_table b where b.peer_id = p.peer_id and b.state <> 'flow'),
    'parked', tandem.parked_keys(p.peer_id, true), 'anyParked', exists (select from tandem.parked_change c where c.peer_id = p.peer_id), 'pausedBy', (select l.paused_by from tandem.paused_link l where l.peer_id = p.peer_id),
    'blocks', exists (select from tandem.tables_with_blocks()), 'clock', clock_timestamp())
  into v_state
  from tandem.inbound i join tandem.peer p using (peer_id)
  where p.name = p_source and p.configured;
  if not found then
    raise exception 'this node has no link from node "%": run "tandem migrate"', p_source using errcode = 'TD001';
  end if;
  return v_state;
end $$;
comment on function tandem.inbound_state(text) is 'How far a link into this node has come.';

-- tandem.reconcile_tables(p_peer_id, p_source_tables) -> jsonb
-- Compares what the source tracks (its describe_tables) with what this node tracks, and brings the link's tables up to date. Returns
-- {"changed" (how many did), "vanished": [{"schema", "name", "vanished"}] (tables that flow and of which rows may have gone unseen at
-- the source since the link last asked)}. A table the link has not met is to be copied; one that is missing here, or whose key or a column's type differs
-- (see shape_difference), is held where the link stands (the others flow); one that fits again catches up from there. A held table's
-- entries stay at the source. A table of Tandem's own (see admin/own_table.sql) that only the source has by now, or still has, is left alone.
create or replace function tandem.reconcile_tables(p_peer_id integer, p_source_tables jsonb) returns jsonb
language plpgsql as $$
declare
  v_changed integer := 0;
  r record;
begin
  update tandem.inbound set position = '1:1:' where peer_id = p_peer_id and position is null;
  v_changed := v_changed + (case when found then 1 else 0 end);
  for r in
    select s.schema, s.name, s.vanished, b.state, i.position,
      case
        when not s.exists then 'the table is not there at the source any more'
        when t.id is null then coalesce((select 'not tracked here: ' || c.reason from tandem.table_candidates c
          where c.schema_name = s.schema and c.table_name = s.name and c.reason is not null),
          case when to_regclass(format('%I.%I', s.schema, s.name)) is null then 'there is no such table here' else 'not tracked here' end)
        when not t.exists then 'the table is not there any more'
        else tandem.shape_difference(s.e, t.e)
      end as reason, b.reason as old_reason
    from (select e, e ->> 'schema' as schema, e ->> 'name' as name, (e ->> 'exists')::boolean as exists, (e ->> 'vanished')::integer as vanished
      from jsonb_array_elements(p_source_tables) e) s
    left join (select e, e ->> 'schema' as schema, e ->> 'name' as name, (e ->> 'id')::integer as id, (e ->> 'exists')::boolean as exists
      from jsonb_array_elements(tandem.describe_tables()) e) t using (schema, name)
    left join tandem.inbound_table b on b.peer_id = p_peer_id and b.schema_name = s.schema and b.table_name = s.name
    join tandem.inbound i on i.peer_id = p_peer_id
    where t.id is not null or s.schema <> 'tandem'
  loop
    if r.reason is not null and r.state is null then
      insert into tandem.inbound_table (peer_id, schema_name, table_name, state, position, reason, vanished_seen)
      values (p_peer_id, r.schema, r.name, 'held', '1:1:', r.reason, r.vanished);
      v_changed := v_changed + 1;
    elsif r.reason is not null and (r.state <> 'held' or r.reason <> r.old_reason) then
      update tandem.inbound_table set state = 'held', position = coalesce(position, r.position), reason = r.reason, since = clock_timestamp()
      where peer_id = p_peer_id and schema_name = r.schema and table_name = r.name;
      v_changed := v_changed + 1;
    elsif r.reason is null and r.state is null then
      insert into tandem.inbound_table (peer_id, schema_name, table_name, state, position, vanished_seen)
      values (p_peer_id, r.schema, r.name, 'copy', '1:1:', r.vanished);
      v_changed := v_changed + 1;
    elsif r.reason is null and r.state = 'held' then
      update tandem.inbound_table set state = case when position::text = '1:1:' then 'copy' else 'catch_up' end, reason = null, since = clock_timestamp()
      where peer_id = p_peer_id and schema_name = r.schema and table_name = r.name;
      v_changed := v_changed + 1;
    end if;
  end loop;
  return jsonb_build_object('changed', v_changed, 'vanished', (
    select coalesce(jsonb_agg(jsonb_build_object('schema', b.schema_name, 'name', b.table_name, 'vanished', e -> 'vanished')), '[]')
    from tandem.inbound_table b join jsonb_array_elements(p_source_tables) e on (e ->> 'schema', e ->> 'name') = (b.schema_name, b.table_name)
    where b.peer_id = p_peer_id and b.state = 'flow' and b.vanished_seen <> (e ->> 'vanished')::integer));
end $$;
comment on function tandem.reconcile_tables(integer, jsonb) is 'Brings the tables a link knows up to date.';

-- tandem.shape_difference(p_source, p_here) -> text
-- Why a table cannot flow between these two shapes of it (elements of describe_tables); null when it can. A column that only one side has
-- is no reason: a row with a value there is parked. src/link/columns.ts looks for the same before it reads a batch.
create or replace function tandem.shape_difference(p_source jsonb, p_here jsonb) returns text
language sql immutable as $$
  select case
    when p_source -> 'key' <> p_here -> 'key' then format('its key differs: (%s) at the source, (%s) here', tandem.listed(p_source -> 'key'), tandem.listed(p_here -> 'key'))
    when p_source -> 'keyTypes' <> p_here -> 'keyTypes'
      then format('its key''s type differs: %s at the source, %s here', tandem.listed(p_source -> 'keyTypes'), tandem.listed(p_here -> 'keyTypes'))
    else (
      select string_agg(case
          when s.c -> 'generated' <> h.c -> 'generated' then format('column %I is generated %s only', s.c ->> 'name',
            case when (s.c ->> 'generated')::boolean then 'at the source' else 'here' end)
          when s.c -> 'type' <> h.c -> 'type' then format('column %I is %s at the source, %s here', s.c ->> 'name', s.c ->> 'type', h.c ->> 'type')
          else format('column %I is %s at the source, %s here', s.c ->> 'name', s.c ->> 'valueClass', h.c ->> 'valueClass')
        end, '; ' order by s.i)
      from jsonb_array_elements(p_source -> 'columns') with ordinality s (c, i)
      join jsonb_array_elements(p_here -> 'columns') h (c) on h.c ->> 'name' = s.c ->> 'name'
      where (s.c -> 'valueClass', s.c -> 'generated') <> (h.c -> 'valueClass', h.c -> 'generated'))
  end
$$;
comment on function tandem.shape_difference(jsonb, jsonb) is 'Why a table cannot flow between two shapes of it.';

create or replace function tandem.listed(p_texts jsonb) returns text
language sql immutable as $$
  select string_agg(u.t, ', ' order by u.i) from jsonb_array_elements_text(p_texts) with ordinality u (t, i)
$$;
comment on function tandem.listed(jsonb) is 'Texts with commas between them.';

-- tandem.note_error(p_peer_id, p_error) -> void: what the link from a peer fails with, for status; null when it is well again.
create or replace function tandem.note_error(p_peer_id integer, p_error text) returns void
language sql as $$
  update tandem.inbound set last_error = p_error, last_error_at = case when p_error is null then null else clock_timestamp() end
  where peer_id = p_peer_id and last_error is distinct from p_error
$$;
comment on function tandem.note_error(integer, text) is 'Keeps a link''s error for status.';

-- tandem.note_caught_up(p_peer_id, p_as_of, p_since) -> void
-- The link has been seen to hold nothing for this node that was committed at the source before p_as_of, by this node's clock; p_since: the same
-- of the look before (null: take what is stored). Written twice a minute at most. Who looks reads this clock after the source's snapshot was
-- asked for, and takes off the time that has passed since: so no two clocks are compared, and what is stored is never too late.
create or replace function tandem.note_caught_up(p_peer_id integer, p_as_of timestamptz, p_since timestamptz) returns void
language sql as $$
  update tandem.inbound set caught_up_at = p_as_of, lag = tandem.measured_lag(coalesce(p_since, caught_up_at))
  where peer_id = p_peer_id and coalesce(caught_up_at not between p_as_of - interval '30 seconds' and p_as_of, true)
$$;
comment on function tandem.note_caught_up(integer, timestamptz, timestamptz) is 'Notes that nothing waits for this node.';

-- tandem.measured_lag(p_since) -> interval
-- A change that was committed at the source right after p_since, up to which all had come, is here now: it was under way for so long, and
-- no other one for longer. Null for null; never negative, also where the clock stepped back.
create or replace function tandem.measured_lag(p_since timestamptz) returns interval
language sql volatile as $$
  select greatest(clock_timestamp() - p_since, interval '0') where p_since is not null
$$;
comment on function tandem.measured_lag(timestamptz) is 'How long the last changes were under way, at most.';

-- tandem.preview_batch(p_batch) -> jsonb
-- What apply_batch would do with what is staged, without a lock on any row: {"tables": [{"schema", "name", "insert", "update",
-- "delete", "conflict", "refuse"}]}. To be called in a transaction that is rolled back.
create or replace function tandem.preview_batch(p_batch jsonb) returns jsonb
language plpgsql as $$
declare
  v_peer integer := (p_batch ->> 'peer')::integer;
  v_plan jsonb;
  v_one jsonb;
  v_all jsonb := '[]';
begin
  delete from tandem.verdict where peer_id = v_peer;
  perform tandem.write_out((e ->> 'id')::integer) from jsonb_array_elements(p_batch -> 'tables') e;
  for v_plan in select e from jsonb_array_elements(tandem.make_plans(v_peer, p_batch -> 'tables', false)) e loop
    perform tandem.decide(v_plan, (v_plan ->> 'known')::pg_snapshot, (p_batch ->> 'horizon')::timestamptz, p_batch ->> 'mode' = 'copy', p_batch ->> 'source');
    execute format($sql$
      select jsonb_build_object('schema', %1$L::text, 'name', %2$L::text,
        'insert', count(*) filter (where s.present and %3$s is not distinct from null and x.written),
        'update', count(*) filter (where s.present and %3$s is distinct from null and x.written),
        'delete', count(*) filter (where not s.present and %3$s is distinct from null and x.written),
        'conflict', count(*) filter (where v.verdict in ('win', 'lose', 'prefer', 'tie', 'anew')),
        'refuse', count(*) filter (where v.verdict in ('undecided', 'park')))
      from %4$s s left join %5$s t on %6$s
      left join tandem.verdict v on v.peer_id = %7$s and v.table_id = %8$s and v.n = s.n
      cross join lateral (select v.verdict is null or v.verdict in ('win', 'anew') as written) x
    $sql$, v_plan ->> 'schema', v_plan ->> 'table', v_plan ->> 'first_key', v_plan ->> 'stage', v_plan ->> 'relation', v_plan ->> 'key_is_row', v_peer, v_plan ->> 'id')
    into v_one;
    v_all := v_all || jsonb_build_array(v_one);
  end loop;
  return jsonb_build_object('tables', v_all);
end $$;
comment on function tandem.preview_batch(jsonb) is 'What a staged batch would do.';
