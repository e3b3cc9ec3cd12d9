import { labelOf } from "../sidecar/node-status.ts";
import { count, listing } from "../sidecar/words.ts";
import type { DifferingKey, TableVerifyReport, VerifyEvent, VerifyReport } from "../verify/report.ts";
import { printable } from "./text.ts";

// Enough to see what is the matter; --json has them all.
const keysShown = 10;
const lineEveryMs = 2_000;

/** A line now and then while large tables are read. */
export function startVerifyProgress(stream: NodeJS.WriteStream): (event: VerifyEvent) => void {
  let last = performance.now();
  return (event) => {
    if (event.kind === "table" || performance.now() - last < lineEveryMs) return;
    last = performance.now();
    const table = labelOf(event.schema, event.name);
    const text =
      event.kind === "settle"
        ? `${table}: looking again at ${count(event.keys, "key")} that may be under way`
        : `${event.node}: ${table}  ${event.rows.toLocaleString("en")} of about ${Math.max(event.total, event.rows).toLocaleString("en")} rows`;
    stream.write(`${printable(text)}\n`);
  };
}

/** The report for a person: one sentence, then what is not equal. */
export function describeVerify(report: VerifyReport): string {
  return [
    sentence(report),
    ...report.unreachable.map(({ node, error }) => printable(`  ${node} was not compared: ${error}`)),
    ...report.tables.filter((table) => !table.equal).flatMap(describeTable),
    ...report.untracked.map(({ node, schema, name, reason }) =>
      printable(`  not compared: ${labelOf(schema, name)} of ${node}: ${reason}`),
    ),
  ].join("\n");
}

function sentence({ identical, nodes, totals }: VerifyReport): string {
  const rows = Math.max(0, ...Object.values(totals.rows));
  if (identical) {
    return `Identical: ${count(totals.tables, "table")} with ${count(rows, "row")} in ${listing(nodes)}.`;
  }
  const reasons = Object.entries(totals.reasons).filter(([, n]) => n > 0);
  const why =
    reasons.length > 0 ? ` (${reasons.map(([reason, n]) => `${n.toLocaleString("en")} ${reason}`).join(", ")})` : "";
  return `Not identical: ${totals.equal} of ${count(totals.tables, "table")} are equal, ${count(totals.differing, "row")} differ${totals.differing === 1 ? "s" : ""}${why}.`;
}

function describeTable({ schema, name, ...table }: TableVerifyReport): string[] {
  const label = labelOf(schema, name);
  const lines = table.missing.map(({ node, reason }) => `  ${label}: not compared in ${node}: ${reason}`);
  for (const { kind, what, present, absent } of table.schemaDifferences) {
    lines.push(`  ${label}: ${kind} ${what} is in ${listing(present)}, not in ${listing(absent)}`);
  }
  for (const key of table.keys.slice(0, keysShown)) lines.push(`  ${label}: ${describeKey(key)}`);
  const more = table.differing - Math.min(keysShown, table.keys.length);
  if (more > 0) lines.push(`  ${label}: ${more.toLocaleString("en")} more; \`--json\` lists them`);
  return lines.map(printable);
}

function describeKey({ key, reason, detail, lacking, groups }: DifferingKey): string {
  const where = [
    ...groups.map((nodes) => listing(nodes)),
    ...(lacking.length > 0 ? [`not in ${listing(lacking)}`] : []),
  ].join(" | ");
  return `${key.length === 1 ? key[0] : `(${key.join(", ")})`}  ${where}  ${reason}${detail === null ? "" : `: ${detail}`}`;
}
