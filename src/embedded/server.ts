import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type Binaries, findBinaries, openTemporaryFolder, prepareBinaries } from "./binaries.ts";
import { type Guard, guardServer } from "./guard.ts";
import { type ServerUser, serverUser } from "./user.ts";

/** How a server is told to stop, in PostgreSQL's words. */
export type StopMode = "fast" | "immediate" | "smart";

/** What a server is started with; everything has a default. */
export interface ServerOptions {
  /** Any but the installed one (15) must already be in the cache folder. */
  major?: number;
  /** Kept at stop when given; else a temporary folder that is removed. An existing cluster is started as it is. */
  dataDir?: string;
  /** A free one when not given. */
  port?: number;
  /** Lines of postgresql.conf. */
  settings?: Record<string, string>;
  /** Lines of pg_hba.conf that stand before ours. */
  hba?: string[];
  superuser?: "postgres";
  /** Random when not given. */
  password?: string;
  initdbArgs?: string[];
  /** PEM text, or paths of PEM files. */
  tls?: { cert: string; key: string };
  /** Added to the server's environment. */
  env?: Record<string, string>;
  onLog?: (line: string) => void;
}

/** A running PostgreSQL server on 127.0.0.1 that never outlives this process. */
export interface EmbeddedServer extends AsyncDisposable {
  readonly major: number;
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The postmaster's; undefined while it is down. */
  readonly pid: number | undefined;
  readonly superuser: string;
  readonly password: string;
  readonly dataDir: string;
  readonly logFile: string;
  url(database?: string, user?: string, password?: string): string;
  /** Stops; the temporary folder goes too, unless kept for a later `restart`. */
  stop(mode?: StopMode, options?: { keep?: boolean }): Promise<void>;
  /** SIGKILL of the postmaster: a crash. The data directory stays for `restart`. */
  kill(): Promise<void>;
  /** Starts again on the same data and port, whether it runs, was stopped with `keep`, or was killed. */
  restart(options?: { mode?: StopMode; settings?: Record<string, string> }): Promise<void>;
}

const startDeadlineMs = 60_000;
const stopDeadlineMs = 60_000;
const orphansLeft = /pre-existing shared memory block|lock file "postmaster.pid" already exists/;
/** A new unlogged relation was rolled back just before a crash: the first start fails, the second one mends it (PostgreSQL's bug 17731). */
const unloggedLeft = /could not create file "[^"]+": File exists/;
const portTaken = /could not bind|could not create any TCP\/IP sockets/;

/** Starts a server of its own, on a new cluster unless `dataDir` holds one. Throws with the last lines of its log. */
export async function startServer(options: ServerOptions = {}): Promise<EmbeddedServer> {
  const major = options.major ?? 15;
  const found = findBinaries(major);
  if (!found) throw new Error(`no PostgreSQL ${major} programs for ${process.platform}-${process.arch} are installed`);
  const user = serverUser();
  const binaries = await prepareBinaries(found, user);
  const root = await makeRoot(user);
  const server = new Server({ options, binaries, user, root });
  try {
    await server.create();
    await server.start({ portMayBeFreed: false });
    return server;
  } catch (error) {
    await server.stop("immediate");
    throw error;
  }
}

/** Holds sockets, the log and, unless the caller brought one, the data directory. */
async function makeRoot(user: ServerUser | undefined): Promise<string> {
  const root = await mkdtemp(join(openTemporaryFolder(user), "tandem-pg-"));
  await giveTo(user, root);
  return root;
}

async function giveTo(user: ServerUser | undefined, path: string): Promise<void> {
  if (user) await chown(path, user.uid, user.gid);
}

class Server implements EmbeddedServer {
  readonly major: number;
  readonly host = "127.0.0.1" as const;
  readonly superuser: string;
  readonly password: string;
  readonly dataDir: string;
  readonly logFile: string;
  readonly #options: ServerOptions;
  readonly #binaries: Binaries;
  readonly #user: ServerUser | undefined;
  readonly #root: string;
  #port: number;
  #process: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #guard: Guard | undefined;
  #logFollower: NodeJS.Timeout | undefined;
  #logRead = 0;

  constructor(given: { options: ServerOptions; binaries: Binaries; user: ServerUser | undefined; root: string }) {
    this.#options = given.options;
    this.#binaries = given.binaries;
    this.#user = given.user;
    this.#root = given.root;
    this.major = given.binaries.major;
    this.superuser = given.options.superuser ?? "postgres";
    this.password = given.options.password ?? randomBytes(9).toString("hex");
    this.dataDir = given.options.dataDir ?? join(given.root, "data");
    this.logFile = join(given.root, "server.log");
    this.#port = given.options.port ?? 0;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  url(database = "postgres", user = this.superuser, password = this.password): string {
    const secret = user === this.superuser || password !== this.password ? `:${encodeURIComponent(password)}` : "";
    return `postgresql://${encodeURIComponent(user)}${secret}@${this.host}:${this.#port}/${encodeURIComponent(database)}`;
  }

  /** Makes the cluster, when there is none yet, and its configuration. */
  async create(): Promise<void> {
    if (existsSync(join(this.dataDir, "PG_VERSION"))) return;
    await mkdir(this.dataDir, { recursive: true, mode: 0o700 });
    await giveTo(this.#user, this.dataDir);
    const passwordFile = join(this.#root, "password");
    await this.#write(passwordFile, `${this.password}\n`);
    const args = ["--pgdata", this.dataDir, "--username", this.superuser, "--pwfile", passwordFile];
    args.push("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C");
    // a crash of the machine loses a temporary cluster anyway
    if (!this.#options.dataDir) args.push("--no-sync");
    try {
      await promisify(execFile)(this.#binaries.initdb, [...args, ...(this.#options.initdbArgs ?? [])], {
        ...this.#ids(),
        timeout: startDeadlineMs,
      });
    } catch (error) {
      const { stdout = "", stderr = "", message } = error as Error & { stdout?: string; stderr?: string };
      throw new Error(`initdb of PostgreSQL ${this.#binaries.version} failed: ${message}\n${stdout}${stderr}`);
    } finally {
      await rm(passwordFile, { force: true });
    }
    await this.#configure();
  }

  async #configure(): Promise<void> {
    const { hba = [], tls, settings = {} } = this.#options;
    const rules = ["local all all scram-sha-256", "host all all samehost scram-sha-256"];
    rules.push("local replication all scram-sha-256", "host replication all samehost scram-sha-256");
    await this.#write(join(this.dataDir, "pg_hba.conf"), `${[...hba, ...rules].join("\n")}\n`);
    const lines: Record<string, string> = { ...settings };
    if (tls) {
      for (const [name, given] of Object.entries({ "server.crt": tls.cert, "server.key": tls.key })) {
        await this.#write(
          join(this.dataDir, name),
          given.includes("-----BEGIN") ? given : await readFile(given, "utf8"),
        );
      }
      lines.ssl = "on";
    }
    await this.#set(lines);
  }

  async #set(settings: Record<string, string>): Promise<void> {
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
    const path = join(this.dataDir, "postgresql.conf");
    await this.#write(path, (await readFile(path, "utf8")) + lines.join(""));
  }

  async #write(path: string, text: string): Promise<void> {
    await writeFile(path, text, { mode: 0o600 });
    await chmod(path, 0o600);
    await giveTo(this.#user, path);
  }

  /** Another process may take the port, or orphans of a killed postmaster hold the memory, for a moment: both are retried, as is what a second start mends. */
  async start({ portMayBeFreed }: { portMayBeFreed: boolean }): Promise<void> {
    const deadline = Date.now() + startDeadlineMs;
    const choosePort = this.#port === 0;
    for (;;) {
      if (choosePort) this.#port = await freePort();
      const logStart = existsSync(this.logFile) ? statSync(this.logFile).size : 0;
      this.#spawn();
      if (await this.#becameReady(deadline)) return;
      const log = readFileSync(this.logFile).subarray(logStart).toString();
      const again = portTaken.test(log)
        ? choosePort || portMayBeFreed
        : orphansLeft.test(log) || unloggedLeft.test(log);
      if (!again || Date.now() > deadline) {
        throw new Error(`PostgreSQL ${this.#binaries.version} did not start:\n${lastLines(log, 20)}`);
      }
      await sleep(200);
    }
  }

  #spawn(): void {
    const sockets = `${this.#root}/.s.PGSQL.65535`.length <= 107 ? this.#root : "";
    const args = ["-D", this.dataDir, "-p", String(this.#port), "-c", `unix_socket_directories=${sockets}`];
    if (!this.#options.settings?.listen_addresses) args.push("-c", `listen_addresses=${this.host}`);
    const log = openSync(this.logFile, "a", 0o644);
    // detached: Ctrl-C on a terminal is for the program, which stops its servers last
    const ids = this.#ids();
    const child = spawn(this.#binaries.postgres, args, {
      ...ids,
      env: { ...ids.env, ...this.#options.env },
      detached: true,
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#process = child;
    this.#ended = new Promise((resolve) => {
      const end = () => {
        this.#guard?.dismiss();
        this.#process = undefined;
        resolve();
      };
      child.once("exit", end);
      child.once("error", end);
    });
    if (child.pid) {
      const folder = this.#options.dataDir ? undefined : this.#root;
      this.#guard = guardServer(child.pid, { user: this.#user, folder });
    }
    child.unref();
    this.#followLog();
  }

  /** The postmaster says so in its own file; whose first line tells it from one that an earlier process left behind. */
  async #becameReady(deadline: number): Promise<boolean> {
    while (this.#process && Date.now() <= deadline) {
      const lines = (await readFile(join(this.dataDir, "postmaster.pid"), "utf8").catch(() => "")).split("\n");
      if (lines[0] === String(this.pid) && lines[7]?.trim() === "ready") return true;
      await sleep(20);
    }
    await this.#signal("SIGQUIT");
    return false;
  }

  #followLog(): void {
    const { onLog } = this.#options;
    if (!onLog || this.#logFollower) return;
    let rest = "";
    this.#logFollower = setInterval(() => {
      const lines = (rest + this.#newLog()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onLog(line);
    }, 100);
    this.#logFollower.unref();
  }

  #newLog(): string {
    const file = openSync(this.logFile, "r");
    const buffer = Buffer.alloc(Math.max(0, statSync(this.logFile).size - this.#logRead));
    const length = readSync(file, buffer, 0, buffer.length, this.#logRead);
    closeSync(file);
    this.#logRead += length;
    return buffer.toString("utf8", 0, length);
  }

  async stop(mode: StopMode = "fast", options: { keep?: boolean } = {}): Promise<void> {
    await this.#signal(mode === "fast" ? "SIGINT" : mode === "smart" ? "SIGTERM" : "SIGQUIT");
    if (options.keep) return;
    clearInterval(this.#logFollower);
    this.#logFollower = undefined;
    await rm(this.#root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  async kill(): Promise<void> {
    await this.#signal("SIGKILL");
  }

  async restart(options: { mode?: StopMode; settings?: Record<string, string> } = {}): Promise<void> {
    await this.stop(options.mode ?? "fast", { keep: true });
    if (options.settings) await this.#set(options.settings);
    await this.start({ portMayBeFreed: true });
  }

  /** Waits for the end; what a server does not do within the deadline is asked for more harshly. */
  async #signal(first: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (!child) return;
    child.ref();
    for (const signal of [first, "SIGQUIT", "SIGKILL"] as const) {
      child.kill(signal);
      const timer = new AbortController();
      const late = sleep(stopDeadlineMs, "late", { signal: timer.signal }).catch(() => "ended");
      const result = await Promise.race([this.#ended.then(() => "ended"), late]);
      timer.abort();
      if (result === "ended") return;
    }
  }

  /** Our own PG… variables and folder are nothing to a server; nor is the folder surely open to its user. */
  #ids() {
    const env = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name));
    const who = this.#user ? { uid: this.#user.uid, gid: this.#user.gid } : {};
    return { ...who, cwd: "/", env: { ...Object.fromEntries(env), LC_ALL: "C", TZ: "UTC" } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("immediate");
  }
}

/** A port that is free now, on the loopback address. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (typeof address !== "object" || !address) throw new Error("no free port");
  return address.port;
}

function lastLines(text: string, count: number): string {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}
