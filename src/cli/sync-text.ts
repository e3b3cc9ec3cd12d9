import { errorLine } from "../base/errors.ts";
import type { LinkOutcome, SyncReport } from "../sidecar/sync.ts";
import { count } from "../sidecar/words.ts";
import { errorDocument } from "./error-document.ts";
import { renderTable } from "./table.ts";
import { printable } from "./text.ts";

/** Both links of an unreachable node fail with the same words: it is one trouble, and one line. */
export function tellErrors(links: readonly { readonly error: unknown }[], stderr: NodeJS.WritableStream): void {
  const lines = links.flatMap(({ error }) => (error === null ? [] : [errorLine(error)]));
  for (const line of new Set(lines)) stderr.write(`${line}\n`);
}

/** The report as a document: maps become lists. */
export function syncDocument({ well, links }: SyncReport): object {
  return {
    well,
    links: links.map(({ report, error, ...link }) => ({
      ...link,
      batches: report?.batches ?? 0,
      conflicts: report?.conflicts ?? 0,
      tables: [...(report?.tables.values() ?? [])],
      error: error === null ? null : errorDocument(error),
    })),
  };
}

const head = ["  table", "applied", "deleted", "equal", "superseded", "parked", "undecided"];

/** The report for a person, a part for each direction. */
export function describeSync({ links }: SyncReport): string {
  return links.map(describeLink).join("\n");
}

function describeLink(link: LinkOutcome): string {
  const lines = [`${link.source} → ${link.target}: ${summary(link)}`];
  const moved = [...(link.report?.tables ?? [])].filter(([, counts]) => counts.staged > 0).sort();
  if (moved.length > 0) {
    const rows = moved.map(([label, counts]) => [
      `  ${label}`,
      counts.applied,
      counts.deleted,
      counts.adopted,
      counts.superseded,
      counts.parked,
      counts.undecided,
    ]);
    lines.push(renderTable(head, rows));
  }
  for (const { table, reason } of link.held) lines.push(printable(`  held: ${table}: ${reason}`));
  const conflicts = link.report?.conflicts ?? 0;
  if (conflicts > 0) lines.push(`  ${count(conflicts, "conflict")}; \`tandem conflicts\` shows both images`);
  if (link.parked > 0)
    lines.push(`  ${count(link.parked, "row")} parked in ${link.target}; \`tandem parked\` shows why`);
  return lines.join("\n");
}

function summary({ report, error }: LinkOutcome): string {
  if (error) return "failed";
  const tables = [...(report?.tables.values() ?? [])];
  const staged = tables.reduce((sum, { staged: rows }) => sum + rows, 0);
  return staged === 0 ? "nothing moved" : `${count(staged, "row")} carried`;
}
