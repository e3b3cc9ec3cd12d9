import { isProblem, type MigrateEvent, type MigrateReport, type NodeReport } from "../install/report.ts";
import { count } from "../sidecar/words.ts";
import { printable } from "./text.ts";

/** What is shown while it works; null: nothing. */
export function migrationLine(event: MigrateEvent): string | null {
  if (event.kind === "migrations") return `${event.node}: ${count(event.names.length, "migration")} applied`;
  if (event.kind === "functions") return `${event.node}: functions and views installed`;
  if (event.kind === "waiting") return printable(`${event.node}: ${event.what}: waiting, ${event.reason}`);
  const { schema, table, outcome } = event.table;
  return outcome === "armed" ? printable(`${event.node}: ${schema}.${table} is tracked`) : null;
}

/** The whole of a report for a person. */
export function describeMigration({ nodes, schemaCopies }: MigrateReport): string {
  const copies = schemaCopies.flatMap(({ from, to, command }) => [
    "",
    `${to} holds no table yet. This line brings the schema over from ${from}; then run \`tandem migrate\` again:`,
    `  ${command}`,
  ]);
  return [...nodes.flatMap(describeNode), ...copies].join("\n");
}

function describeNode({ node, changed, tables, sequences }: NodeReport): string[] {
  const tracked = tables.filter(({ outcome }) => outcome === "armed" || outcome === "unchanged").length;
  const lines = [`${node}: ${changed ? "" : "nothing to do, "}${count(tracked, "table")} tracked`];
  for (const table of tables) {
    if (table.triggers.length > 0) {
      lines.push(printable(`  ${table.schema}.${table.table}: guards changed: ${table.triggers.join(", ")}`));
    }
    if (table.outcome === "armed" || table.outcome === "unchanged") continue;
    const word = isProblem(table) ? "PROBLEM" : table.outcome === "untracked" ? "no longer tracked" : "left out";
    lines.push(printable(`  ${word}: ${table.schema}.${table.table} ${table.reason ?? ""}`).trimEnd());
  }
  if (sequences.changed > 0) lines.push(`  ${count(sequences.changed, "sequence")} ${sequences.mode}`);
  return lines;
}
