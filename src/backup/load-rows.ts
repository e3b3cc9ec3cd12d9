import { createReadStream } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import type { Connection } from "../db/connection.ts";
import { quoteIdent } from "../db/quote.ts";
import { ContentHash, hashLines } from "./content-hash.ts";
import type { ManifestTable } from "./manifest.ts";

/** The lines of a file of rows, as bytes. */
export function readLines(folder: string, file: string): readonly [Readable, ...NodeJS.ReadWriteStream[]] {
  const bytes = createReadStream(join(folder, file), { highWaterMark: 1 << 18 });
  return file.endsWith(".gz") ? [bytes, createGunzip()] : [bytes];
}

/** Copies lines into a table with one column of text; what they amount to is counted on the way. */
export async function copyIn(
  connection: Connection,
  lines: readonly [Readable, ...NodeJS.ReadWriteStream[]],
  target: string,
  signal?: AbortSignal,
): Promise<ContentHash> {
  const content = new ContentHash();
  const into = connection.copyIn(`copy ${target} from stdin (format csv, delimiter e'\\x02', quote e'\\x01')`);
  await pipeline([...lines, hashLines(content), into], { signal });
  return content;
}

/** `r.c1::type, …` and the record they come from: lines of JSON as rows of typed values. */
export function typedColumns(columns: ManifestTable["columns"]): { readonly values: string; readonly record: string } {
  return {
    values: columns.map(({ name, type }) => `r.${quoteIdent(name)}::${type} as ${quoteIdent(name)}`).join(", "),
    record: columns.map(({ name }) => `${quoteIdent(name)} text`).join(", "),
  };
}

/**
 * A query over lines (`from` names a table with a column `line` and a number `n`) that gives the rows as they were, in
 * the order of the file.
 */
export function rowsQuery(columns: ManifestTable["columns"], from: string): string {
  if (columns.length === 0) return `select from ${from} l order by l.n`;
  const { values, record } = typedColumns(columns);
  return `select ${values} from ${from} l, json_to_record(l.line::json) as r (${record}) order by l.n`;
}
