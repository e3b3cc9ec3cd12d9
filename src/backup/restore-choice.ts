import { TandemError } from "../base/errors.ts";
import { matchesTable } from "../config/table-pattern.ts";
import type { SourceTable } from "./catalog.ts";
import type { Manifest, ManifestTable } from "./manifest.ts";

/** A table of the backup with the table of the database that its rows go into. */
export interface RestoreTable {
  readonly table: ManifestTable;
  /** The table's oid in the database. */
  readonly oid: string;
  readonly partitioned: boolean;
}

const mostNamed = 20;
const nameOf = ({ schema, name }: { readonly schema: string; readonly name: string }) => `${schema}.${name}`;

/** The tables of a backup that are meant: all, or those that a name or pattern names. Throws `usage` for one that names none. */
export function chooseTables(manifest: Manifest, patterns: readonly string[] | undefined): ManifestTable[] {
  if (patterns === undefined) return manifest.tables;
  const full = patterns.map((pattern) =>
    /^("(?:[^"]|"")+"|[^".\s]+)$/.test(pattern.trim()) ? `public.${pattern.trim()}` : pattern,
  );
  const idle = full.findIndex(
    (pattern) => !manifest.tables.some(({ schema, name }) => matchesTable(pattern, schema, name)),
  );
  if (idle >= 0) {
    const names = manifest.tables.map(nameOf);
    const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : "";
    const hint = names.length === 0 ? "It holds no table." : `It holds ${names.slice(0, mostNamed).join(", ")}${more}.`;
    throw new TandemError("usage", `backup ${manifest.id} holds no table ${patterns[idle]}`, { hint });
  }
  return manifest.tables.filter(({ schema, name }) => full.some((pattern) => matchesTable(pattern, schema, name)));
}

/**
 * Finds for each table its place in the database as it is now. Whatever has changed so that rows could not be put back as they were is
 * told all at once, before anything is written: a table or column that is gone, another type, another key.
 */
export function fitTables(tables: readonly ManifestTable[], present: readonly SourceTable[]): RestoreTable[] {
  const faults: string[] = [];
  const fitted = tables.flatMap((table) => {
    const now = present.find((one) => nameOf(one) === nameOf(table));
    if (!now) {
      faults.push(`${nameOf(table)} is not there`);
      return [];
    }
    faults.push(...columnFaults(table, now).map((fault) => `${nameOf(table)}: ${fault}`));
    return [{ table, oid: now.oid, partitioned: now.partitioned }];
  });
  if (faults.length > 0)
    throw new TandemError("restore_refused", `the tables are not as they were: ${faults.join("; ")}`);
  return fitted;
}

function columnFaults(table: ManifestTable, now: SourceTable): string[] {
  const faults = table.columns.flatMap((column) => {
    const found = now.columns.find(({ name }) => name === column.name);
    if (!found) return [`column ${column.name} is not there, or generated`];
    return found.type === column.type ? [] : [`column ${column.name} is ${found.type} and was ${column.type}`];
  });
  const missing = table.key.filter((name) => !now.columns.some((column) => column.name === name));
  if (missing.length > 0) faults.push(`its key was (${table.key.join(", ")})`);
  return faults;
}
