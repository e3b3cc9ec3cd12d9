import { mkdir, readdir, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { BackupFolder } from "../../src/backup/folder.ts";
import { listBackups } from "../../src/backup/list.ts";
import { collectLeftovers } from "../../src/backup/making.ts";
import { readProof } from "../../src/backup/records.ts";
import { restoreFiles } from "../../src/backup/restore-files.ts";
import { readUploadFailure } from "../../src/backup/stored.ts";
import { uploadBackups } from "../../src/backup/upload.ts";
import { verifyBackup } from "../../src/backup/verify.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { systemClock } from "../../src/base/time.ts";
import type { Config } from "../../src/config/config.ts";
import { tempFolder } from "../support/child.ts";
import { type Cluster, cluster } from "../support/pg.ts";
import { backUp, backupConfig } from "./backup-support.ts";

vi.setConfig({ testTimeout: 120_000 });

// The tests may run as root, whom no right stops: links in a circle and folders in the place of files cannot be read by anybody.
const circle = (path: string) => symlink(path, path);

async function prepared(
  nodes: Cluster,
): Promise<{ config: Config; folder: BackupFolder; id: string; uploads: string }> {
  const includeRoot = await tempFolder();
  const uploads = join(includeRoot, "uploads");
  await mkdir(uploads);
  await writeFile(join(uploads, "a"), "a");
  const path = join(await tempFolder(), "store");
  await mkdir(path);
  await nodes.local.admin.query("create table item (id int primary key); insert into item values (1)");
  const config = await backupConfig(nodes, { includeRoot, include: ["uploads"], store: { kind: "folder", path } });
  return { config, folder: new BackupFolder(config.backup.dir), id: (await backUp(config)).id, uploads };
}

describe("a file that cannot be looked at is not taken for one that is not there", () => {
  test("B1 the record of a proof: the backup is no good one", async () => {
    await using nodes = await cluster(1);
    const { config, folder, id } = await prepared(nodes);
    await rm(folder.proof(id));
    await mkdir(folder.proof(id));
    const { backups } = await listBackups(config.backup.dir);
    expect(backups).toMatchObject([{ id, state: "damaged", reason: expect.stringContaining("it is a folder") }]);
    await expect(uploadBackups(config)).rejects.toMatchObject({ code: "backup_storage" });
    expect(await readUploadFailure(folder)).toMatchObject({ code: "backup_storage" });
  });

  test("B3 a file of the backup: it is not called damaged, neither by a proof nor by an upload", async () => {
    await using nodes = await cluster(1);
    const { config, folder, id } = await prepared(nodes);
    const file = join(folder.backup(id), "files.tar.gz");
    await rename(file, `${file}.away`);
    await circle(file);
    await expect(verifyBackup(config, id, { level: 0 })).rejects.toMatchObject({ code: "backup_storage" });
    await expect(uploadBackups(config)).rejects.toMatchObject({ code: "backup_storage" });
    expect(await readProof(folder, id)).toMatchObject({ level: 1, damage: null });
    await rm(file);
    await rename(`${file}.away`, file);
    expect(await verifyBackup(config, id, { level: 1 })).toMatchObject({ reached: 1, error: null });
    expect(await uploadBackups(config)).toMatchObject({ uploaded: [id] });
  });

  test("B2 the mark of a process that makes a backup: what it makes is not collected", async () => {
    const folder = new BackupFolder(await tempFolder());
    const partial = folder.partial("2020-01-01T00-00-00-000Z");
    await mkdir(partial, { recursive: true });
    await utimes(partial, 0, 0);
    await mkdir(`${partial}.owner`);
    await collectLeftovers(folder, systemClock, silentLogger);
    expect(await readdir(folder.making)).toHaveLength(2);
    await rm(`${partial}.owner`, { recursive: true });
    await collectLeftovers(folder, systemClock, silentLogger);
    expect(await readdir(folder.making)).toEqual([]);
  });

  test("B5 the place where files go: nothing is written, nor where it leads", async () => {
    await using nodes = await cluster(1);
    const { config, id, uploads } = await prepared(nodes);
    await rm(uploads, { recursive: true });
    await circle(uploads);
    await expect(restoreFiles(config, id)).rejects.toMatchObject({ code: "backup_storage" });
    await rm(uploads);
    expect(await restoreFiles(config, id)).toMatchObject({ created: 1, replaced: 0 });
  });

  test("C11 the record of the last upload: that it failed is not forgotten", async () => {
    const folder = new BackupFolder(await tempFolder());
    expect(await readUploadFailure(folder)).toBeNull();
    await mkdir(join(folder.stored, "failure.json"), { recursive: true });
    await expect(readUploadFailure(folder)).rejects.toMatchObject({ code: "EISDIR" });
  });
});
