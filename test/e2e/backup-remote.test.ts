import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { describe, expect, test, vi } from "vitest";
import { BackupFolder } from "../../src/backup/folder.ts";
import { pruneBackups } from "../../src/backup/prune.ts";
import { restoreBackup } from "../../src/backup/restore.ts";
import { restoreFiles } from "../../src/backup/restore-files.ts";
import { restoreNewDatabase } from "../../src/backup/restore-new.ts";
import { openStore } from "../../src/backup/store-open.ts";
import { listWithStore } from "../../src/backup/store-state.ts";
import { uploadBackups } from "../../src/backup/upload.ts";
import { verifyBackup } from "../../src/backup/verify.ts";
import { type Clock, systemClock } from "../../src/base/time.ts";
import type { BackupJob, Config } from "../../src/config/config.ts";
import { tempFolder } from "../support/child.ts";
import { pgDump, skipUnless } from "../support/components.ts";
import { type Cluster, cluster, expectEqual, sql } from "../support/pg.ts";
import { s3Config, s3Server, source, stores } from "../support/stores.ts";
import { backUp, backupConfig } from "./backup-support.ts";

vi.setConfig({ testTimeout: 240_000 });

const shape = "create table public.item (id int primary key, name text not null)";
const rows = "insert into public.item select g, repeat(md5(g::text), 4) from generate_series(1, 4000) g";
const job: BackupJob = {
  ...{ name: "hourly", node: "local", schedule: "0 * * * *", afterChange: null, include: null, proveEveryMs: null },
  ...{ keepLast: 2, keepDays: null, keepDaily: null, keepWeekly: null, keepMonthly: null },
};
/** A clock on which nobody waits. */
const quick: Clock = { now: () => Date.now(), sleep: async () => {} };

/** The machine is a new one: what lay on its disk is gone. */
const loseDisk = (config: Config) => rm(config.backup.dir, { recursive: true });
const listed = async (config: Config) =>
  (await listWithStore(config)).backups.map(({ id, state, places, level }) => ({ id, state, places, level }));

async function keyFile(): Promise<{ recipient: string; identity: string }> {
  const key = await generateX25519Identity();
  const identity = join(await tempFolder(), "key.txt");
  await writeFile(identity, `# created: today\n# public key: ${await identityToRecipient(key)}\n${key}\n`);
  return { recipient: await identityToRecipient(key), identity };
}

async function filled(changes: Partial<Config["backup"]> = {}): Promise<{ nodes: Cluster; config: Config }> {
  const nodes = await cluster(1);
  await nodes.local.admin.query(`${shape}; ${rows}`);
  return { nodes, config: await backupConfig(nodes, changes) };
}

describe.each(Object.entries(stores))("backups in a store: %s", (_, make) => {
  test.each([false, true])(
    "B1 B5 they are listed, proven, restored and pruned when the disk is lost (encrypted: %s)",
    async (locked) => {
      const key = locked ? await keyFile() : null;
      const encrypt = key && { recipients: [key.recipient], identity: key.identity };
      const { nodes, config } = await filled({ store: await make(), encrypt, jobs: [job] });
      await using _nodes = nodes;
      const made = [];
      for (let n = 0; n < 3; n++) {
        made.push((await backUp(config, { node: undefined, job: "hourly" })).id);
        await nodes.local.admin.query(`insert into item values (${10_000 + n}, 'later')`);
      }
      expect((await listed(config)).map(({ places }) => places)).toEqual(made.map(() => ["folder"]));
      expect((await uploadBackups(config)).uploaded).toEqual(made);
      expect((await uploadBackups(config)).uploaded).toEqual([]);
      expect((await listed(config)).map(({ places }) => places)).toEqual(made.map(() => ["folder", "store"]));
      expect(await verifyBackup(config, "latest", { level: 1, fromStore: true })).toMatchObject({
        reached: 1,
        error: null,
      });

      await loseDisk(config);
      expect(await listed(config)).toEqual(made.map((id) => ({ id, state: "complete", places: ["store"], level: 1 })));
      expect(await verifyBackup(config, "latest")).toMatchObject({ id: made[2], reached: 3, error: null });
      expect((await listed(config))[2]).toMatchObject({ level: 3, places: ["store"] });
      await nodes.local.admin.query(
        "delete from item where id % 3 = 0; update item set name = 'spoilt' where id < 100",
      );
      const report = await restoreBackup(config, made[0] ?? "", { mode: "exact" });
      expect(report.tables).toMatchObject([{ name: "item", inserted: 1333, updated: 66, deleted: 2 }]);
      const sum = "select count(*)::int as n, sum(length(name))::int as length from item";
      expect(await sql(nodes.local.url, sum)).toEqual([{ n: "4000", length: "512000" }]);
      // On a server that other files of tests use as well.
      const copy = `${nodes.local.database}_copy`;
      await restoreNewDatabase(config, made[0] ?? "", copy);
      await nodes.local.admin.query(`drop database "${copy}" with (force)`);

      await uploadBackups(config);
      const pruned = await pruneBackups(config);
      expect(pruned).toMatchObject({ removed: [made[0]], stuck: [] });
      expect((await listed(config)).map(({ id }) => id)).toEqual([made[1], made[2], report.safety]);
      expect(await keysOf(config)).not.toContain(made[0]);
      // Nothing is left lying in the folder of the work.
      expect(await new BackupFolder(config.backup.dir).partialIds()).toEqual([]);
    },
  );

  test.each([false, true])(
    "B5 files come back from it when the disk is lost, and not from a copy that was changed (encrypted: %s)",
    async (locked) => {
      const key = locked ? await keyFile() : null;
      const encrypt = key && { recipients: [key.recipient], identity: key.identity };
      const includeRoot = await tempFolder();
      const uploads = join(includeRoot, "uploads");
      await mkdir(join(uploads, "deep"), { recursive: true });
      // More than one part of an upload, and nothing that compression makes small.
      const large = randomBytes(9 * 2 ** 20);
      await writeFile(join(uploads, "deep", "large.bin"), large);
      await writeFile(join(uploads, "note.txt"), "as it was");
      const { nodes, config } = await filled({ store: await make(), encrypt, includeRoot, include: ["uploads"] });
      await using _nodes = nodes;
      const { id } = await backUp(config);
      await uploadBackups(config);

      await writeFile(join(uploads, "note.txt"), "changed");
      await rm(join(uploads, "deep"), { recursive: true });
      expect(await restoreFiles(config, id, { fromStore: true, dryRun: true })).toMatchObject({
        created: 1,
        replaced: 1,
      });
      expect(await readdir(uploads)).toEqual(["note.txt"]);
      await loseDisk(config);
      const done = await restoreFiles(config, "latest");
      expect(done).toMatchObject({ id, created: 1, replaced: 1 });
      expect((await readFile(join(uploads, "deep", "large.bin"))).equals(large)).toBe(true);
      expect(await readFile(join(uploads, "note.txt"), "utf8")).toBe("as it was");
      expect(await readFile(join(done.kept ?? "", "uploads", "note.txt"), "utf8")).toBe("changed");

      await replaceObject(config, `${id}/files.tar.gz${locked ? ".age" : ""}`, Buffer.from("something else"));
      const to = await tempFolder();
      await expect(restoreFiles(config, id, { to, clock: quick })).rejects.toMatchObject({
        code: "backup_damaged",
        message: expect.stringContaining("files.tar.gz"),
      });
      expect(await readdir(to)).toEqual([]);
      // What was brought here for it is gone again.
      expect(await new BackupFolder(config.backup.dir).partialIds()).toEqual([]);
      expect(await readdir(new BackupFolder(config.backup.dir).making)).toEqual([]);
    },
  );
});

async function replaceObject({ backup }: Config, key: string, bytes: Buffer): Promise<void> {
  if (!backup.store) throw new Error("there is no store");
  const store = await openStore(backup.store);
  await store.put(key, source(bytes), { bytes: bytes.length });
  store.close();
}

/** The names of the backups of which there is anything in the store. */
async function keysOf({ backup }: Config): Promise<string[]> {
  if (!backup.store) throw new Error("there is no store");
  const store = await openStore(backup.store);
  const keys = (await store.list("")).map(({ key }) => key.split("/")[0] ?? "");
  store.close();
  return [...new Set(keys)];
}

async function inBucket(changes: Partial<Config["backup"]> = {}) {
  const server = await s3Server();
  return { server, ...(await filled({ store: s3Config(server.endpoint), ...changes })) };
}

test("B1 what makes a backup of it is uploaded last; a failed upload leaves the copy here good and is on record (thing 25)", async () => {
  const { server, nodes, config } = await inBucket();
  await using _nodes = nodes;
  const { id } = await backUp(config);
  server.fail("busy", ({ op, key }) => op === "PutObject" && key.endsWith("database.dump"));
  await expect(uploadBackups(config, { clock: quick })).rejects.toMatchObject({ code: "store_failed" });
  expect([...server.objects.keys()]).toEqual([`shop/${id}/manifest.json`]);
  expect(await listWithStore(config)).toMatchObject({
    backups: [{ id, state: "complete", places: ["folder"] }],
    store: { behind: [id], failure: { code: "store_failed" }, unasked: null },
  });
  server.mend();
  expect((await uploadBackups(config)).uploaded).toEqual([id]);
  expect(server.requests.filter(({ op }) => op === "PutObject").at(-1)?.key).toBe(`shop/${id}/stored.json`);
  expect(await listWithStore(config)).toMatchObject({
    backups: [{ places: ["folder", "store"] }],
    store: { behind: [], failure: null },
  });
});

test("B2 what the disk has spoilt is not uploaded", async () => {
  const { server, nodes, config } = await inBucket();
  await using _nodes = nodes;
  const { id } = await backUp(config);
  const path = join(config.backup.dir, id, "database.dump");
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(500) ^ 1, 500);
  await writeFile(path, bytes);
  await expect(uploadBackups(config, { clock: quick })).rejects.toMatchObject({ code: "backup_damaged" });
  expect([...server.objects.keys()]).toEqual([`shop/${id}/manifest.json`]);
});

test.each([false, true])(
  "B2 bytes changed, cut off or exchanged in the store are found, with the file (thing 27; encrypted: %s)",
  async (locked) => {
    const key = locked ? await keyFile() : null;
    const encrypt = key && { recipients: [key.recipient], identity: key.identity };
    const { server, nodes, config } = await inBucket({ encrypt });
    await using _nodes = nodes;
    const one = await backUp(config);
    // Within one second both dumps would be the same, byte for byte.
    await nodes.local.admin.query("insert into item values (100000, 'later')");
    const two = await backUp(config);
    await uploadBackups(config);
    const ending = locked ? ".age" : "";
    const dump = `shop/${one.id}/database.dump${ending}`;
    const original = server.objects.get(dump)?.body ?? Buffer.alloc(0);
    const other = server.objects.get(`shop/${two.id}/database.dump${ending}`)?.body ?? Buffer.alloc(0);
    await rm(join(config.backup.dir, one.id), { recursive: true });
    const flip = (at: number) => (body: Buffer) => {
      body.writeUInt8(body.readUInt8(at) ^ 1, at);
      return body;
    };
    // Behind the header of age its chunks have 64 KiB and 16 bytes.
    const header = locked ? original.indexOf("\n", original.indexOf("\n--- ") + 1) + 17 : 0;
    const cuts = [original.length - 1, header + 65_552, 10, 0];
    const changes = [flip(0), flip(original.length >> 1), flip(original.length - 1), () => other];
    for (const change of [...changes, ...cuts.map((at) => (body: Buffer) => body.subarray(0, at))]) {
      server.tamper(dump, change);
      const proof = await verifyBackup(config, one.id, { level: 1, clock: quick });
      expect(proof).toMatchObject({ reached: null, error: { code: "backup_damaged" } });
      expect(proof.error?.message).toContain(`${one.id}/database.dump`);
      server.tamper(dump, () => original);
    }
    server.tamper(`shop/${one.id}/stored.json`, flip(40));
    expect(await verifyBackup(config, one.id, { level: 1 })).toMatchObject({ error: { code: "backup_damaged" } });
  },
);

test("B2 a copy in the store that is damaged, while the one here is good, is brought there anew", async () => {
  const { server, nodes, config } = await inBucket();
  await using _nodes = nodes;
  const { id } = await backUp(config);
  await uploadBackups(config);
  server.tamper(`shop/${id}/database.dump`, (body) => body.subarray(1));
  expect(await verifyBackup(config, id, { level: 0 })).toMatchObject({ reached: 0 });
  expect(await verifyBackup(config, id, { level: 0, fromStore: true })).toMatchObject({ reached: null });
  expect(await listed(config)).toMatchObject([{ id, state: "complete", places: ["folder"] }]);
  expect((await uploadBackups(config)).uploaded).toEqual([id]);
  expect(await verifyBackup(config, id, { level: 0, fromStore: true })).toMatchObject({ reached: 0 });
});

test("B5 a missing or wrong key is one clear error, before anything is touched (thing 28)", async () => {
  const [key, wrong] = [await keyFile(), await keyFile()];
  const { nodes, config } = await inBucket({ encrypt: { recipients: [key.recipient], identity: null } });
  await using _nodes = nodes;
  const { id } = await backUp(config);
  await uploadBackups(config);
  await loseDisk(config);
  const restore = (identity?: string) => restoreBackup(config, id, { mode: "exact", identity }).catch((e: Error) => e);
  const empty = join(dirname(key.identity), "empty.txt");
  await writeFile(empty, "# nothing\n");
  for (const identity of [undefined, wrong.identity, empty, "/none"]) {
    const error = await restore(identity);
    expect(error).toMatchObject({ code: "backup_locked" });
    expect((error as Error).message).not.toContain("AGE-SECRET-KEY-1");
  }
  // No backup for safety was made, for nothing was begun.
  expect(await listed(config)).toMatchObject([{ id, places: ["store"], state: "complete" }]);
  expect(await restore(key.identity)).toMatchObject({ id });
});

test("B6 the stock age, pg_restore and psql open what lies in the store, as the manual says", async () => {
  const programs = [pgDump(), skipUnless("psql"), skipUnless("age")].map((path) => dirname(path)).join(":");
  const [key, second] = [await keyFile(), await keyFile()];
  const at = join(await tempFolder(), "nas");
  await mkdir(at);
  const nodes = await cluster(2);
  await using _nodes = nodes;
  const [full, empty] = nodes.nodes as [Cluster["local"], Cluster["local"]];
  await full.admin.query(`${shape}; ${rows}`);
  const config = await backupConfig(nodes, {
    store: { kind: "folder", path: at },
    encrypt: { recipients: [second.recipient, key.recipient], identity: null },
  });
  const { id } = await backUp(config);
  await uploadBackups(config);
  const manual = await readFile(join(import.meta.dirname, "../../docs/backups.md"), "utf8");
  const commands = [...manual.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map((match) => match[1] ?? "");
  const plain = join(await tempFolder(), "plain");
  const env = {
    PATH: `${programs}:${process.env.PATH}`,
    ...{ COPY: join(at, id), KEY: key.identity, BACKUP: plain, EMPTY: empty.url },
  };
  for (const word of ["age --decrypt", "pg_restore"]) {
    const found = commands.filter((text) => text.includes(word));
    expect(found).toHaveLength(1);
    const shell = ["-euo", "pipefail", "-c", found[0] ?? ""];
    await promisify(execFile)("bash", shell, { env, timeout: 60_000 });
  }
  expect(await expectEqual([full, empty])).toEqual({ tables: 1, rows: 4000 });
});

test("B4 a removal that the store refuses is told, the backup stays visible, and is tried again (thing 24)", async () => {
  const { server, nodes, config } = await inBucket({ jobs: [{ ...job, keepLast: 1 }] });
  await using _nodes = nodes;
  const ids = [];
  for (let n = 0; n < 2; n++) ids.push((await backUp(config, { node: undefined, job: "hourly" })).id);
  await uploadBackups(config);
  server.fail("forbidden", ({ op }) => op === "DeleteObject");
  expect(await pruneBackups(config)).toMatchObject({ removed: [], stuck: [{ id: ids[0] }] });
  expect(await listed(config)).toMatchObject([{ id: ids[0], places: ["store"] }, { id: ids[1] }]);
  server.mend();
  expect(await pruneBackups(config)).toMatchObject({ removed: [ids[0]], stuck: [] });
  // A store that cannot be asked keeps no backup here from being pruned, and loses none.
  await backUp(config, { node: undefined, job: "hourly" });
  server.fail("busy", () => true);
  expect((await pruneBackups(config)).stuck).toMatchObject([{ id: "s3://bucket/shop/" }]);
  server.mend();
  expect((await listed(config)).map(({ id }) => id)).toContain(ids[1]);
});

test("B4 what broken uploads and removals have left in the store goes when it is a day old", async () => {
  const { server, nodes, config } = await inBucket();
  await using _nodes = nodes;
  const { id } = await backUp(config);
  server.fail("busy", ({ key }) => key.endsWith(".gz"));
  await expect(uploadBackups(config, { clock: quick })).rejects.toThrow();
  server.mend();
  await loseDisk(config);
  await pruneBackups(config);
  expect([...server.objects.keys()].every((key) => key.startsWith(`shop/${id}/`))).toBe(true);
  expect(server.objects.size).toBe(2);
  const late: Clock = { ...systemClock, now: () => Date.now() + 90_000_000 };
  await pruneBackups(config, { clock: late });
  expect([...server.objects.keys()]).toEqual([]);
});

test("two folders that share a place in the store are told so, and neither is written over", async () => {
  const { nodes, config } = await inBucket();
  await using _nodes = nodes;
  const clock: Clock = { ...quick, now: () => Date.parse("2026-05-05T10:00:00Z") };
  const other = { ...config, backup: { ...config.backup, dir: join(await tempFolder(), "backups") } };
  await backUp(config, { clock });
  await uploadBackups(config);
  // Else both would be the same, byte for byte.
  await nodes.local.admin.query("insert into item values (10000, 'later')");
  const { id } = await backUp(other, { clock });
  await expect(uploadBackups(other)).rejects.toMatchObject({
    code: "store_refused",
    message: expect.stringContaining(id),
  });
  expect(await verifyBackup(config, id, { level: 1, fromStore: true })).toMatchObject({ reached: 1 });
});
