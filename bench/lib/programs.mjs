import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";

/**
 * Runs a program to its end: its milliseconds, and the most megabytes that it held (`VmHWM`; 0 where the system does not tell). Throws what
 * it wrote to stderr where it fails.
 */
export async function runProgram(program, args, options) {
  const start = performance.now();
  const child = spawn(program, args, { ...options, stdio: ["ignore", "ignore", "pipe"] });
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    words = (words + text).slice(-10_000);
  });
  let mb = 0;
  const look = async () => {
    const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
    mb = Math.max(mb, Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024));
  };
  const timer = setInterval(look, 50);
  try {
    const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
    if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${words}`);
    return { ms: performance.now() - start, mb };
  } finally {
    clearInterval(timer);
  }
}
