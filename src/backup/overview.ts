import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import { type JobState, jobStates } from "./job-state.ts";
import { type BackupEntry, listBackups } from "./list.ts";
import { nextRun } from "./schedule.ts";

/** How a job is doing, and when it is due next. */
export interface JobOverview extends JobState {
  readonly schedule: string | null;
  /** By its schedule; null without one. */
  readonly nextRunAt: string | null;
}

/** How the backups are, in one look. */
export interface BackupOverview {
  /** `failing`: a job's last try failed, its newest backup is damaged, or it is overdue. `never`: there is no good backup at all. */
  readonly status: "ok" | "degraded" | "failing" | "never";
  readonly jobs: readonly JobOverview[];
  /** The newest good one, of whatever job. */
  readonly last: BackupEntry | null;
  /** The newest one that was restored for a try (level 2) or more. */
  readonly proven: BackupEntry | null;
  /** Being made, or left behind by a process that died. */
  readonly unsealed: readonly string[];
  readonly counts: {
    readonly complete: number;
    readonly degraded: number;
    readonly damaged: number;
    readonly pinned: number;
    readonly failed: number;
  };
  /** Null: the disk could not be asked. */
  readonly disk: { readonly usedBytes: number; readonly freeBytes: number } | null;
}

/** Looks at the folder of the backups, and at the jobs of the configuration. */
export async function backupOverview(config: Config, clock: Clock): Promise<BackupOverview> {
  const { backups, failures, unsealed } = await listBackups(config.backup.dir);
  const good = backups.filter(({ state }) => state !== "damaged");
  const count = (wanted: BackupEntry["state"]) => backups.filter(({ state }) => state === wanted).length;
  const jobs = (await jobStates(config, clock.now())).map((state) => withSchedule(config, state, clock.now()));
  const last = good.at(-1) ?? null;
  return {
    status: statusOf(jobs, last, count("damaged")),
    jobs,
    last,
    proven: good.findLast(({ level }) => level >= 2) ?? null,
    unsealed,
    counts: {
      complete: count("complete"),
      degraded: count("degraded"),
      damaged: count("damaged"),
      pinned: backups.filter(({ pinned }) => pinned).length,
      failed: failures.length,
    },
    disk: await diskOf(config.backup.dir, backups),
  };
}

function withSchedule(config: Config, state: JobState, now: number): JobOverview {
  const schedule = config.backup.jobs.find(({ name }) => name === state.job)?.schedule ?? null;
  const next = schedule === null ? null : nextRun(schedule, config.backup.timeZone, now);
  return { ...state, schedule, nextRunAt: next === null ? null : new Date(next).toISOString() };
}

function statusOf(
  jobs: readonly JobOverview[],
  last: BackupEntry | null,
  damagedCount: number,
): BackupOverview["status"] {
  if (jobs.some(({ failure, damaged, stale, last: own }) => failure ?? damaged ?? (stale && own))) return "failing";
  if (last === null) return "never";
  if (jobs.some(({ stale }) => stale)) return "failing";
  return damagedCount > 0 || last.state === "degraded" ? "degraded" : "ok";
}

async function diskOf(dir: string, backups: readonly BackupEntry[]): Promise<BackupOverview["disk"]> {
  // Before the first backup there is no folder; it will lie on the disk of the one above.
  for (let folder = dir; ; folder = dirname(folder)) {
    try {
      const { bavail, bsize } = await statfs(folder);
      const here = backups.filter(({ places }) => places.includes("folder"));
      return { usedBytes: here.reduce((sum, { bytes }) => sum + bytes, 0), freeBytes: bavail * bsize };
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      if (!missing || dirname(folder) === folder) return null;
    }
  }
}
