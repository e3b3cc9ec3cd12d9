import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterTest } from "./pg.ts";
import { waitFor } from "./wait.ts";

/** The project's top folder. */
export const projectRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

const program = join(projectRoot, "dist", "cli", "main.js");

/** Where and with what the command runs. */
export interface TandemOptions {
  /** A folder without `.env` and `tandem.yaml` is best: `tempFolder()`. Default: the system's temporary folder. */
  cwd?: string;
  /** Added to an environment that holds nothing of the caller's own databases. */
  env?: Record<string, string | undefined>;
  timeoutMs?: number;
  /** Text for stdin, which is closed otherwise. */
  input?: string;
}

/** What a finished command has said. */
export interface TandemResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs the built command to its end; throws only when it does not end. */
export async function tandem(args: string[], options: TandemOptions = {}): Promise<TandemResult> {
  await using child = spawnTandem(args, options);
  return await child.ended(options.timeoutMs ?? 120_000);
}

/** Starts the built command and leaves it running; it is killed when the test is over. */
export function spawnTandem(args: string[], options: TandemOptions = {}): TandemProcess {
  if (!existsSync(program)) throw new Error(`${program} is not built: npm run build`);
  const child = spawn(process.execPath, [program, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { ...ownEnvironment(), ...options.env },
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  child.stdin?.end(options.input);
  const running = new TandemProcess(child, args);
  afterTest(() => running[Symbol.asyncDispose]());
  return running;
}

/** What a developer has set for a database or a test runner must not change what the command does. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const foreign = /^(TANDEM_|PG|VITEST|NODE_OPTIONS$|NODE_ENV$|DATABASE_URL$|EXTERNAL_DB_URL$|FORCE_COLOR$)/;
  const kept = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  return { ...Object.fromEntries(kept), NO_COLOR: "1" };
}

/** A command that runs. */
export class TandemProcess implements AsyncDisposable {
  stdout = "";
  stderr = "";
  readonly #child: ChildProcess;
  readonly #args: string[];
  readonly #closed: Promise<TandemResult>;
  #result: TandemResult | undefined;

  constructor(child: ChildProcess, args: string[]) {
    this.#child = child;
    this.#args = args;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.#closed = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        this.#result = { code, signal, stdout: this.stdout, stderr: this.stderr };
        resolve(this.#result);
      });
    });
    this.#closed.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Undefined while it runs. */
  get result(): TandemResult | undefined {
    return this.#result;
  }

  /** The first line, of stdout or stderr, that holds the text or matches; throws when the command ends without it. */
  async waitForLine(pattern: string | RegExp, options: { deadlineMs?: number } = {}): Promise<string> {
    const find = () =>
      `${this.stdout}\n${this.stderr}`
        .split("\n")
        .find((line) => (typeof pattern === "string" ? line.includes(pattern) : pattern.test(line)));
    const found = await waitFor(() => find() ?? this.#result, {
      deadlineMs: options.deadlineMs ?? 90_000,
      what: () => this.#words(`the line ${pattern}`),
    });
    if (typeof found === "string") return found;
    throw new Error(this.#words(`ended with ${found.code ?? found.signal} before the line ${pattern}`));
  }

  /** Waits for the end; kills it and throws when that does not come. */
  async ended(deadlineMs = 120_000): Promise<TandemResult> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), deadlineMs);
    });
    const result = await Promise.race([this.#closed, late]);
    clearTimeout(timer);
    if (result) return result;
    this.#child.kill("SIGKILL");
    throw new Error(this.#words(`did not end within ${deadlineMs} ms`));
  }

  /** Sends a signal and waits for the end; SIGKILL unless told otherwise. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<TandemResult> {
    if (!this.#result) this.#child.kill(signal);
    return this.ended();
  }

  /** Asks it to end, as Ctrl-C does. */
  async stop(): Promise<TandemResult> {
    return this.kill("SIGINT");
  }

  /** Freezes or thaws it, to play a machine that sleeps. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }

  #words(what: string): string {
    return `tandem ${this.#args.join(" ")}: ${what}\nstdout:\n${this.stdout.slice(-4000)}\nstderr:\n${this.stderr.slice(-4000)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#result) await this.kill("SIGKILL");
  }
}

/** An empty folder that goes when the test is over. */
export async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tandem-work-"));
  afterTest(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
