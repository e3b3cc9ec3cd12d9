import { spawn } from "node:child_process";
import { basename } from "node:path";
import type { Readable } from "node:stream";
import { TandemError } from "../base/errors.ts";
import { scrub } from "../base/scrub.ts";

/** How a program runs. */
export interface RunOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
  /** Reads stdout to its end; the program is killed when it throws. */
  readonly read?: ((stdout: Readable) => Promise<void>) | undefined;
}

const keptBytes = 16_384;
const killAfterMs = 5_000;

/**
 * Runs a program of PostgreSQL. Only its exit code tells success, and only after all of its output has been read;
 * what it wrote to stderr is returned, for it warns there too. Throws `program_failed` with its last words.
 */
export async function runProgram(program: string, args: readonly string[], options: RunOptions): Promise<string[]> {
  const { env, signal, read } = options;
  if (signal?.aborted) throw stopped(signal);
  const child = spawn(program, args, { env, stdio: ["ignore", read ? "pipe" : "ignore", "pipe"] });
  let words = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(-keptBytes);
  });
  let killer: NodeJS.Timeout | undefined;
  const end = () => {
    child.kill("SIGTERM");
    killer ??= setTimeout(() => child.kill("SIGKILL"), killAfterMs).unref();
  };
  signal?.addEventListener("abort", end, { once: true });
  const closed = new Promise<{ code: number | null; killed: NodeJS.Signals | null }>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, killed) => resolve({ code, killed }));
  });
  let failure: unknown;
  const reading =
    child.stdout && read
      ? read(child.stdout).catch((error: unknown) => {
          failure = error;
          end();
        })
      : undefined;
  try {
    const { code, killed } = await closed;
    await reading;
    if (signal?.aborted) throw stopped(signal);
    const lines = scrub(words).trim().split("\n").filter(Boolean);
    if (code !== 0) {
      const how = killed ? `was ended by ${killed}` : `ended with ${code}`;
      throw new TandemError(
        "program_failed",
        `${basename(program)} ${how}: ${lines.slice(-3).join("; ") || "it said nothing"}`,
      );
    }
    if (failure !== undefined) throw failure;
    return lines;
  } catch (error) {
    if (error instanceof TandemError || error === failure) throw error;
    throw new TandemError("no_client_program", `${program} cannot be run: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    clearTimeout(killer);
    signal?.removeEventListener("abort", end);
  }
}

function stopped(signal: AbortSignal): TandemError {
  return new TandemError("stopped", "stopped before the work was done", { cause: signal.reason });
}
