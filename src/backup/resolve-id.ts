import { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import { BackupFolder, isBackupId } from "./folder.ts";
import { listBackups } from "./list.ts";
import { safetyLabel } from "./retention.ts";
import { openStore } from "./store-open.ts";
import { refreshStored } from "./store-refresh.ts";

/** What else is known of the backup that is meant. */
export interface ResolveOptions {
  /** With `latest`: of which node it must be. */
  readonly node?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The backup that a person means: its name, or `latest`, the newest good one, here or in the store. What was made before a restore is what people
 * wanted to be rid of: it is never the latest, and has to be named. Throws `not_found`. The store is asked where the answer may lie
 * there; when it cannot be asked, what lies here serves.
 */
export async function resolveId(config: Config, name: string, options: ResolveOptions = {}): Promise<string> {
  const { node, signal } = options;
  const folder = new BackupFolder(config.backup.dir);
  const here = await folder.ids();
  if (name !== "latest" && isBackupId(name) && here.includes(name)) return name;
  await look(config, folder, { needed: name !== "latest" || here.length === 0, signal });
  const { backups } = await listBackups(folder.path);
  const places = config.backup.store === null ? folder.path : `${folder.path}, nor in the store`;
  if (name !== "latest") {
    if (backups.some(({ id }) => id === name)) return name;
    throw new TandemError("not_found", `there is no backup ${name} in ${places}`, {
      hint: "`tandem backup list` shows what there is.",
    });
  }
  const meant = backups.filter((one) => one.state !== "damaged" && one.label !== safetyLabel);
  const latest = meant.findLast((one) => node === undefined || one.node === node);
  if (latest) return latest.id;
  if (backups.length === 0)
    throw new TandemError("not_found", `there is no backup in ${places}`, {
      hint: "`tandem backup create` makes one.",
    });
  const what = node === undefined || meant.length === 0 ? "no good backup" : `no good backup of node ${node}`;
  throw new TandemError("not_found", `there is ${what} in ${places}, but for what was made before a restore`, {
    hint: "Name the one that is meant: `tandem backup list` shows what there is.",
  });
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
