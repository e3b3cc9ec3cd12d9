import { TandemError } from "../base/errors.ts";
import { type Clock, systemClock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import { quoteIdent, quoteLiteral } from "../db/quote.ts";
import { analyzeDatabase } from "./analyze.ts";
import { BackupFolder } from "./folder.ts";
import { dumpName } from "./manifest.ts";
import { openBackup } from "./open-backup.ts";
import { orderOf } from "./order.ts";
import { markUse } from "./owner.ts";
import { readProof } from "./records.ts";
import { resolveId } from "./resolve-id.ts";
import { withDatabase } from "./scratch.ts";
import { compareContent, compareRowCounts, restoreDump } from "./try-restore.ts";
import { checkSealed, programsFor } from "./verify.ts";

/** What `restoreNewDatabase` may be told. */
export interface NewDatabaseOptions {
  /** On whose server; that of the node that was backed up, unless given. */
  readonly node?: string | undefined;
  readonly pgBin?: string | undefined;
  /** The copy in the store is meant, though there may be one here. */
  readonly fromStore?: boolean | undefined;
  /** The file of the private key of an encrypted copy; stronger than the configuration. */
  readonly identity?: string | undefined;
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told what is being done. */
  readonly onProgress?: ((step: string) => void) | undefined;
}

/** A database that was made of a backup. */
export interface NewDatabase {
  readonly id: string;
  readonly node: string;
  readonly database: string;
  readonly tables: number;
  readonly rows: number;
}

/**
 * Makes a database on a node's server and restores definitions and rows from the dump into it, owned by the role of the URL. Its content
 * is compared with the manifest, the numbers of rows where the backup was proven to level 3; what does not come out right is dropped again.
 */
export async function restoreNewDatabase(
  config: Config,
  name: string,
  database: string,
  options: NewDatabaseOptions = {},
): Promise<NewDatabase> {
  const { clock = systemClock, signal } = options;
  const folder = new BackupFolder(config.backup.dir);
  const id = await resolveId(config, name, { signal });
  await using _use = await markUse(folder, id, "restore", clock);
  await using backup = await openBackup(config.backup, folder, id, { ...options, clock });
  const manifest = await checkSealed(backup.path, id, options, () => [dumpName]);
  if (manifest.state === "degraded") {
    throw new TandemError("no_client_program", `backup ${id} has no dump, and so no definitions for a new database`);
  }
  const { node } = orderOf(config, { node: options.node ?? manifest.node });
  const programs = await programsFor(manifest, options.pgBin ?? config.backup.pgBin);
  await using connection = await connect(node, `restore ${id}`, { signal });
  const [taken] = await connection.query("select from pg_database where datname = $1", [database]);
  if (taken) throw new TandemError("usage", `the server of node ${node.name} has a database ${database} already`);
  await connection
    .exec(
      `create database ${quoteIdent(database)} template template0 encoding ${quoteLiteral(manifest.server.encoding)}`,
    )
    .catch((error: unknown) => {
      throw mayNotCreate(error, node.name);
    });
  try {
    const trial = { folder: backup.path, manifest, programs, url: withDatabase(node.url, database), signal };
    await restoreDump(trial);
    // Its bytes are those that came out right, value by value, when it was proven.
    const proof = await readProof(folder, id);
    const proven = proof?.level === 3 && proof.damage === null;
    await (proven ? compareRowCounts : compareContent)({ ...trial, onTable: options.onProgress }, "the dump");
    options.onProgress?.("statistics");
    await analyzeDatabase({ name: node.name, url: trial.url }, `restore ${id}`, signal);
  } catch (error) {
    await connection.exec(`drop database if exists ${quoteIdent(database)} with (force)`);
    throw error;
  }
  const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
  return { id, node: node.name, database, tables: manifest.tables.length, rows };
}

/** Who owns all tables may still lack this right: the usual remedy would send people the wrong way. */
function mayNotCreate(error: unknown, node: string): unknown {
  if (!(error instanceof TandemError) || error.code !== "permission_denied") return error;
  const hint =
    "The role of the URL must be allowed to create databases (alter role … createdb); --node names another server.";
  return new TandemError(error.code, error.message, { cause: error, node, hint });
}
