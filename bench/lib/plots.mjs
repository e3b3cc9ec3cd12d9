import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const page = fileURLToPath(new URL("../../docs/performance.md", import.meta.url));
const [begin, end] = ["<!-- growth: begin -->", "<!-- growth: end -->"];

/** A chart as Mermaid in Markdown: the cost of each one by how many there are, so that a line that does not rise is linear growth or better. */
function chartOf({ title, each, of, factor }, points) {
  const costs = points.map(({ size, ms }) => Number(((ms * factor) / size).toPrecision(3)));
  return [
    "```mermaid",
    "xychart-beta",
    `  title "${title}"`,
    `  x-axis "${of}" [${points.map(({ size }) => `"${size.toLocaleString("en")}"`).join(", ")}]`,
    `  y-axis "${each}" 0 --> ${Math.ceil(Math.max(...costs) * 1.1)}`,
    `  line [${costs.join(", ")}]`,
    "```",
  ].join("\n");
}

/** Puts a chart of each measure that has one, and the numbers, between the marks of docs/performance.md. */
export function writePlots(measures, results) {
  const charts = measures.flatMap(({ name, plot }) => {
    const result = results.find((line) => line.name === name);
    if (!plot || !result?.points) return [];
    const numbers = result.points.map(
      ({ size, ms }) => `${size.toLocaleString("en")}: ${Number(ms.toPrecision(3)).toLocaleString("en")} ms`,
    );
    const where = `${result.at.slice(0, 10)}, PostgreSQL ${result.postgres}, ${result.machine.cpus} × ${result.machine.cpu}`;
    return [`${chartOf(plot, result.points)}\n\n${plot.of}: ${numbers.join(", ")} (${where}).`];
  });
  if (charts.length === 0) return;
  const text = readFileSync(page, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/performance.md lacks the marks ${begin} and ${end}`);
  writeFileSync(page, `${text.slice(0, from + begin.length)}\n\n${charts.join("\n\n")}\n\n${text.slice(to)}`);
}
