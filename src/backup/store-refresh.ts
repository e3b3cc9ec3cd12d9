import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { TandemError } from "../base/errors.ts";
import { makeFolder, unlessMissing, writeWhole } from "./files.ts";
import { type BackupFolder, isBackupId } from "./folder.ts";
import { manifestName } from "./manifest.ts";
import { readProof, writeProofText } from "./records.ts";
import { type Store, storeError } from "./store.ts";
import { forgetStored, noteStored, readStored, type Stored, storedIds, storedName, unsealStored } from "./stored.ts";

/** What a look into the store found. */
export interface StoreLook {
  /** All keys, by the name of the backup that they belong to. */
  readonly keys: ReadonlyMap<string, readonly { readonly key: string; readonly modifiedAt: number }[]>;
}

/**
 * Looks into the store and notes in the folder what backups are there, with their proofs and pins where the folder has none. What cannot be
 * read there counts as not stored. Throws when the store cannot be asked: then what is known stays.
 */
export async function refreshStored(folder: BackupFolder, store: Store, signal?: AbortSignal): Promise<StoreLook> {
  const keys = new Map<string, { key: string; modifiedAt: number }[]>();
  for (const { key, modifiedAt } of await store.list("", signal)) {
    const id = key.split(/[/.]/)[0] ?? "";
    if (isBackupId(id)) keys.set(id, [...(keys.get(id) ?? []), { key, modifiedAt }]);
  }
  const has = (id: string, key: string) => keys.get(id)?.some((one) => one.key === key) ?? false;
  for (const id of await storedIds(folder)) if (!has(id, `${id}/${storedName}`)) await forgetStored(folder, id);
  if (keys.size > 0) await makeFolder(folder.path);
  for (const id of keys.keys()) {
    if (!has(id, `${id}/${storedName}`)) continue;
    if ((await readStored(folder, id)) === null) await learn(folder, store, id, signal);
    if (has(id, `${id}.pin`)) await writeWhole(folder.pin(id), "");
  }
  return { keys };
}

async function learn(folder: BackupFolder, store: Store, id: string, signal?: AbortSignal): Promise<void> {
  const stored = await askStored(store, id, signal);
  if (stored === null || stored.id !== id) return;
  await refuseOther(folder, store, stored);
  await noteStored(folder, stored);
  if ((await readProof(folder, id)) !== null) return;
  const proof = await readText(store, `${id}/proof.json`, signal);
  if (proof !== null) await writeProofText(folder, id, proof);
}

/** A backup of the same name that is another one must not be taken for a copy of it. */
async function refuseOther(folder: BackupFolder, store: Store, { id, manifest }: Stored): Promise<void> {
  const own = await readFile(join(folder.backup(id), manifestName)).catch(unlessMissing);
  if (own === null) return;
  if (createHash("sha256").update(own).digest("hex") === manifest) return;
  throw new TandemError("store_refused", `store ${store.name} holds another backup of the name ${id}`, {
    hint: "Two folders of backups share this place in the store: give each a prefix, or folder, of its own.",
  });
}

/** What the store says of a backup; null when it is none that can be read. */
export async function askStored(store: Store, id: string, signal?: AbortSignal): Promise<Stored | null> {
  const found = await readText(store, `${id}/${storedName}`, signal);
  if (found === null) return null;
  try {
    return unsealStored(found, `${store.name}: ${id}/${storedName}`);
  } catch (error) {
    if (error instanceof TandemError && error.code === "backup_damaged") return null;
    throw error;
  }
}

async function readText(store: Store, key: string, signal?: AbortSignal): Promise<string | null> {
  const body = await store.get(key, signal);
  if (body === null) return null;
  try {
    return await text(body);
  } catch (error) {
    throw storeError(error, store.name, signal);
  }
}
