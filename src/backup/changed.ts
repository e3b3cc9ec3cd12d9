import type { Config } from "../config/config.ts";
import { matchesTable } from "../config/table-pattern.ts";
import type { Connection } from "../db/connection.ts";
import { quoteIdent, quoteLiteral } from "../db/quote.ts";
import { BackupFolder } from "./folder.ts";
import { readManifest } from "./manifest.ts";
import { readStored } from "./stored.ts";

/** What a look at the change log came to. */
export interface Changed {
  readonly changed: boolean;
  /** Patterns that name no tracked table: their changes are not seen. */
  readonly unseen: readonly string[];
}

/**
 * Whether anything was committed to tables after the moment that a backup shows: entries of the change log that are not visible
 * in its snapshot, whatever order transactions began and ended in.
 */
export async function changedSince(
  connection: Connection,
  patterns: readonly string[],
  snapshot: string,
): Promise<Changed> {
  const rows = await connection.query("select schema_name, table_name, entries_name from tandem.tracked_table");
  const fits = (pattern: string) =>
    rows.filter((row) => matchesTable(pattern, row.schema_name ?? "", row.table_name ?? ""));
  const logs = new Set(patterns.flatMap(fits).map((row) => row.entries_name ?? ""));
  const unseen = patterns.filter((pattern) => fits(pattern).length === 0);
  if (logs.size === 0) return { changed: false, unseen };
  const since = `${quoteLiteral(snapshot)}::pg_snapshot`;
  const looks = [...logs].map(
    (log) => `exists (select from tandem_log.${quoteIdent(log)} l where l.xid >= pg_snapshot_xmax(${since})
      or l.xid = any (array(select pg_snapshot_xip(${since}))))`,
  );
  const [row] = await connection.query(`select ${looks.join(" or ")} as changed`);
  return { changed: row?.changed === "t", unseen };
}

/** The moment that a backup shows. */
export async function snapshotOf(config: Config, id: string): Promise<string> {
  const folder = new BackupFolder(config.backup.dir);
  const here = (await folder.ids()).includes(id);
  const stored = here ? null : await readStored(folder, id);
  return stored ? stored.snapshot : (await readManifest(folder.backup(id))).snapshot;
}
