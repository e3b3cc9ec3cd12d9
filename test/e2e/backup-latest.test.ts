import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { BackupFolder } from "../../src/backup/folder.ts";
import { resolveId } from "../../src/backup/resolve-id.ts";
import { restoreBackup } from "../../src/backup/restore.ts";
import { restoreNewDatabase } from "../../src/backup/restore-new.ts";
import { verifyBackup } from "../../src/backup/verify.ts";
import { cluster } from "../support/pg.ts";
import { backUp, backupConfig } from "./backup-support.ts";

vi.setConfig({ testTimeout: 180_000 });

test("B5 `latest` is the newest good backup, of the node that is named: never one that a restore made before it, nor a damaged one", async () => {
  await using nodes = await cluster(2);
  const [local, external] = [nodes.local.admin, nodes.external.admin];
  for (const { admin } of nodes)
    await admin.query("create table item (id int primary key, name text); insert into item values (1, 'good')");
  const config = await backupConfig(nodes);
  const latest = (node?: string) => resolveId(config, "latest", { node });
  await expect(latest()).rejects.toMatchObject({ code: "not_found", hint: "`tandem backup create` makes one." });
  const { id: first } = await backUp(config);
  const exact = (more: object = {}) => restoreBackup(config, "latest", { mode: "exact", node: "local", ...more });

  await local.query("update item set name = 'spoiled'; insert into item values (2, 'spoiled')");
  const merged = await restoreBackup(config, "latest", { mode: "merge" });
  expect(merged).toMatchObject({ id: first, safety: expect.stringMatching(/^\d{4}-/) });
  // That did not suffice: the same once more, to the full.
  expect(await exact({ dryRun: true })).toMatchObject({ id: first });
  expect(await exact()).toMatchObject({ id: first });
  expect(await local.value("select string_agg(name, ',') from item")).toBe("good");

  // Another node's backup is newer, and is not what is meant.
  const { id: others } = await backUp(config, { node: "external" });
  await external.query("update item set name = 'other'");
  expect([await latest(), await latest("local"), await latest("external")]).toEqual([others, first, others]);
  await expect(latest("nobody")).rejects.toMatchObject({ message: expect.stringContaining("of node nobody") });
  const database = `${nodes.local.database}_copy`;
  try {
    expect(await restoreNewDatabase(config, "latest", database, { node: "local" })).toMatchObject({ id: others });
  } finally {
    await local.query(`drop database if exists "${database}" with (force)`);
  }

  const folder = new BackupFolder(config.backup.dir);
  for (const [id, file] of [
    [others, "manifest.json"],
    [first, "database.dump"],
  ] as const)
    await writeFile(join(folder.backup(id), file), "x");
  expect(await verifyBackup(config, "latest", { level: 0 })).toMatchObject({ id: first, reached: null });
  await expect(latest()).rejects.toMatchObject({
    code: "not_found",
    message: expect.stringMatching(/^there is no good backup in .* but for what was made before a restore$/),
  });
  expect(await resolveId(config, merged.safety ?? "")).toBe(merged.safety);
});
