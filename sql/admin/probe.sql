-- tandem.probe: a table that is there only while "tandem doctor --roundtrip" measures. It is captured, carried and applied as any other; nothing of
-- it is left at rest, and a database that has none lacks nothing.

-- tandem.close_probe() -> void
-- Takes the probe away, with all that this node knows of it; nothing happens where there is none. To be called in a transaction with a
-- lock_timeout.
create or replace function tandem.close_probe() returns void
language plpgsql as $$
begin
  perform tandem.drop_own_table('probe');
end $$;
comment on function tandem.close_probe() is 'Takes the probe of a round trip away.';

-- tandem.open_probe() -> void
-- Makes the table and captures it, anew where one was left behind by a doctor that was killed. To be called in a transaction with a
-- lock_timeout.
create or replace function tandem.open_probe() returns void
language plpgsql as $$
begin
  perform tandem.close_probe();
  create table tandem.probe (node text collate "C" primary key, sent_at timestamptz not null default clock_timestamp());
  comment on table tandem.probe is 'Rows of "tandem doctor --roundtrip", while it runs.';
  perform tandem.track_own_table('probe');
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
