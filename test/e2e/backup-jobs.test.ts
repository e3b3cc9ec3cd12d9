import { readdir } from "node:fs/promises";
import { setImmediate, setTimeout } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { listBackups } from "../../src/backup/list.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { type Clock, systemClock } from "../../src/base/time.ts";
import type { BackupJob, Config } from "../../src/config/config.ts";
import { runBackupJob } from "../../src/sidecar/backup-job.ts";
import { runSidecar } from "../../src/sidecar/sidecar.ts";
import { type StatusReport, status } from "../../src/sidecar/status.ts";
import { type Cluster, cluster, sql } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { backupConfig, fakePgDump, linesOf } from "./backup-support.ts";
import { prepare, sync } from "./verify-support.ts";

vi.setConfig({ testTimeout: 400_000 });

const hourly: BackupJob = {
  ...{ name: "hourly", node: "local", schedule: "0 * * * *", afterChange: null },
  ...{
    keepLast: 2,
    keepDays: null,
    keepDaily: null,
    keepWeekly: null,
    keepMonthly: null,
    proveEveryMs: null,
    include: null,
  },
};

/** A clock on which nobody waits: whoever sleeps finds that the time is over. */
function quickClock(start: string): Clock & { at: number } {
  const clock = {
    at: Date.parse(start),
    now: () => clock.at,
    sleep: async (ms: number) => {
      clock.at += ms;
      await setImmediate();
    },
  };
  return clock;
}

/** Lets a job run until the clock says so. */
async function runUntil(config: Config, job: BackupJob, clock: Clock & { at: number }, end: string): Promise<string[]> {
  const notes: string[] = [];
  const note = (_kind: string, message: string) => void notes.push(message);
  const stop = new AbortController();
  const sleep = clock.sleep;
  clock.sleep = async (ms, signal) => {
    await sleep(ms, signal);
    if (clock.at >= Date.parse(end)) stop.abort();
  };
  await runBackupJob(config, job, { clock, logger: silentLogger, signal: stop.signal, may: () => true, note });
  clock.sleep = sleep;
  return notes;
}

const ids = async (config: Config) => (await listBackups(config.backup.dir)).backups.map(({ id }) => id.slice(0, 16));
const failures = async (config: Config) => (await listBackups(config.backup.dir)).failures;

test("B4 a first backup at once, then by the schedule; what was missed comes once; retention follows (things 16, 22)", async () => {
  await using nodes = await cluster(1);
  await nodes.local.admin.query("create table item (id int primary key)");
  const config = await backupConfig(nodes, { jobs: [hourly] });
  const clock = quickClock("2026-05-05T00:10:00Z");
  await runUntil(config, hourly, clock, "2026-05-05T02:30:00Z");
  expect(await ids(config)).toEqual(["2026-05-05T01-00", "2026-05-05T02-00"]);
  // The machine slept over seven of them.
  clock.at = Date.parse("2026-05-05T09:20:00Z");
  const notes = await runUntil(config, hourly, clock, "2026-05-05T10:30:00Z");
  expect(await ids(config)).toEqual(["2026-05-05T09-20", "2026-05-05T10-00"]);
  expect(notes).toEqual([
    expect.stringMatching(/^job hourly: 2026-05-05T09-20.*; 6 times of its schedule were passed over$/),
    expect.stringMatching(/^job hourly: 2026-05-05T10-00-00-000Z, complete$/),
  ]);
});

test("B1 while backups fail they are tried again and again, the good ones stay, and it mends itself (things 21, 34)", async () => {
  await using nodes = await cluster(2);
  const config = await prepare(nodes, "create table item (id int primary key)", {
    backup: (await backupConfig(nodes, { jobs: [{ ...hourly, keepLast: 1 }] })).backup,
  });
  await sync(config);
  const problems = ({ problems, well }: StatusReport) => ({ well, kinds: problems.map(({ kind }) => kind) });
  expect(problems(await status(config))).toEqual({ well: false, kinds: ["backup_stale"] });

  const clock = quickClock(new Date(Date.now() - 7_200_000).toISOString());
  const [job] = config.backup.jobs as [BackupJob];
  await runUntil(config, job, clock, new Date(clock.at + 1_000).toISOString());
  const good = await ids(config);
  expect(good).toHaveLength(1);
  const broken = { ...config, backup: { ...config.backup, pgBin: await fakePgDump("echo no luck >&2; exit 1") } };
  clock.at = Date.parse(new Date().toISOString());
  await runUntil(broken, job, clock, new Date(clock.at + 600_000).toISOString());
  expect((await failures(config)).length).toBeGreaterThanOrEqual(3);
  expect(await ids(config)).toEqual(good);
  const bad = await status(config);
  expect(problems(bad)).toEqual({ well: false, kinds: ["backup_failed"] });
  expect(bad.sentence).toMatch(/^The last backup of job hourly failed: pg_dump ended with 1: no luck/);

  await runUntil(config, job, clock, new Date(clock.at + 3_600_000).toISOString());
  const after = await status(config);
  expect(problems(after)).toEqual({ well: true, kinds: [] });
  expect(after.backups).toMatchObject([{ job: "hourly", level: 1, proven: null, failure: null, stale: false }]);
});

async function changing(nodes: Cluster): Promise<Config> {
  const job = { ...hourly, name: "visits", schedule: null, afterChange: ["public.visit"], keepLast: 50 };
  return prepare(nodes, "create table visit (id int primary key); create table other (id int primary key)", {
    backup: (await backupConfig(nodes, { jobs: [job] })).backup,
  });
}

test("B1 after a change: 100 changes in ten seconds are two backups at most, the last one after the last change (thing 19)", async () => {
  await using nodes = await cluster(2);
  const config = await changing(nodes);
  const stop = new AbortController();
  const running = runSidecar(config, { signal: stop.signal, clock: systemClock });
  try {
    await waitFor(async () => (await ids(config)).length === 1, { deadlineMs: 120_000 });
    await sql(nodes.local.url, "insert into other values (1)");
    const from = Date.now();
    for (let n = 1; n <= 100; n++) {
      await sql(nodes.local.url, `insert into visit values (${n})`);
      await setTimeout(60);
    }
    const tookMs = Date.now() - from;
    const lastHolds = async () => {
      const last = (await listBackups(config.backup.dir)).backups.at(-1);
      return last !== undefined && (await linesOf(config, last, "public.visit")).length === 100;
    };
    await waitFor(lastHolds, { deadlineMs: 120_000 });
    // The first one, one while they come, and one after them; one more for each further ten seconds that they have taken.
    expect((await ids(config)).length).toBeLessThanOrEqual(3 + Math.floor(tookMs / 10_000));
    const begun = (await listBackups(config.backup.dir)).backups.map(({ startedAt }) => Date.parse(startedAt));
    const apart = begun.slice(1).map((at, i) => at - (begun[i] ?? 0));
    expect(apart.filter((ms) => ms < 10_000)).toEqual([]);
    const quiet = await ids(config);
    await sql(nodes.local.url, "insert into other values (2)");
    await setTimeout(4_000);
    expect(await ids(config)).toEqual(quiet);
  } finally {
    stop.abort();
    await running;
  }
  // Stopped between two backups: nothing is left half done.
  expect((await listBackups(config.backup.dir)).unsealed).toEqual([]);
  expect(await readdir(config.backup.dir)).not.toContain(".failed");
});
