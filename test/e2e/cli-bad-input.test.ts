import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { tempFolder } from "../support/child.ts";
import { afterTest, type Cluster, cluster } from "../support/pg.ts";
import { changed, folderFor, password, run, runJson } from "./cli-runner.ts";

// A test is a handful of processes one after the other.
vi.setConfig({ testTimeout: 180_000 });

const oneLine = (code: string) => new RegExp(`^${code}: .+ Remedy: .+\\n$`);

interface Failure {
  error: { code: string; message: string; hint: string; faults?: { place: string; path: string }[] };
}

interface Status {
  sentence: string;
  problems: { kind: string; node: string; table: string | null; message: string }[];
}

async function two(ddl = "create table t (id int primary key, v text)"): Promise<Cluster> {
  const nodes = await cluster(2);
  for (const { admin } of nodes) await admin.query(ddl);
  return nodes;
}

/** A port nobody listens to, nor is ever given. */
const deadPort = 1;

describe("configuration", () => {
  test("without any, one line says what to do", async () => {
    const cwd = await tempFolder();
    for (const command of ["status", "migrate", "sync", "run", "pending", "verify", "doctor", "parked", "conflicts"]) {
      const { code, stdout, stderr } = await run([command], { cwd });
      expect({ command, code, stdout }).toEqual({ command, code: 2, stdout: "" });
      expect(stderr).toMatch(oneLine("config_invalid"));
      expect(stderr).toContain("tandem init");
    }
  });

  test("all faults of a file together, each with its line", async () => {
    const cwd = await tempFolder();
    const text = `nodes:
  local: { url: "\${NOT_SET_ANYWHERE}" }
  external: { url: "mysql://u:${password}@h/d" }
tabels: [public.*]
sync: { interval: soon, batch_rows: -3, sede: local }
`;
    await writeFile(join(cwd, "tandem.yaml"), text);
    const { code, stdout, stderr } = await run(["sync"], { cwd });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^config_invalid: 6 faults\n/);
    for (const line of [2, 3, 4, 5]) expect(stderr).toMatch(new RegExp(`^tandem\\.yaml:${line}:\\d+ `, "m"));
    expect(stderr).toContain('did you mean "tables"');
    const { document } = await runJson<Failure>(["status"], { cwd });
    expect(document.error.faults).toHaveLength(6);
  });

  test("a file that is named and not there", async () => {
    const { code, stderr } = await run(["status", "--config", "nowhere.yaml"], { cwd: await tempFolder() });
    expect(code).toBe(2);
    expect(stderr).toMatch(oneLine("config_invalid"));
  });

  test("both URLs one database, written alike or not", async () => {
    const nodes = await two();
    const url = nodes.local.url;
    const cwd = await tempFolder();
    const same = await run(["migrate"], { cwd, env: { DATABASE_URL: url, EXTERNAL_DB_URL: url } });
    expect(same.code).toBe(2);
    expect(same.stderr).toMatch(/^same_database: /);
    const other = changed(url, (parsed) => {
      parsed.hostname = "localhost";
    });
    const alias = { cwd, env: { DATABASE_URL: url, EXTERNAL_DB_URL: other } };
    const migrate = await run(["migrate"], alias);
    expect(migrate).toMatchObject({ code: 2, stdout: "" });
    expect(migrate.stderr).toMatch(oneLine("same_database"));
    expect(await nodes.local.admin.value("select to_regnamespace('tandem')")).toBeNull();
    await run(["migrate"], await folderFor(nodes));
    for (const command of [["sync"], ["sync", "--dry-run"], ["run"]]) {
      const { code, stderr } = await run(command, alias);
      expect({ command, code }).not.toEqual({ command, code: 0 });
      expect(stderr).toMatch(/^same_database: .+ Remedy: .+$/m);
    }
  });

  test("one node alone: there is none to keep it the same with", async () => {
    const nodes = await cluster(1);
    const { url } = nodes.local;
    const cwd = await tempFolder();
    for (const command of [["sync"], ["sync", "--dry-run"], ["run"], ["verify"], ["status"]]) {
      const { code, stdout, stderr } = await run(command, { cwd, env: { DATABASE_URL: url, EXTERNAL_DB_URL: "" } });
      expect({ command, code, stdout }).toEqual({ command, code: 2, stdout: "" });
      expect(stderr).toMatch(oneLine("config_invalid"));
      expect(stderr).toContain("EXTERNAL_DB_URL: is not set, and node local is the only one");
    }
    await writeFile(join(cwd, "tandem.yaml"), `nodes: { office: { url: "${url}" } }\n`);
    const { code, stderr } = await run(["sync"], { cwd });
    expect(code).toBe(2);
    expect(stderr).toMatch(/tandem\.yaml nodes: node office is the only one/);
  });
});

describe("servers", () => {
  test("a URL that is none", async () => {
    for (const url of [
      "db.example.com/app",
      `postgres://u:${password}@127.0.0.1:port/d`,
      `mysql://u:${password}@h/d`,
    ]) {
      const env = { DATABASE_URL: url, EXTERNAL_DB_URL: "postgres://u@127.0.0.1/d" };
      const { code, stdout, stderr } = await run(["status"], { cwd: await tempFolder(), env });
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(/^config_invalid: DATABASE_URL/);
    }
  });

  test("a wrong password: status names the node, the others stop, nothing is done", async () => {
    const nodes = await two();
    const at = await folderFor(nodes);
    const env = {
      ...at.env,
      EXTERNAL_DB_URL: changed(nodes.external.url, (url) => {
        url.password = password;
      }),
    };
    const migrate = await run(["migrate"], { ...at, env });
    expect(migrate).toMatchObject({ code: 1, stdout: "" });
    expect(migrate.stderr).toMatch(oneLine("wrong_password"));
    expect(await nodes.local.admin.value("select to_regnamespace('tandem')")).toBeNull();
    await run(["migrate"], at);
    const status = await runJson<Status>(["status"], { ...at, env });
    expect(status.code).toBe(1);
    expect(status.document.problems[0]).toMatchObject({ kind: "unreachable", node: "external" });
    const sync = await run(["sync"], { ...at, env });
    expect(sync.code).toBe(1);
    expect(sync.stderr).toMatch(oneLine("wrong_password"));
    for (const command of ["pending", "conflicts", "parked"]) {
      const list = await run([command], { ...at, env });
      expect(list.code).toBe(1);
      expect(list.stderr).toMatch(oneLine("wrong_password"));
      expect(list.stdout).toContain("in the nodes that answered");
    }
  });

  test("an unreachable server: sync waits as long as it is told, then one line", async () => {
    const nodes = await two();
    const at = await folderFor(nodes);
    expect((await run(["migrate"], at)).code).toBe(0);
    const env = {
      ...at.env,
      EXTERNAL_DB_URL: changed(nodes.external.url, (url) => {
        url.port = String(deadPort);
      }),
    };
    const began = Date.now();
    const sync = await run(["sync", "--wait", "2"], { ...at, env });
    expect(Date.now() - began).toBeGreaterThan(2_000);
    expect(sync.code).toBe(1);
    expect(sync.stderr).toMatch(oneLine("cannot_connect"));
    expect(sync.stderr).toContain(`127.0.0.1:${deadPort}`);
    const json = await runJson<{ well: boolean; links: { error: { code: string } }[] }>(["sync", "--wait", "0"], {
      ...at,
      env,
    });
    expect(json.document).toMatchObject({ well: false, links: [{ error: { code: "cannot_connect" } }, {}] });
    const status = await runJson<Status>(["status"], { ...at, env });
    expect(status.document.sentence).toMatch(/^Node external \(127\.0\.0\.1:\d+, database .*ECONNREFUSED/);
    expect(status.code).toBe(1);
  });

  test("a database that is not there", async () => {
    const nodes = await two();
    const env = {
      DATABASE_URL: nodes.local.url,
      EXTERNAL_DB_URL: changed(nodes.external.url, (url) => {
        url.pathname = "/no_such_database";
      }),
    };
    const { code, stderr } = await run(["migrate"], { cwd: await tempFolder(), env });
    expect(code).toBe(1);
    expect(stderr).toMatch(oneLine("database_missing"));
  });

  test("URLs exchanged after migrate are noticed before anything moves", async () => {
    const nodes = await two();
    const at = await folderFor(nodes);
    await run(["migrate"], at);
    const env = { DATABASE_URL: nodes.external.url, EXTERNAL_DB_URL: nodes.local.url };
    const { code, document } = await runJson<Status>(["status"], { ...at, env });
    expect(code).toBe(1);
    expect(document.problems[0]).toMatchObject({ kind: "identity", node: "local" });
    const migrate = await run(["migrate"], { ...at, env });
    expect(migrate.code).toBe(1);
    expect(migrate.stderr).toMatch(/^identity_mismatch: /m);
  });

  test("Tandem on one side only", async () => {
    const nodes = await two();
    const at = await folderFor(nodes);
    expect((await run(["migrate", "--node", "local"], at)).code).toBe(0);
    const sync = await run(["sync"], at);
    expect(sync.code).toBe(1);
    expect(sync.stderr).toMatch(oneLine("not_installed"));
    expect(sync.stderr).toContain("node external");
    const status = await runJson<Status>(["status"], at);
    expect(status.document.problems[0]).toMatchObject({ kind: "not_installed", node: "external" });
  });

  test("another version on one side", async () => {
    const nodes = await two();
    const at = await folderFor(nodes);
    await run(["migrate"], at);
    await nodes.external.admin.query(
      "create or replace function tandem.version() returns text language sql immutable as $$ select '99.0.0' $$",
    );
    for (const command of ["sync", "migrate"]) {
      const { code, stderr } = await run([command], at);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^schema_newer: node external: .*99\.0\.0/m);
    }
    const { document } = await runJson<Status>(["status"], at);
    expect(document.problems[0]).toMatchObject({ kind: "wrong_version", node: "external" });
  });
});

describe("tables", () => {
  test("missing, of another key type, without a key: held or left out, the others flow", async () => {
    const nodes = await cluster(2);
    const { local, external } = nodes;
    await local.admin.query(`create table good (id int primary key, v text); create table only_here (id int primary key);
      create table differs (id text primary key); create table no_key (v text);
      insert into good values (1, 'a'); insert into only_here values (1); insert into differs values ('1')`);
    await external.admin.query(
      "create table good (id int primary key, v text); create table differs (id int primary key)",
    );
    const at = await folderFor(nodes);
    const migrate = await run(["migrate"], at);
    expect(migrate.stdout).toMatch(/no_key has no primary key/);
    // What would stay behind is said beforehand.
    const dry = await run(["sync", "--dry-run"], at);
    expect(dry.code).toBe(1);
    expect(dry.stdout).toMatch(/held: public\.only_here: there is no such table here/);
    const sync = await run(["sync"], at);
    expect(sync.code).toBe(1);
    expect(sync.stdout).toMatch(/held: public\.only_here: there is no such table here/);
    expect(sync.stdout).toMatch(/held: public\.differs: its key's type differs/);
    expect(await external.admin.value("select v from good")).toBe("a");

    const { code, document } = await runJson<Status>(["status"], at);
    expect(code).toBe(1);
    const seen = document.problems.map(({ kind, table }) => `${kind} ${table}`).sort();
    expect(seen).toEqual(["held differs", "held differs", "held only_here", "untracked no_key"]);

    await external.admin.query(
      "create table only_here (id int primary key); drop table differs; create table differs (id text primary key)",
    );
    await local.admin.query("alter table no_key add column id int generated always as identity primary key");
    await external.admin.query("create table no_key (v text, id int generated always as identity primary key)");
    expect((await run(["migrate"], at)).code).toBe(0);
    const mended = await run(["sync"], at);
    expect({ code: mended.code, stderr: mended.stderr.replace(/^.*done\n/gm, "") }).toEqual({ code: 0, stderr: "" });
    expect(await external.admin.value("select count(*) from only_here")).toBe("1");
    expect(await external.admin.value("select id from differs")).toBe("1");
    expect((await run(["status"], at)).stdout).toMatch(/^All well/);
  });

  test("the far side without tables: the line to run is printed, without a password", async () => {
    const nodes = await cluster(2);
    await nodes.local.admin.query("create table t (id int primary key)");
    const { stdout } = await run(["migrate"], await folderFor(nodes));
    expect(stdout).toMatch(
      /external holds no table yet[\s\S]*pg_dump -s .*"\$DATABASE_URL".*\| psql .*"\$EXTERNAL_DB_URL"/,
    );
  });

  test("rows that differ and have no time to decide by wait for a seed", async () => {
    const nodes = await two();
    await nodes.local.admin.query("insert into t values (1, 'here'), (2, 'same')");
    await nodes.external.admin.query("insert into t values (1, 'there'), (2, 'same')");
    const at = await folderFor(nodes);
    await run(["migrate"], at);
    const sync = await run(["sync"], at);
    expect(sync.code).toBe(1);
    const { document } = await runJson<Status>(["status"], at);
    expect(document.problems).toContainEqual(expect.objectContaining({ kind: "undecided", table: "t" }));
    expect(document.problems[0]?.message).toMatch(/1 rows? differ/);
  });
});

test("a reader that goes away ends it quietly", async () => {
  const nodes = await two("create table t (id int primary key); insert into t select generate_series(1, 20000)");
  const at = await folderFor(nodes);
  await run(["migrate"], at);
  await nodes.local.admin.query("update t set id = id + 100000");
  const { spawn } = await import("node:child_process");
  const program = join(import.meta.dirname, "..", "..", "dist", "cli", "main.js");
  const child = spawn("sh", ["-c", `"${process.execPath}" "${program}" pending --limit 40000 | head -1`], {
    cwd: at.cwd,
    env: { PATH: process.env.PATH, ...at.env },
  });
  afterTest(async () => void child.kill());
  let stderr = "";
  child.stderr.on("data", (text) => {
    stderr += String(text);
  });
  await new Promise((resolve) => child.once("close", resolve));
  expect(stderr).toBe("");
});
