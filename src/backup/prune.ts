import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { errorLine } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { type Clock, systemClock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import { noteCatalogue } from "./catalogue.ts";
import { makeFolder, storageError, syncFolder } from "./files.ts";
import { BackupFolder, namesIn, timeOf } from "./folder.ts";
import { listBackups } from "./list.ts";
import { collectLeftovers } from "./making.ts";
import { backupsInUse } from "./owner.ts";
import { removeFailure } from "./records.ts";
import { type Decision, decide } from "./retention.ts";
import { StorePrune } from "./store-prune.ts";
import { collectWork } from "./work-folder.ts";

/** What `pruneBackups` may be told. */
export interface PruneOptions {
  /** Only backups of this job. */
  readonly job?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
}

/** What was, or would be, removed. */
export interface PruneReport {
  readonly dryRun: boolean;
  readonly decisions: readonly Decision[];
  /** Names of the backups that are gone. */
  readonly removed: readonly string[];
  /** Backups and remains that could not be removed, with the reason; the next prune tries again. */
  readonly stuck: readonly { readonly id: string; readonly error: string }[];
}

const failureDays = 30;

/**
 * Removes what no rule keeps (see `decide`). A backup stops being one by a rename, before its data go: what cannot be
 * removed then is no backup that lost some of its files, and is tried again by the next call.
 */
export async function pruneBackups(config: Config, options: PruneOptions = {}): Promise<PruneReport> {
  const { clock = systemClock, logger = silentLogger, dryRun = false } = options;
  const folder = new BackupFolder(config.backup.dir);
  const removed: string[] = [];
  const stuck: { id: string; error: string }[] = [];
  await using store = await StorePrune.begin(config.backup.store, folder, { clock, logger });
  if (store?.unasked) {
    stuck.push({ id: store.name, error: errorLine(store.unasked) });
    logger.error({}, `the store cannot be asked: ${errorLine(store.unasked)}`);
  }
  const decisions = await decisionsOf(config, folder, clock, options.job);
  const before = await listBackups(folder.path);
  if (dryRun) return { dryRun, decisions, removed, stuck };
  const attempt = async (id: string, work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      const line = errorLine(storageError(error, folder.path));
      stuck.push({ id, error: line });
      logger.error({ backup: id }, `cannot be removed: ${line}`);
    }
  };
  const here = new Set(await folder.ids());
  for (const { id, keep } of decisions) {
    if (keep) continue;
    await attempt(id, async () => {
      // Somebody may have begun to restore it since it was decided on.
      if ((await backupsInUse(folder, clock)).has(id)) return;
      if (here.has(id)) {
        await makeFolder(folder.making);
        await rename(folder.backup(id), folder.deleted(id));
        await syncFolder(folder.path);
      }
      await store?.remove(id);
      removed.push(id);
      logger.info({ backup: id }, "removed by retention");
    });
  }
  for (const name of await namesIn(folder.making)) {
    if (!name.endsWith(".deleted")) continue;
    const id = name.slice(0, -".deleted".length);
    await attempt(id, async () => {
      await rm(join(folder.making, name), { recursive: true });
      await rm(folder.proof(id), { force: true });
    });
  }
  if (store && !store.unasked) await attempt(store.name, () => store.tidy());
  if (options.job === undefined) await tidy(folder, clock, logger);
  const gone = before.backups.filter(({ id }) => removed.includes(id));
  const nodes = new Set(gone.flatMap(({ node }) => (node === null ? [] : [node])));
  await noteCatalogue(config, [...nodes], { logger });
  return { dryRun, decisions, removed, stuck };
}

async function decisionsOf(config: Config, folder: BackupFolder, clock: Clock, job?: string): Promise<Decision[]> {
  const { backups } = await listBackups(folder.path);
  const used = await backupsInUse(folder, clock);
  const decisions = decide(
    backups.map((one) => ({
      ...{ ...one, inUse: used.has(one.id), at: timeOf(one.id) },
      stored: one.places.includes("store") && one.state !== "damaged",
    })),
    {
      policies: new Map(config.backup.jobs.map((one) => [one.name, one])),
      now: clock.now(),
      timeZone: config.backup.timeZone,
    },
  );
  const ofJob = new Set(backups.filter((one) => one.job === job).map(({ id }) => id));
  return job === undefined ? decisions : decisions.filter(({ id }) => ofJob.has(id));
}

/** What is left of processes that died, and failures that nobody will ask for any more. */
async function tidy(folder: BackupFolder, clock: Clock, logger: Logger): Promise<void> {
  await collectLeftovers(folder, clock, logger);
  await collectWork(folder, clock);
  const { failures } = await listBackups(folder.path);
  for (const failure of failures.slice(0, -1)) {
    if (clock.now() - Date.parse(failure.failedAt) > failureDays * 86_400_000) await removeFailure(folder, failure);
  }
}
