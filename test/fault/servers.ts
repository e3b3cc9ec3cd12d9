import { type EmbeddedServer, type ServerOptions, startServer } from "../../src/embedded/server.ts";
import { type TandemOptions, tandem } from "../support/child.ts";
import { sql } from "../support/client.ts";
import { testMajor } from "../support/pg.ts";
import { type FaultNode, Opened } from "./support.ts";

/**
 * Commits of the application need not survive a crash; what Tandem tells the other side must, whatever the role has set.
 * Without fsync a killed server still finds what it has written.
 */
const settings = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_connections: "40",
  shared_buffers: "16MB",
};

/** Two servers of the test's own, that it may kill. */
export interface Servers extends AsyncDisposable {
  readonly opened: Opened;
  readonly servers: readonly [EmbeddedServer, EmbeddedServer];
  readonly nodes: readonly [FaultNode, FaultNode];
}

/** Starts them, with `schema` in the database of each. */
export async function twoServers(schema: string, options: ServerOptions = {}): Promise<Servers> {
  const opened = new Opened();
  const start = async () =>
    opened.add(await startServer({ major: testMajor(), ...options, settings: { ...settings, ...options.settings } }));
  const servers = [await start(), await start()] as const;
  const node = (name: string, server: EmbeddedServer): FaultNode => ({
    name,
    superUrl: server.url(),
    admin: { query: (text) => sql(server.url(), text) },
  });
  for (const server of servers) await sql(server.url(), schema);
  const nodes = [node("local", servers[0]), node("external", servers[1])] as const;
  return { opened, servers, nodes, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

/** Installs and syncs once; the folder to run the sidecar in. */
export async function synced(opened: Opened, urls: Record<string, string>): Promise<TandemOptions> {
  const at = await opened.folder(urls);
  for (const command of ["migrate", "sync"]) {
    const { code, stderr } = await tandem([command], at);
    if (code !== 0) throw new Error(`tandem ${command}: ${code}\n${stderr}`);
  }
  return at;
}
