import { rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { BackupFolder } from "../../src/backup/folder.ts";
import { pruneBackups } from "../../src/backup/prune.ts";
import { listWithStore } from "../../src/backup/store-state.ts";
import { unsealStored } from "../../src/backup/stored.ts";
import { uploadBackups } from "../../src/backup/upload.ts";
import { verifyBackup } from "../../src/backup/verify.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { type Clock, systemClock } from "../../src/base/time.ts";
import type { BackupJob } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import { type StatusReport, status } from "../../src/sidecar/status.ts";
import { uploadLoop } from "../../src/sidecar/upload-loop.ts";
import { spawnTandem, tandem, tempFolder } from "../support/child.ts";
import { noteEvidence } from "../support/evidence.ts";
import { type Cluster, cluster } from "../support/pg.ts";
import type { S3Server } from "../support/s3-server.ts";
import { seeded } from "../support/seed.ts";
import { s3Config, s3Server } from "../support/stores.ts";
import { waitFor } from "../support/wait.ts";
import { backUp, backupConfig } from "./backup-support.ts";
import { prepare, sync } from "./verify-support.ts";

vi.setConfig({ testTimeout: 600_000 + Number(process.env.KILLS ?? 0) * 20_000 });

const secret = "very/Secret+Key0123456789";
const job: BackupJob = {
  ...{ name: "hourly", node: "local", schedule: "0 * * * *", afterChange: null, include: null, proveEveryMs: null },
  ...{ keepLast: 2, keepDays: null, keepDaily: null, keepWeekly: null, keepMonthly: null },
};

/** A folder with a tandem.yaml of one node, one job and a bucket. */
async function folderOf(nodes: Cluster, server: S3Server) {
  await nodes.local.admin.query(
    "create table item as select g as id, md5(g::text) as name from generate_series(1, 500) g",
  );
  const cwd = await tempFolder();
  const env = { DATABASE_URL: nodes.local.url, S3_KEY: secret };
  await writeFile(
    join(cwd, "tandem.yaml"),
    `nodes: { local: { url: "\${DATABASE_URL}" } }
backup:
  store: { bucket: bucket, prefix: shop, endpoint: "${server.endpoint}", access_key_id: id, secret_access_key: "\${S3_KEY}" }
  jobs: [ { name: hourly, node: local, schedule: "0 * * * *", keep_last: 1 } ]
`,
  );
  return { cwd, env, config: await loadConfig({ cwd, env }), folder: new BackupFolder(join(cwd, "backups")) };
}

/** Backups that the store calls whole; throws where one of them is not. */
function wholeIn(server: S3Server): string[] {
  const seals = [...server.objects.keys()].filter((key) => key.endsWith("/stored.json"));
  return seals.map((key) => {
    const stored = unsealStored(server.objects.get(key)?.body.toString() ?? "", key);
    for (const { path, bytes } of stored.objects)
      expect(server.objects.get(`shop/${stored.id}/${path}`)?.body.length, path).toBe(bytes);
    return stored.id;
  });
}

/** What a killed process holds is let go when it is silent for a minute: that minute is over. */
async function aMinuteLater(folder: BackupFolder): Promise<void> {
  const then = Date.now() / 1000 - 120;
  await utimes(join(folder.making, "upload.work.owner"), then, then).catch(() => {});
}

test("B1 the command brings a backup to the store; when that fails it says so and the backup is there; no key is printed", async () => {
  const server = await s3Server();
  await using nodes = await cluster(1);
  const at = await folderOf(nodes, server);
  server.fail("forbidden", ({ op }) => op === "PutObject");
  const failed = await tandem(["backup", "create", "--json"], at);
  expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining("store_refused") });
  expect(JSON.parse(failed.stdout)).toMatchObject({ state: "complete", places: ["folder"] });
  const listed = await tandem(["backup", "list"], at);
  expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining("only here") });
  expect(listed.stdout).toContain("1 backup is not in s3://bucket/shop/ yet");
  expect(await tandem(["backup", "upload"], at)).toMatchObject({ code: 1, stdout: "" });
  server.mend();
  expect(await tandem(["backup", "upload"], at)).toMatchObject({ code: 0, stderr: "" });
  const made = await tandem(["backup", "create", "--json"], at);
  expect(made).toMatchObject({ code: 0 });
  expect(JSON.parse(made.stdout)).toMatchObject({ places: ["folder", "store"] });
  expect((await tandem(["backup", "list"], at)).stdout).not.toMatch(/only here|not in/);
  expect(wholeIn(server)).toHaveLength(2);
  server.fail("busy", () => true);
  expect(await tandem(["backup", "list"], at)).toMatchObject({
    code: 1,
    stdout: expect.stringContaining("As known before"),
  });
  for (const said of [failed, listed, made]) expect(said.stdout + said.stderr).not.toContain(secret);
  expect(server.requests.every(({ headers }) => !JSON.stringify(headers).includes(secret))).toBe(true);
});

test("B2 kill -9 while it uploads: what the store calls a backup is whole, and the next upload ends it (thing 25)", async () => {
  const random = seeded(Number(process.env.SEED ?? Date.now() % 1_000_000));
  const server = await s3Server();
  await using nodes = await cluster(1);
  const at = await folderOf(nodes, server);
  const made: string[] = [];
  for (let n = 0; n < 2; n++) made.push((await backUp(at.config)).id);
  server.delayMs = 20;
  const kills = Number(process.env.KILLS ?? 6);
  let killed = 0;
  for (let turn = 0; turn < kills; turn++) {
    if (wholeIn(server).length === made.length) made.push((await backUp(at.config)).id);
    const until = server.requests.length + random.int(1, 14);
    const child = spawnTandem(["backup", "upload"], at);
    await waitFor(() => child.result ?? server.requests.length >= until, { every: 2 });
    if ((await child.kill("SIGKILL")).signal === "SIGKILL") killed += 1;
    await waitFor(() => server.isQuiet());
    const whole = wholeIn(server);
    const known = await listWithStore(at.config);
    const stored = known.backups.filter(({ places }) => places.includes("store"));
    expect(
      stored.map(({ id }) => id),
      `seed ${random.seed}`,
    ).toEqual(whole);
    expect(
      known.backups.map(({ state }) => state),
      `seed ${random.seed}`,
    ).toEqual(made.map(() => "complete"));
    await aMinuteLater(at.folder);
  }
  expect(killed, `of ${kills}, seed ${random.seed}`).toBeGreaterThan(kills / 2);
  await uploadBackups(at.config);
  expect(wholeIn(server)).toEqual(made);
  for (const id of made)
    expect(await verifyBackup(at.config, id, { level: 1, fromStore: true }), `seed ${random.seed}`).toMatchObject({
      reached: 1,
    });
  await noteEvidence({ kills, seed: random.seed, killed: { upload: killed } });
});

test("B4 kill -9 while it prunes: what is listed is whole, and what is left over goes in the end", async () => {
  const random = seeded(Number(process.env.SEED ?? Date.now() % 1_000_000));
  const server = await s3Server();
  await using nodes = await cluster(1);
  const at = await folderOf(nodes, server);
  const made: string[] = [];
  for (let n = 0; n < 4; n++) made.push((await backUp(at.config, { node: undefined, job: "hourly" })).id);
  await uploadBackups(at.config);
  server.delayMs = 20;
  for (let turn = 0; turn < 4; turn++) {
    const until = server.requests.length + random.int(1, 9);
    const child = spawnTandem(["backup", "prune"], at);
    await waitFor(() => child.result ?? server.requests.length >= until, { every: 2 });
    await child.kill("SIGKILL");
    await waitFor(() => server.isQuiet());
    const whole = wholeIn(server);
    expect(whole, `seed ${random.seed}`).toContain(made[3]);
    const { backups } = await listWithStore(at.config);
    const states = new Set(backups.map(({ state }) => state));
    expect([...states], `seed ${random.seed}`).toEqual(["complete"]);
    const stored = backups.filter(({ places }) => places.includes("store"));
    expect(
      stored.map(({ id }) => id),
      `seed ${random.seed}`,
    ).toEqual(whole);
  }
  const late: Clock = { ...systemClock, now: () => Date.now() + 90_000_000 };
  await pruneBackups(at.config);
  await pruneBackups(at.config, { clock: late });
  expect(wholeIn(server), `seed ${random.seed}`).toEqual([made[3]]);
  expect([...server.objects.keys()].filter((key) => !key.startsWith(`shop/${made[3]}/`))).toEqual([]);
});

test("C11 B1 the sidecar tries again after growing pauses; status says what is not in the store, and what is only here", async () => {
  const server = await s3Server();
  await using nodes = await cluster(2);
  const backup = (await backupConfig(nodes, { jobs: [job] })).backup;
  const alone = await prepare(nodes, "create table item (id int primary key)", { backup });
  await sync(alone);
  const { id } = await backUp(alone, { node: undefined, job: "hourly" });
  expect(await status(alone)).toMatchObject({ well: true, store: null, backups: [{ last: id, places: ["folder"] }] });

  const config = { ...alone, backup: { ...backup, store: s3Config(server.endpoint) } };
  expect(await status(config)).toMatchObject({ well: true, store: { behind: [id], failure: null } });
  server.fail("forbidden", ({ op }) => op === "PutObject");
  const pauses: number[] = [];
  const stop = new AbortController();
  const clock: Clock = {
    now: () => Date.now(),
    sleep: async (ms) => {
      pauses.push(ms);
      if (pauses.length === 6) server.mend();
      if (pauses.length === 8) stop.abort();
      if (pauses.length !== 5) return;
      const bad = await status(config);
      expect(bad).toMatchObject({ well: false, problems: [{ kind: "backup_not_stored" }], store: { behind: [id] } });
      expect(bad.sentence).toMatch(
        /^1 backup is not in the store: store s3:\/\/bucket\/shop\/: access is denied|AccessDenied/,
      );
    },
  };
  await uploadLoop(config, { clock, logger: silentLogger, signal: stop.signal });
  const failed = pauses.slice(0, 6);
  expect(failed.every((pause, i) => pause >= 8_000 * 2 ** i && pause <= 10_000 * 2 ** i)).toBe(true);
  expect(pauses.slice(6)).toEqual([2_000, 2_000]);
  expect(wholeIn(server)).toEqual([id]);
  expect(await status(config)).toMatchObject({
    well: true,
    store: { behind: [], failure: null },
    backups: [{ last: id, places: ["folder", "store"] }],
  });
});

test("B1 what goes from the store is brought there anew within the hour", async () => {
  const server = await s3Server();
  await using nodes = await cluster(1);
  const { config } = await folderOf(nodes, server);
  const { id } = await backUp(config);
  const stop = new AbortController();
  const minutes = (count: number) => count * 60_000;
  const [times, seen]: [number[], string[][]] = [[minutes(30), minutes(31), minutes(1)], []];
  let now = Date.now();
  const clock: Clock = {
    now: () => now,
    sleep: async () => {
      seen.push(wholeIn(server));
      if (seen.length === 1) server.objects.clear();
      now += times.shift() ?? 0;
      if (seen.length === 3) stop.abort();
    },
  };
  await uploadLoop(config, { clock, logger: silentLogger, signal: stop.signal });
  expect(seen).toEqual([[id], [], [id]]);
});

test("C11 without a sidecar status looks into the store: after the disk is lost, after the copies are, and when it does not answer", async () => {
  const server = await s3Server();
  await using nodes = await cluster(1);
  const at = await folderOf(nodes, server);
  await prepare(nodes, "alter table item add primary key (id)");
  const told = async () => {
    const { code, stdout } = await tandem(["status", "--json"], at);
    const { well, backups, store, problems } = JSON.parse(stdout) as StatusReport;
    expect(code).toBe(well ? 0 : 1);
    return { well, kinds: problems.map(({ kind }) => kind), ...backups[0], behind: store?.behind };
  };
  expect(await told()).toMatchObject({ well: false, last: null, kinds: ["backup_stale"] });
  // To look is not to make anything.
  await expect(stat(at.folder.path)).rejects.toThrow(/ENOENT/);
  const { id } = JSON.parse((await tandem(["backup", "create", "--json"], at)).stdout) as { id: string };
  expect(await told()).toMatchObject({ well: true, last: id, places: ["folder", "store"] });
  await rm(at.folder.path, { recursive: true });
  expect(await told()).toMatchObject({ well: true, last: id, places: ["store"], kinds: [] });

  server.fail("busy", () => true);
  expect(await told()).toMatchObject({ well: false, last: id, kinds: ["backup_not_stored"] });
  const words = (await tandem(["status"], at)).stdout;
  expect(words).toMatch(/^The store cannot be used: /);
  expect(words).toContain("The store could not be asked: this is as it was known before.");
  server.mend();

  const next = JSON.parse((await tandem(["backup", "create", "--json"], at)).stdout) as { id: string };
  server.objects.clear();
  expect(await told()).toMatchObject({ well: true, last: next.id, places: ["folder"], behind: [next.id] });
});
