-- tandem.probe: a table that is there only while "tandem doctor --roundtrip" measures. It is captured, carried and applied as any other; nothing of
-- it is left at rest, and a database that has none lacks nothing.

-- tandem.close_probe() -> void
-- Takes the probe away, with all that this node knows of it; nothing happens where there is none. To be called in a transaction with a
-- lock_timeout.
create or replace function tandem.close_probe() returns void
language plpgsql as $$
begin
  perform tandem.untrack_table('tandem', 'probe');
  drop table if exists tandem.probe;
  delete from tandem.inbound_table where (schema_name, table_name) = ('tandem', 'probe');
  delete from tandem.outbound_held where (schema_name, table_name) = ('tandem', 'probe');
  delete from tandem.outbound_parked where (schema_name, table_name) = ('tandem', 'probe');
  delete from tandem.parked_change where (schema_name, table_name) = ('tandem', 'probe');
  delete from tandem.dropped_change where (schema_name, table_name) = ('tandem', 'probe');
  delete from tandem.conflict where (schema_name, table_name) = ('tandem', 'probe');
end $$;
comment on function tandem.close_probe() is 'Takes the probe of a round trip away.';

-- tandem.open_probe() -> void
-- Makes the table and captures it, anew where one was left behind by a doctor that was killed. To be called in a transaction with a
-- lock_timeout. Not by track_table: this table is no candidate, so that no list of the application's tables ever shows it.
create or replace function tandem.open_probe() returns void
language plpgsql as $$
declare
  v_id integer;
begin
  perform tandem.close_probe();
  create table tandem.probe (node text collate "C" primary key, sent_at timestamptz not null default clock_timestamp());
  comment on table tandem.probe is 'Rows of "tandem doctor --roundtrip", while it runs.';
  insert into tandem.tracked_table (schema_name, table_name, relid, log_name, changelog_view, key_columns, key_types, key_operators, partitioned)
  select 'tandem', 'probe', 'tandem.probe'::regclass, tandem.object_name('', 'tandem', 'probe'), tandem.free_changelog_name('tandem', 'probe'),
    k.key_columns, k.key_types, k.key_operators, false
  from tandem.table_key('tandem.probe'::regclass) k
  returning table_id into strict v_id;
  perform tandem.make_log(v_id);
  perform tandem.make_capture_function(v_id);
  perform tandem.make_changelog_view(v_id);
  perform tandem.arm_table(v_id);
  perform tandem.arm_last_trigger(v_id);
end $$;
comment on function tandem.open_probe() is 'Makes and captures the table of a round trip.';

-- tandem.probe_flows(p_source) -> boolean
-- Whether the link from a source carries the probe by now.
create or replace function tandem.probe_flows(p_source text) returns boolean
language sql stable as $$
  select exists (
    select from tandem.inbound_table b join tandem.peer p using (peer_id)
    where p.name = p_source and p.configured and (b.schema_name, b.table_name, b.state) = ('tandem', 'probe', 'flow'))
$$;
comment on function tandem.probe_flows(text) is 'Whether a link carries the probe.';
