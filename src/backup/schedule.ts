import { Cron } from "croner";
import type { BackupJob } from "../config/config.ts";

/** What is known of a job's past; times in milliseconds since 1970. */
export interface JobPast {
  /** Its newest good backup, null for none. */
  readonly succeededAt: number | null;
  /** Its last failure, if that came after the newest good backup. */
  readonly failedAt: number | null;
}

// Without a schedule nothing else would ask for a first backup that failed.
const firstAgainMs = 60_000;

/** When a schedule is due next, strictly after a moment; null for never (a thirtieth of February). */
export function nextRun(schedule: string, timeZone: string, after: number): number | null {
  return new Cron(schedule, { timezone: timeZone, paused: true }).nextRun(new Date(after))?.getTime() ?? null;
}

/**
 * When a scheduled job is due: at once when it has no backup, else at the first time of its schedule after the last try. What was
 * missed meanwhile, however often, is made up once, for then that time is past.
 */
export function dueAt({ schedule }: BackupJob, timeZone: string, past: JobPast): number | null {
  if (past.succeededAt === null && past.failedAt === null) return 0;
  if (schedule === null) return past.succeededAt === null ? (past.failedAt ?? 0) + firstAgainMs : null;
  return nextRun(schedule, timeZone, Math.max(past.succeededAt ?? 0, past.failedAt ?? 0));
}

/** Whether the newest good backup is older than its job's schedule allows: two of its times have passed since. */
export function isStale({ schedule }: BackupJob, timeZone: string, succeededAt: number, now: number): boolean {
  if (schedule === null) return false;
  const first = nextRun(schedule, timeZone, succeededAt);
  const second = first === null ? null : nextRun(schedule, timeZone, first);
  return second !== null && second < now;
}

const mostCounted = 1_000;

/** How many times of a schedule came after a moment and by now, but for the one that is due: they are passed over. A thousand stands for more. */
export function passedOver(schedule: string, timeZone: string, after: number, now: number): number {
  let count = -1;
  for (let time = nextRun(schedule, timeZone, after); time !== null && time <= now; ) {
    count += 1;
    if (count >= mostCounted) break;
    time = nextRun(schedule, timeZone, time);
  }
  return Math.max(0, count);
}
