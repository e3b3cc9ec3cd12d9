import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { createBackup } from "../../src/backup/create.ts";
import { jobStates } from "../../src/backup/job-state.ts";
import { listBackups } from "../../src/backup/list.ts";
import { backupOverview } from "../../src/backup/overview.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { systemClock } from "../../src/base/time.ts";
import type { BackupJob, Config } from "../../src/config/config.ts";
import { proofLoop } from "../../src/sidecar/proof-loop.ts";
import { runSidecar } from "../../src/sidecar/sidecar.ts";
import { status } from "../../src/sidecar/status.ts";
import { cluster } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { backupConfig } from "./backup-support.ts";
import { prepare, sync } from "./verify-support.ts";

vi.setConfig({ testTimeout: 240_000 });

const hour = 3_600_000;
const daily: BackupJob = {
  ...{ name: "daily", node: "local", schedule: "0 3 * * *", afterChange: null, keepLast: 9, keepDays: null },
  ...{ keepDaily: null, keepWeekly: null, keepMonthly: null, proveEveryMs: 24 * hour, include: null },
};

/** Lets the proofs run for a while of a clock on which nobody waits; returns where that clock is then. */
async function proveFor(config: Config, fromMs: number, forMs: number, may = () => true): Promise<number> {
  const stop = new AbortController();
  let at = fromMs;
  const sleep = async (ms: number) => {
    at += ms;
    if (at >= fromMs + forMs) stop.abort();
  };
  await proofLoop(config, { clock: { now: () => at, sleep }, logger: silentLogger, signal: stop.signal, may });
  return at;
}

async function stateAt(config: Config, now: number) {
  const [state] = await jobStates(config, now);
  if (!state) throw new Error("there is no job");
  return state;
}

const levels = async (config: Config) => (await listBackups(config.backup.dir)).backups.map(({ level }) => level);

test("B3 the newest backup of a job is proven once a day, by the clock of the sidecar (thing 34)", async () => {
  await using nodes = await cluster(1);
  await nodes.local.admin.query("create table item (id int primary key); insert into item values (1)");
  const config = await backupConfig(nodes, { jobs: [daily] });
  const first = (await createBackup(config, { job: "daily" })).id;
  const second = (await createBackup(config, { job: "daily" })).id;
  const start = Date.now();
  expect(await stateAt(config, start)).toMatchObject({ unproven: true, provenAt: null });

  await proveFor(config, start, hour, () => false);
  expect(await levels(config)).toEqual([1, 1]);
  const later = await proveFor(config, start, 23 * hour);
  expect(await levels(config)).toEqual([1, 3]);
  expect(await stateAt(config, later)).toMatchObject({ unproven: false, provenAt: new Date(start).toISOString() });
  // Proofs that have stopped are noticed when two of them are missing.
  expect((await stateAt(config, start + 48 * hour + 1)).unproven).toBe(true);

  const third = (await createBackup(config, { job: "daily" })).id;
  await proveFor(config, later, 2 * hour);
  const { backups } = await listBackups(config.backup.dir);
  expect(backups.map(({ id, level }) => [id, level])).toEqual([
    [first, 1],
    [second, 3],
    [third, 3],
  ]);
  expect(Date.parse(backups[2]?.provenAt ?? "")).toBeGreaterThanOrEqual(start + 24 * hour);
});

test("B3 a proof that fails is on record and told until one succeeds, and the level stays; damage costs the backup (thing 34)", async () => {
  await using nodes = await cluster(2);
  const { backup } = await backupConfig(nodes, { jobs: [daily] });
  const config = await prepare(nodes, "create table item (id int primary key)", { backup });
  await sync(config);
  const { id } = await createBackup(config, { job: "daily" });
  const said = async () => (await status(config)).problems.map(({ kind, message }) => `${kind}: ${message}`);
  expect(await said()).toEqual(["backup_unproven: No backup of job daily is proven yet"]);

  const nowhere = { ...config, backup: { ...config.backup, scratch: "postgresql://nobody@127.0.0.1:1/none" } };
  const at = await proveFor(nowhere, Date.now(), hour / 2);
  expect(await listBackups(config.backup.dir)).toMatchObject({
    backups: [{ id, state: "complete", level: 1 }],
    failures: [{ id, what: "proof", job: "daily", node: "local", code: "cannot_connect" }],
  });
  expect(await said()).toEqual([
    expect.stringMatching(`backup_unproven: The last proof of job daily failed, of backup ${id}: `),
  ]);
  const again = await proveFor(config, at, hour);
  expect(await levels(config)).toEqual([3]);
  expect(await said()).toEqual([]);

  const newer = await createBackup(config, { job: "daily" });
  await truncate(join(config.backup.dir, newer.id, "database.dump"), 100);
  await proveFor(config, again, 25 * hour);
  const { backups, failures } = await listBackups(config.backup.dir);
  expect(backups.map((one) => [one.id, one.state, one.level])).toEqual([
    [id, "complete", 3],
    [newer.id, "damaged", 0],
  ]);
  expect(failures).toMatchObject([{ id }, { id: newer.id, what: "proof", code: "backup_damaged" }]);
  const damage = expect.stringMatching(
    `^backup_failed: The last backup of job daily, ${newer.id}, is damaged: .+ has 100 bytes`,
  );
  expect(await said()).toContainEqual(damage);
  expect(await backupOverview(config, systemClock)).toMatchObject({ status: "failing", last: { id } });

  await createBackup(config, { job: "daily" });
  expect(await said()).not.toContainEqual(damage);
});

test("B3 the sidecar proves what it finds unproven when it starts", async () => {
  await using nodes = await cluster(2);
  const { backup } = await backupConfig(nodes, { jobs: [daily] });
  const config = await prepare(nodes, "create table item (id int primary key)", { backup });
  await createBackup(config, { job: "daily" });
  const stop = new AbortController();
  const running = runSidecar(config, { signal: stop.signal });
  try {
    await waitFor(async () => (await levels(config)).includes(3), { deadlineMs: 150_000 });
  } finally {
    stop.abort();
    await running;
  }
});
