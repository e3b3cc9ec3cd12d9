import { TandemError } from "../base/errors.ts";
import type { Connection, ExecResult } from "./connection.ts";

/**
 * Runs `body` in one transaction that `begin` opens (isolation level and access mode in so many words, since a role
 * may have other defaults; further statements may follow, whose answers the body gets). The body may use no other connection for what belongs
 * to the transaction. After a failure the first error is thrown, whatever the rollback meets.
 */
export async function inTransaction<T>(
  connection: Connection,
  begin: string,
  body: (tx: Connection, opened: readonly ExecResult[]) => Promise<T>,
): Promise<T> {
  try {
    const opened = await connection.exec(begin);
    const result = await body(connection, opened);
    const [answer] = await connection.exec("commit");
    // A body that swallowed an error leaves a failed transaction, and COMMIT of it is a rollback without error.
    if (answer?.command !== "COMMIT") {
      throw new TandemError("internal", `node ${connection.node}: a failed transaction was to be committed`, {
        node: connection.node,
      });
    }
    return result;
  } catch (error) {
    await rollBack(connection);
    throw error;
  }
}

/** Runs statements that begin and end a transaction themselves, in one message; after an error none stays open. */
export async function execWhole(connection: Connection, sql: string): Promise<ExecResult[]> {
  try {
    return await connection.exec(sql);
  } catch (error) {
    await rollBack(connection);
    throw error;
  }
}

/** A session whose rollback fails is in an unknown state; nobody may use it again. */
async function rollBack(connection: Connection): Promise<void> {
  if (connection.broken) return;
  try {
    await connection.exec("rollback");
  } catch {
    connection.destroy();
  }
}
