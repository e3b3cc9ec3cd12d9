import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { errorLine, TandemError } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { type Clock, systemClock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import { toTandemError } from "../db/sqlstate.ts";
import { noteCatalogue } from "./catalogue.ts";
import { type ClientPrograms, choosePrograms } from "./client-programs.ts";
import { compareCounts, type MadeDump, makeDump } from "./dump.ts";
import { digestFile, makeFolder, storageError } from "./files.ts";
import { BackupFolder } from "./folder.ts";
import { type Included, writeIncluded } from "./include.ts";
import { type BackupEntry, listBackups } from "./list.ts";
import { DatabaseLock } from "./lock.ts";
import { collectLeftovers, Making } from "./making.ts";
import type { Manifest, ManifestFile, ManifestTable } from "./manifest.ts";
import { type Order, orderOf } from "./order.ts";
import { writeFailure, writeProof } from "./records.ts";
import { rowFiles } from "./row-files.ts";
import { writeRows } from "./rows.ts";
import { openSnapshot, type Snapshot } from "./snapshot.ts";

/** How a backup gets on. */
export type BackupEvent =
  | { readonly kind: "waiting"; readonly holder: string }
  | {
      readonly kind: "rows";
      readonly table: string;
      readonly rows: number;
      readonly total: number;
      readonly done: boolean;
    }
  | { readonly kind: "dump"; readonly step: "written" | "checked"; readonly bytes: number };

/** What `createBackup` may be told. */
export interface CreateOptions {
  /** A job of the configuration; the only one, unless given. */
  readonly job?: string | undefined;
  /** A node, for a backup that belongs to no job. */
  readonly node?: string | undefined;
  readonly label?: string | undefined;
  /** Fail rather than make a backup without a dump. */
  readonly requireDump?: boolean | undefined;
  /** Stand in line while another backup of the node is made. */
  readonly wait?: boolean | undefined;
  /** The folder of pg_dump; stronger than the configuration. */
  readonly pgBin?: string | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((event: BackupEvent) => void) | undefined;
}

/**
 * Makes one backup: both formats from one moment of the database, checked against each other, sealed. When it throws
 * there is no backup, what was written is gone, the failure is on record, and the earlier ones are as they were.
 */
export async function createBackup(config: Config, options: CreateOptions = {}): Promise<BackupEntry> {
  const { clock = systemClock, logger = silentLogger, signal, onProgress = () => {} } = options;
  const order = orderOf(config, options);
  const folder = new BackupFolder(config.backup.dir);
  const startedAt = new Date(clock.now()).toISOString();
  let id = await folder.nextId(clock);
  try {
    await makeFolder(folder.path);
    await collectLeftovers(folder, clock, logger);
    await using lock = await DatabaseLock.take(order.node, {
      purpose: "backup",
      wait: options.wait ?? false,
      clock,
      signal,
      onWait: (holder) => onProgress({ kind: "waiting", holder }),
    });
    await using making = await Making.begin(folder, clock);
    id = making.id;
    await lock.name(`backup ${id}`);
    await new Work(config, order, making, { ...options, clock, onProgress }).run(lock, folder);
  } catch (error) {
    const known = toTandemError(storageError(error, folder.path), order.node.name);
    if (known.code !== "backup_running") {
      const failedAt = new Date(clock.now()).toISOString();
      const { code, message } = known;
      await writeFailure(folder, {
        id,
        what: "backup",
        node: order.node.name,
        job: order.job?.name ?? null,
        startedAt,
        failedAt,
        code,
        message,
      }).catch(
        // Where the disk is full this fails as well; the error of the backup itself is the one to tell.
        (reason: unknown) => logger.error({ backup: id }, `the failure cannot be noted: ${errorLine(reason)}`),
      );
    }
    throw known;
  }
  const { backups } = await listBackups(folder.path);
  const made = backups.find((entry) => entry.id === id);
  if (!made) throw new TandemError("internal", `backup ${id} was sealed and is not there`);
  await noteCatalogue(config, [order.node.name], { logger, signal });
  return made;
}

type WorkOptions = CreateOptions & Required<Pick<CreateOptions, "clock" | "onProgress">>;

/** The making of one backup. */
class Work {
  readonly #config: Config;
  readonly #order: Order;
  readonly #making: Making;
  readonly #options: WorkOptions;
  readonly #startedAt: string;

  constructor(config: Config, order: Order, making: Making, options: WorkOptions) {
    this.#config = config;
    this.#order = order;
    this.#making = making;
    this.#options = options;
    this.#startedAt = new Date(options.clock.now()).toISOString();
  }

  async run(lock: DatabaseLock, folder: BackupFolder): Promise<void> {
    const { signal, clock, onProgress } = this.#options;
    await this.#checkSpace(folder);
    await using connection = await connect(this.#order.node, `backup ${this.#making.id} rows`, { signal });
    const { programs, reason } = await this.#programs(connection.serverVersion);
    // Whichever half fails ends the other, and so does the loss of the lock.
    const failed = new AbortController();
    const stop = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
    stop.addEventListener("abort", () => connection.destroy(new TandemError("stopped", "the backup was stopped")), {
      once: true,
    });
    const watch = setInterval(() => {
      if (lock.lost) failed.abort(new TandemError("connection_lost", "the connection that holds the lock was lost"));
    }, 200);
    try {
      const snapshot = await openSnapshot(connection);
      const halves = [
        this.#writeRows(snapshot, stop),
        programs ? this.#makeDump(snapshot, programs, stop) : null,
      ] as const;
      for (const half of halves) half?.catch((error: unknown) => failed.abort(error));
      const [rows, dump] = await Promise.allSettled(halves);
      if (signal?.aborted) throw new TandemError("stopped", "the backup was stopped", { cause: signal.reason });
      const failure = firstFailure(failed, [rows, dump]);
      if (failure !== null || rows.status === "rejected" || dump.status === "rejected") throw failure;
      // Later than the snapshot: a file that one of its rows names is written before that row.
      const beside = await this.#include(stop);
      // A snapshot whose holder died guarded nothing from then on.
      await connection.exec("commit");
      const written = rows.value;
      if (dump.value) {
        compareCounts(this.#making.path, written.tables, dump.value.counts);
        onProgress({ kind: "dump", step: "checked", bytes: dump.value.file.bytes });
      }
      await this.#checkFiles([...written.files, ...(beside ? [beside.file] : [])], stop);
      await lock.assertHeld();
      const manifest = this.#manifest(snapshot, written, {
        reason,
        program: programs?.version ?? null,
        files: [...(dump.value ? [dump.value.file] : []), ...(beside ? [beside.file] : [])],
        warnings: [...(dump.value?.warnings ?? []), ...(beside?.warnings ?? [])],
        leftOut: [...snapshot.inventory.leftOut, ...(beside?.leftOut ?? [])],
        included: beside?.included ?? null,
      });
      await this.#making.seal(manifest, ["json"]);
    } finally {
      clearInterval(watch);
    }
    // Both formats were read back to their ends just now.
    await writeProof(folder, this.#making.id, { level: 1, at: new Date(clock.now()).toISOString(), damage: null });
  }

  async #programs(serverVersion: number): Promise<{ programs: ClientPrograms | null; reason: string | null }> {
    const folder = this.#options.pgBin ?? this.#config.backup.pgBin;
    try {
      const programs = await choosePrograms(Math.floor(serverVersion / 10000), { folder, env: process.env });
      return { programs, reason: null };
    } catch (error) {
      if (this.#options.requireDump || !(error instanceof TandemError)) throw error;
      return { programs: null, reason: error.message };
    }
  }

  async #checkSpace(folder: BackupFolder): Promise<void> {
    const { backups } = await listBackups(folder.path);
    const last = backups.findLast(({ node, state }) => node === this.#order.node.name && state !== "damaged");
    const needed = Math.max(16 * 2 ** 20, (last?.bytes ?? 0) * 1.2);
    const { bavail, bsize } = await statfs(folder.path);
    if (bavail * bsize >= needed) return;
    const megabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20).toLocaleString("en")} MB`;
    throw new TandemError(
      "backup_storage",
      `${folder.path} has ${megabytes(bavail * bsize)} free, and a backup will need about ${megabytes(needed)}`,
    );
  }

  async #writeRows(
    snapshot: Snapshot,
    signal: AbortSignal,
  ): Promise<{ tables: ManifestTable[]; files: ManifestFile[] }> {
    const { compress } = this.#config.backup;
    const { tables: sources } = snapshot.inventory;
    const tables: ManifestTable[] = [];
    const files: ManifestFile[] = [];
    await makeFolder(join(this.#making.path, "json"));
    for (const [i, path] of rowFiles(sources, compress).entries()) {
      const source = sources[i];
      if (!source) continue;
      if (signal.aborted) throw new TandemError("stopped", "the backup was stopped", { cause: signal.reason });
      const name = `${source.schema}.${source.name}`;
      const tell = (rows: number, done: boolean) =>
        this.#options.onProgress({ kind: "rows", table: name, rows, total: Math.max(source.estimate, rows), done });
      const written = await writeRows(snapshot.connection, source, {
        folder: this.#making.path,
        path,
        compress,
        onRows: (rows) => tell(rows, false),
      });
      tell(written.table.rows, true);
      tables.push(written.table);
      files.push(written.file);
    }
    return { tables, files };
  }

  #makeDump(snapshot: Snapshot, programs: ClientPrograms, signal: AbortSignal): Promise<MadeDump> {
    const onWritten = (bytes: number) => this.#options.onProgress({ kind: "dump", step: "written", bytes });
    return makeDump(this.#order.node, snapshot, { programs, folder: this.#making.path, signal, onWritten });
  }

  async #include(signal: AbortSignal): Promise<Included | null> {
    const { include, includeRoot: root, includeSecrets: secrets, dir: except } = this.#config.backup;
    const paths = this.#order.job?.include ?? include;
    return paths.length === 0 ? null : await writeIncluded(this.#making.path, { root, paths, secrets, except, signal });
  }

  /** What was hashed on its way to the disk is compared with what the disk gives back. */
  async #checkFiles(files: readonly ManifestFile[], signal: AbortSignal): Promise<void> {
    for (const { path, sha256 } of files) {
      const found = await digestFile(join(this.#making.path, path), signal);
      if (found.sha256 !== sha256)
        throw new TandemError("backup_storage", `the disk gives back other bytes of ${path} than were written`);
    }
  }

  #manifest(
    { facts }: Snapshot,
    written: { readonly tables: ManifestTable[]; readonly files: ManifestFile[] },
    rest: Pick<Manifest, "reason" | "program" | "files" | "warnings" | "leftOut" | "included">,
  ): Manifest {
    return {
      format: 1,
      id: this.#making.id,
      node: this.#order.node.name,
      job: this.#order.job?.name ?? null,
      label: this.#options.label ?? null,
      state: rest.reason === null ? "complete" : "degraded",
      reason: rest.reason,
      startedAt: this.#startedAt,
      finishedAt: new Date(this.#options.clock.now()).toISOString(),
      ...facts,
      program: rest.program,
      tables: written.tables,
      leftOut: rest.leftOut,
      warnings: rest.warnings,
      included: rest.included,
      files: [...rest.files, ...written.files],
    };
  }
}

/** The failure that came first; the other half only followed it. */
function firstFailure(failed: AbortController, halves: readonly PromiseSettledResult<unknown>[]): unknown {
  if (failed.signal.aborted) return failed.signal.reason;
  return halves.find((half) => half.status === "rejected")?.reason ?? null;
}
