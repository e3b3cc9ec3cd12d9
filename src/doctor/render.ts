import { counted, type Finding, type Severity } from "./check.ts";
import type { DoctorReport } from "./doctor.ts";

const colours: Readonly<Record<Severity, string>> = { problem: "\u001b[31m", warning: "\u001b[33m", ok: "\u001b[32m" };
const plain = "\u001b[39m";

/** The report for a person: one line a finding, problems first, and a sentence at the end; ends with a line break. */
export function renderDoctor(report: DoctorReport, { color = false }: { readonly color?: boolean } = {}): string {
  const paint = (severity: Severity, text: string) => (color ? `${colours[severity]}${text}${plain}` : text);
  const lines = report.findings.map(
    (finding) => `${paint(finding.severity, finding.severity.padEnd(7))}  ${lineOf(finding)}`,
  );
  const worst = report.problems > 0 ? "problem" : report.warnings > 0 ? "warning" : "ok";
  return `${[...lines, "", paint(worst, sentence(report))].join("\n")}\n`;
}

/** Names of the catalog may hold line breaks and escape sequences; a terminal must see neither. */
function lineOf({ check, node, link, table, message, remedy }: Finding): string {
  const place = [node ?? link, table].filter(Boolean).join(" ");
  const text = place ? `${check}: ${place}: ${message}` : `${check}: ${message}`;
  const line = remedy === null ? text : `${text.replace(/[.\s]+$/, "")}. Remedy: ${remedy}`;
  return line.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ");
}

function sentence({ nodes, problems, warnings }: DoctorReport): string {
  const where = counted(nodes.length, "node");
  const unseen = nodes.filter(({ serverVersion }) => serverVersion === null).map(({ name }) => name);
  const rest = unseen.length > 0 ? ` Not looked at: ${unseen.join(", ")}.` : "";
  const found = [problems > 0 && counted(problems, "problem"), warnings > 0 && counted(warnings, "warning")].filter(
    Boolean,
  );
  if (problems > 0)
    return `${found.join(" and ")} in ${where}: Tandem does not work rightly until the problems are mended.${rest}`;
  if (warnings > 0) return `No problem in ${where}; ${found.join("")}.${rest}`;
  return `All is well in ${where}.${rest}`;
}
