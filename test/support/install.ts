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

/**
 * From here on, where Tandem is installed and before anything is tracked: statements of a few rows are many to it, and sets of a few rows large,
 * so that small tests meet blocks and what is done for large sets.
 */
export async function countFewAsMany(url: string): Promise<void> {
  const constants = { block_after: 2, block_least: 2, block_rows: 3, repeats_from: 2 };
  const made = Object.entries(constants).map(
    ([name, value]) =>
      `create or replace function tandem.${name}() returns integer language sql immutable as 'select ${value}';`,
  );
  await sql(
    url,
    `${made.join("\n")}
    create or replace function tandem.is_large(p_relation text) returns boolean language plpgsql stable as
      'begin return pg_relation_size(p_relation) > 0; end';
    create or replace function tandem.is_worth(p_log text, p_rows bigint) returns boolean language sql stable as 'select true';
    create or replace function tandem.sample_step(p_rows bigint) returns bigint language sql immutable as 'select 2';
    create or replace function tandem.list_most(p_table tandem.tracked_table) returns integer language sql stable as
      'select case when p_table.blocks_name is null then 0 else 7 end';`,
  );
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
