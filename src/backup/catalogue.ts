import { hostname } from "node:os";
import { and, eq, inArray } from "drizzle-orm";
import { DrizzleQueryError } from "drizzle-orm/errors";
import { errorLine } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import type { Config, NodeConfig } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import type { Connection } from "../db/connection.ts";
import { readerOf } from "../db/drizzle.ts";
import { backupTable } from "../db/schema.ts";
import { pinnedSettings } from "../db/session.ts";
import { inTransaction } from "../db/transaction.ts";
import { type BackupEntry, listBackups } from "./list.ts";
import type { Failure } from "./records.ts";

type Row = typeof backupTable.$inferSelect;

const lockWaitMs = 5_000;

/**
 * Brings the catalogue of nodes (`tandem.backup`) to what the folder says, which is the truth: rows that are lost come back, those of backups
 * that are gone go. A node without Tandem has none. A backup is a backup without its row: where the node cannot be written to that is
 * logged, and the next call makes up for it. Never throws.
 */
export async function noteCatalogue(
  config: Config,
  nodes: readonly string[],
  {
    logger = silentLogger,
    signal,
  }: { readonly logger?: Logger | undefined; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  for (const node of config.nodes.filter(({ name }) => nodes.includes(name))) {
    try {
      await noteNode(node, config.backup.dir, signal);
    } catch (error) {
      logger.warn({ node: node.name }, `the catalogue of backups cannot be written: ${errorLine(causeOf(error))}`);
    }
  }
}

/** Drizzle wraps an error into one whose message is the whole statement. */
function causeOf(error: unknown): unknown {
  return error instanceof DrizzleQueryError ? error.cause : error;
}

async function noteNode(node: NodeConfig, dir: string, signal: AbortSignal | undefined): Promise<void> {
  await using connection = await connect(node, "backup catalogue", { signal });
  const [there] = await connection.query("select to_regclass('tandem.backup') is not null as there");
  if (there?.there !== "t") return;
  const begin = `begin isolation level read committed read write;
${pinnedSettings(connection.serverVersion)}
set local lock_timeout = ${lockWaitMs}`;
  await inTransaction(connection, begin, async (tx) => {
    // The folder is read under the lock: of two processes the later one writes what it is by then.
    await tx.exec("lock table tandem.backup in share row exclusive mode");
    await write(tx, node.name, dir);
  });
}

async function write(tx: Connection, node: string, dir: string): Promise<void> {
  const database = readerOf(tx);
  const place = `${hostname()}:${dir}`;
  const known = new Map(
    (await database.select().from(backupTable).where(eq(backupTable.place, place))).map((row) => [row.id, row]),
  );
  const { backups, failures } = await listBackups(dir);
  // A backup whose manifest cannot be read does not say whose it is.
  const entries = backups.filter((one) => one.node === node || (one.node === null && known.has(one.id)));
  const failed = failures.filter((one) => one.what === "backup" && one.node === node);
  const rows = [
    ...failed.map((one) => rowOfFailure(place, one)),
    ...entries.map((one) => rowOf(place, one, known.get(one.id))),
  ];
  const wanted = new Map(rows.map((row) => [row.id, row]));
  const gone = [...known.keys()].filter((id) => !wanted.has(id));
  if (gone.length > 0) {
    await database.delete(backupTable).where(and(eq(backupTable.place, place), inArray(backupTable.id, gone)));
  }
  for (const row of wanted.values()) {
    if (isSame(row, known.get(row.id))) continue;
    await database
      .insert(backupTable)
      .values(row)
      .onConflictDoUpdate({ target: [backupTable.place, backupTable.id], set: row });
  }
}

const isSame = (row: Row, known: Row | undefined) =>
  known !== undefined && (Object.keys(row) as (keyof Row)[]).every((key) => row[key] === known[key]);

/** As the database writes it: with six digits. */
function instant(text: string): string;
function instant(text: string | null): string | null;
function instant(text: string | null): string | null {
  return text === null ? null : new Date(text).toISOString().replace("Z", "000Z");
}

/** What cannot be read from the backup any more stays as it was known. */
function rowOf(place: string, entry: BackupEntry, known: Row | undefined): Row {
  const { id, state, reason, rows, bytes, level, pinned } = entry;
  return {
    ...{ place, id, state, reason, rows, bytes, level, pinned },
    job: entry.job ?? known?.job ?? null,
    label: entry.label ?? known?.label ?? null,
    startedAt: instant(entry.startedAt),
    finishedAt: instant(entry.finishedAt),
    provenAt: instant(entry.provenAt),
  };
}

function rowOfFailure(place: string, { id, message, job, startedAt, failedAt }: Failure): Row {
  return {
    ...{ place, id, state: "failed", reason: message, job, label: null, rows: 0, bytes: 0, level: 0, pinned: false },
    startedAt: instant(startedAt),
    finishedAt: instant(failedAt),
    provenAt: null,
  };
}
