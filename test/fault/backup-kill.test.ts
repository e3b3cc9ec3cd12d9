import { cp, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test, vi } from "vitest";
import { digestFile } from "../../src/backup/files.ts";
import { BackupFolder } from "../../src/backup/folder.ts";
import { listBackups } from "../../src/backup/list.ts";
import { collectLeftovers } from "../../src/backup/making.ts";
import { readManifest, sealManifest } from "../../src/backup/manifest.ts";
import { pruneBackups } from "../../src/backup/prune.ts";
import { verifyBackup } from "../../src/backup/verify.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { systemClock } from "../../src/base/time.ts";
import type { BackupJob, Config } from "../../src/config/config.ts";
import { backupConfig } from "../e2e/backup-support.ts";
import { spawnTandem, tandem, tempFolder } from "../support/child.ts";
import { pgDump } from "../support/components.ts";
import { noteEvidence } from "../support/evidence.ts";
import { type Cluster, cluster, contentOf } from "../support/pg.ts";
import { seeded } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";

const kills = Number(process.env.KILLS ?? 9);
vi.setConfig({ testTimeout: 240_000 + kills * 20_000 });

const job: BackupJob = {
  ...{ name: "often", node: "local", schedule: "0 3 * * *", afterChange: null, keepLast: 2, keepDays: null },
  ...{ keepDaily: null, keepWeekly: null, keepMonthly: null, proveEveryMs: null, include: null },
};

const schema = `create table item (id int primary key, name text not null); create table part (id int primary key, item int not null references item);
  insert into item select g, md5(g::text) from generate_series(1, 4000) g; insert into part select g, g from generate_series(1, 4000) g`;

type Action = "create" | "prune" | "restore";

/** One folder of backups with its database; what it says of them is checked after every kill. */
class Stand {
  readonly folder: BackupFolder;
  readonly #nodes: Cluster;
  readonly #config: Config;
  readonly #at: { cwd: string; env: Record<string, string> };
  readonly #digests = new Map<string, string>();

  constructor(nodes: Cluster, config: Config, cwd: string) {
    this.#nodes = nodes;
    this.#config = config;
    this.#at = { cwd, env: { DATABASE_URL: nodes.local.url } };
    this.folder = new BackupFolder(config.backup.dir);
  }

  async ids(): Promise<string[]> {
    return (await listBackups(this.folder.path)).backups.map(({ id }) => id);
  }

  contents(): Promise<string[][]> {
    return Promise.all(["public.item", "public.part"].map((table) => contentOf(this.#nodes.local.superUrl, table)));
  }

  /** Something to do for each action: changed rows to put back, backups that retention does not keep. */
  async prepare(action: Action, turn: number): Promise<string[]> {
    if (action === "restore") {
      const change = `delete from part where id % 7 = ${turn % 7}; update item set name = 'turn ${turn}' where id % 5 = 0; insert into item values (${10_000 + turn}, 'new')`;
      await this.#nodes.local.admin.query(change);
    }
    if (action === "prune") for (let n = 0; n < 3; n++) await this.#copy();
    return {
      create: ["backup", "create", "--job", "often"],
      prune: ["backup", "prune"],
      restore: await this.#restore(),
    }[action];
  }

  async #restore(): Promise<string[]> {
    const [first = ""] = await this.ids();
    return ["restore", first, "--mode", "exact", "--yes"];
  }

  /** A backup more, of the first one's content and sealed as it: made in no time. */
  async #copy(): Promise<void> {
    const [first = ""] = await this.ids();
    const id = await this.folder.nextId(systemClock);
    const manifest = await readManifest(this.folder.backup(first));
    const building = join(this.folder.path, "building");
    await cp(this.folder.backup(first), building, { recursive: true });
    await writeFile(join(building, "manifest.json"), sealManifest({ ...manifest, id }));
    await cp(building, this.folder.backup(id), { recursive: true });
    await rm(building, { recursive: true });
  }

  /** Milliseconds of a whole run. */
  async timeOf(action: Action): Promise<number> {
    const args = await this.prepare(action, 0);
    const begin = performance.now();
    const { code, stderr } = await tandem(args, { ...this.#at, timeoutMs: 120_000 });
    expect(code, stderr).toBe(0);
    return performance.now() - begin;
  }

  /** Kills a run at that moment; where it ended by itself before, the milliseconds that it took, else null. */
  async killAfter(args: string[], ms: number): Promise<number | null> {
    const begin = performance.now();
    const child = spawnTandem(args, this.#at);
    const ended = child.ended(ms + 120_000).then(() => performance.now() - begin);
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, ms))]);
    const killed = (await child.kill("SIGKILL")).signal === "SIGKILL";
    const took = await ended;
    const ours =
      "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'tandem/%'";
    // The server notices a killed client when it next writes to it.
    await waitFor(async () => (await this.#nodes.local.admin.value(ours)) === "0", { deadlineMs: 60_000 });
    return killed ? null : took;
  }

  /** What retention would remove now. */
  async unwanted(): Promise<ReadonlySet<string>> {
    const { decisions } = await pruneBackups(this.#config, { dryRun: true });
    return new Set(decisions.flatMap(({ id, keep }) => (keep ? [] : [id])));
  }

  /** Every backup that is listed is whole, and each of its files is what it was when it was first seen. */
  async expectWhole(): Promise<void> {
    for (const { id, state } of (await listBackups(this.folder.path)).backups) {
      expect([id, state]).toEqual([id, "complete"]);
      const path = this.folder.backup(id);
      const { files } = await readManifest(path);
      const present = (await readdir(path, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
      expect(present).toHaveLength(files.length + 1);
      for (const { path: name, sha256 } of files) {
        expect((await digestFile(join(path, name))).sha256).toBe(this.#digests.get(`${id}/${name}`) ?? sha256);
        this.#digests.set(`${id}/${name}`, sha256);
      }
    }
  }

  /** What the database says of the backups is what the folder says. */
  async expectTrueCatalogue(): Promise<void> {
    const said = await this.#nodes.local.admin.query(
      "select backup_id as id, state from tandem.backup where state <> 'failed' order by 1",
    );
    expect(said).toEqual((await listBackups(this.folder.path)).backups.map(({ id, state }) => ({ id, state })));
  }

  /** An hour later, by the clock of whoever looks, all that was left behind is gone, and everything works. */
  async expectTidy(): Promise<void> {
    const later = { now: () => Date.now() + 3_600_001, sleep: async () => {} };
    await collectLeftovers(this.folder, later, silentLogger);
    expect((await pruneBackups(this.#config, { clock: later })).stuck).toEqual([]);
    expect(await readdir(this.folder.making)).toEqual([]);
    for (const args of [
      ["backup", "create", "--job", "often"],
      ["backup", "list"],
      ["restore", "latest", "--mode", "exact", "--yes"],
    ]) {
      const { code, stderr } = await tandem(args, this.#at);
      expect(code, stderr).toBe(0);
    }
    await this.expectTrueCatalogue();
    for (const id of await this.ids())
      expect(await verifyBackup(this.#config, id, { level: 1 })).toMatchObject({ error: null });
    expect(await verifyBackup(this.#config, "latest")).toMatchObject({ reached: 3, error: null });
  }
}

test(`B2 B5 kill -9 at ${kills} random points of create, prune and restore (thing 13)`, async () => {
  const random = seeded(Number(process.env.SEED ?? Date.now() % 1_000_000));
  process.stdout.write(`SEED=${random.seed}\n`);
  await using nodes = await cluster(1);
  await nodes.local.admin.query(schema);
  const cwd = await tempFolder();
  const dir = join(cwd, "backups");
  await writeFile(
    join(cwd, "tandem.yaml"),
    `nodes: { local: { url: "\${DATABASE_URL}" } }
backup: { dir: backups, pg_bin: ${dirname(pgDump())}, jobs: [ { name: often, node: local, schedule: "0 3 * * *", keep_last: 2 } ] }\n`,
  );
  const stand = new Stand(nodes, await backupConfig(nodes, { dir, jobs: [job], scratch: nodes.local.superUrl }), cwd);
  expect(await tandem(["migrate"], { cwd, env: { DATABASE_URL: nodes.local.url } })).toMatchObject({ code: 0 });
  const actions: readonly Action[] = ["create", "prune", "restore"];
  const times = new Map<Action, number>();
  for (const action of actions) {
    times.set(action, await stand.timeOf(action));
    // The one that restores come from, and that shows the rows as they were at first.
    if (action === "create") for (const id of await stand.ids()) await writeFile(stand.folder.pin(id), "");
  }

  const counts = { create: 0, prune: 0, restore: 0, ended: 0 };
  const killed = () => counts.create + counts.prune + counts.restore;
  for (let turn = 1; killed() < kills && turn <= 3 * kills; turn++) {
    const action = actions[turn % 3] ?? "create";
    const args = await stand.prepare(action, turn);
    const [before, unwanted, rows] = [await stand.ids(), await stand.unwanted(), await stand.contents()];
    // The start of the program is no part of what is to be hit.
    const point = random.int(Math.floor((times.get(action) ?? 0) * 0.3), Math.ceil((times.get(action) ?? 0) * 1.05));
    const took = await stand.killAfter(args, point);
    counts[took === null ? action : "ended"] += 1;
    // The machine is faster than it was when this was measured: a run that ended was no kill, and the next one is hit earlier.
    if (took !== null) times.set(action, took);
    const where = `seed ${random.seed}, turn ${turn}, ${args.join(" ")} after ${point} ms`;
    await stand.expectWhole();
    const after = await stand.ids();
    const lost = before.filter((id) => !after.includes(id));
    expect(
      lost.filter((id) => action !== "prune" || !unwanted.has(id)),
      where,
    ).toEqual([]);
    const now = await stand.contents();
    if (JSON.stringify(now) !== JSON.stringify(rows)) {
      expect(action, where).toBe("restore");
      expect([now[0]?.length, now[1]?.length, now[0]?.filter((row) => row.includes("turn"))], where).toEqual([
        4000,
        4000,
        [],
      ]);
    }
  }
  expect(killed(), JSON.stringify(counts)).toBe(kills);
  await stand.expectTidy();
  await noteEvidence({ kills, seed: random.seed, killed: counts });
});
