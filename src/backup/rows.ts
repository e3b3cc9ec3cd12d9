import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { Transform, type TransformCallback } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { TandemError } from "../base/errors.ts";
import type { Connection } from "../db/connection.ts";
import { quoteIdent } from "../db/quote.ts";
import type { SourceTable } from "./catalog.ts";
import { ContentHash, hashLines } from "./content-hash.ts";
import { jsonLines } from "./copy-text.ts";
import { privateFile } from "./files.ts";
import type { ManifestFile, ManifestTable } from "./manifest.ts";
import { qualified } from "./snapshot.ts";

// The fastest: the next ones take a third more time, which the dump beside it needs, for files a tenth smaller.
const gzip = { level: 1, chunkSize: 1 << 17 };

/**
 * The values of a line, of a row called t: each as the text its output function writes, or null. `concat` calls that
 * function; a cast to text does not always (it cuts the blanks of char(n)).
 */
export function lineValues(columns: SourceTable["columns"]): string {
  const values = columns.map(({ name }) => {
    const column = quoteIdent(name);
    // `is not null` is false of a composite value with a null in it.
    return `case when t.${column} is distinct from null then concat(t.${column}) end as ${column}`;
  });
  return values.join(", ");
}

/** A query with one line of JSON for each row: column names, and values as `lineValues` has them. */
export function linesQuery(table: Pick<SourceTable, "schema" | "name" | "columns" | "partitioned">): string {
  const from = table.partitioned ? qualified(table) : `only ${qualified(table)}`;
  return `select row_to_json(r) from (select ${lineValues(table.columns)} from ${from} t) r`;
}

/** The same rows as `COPY` writes them by itself, for `jsonLines`. */
export function copyText({ schema, name, columns, partitioned }: Parameters<typeof linesQuery>[0]): string {
  const from = partitioned ? qualified({ schema, name }) : `only ${qualified({ schema, name })}`;
  return `copy (select ${columns.map((column) => `t.${quoteIdent(column.name)}`).join(", ")} from ${from} t) to stdout`;
}

/** JSON holds no raw control characters, so with these two CSV has nothing to quote: the lines are sent as they are. */
export function copyLines(query: string): string {
  return `copy (${query}) to stdout (format csv, delimiter e'\\x02', quote e'\\x01')`;
}

/** What became of a table's rows. */
export interface WrittenTable {
  readonly table: ManifestTable;
  readonly file: ManifestFile;
}

/** Where a table's rows go, and how. */
export interface WriteRowsOptions {
  readonly folder: string;
  /** Relative to the folder. */
  readonly path: string;
  readonly compress: boolean;
  readonly onRows?: ((rows: number) => void) | undefined;
}

/** Streams the rows of one table into a file that is on the disk when this returns. Memory does not grow with them. */
export async function writeRows(
  connection: Connection,
  source: SourceTable,
  { folder, path, compress, onRows }: WriteRowsOptions,
): Promise<WrittenTable> {
  const content = new ContentHash();
  const sha = createHash("sha256");
  let bytes = 0;
  const seen = new Transform({
    transform(chunk: Buffer, _, done: TransformCallback) {
      sha.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  const handle = await open(`${folder}/${path}`, "wx", privateFile);
  const rows = connection.copyOut(copyText(source));
  const json = jsonLines(source.columns.map((column) => column.name));
  const lines = hashLines(content, onRows);
  const out = handle.createWriteStream({ flush: true });
  try {
    await (compress
      ? pipeline(rows, json, lines, createGzip(gzip), seen, out)
      : pipeline(rows, json, lines, seen, out));
  } catch (error) {
    throw naming(error, source);
  }
  const { schema, name, columns, key, leaves } = source;
  return {
    table: { schema, name, file: path, rows: content.rows, hash: content.hex(), columns, key, leaves },
    file: { path, bytes, sha256: sha.digest("hex") },
  };
}

function naming(error: unknown, { schema, name }: SourceTable): unknown {
  if (!(error instanceof TandemError)) return error;
  const table = `${schema}.${name}`;
  const { code, message, node, hint } = error;
  return new TandemError(code, `${message} (reading ${table})`, { cause: error, node, table, hint });
}
