import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../base/time.ts";
import { makeFolder, privateFolder, syncFolder, unlessMissing, writeWhole } from "./files.ts";
import { type BackupFolder, isBackupId, timeOf } from "./folder.ts";
import { type Manifest, manifestName, sealManifest } from "./manifest.ts";
import { collectOwners, Heartbeat, isAbandoned } from "./owner.ts";
import { writeFailure } from "./records.ts";

/** A backup being made, in a folder of its own that nobody takes for a backup. */
export class Making implements AsyncDisposable {
  readonly id: string;
  readonly path: string;
  readonly #folder: BackupFolder;
  readonly #heartbeat: Heartbeat;
  #sealed = false;

  private constructor(folder: BackupFolder, id: string, heartbeat: Heartbeat) {
    this.#folder = folder;
    this.#heartbeat = heartbeat;
    this.id = id;
    this.path = folder.partial(id);
  }

  /** Takes a name that no other process has, and makes the folder. */
  static async begin(folder: BackupFolder, clock: Clock): Promise<Making> {
    await makeFolder(folder.making);
    for (;;) {
      const id = await folder.nextId(clock);
      const path = folder.partial(id);
      try {
        await mkdir(path, { mode: privateFolder });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
        throw error;
      }
      // Another process may have sealed a backup of this name just before.
      if (await exists(folder.backup(id))) await rm(path, { recursive: true });
      else return new Making(folder, id, await Heartbeat.start(`${path}.owner`, `backup ${id}`, clock));
    }
  }

  /** Writes the manifest, last of all, and makes the folder a backup. */
  async seal(manifest: Manifest, innerFolders: readonly string[]): Promise<void> {
    for (const inner of innerFolders) await syncFolder(join(this.path, inner));
    await writeWhole(join(this.path, manifestName), sealManifest(manifest));
    await rename(this.path, this.#folder.backup(this.id));
    this.#sealed = true;
    await syncFolder(this.#folder.path);
  }

  /** What was not sealed goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#sealed) await rm(this.path, { recursive: true, force: true });
    await this.#heartbeat[Symbol.asyncDispose]();
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(unlessMissing)) !== null;
}

/**
 * Removes what processes that died left unsealed; each is noted as a backup that failed. What somebody works on, on
 * whatever machine, stays.
 */
export async function collectLeftovers(folder: BackupFolder, clock: Clock, logger: Logger): Promise<string[]> {
  const collected: string[] = [];
  for (const id of await folder.partialIds()) {
    const path = folder.partial(id);
    if (!(await isAbandoned(`${path}.owner`, path, clock))) continue;
    await rm(path, { recursive: true, force: true });
    await rm(`${path}.owner`, { force: true });
    collected.push(id);
    logger.warn({ backup: id }, "removed what an interrupted backup had left behind");
    if (!isBackupId(id)) continue;
    await writeFailure(folder, {
      id,
      what: "backup",
      node: "",
      job: null,
      startedAt: new Date(timeOf(id)).toISOString(),
      failedAt: new Date(clock.now()).toISOString(),
      code: "stopped",
      message: "the process that made it ended before it was sealed",
    });
  }
  await collectOwners(folder.making, clock);
  return collected;
}
