import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { makeFolder, storageError, unlessMissing, writeWhole } from "./files.ts";
import { type BackupFolder, namesIn } from "./folder.ts";

const proof = z.object({
  /** 0 sealed, 1 readable, 2 restored into a scratch database, 3 equal in content, both formats. */
  level: z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)]),
  at: z.string(),
  /** What was found to be wrong with it, after it was sealed. */
  damage: z.string().nullable().default(null),
});

const failure = z.object({
  /** Of a proof: that of the backup that was to be proven. */
  id: z.string(),
  what: z.enum(["backup", "proof"]).default("backup"),
  node: z.string(),
  job: z.string().nullable(),
  startedAt: z.string(),
  failedAt: z.string(),
  code: z.string(),
  message: z.string(),
});

/** The highest level that a backup was found to reach, and when. */
export type Proof = z.infer<typeof proof>;
/** A backup that came to nothing, or a proof of one that did not come to what was asked for. */
export type Failure = z.infer<typeof failure>;

async function readJson<T>(path: string, form: z.ZodType<T>): Promise<T | null> {
  const text = await readFile(path, "utf8")
    .catch(unlessMissing)
    .catch((error: unknown) => {
      throw storageError(error, path);
    });
  if (text === null) return null;
  try {
    return form.parse(JSON.parse(text));
  } catch {
    // What makes no sense proves nothing.
    return null;
  }
}

/** How far a backup was proven; null when nothing is known. */
export function readProof(folder: BackupFolder, id: string): Promise<Proof | null> {
  return readJson(folder.proof(id), proof);
}

/** Notes how far a backup was proven. */
export async function writeProof(folder: BackupFolder, id: string, value: Proof): Promise<void> {
  await writeWhole(folder.proof(id), `${JSON.stringify(value)}\n`);
}

/** Takes over the text of a record that was kept elsewhere; what is none is left. */
export async function writeProofText(folder: BackupFolder, id: string, text: string): Promise<void> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return;
  }
  const known = proof.safeParse(value);
  if (known.success) await writeProof(folder, id, known.data);
}

const failureFile = ({ id, what }: Pick<Failure, "id" | "what">) => `${id}${what === "proof" ? ".proof" : ""}.json`;

/** Notes that a backup, or its proof, failed; of each the last failure is kept. */
export async function writeFailure(folder: BackupFolder, value: Failure): Promise<void> {
  await makeFolder(folder.failures);
  await writeWhole(join(folder.failures, failureFile(value)), `${JSON.stringify(value)}\n`);
}

/** Every failure that is remembered, the oldest first. */
export async function readFailures(folder: BackupFolder): Promise<Failure[]> {
  const names = (await namesIn(folder.failures)).filter((name) => name.endsWith(".json")).sort();
  const all = await Promise.all(names.map((name) => readJson(join(folder.failures, name), failure)));
  return all.filter((one) => one !== null);
}

/** Forgets a failure. */
export async function removeFailure(folder: BackupFolder, value: Failure): Promise<void> {
  await rm(join(folder.failures, failureFile(value)), { force: true });
}
