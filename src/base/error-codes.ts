/**
 * Who acts after an error: `now` and `backoff` are the program's own retries (at once, or after growing pauses);
 * `operator` means that nothing gets better until a person has acted, `never` that the same call would fail again.
 */
export type RetryPolicy = "now" | "backoff" | "operator" | "never";

/** What is known of an error before it happens; docs/errors.md is made of these. */
export interface ErrorEntry {
  readonly summary: string;
  readonly hint: string;
  readonly retry: RetryPolicy;
  /** 2 is kept for wrong usage or configuration; everything else that a person must look at is 1. */
  readonly exit: 1 | 2;
}

/** Every error Tandem can end with. A code is visible from outside: never rename one, never give it a second meaning. */
export const errorCodes = {
  usage: {
    summary: "The command line is wrong.",
    hint: "See `tandem --help`, or `tandem COMMAND --help`.",
    retry: "never",
    exit: 2,
  },
  not_found: {
    summary: "What was named (a conflict, a parked row, a backup, a link, a path) does not exist.",
    hint: "List what there is, and name one of that.",
    retry: "never",
    exit: 2,
  },
  config_invalid: {
    summary: "The configuration has faults; all of them are listed, each with its place.",
    hint: "Mend the places named; `tandem init` writes a commented example.",
    retry: "operator",
    exit: 2,
  },
  same_database: {
    summary: "Two nodes of the configuration are one and the same database.",
    hint: "Give each node the URL of a database of its own.",
    retry: "operator",
    exit: 2,
  },
  cannot_connect: {
    summary: "The server of a node cannot be reached.",
    hint: "Check host and port of the URL, that the server runs, and that its firewall or allow list admits this machine.",
    retry: "backoff",
    exit: 1,
  },
  wrong_password: {
    summary: "The server refuses the login.",
    hint: "Check user and password of the URL; special characters of a password are percent-encoded there (@ is %40).",
    retry: "operator",
    exit: 1,
  },
  database_missing: {
    summary: "The server has no database of that name.",
    hint: "Check the database name at the end of the URL, or create the database.",
    retry: "operator",
    exit: 1,
  },
  tls_failed: {
    summary: "No TLS connection that satisfies the URL came about.",
    hint: "Check sslmode, sslrootcert and channel_binding of the URL; sslrootcert takes the CA file of the provider, or `system`.",
    retry: "operator",
    exit: 1,
  },
  server_starting: {
    summary: "The server is starting, stopping or recovering.",
    hint: "Wait a moment; it is tried again by itself in `tandem run` and for 20 seconds in `tandem sync`.",
    retry: "backoff",
    exit: 1,
  },
  too_many_connections: {
    summary: "The server admits no further connection.",
    hint: "Raise the limit of the server or of the role, or close idle connections of the application.",
    retry: "backoff",
    exit: 1,
  },
  connection_lost: {
    summary: "A connection broke while it was in use.",
    hint: "Nothing is half done: run the command again; `tandem run` connects anew by itself.",
    retry: "backoff",
    exit: 1,
  },
  not_installed: {
    summary: "Tandem is not installed in a node.",
    hint: "Run `tandem migrate`.",
    retry: "operator",
    exit: 1,
  },
  version_mismatch: {
    summary: "What is installed in a node is older than this program.",
    hint: "Run `tandem migrate`.",
    retry: "operator",
    exit: 1,
  },
  schema_newer: {
    summary: "What is installed in a node is newer than this program.",
    hint: "Upgrade this program to the version that installed it (`npm i pg-tandem@latest`).",
    retry: "operator",
    exit: 1,
  },
  install_changed: {
    summary: "A released migration was changed after it had been applied.",
    hint: "Put the file back as it was released; corrections go into a new migration.",
    retry: "operator",
    exit: 1,
  },
  identity_mismatch: {
    summary: "A node is not the database it was: it was restored, cloned, branched or exchanged.",
    hint: "Check that the URL is the right one. If the database was restored, branched or cloned on purpose, `tandem rejoin NODE` brings it back without losing a write of either side.",
    retry: "operator",
    exit: 1,
  },
  position_mismatch: {
    summary: "The position stored in the target is not the one the batch was read from; another applier was faster.",
    hint: "Nothing was applied; the batch is read again.",
    retry: "now",
    exit: 1,
  },
  shape_changed: {
    summary: "The columns of a table changed while a batch was under way.",
    hint: "Nothing was applied; the tables are compared again, then the batch is read again.",
    retry: "now",
    exit: 1,
  },
  unsettled: {
    summary: "The newest entry of a row and the row itself disagree, and stayed so.",
    hint: "Run the command again; if it stays, `tandem verify` shows the keys.",
    retry: "now",
    exit: 1,
  },
  in_recovery: {
    summary: "The URL of a node leads to a standby, which cannot take part.",
    hint: "Use the URL of the primary server.",
    retry: "operator",
    exit: 1,
  },
  read_only: {
    summary: "The server takes no writes.",
    hint: "Use the URL of the primary; check default_transaction_read_only and the quota of the provider.",
    retry: "operator",
    exit: 1,
  },
  rls_hides_rows: {
    summary: "Row-level security would hide rows from the role of the URL; hidden rows would look deleted.",
    hint: "Use a role that owns the tables (without FORCE ROW LEVEL SECURITY) or has BYPASSRLS, or exclude the table.",
    retry: "operator",
    exit: 1,
  },
  permission_denied: {
    summary: "The role of the URL lacks a right.",
    hint: "Use the role that owns the tables; `tandem doctor` lists what is missing.",
    retry: "operator",
    exit: 1,
  },
  net_splits: {
    summary:
      "Without the node that is to be dropped the others would not all reach each other, or by paths of different length.",
    hint: "Add links between them to `links` of the configuration, run `tandem migrate`, then drop the node.",
    retry: "operator",
    exit: 1,
  },
  table_held: {
    summary: "A table is missing on one side or has another shape there; it is held, the others flow.",
    hint: "Bring the table to the same shape on both sides, or exclude it; `tandem doctor` names the difference.",
    retry: "operator",
    exit: 1,
  },
  unsupported_table: {
    summary: "A table cannot be tracked.",
    hint: "Give it a primary key or a unique not-null index, or exclude it.",
    retry: "operator",
    exit: 1,
  },
  unsupported_server: {
    summary: "The server is older than PostgreSQL 13, or not PostgreSQL.",
    hint: "Upgrade the server to PostgreSQL 13 or later.",
    retry: "operator",
    exit: 1,
  },
  first_meeting_undecided: {
    summary: "Rows differ at a first meeting and have no time to decide by.",
    hint: "Set `sync.seed` to the node that shall win, or name the `updated_at` column of the table; `tandem sync --dry-run` shows the numbers.",
    retry: "operator",
    exit: 1,
  },
  link_busy: {
    summary: "Another applier works on the link.",
    hint: "Wait until it is done, or stop the other `tandem run`.",
    retry: "backoff",
    exit: 1,
  },
  lock_timeout: {
    summary: "A lock was not to be had in time; the application was not made to wait.",
    hint: "Run it again when traffic is lower, or end the long transaction that holds the lock.",
    retry: "backoff",
    exit: 1,
  },
  serialization: {
    summary: "The server chose this transaction to give way (serialization failure or deadlock).",
    hint: "Nothing was changed; it is tried again by itself.",
    retry: "now",
    exit: 1,
  },
  statement_cancelled: {
    summary: "A statement was cancelled by the server or by a person.",
    hint: "Check time limits that the provider sets, then run it again.",
    retry: "backoff",
    exit: 1,
  },
  server_resources: {
    summary: "The server is out of memory, disk or another resource.",
    hint: "Free space on the server or enlarge it.",
    retry: "backoff",
    exit: 1,
  },
  sql_failed: {
    summary: "The server refused a statement.",
    hint: "Read the message of the server; `tandem doctor` looks for the usual causes.",
    retry: "operator",
    exit: 1,
  },
  stopped: {
    summary: "The work was stopped by a signal before it was done.",
    hint: "Nothing is half done; start it again when wanted.",
    retry: "never",
    exit: 1,
  },
  timed_out: {
    summary: "The time allowed for the work ran out.",
    hint: "Nothing is half done; run it again, it goes on from where it was.",
    retry: "backoff",
    exit: 1,
  },
  no_client_program: {
    summary: "A client program of PostgreSQL (pg_dump, pg_restore, psql) is missing or too old for the server.",
    hint: "Install the PostgreSQL client programs of the major version of the server, or a later one.",
    retry: "operator",
    exit: 1,
  },
  program_failed: {
    summary: "A client program of PostgreSQL (pg_dump, pg_restore) failed; its last words are in the message.",
    hint: "Read what it said; `tandem doctor` looks for the usual causes. Earlier backups are as they were.",
    retry: "operator",
    exit: 1,
  },
  backup_running: {
    summary: "Another process is making a backup of this node, or restores one.",
    hint: "Wait for it; `tandem backup create --label emergency` stands in line for it.",
    retry: "backoff",
    exit: 1,
  },
  backup_storage: {
    summary: "The folder of the backups cannot be written, or has too little room.",
    hint: "Free space there (`tandem backup prune --dry-run` shows what could go), or set `backup.dir` to another disk.",
    retry: "operator",
    exit: 1,
  },
  backup_damaged: {
    summary: "A file of a backup is missing, was changed, or does not hold what the manifest says.",
    hint: "Use another backup (`tandem backup list`); look after the disk.",
    retry: "never",
    exit: 1,
  },
  store_failed: {
    summary: "The store of the backups cannot be reached, or did not keep what was sent.",
    hint: "The backups on this machine are as they were. `tandem run` tries it again by itself, `tandem backup upload` now.",
    retry: "backoff",
    exit: 1,
  },
  store_refused: {
    summary: "The store of the backups turns Tandem away: credentials, rights, bucket or folder.",
    hint: "Correct `backup.store` or the rights there (list, read, write, delete), then run `tandem backup upload`.",
    retry: "operator",
    exit: 1,
  },
  backup_locked: {
    summary: "A backup in the store is encrypted, and no private key opens it.",
    hint: "Name the file of the private key that belongs to one of its recipients: `--identity FILE`, or `backup.encrypt.identity`.",
    retry: "operator",
    exit: 1,
  },
  restore_refused: {
    summary: "A restore would not leave the rows as they were backed up, and changed nothing.",
    hint: "Bring the tables to the shape that the message names, restore other tables with them, or restore into a new database (--new-database).",
    retry: "operator",
    exit: 1,
  },
  no_scratch: {
    summary: "There is no server on which a backup could be restored for a try.",
    hint: "Set `backup.scratch` (or --scratch) to the URL of a server of that version or later, with a role that may create databases.",
    retry: "operator",
    exit: 1,
  },
  conflict_not_restored: {
    summary: "An image that lost a conflict cannot be brought back as it is; nothing was changed.",
    hint: "The message names what stands in the way (a unique value, a parent, a constraint, a trigger): change that, and run it again.",
    retry: "operator",
    exit: 1,
  },
  link_paused: {
    summary: "A person has paused the link: it carries nothing until it is resumed.",
    hint: "Resume it: POST /api/links/SOURCE:TARGET/resume, or in the target `select tandem.resume_link('SOURCE')`.",
    retry: "operator",
    exit: 1,
  },
  http_listen: {
    summary: "The HTTP interface cannot listen on its address; all else goes on, and it is tried again.",
    hint: "End the other program that has the port, or give `http.listen` another one; `off` switches the interface off.",
    retry: "backoff",
    exit: 1,
  },
  bad_request: {
    summary: "An HTTP request cannot be understood.",
    hint: "GET /api/openapi.json describes every request.",
    retry: "never",
    exit: 1,
  },
  unauthorized: {
    summary: "An HTTP request needs the token, and has none or a wrong one.",
    hint: "Send the header `Authorization: Bearer TOKEN`, with `http.token` of the configuration.",
    retry: "never",
    exit: 1,
  },
  token_not_set: {
    summary: "An HTTP request needs a token, and the configuration has none.",
    hint: "Set `http.token` (16 characters or more), and start `tandem run` again.",
    retry: "operator",
    exit: 1,
  },
  host_refused: {
    summary: "An HTTP request names a host that this one is not known by.",
    hint: "Ask by the address of `http.listen`, or add the name to `http.hosts`.",
    retry: "never",
    exit: 1,
  },
  too_large: {
    summary: "An HTTP request is larger than any that is needed.",
    hint: "Send less.",
    retry: "never",
    exit: 1,
  },
  too_many_requests: {
    summary: "There were too many HTTP requests from one address, or too many open streams.",
    hint: "Ask less often; /api/events tells what changes.",
    retry: "backoff",
    exit: 1,
  },
  action_running: {
    summary: "The same action is under way.",
    hint: "Wait for it: GET /api/actions/ID tells how it is.",
    retry: "backoff",
    exit: 1,
  },
  diverged: {
    summary: "Nodes that are at rest hold different rows.",
    hint: "Run `tandem verify` for the keys that differ.",
    retry: "operator",
    exit: 1,
  },
  alert_not_sent: {
    summary: "A target of the alerts did not take a message.",
    hint: "It is tried again by itself; `tandem alerts test` shows what each target answers.",
    retry: "backoff",
    exit: 1,
  },
  internal: {
    summary: "Something that must not happen happened: a fault of Tandem.",
    hint: "Please report it with the message, and the output of `tandem doctor --json`.",
    retry: "never",
    exit: 1,
  },
} as const satisfies Record<string, ErrorEntry>;

/** The name of one entry of `errorCodes`. */
export type ErrorCode = keyof typeof errorCodes;

/** Tells our own codes from the `code` of a Node or PostgreSQL error. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === "string" && Object.hasOwn(errorCodes, text);
}
