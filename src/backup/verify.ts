import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { TandemError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { type Clock, systemClock } from "../base/time.ts";
import type { BackupConfig, Config } from "../config/config.ts";
import { readArchive } from "./archive.ts";
import { noteCatalogue } from "./catalogue.ts";
import { type ClientPrograms, choosePrograms } from "./client-programs.ts";
import { ContentHash, hashLines } from "./content-hash.ts";
import { compareCounts, countDump } from "./dump.ts";
import { digestFile, storageError, unlessMissing } from "./files.ts";
import { BackupFolder } from "./folder.ts";
import { listBackups } from "./list.ts";
import { readLines } from "./load-rows.ts";
import { dumpName, type Manifest, manifestName, readManifest } from "./manifest.ts";
import { openBackup } from "./open-backup.ts";
import { markUse } from "./owner.ts";
import { type Proof, readProof, writeProof } from "./records.ts";
import { resolveId } from "./resolve-id.ts";
import { openScratch } from "./scratch.ts";
import { openStore } from "./store-open.ts";
import { forgetStored, storedName } from "./stored.ts";
import { compareContent, restoreDump, restoreJson, type Trial } from "./try-restore.ts";

/** How far a backup can be proven. */
export type Level = Proof["level"];

/** What `verifyBackup` may be told. */
export interface VerifyBackupOptions {
  /** 3 unless given. */
  readonly level?: Level | undefined;
  readonly pgBin?: string | undefined;
  /** A server to make scratch databases on; stronger than the configuration. */
  readonly scratch?: string | undefined;
  /** The copy in the store is meant, though there may be one here. */
  readonly fromStore?: boolean | undefined;
  /** The file of the private key of an encrypted copy; stronger than the configuration. */
  readonly identity?: string | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told what is looked at. */
  readonly onProgress?: ((step: string) => void) | undefined;
}

/** How far a backup was proven. */
export interface BackupProof {
  readonly id: string;
  readonly asked: Level;
  /** Null: not even sealed. */
  readonly reached: Level | null;
  readonly at: string;
  /** Why it went no further; null when all that was asked for was reached. */
  readonly error: TandemError | null;
}

/**
 * Proves a backup, step by step up to the level asked for: 0 every byte is as it was sealed, 1 both formats can be read
 * to their ends and hold what the manifest says, 2 both can be restored into an empty database, 3 what was restored has
 * the content hashes of the manifest. What was reached is kept beside the backup; damage that is found is kept there too.
 */
export async function verifyBackup(
  config: Config,
  name: string,
  options: VerifyBackupOptions = {},
): Promise<BackupProof> {
  const { level: asked = 3, clock = systemClock, signal } = options;
  const folder = new BackupFolder(config.backup.dir);
  const id = await resolveId(config, name, { signal });
  await using _use = await markUse(folder, id, "verify", clock);
  let reached: Level | null = null;
  let error: TandemError | null = null;
  try {
    await using backup = await openBackup(config.backup, folder, id, { ...options, clock });
    const steps = new Steps(config, backup.path, options);
    const manifest = await checkSealed(backup.path, id, options);
    reached = 0;
    if (asked >= 1) await steps.readable(manifest);
    if (asked >= 1) reached = 1;
    if (asked >= 2) await steps.restored(manifest, asked === 3, () => (reached = 2));
    reached = asked;
  } catch (caught) {
    if (signal?.aborted) throw new TandemError("stopped", "the proof was stopped", { cause: caught });
    const reason = storageError(caught, folder.path);
    if (!(reason instanceof TandemError)) throw reason;
    // What could not be looked at has reached no level, and lost none.
    if (reached === null && reason.code !== "backup_damaged") throw reason;
    error = reason;
  }
  const at = new Date(clock.now()).toISOString();
  const before = await readProof(folder, id);
  const damaged = error?.code === "backup_damaged" ? error.message : null;
  if (damaged !== null && options.fromStore && (await folder.ids()).includes(id)) {
    await disown(config.backup, folder, id, signal);
    return { id, asked, reached, at, error };
  }
  // What was proven once stays proven, unless the backup was found to be another now.
  const kept = damaged === null && before && before.damage === null && before.level > (reached ?? 0) ? before : null;
  await writeProof(folder, id, kept ?? { level: reached ?? 0, at, damage: damaged });
  const { backups } = await listBackups(folder.path);
  const node = backups.find((one) => one.id === id)?.node;
  await noteCatalogue(config, node ? [node] : [], { logger: options.logger, signal });
  return { id, asked, reached, at, error };
}

/** The copy in the store is no backup any more; the one here is, and the next upload brings it there anew. */
async function disown(config: BackupConfig, folder: BackupFolder, id: string, signal?: AbortSignal): Promise<void> {
  await forgetStored(folder, id);
  if (config.store === null) return;
  const store = await openStore(config.store);
  try {
    await store.remove([`${id}/${storedName}`], signal);
  } finally {
    store.close();
  }
}

/** Programs that read the dump of a backup: a pg_restore reads dumps of its own version and older ones. */
export function programsFor({ program, server }: Manifest, folder: string | null): Promise<ClientPrograms> {
  const major = Math.max(Number(/(\d+)/.exec(program ?? "")?.[1] ?? 0), Math.floor(server.version / 10000));
  return choosePrograms(major, { folder, env: process.env });
}

/**
 * Level 0: the manifest is whole and that of this backup, and every file is, byte for byte, what was sealed; of those that are `needed` where that is
 * said, for what else may be damaged is no hindrance to a restore.
 */
export async function checkSealed(
  folder: string,
  id: string,
  { signal, onProgress }: Pick<VerifyBackupOptions, "signal" | "onProgress"> = {},
  needed: (manifest: Manifest) => readonly string[] = ({ files }) => files.map(({ path }) => path),
): Promise<Manifest> {
  const damaged = (path: string, how: string) => damage(folder, path, how);
  const manifest = await readManifest(folder);
  if (manifest.id !== id) throw damaged(manifestName, `is that of backup ${manifest.id}`);
  const paths = new Set(needed(manifest));
  for (const { path, bytes, sha256 } of manifest.files.filter((file) => paths.has(file.path))) {
    onProgress?.(path);
    const full = join(folder, path);
    if ((await stat(full).catch(unlessMissing)) === null) throw damaged(path, "is missing");
    const found = await digestFile(full, signal);
    if (found.bytes !== bytes) throw damaged(path, `has ${found.bytes} bytes instead of ${bytes}`);
    if (found.sha256 !== sha256) throw damaged(path, "was changed");
  }
  return manifest;
}

function damage(folder: string, path: string, how: string): TandemError {
  return new TandemError("backup_damaged", `${join(folder, path)} ${how}`);
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}

class Steps {
  readonly #config: Config;
  readonly #folder: string;
  readonly #options: VerifyBackupOptions;

  constructor(config: Config, folder: string, options: VerifyBackupOptions) {
    this.#config = config;
    this.#folder = folder;
    this.#options = options;
  }

  async readable(manifest: Manifest): Promise<void> {
    const { signal, onProgress } = this.#options;
    for (const { file, rows, hash } of manifest.tables) {
      onProgress?.(file);
      const content = new ContentHash();
      try {
        await pipeline([...readLines(this.#folder, file), hashLines(content), nowhere()], { signal });
      } catch (error) {
        throw this.#damaged(file, `cannot be read: ${(error as Error).message}`);
      }
      if (content.rows !== rows || content.hex() !== hash)
        throw this.#damaged(file, "holds other rows than the manifest says");
    }
    if (manifest.included !== null) await this.#archiveReadable(manifest.included);
    if (manifest.state === "degraded") return;
    onProgress?.(dumpName);
    const counts = await countDump(this.#folder, { programs: await this.#programs(manifest), signal }).catch(
      (error: unknown) => {
        // Its bytes are those that were sealed: a pg_restore that cannot read them says that it is no dump.
        if (error instanceof TandemError && error.code === "program_failed")
          throw this.#damaged(dumpName, `cannot be read: ${error.message}`);
        throw error;
      },
    );
    compareCounts(this.#folder, manifest.tables, counts);
  }

  async #archiveReadable({ file, entries }: NonNullable<Manifest["included"]>): Promise<void> {
    const { signal, onProgress } = this.#options;
    onProgress?.(file);
    const found = await readArchive(join(this.#folder, file), async () => {}, signal);
    if (found !== entries) throw this.#damaged(file, `holds ${found} entries instead of ${entries}`);
  }

  async restored(manifest: Manifest, compare: boolean, onRestored: () => void): Promise<void> {
    const { signal, onProgress } = this.#options;
    if (manifest.state === "degraded") {
      throw new TandemError(
        "no_client_program",
        `backup ${manifest.id} has no dump, and so no definitions to restore into an empty database`,
      );
    }
    const programs = await this.#programs(manifest);
    await using scratch = await openScratch(manifest, this.#options.scratch ?? this.#config.backup.scratch, signal);
    const trial = { folder: this.#folder, manifest, programs, signal };
    const ofFormat = async (format: string): Promise<Trial> => ({
      ...trial,
      url: await scratch.makeDatabase(),
      onTable: (table) => onProgress?.(`${format}: ${table}`),
    });
    const dump = await ofFormat(dumpName);
    onProgress?.(`${dumpName}: restore`);
    await restoreDump(dump);
    const json = await ofFormat("json");
    await restoreJson(json);
    onRestored();
    if (!compare) return;
    await compareContent(dump, dumpName);
    await compareContent(json, "json");
  }

  #programs(manifest: Manifest): Promise<ClientPrograms> {
    return programsFor(manifest, this.#options.pgBin ?? this.#config.backup.pgBin);
  }

  #damaged(path: string, how: string): TandemError {
    return damage(this.#folder, path, how);
  }
}
