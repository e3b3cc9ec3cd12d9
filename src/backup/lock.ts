import { TandemError } from "../base/errors.ts";
import type { Clock } from "../base/time.ts";
import type { NodeConfig } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import type { Connection } from "../db/connection.ts";
import { quoteLiteral } from "../db/quote.ts";
import { pinnedSettings } from "../db/session.ts";

/** What takes the lock, and whether it stands in line for it. */
export interface LockOptions {
  readonly purpose: "backup" | "restore";
  /** False: `backup_running` at once when another one has it. */
  readonly wait: boolean;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  readonly onWait?: ((holder: string) => void) | undefined;
}

// 'tand', 'bckp': advisory locks have no names. They belong to one database.
const lockKey = "1952542308, 1650680688";
const askEveryMs = 500;
// Who has just taken the lock has not said yet what for.
const unnamedTries = 4;

/**
 * The right to back up or restore a database, held by one process of all machines: a lock of a transaction, so that it
 * holds behind a transaction pooler too. Whoever loses the connection has lost the right.
 */
export class DatabaseLock implements AsyncDisposable {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Takes the lock, or throws `backup_running` with what its holder is called. */
  static async take(node: NodeConfig, { purpose, wait, clock, signal, onWait }: LockOptions): Promise<DatabaseLock> {
    const connection = await connect(node, purpose, { signal });
    try {
      await connection.exec(
        `begin isolation level read committed read only;\n${pinnedSettings(connection.serverVersion)}`,
      );
      for (let attempt = 1; ; attempt++) {
        const [row] = await connection.query(`select pg_try_advisory_xact_lock(${lockKey}) as taken`);
        if (row?.taken === "t") return new DatabaseLock(connection);
        const holder = await holderOf(connection);
        if (wait) onWait?.(holder ?? "another process");
        else if (holder !== null || attempt >= unnamedTries) {
          throw new TandemError("backup_running", `node ${node.name}: ${holder ?? "another process"} is at work`, {
            node: node.name,
          });
        }
        await clock.sleep(askEveryMs, signal);
      }
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Tells others what the lock is held for. */
  async name(what: string): Promise<void> {
    await this.#connection.exec(`set local application_name = ${quoteLiteral(`tandem/${what}`)}`);
  }

  /** Whether it was lost, as far as this side knows. */
  get lost(): boolean {
    return this.#connection.broken;
  }

  /** Throws when the lock is not held any more. */
  async assertHeld(): Promise<void> {
    await this.#connection.query("select 1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }
}

/** `backup 2025-…`; null while it has no name yet. */
async function holderOf(connection: Connection): Promise<string | null> {
  // A transaction goes on seeing the sessions as they were when it first asked.
  await connection.query("select pg_stat_clear_snapshot()");
  const [row] = await connection.query(`select a.application_name::text as name
    from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and (l.classid, l.objid) = (${lockKey})
      and l.database = (select oid from pg_database where datname = current_database())`);
  return /^tandem\/(\w+ \S.*)$/.exec(row?.name ?? "")?.[1] ?? null;
}
