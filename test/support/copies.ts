import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Config } from "../../src/config/config.ts";
import { type EmbeddedServer, type ServerOptions, startServer } from "../../src/embedded/server.ts";
import { pgDump } from "./components.ts";
import { afterTest, sql, testMajor } from "./pg.ts";

/** A server of the test's own, of the run's major; it ends with the test. */
export async function ownServer(options: ServerOptions = {}): Promise<EmbeddedServer> {
  const settings = { fsync: "off", max_connections: "50", shared_buffers: "16MB", ...options.settings };
  const server = await startServer({ major: testMajor(), ...options, settings });
  afterTest(() => server.stop("immediate"));
  return server;
}

/** A copy of a server's data directory, taken while it is stopped; the server runs again afterwards, unless told not to. */
export async function copyData(server: EmbeddedServer, { restart = true } = {}): Promise<string> {
  await server.stop("fast", { keep: true });
  const dataDir = join(dirname(server.dataDir), `copy-${Date.now()}`);
  // The owner stays: a server's data is its user's.
  await cp(server.dataDir, dataDir, { recursive: true, preserveTimestamps: true });
  await promisify(execFile)("chown", ["-R", `--reference=${server.dataDir}`, dataDir]);
  await promisify(execFile)("chmod", ["700", dataDir]);
  if (restart) await server.restart();
  return dataDir;
}

/** Starts a server on a copied data directory: the password is the original's. */
export function startCopy(of: EmbeddedServer, dataDir: string, options: ServerOptions = {}): Promise<EmbeddedServer> {
  return ownServer({ ...options, dataDir, password: of.password });
}

/** `pg_dump | pg_restore` into a database made for it on the server of `onto`; returns its URL. */
export async function dumpAndRestore(url: string, database: string, onto: string): Promise<string> {
  const dump = pgDump();
  const folder = await mkdtemp(join(tmpdir(), "tandem-dump-"));
  afterTest(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "database.dump");
  const run = promisify(execFile);
  await run(dump, ["--format=custom", `--file=${file}`, url], { timeout: 120_000 });
  if ((await stat(file)).size === 0) throw new Error("pg_dump wrote nothing");
  await sql(onto, `create database "${database}"`);
  const restored = withDatabase(onto, database);
  await run(join(dirname(dump), "pg_restore"), ["--exit-on-error", `--dbname=${restored}`, file], { timeout: 120_000 });
  return restored;
}

/** The same server, another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${encodeURIComponent(database)}`;
  return changed.href;
}

/** The same configuration with another URL for a node. */
export function movedNode(config: Config, node: string, url: string): Config {
  return { ...config, nodes: config.nodes.map((each) => (each.name === node ? { ...each, url } : each)) };
}
