// Runs histories with faults for a while (`-- --minutes 60`), and writes what came of it to docs/evidence/.
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
    nodes: { type: "string", default: "2,3,4" },
    seed: { type: "string", default: String(Math.floor(Date.now() / 60_000) % 10_000_000) },
  },
});

const folder = mkdtempSync(join(tmpdir(), "tandem-soak-"));
const reportFile = join(folder, "report.json");
const begun = new Date();
const child = spawn(process.execPath, [vitest, "run", "test/property/soak.ts"], {
  cwd: root,
  env: {
    ...process.env,
    SOAK_MINUTES: values.minutes,
    SOAK_REPORT: reportFile,
    SEED_START: values.seed,
    NODES: values.nodes,
  },
  stdio: ["ignore", "inherit", "inherit"],
});
const code = await new Promise((resolve) => child.on("close", resolve));

/** @type {import("./soak-report.ts").SoakReport} */
const report = JSON.parse(readFileSync(reportFile, "utf8"));
rmSync(folder, { recursive: true });
const [cpu] = cpus();
const git = (/** @type {string[]} */ ...args) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
const failures = report.failed.map(({ seed, nodes, error }) => `- seed ${seed}, ${nodes} nodes: ${error}`);
const text = `# Histories with faults, ${begun.toISOString().slice(0, 16).replace("T", " ")} UTC

| | |
|---|---|
| seeds | ${report.firstSeed} to ${report.lastSeed}, in turn on ${values.nodes} nodes |
| duration | ${report.minutes} min |
| passed | ${Object.entries(report.passed)
  .map(([nodes, n]) => `${n} on ${nodes} nodes`)
  .join(", ")} |
| failed | ${report.failed.length} |
| commit | ${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain") === "" ? "" : " with changes"} |
| PostgreSQL | ${[...new Set(report.servers)].join(", ")} |
| Node | ${process.versions.node} |
| machine | ${cpus().length} x ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${arch()} |

${failures.length > 0 ? `Failed:\n\n${failures.join("\n")}\n\n` : ""}What the histories met:

\`\`\`
${report.met}
\`\`\`
`;
const name = `soak-${begun.toISOString().slice(0, 16).replaceAll(":", "-")}.md`;
mkdirSync(join(root, "docs", "evidence"), { recursive: true });
writeFileSync(join(root, "docs", "evidence", name), text);
process.stdout.write(`docs/evidence/${name}\n`);
process.exitCode = code ?? 1;
