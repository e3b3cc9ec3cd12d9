import type { Readable } from "node:stream";
import { TandemError } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { type Clock, systemClock } from "../base/time.ts";
import type { Config, NodeConfig } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import type { Connection } from "../db/connection.ts";
import { pinnedSettings } from "../db/session.ts";
import { inTransaction } from "../db/transaction.ts";
import { readInventory } from "./catalog.ts";
import { createBackup } from "./create.ts";
import { BackupFolder } from "./folder.ts";
import { readLines } from "./load-rows.ts";
import { DatabaseLock } from "./lock.ts";
import { dumpName, type Manifest, type ManifestTable } from "./manifest.ts";
import { openBackup } from "./open-backup.ts";
import { orderOf } from "./order.ts";
import { markUse } from "./owner.ts";
import { resolveId } from "./resolve-id.ts";
import { chooseTables, fitTables, type RestoreTable } from "./restore-choice.ts";
import { type MovedSequence, moveSequences } from "./restore-sequences.ts";
import type { RestoreMode } from "./restore-sql.ts";
import { type RestoredTable, RestoreWork, unchangedTable } from "./restore-work.ts";
import { safetyLabel } from "./retention.ts";
import { copyLines, linesQuery } from "./rows.ts";
import { openScratch } from "./scratch.ts";
import { qualified } from "./snapshot.ts";
import { hashSettings, holdsTable } from "./table-content.ts";
import { switchOff, switchOn } from "./triggers.ts";
import { restoreDump } from "./try-restore.ts";
import { checkSealed, programsFor } from "./verify.ts";

/** What `restoreBackup` may be told. */
export interface RestoreOptions {
  readonly mode: RestoreMode;
  /** Where to; the node that was backed up, unless given. */
  readonly node?: string | undefined;
  /** Names or patterns, `perfis`, `crm.*`; all tables of the backup unless given. */
  readonly tables?: readonly string[] | undefined;
  /** Only look what would be done. */
  readonly dryRun?: boolean | undefined;
  /** The rows stay on this node; its peers keep theirs, and differ from it. */
  readonly localOnly?: boolean | undefined;
  /** Which half the rows are taken from; the JSON half unless given. */
  readonly from?: "json" | "dump" | undefined;
  readonly pgBin?: string | undefined;
  /** The copy in the store is meant, though there may be one here. */
  readonly fromStore?: boolean | undefined;
  /** The file of the private key of an encrypted copy; stronger than the configuration. */
  readonly identity?: string | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told what is being done. */
  readonly onProgress?: ((step: string) => void) | undefined;
}

/** What a restore did, or would do. */
export interface BackupRestoreReport {
  readonly id: string;
  readonly node: string;
  readonly mode: RestoreMode;
  readonly dryRun: boolean;
  readonly localOnly: boolean;
  /** The backup that was made before anything was changed; null in a dry run, and where nothing was to be changed. */
  readonly safety: string | null;
  readonly tables: readonly RestoredTable[];
  readonly sequences: readonly MovedSequence[];
}

// Who writes to a table holds it for as long as his transaction lasts.
const lockWaitMs = 30_000;

/**
 * Puts the rows of a backup back into tables that are there, in one transaction: when it throws, nothing was changed.
 * The rows are captured as changes of this node, made now, and travel to its peers; with `localOnly` they are not.
 */
export async function restoreBackup(
  config: Config,
  name: string,
  options: RestoreOptions,
): Promise<BackupRestoreReport> {
  const { clock = systemClock, logger = silentLogger, signal, mode, dryRun = false, localOnly = false } = options;
  const folder = new BackupFolder(config.backup.dir);
  const id = await resolveId(config, name, options);
  await using _use = await markUse(folder, id, "restore", clock);
  await using backup = await openBackup(config.backup, folder, id, { ...options, clock });
  const needed = (of: Manifest) =>
    options.from === "dump" ? [dumpName] : chooseTables(of, options.tables).map(({ file }) => file);
  const manifest = await checkSealed(backup.path, id, options, needed);
  const { node } = orderOf(config, { node: options.node ?? manifest.node });
  const tables = chooseTables(manifest, options.tables);
  await using connection = await connect(node, `restore ${id}`, { signal });
  const stop = () => connection.destroy(new TandemError("stopped", "the restore was stopped"));
  signal?.addEventListener("abort", stop, { once: true });
  try {
    // Before the safety backup, which may take long: what does not fit now will not fit then.
    const fitted = fitTables(tables, (await readInventory(connection)).tables);
    const same = await tablesThatHold(connection, fitted, options);
    const report = { id, node: node.name, mode, dryRun, localOnly };
    if (same.size === tables.length) {
      const sequences = dryRun
        ? []
        : await onlySequences(connection, { manifest, whole: options.tables === undefined, fitted });
      return { ...report, safety: null, tables: tables.map(unchangedTable), sequences };
    }
    const safety = dryRun ? null : await makeSafety(config, node, { ...options, clock, logger });
    await using lock = dryRun
      ? null
      : await DatabaseLock.take(node, { purpose: "restore", wait: false, clock, signal });
    await lock?.name(`restore ${id}`);
    await using lines = await openLines(config, backup.path, manifest, options);
    const whole = options.tables === undefined;
    const put = (tx: Connection) =>
      putBack(tx, { manifest, tables, mode, dryRun, localOnly, whole, same, lines, options });
    const done = await transaction(connection, `${dryRun ? "repeatable read" : "read committed"} read write`, put);
    if (!dryRun) await analyze(connection, done.tables);
    return { ...report, safety, ...done };
  } catch (error) {
    if (signal?.aborted)
      throw new TandemError("stopped", "the restore was stopped, nothing was changed", { cause: error });
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/**
 * Tables that are as in the backup already, at one moment: for these nothing has to be brought to the server. Where all are, nothing is
 * written, and there is nothing to be kept safe.
 */
async function tablesThatHold(
  connection: Connection,
  fitted: readonly RestoreTable[],
  { onProgress }: RestoreOptions,
): Promise<ReadonlySet<ManifestTable>> {
  const same = new Set<ManifestTable>();
  await transaction(connection, "repeatable read read only", async (tx) => {
    for (const { table, partitioned } of fitted) {
      onProgress?.(`${table.schema}.${table.name} as it is now`);
      if (await holdsTable(tx, table, partitioned)) same.add(table);
    }
  });
  return same;
}

function onlySequences(
  connection: Connection,
  { manifest, whole, fitted }: Pick<Task, "manifest" | "whole"> & { readonly fitted: readonly RestoreTable[] },
): Promise<MovedSequence[]> {
  return transaction(connection, "read committed read write", (tx) => moveSequences(tx, manifest, fitted, whole));
}

async function makeSafety(
  config: Config,
  node: NodeConfig,
  { clock, logger, signal, pgBin, onProgress }: RestoreOptions,
): Promise<string> {
  onProgress?.("backup of what is there now");
  const made = await createBackup(config, {
    node: node.name,
    label: safetyLabel,
    wait: true,
    pgBin,
    clock,
    logger,
    signal,
  });
  return made.id;
}

function transaction<T>(connection: Connection, mode: string, body: (tx: Connection) => Promise<T>): Promise<T> {
  const begin = `begin isolation level ${mode};
${pinnedSettings(connection.serverVersion)}
set local lock_timeout = ${lockWaitMs};
${hashSettings(connection.serverVersion)}`;
  return inTransaction(connection, begin, body);
}

interface Task extends Required<Pick<RestoreOptions, "mode" | "dryRun" | "localOnly">> {
  readonly manifest: Manifest;
  readonly tables: readonly ManifestTable[];
  /** Those that were as in the backup a moment ago. */
  readonly same: ReadonlySet<ManifestTable>;
  /** All tables of the backup, and so all its sequences. */
  readonly whole: boolean;
  readonly lines: Lines;
  readonly options: RestoreOptions;
}

async function putBack(tx: Connection, task: Task): Promise<Pick<BackupRestoreReport, "tables" | "sequences">> {
  const { mode, dryRun, options } = task;
  // Writers wait, the appliers of the links among them; readers do not.
  if (!dryRun && task.tables.length > 0) {
    await tx.exec(`lock table ${task.tables.map(qualified).join(", ")} in share row exclusive mode`);
  }
  const fitted = fitTables(task.tables, (await readInventory(tx)).tables);
  const work = new RestoreWork(tx, fitted, mode, options.signal);
  for (const stage of work.stages) {
    if (task.same.has(stage.table) && (await work.isSame(stage))) continue;
    options.onProgress?.(`${stage.table.schema}.${stage.table.name}`);
    await work.stage(stage, task.lines.of(stage.table));
  }
  await work.compare();
  await work.check();
  if (dryRun) return { tables: work.report(), sequences: [] };
  if (work.changed.length > 0) {
    const tables = fitted.map(({ oid }) => oid);
    const triggers = await switchOff(tx, tables, task.localOnly);
    await work.apply();
    await work.confirm();
    await switchOn(tx, triggers);
  }
  // Last, for sequences do not take part in a rollback; ahead of their place they do no harm.
  const sequences = await moveSequences(tx, task.manifest, fitted, task.whole);
  return { tables: work.report(), sequences };
}

/** The planner must not go by what a table was before. */
async function analyze(connection: Connection, tables: readonly RestoredTable[]): Promise<void> {
  for (const table of tables.filter(({ inserted, updated, deleted }) => inserted + updated + deleted > 0)) {
    await connection.exec(`analyze ${qualified(table)}`);
  }
}

/** Where lines come from. */
interface Lines extends AsyncDisposable {
  of(table: ManifestTable): readonly [Readable, ...NodeJS.ReadWriteStream[]];
}

async function openLines(config: Config, path: string, manifest: Manifest, options: RestoreOptions): Promise<Lines> {
  if (options.from !== "dump")
    return { of: ({ file }) => readLines(path, file), [Symbol.asyncDispose]: async () => {} };
  if (manifest.state === "degraded") throw new TandemError("no_client_program", `backup ${manifest.id} has no dump`);
  const { signal } = options;
  const programs = await programsFor(manifest, options.pgBin ?? config.backup.pgBin);
  const scratch = await openScratch(manifest, config.backup.scratch, signal);
  try {
    const url = await scratch.makeDatabase();
    await restoreDump({ folder: path, manifest, programs, url, signal });
    const connection = await connect({ name: "scratch", url }, "scratch", { signal });
    return {
      of: (table) => [connection.copyOut(copyLines(linesQuery({ ...table, partitioned: table.leaves.length > 0 })))],
      [Symbol.asyncDispose]: async () => {
        await connection.close();
        await scratch[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}
