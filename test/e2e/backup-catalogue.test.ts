import { cp, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { noteCatalogue } from "../../src/backup/catalogue.ts";
import { BackupFolder } from "../../src/backup/folder.ts";
import { listBackups } from "../../src/backup/list.ts";
import { readManifest, sealManifest } from "../../src/backup/manifest.ts";
import { pruneBackups } from "../../src/backup/prune.ts";
import { verifyBackup } from "../../src/backup/verify.ts";
import { systemClock } from "../../src/base/time.ts";
import type { BackupJob, Config } from "../../src/config/config.ts";
import { codeOf } from "../support/link.ts";
import { type Cluster, cluster } from "../support/pg.ts";
import { backUp, backupConfig, fakePgDump } from "./backup-support.ts";
import { prepare } from "./verify-support.ts";

vi.setConfig({ testTimeout: 180_000 });

const job: BackupJob = {
  ...{ name: "often", node: "local", schedule: "0 3 * * *", afterChange: null, keepLast: 1, keepDays: null },
  ...{ keepDaily: null, keepWeekly: null, keepMonthly: null, proveEveryMs: null, include: null },
};

async function prepared(nodes: Cluster): Promise<Config> {
  const { backup } = await backupConfig(nodes, { jobs: [job], scratch: nodes.local.superUrl });
  return prepare(nodes, "create table item (id int primary key); insert into item values (1), (2)", { backup });
}

/** What the database says and what the folder says, in the same terms. */
async function both(nodes: Cluster, config: Config) {
  const database = await nodes.local.admin.query(
    `select backup_id as id, state, coalesce(job, '-') as job, rows::int, bytes::int, level, pinned,
       to_char(finished_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as finished from tandem.backup where place = $1 order by 1`,
    [`${hostname()}:${config.backup.dir}`],
  );
  const { backups, failures } = await listBackups(config.backup.dir);
  const entries = backups.map(({ id, state, job, rows, bytes, level, pinned, finishedAt }) => ({
    ...{
      id,
      state,
      job: job ?? "-",
      rows: String(rows),
      bytes: String(bytes),
      level: String(level),
      pinned: pinned ? "t" : "f",
    },
    finished: finishedAt,
  }));
  const failed = failures.map(({ id, job, failedAt }) => ({
    ...{ id, state: "failed", job: job ?? "-", rows: "0", bytes: "0", level: "0", pinned: "f", finished: failedAt },
  }));
  return { database, folder: [...entries, ...failed].sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

async function expectTrue(nodes: Cluster, config: Config, backups: number): Promise<void> {
  const { database, folder } = await both(nodes, config);
  expect(database).toEqual(folder);
  expect(database).toHaveLength(backups);
}

test("B1 the catalogue in the database is what the folder says, after every command and when it was lost", async () => {
  await using nodes = await cluster(2);
  const config = await prepared(nodes);
  const { admin } = nodes.local;
  const folder = new BackupFolder(config.backup.dir);
  const first = await backUp(config, { node: undefined, job: "often" });
  await expectTrue(nodes, config, 1);
  await verifyBackup(config, first.id);
  await expectTrue(nodes, config, 1);
  expect(await admin.value("select level from tandem.backup")).toBe("3");

  // Failed ones are in it from the next success on, as are those that another process sealed and did not live to note.
  expect(await codeOf(backUp(config, { pgBin: await fakePgDump("exit 1") }))).toBe("program_failed");
  const copied = await folder.nextId(systemClock);
  await cp(folder.backup(first.id), folder.backup(copied), { recursive: true });
  const manifest = await readManifest(folder.backup(first.id));
  await writeFile(join(folder.backup(copied), "manifest.json"), sealManifest({ ...manifest, id: copied }));
  await admin.query(
    "insert into tandem.backup select 'elsewhere', backup_id, state, reason, job, label, started_at, finished_at, rows, bytes, level, proven_at, pinned from tandem.backup",
  );
  const last = await backUp(config, { node: undefined, job: "often" });
  await expectTrue(nodes, config, 4);

  // A backup that became damaged stays in it, as that.
  await rm(join(folder.backup(copied), "manifest.json"));
  await verifyBackup(config, last.id, { level: 0 });
  expect(await admin.value("select state from tandem.backup where backup_id = $1", [copied])).toBe("damaged");

  await admin.query("delete from tandem.backup where place <> 'elsewhere'");
  await noteCatalogue(config, ["local"], {});
  // Whose it is nobody knows any more.
  const { database } = await both(nodes, config);
  expect(database.map(({ state }) => state)).toEqual(["complete", "failed", "complete"]);

  await rm(folder.backup(copied), { recursive: true });
  expect((await pruneBackups(config)).removed).toEqual([]);
  const newest = await backUp(config, { node: undefined, job: "often" });
  expect((await pruneBackups(config)).removed).toEqual([last.id]);
  await expectTrue(nodes, config, 3);
  expect((await both(nodes, config)).database.map(({ id }) => id)).toEqual(
    expect.arrayContaining([first.id, newest.id]),
  );
  expect(await admin.value("select count(*) from tandem.backup where place = 'elsewhere'")).toBe("1");
});

test("B1 processes that write the catalogue at once leave it true; one that cannot be written to costs no backup", async () => {
  await using nodes = await cluster(2);
  const config = await prepared(nodes);
  const { admin } = nodes.local;
  await Promise.all(["a", "b", "c"].map((label) => backUp(config, { label, wait: true })));
  await Promise.all(Array.from({ length: 6 }, () => noteCatalogue(config, ["local", "external"], {})));
  await expectTrue(nodes, config, 3);
  expect(await nodes.external.admin.value("select count(*) from tandem.backup")).toBe("0");
  await admin.query("alter table tandem.backup rename to gone");
  expect(await backUp(config)).toMatchObject({ state: "complete" });
  await admin.query("alter table tandem.gone rename to backup; alter table tandem.backup add check (false) not valid");
  const warnings: string[] = [];
  const logger = {
    ...(await import("../../src/base/logger.ts")).silentLogger,
    warn: (_: object, text: string) => void warnings.push(text),
  };
  expect(await backUp(config, { logger })).toMatchObject({ state: "complete" });
  expect(warnings).toEqual([expect.stringMatching(/^the catalogue of backups cannot be written: sql_failed/)]);
  await admin.query("alter table tandem.backup drop constraint backup_check");
  await noteCatalogue(config, ["local"], {});
  await expectTrue(nodes, config, 5);
});
