-- Tandem's own tables. Append-only: what changes later comes as a further migration.
-- Up Migration

create schema if not exists tandem;
create schema tandem_log;
comment on schema tandem is 'Tandem: what people and the applier see. Removed by "tandem uninstall".';
comment on schema tandem_log is 'Tandem: change logs, staging tables, clock floors. Nobody but Tandem reads or writes here.';

create table tandem.local_node (
  only_row boolean primary key default true check (only_row),
  name text collate "C" not null check (name ~ '^[a-z][a-z0-9_-]{0,29}$'),
  incarnation uuid not null,
  system_identifier text not null,
  database_oid oid not null,
  highest_xid xid8 not null,
  max_skew interval not null default interval '5 minutes',
  retention interval not null default interval '7 days',
  keep_conflicts interval not null default interval '28 days',
  seed text collate "C",
  pruned_at timestamptz,
  horizon timestamptz not null default '0001-01-01 00:00:00+00',
  installed_at timestamptz not null default clock_timestamp()
);
comment on table tandem.local_node is 'This database as a node: one row, written when a configured node is first migrated.';
comment on column tandem.local_node.horizon is 'Entries stamped before this may have been pruned here.';

create table tandem.peer (
  peer_id integer generated always as identity primary key,
  name text collate "C" not null check (name ~ '^[a-z][a-z0-9_-]{0,29}$'),
  incarnation uuid,
  receives_from text[] not null default '{}',
  configured boolean not null default true,
  gone_at timestamptz,
  check (gone_at is null or not configured)
);
create unique index peer_name on tandem.peer (name) where gone_at is null;
comment on table tandem.peer is 'The other nodes this one has a link with, and from whom each of them receives directly.';
comment on column tandem.peer.gone_at is 'Set when this incarnation is no more (dropped, or rejoined): what was received from it is sent to everybody.';

create table tandem.tracked_table (
  table_id integer generated always as identity primary key,
  schema_name text not null,
  table_name text not null,
  relid oid not null,
  log_name text not null unique,
  entries_name text not null unique,
  blocks_name text unique,
  changelog_view text not null unique,
  key_columns text[] not null,
  key_types text[] not null,
  key_operators text[] not null,
  partitioned boolean not null,
  conflict_policy text collate "C" not null default 'newest',
  updated_at_column text,
  leaves text[] not null default '{}',
  vanished integer not null default 0,
  shape text,
  unique (schema_name, table_name),
  check (cardinality(key_columns) between 1 and 32
    and cardinality(key_types) = cardinality(key_columns)
    and cardinality(key_operators) = cardinality(key_columns))
);
comment on table tandem.tracked_table is 'Tables whose changes are captured here, each with its log table in tandem_log.';
comment on column tandem.tracked_table.entries_name is 'The view of all entries: those of the log, each a row, and those of the blocks.';
comment on column tandem.tracked_table.blocks_name is 'The table of its blocks, each of which holds many entries; null where the key''s types cannot be in one.';
comment on column tandem.tracked_table.vanished is 'How often rows may have gone here of which the log knows nothing.';
comment on column tandem.tracked_table.leaves is 'Leaf partitions known when the table was last armed; others have come or gone since.';

create table tandem.inbound (
  peer_id integer primary key references tandem.peer,
  position pg_snapshot,
  token uuid,
  applying xid8,
  applying_tables integer[] not null default '{}',
  applied_at timestamptz,
  caught_up_at timestamptz,
  lag interval check (lag >= interval '0'),
  heartbeat interval check (heartbeat >= interval '0'),
  heartbeat_at timestamptz,
  batches bigint not null default 0,
  rows_applied bigint not null default 0,
  rows_superseded bigint not null default 0,
  batches_cut bigint not null default 0,
  missing text check (missing in ('keep', 'delete')),
  settle_seen pg_snapshot,
  settle_upto xid8,
  settled pg_snapshot,
  clock_skew interval,
  last_error text,
  last_error_at timestamptz
);
comment on table tandem.inbound is 'One row per link into this node: how far its source has been applied here, and by whom it is being applied.';
comment on column tandem.inbound.caught_up_at is 'All that was committed at the source before this moment, by the clock of this node, is here, but for what is parked or held.';
comment on column tandem.inbound.lag is 'For how long, at most, what came last was under way, from its commit at the source to its commit here.';
comment on column tandem.inbound.heartbeat is 'How long the last heartbeat took from the source into this node; null where heartbeats are off or none has come.';
comment on column tandem.inbound.settled is 'A snapshot of this node: what was received from the peer and is visible in it has reached all whom the peer sends to directly.';
comment on column tandem.inbound.missing is 'What becomes of rows that only a rejoined source has and that may have been deleted here: a person''s choice.';

create table tandem.inbound_table (
  peer_id integer not null references tandem.peer,
  schema_name text not null,
  table_name text not null,
  state text not null check (state in ('flow', 'copy', 'held', 'catch_up')),
  position pg_snapshot,
  copied_to text[],
  rows_copied bigint not null default 0,
  rows_undecided bigint not null default 0,
  vanished_seen integer not null default 0,
  reason text,
  rejoin text check (rejoin in ('restored', 'replaced', 'survivor')),
  since timestamptz not null default clock_timestamp(),
  primary key (peer_id, schema_name, table_name),
  check ((state = 'flow') = (position is null)),
  check (state <> 'held' or reason is not null)
);
comment on table tandem.inbound_table is 'The tables a link knows: flowing with it, being copied, held back, or catching up from a position of their own.';
comment on column tandem.inbound_table.rejoin is 'Compared since a node came back: this one (restored with what had flowed, or replaced by a database that had not) or the peer (this one survived).';

create table tandem.outbound (
  peer_id integer primary key references tandem.peer,
  token uuid,
  pending_tokens uuid[] not null default '{}',
  acknowledged pg_snapshot,
  acknowledged_at timestamptz,
  candidate pg_snapshot,
  candidate_seen pg_snapshot,
  prunable pg_snapshot,
  check ((candidate is null) = (candidate_seen is null))
);
comment on table tandem.outbound is 'One row per link out of this node: what its target has acknowledged, and from when on entries may be pruned.';

create table tandem.outbound_parked (
  peer_id integer not null references tandem.peer,
  schema_name text not null,
  table_name text not null,
  key text[] not null,
  primary key (peer_id, schema_name, table_name, key)
);
comment on table tandem.outbound_parked is 'Keys that a peer has parked: their entries stay, and they are not counted as synced.';

create table tandem.outbound_held (
  peer_id integer not null references tandem.peer,
  schema_name text not null,
  table_name text not null,
  position pg_snapshot not null,
  primary key (peer_id, schema_name, table_name)
);
comment on table tandem.outbound_held is 'Tables that a peer holds back or lets catch up, each with where it stands: what came later is pending.';

create table tandem.parked_change (
  parked_id bigint generated always as identity primary key,
  peer_id integer not null references tandem.peer,
  schema_name text not null,
  table_name text not null,
  key text[] not null,
  kind text not null check (kind in ('busy', 'refused', 'waits', 'unplaced', 'ahead')),
  reason text not null,
  sqlstate text,
  stamp timestamptz,
  origin text collate "C",
  parked_at timestamptz not null default clock_timestamp(),
  attempts integer not null default 1 check (attempts > 0),
  tried_at timestamptz not null default clock_timestamp(),
  next_try_at timestamptz not null default clock_timestamp(),
  unique (peer_id, schema_name, table_name, key)
);
comment on table tandem.parked_change is 'Changes that could not be applied here and wait for their next try.';

create table tandem.dropped_change (
  dropped_id bigint generated always as identity primary key,
  parked_id bigint not null,
  peer_id integer not null references tandem.peer,
  schema_name text not null,
  table_name text not null,
  key text[] not null,
  kind text not null,
  refusal text not null,
  sqlstate text,
  stamp timestamptz,
  origin text collate "C",
  parked_at timestamptz not null,
  attempts integer not null,
  dropped_at timestamptz not null default clock_timestamp(),
  dropped_by text not null default session_user,
  reason text not null check (reason <> ''),
  columns text[],
  image text[],
  settled_at timestamptz,
  check (cardinality(columns) is not distinct from cardinality(image))
);
create index dropped_change_peer on tandem.dropped_change (peer_id);
comment on table tandem.dropped_change is 'Parked changes that a person gave up, with the image that was not applied where it could be had.';
comment on column tandem.dropped_change.settled_at is 'When the row was seen to have changed since: until then the nodes differ there.';

create table tandem.conflict (
  conflict_id bigint generated always as identity primary key,
  detected_at timestamptz not null default clock_timestamp(),
  peer_id integer not null references tandem.peer,
  schema_name text not null,
  table_name text not null,
  key text[] not null,
  kind text not null,
  rule text not null,
  winner text not null check (winner in ('local', 'incoming')),
  local_stamp timestamptz not null,
  local_origin text collate "C" not null,
  incoming_stamp timestamptz not null,
  incoming_origin text collate "C" not null,
  local_columns text[],
  local_values text[],
  incoming_columns text[],
  incoming_values text[],
  restored_at timestamptz,
  check (cardinality(local_columns) is not distinct from cardinality(local_values)),
  check (cardinality(incoming_columns) is not distinct from cardinality(incoming_values))
);
-- One version can lose to another both as itself and as a row that refers to it: where a clock is behind, changes of one node bear one stamp.
create unique index conflict_once on tandem.conflict
  (schema_name, table_name, key, local_stamp, local_origin, incoming_stamp, incoming_origin, (kind like 'referring/%'));
create index conflict_peer on tandem.conflict (peer_id);
create index conflict_detected on tandem.conflict (detected_at);
comment on table tandem.conflict is 'Two changes of one row where neither writer had seen the other''s; both images, each column as its own text. Null values: the row was gone.';

create table tandem.fallback_pair (
  schema_name text not null,
  table_name text not null,
  local_key text[] not null,
  incoming_key text[] not null,
  primary key (schema_name, table_name, local_key, incoming_key)
);
comment on table tandem.fallback_pair is 'Newer incoming rows that fell back on their older image because others refer to the holder of the value they claim: once per pair.';

create table tandem.assumed_version (
  stamp timestamptz not null,
  origin text collate "C" not null,
  primary key (stamp, origin)
);
comment on table tandem.assumed_version is 'Versions that survivors'' rows without an entry counted with when this node came back: such a row is no newer, how much older nobody knows.';

create table tandem.interleaved_sequence (
  schema_name text not null,
  sequence_name text not null,
  increment_before bigint not null,
  modulus bigint not null,
  residue bigint not null,
  primary key (schema_name, sequence_name)
);
comment on table tandem.interleaved_sequence is 'Sequences whose increment Tandem changed, with what it was before.';

create unlogged table tandem.verdict (
  -- No foreign keys: they are checked row by row, and a first copy writes a verdict for every row that both sides have.
  peer_id integer not null,
  table_id integer not null,
  n bigint not null,
  verdict text not null check (verdict in ('adopt', 'drop', 'win', 'lose', 'prefer', 'keep', 'tie', 'anew', 'park', 'undecided', 'missing')),
  kind text,
  reason text,
  sqlstate text,
  local_stamp timestamptz,
  local_origin text collate "C",
  holder text[],
  crossed boolean not null default false,
  primary key (peer_id, table_id, n)
) with (vacuum_truncate = off); -- cutting off its empty end would lock it as a whole, and the applier, which has rows locked by then, does not wait for that
comment on table tandem.verdict is 'While a batch is applied: what was decided for the staged rows that are not simply written. Holder: of the value that a row claims; a row that is kept fell back because of it, and where one waits it is written anew. Crossed: it waits for a row that was deleted here, and that deletion waits at the source.';

create sequence tandem.wake_until minvalue 0 start 0;
comment on sequence tandem.wake_until is 'Until when commits notify those who wait for them, in milliseconds since 1970.';

create table tandem.block_floor_turn (only_row boolean primary key default true check (only_row));
insert into tandem.block_floor_turn default values;
comment on table tandem.block_floor_turn is 'Whose turn it is to raise the block floor: its row is locked for that moment.';
create sequence tandem.block_floor minvalue 0 start 0;
comment on sequence tandem.block_floor is 'Newest stamp of a block written here, in microseconds since 1970.';

-- No identity of the staging tables: a newer pg_dump writes that of an unlogged table so that servers before 15 cannot read it.
create sequence tandem.staged_row cache 100;
comment on sequence tandem.staged_row is 'Numbers of staged rows, each greater than those staged before by the same session.';

create unlogged table tandem.staged (
  peer_id integer primary key references tandem.peer on delete cascade,
  staging uuid not null
);
comment on table tandem.staged is 'Whose rows are staged for a link. A crash empties the staging tables, and this one with them: what is lost is noticed.';

create unlogged table tandem.plan (
  peer_id integer not null references tandem.peer,
  table_id integer not null references tandem.tracked_table on delete cascade,
  columns text[] not null,
  as_text boolean not null,
  replica boolean not null,
  catalog_mark text not null,
  plan jsonb not null,
  primary key (peer_id, table_id, columns, as_text, replica)
);
create index plan_table on tandem.plan (table_id);
comment on table tandem.plan is 'Fragments of SQL for applying, kept until the catalogs they were made from change.';

create table tandem.lease (
  only_row boolean primary key default true check (only_row),
  holder uuid not null,
  label text not null,
  taken_at timestamptz not null,
  renewed_at timestamptz not null,
  lasts interval not null check (lasts > interval '0'),
  awaited_at timestamptz
);
comment on table tandem.lease is 'The sidecar that works on the links into this node; another one stands by until the lease is over, by this clock.';

create table tandem.verification (
  verification_id bigint generated always as identity primary key,
  as_of timestamptz not null,
  finished_at timestamptz not null,
  nodes text[] not null,
  identical boolean not null,
  tables integer not null,
  rows bigint not null,
  differing bigint not null,
  diverged bigint not null
);
comment on table tandem.verification is 'What comparing all nodes by content has shown, the newest 100 times; the same on every node that was reached.';

create table tandem.paused_link (
  peer_id integer primary key references tandem.peer,
  paused_at timestamptz not null default clock_timestamp(),
  paused_by text not null
);
comment on table tandem.paused_link is 'Links into this node that a person lets rest.';

create table tandem.activity_entry (
  activity_id bigint generated always as identity primary key,
  at timestamptz not null,
  kind text collate "C" not null check (kind ~ '^[a-z_]+$'),
  source text collate "C",
  target text collate "C" not null,
  message text not null,
  actor text not null
);
create index activity_entry_at on tandem.activity_entry (at);
comment on table tandem.activity_entry is 'What happened, for people: the newest 10,000.';

create table tandem.throughput (
  peer_id integer not null references tandem.peer,
  minute timestamptz not null,
  rows bigint not null,
  behind interval not null,
  primary key (peer_id, minute)
);
create index throughput_minute on tandem.throughput (minute);
comment on table tandem.throughput is 'Rows that came from each peer, by the minute, of seven days.';

create table tandem.backup (
  place text not null,
  backup_id text not null,
  state text not null check (state in ('complete', 'degraded', 'damaged', 'failed')),
  reason text,
  job text,
  label text,
  started_at timestamptz not null,
  finished_at timestamptz,
  rows bigint not null check (rows >= 0),
  bytes bigint not null check (bytes >= 0),
  level integer not null check (level between 0 and 3),
  proven_at timestamptz,
  pinned boolean not null,
  primary key (place, backup_id)
);
comment on table tandem.backup is 'The backups of this node, and those that failed, by the machine and folder where they lie: a copy of what the folder says, made anew when it is lost.';

create table tandem.alert (
  alert_id text collate "C" primary key,
  rule text collate "C" not null check (rule ~ '^[a-z_]+$'),
  subject text collate "C" not null,
  state text not null check (state in ('firing', 'cleared')),
  since timestamptz not null,
  event uuid not null,
  event_at timestamptz not null,
  what text not null check (what in ('fired', 'lasts', 'cleared')),
  message text not null,
  remedy text not null,
  told jsonb not null,
  changed_at timestamptz not null
);
comment on table tandem.alert is 'What people are told of, the same on every node that was reached: the newest thing to tell, and which targets have been told.';

create table tandem.sql_file (
  path text primary key,
  sha256 text not null,
  installed_at timestamptz not null default clock_timestamp()
);
comment on table tandem.sql_file is 'The files of sql/ as installed here, so that both ends of a link can be seen to fit.';

-- Down Migration

drop schema tandem_log cascade;
drop table tandem.sql_file, tandem.alert, tandem.backup, tandem.throughput, tandem.activity_entry, tandem.paused_link, tandem.verification, tandem.lease, tandem.plan, tandem.staged, tandem.verdict, tandem.interleaved_sequence, tandem.assumed_version, tandem.fallback_pair, tandem.conflict, tandem.dropped_change, tandem.parked_change,
  tandem.outbound_parked, tandem.outbound_held, tandem.outbound, tandem.inbound_table, tandem.inbound, tandem.tracked_table, tandem.peer,
  tandem.local_node, tandem.block_floor_turn cascade;
drop sequence tandem.wake_until, tandem.staged_row, tandem.block_floor;
