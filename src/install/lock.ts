import type { Connection } from "../db/connection.ts";
import { pinnedSettings } from "../db/session.ts";
import { inTransaction } from "../db/transaction.ts";

/** The bytes of "tandem" as a number. Nothing else may take this advisory lock. */
export const installLock = "127961812723053";

/** How long any statement of the installation may wait for a lock on a table: for so long writers may queue behind it. */
export const lockTimeoutMs = 500;

/**
 * A transaction in which nobody else installs into, or uninstalls from, this database. The lock belongs to the
 * transaction, since one of the session would outlive it behind a transaction pooler. Waiting for it has no limit;
 * whatever waits afterwards, has.
 */
export function underInstallLock<T>(connection: Connection, body: (tx: Connection) => Promise<T>): Promise<T> {
  const begin = [
    "begin isolation level read committed read write;",
    pinnedSettings(connection.serverVersion),
    `select pg_advisory_xact_lock(${installLock});`,
    `set local lock_timeout = '${lockTimeoutMs}ms';`,
  ].join("\n");
  return inTransaction(connection, begin, body);
}
