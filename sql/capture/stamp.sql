-- Stamps: hybrid logical clock values. Captured ones are even microseconds; the odd ones belong to removed losers.

-- tandem.after(p_stamp) -> timestamptz
-- The smallest even stamp greater than p_stamp; null for null. Part of every captured statement: date_part is faster than extract, which is numeric.
create or replace function tandem.after(p_stamp timestamptz) returns timestamptz
language sql stable as $$
  select p_stamp + case when date_part('microseconds', p_stamp)::bigint & 1 = 1 then interval '1 microsecond' else interval '2 microseconds' end
$$;
comment on function tandem.after(timestamptz) is 'The next even stamp.';

-- tandem.to_us(p_stamp) -> bigint, tandem.from_us(p_us) -> timestamptz
-- Microseconds since 1970, for the floors, which are sequences. Exact for the years 1684 to 2255.
create or replace function tandem.to_us(p_stamp timestamptz) returns bigint
language sql stable as $$
  select (extract(epoch from date_trunc('second', p_stamp))::bigint) * 1000000
    + extract(microseconds from p_stamp)::bigint % 1000000
$$;
comment on function tandem.to_us(timestamptz) is 'A stamp as microseconds since 1970.';

create or replace function tandem.from_us(p_us bigint) returns timestamptz
language sql stable as $$
  select timestamptz '1970-01-01 00:00:00+00' + p_us * interval '1 microsecond'
$$;
comment on function tandem.from_us(bigint) is 'The stamp of so many microseconds since 1970.';

-- tandem.next_stamp() -> timestamptz
-- An even stamp for a change made now: later than the clock and than every floor. The floors are sequences, which are
-- not MVCC: a REPEATABLE READ transaction older than an applied change still stamps its own writes after it.
-- tandem.floor_us() is made by tandem.make_floor(), for it reads one sequence per incoming link. It is part of every captured statement: so this is one
-- expression, in double precision, which is exact to a quarter of a microsecond until the year 2106.
create or replace function tandem.next_stamp() returns timestamptz
language plpgsql volatile as $$
begin
  return timestamptz '1970-01-01 00:00:00+00' + (greatest((date_part('epoch', clock_timestamp()) * 1000000)::bigint, tandem.floor_us()) / 2 + 1) * 2 * interval '1 microsecond';
end $$;
comment on function tandem.next_stamp() is 'A stamp for a change made now.';

-- tandem.make_floor() -> void
-- Creates the floor sequence of each incoming link that has none, and the function that reads the greatest of them and of the block
-- floor; those of links that are no more still count, for what they brought is here.
create or replace function tandem.make_floor() returns void
language plpgsql as $$
declare
  v_peer record;
  v_reads text := '0, pg_catalog.pg_sequence_last_value(''tandem.block_floor''::regclass)';
  v_body text;
begin
  for v_peer in
    select distinct p.name collate "C" as name from tandem.peer p
    where exists (select from tandem.inbound i where i.peer_id = p.peer_id) or to_regclass(format('tandem_log.%I', 'floor ' || p.name)) is not null
    order by 1
  loop
    if to_regclass(format('tandem_log.%I', 'floor ' || v_peer.name)) is null then
      execute format('create sequence tandem_log.%I minvalue 0 start 0', 'floor ' || v_peer.name);
      execute format('comment on sequence tandem_log.%I is %L', 'floor ' || v_peer.name,
        'Newest stamp applied here from ' || v_peer.name || ', in microseconds since 1970.');
    end if;
    v_reads := v_reads || format(', pg_catalog.pg_sequence_last_value(%L::regclass)',
      format('tandem_log.%I', 'floor ' || v_peer.name));
  end loop;
  v_body := format('select greatest(%s)', v_reads);
  if v_body is distinct from (select p.prosrc from pg_proc p where p.oid = to_regprocedure('tandem.floor_us()')) then
    execute format('create or replace function tandem.floor_us() returns bigint language sql volatile as %L', v_body);
    execute 'revoke execute on function tandem.floor_us() from public';
    execute 'comment on function tandem.floor_us() is ''The greatest of the floors, in microseconds since 1970.''';
  end if;
end $$;
comment on function tandem.make_floor() is 'Makes the floors of the incoming links and the function that reads them.';

-- tandem.raise_floor(p_peer_id, p_stamp) -> void
-- What this node writes from now on is newer than p_stamp. The caller holds the link's lock (its row in
-- tandem.inbound), so that nobody sets this sequence backwards meanwhile. Takes effect at once, rolled back or not.
create or replace function tandem.raise_floor(p_peer_id integer, p_stamp timestamptz) returns void
language plpgsql as $$
declare
  v_sequence regclass;
begin
  select format('tandem_log.%I', 'floor ' || p.name)::regclass into strict v_sequence
  from tandem.peer p where p.peer_id = p_peer_id;
  if p_stamp > timestamptz '1970-01-01 00:00:00+00'
    and tandem.to_us(p_stamp) > coalesce(pg_sequence_last_value(v_sequence), 0) then
    perform setval(v_sequence, tandem.to_us(p_stamp));
  end if;
end $$;
comment on function tandem.raise_floor(integer, timestamptz) is 'Raises the floor of an incoming link.';
