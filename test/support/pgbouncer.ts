import { type ChildProcess, spawn } from "node:child_process";
import { chown, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openTemporaryFolder } from "../../src/embedded/binaries.ts";
import { type Guard, guardServer } from "../../src/embedded/guard.ts";
import { freePort } from "../../src/embedded/server.ts";
import { type ServerUser, serverUser } from "../../src/embedded/user.ts";
import { connectClient } from "./client.ts";
import { skipUnless } from "./components.ts";
import { afterTest } from "./pg.ts";
import { waitFor } from "./wait.ts";

/** How the pooler is set up. */
export interface PgBouncerOptions {
  poolMode?: "transaction" | "session" | "statement";
  /** Sessions with the server. */
  poolSize?: number;
  /** What is run in a session before another client gets it, in session mode; PgBouncer's own default is DISCARD ALL. */
  resetQuery?: string;
}

/** A pooler that runs; it ends with the test. */
export interface PgBouncer extends AsyncDisposable {
  /** Of the same database and role as the URL it was started for. */
  readonly url: string;
  readonly port: number;
  /** Ends it at once and starts it again: all its clients lose their connections. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts a real PgBouncer before one database, in transaction mode unless told otherwise; where the program is missing the
 * test is skipped. To be called after the `cluster` whose node it stands before, so that it is gone when that is dropped.
 */
export async function startPgBouncer(url: string, options: PgBouncerOptions = {}): Promise<PgBouncer> {
  const program = skipUnless("pgbouncer");
  // It refuses root, as the server does.
  const user = serverUser();
  const folder = await mkdtemp(join(openTemporaryFolder(user), "tandem-bouncer-"));
  const port = await freePort();
  const ini = join(folder, "pgbouncer.ini");
  await writeFile(ini, configuration(new URL(url), { ...options, port, folder }));
  for (const path of user ? [ini, folder] : []) await chown(path, user!.uid, user!.gid);
  const bouncer = new RunningPgBouncer({ program, ini, folder, user, port, url });
  afterTest(() => bouncer.stop());
  await bouncer.ready();
  return bouncer;
}

function configuration(
  server: URL,
  { poolMode, poolSize, resetQuery, port, folder }: PgBouncerOptions & Place,
): string {
  const quoted = (text: string) => `'${decodeURIComponent(text).replaceAll("'", "''")}'`;
  const database = server.pathname.slice(1);
  return `[databases]
${decodeURIComponent(database)} = host=${server.hostname} port=${server.port} dbname=${quoted(database)} user=${quoted(server.username)} password=${quoted(server.password)}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${poolMode ?? "transaction"}
default_pool_size = ${poolSize ?? 4}
${resetQuery === undefined ? "" : `server_reset_query = ${resetQuery}\n`}ignore_startup_parameters = extra_float_digits, options
logfile = ${join(folder, "pgbouncer.log")}
`;
}

interface Place {
  port: number;
  folder: string;
}

interface Given extends Place {
  program: string;
  ini: string;
  user: ServerUser | undefined;
  url: string;
}

class RunningPgBouncer implements PgBouncer {
  readonly url: string;
  readonly port: number;
  readonly #given: Given;
  #process: ChildProcess | undefined;
  #guard: Guard | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(given: Given) {
    const through = new URL(given.url);
    through.host = `127.0.0.1:${given.port}`;
    this.url = through.href;
    this.port = given.port;
    this.#given = given;
    this.#start();
  }

  #start(): void {
    const { program, ini, user } = this.#given;
    const child = spawn(program, [ini], { ...(user && { uid: user.uid, gid: user.gid }), cwd: "/", stdio: "ignore" });
    this.#process = child;
    this.#ended = new Promise((resolve) => {
      child.once("error", () => resolve());
      child.once("exit", () => resolve());
    });
    this.#guard = child.pid === undefined ? undefined : guardServer(child.pid, this.#given);
  }

  async restart(): Promise<void> {
    await this.#kill();
    this.#start();
    await this.ready();
  }

  async ready(): Promise<void> {
    try {
      await waitFor(async () => {
        await (await connectClient(this.url)).end();
        return true;
      });
    } catch (cause) {
      const log = await readFile(join(this.#given.folder, "pgbouncer.log"), "utf8").catch(() => "(no log)");
      await this.stop();
      throw new Error(`pgbouncer does not answer:\n${log.slice(-2000)}`, { cause });
    }
  }

  /** It holds nothing that must be saved, and its polite signals differ between versions. */
  async #kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#ended;
    this.#guard?.dismiss();
  }

  async stop(): Promise<void> {
    await this.#kill();
    await rm(this.#given.folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
