import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../results/", import.meta.url));
const readme = fileURLToPath(new URL("../../README.md", import.meta.url));
const [begin, end] = ["<!-- bench: begin -->", "<!-- bench: end -->"];

/** What a result must say of where it was measured. */
export function machine() {
  const [cpu] = cpus();
  return { cpus: cpus().length, cpu: cpu?.model ?? "unknown", node: process.version };
}

/** Whether a result keeps its limit; null where there is none, or nothing was measured. */
export function kept(limit, { ratio, figures, missing }) {
  if (missing) return null;
  const value = ratio ?? figures?.tandem;
  if (limit.p50) return value.p50 <= limit.p50 && value.p99 <= limit.p99;
  if (limit.atMost) return value <= limit.atMost;
  if (limit.atLeast) return value >= limit.atLeast;
  return null;
}

/** The newest result of each measure, of whatever run, in the order of `measures`. */
export function newest(measures) {
  const lines = (existsSync(folder) ? readdirSync(folder) : [])
    .filter((file) => file.endsWith(".jsonl"))
    .sort()
    .flatMap((file) => readFileSync(join(folder, file), "utf8").trim().split("\n"))
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return measures.map(({ name }) => lines.findLast((line) => line.name === name)).filter(Boolean);
}

function limitText(limit) {
  if (limit.p50) return `≤ ${limit.p50} / ${limit.p99}`;
  if (limit.atMost) return `≤ ${limit.atMost}`;
  return limit.atLeast ? `≥ ${limit.atLeast}` : "";
}

const short = (value) =>
  typeof value === "object"
    ? `${short(value.p50)} / ${short(value.p99)}`
    : value >= 100
      ? value.toFixed(0)
      : value.toFixed(2);

function measuredText({ ratio, figures, missing }) {
  if (missing) return `not measured: ${missing}`;
  const shown = Object.entries(figures ?? {}).map(([name, value]) => `${name} ${short(value)}`);
  return [
    ...(ratio === undefined ? [] : [short(ratio)]),
    ...(shown.length > 1 || ratio === undefined ? [shown.join(", ")] : []),
  ].join("; ");
}

/** The table of the newest results, as Markdown. */
export function tableOf(results) {
  const conditions = new Set(
    results
      .filter(({ missing }) => !missing)
      .map(({ at, postgres, machine: m, scale }) =>
        [
          at.slice(0, 10),
          `PostgreSQL ${postgres}`,
          `Node ${m.node}`,
          `${m.cpus} × ${m.cpu}`,
          ...(scale === 1 ? [] : [`${scale} of the size`]),
        ].join(", "),
      ),
  );
  return [
    "| measure | measured | wanted | |",
    "|---|---|---|---|",
    ...results.map((result) => {
      const well = kept(result.limit, result);
      return `| ${result.title.replaceAll("|", "\\|")} | ${measuredText(result)} | ${limitText(result.limit)} | ${well === null ? "" : well ? "kept" : "**not kept**"} |`;
    }),
    "",
    `Measured ${[...conditions].join("; ")}.`,
  ].join("\n");
}

/** Puts the table between the marks of the README. */
export function writeReadme(results) {
  const text = readFileSync(readme, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`README.md lacks the marks ${begin} and ${end}`);
  writeFileSync(readme, `${text.slice(0, from + begin.length)}\n${tableOf(results)}\n${text.slice(to)}`);
}
