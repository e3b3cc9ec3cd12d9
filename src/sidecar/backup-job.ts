import { noteCatalogue } from "../backup/catalogue.ts";
import { changedSince, snapshotOf } from "../backup/changed.ts";
import { createBackup } from "../backup/create.ts";
import { timeOf } from "../backup/folder.ts";
import { type JobState, jobStates, pastOf } from "../backup/job-state.ts";
import { pruneBackups } from "../backup/prune.ts";
import { dueAt, passedOver } from "../backup/schedule.ts";
import { errorLine } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Backoff } from "../base/retry.ts";
import type { Clock } from "../base/time.ts";
import type { BackupJob, Config } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import { nodeOf } from "./open-link.ts";

/** What a job needs. */
export interface BackupJobOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Whether this sidecar is the one that works on the node. */
  readonly may: () => boolean;
  /** Told of each try, for the history. */
  readonly note?: ((kind: "backup_made" | "backup_failed", message: string) => void) | undefined;
}

const askAgainMs = 1_000;
// A clock may be set, and a machine may sleep: a far time is waited for in pieces.
const longestWaitMs = 60_000;
// A burst of changes comes into one backup; what goes on beyond that comes into one more in each of these.
const quietMs = 2_000;
const betweenChangesMs = 10_000;

/**
 * One job of the configuration for as long as the sidecar runs: a first backup at once when there is none, then by its schedule and
 * after changes. One at a time: what falls due meanwhile is one backup afterwards. Retention follows each success. A failure is on
 * record, and tried again after growing pauses.
 */
export async function runBackupJob(config: Config, job: BackupJob, options: BackupJobOptions): Promise<void> {
  const { clock, logger, signal, may } = options;
  const failing = new Backoff({ min: 60_000, max: 900_000 });
  let retryAt: number | null = null;
  const unknownState = (error: unknown) => {
    logger.error({ job: job.name }, `the folder of the backups cannot be read: ${errorLine(error)}`);
    return longestWaitMs;
  };
  let noted = false;
  while (!signal.aborted) {
    // What was made, or lost, while no sidecar ran.
    if (!noted && may()) {
      await noteCatalogue(config, [job.node], { logger, signal });
      noted = true;
    }
    const wait = may() ? await nextWait(config, job, options, retryAt).catch(unknownState) : askAgainMs;
    if (wait > 0) await clock.sleep(Math.min(wait, longestWaitMs), signal).catch(() => {});
    else if (await attempt(config, job, options)) {
      failing.reset();
      retryAt = null;
    } else retryAt = clock.now() + failing.next();
  }
}

/** Milliseconds until the job is due; 0 and less: now. */
async function nextWait(
  config: Config,
  job: BackupJob,
  options: BackupJobOptions,
  retryAt: number | null,
): Promise<number> {
  const { clock, logger } = options;
  const state = (await jobStates(config, clock.now())).find((one) => one.job === job.name);
  if (!state) return Number.POSITIVE_INFINITY;
  const due = dueAt(job, config.backup.timeZone, pastOf(state));
  const times = [due, retryAt].filter((time) => time !== null).map((time) => time - clock.now());
  const scheduled = Math.min(Number.POSITIVE_INFINITY, ...times);
  if (scheduled <= 0 || job.afterChange === null || !state.last) return scheduled;
  try {
    return Math.min(scheduled, await waitForChange(config, job, state, options));
  } catch (error) {
    logger.warn({ job: job.name, node: job.node }, `cannot look for changes: ${errorLine(error)}`);
    return Math.min(scheduled, betweenChangesMs);
  }
}

/** How long until the backup that a change asks for; without one, until the next look. */
async function waitForChange(
  config: Config,
  job: BackupJob,
  { last }: JobState,
  options: BackupJobOptions,
): Promise<number> {
  const { clock, logger, signal } = options;
  const look = Math.max(1_000, config.sync.intervalMs);
  await using connection = await connect(nodeOf(config, job.node), `backup watch ${job.name}`, { signal });
  const { changed, unseen } = await changedSince(
    connection,
    job.afterChange ?? [],
    await snapshotOf(config, last?.id ?? ""),
  );
  if (unseen.length > 0) {
    logger.warn(
      { job: job.name, node: job.node },
      `changes of ${unseen.join(", ")} are not seen: no tracked table is called so`,
    );
  }
  if (!changed) return look;
  const since = clock.now() - Date.parse(last?.startedAt ?? "");
  if (since < betweenChangesMs) return betweenChangesMs - since;
  await clock.sleep(quietMs, signal).catch(() => {});
  return signal.aborted ? look : 0;
}

/** How many times of its schedule a job has passed over since its last good backup: the machine slept, or a backup takes longer than that. */
async function missedBy(config: Config, { name, schedule }: BackupJob, now: number): Promise<number> {
  const last = (await jobStates(config, now)).find(({ job }) => job === name)?.last;
  return schedule === null || !last ? 0 : passedOver(schedule, config.backup.timeZone, timeOf(last.id), now);
}

async function attempt(
  config: Config,
  job: BackupJob,
  { clock, logger, signal, note }: BackupJobOptions,
): Promise<boolean> {
  const fields = { job: job.name, node: job.node };
  try {
    const missed = await missedBy(config, job, clock.now());
    const made = await createBackup(config, { job: job.name, wait: true, clock, logger, signal });
    const { id: backup, state, rows, bytes } = made;
    if (state === "degraded") logger.warn({ ...fields, backup }, `the backup is degraded: ${made.reason}`);
    else logger.info({ ...fields, backup, rows, bytes }, "backup made");
    if (missed > 0)
      logger.warn(
        { ...fields, missed },
        "its schedule came more often than backups were made: this one makes up for all",
      );
    const late = missed > 0 ? `; ${missed} times of its schedule were passed over` : "";
    note?.("backup_made", `job ${job.name}: ${backup}, ${state}${late}`);
    await pruneBackups(config, { job: job.name, clock, logger });
    return true;
  } catch (error) {
    if (!signal.aborted) {
      logger.error(fields, `the backup failed: ${errorLine(error)}`);
      note?.("backup_failed", `job ${job.name}: ${errorLine(error)}`);
    }
    return false;
  }
}
