import type { Connection } from "../db/connection.ts";

/** What is asked of every node before anything else. */
export interface NodeFacts {
  readonly inRecovery: boolean;
  readonly role: string;
  readonly database: string;
  readonly databaseOid: string;
  /** Null where the role may not read it. */
  readonly systemIdentifier: string | null;
  /** To the microsecond; two servers do not share it. */
  readonly startedAt: string;
  readonly encoding: string;
  /** Provider, collation and ctype of the database, in words. */
  readonly locale: string;
  /** The version of the locale's data that the database was made with, and the one in use; null: not known. */
  readonly collationVersions: readonly [made: string, used: string] | null;
  readonly preparedTransactions: number;
  /** Whether Tandem's tables are there, and whether this role may read them. */
  readonly installed: "no" | "usable" | "barred";
}

const question = `
  select pg_is_in_recovery() as in_recovery, current_user as role, d.datname as database, d.oid as database_oid,
    extract(epoch from pg_postmaster_start_time())::text as started_at, pg_encoding_to_char(d.encoding) as encoding,
    d.datcollate as collate, d.datctype as ctype, to_jsonb(d) ->> 'datlocprovider' as provider,
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') as locale,
    to_jsonb(d) ->> 'datcollversion' as collation_version,
    current_setting('max_prepared_transactions') as prepared_transactions,
    coalesce((select case when has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') then 'usable' else 'barred' end
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'tandem' and c.relname = 'local_node'), 'no') as installed,
    has_function_privilege('pg_control_system()', 'execute') as may_identify
  from pg_database d where d.datname = current_database()`;

/** Columns that only later servers have are read through jsonb, so that one question fits all. */
export async function readFacts(tx: Connection): Promise<NodeFacts> {
  const [row = {}] = await tx.query(question);
  const text = (name: string) => row[name] ?? "";
  const provider = { i: "icu", b: "builtin" }[text("provider")] ?? "libc";
  const words = [provider, row.locale, `collate ${text("collate")}`, `ctype ${text("ctype")}`];
  return {
    inRecovery: row.in_recovery === "t",
    role: text("role"),
    database: text("database"),
    databaseOid: text("database_oid"),
    systemIdentifier: row.may_identify === "t" ? await systemIdentifier(tx) : null,
    startedAt: text("started_at"),
    encoding: text("encoding"),
    locale: words.filter(Boolean).join(" "),
    collationVersions: await collationVersions(tx, row.collation_version ?? null),
    preparedTransactions: Number(row.prepared_transactions),
    installed: text("installed") as NodeFacts["installed"],
  };
}

async function systemIdentifier(tx: Connection): Promise<string | null> {
  const [row] = await tx.query("select system_identifier::text as id from pg_control_system()");
  return row?.id ?? null;
}

async function collationVersions(tx: Connection, made: string | null): Promise<NodeFacts["collationVersions"]> {
  if (made === null || tx.serverVersion < 150000) return null;
  const [row] = await tx.query(
    "select pg_database_collation_actual_version(oid) as used from pg_database where datname = current_database()",
  );
  return row?.used ? [made, row.used] : null;
}
