import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, resolve, sep } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { TandemError } from "../base/errors.ts";
import { withRetry } from "../base/retry.ts";
import type { Clock } from "../base/time.ts";
import type { BackupConfig } from "../config/config.ts";
import { privateFile, privateFolder } from "./files.ts";
import type { BackupFolder } from "./folder.ts";
import { type Store, storeError } from "./store.ts";
import { openStore } from "./store-open.ts";
import { askStored } from "./store-refresh.ts";
import { storedName } from "./stored.ts";
import { WorkFolder } from "./work-folder.ts";

/** A backup as a folder with its files, as they were sealed. */
export interface OpenBackup extends AsyncDisposable {
  readonly path: string;
}

/** How a backup is opened. */
export interface OpenOptions {
  readonly clock: Clock;
  /** The copy in the store is meant, though there may be one here. */
  readonly fromStore?: boolean | undefined;
  /** The file of the private key; stronger than the configuration. */
  readonly identity?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((step: string) => void) | undefined;
}

const pausesMs = [1_000, 5_000];

/**
 * Gives a folder with the files of a backup: its own where it lies in the folder, else one that they were brought into from the store,
 * decrypted, and that goes when it is disposed of. What comes from the store is compared with what was brought there.
 */
export async function openBackup(
  config: BackupConfig,
  folder: BackupFolder,
  id: string,
  options: OpenOptions,
): Promise<OpenBackup> {
  const { fromStore = false, clock } = options;
  if (!fromStore && (await folder.ids()).includes(id))
    return { path: folder.backup(id), [Symbol.asyncDispose]: async () => {} };
  if (config.store === null) throw new TandemError("usage", "there is no store", { hint: "Set `backup.store`." });
  const store = await openStore(config.store);
  const work = await WorkFolder.take(folder, `${id}.${randomUUID()}`, clock);
  try {
    if (!work) throw new TandemError("internal", "a name of chance was taken");
    await download(store, id, work.path, { ...options, identity: options.identity ?? config.encrypt?.identity });
    return work;
  } catch (error) {
    await work?.[Symbol.asyncDispose]();
    throw error;
  } finally {
    store.close();
  }
}

type DownloadOptions = Omit<OpenOptions, "identity"> & { readonly identity: string | null | undefined };

async function download(store: Store, id: string, to: string, options: DownloadOptions): Promise<void> {
  const { clock, signal, onProgress } = options;
  const stored = await askStored(store, id, signal);
  const name = (path: string) => `${store.name}: ${id}/${path}`;
  if (stored?.id !== id) throw new TandemError("backup_damaged", `${name(storedName)} is missing or was changed`);
  const open = stored.encrypted ? await decrypter(options.identity ?? null) : (body: Readable) => body;
  for (const { path, bytes, sha256 } of stored.objects) {
    onProgress?.(name(path));
    const target = resolve(to, stored.encrypted ? path.replace(/\.age$/, "") : path);
    if (!target.startsWith(to + sep)) throw new TandemError("backup_damaged", `${name(path)} is no file of a backup`);
    await mkdir(dirname(target), { recursive: true, mode: privateFolder });
    const fetch = async () => {
      const body = await store.get(`${id}/${path}`, signal);
      if (body === null) throw new TandemError("backup_damaged", `${name(path)} is missing`);
      const digest = new Digest();
      try {
        const through = body.compose(digest.tap());
        await pipeline(await open(through, name(path)), createWriteStream(target, { mode: privateFile }), { signal });
      } catch (error) {
        // What was altered is told as that, whichever step has stumbled over it.
        if (digest.ended && !digest.is(bytes, sha256)) throw changed(name(path), digest.bytes, bytes);
        throw storeError(error, store.name, signal);
      }
      if (!digest.is(bytes, sha256)) throw changed(name(path), digest.bytes, bytes);
    };
    await withRetry(fetch, { clock, signal, delays: pausesMs });
  }
}

function changed(name: string, found: number, bytes: number): TandemError {
  const how = found === bytes ? "was changed" : `has ${found} bytes instead of ${bytes}`;
  return new TandemError("backup_damaged", `${name} ${how}`);
}

async function decrypter(identity: string | null): Promise<(body: Readable, name: string) => Promise<Readable>> {
  const { Identities } = await import("./encrypt.ts");
  const identities = await Identities.read(identity);
  return (body, name) => identities.decrypt(body, name);
}

class Digest {
  bytes = 0;
  ended = false;
  readonly #hash = createHash("sha256");
  #sum = "";

  tap(): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        this.#hash.update(chunk);
        this.bytes += chunk.length;
        done(null, chunk);
      },
      flush: (done) => {
        this.#sum = this.#hash.digest("hex");
        this.ended = true;
        done();
      },
    });
  }

  is(bytes: number, sha256: string): boolean {
    return this.ended && this.bytes === bytes && this.#sum === sha256;
  }
}
