-- Nobody but Tandem's role may call its functions; who is to look gets the right to by name (grant usage on schema tandem ...).
revoke all on all functions in schema tandem from public;
revoke all on all functions in schema tandem_log from public;
