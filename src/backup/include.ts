import { createHash } from "node:crypto";
import { type EventEmitter, once } from "node:events";
import type { Stats } from "node:fs";
import { constants, lstat, open, readdir, readlink, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { Transform, type TransformCallback } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type Pack, pack } from "tar-stream";
import { TandemError } from "../base/errors.ts";
import { privateFile, unlessMissing } from "./files.ts";
import type { Manifest, ManifestFile } from "./manifest.ts";

/** The name, within a backup, of what lies beside the database. */
export const includedName = "files.tar.gz";

/** What of the folders beside the database goes into a backup. */
export interface IncludeOptions {
  /** The folder that the paths are relative to, and that they come back to. */
  readonly root: string;
  readonly paths: readonly string[];
  /** Whether files go in that are there to hold secrets. */
  readonly secrets: boolean;
  /** A folder that is never gone into: that of the backups. */
  readonly except: string;
  readonly signal?: AbortSignal | undefined;
}

/** What became of it. */
export interface Included {
  readonly file: ManifestFile;
  readonly included: NonNullable<Manifest["included"]>;
  readonly leftOut: Manifest["leftOut"];
  readonly warnings: string[];
}

const secretName =
  /^(\.env(\..+)?|.+\.env|\.pgpass|\.netrc|\.npmrc|id_(rsa|dsa|ecdsa|ed25519)|.+\.(pem|key|p12|pfx))$/i;
const exampleName = /\.(example|sample|template|dist)$/i;
const gzipLevel = 3;
const chunkBytes = 1 << 18;

/**
 * Packs files and folders into `files.tar.gz` of a backup. What is gone by the time it is read was deleted; what cannot be read is an error, never
 * silence; what is no file, folder or link, has a name that is no text, or holds secrets is left out by name. Links are kept, not followed.
 */
export async function writeIncluded(folder: string, options: IncludeOptions): Promise<Included> {
  const archive = new Archive(options);
  const hash = createHash("sha256");
  let bytes = 0;
  const seen = new Transform({
    transform(chunk: Buffer, _, done: TransformCallback) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  const handle = await open(join(folder, includedName), "wx", privateFile);
  const out = handle.createWriteStream({ flush: true });
  const written = pipeline(archive.tar, createGzip({ level: gzipLevel }), seen, out, { signal: options.signal });
  const packed = archive.fill().catch((error: unknown) => {
    archive.tar.destroy(error as Error);
    throw error;
  });
  // The first failure is that of the side where it happened; the other one only followed.
  const [filled, piped] = await Promise.allSettled([packed, written]);
  if (filled.status === "rejected") throw filled.reason;
  if (piped.status === "rejected") throw piped.reason;
  const { entries, leftOut, warnings } = archive;
  const included = { file: includedName, paths: [...options.paths], entries };
  return { file: { path: includedName, bytes, sha256: hash.digest("hex") }, included, leftOut, warnings };
}

class Archive {
  readonly tar: Pack = pack();
  readonly leftOut: Manifest["leftOut"] = [];
  readonly warnings: string[] = [];
  entries = 0;
  readonly #options: IncludeOptions;
  readonly #closed: Promise<unknown>;
  #except = "";

  constructor(options: IncludeOptions) {
    this.#options = options;
    this.#closed = new Promise((resolve) => this.tar.once("close", () => resolve(null)));
  }

  async fill(): Promise<void> {
    this.#except = await realpath(this.#options.except);
    for (const path of this.#options.paths) {
      // Only the place itself may be a link: to another disk, for example.
      const place = await realpath(join(this.#options.root, path)).catch((error: NodeJS.ErrnoException) => {
        const why = error.code === "ENOENT" ? "is not there" : error.message;
        throw new TandemError("backup_storage", `${path}, which the backup includes, ${why}`, { cause: error });
      });
      await this.#add(Buffer.from(place), Buffer.from(path));
    }
    this.tar.finalize();
  }

  /** One thing and all below it; both paths as bytes, for names need not be text. */
  async #add(place: Buffer, name: Buffer): Promise<void> {
    const text = name.toString("utf8");
    if (!Buffer.from(text).equals(name)) return this.#leave(name.toString("latin1"), "has a name that is no UTF-8");
    const found = await lstat(place).catch(unlessMissing);
    if (found === null) return;
    const header = { name: text, mode: found.mode & 0o777, mtime: found.mtime };
    if (found.isSymbolicLink()) {
      const target = await readlink(place).catch(unlessMissing);
      if (target !== null) await this.#entry({ ...header, type: "symlink", linkname: target });
    } else if (found.isDirectory()) {
      if (place.toString("utf8") === this.#except) return;
      const names = await readdir(place, { encoding: "buffer" }).catch(unlessMissing);
      if (names === null) return;
      await this.#entry({ ...header, type: "directory" });
      for (const inner of names.sort(Buffer.compare)) {
        await this.#add(joined(place, inner), joined(name, inner));
      }
    } else if (!found.isFile()) this.#leave(text, "is no file, folder or link");
    else if (!this.#options.secrets && isSecret(basename(text))) {
      this.#leave(text, "is there to hold secrets (include_secrets takes it in)");
    } else await this.#file(place, header);
  }

  /** As many bytes as the file had when it was opened: it may be written to meanwhile. */
  async #file(place: Buffer, header: { name: string; mode: number; mtime: Date }): Promise<void> {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const handle = await open(place, flags).catch(unlessMissing);
    if (handle === null) return;
    try {
      const before = await handle.stat();
      let sent = 0;
      await this.#entry({ ...header, mtime: before.mtime, type: "file", size: before.size }, async (write) => {
        while (sent < before.size) {
          const wanted = Math.min(chunkBytes, before.size - sent);
          const { bytesRead, buffer } = await handle.read(Buffer.alloc(wanted), 0, wanted, sent);
          // The archive has promised so many.
          await write(bytesRead > 0 ? buffer.subarray(0, bytesRead) : Buffer.alloc(wanted));
          sent += bytesRead > 0 ? bytesRead : wanted;
        }
      });
      if (isChanged(before, await handle.stat())) this.warnings.push(`${header.name} changed while it was read`);
    } finally {
      await handle.close();
    }
  }

  async #entry(
    header: Parameters<Pack["entry"]>[0],
    fill?: (write: (chunk: Buffer) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    this.#options.signal?.throwIfAborted();
    let sink: ReturnType<Pack["entry"]> | undefined;
    const taken = new Promise<void>((resolve, reject) => {
      sink = this.tar.entry(header, (error) => (error ? reject(error) : resolve()));
    });
    const whole = Promise.race([taken, this.#givenUp()]);
    whole.catch(() => {});
    this.entries += 1;
    await fill?.(async (chunk) => {
      if (sink?.write(chunk) === false)
        await Promise.race([once(sink as unknown as EventEmitter, "drain"), this.#givenUp()]);
    });
    if (fill) sink?.end(null);
    await whole;
  }

  /** Whoever reads the archive may fail, and would be waited for. */
  async #givenUp(): Promise<never> {
    await this.#closed;
    throw new TandemError("stopped", "the archive was given up");
  }

  #leave(name: string, reason: string): void {
    this.leftOut.push({ name, reason });
  }
}

function isSecret(name: string): boolean {
  return secretName.test(name) && !exampleName.test(name);
}

function isChanged(before: Stats, after: Stats): boolean {
  return before.size !== after.size || before.mtimeMs !== after.mtimeMs;
}

function joined(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, Buffer.from("/"), name]);
}
