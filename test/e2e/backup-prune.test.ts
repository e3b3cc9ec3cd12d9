import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { createBackup } from "../../src/backup/create.ts";
import { BackupFolder } from "../../src/backup/folder.ts";
import { listBackups } from "../../src/backup/list.ts";
import { Making } from "../../src/backup/making.ts";
import { markUse } from "../../src/backup/owner.ts";
import { pruneBackups } from "../../src/backup/prune.ts";
import { verifyBackup } from "../../src/backup/verify.ts";
import { systemClock } from "../../src/base/time.ts";
import type { BackupJob, Config } from "../../src/config/config.ts";
import { cluster } from "../support/pg.ts";
import { backupConfig } from "./backup-support.ts";

vi.setConfig({ testTimeout: 180_000 });

const job: BackupJob = {
  ...{ name: "often", node: "local", schedule: "*/5 * * * *", afterChange: null },
  ...{
    keepLast: 1,
    keepDays: null,
    keepDaily: null,
    keepWeekly: null,
    keepMonthly: null,
    proveEveryMs: null,
    include: null,
  },
};

async function ids(config: Config): Promise<string[]> {
  return (await listBackups(config.backup.dir)).backups.map(({ id }) => id);
}

async function prepared(
  nodes: Awaited<ReturnType<typeof cluster>>,
): Promise<{ config: Config; folder: BackupFolder; made: string[] }> {
  await nodes.local.admin.query("create table item (id int primary key); insert into item values (1)");
  const config = await backupConfig(nodes, { jobs: [job] });
  const made: string[] = [];
  for (let n = 0; n < 4; n++) made.push((await createBackup(config, { job: "often" })).id);
  return { config, folder: new BackupFolder(config.backup.dir), made };
}

test("B4 prune does what its dry run says; what is pinned, in use, proven or being made stays (thing 23)", async () => {
  await using nodes = await cluster(1);
  const { config, folder, made } = await prepared(nodes);
  const [first, second, third, last] = made as [string, string, string, string];
  const loose = (await createBackup(config, { node: "local", label: "mine" })).id;
  await writeFile(folder.pin(first), "");
  {
    await using _restore = await markUse(folder, second, "restore", systemClock);
    await using making = await Making.begin(folder, systemClock);
    const dry = await pruneBackups(config, { dryRun: true });
    expect(Object.fromEntries(dry.decisions.map(({ id, reasons }) => [id, reasons]))).toEqual({
      [first]: ["pinned"],
      [second]: ["in use"],
      [third]: ["no rule keeps it"],
      [last]: ["newest good of its job", "newest whole of its job", "among the last 1"],
      [loose]: expect.arrayContaining(["belongs to no job", "newest good of its node"]),
    });
    expect(await ids(config)).toHaveLength(5);
    expect(await pruneBackups(config)).toMatchObject({ removed: [third], stuck: [] });
    expect(await folder.partialIds()).toEqual([making.id]);
  }
  expect(await verifyBackup(config, first, { level: 3 })).toMatchObject({ reached: 3 });
  await rm(folder.pin(first));
  expect((await pruneBackups(config)).removed).toEqual([second]);
  expect(await ids(config)).toEqual([first, last, loose]);
  expect(await readdir(folder.making)).toEqual([]);
});

test("B4 what cannot be removed is told, is no backup any more, and is tried again (thing 24)", async () => {
  await using nodes = await cluster(1);
  const { config, folder, made } = await prepared(nodes);
  // Taken away by an earlier call that ended before the data were gone.
  await rename(folder.backup(made[0] ?? ""), folder.deleted(made[0] ?? ""));
  // A folder in its place cannot be renamed over, as root may do anything else.
  await mkdir(join(folder.deleted(made[1] ?? ""), "x"), { recursive: true });
  const report = await pruneBackups(config);
  expect(report.removed).toEqual([made[2]]);
  expect(report.stuck).toEqual([{ id: made[1], error: expect.stringMatching(/^backup_storage: .*Remedy/) }]);
  expect(await ids(config)).toEqual([made[1], made[3]]);
  expect((await verifyBackup(config, made[1] ?? "", { level: 1 })).error).toBeNull();
  expect(await pruneBackups(config)).toMatchObject({ removed: [made[1]], stuck: [] });
  expect(await readdir(folder.making)).toEqual([]);
});
