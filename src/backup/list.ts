import { stat } from "node:fs/promises";
import { join } from "node:path";
import { errorLine } from "../base/errors.ts";
import { BackupFolder, namesIn, timeOf } from "./folder.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { type Failure, readFailures, readProof } from "./records.ts";

/** A backup as it lies in the folder. */
export interface BackupEntry {
  readonly id: string;
  /** `damaged`: its manifest is missing or was changed, or `verify` has found a fault; it counts as no backup, and is never removed by itself. */
  readonly state: "complete" | "degraded" | "damaged";
  /** Why it is not complete. */
  readonly reason: string | null;
  readonly node: string | null;
  readonly job: string | null;
  readonly label: string | null;
  /** When the moment was that it shows, as near as its start tells. */
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly tables: number;
  readonly rows: number;
  readonly bytes: number;
  /** 0 sealed, 1 readable, 2 restored into a scratch database, 3 equal in content. */
  readonly level: 0 | 1 | 2 | 3;
  readonly provenAt: string | null;
  readonly pinned: boolean;
  /** Tables that it does not hold, and what of the dump an empty database cannot take; why. */
  readonly leftOut: Manifest["leftOut"];
  readonly warnings: readonly string[];
}

/** What there is in a folder of backups. */
export interface BackupList {
  readonly dir: string;
  /** The oldest first. */
  readonly backups: readonly BackupEntry[];
  readonly failures: readonly Failure[];
  /** Names of those being made, or left behind. */
  readonly unsealed: readonly string[];
}

/** Lists what a folder holds, from the folder alone. What cannot be read is listed as that. */
export async function listBackups(dir: string): Promise<BackupList> {
  const folder = new BackupFolder(dir);
  const names = new Set(await namesIn(dir));
  const ids = await folder.ids();
  return {
    dir,
    backups: await Promise.all(ids.map((id) => entryOf(folder, id, names.has(`${id}.pin`)))),
    failures: await readFailures(folder),
    unsealed: await folder.partialIds(),
  };
}

async function entryOf(folder: BackupFolder, id: string, pinned: boolean): Promise<BackupEntry> {
  const path = folder.backup(id);
  try {
    const manifest = await readManifest(path);
    const proof = await readProof(folder, id);
    const { node, job, label, startedAt, finishedAt, tables, files, warnings } = manifest;
    const leftOut = [...manifest.leftOut, ...manifest.notRestored.map(({ name, reason }) => ({ name, reason }))];
    const damage = proof?.damage ?? null;
    const [state, reason] = damage === null ? [manifest.state, manifest.reason] : (["damaged", damage] as const);
    return {
      ...{ id, state, reason, node, job, label, startedAt, finishedAt, leftOut, warnings, pinned },
      tables: tables.length,
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      level: proof?.level ?? 0,
      provenAt: proof?.at ?? null,
    };
  } catch (error) {
    return {
      ...{ id, state: "damaged", reason: errorLine(error), node: null, job: null, label: null, finishedAt: null },
      startedAt: new Date(timeOf(id)).toISOString(),
      tables: 0,
      rows: 0,
      bytes: await sizeOf(path),
      level: 0,
      ...{ provenAt: null, pinned, leftOut: [], warnings: [] },
    };
  }
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => null);
  if (!found?.isDirectory()) return found?.size ?? 0;
  const sizes = await Promise.all((await namesIn(path)).map((name) => sizeOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
