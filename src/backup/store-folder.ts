import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { TandemError } from "../base/errors.ts";
import { digestFile, privateFile, privateFolder, syncFile, syncFolder, unlessMissing } from "./files.ts";
import { namesIn } from "./folder.ts";
import type { PutOptions, Store, StoredBytes, StoreObject } from "./store.ts";
import { storeError } from "./store.ts";

/** A folder, on another disk than the backups. It must be there: where the disk is not mounted its path is a place on the wrong one. */
export class FolderStore implements Store {
  readonly name: string;

  constructor(path: string) {
    this.name = path;
  }

  async put(key: string, source: () => Readable | Promise<Readable>, { signal }: PutOptions): Promise<StoredBytes> {
    return this.#work(async () => {
      const final = this.#path(key);
      await this.#makeFolders(dirname(final));
      await mkdir(this.#partials, { recursive: true, mode: privateFolder });
      const partial = join(this.#partials, `${key.split("/")[0]}.${randomUUID()}`);
      try {
        const hash = createHash("sha256");
        const tap = new Transform({
          transform(chunk: Buffer, _encoding, done) {
            hash.update(chunk);
            done(null, chunk);
          },
        });
        await pipeline(await source(), tap, createWriteStream(partial, { mode: privateFile, flags: "wx" }), { signal });
        await syncFile(partial);
        const sha256 = hash.digest("hex");
        const found = await digestFile(partial, signal);
        if (found.sha256 !== sha256)
          throw new TandemError(
            "store_failed",
            `store ${this.name} gives back other bytes of ${key} than were written`,
          );
        await rename(partial, final);
        await syncFolder(dirname(final));
        return found;
      } catch (error) {
        await rm(partial, { force: true });
        throw error;
      }
    }, signal);
  }

  async get(key: string, signal?: AbortSignal): Promise<Readable | null> {
    return this.#work(async () => {
      const handle = await open(this.#path(key), "r").catch(unlessMissing);
      return handle && createReadStream("", { fd: handle, highWaterMark: 1 << 20 });
    }, signal);
  }

  async list(prefix: string, signal?: AbortSignal): Promise<StoreObject[]> {
    return this.#work(async () => {
      // The first part of a prefix may be a part of a name only.
      const whole = prefix.slice(0, prefix.lastIndexOf("/") + 1);
      const found: StoreObject[] = [];
      await this.#walk(whole, found);
      return found.filter(({ key }) => key.startsWith(prefix)).sort((a, b) => (a.key < b.key ? -1 : 1));
    }, signal);
  }

  async #walk(prefix: string, found: StoreObject[]): Promise<void> {
    const path = join(this.name, prefix);
    for (const entry of (await readdir(path, { withFileTypes: true }).catch(unlessMissing)) ?? []) {
      const key = `${prefix}${entry.name}`;
      if (join(this.name, key) === this.#partials) continue;
      if (entry.isDirectory()) await this.#walk(`${key}/`, found);
      const at = entry.isFile() ? await stat(join(this.name, key)).catch(unlessMissing) : null;
      if (at) found.push({ key, bytes: at.size, modifiedAt: at.mtimeMs });
    }
  }

  async remove(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    return this.#work(async () => {
      for (const key of keys) {
        await rm(this.#path(key), { force: true });
        await this.#removeEmpty(dirname(key));
      }
    }, signal);
  }

  async #removeEmpty(folder: string): Promise<void> {
    if (folder === ".") return;
    try {
      await rmdir(join(this.name, folder));
    } catch (error) {
      if (["ENOTEMPTY", "EEXIST", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) return;
      throw error;
    }
    await this.#removeEmpty(dirname(folder));
  }

  async sweep(prefix: string, before: number, signal?: AbortSignal): Promise<number> {
    return this.#work(async () => {
      let swept = 0;
      for (const name of await namesIn(this.#partials)) {
        const path = join(this.#partials, name);
        const begun = await stat(path).catch(unlessMissing);
        if (!begun || begun.mtimeMs >= before || !`${name.replace(/\.[^.]*$/, "")}/`.startsWith(prefix)) continue;
        await rm(path, { force: true });
        swept += 1;
      }
      return swept;
    }, signal);
  }

  close(): void {}

  get #partials(): string {
    return join(this.name, ".partial");
  }

  #path(key: string): string {
    if (key.split("/").some((part) => ["", ".", ".."].includes(part)))
      throw new TandemError("internal", `${key} is no key of a store`);
    return join(this.name, key);
  }

  /** Folders below the store's own, each synced into the one above it. */
  async #makeFolders(path: string): Promise<void> {
    if (path === this.name || !(await mkdir(path, { recursive: true, mode: privateFolder }))) return;
    for (let at = path; at !== this.name; at = dirname(at)) await syncFolder(dirname(at));
  }

  async #work<T>(body: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      if (!(await stat(this.name).catch(unlessMissing))?.isDirectory())
        throw new TandemError("store_refused", `store ${this.name}: there is no such folder`, {
          hint: "Mount the disk, or make the folder; Tandem does not make it, lest it be made on the wrong disk.",
        });
      return await body();
    } catch (error) {
      throw storeError(error, this.name, signal);
    }
  }
}
