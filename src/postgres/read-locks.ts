import { TandemError } from "../base/errors.ts";
import type { Connection } from "../db/connection.ts";
import { pinnedSettings } from "../db/session.ts";
import { sqlState } from "../db/sqlstate.ts";
import { execWhole } from "../db/transaction.ts";
import { step } from "./session.ts";

// Only LOCK and what takes no snapshot either: in a reading transaction these come before the one that everything is read in.

/** Somebody has a table that was to be locked without a wait, or is about to have it. */
export class TablesBusy extends Error {}

const lockTable = (relations: readonly string[]): string => `lock table ${relations.join(", ")} in access share mode`;

/** The statement that locks all for reading, or none and fails with 55P03. */
export function lockAtOnce(relations: readonly string[]): string {
  return relations.length === 0 ? "" : `${step("read-lock", `${lockTable(relations)} nowait`)};`;
}

/**
 * Waits in a transaction of its own until each has been free once, one after another, holding no other meanwhile: so nobody who wants one
 * of them waits for the rest. Throws `lock_timeout` where one is not free within `ms` milliseconds.
 */
export async function waitUntilFree(connection: Connection, relations: readonly string[], ms: number): Promise<void> {
  const each = relations.map((relation) => `${lockTable([relation])}; rollback to savepoint one;`).join("\n");
  const sql = `begin isolation level read committed read only;\n${pinnedSettings(connection.serverVersion)}
    set local lock_timeout = ${ms}; savepoint one;\n${each}\ncommit`;
  await execWhole(connection, step("read-lock", sql));
}

/** Locks all for reading, waiting `ms` milliseconds for all of them together; then throws `lock_timeout`. */
export async function lockWithin(connection: Connection, relations: readonly string[], ms: number): Promise<void> {
  const sql = `set local statement_timeout = ${ms}; ${lockTable(relations)}; set local statement_timeout = 0`;
  try {
    await connection.exec(step("read-lock", sql));
  } catch (error) {
    if (sqlState(error) !== "57014") throw error;
    const message = `node ${connection.node}: the tables of a batch were not to be locked together in ${ms} ms`;
    throw new TandemError("lock_timeout", message, { node: connection.node, cause: error });
  }
}
