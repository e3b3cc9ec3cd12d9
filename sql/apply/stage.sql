-- Staging: rows are put into a permanent unlogged table, one per link and table, before any lock is taken on the target's rows.

create or replace function tandem.stage_name(p_peer_id integer, p_schema text, p_table text) returns text
language sql immutable as $$
  select tandem.object_name('stage ' || p_peer_id || ' ', p_schema, p_table)
$$;
comment on function tandem.stage_name(integer, text, text) is 'Name of the staging table of a link and table.';

-- tandem.index_stage(p_plan, p_what) -> void
-- Makes an index of a staging table: by "keys", for whatever looks for single rows, or by "order", for the search for rows at fault, each of whose many small
-- steps would else read the whole batch. Those of a large set go with it (tandem.prepare_stage) and are not made before they are needed: filling one
-- row by row costs a fifth of filling the table, and sets that are decided as a whole need none.
create or replace function tandem.index_stage(p_plan jsonb, p_what text) returns void
language plpgsql as $$
declare
  v_name text := tandem.object_name(p_what || ' ' || (p_plan ->> 'peer') || ' ', p_plan ->> 'schema', p_plan ->> 'table');
begin
  if to_regclass(format('tandem_log.%I', v_name)) is null then
    execute format('create index %I on %s (%s)', v_name, p_plan ->> 'stage', case p_what when 'keys' then p_plan ->> 'log_keys' else 'n' end);
  end if;
end $$;
comment on function tandem.index_stage(jsonb, text) is 'Indexes a staging table.';

-- tandem.link_lock() -> integer: class of the advisory locks of links; the other half is the peer's id. Nothing else may use it.
create or replace function tandem.link_lock() returns integer
language sql immutable as $$
  select 1950109540
$$;
comment on function tandem.link_lock() is 'Class of the advisory locks of links.';

-- tandem.begin_stage(p_peer_id, p_staging) -> void
-- Takes the link for this transaction and marks whose rows are staged. Two appliers of one link: the second waits here
-- (lock_timeout is the caller's), and apply_batch refuses the first one's rows once the second has staged its own. The link is
-- taken by an advisory lock too, for that can be seen by others: tandem.end_stalled. The mark is unlogged as the staging tables are.
-- Errors: TD001 no such link.
create or replace function tandem.begin_stage(p_peer_id integer, p_staging uuid) returns void
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(tandem.link_lock(), p_peer_id);
  perform 1 from tandem.inbound where peer_id = p_peer_id for no key update;
  if not found then
    raise exception 'this node has no link from peer %', p_peer_id using errcode = 'TD001';
  end if;
  insert into tandem.staged (peer_id, staging) values (p_peer_id, p_staging)
  on conflict (peer_id) do update set staging = excluded.staging;
end $$;
comment on function tandem.begin_stage(integer, uuid) is 'Takes a link for staging.';

-- tandem.base_type(p_type) -> oid: the type under a domain, else itself.
create or replace function tandem.base_type(p_type oid) returns oid
language plpgsql stable as $$
begin
  return (
    with recursive d as (
      select t.oid, t.typtype, t.typbasetype from pg_type t where t.oid = p_type
      union all
      select t.oid, t.typtype, t.typbasetype from d join pg_type t on t.oid = d.typbasetype where d.typtype = 'd')
    select oid from d where typtype <> 'd');
end $$;
comment on function tandem.base_type(oid) is 'The type under a domain.';

-- tandem.prepare_stage(p_peer_id, p_table_id, p_columns, p_as_text, p_append) -> text
-- Makes the staging table empty and fit for these columns; returns its name. Columns: n counts the rows,
-- k1... the key, then what the source says of each row, then c1..., the given columns by their types without length limits and
-- domains (a value the table refuses is met later, row by row). p_as_text: all as text, after a value was not even of its
-- type (see set_misfits_aside). p_append: the rows staged so far stay. A small table is emptied by DELETE, a large one by TRUNCATE, which costs the catalog
-- more, and loses its indexes (see index_stage).
create or replace function tandem.prepare_stage(p_peer_id integer, p_table_id integer, p_columns text[], p_as_text boolean default false,
  p_append boolean default false)
returns text
language plpgsql as $$
declare
  t tandem.tracked_table;
  v_name text;
  v_definition text;
  v_index regclass;
begin
  select * into strict t from tandem.tracked_table where table_id = p_table_id;
  v_name := tandem.stage_name(p_peer_id, t.schema_name, t.table_name);
  select format('n bigint not null default nextval(''tandem.staged_row''), %s, op "char", present boolean not null, stamp timestamptz, origin text collate "C", '
    'known_stamps timestamptz[], known_origins text[], parked_there boolean not null default false, unsettled boolean not null default false, unplaced text, asked boolean not null default false, '
    'misfit_state text, misfit text',
    (select string_agg(format('k%s %s not null', u.i, tandem.sent_key_type(u.type)), ', ' order by u.i) from unnest(t.key_types) with ordinality u (type, i)))
    || coalesce((select string_agg(format(', c%s %s', u.i, case when p_as_text then 'text'
        else format_type(tandem.base_type(a.atttypid), -1) end), '' order by u.i)
      from unnest(p_columns) with ordinality u (name, i)
      join pg_attribute a on a.attrelid = t.relid and a.attname = u.name and not a.attisdropped), '')
  into v_definition;
  if v_definition is distinct from tandem.comment_on(to_regclass(format('tandem_log.%I', v_name)), 'pg_class') then
    execute format('drop table if exists tandem_log.%I', v_name);
    execute format('create unlogged table tandem_log.%I (%s)', v_name, v_definition);
    execute format('comment on table tandem_log.%I is %L', v_name, v_definition);
    -- It is emptied by TRUNCATE, which waits for an autovacuum longer than the applier does, or by DELETE while it is small.
    execute format('alter table tandem_log.%I set (autovacuum_enabled = off, toast.autovacuum_enabled = off)', v_name);
  elsif p_append then
    null;
  elsif pg_relation_size(format('tandem_log.%I', v_name)) > 1048576 then
    for v_index in select i.indexrelid::regclass from pg_index i where i.indrelid = format('tandem_log.%I', v_name)::regclass loop
      execute format('drop index %s', v_index);
    end loop;
    execute format('truncate tandem_log.%I', v_name);
  else
    execute format('delete from tandem_log.%I', v_name);
  end if;
  return format('tandem_log.%I', v_name);
end $$;
comment on function tandem.prepare_stage(integer, integer, text[], boolean, boolean) is 'Makes a staging table empty and fit.';
