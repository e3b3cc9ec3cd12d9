// Servers of Debian's own programs: Bucardo needs PL/Perl, which the npm package does not hold.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { appendFile, chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { serverUser } from "../../dist/embedded/user.js";
import { freePort } from "./free-port.mjs";

const major = 15;
const programs = `/usr/lib/postgresql/${major}/bin`;

/** Why these servers cannot run here; null: they can. */
export const debianMissing = existsSync(join(programs, "initdb")) ? null : `postgresql-${major} is not installed`;

/** A server on 127.0.0.1 that trusts everybody on it, with the `url` and `stop` of an embedded one. */
export async function startDebianServer({ settings }) {
  const user = serverUser();
  const as = user ? { uid: user.uid, gid: user.gid } : {};
  const folder = await mkdtemp(join(tmpdir(), "tandem-bench-pg-"));
  if (user) await chown(folder, user.uid, user.gid);
  const data = join(folder, "data");
  const options = { ...as, cwd: folder };
  await promisify(execFile)(join(programs, "initdb"), ["-D", data, "-A", "trust", "-U", "postgres"], options);
  const port = await freePort();
  const lines = { ...settings, port, listen_addresses: "127.0.0.1", unix_socket_directories: folder, jit: "off" };
  await appendFile(
    join(data, "postgresql.conf"),
    Object.entries(lines)
      .map(([name, value]) => `${name} = '${value}'\n`)
      .join(""),
  );
  const server = spawn(join(programs, "postgres"), ["-D", data], { ...options, stdio: "ignore" });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const ready = ["-q", "-h", "127.0.0.1", "-p", String(port)];
  for (let tries = 0; ; tries++) {
    const answers = await promisify(execFile)(join(programs, "pg_isready"), ready).catch(() => null);
    if (answers) break;
    if (tries > 300 || server.exitCode !== null) throw new Error(`the server in ${folder} does not start`);
    await sleep(100);
  }
  return {
    port,
    url: (database) => `postgres://postgres@127.0.0.1:${port}/${database}`,
    async stop() {
      server.kill("SIGQUIT");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
