import { stat } from "node:fs/promises";
import { TandemError } from "../base/errors.ts";
import { scrub } from "../base/scrub.ts";
import type { Config, StoreConfig } from "../config/config.ts";
import { storageError } from "./files.ts";
import { BackupFolder } from "./folder.ts";
import { type BackupList, listBackups } from "./list.ts";
import { type Store, storeName } from "./store.ts";
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
  config: Config,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<StoreList> {
  const store = await askedStore(config, options);
  return { ...(await listBackups(config.backup.dir)), store };
}

/**
 * How the store is doing after a look into it, which the folder notes: its disk may be a new one, and copies may have gone. What cannot be
 * asked is said to be that, and is as it was known; null where there is no store.
 */
export async function askedStore(
  { backup }: Config,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<StoreState | null> {
  if (backup.store === null) return null;
  const folder = new BackupFolder(backup.dir);
  const late = AbortSignal.timeout(patienceMs);
  const signal = options.signal ? AbortSignal.any([options.signal, late]) : late;
  let unasked: string | null = null;
  let store: Store | null = null;
  try {
    store = await openStore(backup.store);
    await refreshStored(folder, store, signal);
  } catch (error) {
    const known = storageError(error, folder.path);
    if (options.signal?.aborted || !(known instanceof TandemError)) throw error;
    unasked = late.aborted ? `store ${storeName(backup.store)} does not answer` : sentences(known);
  } finally {
    store?.close();
  }
  return { name: storeName(backup.store), ...(await stateIn(folder, backup.store)), unasked };
}

/** What is wrong, and what helps. */
function sentences({ message, hint }: TandemError): string {
  return scrub(`${message.replace(/\s*[\r\n]+\s*/g, " ").replace(/[.\s]+$/, "")}. ${hint}`);
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
