-- Tables of Tandem's own that travel: captured, carried and applied as any other. They are no candidates, so no list, count, comparison or backup
-- of the application's tables shows them; a link does not hold one that only its source has.

-- tandem.track_own_table(p_table) -> void
-- Has a table of schema tandem captured. To be called in the transaction that makes it, with a lock_timeout.
create or replace function tandem.track_own_table(p_table text) returns void
language plpgsql as $$
declare
  v_id integer;
begin
  insert into tandem.tracked_table (schema_name, table_name, relid, log_name, entries_name, blocks_name, changelog_view, key_columns, key_types, key_operators, partitioned)
  select 'tandem', p_table, c.oid, tandem.object_name('', 'tandem', p_table), tandem.object_name('entries ', 'tandem', p_table), tandem.object_name('blocks ', 'tandem', p_table), tandem.free_changelog_name('tandem', p_table),
    k.key_columns, k.key_types, k.key_operators, false
  from pg_class c cross join lateral tandem.table_key(c.oid) k
  where c.oid = format('tandem.%I', p_table)::regclass
  returning table_id into strict v_id;
  perform tandem.make_log(v_id);
  perform tandem.make_capture_function(v_id);
  perform tandem.make_changelog_view(v_id);
  perform tandem.arm_table(v_id);
  perform tandem.arm_last_trigger(v_id);
end $$;
comment on function tandem.track_own_table(text) is 'Has a table of Tandem''s own captured.';

-- tandem.drop_own_table(p_table) -> void
-- Takes such a table away, with all that this node knows of it; nothing happens where there is none. To be called in a transaction with a
-- lock_timeout.
create or replace function tandem.drop_own_table(p_table text) returns void
language plpgsql as $$
begin
  perform tandem.untrack_table('tandem', p_table);
  execute format('drop table if exists tandem.%I', p_table);
  delete from tandem.inbound_table where (schema_name, table_name) = ('tandem', p_table);
  delete from tandem.outbound_held where (schema_name, table_name) = ('tandem', p_table);
  delete from tandem.outbound_parked where (schema_name, table_name) = ('tandem', p_table);
  delete from tandem.parked_change where (schema_name, table_name) = ('tandem', p_table);
  delete from tandem.dropped_change where (schema_name, table_name) = ('tandem', p_table);
  delete from tandem.conflict where (schema_name, table_name) = ('tandem', p_table);
end $$;
comment on function tandem.drop_own_table(text) is 'Takes away a table of Tandem''s own.';
