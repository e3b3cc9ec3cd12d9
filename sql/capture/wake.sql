-- Waking up: while the applier of a link has nothing to do it asks to be told of the next commit, instead of looking again and again.
-- tandem.wake_until holds until when, in milliseconds since 1970: a sequence, for every transaction must read it as it is now.

-- tandem.ask_wake(p_ms) -> boolean
-- From now on each commit of captured changes notifies the channel "tandem", for at least half of p_ms milliseconds (so that asking again
-- and again seldom writes). False: nobody had asked, so transactions that have an xid by now may end without a word.
create or replace function tandem.ask_wake(p_ms bigint) returns boolean
language plpgsql as $$
declare
  v_now constant bigint := date_part('epoch', clock_timestamp()) * 1000;
  v_until constant bigint := coalesce(pg_sequence_last_value('tandem.wake_until'), 0);
begin
  if v_until < v_now + p_ms / 2 then
    perform setval('tandem.wake_until', v_now + p_ms);
  end if;
  return v_until > v_now;
end $$;
comment on function tandem.ask_wake(bigint) is 'Asks to be told of commits for a while.';

-- tandem.hush_wake() -> void
-- Who was told has come, and looks by itself until it asks again: commits go on without a word, for to notify costs them much.
create or replace function tandem.hush_wake() returns void
language sql as $$
  select setval('tandem.wake_until', 0) where pg_sequence_last_value('tandem.wake_until') > 0
$$;
comment on function tandem.hush_wake() is 'Ends what tandem.ask_wake has asked for.';

-- tandem.wake() -> void
-- Notifies if somebody has asked. Where prepared transactions are enabled nothing ever notifies: PREPARE TRANSACTION would fail.
create or replace function tandem.wake() returns void
language plpgsql as $$
begin
  if pg_sequence_last_value('tandem.wake_until') > date_part('epoch', clock_timestamp()) * 1000 and current_setting('max_prepared_transactions') = '0' then
    perform pg_notify('tandem', '');
  end if;
end $$;
comment on function tandem.wake() is 'Tells who has asked that this transaction commits changes.';

-- tandem.wake_onward(p_peer_id) -> void
-- Wakes the links that what has just been applied from p_peer_id goes on by.
create or replace function tandem.wake_onward(p_peer_id integer) returns void
language plpgsql as $$
begin
  if exists (select from tandem.outbound o where o.peer_id <> p_peer_id and not tandem.forwarded_by_other(p_peer_id, o.peer_id)) then
    perform tandem.wake();
  end if;
end $$;
comment on function tandem.wake_onward(integer) is 'Wakes the links that applied changes go on by.';
