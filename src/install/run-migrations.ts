import { type RunnerOption, runner } from "node-pg-migrate";
import { TandemError } from "../base/errors.ts";
import type { Connection, ExecResult } from "../db/connection.ts";
import { migrationsFolder } from "./package-files.ts";

const silent = { info() {}, warn() {}, error() {} };

const savepoint = "node_pg_migrate";
const asSavepoint: Readonly<Record<string, string>> = {
  BEGIN: `savepoint ${savepoint}`,
  COMMIT: `release savepoint ${savepoint}`,
  ROLLBACK: `rollback to savepoint ${savepoint}`,
};

/**
 * Has node-pg-migrate run what has not been run yet, inside the caller's transaction and lock: its own transaction
 * becomes a savepoint. Without `schema` it leaves search_path alone; `noLock`, because its lock is one of the session.
 * Returns the names.
 */
export async function runMigrations(tx: Connection): Promise<string[]> {
  let first: unknown;
  const query = async (text: string): Promise<ExecResult> => {
    try {
      const results = await tx.exec(asSavepoint[text] ?? text);
      return results.at(-1) as ExecResult;
    } catch (error) {
      first ??= error;
      throw error;
    }
  };
  const [schema] = await tx.query("select to_regnamespace('tandem') as tandem");
  try {
    const done = await runner({
      dbClient: { query } as unknown as Extract<RunnerOption, { dbClient: unknown }>["dbClient"],
      dir: migrationsFolder,
      ignorePattern: "(?!.*\\.sql$).*",
      direction: "up",
      migrationsSchema: "tandem",
      migrationsTable: "migrations",
      // "if not exists" asks for the right to create even where the schema is there.
      createMigrationsSchema: schema?.tandem === null,
      singleTransaction: true,
      noLock: true,
      logger: silent,
    });
    return done.map(({ name }) => name);
  } catch (error) {
    // What the server said comes first. Without it the runner found that its table and the files do not fit together.
    if (first !== undefined) throw first;
    const reason = error instanceof Error ? error.message : String(error);
    throw new TandemError("install_changed", `node ${tx.node}: ${reason}`, { cause: error, node: tx.node });
  }
}

/** What node-pg-migrate's table is, for people and for the lint of the catalog. */
export const commentOnMigrations =
  "comment on table tandem.migrations is 'Tandem''s migrations that were applied here, as node-pg-migrate keeps them.'";
