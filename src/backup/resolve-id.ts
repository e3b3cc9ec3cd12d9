import { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import { BackupFolder, isBackupId } from "./folder.ts";
import { readManifest } from "./manifest.ts";
import { openStore } from "./store-open.ts";
import { refreshStored } from "./store-refresh.ts";
import { readStored, storedIds } from "./stored.ts";

/**
 * The backup that a person means: its name, or `latest`, the newest whose manifest can be read, here or in the store. Throws `not_found`. The store
 * is asked where the answer may lie there; when it cannot be asked, what lies here serves.
 */
export async function resolveId(config: Config, name: string, signal?: AbortSignal): Promise<string> {
  const folder = new BackupFolder(config.backup.dir);
  const here = await folder.ids();
  if (name !== "latest" && isBackupId(name) && here.includes(name)) return name;
  await look(config, folder, { needed: name !== "latest" || here.length === 0, signal });
  const ids = [...new Set([...here, ...(await storedIds(folder))])].sort();
  const places = config.backup.store === null ? folder.path : `${folder.path}, nor in the store`;
  if (name !== "latest") {
    if (isBackupId(name) && ids.includes(name)) return name;
    throw new TandemError("not_found", `there is no backup ${name} in ${places}`, {
      hint: "`tandem backup list` shows what there is.",
    });
  }
  for (const id of ids.toReversed()) {
    const readable = here.includes(id)
      ? await readManifest(folder.backup(id)).then(
          () => true,
          () => false,
        )
      : (await readStored(folder, id)) !== null;
    if (readable) return id;
  }
  throw new TandemError("not_found", `there is no backup in ${places}`, { hint: "`tandem backup create` makes one." });
}

async function look(
  { backup }: Config,
  folder: BackupFolder,
  { needed, signal }: { readonly needed: boolean; readonly signal: AbortSignal | undefined },
): Promise<void> {
  if (backup.store === null) return;
  const store = await openStore(backup.store);
  try {
    await refreshStored(folder, store, signal);
  } catch (error) {
    if (needed || signal?.aborted) throw error;
  } finally {
    store.close();
  }
}
