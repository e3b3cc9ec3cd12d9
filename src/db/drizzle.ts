import { drizzle, type PgRemoteDatabase } from "drizzle-orm/pg-proxy";
import type { Connection, Param } from "./connection.ts";

/** Typed queries over Tandem's own tables and views (`schema.ts`). */
export type Reader = PgRemoteDatabase;

/**
 * Typed queries on a connection, and in its transaction if one is open. Rows come from the driver by column name, so
 * the columns of one query must have different names.
 */
export function readerOf(connection: Connection): Reader {
  return drizzle(async (sql, params, method) => {
    const rows = await connection.query(sql, params as Param[]);
    return { rows: method === "all" ? rows.map((row) => Object.values(row)) : rows };
  });
}
