// `tandem run` with writers and restarts for an hour (`-- --minutes 60`), and what came of it to docs/evidence/.
// Plain JavaScript, since Node 20 runs no TypeScript.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, cpus, platform, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: String(Math.floor(Date.now() / 60_000) % 10_000_000) },
  },
});
const git = (/** @type {string[]} */ ...args) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
const commit = `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain") === "" ? "" : " with changes"}`;

const folder = mkdtempSync(join(tmpdir(), "tandem-endure-"));
const reportFile = join(folder, "report.json");
const begun = new Date();
const child = spawn(process.execPath, [vitest, "run", "test/endure/endure.test.ts"], {
  cwd: root,
  env: { ...process.env, ENDURE_MINUTES: values.minutes, ENDURE_REPORT: reportFile, SEED: values.seed },
  stdio: ["ignore", "inherit", "inherit"],
});
const code = await new Promise((resolve) => child.on("close", resolve));

/** @type {import("./report.ts").EndureReport} */
const report = JSON.parse(readFileSync(reportFile, "utf8"));
rmSync(folder, { recursive: true });
const [cpu] = cpus();
/** @type {Map<string, { times: number, events: Set<string> }>} */
const kinds = new Map();
for (const { words, events } of report.episodes) {
  const seen = kinds.get(words) ?? { times: 0, events: new Set() };
  kinds.set(words, { times: seen.times + 1, events: seen.events.add(events.join(", ") || "nobody") });
}
const happened = [...kinds].sort().map(([words, { times, events }]) => {
  return `| ${words} | ${times} | ${[...events].join("; or ")} |`;
});
const text = `# \`tandem run\` with writers and restarts, ${begun.toISOString().slice(0, 16).replace("T", " ")} UTC

| | |
|---|---|
| how | \`npm run test:endure -- --minutes ${values.minutes} --seed ${report.seed}\` |
| duration | ${report.minutes} min |
| writers | one on each node, ${report.transactions.join(" and ")} transactions acknowledged, thrown out ${report.reconnects} times |
| at the end | ${report.rows} rows equal on both nodes by SQL of the test's own; what was acknowledged is there; no session left |
| metrics | read ${report.scrapes} times, the slowest answer ${report.slowestMs} ms; ${report.told} events told to a page that was open all the time |
| memory | median of the last third ${report.grownMb >= 0 ? `${report.grownMb} MB above` : `${-report.grownMb} MB below`} that of the second |
| not as it must be | ${report.wrong.length === 0 ? "nothing" : report.wrong.length} |
| commit | ${commit} |
| PostgreSQL | ${report.server} |
| Node | ${process.versions.node} |
| machine | ${cpus().length} x ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${arch()}, in use by others |

${report.wrong.length === 0 ? "" : `Not as it must be:\n\n${report.wrong.map((one) => `- ${one}\n`).join("")}\n`}What happened, and whom it made the alerts tell of it (each event once):

| what | times | told |
|---|---|---|
${happened.join("\n")}

Resident memory of the sidecar, MB, the median of each of ${report.memory.length} equal parts of the time:

\`\`\`
${report.memory.map((mb, i) => `${mb.toFixed(1).padStart(6)}${i % 10 === 9 ? "\n" : ""}`).join("")}
\`\`\`
`;
const name = `endure-${begun.toISOString().slice(0, 16).replaceAll(":", "-")}.md`;
mkdirSync(join(root, "docs", "evidence"), { recursive: true });
writeFileSync(join(root, "docs", "evidence", name), text);
process.stdout.write(`docs/evidence/${name}\n`);
process.exitCode = code ?? 1;
