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
  /** Its newest good backup with both halves: the one that can be proven. */
  readonly whole: BackupEntry | null;
  /** Its newest one, where that was found to be damaged since. */
  readonly damaged: BackupEntry | null;
  /** When one of its backups was proven (level 3) last. */
  readonly provenAt: string | null;
  /** The last proof that failed, unless one came to its end since. */
  readonly proofFailure: Failure | null;
  /** Proofs are asked for, and two of their periods have passed since the newest one, or there is none. */
  readonly unproven: boolean;
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
  const own = backups.filter((one) => one.job === job.name && one.node === job.node);
  const good = own.filter(({ state }) => state !== "damaged");
  const last = good.at(-1) ?? null;
  const newest = own.at(-1) ?? null;
  const ofJob = failures.filter((one) => one.job === job.name);
  const failure = ofJob.findLast(({ what, id }) => what === "backup" && id > (last?.id ?? "")) ?? null;
  const whole = good.findLast(({ state }) => state === "complete") ?? null;
  const proofs = good.flatMap(({ level, provenAt }) => (level === 3 && provenAt !== null ? [provenAt] : []));
  const provenAt = proofs.sort().at(-1) ?? null;
  const failedProofs = ofJob.filter(({ what, failedAt }) => what === "proof" && failedAt > (provenAt ?? ""));
  return {
    job: job.name,
    node: job.node,
    last,
    proven: good.findLast(({ level }) => level >= 2) ?? null,
    whole,
    damaged: newest === last ? null : newest,
    provenAt,
    proofFailure: failedProofs.sort((a, b) => (a.failedAt < b.failedAt ? -1 : 1)).at(-1) ?? null,
    unproven: whole !== null && isUnproven(job, provenAt, now),
    failure,
    stale: last === null || isStale(job, timeZone, timeOf(last.id), now),
  };
}

function isUnproven({ proveEveryMs: every }: BackupJob, provenAt: string | null, now: number): boolean {
  return every !== null && (provenAt === null || Date.parse(provenAt) + 2 * every < now);
}

/** What `dueAt` goes by. What was stopped, by a signal, is as good as not tried. */
export function pastOf({ last, failure }: JobState): JobPast {
  const tried = failure?.code === "stopped" ? null : failure;
  return { succeededAt: last && timeOf(last.id), failedAt: tried && Date.parse(tried.failedAt) };
}
