/**
 * Settings that change how a value is written as text or read from it, or what a statement may see or how long it
 * may last. The same on both ends, whatever server, database and role have set: what cannot travel in binary does so as text.
 * Values are SQL text: `search_path` takes a list, and would take a quoted one for a single name.
 */
const pinned: ReadonlyArray<readonly [name: string, value: string, since?: number]> = [
  // First, for it holds for what follows.
  ["statement_timeout", "0"],
  // pg_temp last, or it comes first: behind a pooler the session may hold temporary tables of other clients.
  ["search_path", "pg_catalog, pg_temp"],
  ["client_encoding", "'UTF8'"],
  ["DateStyle", "'ISO, YMD'"],
  ["IntervalStyle", "'postgres'"],
  ["TimeZone", "'UTC'"],
  ["extra_float_digits", "3"],
  ["bytea_output", "'hex'"],
  ["lc_monetary", "'C'"],
  // Off, the text of an array cannot hold a null.
  ["array_nulls", "on"],
  ["xmloption", "'content'"],
  ["standard_conforming_strings", "on"],
  // On, definitions read from the catalogs of two equal databases differ.
  ["quote_all_identifiers", "off"],
  // Off means an error where a policy would hide rows.
  ["row_security", "off"],
  // Compiling a plan that is used once costs more than it saves.
  ["jit", "off"],
  ["lock_timeout", "0"],
  ["idle_in_transaction_session_timeout", "0"],
  ["transaction_timeout", "0", 170000],
];

/**
 * SQL that pins the settings for the transaction it runs in. A transaction pooler may give every transaction
 * another session, so what was pinned when the connection was opened does not count there.
 */
export function pinnedSettings(serverVersion: number): string {
  return pinned
    .filter(([, , since = 0]) => serverVersion >= since)
    .map(([name, value]) => `set local ${name} = ${value};`)
    .join("\n");
}

/**
 * SQL that answers with what must be known first (version, process id of the session, whether the server is a standby),
 * in one message, and leaves nothing behind: behind a transaction pooler the next client to use this session would inherit whatever was set.
 */
export function greeting(): string {
  return `begin read only;
set local statement_timeout = 0;
set local search_path = pg_catalog, pg_temp;
select current_setting('server_version_num') as version, pg_backend_pid() as pid, pg_is_in_recovery() as standby;
commit`;
}

/**
 * SQL that pins the settings for the session, for a session that nobody else uses. `search_path` comes before the last
 * statement: an object in a schema ahead of pg_catalog could otherwise stand in for what that uses.
 */
export function sessionSettings(): string {
  const always = pinned.filter(([, , since]) => since === undefined);
  const later = [
    ...pinned.filter(([, , since]) => since !== undefined),
    ["idle_session_timeout", "0", 140000] as const,
  ];
  const version = "current_setting('server_version_num')::int";
  const settings = later.map(
    ([name, value, since]) => `case when ${version} >= ${since} then set_config('${name}', '${value}', false) end`,
  );
  return [...always.map(([name, value]) => `set ${name} = ${value};`), `select ${settings.join(", ")}`].join("\n");
}
