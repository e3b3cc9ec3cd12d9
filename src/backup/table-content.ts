import type { Connection } from "../db/connection.ts";
import type { SourceTable } from "./catalog.ts";
import { hexOfSums, lanes } from "./content-hash.ts";
import type { ManifestTable } from "./manifest.ts";
import { linesQuery } from "./rows.ts";

const bytes = Array.from({ length: lanes * 4 }, (_, i) => i);

/**
 * Settings, for a transaction, of a server that is to hash many rows: they are read by several of its processes where it allows that, and it
 * stops soon after the client is gone. (Not before version 14, nor where its system cannot tell: there it ends the statement first.)
 */
export function hashSettings(serverVersion: number): string {
  const watch = `do $$ begin perform pg_catalog.set_config('client_connection_check_interval', '1s', true);
    exception when invalid_parameter_value then null; end $$`;
  return `set local parallel_tuple_cost = 0;\n${serverVersion >= 140_000 ? watch : "select"}`;
}

/**
 * Content of a table as it is in a database, in the terms of the manifest. The server hashes the lines itself: they need not travel, and it
 * can do that in several processes. Sums of the bytes at each place give the sums of the words that `ContentHash` adds up.
 */
export async function contentOfTable(
  connection: Connection,
  table: Pick<SourceTable, "schema" | "name" | "columns" | "partitioned">,
): Promise<{ readonly rows: number; readonly hash: string }> {
  const sums = bytes.map((i) => `coalesce(sum(get_byte(hash, ${i})), 0) as s${i}`).join(", ");
  // `offset 0`, or the hash would be computed anew for each of its bytes.
  const [row] = await connection.query(`select count(*) as rows, ${sums}
    from (select sha256(convert_to(q.line::text, 'UTF8')) as hash from (${linesQuery(table)}) q (line) offset 0) h`);
  return { rows: Number(row?.rows), hash: hexOfSums(bytes.map((i) => BigInt(row?.[`s${i}`] ?? 0))) };
}

/** Whether a table holds the rows of the manifest, all of them and no others. */
export async function holdsTable(connection: Connection, table: ManifestTable, partitioned: boolean): Promise<boolean> {
  const found = await contentOfTable(connection, { ...table, partitioned });
  return found.rows === table.rows && found.hash === table.hash;
}
