-- tandem.record_conflicts(p_plan, p_source) -> bigint
-- Keeps both images of every conflict just decided: each column as its own text, never JSON; no values where the row is gone.
-- The same conflict is kept once. Returns how many were new. A newer change of this node that loses to the preferred one is
-- still here, but that node will write its own anew: the record names the winner that will be.
create or replace function tandem.record_conflicts(p_plan jsonb, p_source text) returns bigint
language plpgsql as $$
declare
  v_count bigint;
begin
  if not exists (select from tandem.verdict v where (v.peer_id, v.table_id) = ((p_plan ->> 'peer')::integer, (p_plan ->> 'id')::integer)) then
    return 0;
  end if;
  execute format($sql$
    insert into tandem.conflict (peer_id, schema_name, table_name, key, kind, rule, winner,
      local_stamp, local_origin, incoming_stamp, incoming_origin, local_columns, local_values, incoming_columns, incoming_values)
    select v.peer_id, %1$L, %2$L, %3$s, v.kind,
      case
        when v.verdict = 'prefer' or x.overruled then %14$L
        when v.verdict = 'keep' then v.reason
        when v.verdict in ('anew', 'tie') then 'same version'
        when v.local_stamp <= timestamptz '0001-01-01 00:00:00+00' or s.stamp <= timestamptz '0001-01-01 00:00:00+00' then 'seed'
        else 'newest'
      end,
      case when v.verdict in ('win', 'anew') or x.overruled then 'incoming' else 'local' end,
      v.local_stamp, v.local_origin, s.stamp, s.origin,
      case when %4$s is distinct from null then %5$L::text[] end, case when %4$s is distinct from null then %6$s end,
      case when s.present then %7$L::text[] end, case when s.present then %8$s end
    from tandem.verdict v
    join %9$s s on s.n = v.n
    left join %10$s t on %11$s
    cross join lateral (select v.verdict = 'lose' and s.origin = %15$L and v.local_origin = %16$L and %14$L = 'prefer: ' || s.origin as overruled) x
    where v.peer_id = %12$s and v.table_id = %13$s and v.verdict in ('win', 'lose', 'prefer', 'keep', 'anew', 'tie')
    on conflict do nothing
  $sql$,
    p_plan ->> 'schema', p_plan ->> 'table', p_plan ->> 'key_text', p_plan ->> 'first_key',
    array(select jsonb_array_elements_text(p_plan -> 'local_columns')), p_plan ->> 'local_values',
    array(select jsonb_array_elements_text(p_plan -> 'incoming_columns')), p_plan ->> 'incoming_values',
    p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_plan ->> 'peer', p_plan ->> 'id',
    p_plan ->> 'policy', p_source, (select name from tandem.local_node));
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function tandem.record_conflicts(jsonb, text) is 'Keeps both images of conflicts.';

-- tandem.conflict_id(p_conflict) -> text
-- What a conflict is called on every node that decided it: made of the row and the two versions, whichever of them was the local one, and
-- whether it is about what the row refers to.
create or replace function tandem.conflict_id(p_conflict tandem.conflict) returns text
language sql stable as $$
  select left(md5(concat_ws(chr(31), p_conflict.schema_name, p_conflict.table_name, p_conflict.key::text,
    (select string_agg(v.version, chr(31) order by v.version collate "C") from (values
      (to_char(p_conflict.local_stamp at time zone 'UTC', 'YYYYMMDDHH24MISSUS') || p_conflict.local_origin),
      (to_char(p_conflict.incoming_stamp at time zone 'UTC', 'YYYYMMDDHH24MISSUS') || p_conflict.incoming_origin)) v (version)),
    case when p_conflict.kind like 'referring/%' then 'referring' end)), 12)
$$;
comment on function tandem.conflict_id(tandem.conflict) is 'The name of a conflict, the same on every node.';

-- tandem.iso_text(p_instant) -> text: 2025-11-30T12:00:00.000000Z
create or replace function tandem.iso_text(p_instant timestamptz) returns text
language sql stable as $$
  select to_char(p_instant at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
comment on function tandem.iso_text(timestamptz) is 'An instant in ISO 8601.';

-- tandem.conflict_details(p_id) -> jsonb
-- One conflict with both images column by column, to be explained: {"schema", "table", "key", "kind", "rule", "winner", "local" and
-- "incoming": {"origin", "changedAt" (ISO 8601), "columns", "values" (null: the row was gone)}}; null: it is not kept here.
create or replace function tandem.conflict_details(p_id text) returns jsonb
language sql stable as $$
  select jsonb_build_object('schema', c.schema_name, 'table', c.table_name, 'key', tandem.key_text(c.key), 'kind', c.kind, 'rule', c.rule, 'winner', c.winner,
    'detectedAt', tandem.iso_text(c.detected_at), 'restoredAt', tandem.iso_text(c.restored_at),
    'local', jsonb_build_object('origin', c.local_origin, 'changedAt', tandem.iso_text(c.local_stamp),
      'columns', to_jsonb(c.local_columns), 'values', to_jsonb(c.local_values)),
    'incoming', jsonb_build_object('origin', c.incoming_origin, 'changedAt', tandem.iso_text(c.incoming_stamp),
      'columns', to_jsonb(c.incoming_columns), 'values', to_jsonb(c.incoming_values)))
  from tandem.conflict c where tandem.conflict_id(c) = p_id
  order by c.conflict_id limit 1
$$;
comment on function tandem.conflict_details(text) is 'One conflict with both images.';

-- tandem.prune_conflicts() -> bigint: forgets conflicts that were kept for as long as the configuration says.
create or replace function tandem.prune_conflicts() returns bigint
language plpgsql as $$
declare
  v_count bigint;
begin
  delete from tandem.conflict c using tandem.local_node n where c.detected_at < clock_timestamp() - n.keep_conflicts;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function tandem.prune_conflicts() is 'Forgets conflicts that were kept long enough.';
