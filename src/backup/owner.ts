import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { Clock } from "../base/time.ts";
import { makeFolder, writeWhole } from "./files.ts";
import { type BackupFolder, namesIn } from "./folder.ts";

const owner = z.object({
  token: z.string(),
  host: z.string(),
  pid: z.number(),
  /** Tells a process from a later one with the same number; null where the system does not say. */
  born: z.string().nullable(),
  purpose: z.string(),
});

/** Who works on something, as its lock file says. */
export type Owner = z.infer<typeof owner>;

const heartbeatMs = 5_000;
const silentMs = 60_000;
// Of another machine only the heartbeat is seen, and its clock or a shared disk may be slow.
const silentElsewhereMs = 3_600_000;

/** A process's start, in the system's own ticks, with the boot it belongs to. */
function bornAt(pid: number): string | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
      .replace(/^.*\) /s, "")
      .split(" ");
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()} ${fields[19]}`;
  } catch {
    return null;
  }
}

function lives({ pid, born }: Owner): boolean {
  if (born !== null) return bornAt(pid) === born;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A lock file that says by its time stamp that its owner lives. */
export class Heartbeat implements AsyncDisposable {
  readonly #path: string;
  readonly #timer: NodeJS.Timeout;

  private constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#timer = setInterval(() => {
      const now = clock.now() / 1000;
      // What takes the file away meanwhile is the end of the work, which is told by the work itself.
      utimes(path, now, now).catch(() => {});
    }, heartbeatMs);
    this.#timer.unref();
  }

  /** Writes the file and keeps it fresh until disposed of, which removes it. */
  static async start(path: string, purpose: string, clock: Clock): Promise<Heartbeat> {
    const own: Owner = { token: randomUUID(), host: hostname(), pid: process.pid, born: bornAt(process.pid), purpose };
    await writeWhole(path, `${JSON.stringify(own)}\n`);
    const now = clock.now() / 1000;
    await utimes(path, now, now);
    return new Heartbeat(path, clock);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await rm(this.#path, { force: true });
  }
}

/** Marks a backup as in use, for retention, until disposed of. */
export async function markUse(folder: BackupFolder, id: string, purpose: string, clock: Clock): Promise<Heartbeat> {
  await makeFolder(folder.uses);
  return Heartbeat.start(join(folder.uses, `${id}.${randomUUID()}`), `${purpose} ${id}`, clock);
}

/** The backups that somebody uses, on whatever machine; marks that were left behind are removed. */
export async function backupsInUse(folder: BackupFolder, clock: Clock): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (const name of await namesIn(folder.uses)) {
    const path = join(folder.uses, name);
    if (await isAbandoned(path, path, clock)) await rm(path, { force: true });
    else ids.add(name.split(".")[0] ?? "");
  }
  return ids;
}

/**
 * Removes the lock files in a folder whose process was killed after what they stand for had been renamed or removed,
 * and before they had.
 */
export async function collectOwners(path: string, clock: Clock): Promise<void> {
  const names = new Set(await namesIn(path));
  for (const name of names) {
    if (!name.endsWith(".owner") || names.has(name.slice(0, -".owner".length))) continue;
    const mark = join(path, name);
    if (await isAbandoned(mark, mark, clock)) await rm(mark, { force: true });
  }
}

/**
 * Whether nobody works on it any more: the heartbeat is old and, on this machine, the process is gone. Without a
 * file, or with one that makes no sense, the age of `fallback`, the thing itself, counts alone. What may not be looked at is somebody's.
 */
export async function isAbandoned(path: string, fallback: string, clock: Clock): Promise<boolean> {
  const text = await readFile(path, "utf8").catch(textUnlessRefused);
  const parsed = owner.safeParse(parse(text ?? ""));
  const at = text === null ? null : await stat(parsed.success ? path : fallback).catch(() => null);
  if (!at) return false;
  const silent = clock.now() - at.mtimeMs;
  if (!parsed.success) return silent > silentElsewhereMs;
  if (parsed.data.host !== hostname()) return silent > silentElsewhereMs;
  return silent > silentMs && !lives(parsed.data);
}

function textUnlessRefused(error: NodeJS.ErrnoException): "" | null {
  return error.code === "ENOENT" ? "" : null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
