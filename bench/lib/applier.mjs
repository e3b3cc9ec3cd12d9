// The applier as a process of its own, as users run it: its memory and CPU can be read.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

const cli = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** `tandem COMMAND` between two nodes; `ended` rejects with what it wrote to stderr unless the exit code is 0. */
export function startApplier(command, env, cwd = tmpdir()) {
  const child = spawn(process.execPath, [cli, ...command], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said = (said + chunk).slice(-4_000);
  });
  const ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`tandem ${command.join(" ")}: ${signal ?? code}\n${said}`)),
    );
  });
  return {
    ended,
    pid: child.pid,
    /** The last of what it wrote to stderr. */
    said: () => said,
    /** The memory that is resident now, in MB; null once it has ended, and where there is no /proc. */
    residentMb() {
      const kb = /VmRSS:\s+(\d+)/.exec(readProc(child.pid, "status"))?.[1];
      return kb === undefined ? null : Number(kb) / 1024;
    },
    /** The most resident memory so far, in MB; null once it has ended, and where there is no /proc. */
    peakMb() {
      const kb = /VmHWM:\s+(\d+)/.exec(readProc(child.pid, "status"))?.[1];
      return kb === undefined ? null : Number(kb) / 1024;
    },
    /** CPU used so far, in seconds. */
    cpuSeconds() {
      const fields = readProc(child.pid, "stat")
        .replace(/^.*\) /, "")
        .split(" ");
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function readProc(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "ESRCH") return "";
    throw error;
  }
}
