import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/time.ts";
import { makeFolder, privateFolder } from "./files.ts";
import { type BackupFolder, namesIn } from "./folder.ts";
import { Heartbeat, isAbandoned } from "./owner.ts";

const ending = ".work";

/** A folder beside the backups for a piece of work: it goes with it, also when its process is killed. Its name is had by one at a time. */
export class WorkFolder implements AsyncDisposable {
  readonly path: string;
  readonly #heartbeat: Heartbeat;

  private constructor(path: string, heartbeat: Heartbeat) {
    this.path = path;
    this.#heartbeat = heartbeat;
  }

  /** Makes it; null when another process has one of that name. */
  static async take(folder: BackupFolder, name: string, clock: Clock): Promise<WorkFolder | null> {
    await makeFolder(folder.making);
    const path = join(folder.making, `${name}${ending}`);
    await collect(path, clock);
    try {
      await mkdir(path, { mode: privateFolder });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return null;
      throw error;
    }
    return new WorkFolder(path, await Heartbeat.start(`${path}.owner`, name, clock));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    await this.#heartbeat[Symbol.asyncDispose]();
  }
}

/** Removes what processes that died have left. */
export async function collectWork(folder: BackupFolder, clock: Clock): Promise<void> {
  for (const name of await namesIn(folder.making))
    if (name.endsWith(ending)) await collect(join(folder.making, name), clock);
}

async function collect(path: string, clock: Clock): Promise<void> {
  if (!(await isAbandoned(`${path}.owner`, path, clock))) return;
  await rm(path, { recursive: true, force: true });
  await rm(`${path}.owner`, { force: true });
}
