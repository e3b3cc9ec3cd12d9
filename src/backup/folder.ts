import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/time.ts";
import { storageError } from "./files.ts";

/** The form of a backup's name: its time, so that names sort as times do. */
const idForm = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z$/;

/** Whether a text is the name of a backup. */
export function isBackupId(text: string): boolean {
  return idForm.test(text) && !Number.isNaN(timeOf(text));
}

/** Milliseconds since 1970 of a backup's name. */
export function timeOf(id: string): number {
  return Date.parse(id.replace(/T(\d\d)-(\d\d)-(\d\d)-(\d{3})Z$/, "T$1:$2:$3.$4Z"));
}

function idOf(ms: number): string {
  return new Date(ms).toISOString().replace(/[:.]/g, "-");
}

/** Where things lie below the folder of the configuration. */
export class BackupFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** A sealed backup. */
  backup(id: string): string {
    return join(this.path, id);
  }

  /** Backups being made; on the same file system, for they are renamed into place. */
  get making(): string {
    return join(this.path, ".tmp");
  }

  /** A backup being made. */
  partial(id: string): string {
    return join(this.making, `${id}.partial`);
  }

  /** A backup that retention has taken away, and whose data go next. */
  deleted(id: string): string {
    return join(this.making, `${id}.deleted`);
  }

  /** One file for each use of a backup that must not be disturbed. */
  get uses(): string {
    return join(this.path, ".use");
  }

  /** What is known of the store: one file for each backup there, as it was when somebody looked last. */
  get stored(): string {
    return join(this.path, ".stored");
  }

  /** One file for each backup that failed. */
  get failures(): string {
    return join(this.path, ".failed");
  }

  /** How far a backup was proven: beside it, for what is sealed is never written again. */
  proof(id: string): string {
    return join(this.path, `${id}.proof.json`);
  }

  /** Its presence keeps a backup from retention. */
  pin(id: string): string {
    return join(this.path, `${id}.pin`);
  }

  /** Names of what looks like a backup, whole or not, the oldest first. */
  async ids(): Promise<string[]> {
    return (await namesIn(this.path)).filter(isBackupId).sort();
  }

  /** Names of the backups being made, or left behind by a process that died. */
  async partialIds(): Promise<string[]> {
    const names = await namesIn(this.making);
    return names.flatMap((name) => (name.endsWith(".partial") ? [name.slice(0, -".partial".length)] : [])).sort();
  }

  /**
   * A name for a new backup: its time, but later than every name that is taken, so that names stay unique and in order
   * also after the clock was set back.
   */
  async nextId(clock: Clock): Promise<string> {
    const taken = [...(await this.ids()), ...(await this.partialIds()).filter(isBackupId)];
    const newest = Math.max(0, ...taken.map(timeOf));
    return idOf(Math.max(clock.now(), newest + 1));
  }
}

/** The names in a folder; none where there is no folder. Throws `backup_storage` where it cannot be read. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw storageError(error, folder);
  }
}
