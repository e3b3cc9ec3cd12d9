import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const program = [
  ...(process.env.PATH ?? "").split(":").map((folder) => join(folder, "pgbench")),
  ...["18", "17", "16", "15", "14", "13"].map((major) => `/usr/lib/postgresql/${major}/bin/pgbench`),
].find(existsSync);

/** Why pgbench cannot run here; null: it can. */
export const pgbenchMissing = program ? null : "pgbench is not installed";

/** Runs a script of one transaction for some seconds; returns transactions a second. `rate`: no more than that. */
export async function pgbench(url, script, { clients, seconds, rate = null }) {
  const folder = await mkdtemp(join(tmpdir(), "tandem-bench-"));
  try {
    const file = join(folder, "script.sql");
    await writeFile(file, script);
    const threads = String(Math.min(clients, 2));
    const args = ["-n", "-c", String(clients), "-j", threads, "-T", String(seconds), "-f", file];
    const out = await run([...args, ...(rate === null ? [] : ["-R", String(rate)]), url]);
    return Number(/tps = ([\d.]+)/.exec(out)[1]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(args) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) {
    child[name].on("data", (chunk) => {
      texts[name] += chunk;
    });
  }
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`pgbench: ${texts.stderr}`);
  return texts.stdout;
}
