-- tandem.record_conflicts(p_plan, p_source) -> bigint
-- Keeps both images of every conflict just decided: each column as its own text, never JSON; no values where the row is gone.
-- The same conflict is kept once. Returns how many were new.
create or replace function tandem.record_conflicts(p_plan jsonb, p_source text) returns bigint
language plpgsql as $$
declare
  v_count bigint;
begin
  execute format($sql$
    insert into tandem.conflict (peer_id, schema_name, table_name, key, kind, rule, winner,
      local_stamp, local_origin, incoming_stamp, incoming_origin, local_columns, local_values, incoming_columns, incoming_values)
    select v.peer_id, %1$L, %2$L, %3$s, v.kind,
      case v.verdict when 'prefer' then 'prefer' when 'keep' then v.reason when 'anew' then 'same version' when 'tie' then 'same version'
        else case when v.local_stamp <= timestamptz '0001-01-01 00:00:00+00' or s.stamp <= timestamptz '0001-01-01 00:00:00+00' then 'seed' else 'newest' end end,
      case when v.verdict in ('win', 'anew') then 'incoming' else 'local' end,
      v.local_stamp, v.local_origin, s.stamp, s.origin,
      case when %4$s is not null then %5$L::text[] end, case when %4$s is not null then %6$s end,
      case when s.present then %7$L::text[] end, case when s.present then %8$s end
    from tandem.verdict v
    join %9$s s on s.n = v.n
    left join %10$s t on %11$s
    where v.peer_id = %12$s and v.table_id = %13$s and v.verdict in ('win', 'lose', 'prefer', 'keep', 'anew', 'tie')
    on conflict do nothing
  $sql$,
    p_plan ->> 'schema', p_plan ->> 'table', p_plan ->> 'key_text', p_plan ->> 'first_key',
    array(select jsonb_array_elements_text(p_plan -> 'local_columns')), p_plan ->> 'local_values',
    array(select jsonb_array_elements_text(p_plan -> 'incoming_columns')), p_plan ->> 'incoming_values',
    p_plan ->> 'stage', p_plan ->> 'relation', p_plan ->> 'key_is_row', p_plan ->> 'peer', p_plan ->> 'id');
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function tandem.record_conflicts(jsonb, text) is 'Keeps both images of conflicts.';
