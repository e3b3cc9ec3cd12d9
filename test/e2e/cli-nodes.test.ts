import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { spawnTandem, type TandemOptions, tempFolder } from "../support/child.ts";
import { dumpAndRestore } from "../support/copies.ts";
import { afterTest, type Cluster, cluster, expectEqual, sql } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { changed, run, runJson } from "./cli-runner.ts";

// A test is a dozen of processes one after the other.
vi.setConfig({ testTimeout: 300_000 });

type Urls = Record<string, string>;
type At = TandemOptions & { cwd: string };

const oneLine = (code: string) => new RegExp(`^${code}: .+ Remedy: .+\\n$`);

const urlsOf = (nodes: Cluster): Urls => Object.fromEntries(nodes.nodes.map(({ name, url }) => [name, url]));

/** As if nobody listened there. */
const dead = (url = "") =>
  changed(url, (parsed) => {
    parsed.port = "1";
  });

/** Writes the file anew. */
async function configure(at: At, urls: Urls, links?: string): Promise<void> {
  const nodes = Object.entries(urls).map(([name, url]) => `  ${name}: { url: "${url}" }\n`);
  await writeFile(
    join(at.cwd, "tandem.yaml"),
    `nodes:\n${nodes.join("")}${links === undefined ? "" : `links: ${links}\n`}`,
  );
}

/** Databases with rows in a table, migrated and synced by the command. */
async function synced(count: number, links?: string): Promise<{ at: At; nodes: Cluster; urls: Urls }> {
  const nodes = await cluster(count);
  for (const { admin } of nodes) await admin.query("create table t (id int primary key, v text)");
  await nodes.local.admin.query("insert into t select i, 'first' from generate_series(1, 9) i");
  const at = { cwd: await tempFolder() };
  await configure(at, urlsOf(nodes), links);
  for (const command of ["migrate", "sync"]) await expectWell([command], at);
  return { at, nodes, urls: urlsOf(nodes) };
}

async function expectWell(args: string[], at: At): Promise<string> {
  const { code, stdout, stderr } = await run(args, at);
  expect({ args, code, stderr: code === 0 ? "" : stderr }).toEqual({ args, code: 0, stderr: "" });
  return stdout;
}

/** One line on stderr, nothing on stdout, and with `--json` the same as a document. */
async function expectError(args: string[], at: At, code: string, exit: number, words: string): Promise<void> {
  const { code: ended, stdout, stderr } = await run(args, at);
  expect({ args, ended, stdout }).toEqual({ args, ended: exit, stdout: "" });
  expect(stderr).toMatch(oneLine(code));
  expect(stderr).toContain(words);
  const json = await runJson<{ error: { code: string } }>(args, at);
  expect({ args, code: json.code, error: json.document.error.code }).toEqual({ args, code: exit, error: code });
}

test("C1 C11 drop-node: what is kept is named until the lost node is dropped; wrong input changes nothing", async () => {
  const { at, nodes, urls } = await synced(3);
  await nodes.local.admin.query("update t set v = 'kept' where id = 1");
  await expectError(["drop-node"], at, "usage", 2, "an argument is missing: tandem drop-node <node>");
  await expectError(["drop-node", "nobody"], at, "usage", 2, "no node has a link with a node nobody");
  // a neighbour that cannot be asked might hold the only copy of what the node wrote last
  await configure(at, { ...urls, external: dead(urls.external) });
  await expectError(["drop-node", "n3"], at, "cannot_connect", 1, "node external");
  for (const node of [nodes.local, nodes.external]) {
    expect(await node.admin.value("select count(*) from tandem.peer where name = 'n3' and gone_at is null")).toBe("1");
  }
  // taken out of the file, and not dropped
  const { n3: lost, ...rest } = urls;
  await configure(at, rest);
  await run(["migrate"], at);
  await run(["sync"], at);
  const status = await run(["status"], at);
  expect(status.code).toBe(1);
  expect(status.stdout).toContain("Node local keeps 1 change for node n3, which the configuration does not name");
  expect(status.stdout).toContain("tandem drop-node n3");
  const doctor = await runJson<{ findings: { check: string; severity: string; remedy: string }[] }>(["doctor"], at);
  expect(doctor.code).toBe(1);
  expect(doctor.document.findings).toContainEqual(
    expect.objectContaining({
      check: "kept",
      severity: "problem",
      remedy: expect.stringContaining("tandem drop-node n3"),
    }),
  );
  // named again, and lost: it need not be there
  await configure(at, { ...rest, n3: dead(lost) });
  const said = await expectWell(["drop-node", "n3"], at);
  expect(said).toContain("local: 0 changes of n3 passed on; 1 change no longer kept for it");
  expect(said).toContain("n3 is no longer a node of local and external.");
  expect(said).toContain("Take n3 out of the configuration");
  await configure(at, rest);
  await expectError(["drop-node", "n3"], at, "usage", 2, "no node has a link with a node n3");
  await expectWell(["sync"], at);
  expect(await expectWell(["status"], at)).not.toContain("n3");
  await expectEqual([nodes.local, nodes.external]);
});

test("a mesh of five is kept the same without a warning of the runtime", async () => {
  const { at, nodes } = await synced(5);
  const sidecar = spawnTandem(["run"], at);
  await sidecar.waitForLine("sidecar started", { deadlineMs: 90_000 });
  await nodes.local.admin.query("insert into t values (10, 'second')");
  for (const { name, admin } of nodes)
    await waitFor(async () => (await admin.value("select v from t where id = 10")) === "second", {
      what: () => `the row at ${name}: ${sidecar.stderr}`,
    });
  const { code, stderr } = await sidecar.kill("SIGTERM");
  expect(code).toBe(0);
  expect(stderr.split("\n").filter((line) => line !== "" && !line.startsWith("{"))).toEqual([]);
});

test("C1 drop-node: --json, and a node between others that would fall apart", async () => {
  const { at, nodes, urls } = await synced(3, "[[local, external], [external, n3]]");
  await expectError(["drop-node", "external"], at, "net_splits", 1, "local and n3");
  await nodes.node("n3").admin.query("insert into t values (10, 'last words')");
  await expectWell(["sync"], at);
  const { code, document } = await runJson<Record<string, unknown>>(["drop-node", "n3"], at);
  expect(code).toBe(0);
  expect(document).toMatchObject({
    node: "n3",
    configured: true,
    others: [
      { node: "local", linked: false },
      { node: "external", linked: true, freed: 0 },
    ],
  });
  const { n3: _, ...rest } = urls;
  await configure(at, rest);
  await expectWell(["migrate"], at);
  await expectWell(["sync"], at);
  expect(await nodes.local.admin.value("select v from t where id = 10")).toBe("last words");
});

test("C10 rejoin: an intact node, wrong input, a restored node, and rows that a person must decide about", async () => {
  const { at, nodes, urls } = await synced(2);
  await expectError(["rejoin"], at, "usage", 2, "an argument is missing: tandem rejoin <node>");
  await expectError(["rejoin", "nobody"], at, "usage", 2, "local, external");
  await expectError(["rejoin", "external", "--missing", "perhaps"], at, "usage", 2, "keep");
  expect(await expectWell(["rejoin", "external"], at)).toContain("external is the database it was.");

  const database = `${nodes.external.database}_r`;
  afterTest(async () => {
    await sql(nodes.local.server.url, `drop database if exists "${database}" with (force)`);
  });
  const restored = await dumpAndRestore(nodes.external.url, database, nodes.local.server.url);
  await nodes.local.admin.query("update t set v = 'later' where id = 1");
  // deleted, and so long ago that no log names it
  await nodes.local.admin.query(`delete from t where id = 2; delete from tandem_log."public.t" where k1 = 2;
    update tandem.local_node set installed_at = clock_timestamp(), horizon = clock_timestamp()`);
  await sql(restored, "update t set v = 'copy' where id = 3");
  const moved = { ...urls, external: restored };
  await configure(at, { ...moved, local: dead(urls.local) });
  await expectError(["rejoin", "external"], at, "cannot_connect", 1, "node local");
  await configure(at, moved);
  const sync = await run(["sync"], at);
  expect(sync.code).toBe(1);
  expect(sync.stderr).toMatch(/identity_mismatch: .+tandem rejoin/);
  const asked = await run(["rejoin", "external"], at);
  expect(asked.code).toBe(1);
  expect(asked.stdout).toContain("external came back: it was compared with the others.");
  expect(asked.stdout).toContain("1 row may have been deleted elsewhere while external was away");
  expect(asked.stdout).toContain("tandem rejoin external --missing keep, or --missing delete");
  const decided = await runJson<Record<string, unknown>>(["rejoin", "external", "--missing", "delete"], at);
  expect(decided.code).toBe(0);
  expect(decided.document).toMatchObject({ node: "external", renewed: false, undecided: 0, well: true });
  expect(await expectWell(["status"], at)).toMatch(/^All well/);
  await expectEqual([nodes.local, { name: "external", superUrl: restored }]);
  const rows = await sql(restored, "select id, v from t where id < 4 order by id");
  expect(rows.map(({ id, v }) => `${id} ${v}`)).toEqual(["1 later", "3 copy"]);
});
