// Applies each patch of this folder to a copy of the project and runs the tests named in its header: at least one must fail.
// usage: npm run test:mutants [-- NAME …]     exit 1 when a mutant survives, or when its patch does not apply any more
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const wanted = process.argv.slice(2);
const copied = [
  "migrations",
  "sql",
  "src",
  "test",
  "package.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "vite.config.ts",
  "vite.cli.config.ts",
  "vitest.config.ts",
];

/** The header: "breaks: C1 …", "tests: file file", one each. */
function headerOf(text) {
  const field = (name) => new RegExp(`^${name}: (.+)$`, "m").exec(text)?.[1] ?? "";
  return { breaks: field("breaks"), tests: field("tests").split(" ").filter(Boolean) };
}

function runIn(folder, command, args, timeout) {
  return spawnSync(command, args, { cwd: folder, encoding: "utf8", timeout, env: { ...process.env, CI: "" } });
}

function survives(name) {
  const patch = join(here, `${name}.patch`);
  const { tests } = headerOf(readFileSync(patch, "utf8"));
  const folder = mkdtempSync(join(tmpdir(), "tandem-mutant-"));
  try {
    for (const path of copied) cpSync(join(root, path), join(folder, path), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    const applied = runIn(folder, "git", ["apply", "--unidiff-zero", patch], 60_000);
    if (applied.status !== 0) return `the patch does not apply: ${applied.stderr.trim()}`;
    const built = runIn(folder, "npm", ["run", "--silent", "build"], 300_000);
    if (built.status !== 0) return `the mutant does not compile: ${built.stdout.trim()} ${built.stderr.trim()}`;
    const tested = runIn(folder, "npx", ["vitest", "run", "--bail=1", ...tests], 900_000);
    if (!/\d+ passed, \d+ failed/.test(tested.stdout)) return `no test ran: ${tested.stderr.trim().slice(-500)}`;
    return tested.status === 0 ? "all tests stay green" : null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const names = readdirSync(here)
  .filter((file) => file.endsWith(".patch"))
  .map((file) => file.slice(0, -".patch".length))
  .filter((name) => wanted.length === 0 || wanted.includes(name));
let caught = 0;
for (const name of names) {
  const why = survives(name);
  if (why === null) caught++;
  console.log(
    `${why === null ? "caught  " : "SURVIVES"} ${name}: ${headerOf(readFileSync(join(here, `${name}.patch`), "utf8")).breaks}${why ? ` (${why})` : ""}`,
  );
}
console.log(`${caught} of ${names.length} mutants caught`);
process.exit(caught === names.length && names.length > 0 ? 0 : 1);
