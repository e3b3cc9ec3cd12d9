import type { LinkPreview } from "../sidecar/dry-run.ts";
import { labelOf } from "../sidecar/node-status.ts";
import { errorDocument } from "./error-document.ts";
import { renderTable } from "./table.ts";
import { printable } from "./text.ts";

/** Whether a sync would leave nothing behind, as far as can be seen beforehand. */
export function dryRunWell(previews: readonly LinkPreview[]): boolean {
  return previews.every(
    ({ error, held, tables }) => error === null && held.length === 0 && tables.every(({ refuse }) => refuse === 0),
  );
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

function describeLink({ held, ...preview }: LinkPreview): string {
  const lines = held.map(({ table, reason }) => printable(`  held: ${table}: ${reason}`));
  return [describeMoving(preview), ...lines].join("\n");
}

function describeMoving({ source, target, tables, error }: Omit<LinkPreview, "held">): string {
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
