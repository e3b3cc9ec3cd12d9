import type { BackupJob, Config } from "../config/config.ts";
import { timeOf } from "./folder.ts";
import { type BackupEntry, type BackupList, listBackups } from "./list.ts";
import type { Failure } from "./records.ts";
import { isStale, type JobPast } from "./schedule.ts";

/** How a job is doing. */
export interface JobState {
  readonly job: string;
  readonly node: string;
  /** Its newest good backup. */
  readonly last: BackupEntry | null;
  /** The newest one that was restored for a try (level 2) or more. */
  readonly proven: BackupEntry | null;
  /** What failed since the newest good one. */
  readonly failure: Failure | null;
  /** Two times of its schedule have passed since the newest good one, or there is none. */
  readonly stale: boolean;
}

/** How every job of the configuration is doing, by what lies in the folder. */
export async function jobStates(config: Config, now: number): Promise<JobState[]> {
  if (config.backup.jobs.length === 0) return [];
  const list = await listBackups(config.backup.dir);
  return config.backup.jobs.map((job) => jobState(list, job, config.backup.timeZone, now));
}

function jobState({ backups, failures }: BackupList, job: BackupJob, timeZone: string, now: number): JobState {
  const good = backups.filter((one) => one.job === job.name && one.node === job.node && one.state !== "damaged");
  const last = good.at(-1) ?? null;
  const failure = failures.findLast((one) => one.job === job.name && one.id > (last?.id ?? "")) ?? null;
  return {
    job: job.name,
    node: job.node,
    last,
    proven: good.findLast(({ level }) => level >= 2) ?? null,
    failure,
    stale: last === null || isStale(job, timeZone, timeOf(last.id), now),
  };
}

/** What `dueAt` goes by. What was stopped, by a signal, is as good as not tried. */
export function pastOf({ last, failure }: JobState): JobPast {
  const tried = failure?.code === "stopped" ? null : failure;
  return { succeededAt: last && timeOf(last.id), failedAt: tried && Date.parse(tried.failedAt) };
}
