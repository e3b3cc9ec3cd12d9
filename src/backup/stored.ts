import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { makeFolder, unlessMissing, writeWhole } from "./files.ts";
import { type BackupFolder, isBackupId, namesIn } from "./folder.ts";
import { seal, unseal } from "./seal.ts";

const stored = z.object({
  format: z.literal(1),
  id: z.string(),
  node: z.string(),
  job: z.string().nullable(),
  label: z.string().nullable(),
  state: z.enum(["complete", "degraded"]),
  reason: z.string().nullable(),
  startedAt: z.string(),
  finishedAt: z.string(),
  /** Of the moment that the backup shows, as in its manifest. */
  snapshot: z.string(),
  tables: z.number(),
  rows: z.number(),
  /** Of the files, before they were encrypted. */
  bytes: z.number(),
  leftOut: z.array(z.object({ name: z.string(), reason: z.string() })),
  warnings: z.array(z.string()),
  /** SHA-256 of the file of the manifest: tells a backup from another one of the same name. */
  manifest: z.string(),
  encrypted: z.boolean(),
  /** What lies in the store, by its bytes there; the manifest first. */
  objects: z.array(z.object({ path: z.string(), bytes: z.number(), sha256: z.string() })),
});

/** What the store says of a backup without being asked for its data, and without a key. Its file is uploaded last, and makes what is there a backup. */
export type Stored = z.infer<typeof stored>;

/** The name of that file. */
export const storedName = "stored.json";

/** The text of the file. */
export function sealStored(value: Stored): string {
  return seal(value);
}

/** Reads what `sealStored` wrote; what was changed is `backup_damaged`. */
export function unsealStored(text: string, where: string): Stored {
  return unseal(text, where, stored);
}

const fileOf = (folder: BackupFolder, id: string) => join(folder.stored, `${id}.json`);

/** Names of the backups in the store, as far as this folder knows. */
export async function storedIds(folder: BackupFolder): Promise<string[]> {
  const names = await namesIn(folder.stored);
  return names.flatMap((name) => (isBackupId(name.replace(/\.json$/, "")) ? [name.replace(/\.json$/, "")] : [])).sort();
}

/** What is known of a backup in the store; null: nothing, or nothing that can be read. */
export async function readStored(folder: BackupFolder, id: string): Promise<Stored | null> {
  const text = await readFile(fileOf(folder, id), "utf8").catch(unlessMissing);
  if (text === null) return null;
  try {
    return unsealStored(text, id);
  } catch {
    // It is a copy: the next look into the store makes it anew.
    return null;
  }
}

/** Notes that a backup is in the store. */
export async function noteStored(folder: BackupFolder, value: Stored): Promise<void> {
  await makeFolder(folder.stored);
  await writeWhole(fileOf(folder, value.id), sealStored(value));
}

/** Notes that it is not, or not any more. */
export async function forgetStored(folder: BackupFolder, id: string): Promise<void> {
  await rm(fileOf(folder, id), { force: true });
}

const uploadFailure = z.object({ at: z.string(), code: z.string(), message: z.string() });

/** Why the last upload failed. */
export type UploadFailure = z.infer<typeof uploadFailure>;

const failureFile = (folder: BackupFolder) => join(folder.stored, "failure.json");

/** The failure of the last upload; null when it succeeded. */
export async function readUploadFailure(folder: BackupFolder): Promise<UploadFailure | null> {
  const text = await readFile(failureFile(folder), "utf8").catch(unlessMissing);
  return text === null ? null : (uploadFailure.safeParse(JSON.parse(text)).data ?? null);
}

/** Notes how the last upload ended. */
export async function noteUpload(folder: BackupFolder, failure: UploadFailure | null): Promise<void> {
  if (failure === null) return await rm(failureFile(folder), { force: true });
  await makeFolder(folder.stored);
  await writeWhole(failureFile(folder), `${JSON.stringify(failure)}\n`);
}
