import { createHash } from "node:crypto";
import {
  chmod,
  constants,
  copyFile,
  lstat,
  mkdir,
  open,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
  utimes,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Header } from "tar-stream";
import { TandemError } from "../base/errors.ts";
import { type Clock, systemClock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import { readArchive } from "./archive.ts";
import { digestFile, makeFolder, privateFile, storageError, unlessMissing } from "./files.ts";
import { BackupFolder } from "./folder.ts";
import { includedName } from "./include.ts";
import type { Manifest } from "./manifest.ts";
import { openBackup } from "./open-backup.ts";
import { markUse } from "./owner.ts";
import { resolveId } from "./resolve-id.ts";
import { checkSealed } from "./verify.ts";

/** What `restoreFiles` may be told. */
export interface RestoreFilesOptions {
  /** A folder to put the files into; unless given each goes back to its place. */
  readonly to?: string | undefined;
  readonly dryRun?: boolean | undefined;
  /** The copy in the store is meant, though there may be one here. */
  readonly fromStore?: boolean | undefined;
  /** The file of the private key of an encrypted copy; stronger than the configuration. */
  readonly identity?: string | undefined;
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((step: string) => void) | undefined;
}

/** What was, or would be, put back. */
export interface RestoredFiles {
  readonly id: string;
  readonly dryRun: boolean;
  readonly to: string;
  /** Files and links that were not there. */
  readonly created: number;
  /** Those that were other ones. */
  readonly replaced: number;
  /** Where the replaced ones are kept; null: there were none. */
  readonly kept: string | null;
}

/**
 * Puts the files of a backup back: each is written beside its place and renamed into it. Files that the backup does not have stay; what is
 * replaced is kept. Nothing is ever written outside the folders that were backed up (or the one that is given): neither by a path nor through a link.
 * Throws `restore_refused` for an archive that tries, before anything is written.
 */
export async function restoreFiles(
  config: Config,
  name: string,
  options: RestoreFilesOptions = {},
): Promise<RestoredFiles> {
  const { clock = systemClock, dryRun = false } = options;
  const folder = new BackupFolder(config.backup.dir);
  const id = await resolveId(config, name, options);
  await using _use = await markUse(folder, id, "restore", clock);
  await using backup = await openBackup(config.backup, folder, id, { ...options, clock });
  const needed = ({ included }: Manifest) => (included === null ? [] : [included.file]);
  const { included } = await checkSealed(backup.path, id, options, needed);
  if (included === null) throw new TandemError("usage", `backup ${id} holds no files`);
  const to = options.to ?? config.backup.includeRoot;
  const keep = join(folder.path, ".replaced", `${id} ${new Date(clock.now()).toISOString().replace(/[:.]/g, "-")}`);
  const archive = join(backup.path, includedName);
  await readArchive(archive, async (header) => checkName(header, included), options.signal);
  const work = new Putting({ to, inPlace: options.to === undefined, keep, dryRun }, included);
  try {
    if (!dryRun) await makeFolder(to);
    await readArchive(archive, (header, content) => work.put(header, content, options.onProgress), options.signal);
    await work.finish();
  } catch (error) {
    if (options.signal?.aborted)
      throw new TandemError("stopped", "the restore was stopped; files that were put back stay", { cause: error });
    throw storageError(error, to);
  }
  return { id, dryRun, to, created: work.created, replaced: work.replaced, kept: work.kept };
}

type Paths = NonNullable<Manifest["included"]>;

const nameOf = ({ name }: Header) => name.replace(/\/+$/, "");

/** A manifest is sealed and not signed: what an archive says is not believed. */
function checkName(header: Header, { paths }: Paths): void {
  const name = nameOf(header);
  const refuse = (why: string) => {
    throw new TandemError("restore_refused", `the archive holds ${JSON.stringify(name)}, ${why}; nothing was written`);
  };
  const parts = name.split("/");
  if (name.includes("\0") || parts.some((part: string) => part === ".." || part === "." || part === ""))
    refuse("which is no path within it");
  if (!paths.some((path) => name === path || name.startsWith(`${path}/`))) refuse("which was not asked for");
  if (!["file", "directory", "symlink"].includes(header.type ?? "")) refuse("which is no file, folder or link");
}

interface Place {
  readonly to: string;
  /** Each path that was included may itself be a link, to another disk for example. */
  readonly inPlace: boolean;
  readonly keep: string;
  readonly dryRun: boolean;
}

class Putting {
  created = 0;
  replaced = 0;
  kept: string | null = null;
  readonly #place: Place;
  readonly #included: Paths;
  readonly #links: { path: string; target: string; name: string }[] = [];
  readonly #folders: { path: string; header: Header }[] = [];

  constructor(place: Place, included: Paths) {
    this.#place = place;
    this.#included = included;
  }

  async put(header: Header, content: AsyncIterable<Buffer>, onProgress?: (step: string) => void): Promise<void> {
    const name = nameOf(header);
    onProgress?.(name);
    const path = await this.#pathOf(name);
    if (header.type === "directory") this.#folders.push({ path, header });
    if (header.type === "directory" && !this.#place.dryRun) await makeInside(path);
    // Links come last: nothing is written through them.
    if (header.type === "symlink") this.#links.push({ path, target: header.linkname ?? "", name });
    if (header.type === "file") await this.#file(path, name, header, content);
  }

  /** Links, then the times of folders, which every change within them has moved. */
  async finish(): Promise<void> {
    for (const { path, target, name } of this.#links) await this.#link(path, name, target);
    if (this.#place.dryRun) return;
    for (const { path, header } of this.#folders.toReversed()) await setAttributes(path, header);
  }

  /** Where something goes. No folder on the way there, below the place that was asked for, may be a link. */
  async #pathOf(name: string): Promise<string> {
    const top = this.#included.paths.find((path) => name === path || name.startsWith(`${path}/`)) ?? name;
    const asked = join(this.#place.to, top);
    const start = this.#place.inPlace ? ((await realpath(asked).catch(unlessMissing)) ?? asked) : this.#place.to;
    const parts = (this.#place.inPlace ? name.slice(top.length + 1) : name).split("/").filter(Boolean);
    let path = start;
    for (const part of parts.slice(0, -1)) {
      path = join(path, part);
      const found = await lstat(path).catch(unlessMissing);
      if (found && !found.isDirectory())
        throw new TandemError("restore_refused", `${path} is no folder: ${name} would be written through it`);
    }
    return join(start, ...parts);
  }

  /** Written beside its place; what comes out the same there stays as it was. */
  async #file(path: string, name: string, header: Header, content: AsyncIterable<Buffer>): Promise<void> {
    const found = await lstat(path).catch(unlessMissing);
    if (found?.isDirectory()) throw new TandemError("restore_refused", `${path} is a folder, and was a file`);
    const partial = partialOf(path);
    try {
      const sha256 = await this.#receive(content, partial);
      const same = found?.isFile() && found.size === header.size && (await digestFile(path)).sha256 === sha256;
      if (same) return;
      await this.#count(path, name);
      if (this.#place.dryRun) return;
      await setAttributes(partial, header);
      await rename(partial, path);
    } finally {
      if (!this.#place.dryRun) await rm(partial, { force: true });
    }
  }

  /** The SHA-256 of a content, which is in the partial file then; in a dry run nowhere. */
  async #receive(content: AsyncIterable<Buffer>, partial: string): Promise<string> {
    const hash = createHash("sha256");
    const hashed = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    };
    if (this.#place.dryRun) for await (const _ of hashed(content));
    else {
      await makeInside(dirname(partial));
      await rm(partial, { force: true });
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      const handle = await open(partial, flags, privateFile);
      await pipeline(content, hashed, handle.createWriteStream({ flush: true }));
    }
    return hash.digest("hex");
  }

  async #link(path: string, name: string, target: string): Promise<void> {
    const found = await lstat(path).catch(unlessMissing);
    if (found?.isSymbolicLink() && (await readlink(path)) === target) return;
    await this.#count(path, name);
    if (this.#place.dryRun) return;
    const partial = partialOf(path);
    await makeInside(dirname(path));
    await rm(partial, { force: true });
    try {
      await symlink(target, partial);
      await rename(partial, path);
    } finally {
      await rm(partial, { force: true });
    }
  }

  /** Counts what is about to be put in its place; a file that was there is kept. */
  async #count(path: string, name: string): Promise<void> {
    const { dryRun, keep } = this.#place;
    const found = await lstat(path).catch(unlessMissing);
    if (found) this.replaced += 1;
    else this.created += 1;
    if (dryRun || !found?.isFile()) return;
    await makeFolder(dirname(join(keep, name)));
    await copyFile(path, join(keep, name), constants.COPYFILE_EXCL);
    this.kept = keep;
  }
}

/** A name beside a path, no longer than names may be. */
function partialOf(path: string): string {
  return join(
    dirname(path),
    `.tandem-partial-${createHash("sha256").update(basename(path)).digest("hex").slice(0, 16)}`,
  );
}

async function makeInside(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
}

async function setAttributes(path: string, { mode, mtime }: Header): Promise<void> {
  await chmod(path, (mode ?? 0o600) & 0o777);
  if (mtime) await utimes(path, mtime, mtime);
}
