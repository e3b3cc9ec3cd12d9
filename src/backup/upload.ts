import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { TandemError } from "../base/errors.ts";
import { withRetry } from "../base/retry.ts";
import { type Clock, systemClock } from "../base/time.ts";
import type { BackupConfig, Config } from "../config/config.ts";
import { storageError, unlessMissing } from "./files.ts";
import { BackupFolder } from "./folder.ts";
import { type Manifest, type ManifestFile, manifestName, unsealManifest } from "./manifest.ts";
import { markUse } from "./owner.ts";
import { readProof } from "./records.ts";
import type { Store, StoredBytes } from "./store.ts";
import { openStore } from "./store-open.ts";
import { refreshStored } from "./store-refresh.ts";
import { noteStored, noteUpload, type Stored, sealStored, storedIds, storedName } from "./stored.ts";
import { WorkFolder } from "./work-folder.ts";

/** What `uploadBackups` may be told. */
export interface UploadOptions {
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told what is being sent. */
  readonly onProgress?: ((step: string) => void) | undefined;
}

/** What an upload came to. */
export interface UploadReport {
  readonly store: string;
  /** Names of the backups that were brought there. */
  readonly uploaded: readonly string[];
}

/** The name of the object that says how far a backup was proven. */
export const proofName = "proof.json";

const pausesMs = [1_000, 5_000, 15_000];
const askEveryMs = 500;

/** Good backups of the folder that are not in the store as far as the folder knows, the oldest first. */
export async function notStored(folder: BackupFolder): Promise<string[]> {
  const there = new Set(await storedIds(folder));
  const here = (await folder.ids()).filter((id) => !there.has(id));
  const good = await Promise.all(here.map(async (id) => (await readWhole(folder, id)) !== null));
  return here.filter((_, i) => good[i]);
}

/**
 * Brings every backup that is not in the store yet there, one process of the folder at a time. Whatever fails leaves the local copies as
 * they are and the store without a half backup that looks like one; it is on record, and thrown.
 */
export async function uploadBackups(config: Config, options: UploadOptions = {}): Promise<UploadReport> {
  const { clock = systemClock, signal } = options;
  if (config.backup.store === null)
    throw new TandemError("usage", "there is no store", { hint: "Set `backup.store` in tandem.yaml." });
  const folder = new BackupFolder(config.backup.dir);
  await using _lock = await takeTurn(folder, clock, signal);
  const uploaded: string[] = [];
  let store: Store | null = null;
  try {
    store = await openStore(config.backup.store);
    await refreshStored(folder, store, signal);
    for (const id of await notStored(folder)) {
      await using _use = await markUse(folder, id, "upload", clock);
      await new Upload(config.backup, folder, store, { ...options, clock }).run(id);
      uploaded.push(id);
    }
    await noteUpload(folder, null);
    return { store: store.name, uploaded };
  } catch (error) {
    const known = storageError(error, folder.path);
    if (!signal?.aborted) await note(folder, known, clock);
    throw known;
  } finally {
    store?.close();
  }
}

async function note(folder: BackupFolder, error: unknown, clock: Clock): Promise<void> {
  const { code, message } = error instanceof TandemError ? error : { code: "internal", message: String(error) };
  await noteUpload(folder, { at: new Date(clock.now()).toISOString(), code, message });
}

async function takeTurn(folder: BackupFolder, clock: Clock, signal: AbortSignal | undefined): Promise<WorkFolder> {
  for (;;) {
    const turn = await WorkFolder.take(folder, "upload", clock);
    if (turn) return turn;
    await clock.sleep(askEveryMs, signal);
  }
}

/** A sealed backup that was not found to be damaged; null for anything else. */
async function readWhole(folder: BackupFolder, id: string): Promise<{ manifest: Manifest; text: string } | null> {
  if ((await readProof(folder, id))?.damage != null) return null;
  const text = await readFile(join(folder.backup(id), manifestName), "utf8").catch(unlessMissing);
  if (text === null) return null;
  try {
    return { text, manifest: unsealManifest(text, id) };
  } catch {
    // `backup list` names it as damaged.
    return null;
  }
}

/** The bringing of one backup to the store: the manifest, the files, and last what makes it a backup there. */
class Upload {
  readonly #config: BackupConfig;
  readonly #folder: BackupFolder;
  readonly #store: Store;
  readonly #options: UploadOptions & { readonly clock: Clock };

  constructor(
    config: BackupConfig,
    folder: BackupFolder,
    store: Store,
    options: UploadOptions & { readonly clock: Clock },
  ) {
    this.#config = config;
    this.#folder = folder;
    this.#store = store;
    this.#options = options;
  }

  async run(id: string): Promise<void> {
    const found = await readWhole(this.#folder, id);
    if (!found) throw new TandemError("backup_damaged", `backup ${id} was changed while it was to be uploaded`);
    const { manifest, text } = found;
    const whole = { path: manifestName, ...digestOf(text) };
    // Nobody else uploads from this folder: what is there of it broke off.
    await this.#store.sweep(`${id}/`, Number.POSITIVE_INFINITY, this.#options.signal);
    const objects: Stored["objects"] = [];
    for (const file of [whole, ...manifest.files]) objects.push(await this.#send(id, file));
    const proof = await readProof(this.#folder, id);
    if (proof)
      await this.#put(`${id}/${proofName}`, () => Readable.from([Buffer.from(`${JSON.stringify(proof)}\n`)]), 0);
    const stored = storedOf(manifest, { manifest: whole.sha256, encrypted: this.#config.encrypt !== null, objects });
    await this.#put(`${id}/${storedName}`, () => Readable.from([Buffer.from(sealStored(stored))]), 0);
    await noteStored(this.#folder, stored);
  }

  async #send(id: string, file: ManifestFile): Promise<Stored["objects"][number]> {
    const { encrypt: recipe } = this.#config;
    const local = join(this.#folder.backup(id), file.path);
    this.#options.onProgress?.(`${id} ${file.path}`);
    if ((await stat(local).catch(unlessMissing)) === null)
      throw new TandemError("backup_damaged", `${local} is missing`);
    // Each step on the way may hold some chunks: with large ones that comes to many megabytes.
    const read = () => createReadStream(local, { highWaterMark: 1 << 16 }).compose(sealedBytes(file, local));
    if (recipe === null) return { path: file.path, ...(await this.#put(`${id}/${file.path}`, read, file.bytes)) };
    const { encrypt, encryptedEnding } = await import("./encrypt.ts");
    const path = `${file.path}${encryptedEnding}`;
    return { path, ...(await this.#put(`${id}/${path}`, () => encrypt(read(), recipe.recipients), file.bytes)) };
  }

  #put(key: string, open: () => Readable | Promise<Readable>, bytes: number): Promise<StoredBytes> {
    const { clock, signal } = this.#options;
    return withRetry(() => this.#store.put(key, open, { bytes, signal }), { clock, signal, delays: pausesMs });
  }
}

function digestOf(text: string): { bytes: number; sha256: string } {
  const bytes = Buffer.from(text);
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** Lets through what was sealed, and breaks off at the end where it is not that: what the disk has spoilt must not replace a good copy. */
function sealedBytes({ bytes, sha256 }: ManifestFile, path: string): Transform {
  const hash = createHash("sha256");
  let length = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      length += chunk.length;
      done(null, chunk);
    },
    flush(done) {
      const same = length === bytes && hash.digest("hex") === sha256;
      done(same ? null : new TandemError("backup_damaged", `${path} was changed`));
    },
  });
}

function storedOf(manifest: Manifest, rest: Pick<Stored, "manifest" | "encrypted" | "objects">): Stored {
  const { format, id, node, job, label, state, reason, startedAt, finishedAt, snapshot, warnings } = manifest;
  return {
    ...{ format, id, node, job, label, state, reason, startedAt, finishedAt, snapshot, warnings },
    tables: manifest.tables.length,
    rows: manifest.tables.reduce((sum, { rows }) => sum + rows, 0),
    bytes: manifest.files.reduce((sum, { bytes }) => sum + bytes, 0),
    leftOut: [...manifest.leftOut, ...manifest.notRestored.map(({ name, reason }) => ({ name, reason }))],
    ...rest,
  };
}
