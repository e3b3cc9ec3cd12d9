import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { digestFile } from "../../src/backup/files.ts";
import { BackupFolder, isBackupId } from "../../src/backup/folder.ts";
import { type BackupEntry, type BackupList, listBackups } from "../../src/backup/list.ts";
import { DatabaseLock } from "../../src/backup/lock.ts";
import { collectLeftovers, Making } from "../../src/backup/making.ts";
import { readManifest } from "../../src/backup/manifest.ts";
import { silentLogger } from "../../src/base/logger.ts";
import type { Clock } from "../../src/base/time.ts";
import type { Config } from "../../src/config/config.ts";
import { spawnTandem, tempFolder } from "../support/child.ts";
import { type Cluster, cluster, openClient } from "../support/pg.ts";
import { seeded } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";
import { backUp, backupConfig, fakePgDump, filesIn, openGate } from "./backup-support.ts";
import { run, runJson } from "./cli-runner.ts";

vi.setConfig({ testTimeout: 600_000 });

const simple = `create table public.item (id int primary key, name text not null);
  insert into public.item select g, repeat(md5(g::text), 4) from generate_series(1, 20000) g`;

/** A clock that stands where it is put. */
function clockAt(start: string): Clock & { set(text: string): void } {
  let now = Date.parse(start);
  return { now: () => now, sleep: async () => {}, set: (text) => (now = Date.parse(text)) };
}

async function folderOf(nodes: Cluster, extra = "") {
  const cwd = await tempFolder();
  const text = `nodes: { local: { url: "\${DATABASE_URL}" } }\nbackup: { dir: backups${extra} }\n`;
  await writeFile(join(cwd, "tandem.yaml"), text);
  return { cwd, env: { DATABASE_URL: nodes.local.url }, folder: new BackupFolder(join(cwd, "backups")) };
}

describe("the command", () => {
  test("B1 makes and lists backups, as text and as JSON; the password is in no output and no command line", async () => {
    await using nodes = await cluster(1, { owner: true });
    const secret = "Sehr-geheim:\\\\1";
    await nodes.local.admin.query(`create table item (id int primary key, name text); alter table item owner to "${nodes.local.owner}";
      alter role "${nodes.local.owner}" password '${secret}'`);
    const url = new URL(nodes.local.url);
    url.password = encodeURIComponent(secret);
    const spy = await fakePgDump(
      `tr '\\0' '\\n' < /proc/$$/cmdline > "$file.args"; tr '\\0' '\\n' < /proc/$$/environ >> "$file.args"; mv "$file.args" "$here/args"; exec "$real" "$@"`,
    );
    const at = await folderOf(nodes, `, pg_bin: ${spy}`);
    const options = { ...at, env: { DATABASE_URL: url.href } };
    const made = await runJson<BackupEntry>(["backup", "create", "--label", "first"], options);
    expect(made).toMatchObject({
      code: 0,
      document: { state: "complete", level: 1, node: "local", label: "first", job: null },
    });
    const seen = await readFile(join(spy, "args"), "utf8");
    expect(seen).toContain("--format=custom");
    // The URL is in the environment of the command by the test's own choice, and in that of its children.
    expect(seen.replace(/^DATABASE_URL=.*$/m, "")).not.toContain("geheim");
    const listed = await runJson<BackupList>(["backup", "list"], options);
    expect(listed.document.backups).toEqual([made.document]);
    const text = await run(["backup", "list"], options);
    expect(text.stdout).toMatch(new RegExp(`^${made.document.id} +local +– +readable +0 .* first$`, "m"));
  });

  test("B1 a failure ends with 1 and is listed, the earlier backup stays (thing 1)", async () => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(simple);
    const at = await folderOf(nodes);
    const { document: good } = await runJson<BackupEntry>(["backup", "create"], at);
    const wrong = new URL(nodes.local.url);
    wrong.password = "nicht-das-richtige";
    const failed = await runJson<{ error: { code: string } }>(["backup", "create"], {
      ...at,
      env: { DATABASE_URL: wrong.href },
    });
    expect(failed).toMatchObject({ code: 1, document: { error: { code: "wrong_password" } } });
    const { stdout } = await run(["backup", "list"], at);
    expect(stdout).toContain(good.id);
    expect(stdout).toMatch(/^The last try failed .*password/m);
    expect((await run(["backup", "create", "--job", "x"], at)).code).toBe(2);
    expect((await run(["backup", "create", "--node", "x"], at)).stderr).toMatch(
      /^usage: there is no node x\. Remedy: Name one of local/,
    );
    expect((await run(["backup", "list", "--label", "x"], at)).code).toBe(2);
  });

  test("B2 of two processes that start together one makes a backup, the other names it (thing 15)", async () => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(simple);
    const pgBin = await fakePgDump(`await_gate; exec "$real" "$@"`);
    const at = await folderOf(nodes, `, pg_bin: ${pgBin}`);
    const running = ["a", "b"].map((label) =>
      runJson<BackupEntry & { error: { message: string } }>(["backup", "create", "--label", label], at),
    );
    // The one that makes it is not done before the other has said its word.
    await Promise.race(running);
    await openGate(pgBin);
    const results = await Promise.all(running);
    expect(results.map(({ code }) => code).sort()).toEqual([0, 1]);
    const [won] = results.filter(({ code }) => code === 0);
    const [lost] = results.filter(({ code }) => code === 1);
    expect(lost?.document.error).toMatchObject({
      code: "backup_running",
      message: `node local: backup ${won?.document.id} is at work`,
    });
    expect((await listBackups(at.folder.path)).backups).toHaveLength(1);
  });

  test("B2 who asks before the lock has a name is told it as soon as it has one (thing 15)", async () => {
    await using nodes = await cluster(1);
    const [node] = (await backupConfig(nodes)).nodes;
    if (!node) throw new Error("a configuration without a node");
    const clock: Clock = { now: () => Date.now(), sleep: () => held.name("backup of the test") };
    await using held = await DatabaseLock.take(node, { purpose: "backup", wait: false, clock });
    await expect(DatabaseLock.take(node, { purpose: "backup", wait: false, clock })).rejects.toMatchObject({
      code: "backup_running",
      message: "node local: backup of the test is at work",
    });
  });

  test("B1 an emergency stands in line behind a running backup (thing 18)", async () => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(simple);
    const pgBin = await fakePgDump(`await_gate; exec "$real" "$@"`);
    const at = await folderOf(nodes, `, pg_bin: ${pgBin}`);
    const first = spawnTandem(["backup", "create"], at);
    await waitFor(async () => (await at.folder.partialIds()).length > 0);
    const emergency = spawnTandem(["backup", "create", "--label", "emergency", "--json"], at);
    await emergency.waitForLine("waiting for");
    await openGate(pgBin);
    const { code, stdout } = await emergency.ended();
    expect({ code, document: JSON.parse(stdout) }).toMatchObject({ code: 0, document: { label: "emergency" } });
    expect((await first.ended()).code).toBe(0);
    expect((await listBackups(at.folder.path)).backups.map(({ label }) => label)).toEqual([null, "emergency"]);
  });
});

describe("the command restore", () => {
  test("B1 a table that is locked for longer than one wait: those behind the backup go first, and it stands in line anew", async () => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(simple);
    const at = await folderOf(nodes);
    const holder = await openClient(nodes.local.url);
    await holder.query("begin; lock table public.item in access exclusive mode");
    const running = runJson<BackupEntry>(["backup", "create"], at);
    const waitsSince = async () =>
      (await nodes.local.admin.value(`select query_start::text from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like 'lock table%'`)) ?? "";
    const first = await waitFor(waitsSince);
    await waitFor(async () => !["", first].includes(await waitsSince()), { deadlineMs: 120_000 });
    await holder.query("commit");
    expect(await running).toMatchObject({ code: 0, document: { state: "complete", rows: 20_000 } });
  });

  test("B5 lists, shows what it would do, asks, does it", async () => {
    await using nodes = await cluster(1, { owner: true });
    const { admin, owner, database } = nodes.local;
    await admin.query(`create table item (id int primary key, name text); insert into item select g, 'x' from generate_series(1, 5) g;
      alter table item owner to "${owner}"`);
    const at = await folderOf(nodes);
    expect((await run(["restore"], at)).stdout).toMatch(/^There is no backup in /);
    const { document: made } = await runJson<BackupEntry>(["backup", "create"], at);
    await admin.query(
      "delete from item where id = 1; update item set name = 'y' where id = 2; insert into item values (9, 'new')",
    );
    expect((await run(["restore"], at)).stdout).toContain(made.id);

    const noMode = await run(["restore", "latest"], at);
    expect(noMode).toMatchObject({ code: 2, stdout: "" });
    expect(noMode.stderr).toMatch(/^usage: say --mode merge or --mode exact\. Remedy: merge keeps/);
    const unasked = await run(["restore", "latest", "--mode", "exact"], at);
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toContain("--yes");
    expect((await run(["restore", "2020-01-01T00-00-00-000Z", "--mode", "exact", "--yes"], at)).code).toBe(2);

    const dry = await run(["restore", made.id, "--mode", "exact", "--dry-run"], at);
    expect(dry.code).toBe(0);
    expect(dry.stdout).toMatch(/^public\.item +1 +1 +3 +1$/m);
    expect(await admin.value("select count(*) from item where name = 'new'")).toBe("1");
    const merged = await runJson<{ tables: object[]; safety: string }>(
      ["restore", "latest", "--mode", "merge", "--yes"],
      at,
    );
    expect(merged).toMatchObject({
      code: 0,
      document: { id: made.id, tables: [{ inserted: 1, updated: 1, unchanged: 3, deleted: 0, extra: 1 }] },
    });
    const exact = await run(["restore", made.id, "--mode", "exact", "--tables", "item", "--yes"], at);
    expect(exact).toMatchObject({ code: 0 });
    expect(exact.stdout).toMatch(/^What was there before is backup /m);
    expect(await admin.value("select string_agg(id || name, ',' order by id) from item")).toBe("1x,2x,3x,4x,5x");
    const { document: list } = await runJson<BackupList>(["backup", "list"], at);
    expect(list.backups.map(({ label }) => label)).toEqual([null, "before-restore", "before-restore"]);

    const copy = `${database}_copy`;
    expect((await run(["restore", made.id, "--new-database", copy, "--mode", "exact"], at)).code).toBe(2);
    const mayNot = await run(["restore", made.id, "--new-database", copy], at);
    expect(mayNot.code).toBe(1);
    expect(mayNot.stderr).toMatch(
      /^permission_denied: .* Remedy: The role of the URL must be allowed to create databases/,
    );
    await admin.query(`alter role "${owner}" createdb`);
    try {
      const created = await runJson(["restore", made.id, "--new-database", copy], at);
      expect(created).toMatchObject({ code: 0, document: { database: copy, tables: 1, rows: 5 } });
    } finally {
      await admin.query(`drop database if exists "${copy}"`);
    }
  });
});

describe("nothing is half there", () => {
  test("B2 kill -9 at random points: what is sealed stays whole, the rest is collected (thing 13)", async () => {
    const random = seeded(Number(process.env.SEED ?? Date.now() % 1_000_000));
    const seed = `seed ${random.seed}`;
    await using nodes = await cluster(1);
    await nodes.local.admin.query(simple);
    const at = await folderOf(nodes);
    const digests = new Map<string, string>();
    const kills = Number(process.env.KILLS ?? 12);
    let killed = 0;
    const begun = async () => {
      const before = (await at.folder.partialIds()).length;
      const child = spawnTandem(["backup", "create"], at);
      await waitFor(async () => child.result ?? (await at.folder.partialIds()).length > before, { every: 10 });
      return child;
    };
    // One that nobody kills tells where the others are to be hit.
    const first = await begun();
    const from = performance.now();
    await waitFor(() => first.result, { every: 10 });
    const took = Math.ceil(performance.now() - from);
    for (let turn = 0; turn < kills; turn++) {
      const child = await begun();
      await new Promise((resolve) => setTimeout(resolve, random.int(0, took)));
      if ((await child.kill("SIGKILL")).signal === "SIGKILL") killed++;
      const { backups } = await listBackups(at.folder.path);
      expect(
        backups.filter(({ state }) => state !== "complete"),
        seed,
      ).toEqual([]);
      for (const { id } of backups) {
        for (const { path } of (await readManifest(at.folder.backup(id))).files) {
          const { sha256 } = await digestFile(join(at.folder.backup(id), path));
          expect(digests.get(`${id}/${path}`) ?? sha256, seed).toBe(sha256);
          digests.set(`${id}/${path}`, sha256);
        }
      }
      // The server notices a killed client when it next writes to it.
      await waitFor(
        async () =>
          (await nodes.local.admin.value(
            "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'tandem/%'",
          )) === "0",
        { deadlineMs: 60_000 },
      );
    }
    expect(killed, seed).toBeGreaterThan(0);
    const left = await at.folder.partialIds();
    // An hour later by the clock of whoever looks; the processes are gone.
    const later: Clock = { now: () => Date.now() + 3_600_001, sleep: async () => {} };
    expect(await collectLeftovers(at.folder, later, silentLogger), seed).toEqual(left);
    expect(await readdir(at.folder.making), seed).toEqual([]);
    // Where this takes longer than a minute, the first ones have been collected on the way.
    const failures = (await listBackups(at.folder.path)).failures.map(({ id }) => id);
    // What was killed while it said whose it is leaves the half of that file too.
    expect(failures).toEqual(expect.arrayContaining(left.filter(isBackupId)));
    const after = await runJson<BackupEntry>(["backup", "create"], at);
    expect(after).toMatchObject({ code: 0 });
  });

  test("B2 a disk that gets full leaves nothing behind (thing 6)", async (context) => {
    const mount = join(await tempFolder(), "small");
    await mkdir(mount);
    const sh = (script: string) => promisify(execFile)("sh", ["-c", script]);
    const mounted = await sh(`mount -t tmpfs -o size=24m tmpfs ${mount}`).catch(() => null);
    if (!mounted) return context.skip("no right to mount a small disk");
    try {
      await using nodes = await cluster(1);
      await nodes.local.admin.query(
        `create table big as select g as id, (select string_agg(md5(random()::text || g || i), '') from generate_series(1, 30) i) as junk from generate_series(1, 30000) g`,
      );
      const config = { ...(await backupConfig(nodes)) };
      const small = { ...config, backup: { ...config.backup, dir: join(mount, "backups") } };
      const free = () => sh(`df --output=avail ${mount} | tail -1`);
      const before = (await free()).stdout;
      const expectFull = async (changes: Partial<Config["backup"]>) => {
        await expect(backUp({ ...small, backup: { ...small.backup, ...changes } })).rejects.toMatchObject({
          message: expect.stringMatching(/full|No space left/),
        });
        expect((await listBackups(small.backup.dir)).unsealed).toEqual([]);
        expect(await filesIn(small)).toEqual([]);
      };
      for (const compress of [true, false]) await expectFull({ compress });
      // Full at once; and full when both halves are there, and only the manifest is not.
      const fill = `cat /dev/zero > ${mount}/filler 2>/dev/null`;
      const rows = `"$(dirname "$file")"/json/public.big.ndjson.gz`;
      await expectFull({ pgBin: await fakePgDump(`${fill}; exec "$real" "$@"`) });
      await sh(`rm ${mount}/filler`);
      await nodes.local.admin.query("delete from big where id > 10");
      const late = await fakePgDump(`"$real" "$@" || exit 1; until [ -s ${rows} ]; do sleep 0.05; done; ${fill}; true`);
      await expectFull({ pgBin: late });
      await sh(`rm ${mount}/filler`);
      expect((await backUp(small)).state).toBe("complete");
      await sh(`rm -r ${mount}/backups`);
      expect(Math.abs(Number((await free()).stdout) - Number(before))).toBeLessThan(64);
    } finally {
      await sh(`umount ${mount}`);
    }
  });

  test("B2 what another machine or a living process is making is not touched", async () => {
    const folder = new BackupFolder(join(await tempFolder(), "backups"));
    const clock = clockAt("2026-01-01T00:00:00Z");
    await using making = await Making.begin(folder, clock);
    const elsewhere = folder.partial("2025-12-31T00-00-00-000Z");
    await mkdir(elsewhere);
    const owner = { token: "x", host: "another", pid: 1, born: null, purpose: "backup" };
    await writeFile(`${elsewhere}.owner`, JSON.stringify(owner));
    const at = clock.now() / 1000;
    await utimes(`${elsewhere}.owner`, at, at);
    clock.set("2026-01-01T00:59:00Z");
    expect(await collectLeftovers(folder, clock, silentLogger)).toEqual([]);
    clock.set("2026-01-01T01:01:00Z");
    expect(await collectLeftovers(folder, clock, silentLogger)).toEqual(["2025-12-31T00-00-00-000Z"]);
    expect(await folder.partialIds()).toEqual([making.id]);
  });

  test("B2 who was killed after the backup was renamed leaves no file that says whose it was", async () => {
    const folder = new BackupFolder(join(await tempFolder(), "backups"));
    const clock = clockAt("2026-01-01T00:00:00Z");
    const at = clock.now() / 1000;
    await mkdir(folder.making, { recursive: true });
    const dead = { token: "x", host: hostname(), pid: 1, born: "a boot before this one", purpose: "backup" };
    const elsewhere = { ...dead, host: "another" };
    for (const [name, owner] of Object.entries({ "a.partial": dead, "b.work": dead, "c.partial": elsewhere })) {
      const mark = join(folder.making, `${name}.owner`);
      await writeFile(mark, JSON.stringify(owner));
      await utimes(mark, at, at);
    }
    const left = async () => (await readdir(folder.making)).sort();
    await collectLeftovers(folder, clock, silentLogger);
    expect(await left()).toEqual(["a.partial.owner", "b.work.owner", "c.partial.owner"]);
    clock.set("2026-01-01T00:01:01Z");
    await collectLeftovers(folder, clock, silentLogger);
    expect(await left()).toEqual(["c.partial.owner"]);
    clock.set("2026-01-01T01:00:01Z");
    await collectLeftovers(folder, clock, silentLogger);
    expect(await left()).toEqual([]);
  });

  test("B2 names are unique and in order when the clock is set back, and when two begin at one moment (thing 17)", async () => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query("create table item (id int primary key)");
    const config = await backupConfig(nodes);
    const folder = new BackupFolder(config.backup.dir);
    const clock = clockAt("2026-03-29T02:30:00Z");
    const ids: string[] = [];
    for (const time of ["2026-03-29T02:30:00Z", "2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z"]) {
      clock.set(time);
      ids.push((await backUp(config, { clock })).id);
    }
    expect(ids).toEqual(["2026-03-29T02-30-00-000Z", "2026-03-29T02-30-00-001Z", "2026-03-29T02-30-00-002Z"]);
    const together = await Promise.all(Array.from({ length: 8 }, () => Making.begin(folder, clock)));
    expect(new Set([...ids, ...together.map(({ id }) => id)]).size).toBe(11);
    for (const making of together) await making[Symbol.asyncDispose]();
  });
});
