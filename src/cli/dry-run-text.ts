import type { LinkPreview } from "../sidecar/dry-run.ts";
import { labelOf } from "../sidecar/node-status.ts";
import { errorDocument } from "./error-document.ts";
import { renderTable } from "./table.ts";

/** Whether a sync would leave nothing behind, as far as can be seen beforehand. */
export function dryRunWell(previews: readonly LinkPreview[]): boolean {
  return previews.every(({ error, tables }) => error === null && tables.every(({ refuse }) => refuse === 0));
}

/** The preview as a document. */
export function dryRunDocument(previews: readonly LinkPreview[]): object {
  const links = previews.map(({ error, ...link }) => ({
    ...link,
    error: error === null ? null : errorDocument(error),
  }));
  return { well: dryRunWell(previews), links };
}

/** The preview for a person, a part for each direction. */
export function describeDryRun(previews: readonly LinkPreview[]): string {
  return previews.map(describeLink).join("\n");
}

function describeLink({ source, target, tables, error }: LinkPreview): string {
  if (error !== null) return `${source} → ${target}: failed`;
  const moving = tables.filter(
    (table) => table.insert + table.update + table.delete + table.conflict + table.refuse > 0,
  );
  if (moving.length === 0) return `${source} → ${target}: nothing would move`;
  const rows = moving.map((table) => [
    `  ${labelOf(table.schema, table.name)}`,
    table.insert,
    table.update,
    table.delete,
    table.conflict,
    table.refuse,
  ]);
  return `${source} → ${target} would\n${renderTable(["  table", "insert", "update", "delete", "conflict", "refuse"], rows)}`;
}
