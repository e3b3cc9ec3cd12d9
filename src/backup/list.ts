import { stat } from "node:fs/promises";
import { join } from "node:path";
import { errorLine } from "../base/errors.ts";
import { storageError, unlessMissing } from "./files.ts";
import { BackupFolder, isBackupId, namesIn, timeOf } from "./folder.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { type Failure, readFailures, readProof } from "./records.ts";
import { readStored, storedIds } from "./stored.ts";

/** A backup as it lies in the folder, or in the store as the folder knows it. */
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
  /** Where copies of it are: in the folder, in the store as far as the folder knows. */
  readonly places: readonly ("folder" | "store")[];
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
  const here = new Set(await folder.ids());
  const stored = new Set(await storedIds(folder));
  const ids = [...new Set([...here, ...stored])].sort();
  const entry = async (id: string): Promise<BackupEntry> => {
    const pinned = names.has(`${id}.pin`);
    const found = await (here.has(id) ? entryOf : storedEntryOf)(folder, id, pinned).catch(async (error: unknown) =>
      // What cannot be looked into has no size that is known.
      damagedEntry(id, errorLine(storageError(error, dir)), pinned, await sizeOf(folder.backup(id)).catch(() => 0)),
    );
    const places = [...(here.has(id) ? ["folder" as const] : []), ...(stored.has(id) ? ["store" as const] : [])];
    return { ...found, places };
  };
  return {
    dir,
    backups: await Promise.all(ids.map(entry)),
    failures: await readFailures(folder),
    unsealed: (await folder.partialIds()).filter(isBackupId),
  };
}

type Found = Omit<BackupEntry, "places">;

/** A backup of which only the copy in the store is left. */
async function storedEntryOf(folder: BackupFolder, id: string, pinned: boolean): Promise<Found> {
  const stored = await readStored(folder, id);
  if (stored === null) return damagedEntry(id, "what the store says of it cannot be read", pinned, 0);
  const proof = await readProof(folder, id);
  const { node, job, label, startedAt, finishedAt, tables, rows, bytes, leftOut, warnings } = stored;
  const damage = proof?.damage ?? null;
  const [state, reason] = damage === null ? [stored.state, stored.reason] : (["damaged", damage] as const);
  return {
    ...{ id, state, reason, node, job, label, startedAt, finishedAt, tables, rows, bytes, leftOut, warnings, pinned },
    ...{ level: proof?.level ?? 0, provenAt: proof?.at ?? null },
  };
}

async function entryOf(folder: BackupFolder, id: string, pinned: boolean): Promise<Found> {
  const manifest = await readManifest(folder.backup(id));
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
}

function damagedEntry(id: string, reason: string, pinned: boolean, bytes: number): Found {
  return {
    ...{ id, state: "damaged", reason, node: null, job: null, label: null, finishedAt: null, pinned, bytes },
    startedAt: new Date(timeOf(id)).toISOString(),
    ...{ tables: 0, rows: 0, level: 0, provenAt: null, leftOut: [], warnings: [] },
  };
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(unlessMissing);
  if (!found?.isDirectory()) return found?.size ?? 0;
  const sizes = await Promise.all((await namesIn(path)).map((name) => sizeOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
