// Bucardo between the same two databases: both are sources, the newest row wins, and it works when it is kicked.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { debianMissing } from "./debian-servers.mjs";
import { databases, until } from "./pairs.mjs";
import { timed } from "./rounds.mjs";

const program = "/usr/bin/bucardo";

/** Why Bucardo cannot run here; null: it can. */
export const bucardoMissing = !existsSync(program)
  ? "bucardo is not installed"
  : existsSync("/usr/share/postgresql/15/extension/plperl.control")
    ? debianMissing
    : "postgresql-plperl-15 is not installed";

/** `servers` as `startServers` gives them, of Debian's programs. One at a time: its own database is in the first server. */
export async function bucardoPair(servers, name, schema) {
  const clients = await databases(servers, name, schema);
  const home = await mkdtemp(join(tmpdir(), "tandem-bench-bucardo-"));
  const port = (node) => new URL(servers.url(node, name)).port;
  await mkdir(join(home, "log"));
  const own = { dbhost: "127.0.0.1", dbport: port("local"), dbuser: "postgres", dbname: "bucardo" };
  const places = { piddir: home, logdest: join(home, "log") };
  const lines = Object.entries({ ...own, ...places }).map(([key, value]) => `${key} = ${value}\n`);
  await writeFile(join(home, "bucardorc"), lines.join(""));
  const bucardo = (...args) =>
    promisify(execFile)(program, [`--bucardorc=${join(home, "bucardorc")}`, ...args], {
      env: { PATH: process.env.PATH, HOME: home },
      // It leaves notes in the folder that it is started in.
      cwd: home,
    });
  const bootstrap = ["--dbhost", own.dbhost, "--dbport", own.dbport, "--dbuser", own.dbuser, "--dbname", "postgres"];
  await bucardo("install", "--batch", ...bootstrap, "--pid-dir", home);
  for (const node of ["local", "external"]) {
    const where = [`dbhost=${own.dbhost}`, `dbport=${port(node)}`, `dbuser=${own.dbuser}`, `dbname=${name}`];
    await bucardo("add", "db", node, ...where);
  }
  await bucardo("add", "table", "public.item", "db=local", "relgroup=bench");
  const both = "dbs=local:source,external:source";
  await bucardo("add", "sync", "bench", "relgroup=bench", both, "conflict_strategy=bucardo_latest", "autokick=0");
  await bucardo("start", `--logdest=${places.logdest}`);
  for (let tries = 0; ; tries++) {
    if (await bucardo("ping", "5").catch(() => null)) break;
    if (tries > 20) throw new Error("Bucardo does not start");
    await sleep(500);
  }
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    // It restarts its processes for ever while a server is away: all of them are ended by number.
    await bucardo("stop").catch(() => {});
    for (const file of await readdir(home)) {
      if (!file.endsWith(".pid")) continue;
      // A process that ends by itself takes its file away meanwhile.
      const text = await readFile(join(home, file), "utf8").catch((error) => {
        if (error.code === "ENOENT") return "";
        throw error;
      });
      const pid = Number.parseInt(text, 10);
      try {
        if (pid > 1) process.kill(pid, "SIGKILL");
      } catch (error) {
        if (error.code !== "ESRCH") throw error;
      }
    }
    await rm(home, { recursive: true, force: true });
  };
  servers.atEnd(close);
  return {
    ...clients,
    url: (node) => servers.url(node, name),
    /** Milliseconds from the kick until it is done and `reached` is true in the target. */
    catchUp: (reached) =>
      timed(async () => {
        await bucardo("kick", "bench", "0");
        await until(clients.external, reached);
      }),
    close,
  };
}
