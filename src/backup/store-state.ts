import { stat } from "node:fs/promises";
import { errorLine, TandemError } from "../base/errors.ts";
import type { Config, StoreConfig } from "../config/config.ts";
import { BackupFolder } from "./folder.ts";
import { type BackupList, listBackups } from "./list.ts";
import { storeName } from "./store.ts";
import { openStore } from "./store-open.ts";
import { refreshStored } from "./store-refresh.ts";
import { readUploadFailure, type UploadFailure } from "./stored.ts";
import { notStored } from "./upload.ts";

/** How the store is doing. */
export interface StoreState {
  readonly name: string;
  /** Good backups of this folder that are not in it. */
  readonly behind: readonly string[];
  /** Why the last upload failed, if it did. */
  readonly failure: UploadFailure | null;
  /** Why it could not be asked now; null: it was, or need not be. */
  readonly unasked: string | null;
  /** It is a folder on the disk that the backups are on, and is lost with it. */
  readonly sameDisk: boolean;
}

/** What `listWithStore` gives. */
export type StoreList = BackupList & {
  /** Null: none is configured, and the only copies are in the folder. */
  readonly store: StoreState | null;
};

const patienceMs = 20_000;

/** Lists the backups of folder and store. A store that cannot be asked is said to be that, and what is known of it is listed. */
export async function listWithStore(
  { backup }: Config,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<StoreList> {
  const folder = new BackupFolder(backup.dir);
  if (backup.store === null) return { ...(await listBackups(backup.dir)), store: null };
  const store = await openStore(backup.store);
  const late = AbortSignal.timeout(patienceMs);
  const signal = options.signal ? AbortSignal.any([options.signal, late]) : late;
  let unasked: string | null = null;
  try {
    await refreshStored(folder, store, signal);
  } catch (error) {
    if (options.signal?.aborted || !(error instanceof TandemError)) throw error;
    unasked = late.aborted ? `store ${store.name} does not answer` : errorLine(error);
  } finally {
    store.close();
  }
  const known = { name: store.name, ...(await stateIn(folder, backup.store)) };
  return { ...(await listBackups(backup.dir)), store: { ...known, unasked } };
}

async function stateIn(folder: BackupFolder, store: StoreConfig): Promise<Omit<StoreState, "name" | "unasked">> {
  const [behind, failure] = [await notStored(folder), await readUploadFailure(folder)];
  return { behind, failure, sameDisk: store.kind === "folder" && (await onOneDisk(folder.path, store.path)) };
}

/** What is not there, or cannot be looked at, is told by whoever wants to use it. */
async function onOneDisk(...paths: readonly string[]): Promise<boolean> {
  const devices = await Promise.all(paths.map((path) => stat(path).catch(() => null)));
  return devices.every((found) => found !== null && found.dev === devices[0]?.dev);
}

/** How the store is doing as far as the folder knows, without asking it; null where there is none. */
export async function knownStore({ backup }: Config): Promise<StoreState | null> {
  if (backup.store === null) return null;
  return {
    name: storeName(backup.store),
    ...(await stateIn(new BackupFolder(backup.dir), backup.store)),
    unasked: null,
  };
}
