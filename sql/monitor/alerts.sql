-- What people are told of. Written by the sidecar that tells them, read by the one that comes after it.

-- tandem.keep_alerts(p_alerts) -> void
-- Keeps a list of tandem.alert's rows as what there is; what is not in it goes.
-- Locks: the table against other writers.
create or replace function tandem.keep_alerts(p_alerts jsonb) returns void
language plpgsql as $$
begin
  lock table tandem.alert in share row exclusive mode;
  delete from tandem.alert;
  insert into tandem.alert select * from jsonb_populate_recordset(null::tandem.alert, p_alerts);
end $$;
comment on function tandem.keep_alerts(jsonb) is 'Keeps what people are told of.';

create or replace view tandem.alerts as
select a.rule, a.subject, a.state, a.since, a.event_at as changed_at, a.message, a.remedy from tandem.alert a;
comment on view tandem.alerts is 'What people are told of: while it fires, and for a while after it was over.';
