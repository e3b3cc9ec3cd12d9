-- Nobody but Tandem's role may call its functions; who is to look gets the right to by name (grant usage on schema tandem ...).
revoke all on all functions in schema tandem from public;
revoke all on all functions in schema tandem_log from public;
-- Called by views with their reader's rights: most show what they are given, dropped_open tells numbers only, unsynced looks for itself
-- who asks.
grant execute on function tandem.key_text(text[]), tandem.image(text[], text[]), tandem.conflict_id(tandem.conflict), tandem.lease_stands(tandem.lease),
  tandem.dropped_open(), tandem.unsynced(integer) to public;
