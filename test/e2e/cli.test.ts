import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { spawnTandem, type TandemOptions } from "../support/child.ts";
import { type Cluster, cluster, expectEqual } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { expectClean, folderFor, run, runJson } from "./cli-runner.ts";

// A test is a handful of processes one after the other.
vi.setConfig({ testTimeout: 180_000 });

const schema = `
  create table artist (id int primary key, name text not null, updated_at timestamptz not null default now());
  create table album (id int primary key, artist_id int not null references artist, title text);
  create schema crm; create table crm.note (id int primary key, body text);
  create table log_without_key (line text); create table schema_migrations (version text primary key)`;

interface Status {
  sentence: string;
  well: boolean;
  problems: { kind: string; node: string; table: string | null }[];
  links: { source: string; target: string; pending: number; parked: number; met: boolean }[];
  leftOut: { node: string; table: string; problem: boolean }[];
}

/** Excludes what has no key, so that all can be well. */
const file = `nodes:
  local:    { url: "\${DATABASE_URL}" }
  external: { url: "\${EXTERNAL_DB_URL}" }
exclude: [ public.log_without_key ]
sync: { interval: 200ms }
`;

describe("two databases", () => {
  let nodes: Cluster;
  let at: TandemOptions & { cwd: string };

  beforeAll(async () => {
    nodes = await cluster(2);
    at = { ...(await folderFor(nodes)), cwd: await mkdtemp(join(tmpdir(), "tandem-cli-")) };
    for (const { admin } of nodes) await admin.query(schema);
    await nodes.local.admin.query(`insert into artist select g, 'artist ' || g from generate_series(1, 50) g;
      insert into album select g, 1 + g % 50, 'album ' || g from generate_series(1, 120) g; insert into crm.note values (1, 'x')`);
  });
  afterAll(async () => {
    await nodes[Symbol.asyncDispose]();
    await rm(at.cwd, { recursive: true });
  });

  test("init writes what it finds, once", async () => {
    const first = await run(["init"], at);
    expect(first.code).toBe(0);
    expect(first.stdout).toContain("DATABASE_URL (environment)");
    const written = await readFile(join(at.cwd, "tandem.yaml"), "utf8");
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as it stands in the file
    expect(written).toContain("${EXTERNAL_DB_URL}");

    await writeFile(join(at.cwd, "tandem.yaml"), "# mine\n");
    const second = await run(["init"], at);
    expect(second).toMatchObject({ code: 2, stdout: "" });
    expect(second.stderr).toMatch(/^usage: tandem\.yaml is there already\. Remedy: .*--force/);
    expect(await readFile(join(at.cwd, "tandem.yaml"), "utf8")).toBe("# mine\n");
    const forced = await runJson<{ file: string }>(["init", "--force"], at);
    expect(forced).toMatchObject({ code: 0, document: { file: "tandem.yaml" } });
    await writeFile(join(at.cwd, "tandem.yaml"), file);
  });

  test("before migrate, every command says that Tandem is not installed", async () => {
    const status = await runJson<Status>(["status"], at);
    expect(status.code).toBe(1);
    expect(status.document.well).toBe(false);
    expect(status.document.problems.map(({ kind, node }) => `${kind} ${node}`)).toEqual([
      "not_installed local",
      "not_installed external",
    ]);
    const sync = await run(["sync", "--wait", "1"], at);
    expect(sync.code).toBe(1);
    expect(sync.stderr).toMatch(/^not_installed: node local: .*Remedy: Run `tandem migrate`\.$/m);
    const pending = await run(["pending"], at);
    expect(pending.code).toBe(1);
    expect(pending.stderr).toMatch(/^not_installed: node external: /m);
  });

  test("migrate --sql and --emit only write", async () => {
    const script = await run(["migrate", "--sql", "--node", "local"], at);
    expect(script.code).toBe(0);
    expect(script.stdout).toContain("create schema tandem_log");
    const emitted = await runJson<{ file: string }>(["migrate", "--emit", "migrations", "--node", "local"], at);
    expect(emitted.code).toBe(0);
    expect(await readFile(join(at.cwd, emitted.document.file), "utf8")).toContain("tandem_log");
    expect(await nodes.local.admin.value("select to_regnamespace('tandem')")).toBeNull();
    const which = await run(["migrate", "--sql"], at);
    expect(which.code).toBe(2);
    expect(which.stderr).toMatch(/^usage: .*--node NAME.*local, external\./);
  });

  test("migrate installs, and again does nothing", async () => {
    const first = await run(["migrate"], at);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toContain("local: 3 tables tracked");
    expect(first.stderr).toContain("external: crm.note is tracked");
    const again = await run(["migrate"], at);
    expect(again).toMatchObject({ code: 0, stderr: "" });
    expect(again.stdout).toContain("external: nothing to do, 3 tables tracked");
  });

  test("a link that has not met is not well", async () => {
    const { code, document } = await runJson<Status>(["status"], at);
    expect(code).toBe(1);
    expect(document.sentence).toBe("external has received nothing from local yet (and 1 more problem).");
  });

  test("sync --dry-run shows and changes nothing", async () => {
    const dry = await runJson<{ links: { tables: { name: string; insert: number }[] }[] }>(["sync", "--dry-run"], at);
    expect(dry.code).toBe(0);
    expect(dry.document.links[0]?.tables).toContainEqual(expect.objectContaining({ name: "artist", insert: 50 }));
    expect(await nodes.external.admin.value("select count(*) from artist")).toBe("0");
  });

  test("sync carries, a second sync moves nothing", async () => {
    const first = await run(["sync"], at);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toMatch(/^local → external: 171 rows carried$/m);
    expect(first.stdout).toMatch(/^ {2}album +120 +0 +0 +0 +0 +0$/m);
    expect(first.stderr).toMatch(/^local → external {2}artist {2}50 rows, done$/m);
    await expectEqual(nodes.nodes);
    const second = await run(["sync"], at);
    expect(second).toMatchObject({
      code: 0,
      stdout: "local → external: nothing moved\nexternal → local: nothing moved\n",
      stderr: "",
    });
  });

  test("status: all well, what is left out is named", async () => {
    const { code, stdout, stderr } = await run(["status"], at);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^All well: local and external have everything from each other\.\n/);
    expect(stdout).toMatch(/local +log_without_key +is excluded in the configuration/);
    expect(stdout).toMatch(/external +schema_migrations +bookkeeping/);
  });

  test("changes that wait are counted, listed, and well", async () => {
    await nodes.local.admin.query("update artist set name = 'Ana' where id = 1; delete from crm.note");
    await nodes.external.admin.query("insert into artist values (51, 'Bia')");
    const { code, document } = await runJson<Status>(["status"], at);
    expect(code).toBe(0);
    expect(document.sentence).toMatch(/^2 changes wait for external and 1 for local, the oldest for \d+ s\.$/);
    expect(document).toMatchObject({ well: true, links: [{ pending: 2 }, { pending: 1 }] });
    const list = await runJson<{ rows: { node: string; table: string; op: string; key: string; changedAt: string }[] }>(
      ["pending"],
      at,
    );
    expect(list.code).toBe(0);
    expect(list.document.rows.map(({ node, table, op, key }) => `${node} ${table} ${op} ${key}`)).toEqual([
      "local artist U 1",
      "local crm.note D 1",
      "external artist I 51",
    ]);
    expect(list.document.rows[0]?.changedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    expect((await run(["pending", "--limit", "2"], at)).stdout).toMatch(/artist.*\n.*crm\.note.*\n… and more/);
    expect((await run(["sync"], at)).code).toBe(0);
    expect((await run(["pending"], at)).stdout).toBe("Nothing is pending.\n");
  });

  test("a conflict is well, and shown once with the image that lost", async () => {
    await nodes.local.admin.query("update artist set name = 'older' where id = 2");
    await nodes.external.admin.query(`update artist set name = e'newer\\x1b[31m' where id = 2`);
    const sync = await run(["sync"], at);
    expect(sync.code).toBe(0);
    expect(sync.stdout).toMatch(/1 conflict; `tandem conflicts`/);
    const { code, document } = await runJson<{ rows: object[]; more: boolean }>(["conflicts"], at);
    expect(code).toBe(0);
    expect(document.more).toBe(false);
    expect(document.rows).toEqual([
      expect.objectContaining({
        table: "artist",
        key: "2",
        winner: expect.objectContaining({ origin: "external" }),
        loser: expect.objectContaining({ origin: "local", image: expect.stringContaining("name = 'older'") }),
      }),
    ]);
    expect((await run(["conflicts"], at)).stdout).not.toContain("\u001b");
    expect((await run(["status"], at)).stdout).toMatch(/^All well/);
  });

  test("conflicts show explains one, conflicts restore brings back what lost", async () => {
    const { document } = await runJson<{ rows: { id: string }[] }>(["conflicts"], at);
    const id = document.rows[0]?.id ?? "";
    const shown = await run(["conflicts", "show", id], at);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(
      /^artist 2: local changed it at [-\d]+ [:\d]+ UTC and external changed it at [-\d]+ [:\d]+ UTC, neither knowing of the other's change\. That of external stays, because it is the newer one\. They differ in name\.\n\ncolumn +external, stays +local, lost\nname +newer\\u001b\[31m +older\n/,
    );
    const restored = await run(["conflicts", "restore", id], at);
    expect(restored).toMatchObject({ code: 0, stderr: "" });
    expect(restored.stdout).toMatch(/^artist 2 is as it was in the image that lost, in (local|external); /);
    expect((await run(["sync"], at)).code).toBe(0);
    for (const node of nodes.nodes)
      expect(await node.admin.value("select name from artist where id = 2")).toBe("older");
    expect((await runJson(["conflicts", "show", id], at)).document).toMatchObject({
      id,
      kind: "update/update",
      winner: { origin: "external" },
      restoredAt: expect.stringMatching(/Z$/),
      differences: [{ column: "name", winner: "newer\u001b[31m", loser: "older" }],
    });
    for (const args of [
      ["conflicts", "show"],
      ["conflicts", "show", "feedfacefeed"],
      ["conflicts", "lose", id],
    ])
      expect((await run(args, at)).code).toBe(2);
  });

  test("a row that is refused is parked, shown, and applied after a retry", async () => {
    await nodes.external.admin.query("alter table artist add constraint no_x check (name <> 'x')");
    await nodes.local.admin.query(
      "update artist set name = 'x' where id = 3; update artist set name = 'y' where id = 4",
    );
    const sync = await run(["sync"], at);
    expect(sync.code).toBe(1);
    expect(sync.stdout).toMatch(/1 row parked in external/);
    const parked = await runJson<{ rows: { id: number; node: string; key: string; reason: string }[] }>(["parked"], at);
    expect(parked.code).toBe(1);
    expect(parked.document.rows).toEqual([expect.objectContaining({ node: "external", peer: "local", key: "3" })]);
    expect((await runJson<Status>(["status"], at)).document).toMatchObject({
      sentence: "1 row from local is parked in external.",
      well: false,
    });
    await nodes.external.admin.query("alter table artist drop constraint no_x");
    const retry = await run(["parked", "retry", String(parked.document.rows[0]?.id)], at);
    expect(retry).toMatchObject({ code: 0 });
    expect(retry.stdout).toMatch(/^1 row will be tried/);
    expect((await run(["sync"], at)).code).toBe(0);
    expect(await run(["parked"], at)).toMatchObject({ code: 0, stdout: "Nothing is parked.\n" });
    expect((await run(["parked", "retry", "999999"], at)).code).toBe(2);
  });

  test("a parked row is dropped with a reason, shown in the history, and status tells until it changes", async () => {
    await nodes.external.admin.query("alter table artist add constraint no_z check (name <> 'z')");
    await nodes.local.admin.query("update artist set name = 'z' where id = 6");
    expect((await run(["sync"], at)).code).toBe(1);
    const { document } = await runJson<{ rows: { id: number }[] }>(["parked"], at);
    const id = String(document.rows[0]?.id);
    expect((await run(["parked", "drop", id], at)).code).toBe(2);
    const done = await run(["parked", "drop", id, "--reason", "a slip"], at);
    expect(done).toMatchObject({ code: 0, stderr: "" });
    expect(done.stdout).toMatch(/^artist 6 from local is given up in external: the two differ there/);
    expect(await run(["parked"], at)).toMatchObject({ code: 0, stdout: "Nothing is parked.\n" });
    expect((await run(["parked", "--history"], at)).stdout).toMatch(/a slip +yes .*id = '6', name = 'z',/m);
    const told = await run(["status"], at);
    expect(told.code).toBe(1);
    expect(told.stdout).toMatch(/^1 row from local was dropped in external, and differs until changed again\.$/m);
    await nodes.external.admin.query(
      "update artist set name = 'y' where id = 6; alter table artist drop constraint no_z",
    );
    expect((await run(["sync"], at)).code).toBe(0);
    expect((await run(["status"], at)).code).toBe(0);
  });

  test("verify compares by content", async () => {
    const same = await run(["verify"], at);
    expect(same.code).toBe(0);
    expect(same.stdout).toMatch(/^Identical: 3 tables with 171 rows in local and external\./);
    await nodes.external.admin.query(
      "set session_replication_role = replica; alter table album disable trigger all; update album set title = 'z' where id = 7; alter table album enable trigger all",
    );
    const other = await run(["verify", "--table", "album", "--table", "artist"], at);
    expect(other.code).toBe(1);
    expect(other.stdout).toMatch(/^Not identical: 1 of 2 tables are equal, 1 row differs/);
    expect(other.stdout).toMatch(/^ {2}album: 7 {2}/m);
    expect((await runJson<{ identical: boolean }>(["verify"], at)).document.identical).toBe(false);
  });

  test("doctor prints findings and a last sentence", async () => {
    const { code, document } = await runJson<{ findings: { severity: string }[]; problems: number }>(["doctor"], at);
    expect(code).toBe(document.problems > 0 ? 1 : 0);
    expect(document.findings.length).toBeGreaterThan(5);
    expect((await run(["doctor"], at)).stdout).toMatch(/nodes/);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("run carries until %s, and ends with 0", async (signal) => {
    const child = spawnTandem(["run"], at);
    await child.waitForLine("sidecar started");
    const name = `written for ${signal}`;
    await nodes.local.admin.query("update artist set name = $1 where id = 5", [name]);
    await waitFor(async () => (await nodes.external.admin.value("select name from artist where id = 5")) === name);
    const result = await child.kill(signal);
    expectClean(result, at);
    expect(result).toMatchObject({ code: 0, signal: null, stdout: "" });
    const lines = result.stderr
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { msg: string });
    expect(lines.map(({ msg }) => msg)).toContain("sidecar stopped");
  });

  test("run --json prints its one document at the end; of two runs neither harms the other", async () => {
    const children = [spawnTandem(["run", "--json"], at), spawnTandem(["run", "--json"], at)];
    for (const child of children) await child.waitForLine(/caught up|stands by/);
    for (const child of children) {
      const { code, stdout } = await child.kill("SIGTERM");
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ links: [{ source: "local" }, { source: "external" }] });
    }
  });

  test("uninstall wants the word typed", async () => {
    for (const input of [undefined, "yes\n", "\n"]) {
      const refused = await run(["uninstall"], { ...at, input });
      expect(refused).toMatchObject({ code: 2, stdout: "" });
      expect(refused.stderr).toMatch(/^usage: nothing was removed/m);
    }
    expect(await nodes.local.admin.value("select to_regnamespace('tandem')")).toBe("tandem");
    const done = await run(["uninstall"], { ...at, input: "uninstall\n" });
    expect(done.code).toBe(0);
    expect(done.stdout).toMatch(/^local: removed; 3 tables no longer tracked\nexternal: removed/);
    expect(await nodes.local.admin.value("select to_regnamespace('tandem')")).toBeNull();
    const again = await run(["uninstall", "--yes"], at);
    expect(again).toMatchObject({ code: 0 });
    expect(again.stdout).toMatch(/^local: Tandem was not installed here$/m);
  });
});
