import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { connectClient, sql } from "./client.ts";

const projectRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** A peer as `tandem.configure_node` takes it; a bare name has links in both directions. */
export interface PeerOptions {
  name: string;
  /** It has a link into the configured node. */
  sends?: boolean;
  /** The configured node has a link into it. */
  receives?: boolean;
  /** The nodes that have a link of their own into it. */
  receivesFrom?: string[];
}

/** Tandem's schema and all of sql/, in one transaction through one connection: no part of src/ is needed for tests of the SQL. */
export async function installSql(url: string): Promise<void> {
  const migration = await readFile(join(projectRoot, "migrations", "0001_tables.sql"), "utf8");
  const up = migration.slice(migration.indexOf("-- Up Migration"), migration.indexOf("-- Down Migration"));
  const functions = await inlined(join(projectRoot, "sql", "install.sql"));
  const client = await connectClient(url);
  try {
    await client.query(`begin;\n${up}\n${functions}\ncommit;`);
  } finally {
    await client.end();
  }
}

/** The file with each `\ir` line replaced by what it names, as psql would read it. */
async function inlined(path: string): Promise<string> {
  const lines = (await readFile(path, "utf8")).split("\n");
  const parts = lines.map((line) => {
    const included = /^\\ir\s+(\S+)\s*$/.exec(line)?.[1];
    return included ? inlined(join(dirname(path), included)) : line;
  });
  return (await Promise.all(parts)).join("\n");
}

/** Makes the database a node; without peers it has nobody to send to. */
export async function configure(url: string, name = "local", peers: (string | PeerOptions)[] = []): Promise<void> {
  const given = peers.map((peer) => {
    const {
      name: peerName,
      sends = true,
      receives = true,
      receivesFrom = [name],
    }: PeerOptions = typeof peer === "string" ? { name: peer } : peer;
    return { name: peerName, sends, receives, receives_from: receivesFrom };
  });
  await sql(url, `select tandem.configure_node($1, $2)`, [name, JSON.stringify(given)]);
}
