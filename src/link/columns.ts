import type { StagedTable, TableShape } from "../base/exchange.ts";

/** Which columns of a table travel from one end to the other. */
export interface ColumnMatch {
  /** Sent beside the key, in the target's order. */
  readonly columns: readonly string[];
  /** Columns that hold values at the source and that the target lacks: a row with a value there is parked. */
  readonly unplaced: readonly string[];
}

/**
 * Matches by name, from both catalogs of this moment. A column that the target computes is not sent; one that the
 * source lacks keeps its default or its value. Key columns travel as the key, and once more as values where equal keys
 * may differ in their bytes.
 */
export function matchColumns(source: TableShape, target: TableShape): ColumnMatch {
  const sent = new Set(source.columns.map((column) => column.name));
  const exact = new Set(target.exactKey);
  const placed = new Set(target.columns.map((column) => column.name));
  return {
    columns: target.columns
      .filter((column) => !column.generated && sent.has(column.name) && !exact.has(column.name))
      .map((column) => column.name),
    unplaced: source.columns
      .filter((column) => !column.generated && !placed.has(column.name))
      .map((column) => column.name),
  };
}

/**
 * Types whose binary form all versions of PostgreSQL write and read alike. Not those whose form holds ids of types (arrays, composites), and not `interval`,
 * for an infinite one, which PostgreSQL 17 has, is a finite one to those before; in text they refuse it.
 */
const alikeInBinary = new Set([
  "bigint",
  "boolean",
  "bpchar",
  "bytea",
  "character",
  "character varying",
  "date",
  "double precision",
  "integer",
  "json",
  "jsonb",
  "numeric",
  "real",
  "smallint",
  "text",
  "time without time zone",
  "timestamp with time zone",
  "timestamp without time zone",
  "uuid",
]);

/** How rows of a table travel: in binary where each sent column is of the same type at both ends, for that takes the target half as long to read. */
export function chooseCopyFormat(
  source: TableShape,
  target: TableShape,
  columns: readonly string[],
): StagedTable["copyFormat"] {
  const typesOf = (table: TableShape) =>
    new Map(table.columns.map(({ name, type }) => [name, type.replace(/\(.*?\)/, "")]));
  const [there, here] = [typesOf(source), typesOf(target)];
  const alike = (there: string | undefined, here: string | undefined) =>
    there === here && alikeInBinary.has(here ?? "");
  const keys = source.key.every((name, i) => alike(there.get(name), here.get(target.key[i] ?? "")));
  return keys && columns.every((name) => alike(there.get(name), here.get(name))) ? "binary" : "text";
}

/** Whether a column that both ends have would change values on the way. Such a table is held: see `tandem.shape_difference`. */
export function changesValues(source: TableShape, target: TableShape): boolean {
  const here = new Map(target.columns.map((column) => [column.name, column]));
  return source.columns.some((column) => {
    const other = here.get(column.name);
    return other && (other.valueClass !== column.valueClass || other.generated !== column.generated);
  });
}
