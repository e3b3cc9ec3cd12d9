// Runs the tests that need a server once for each major version of PostgreSQL, on programs that are fetched when they are not
// there. Arguments: the versions that are wanted, and files or folders of tests. Plain JavaScript, since Node 20 runs no TypeScript.
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { majors } from "./majors.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const given = process.argv.slice(2);
const named = given.filter((argument) => /^\d+$/.test(argument)).map(Number);
const paths = given.filter((argument) => !/^\d+$/.test(argument));
const suites = paths.length > 0 ? paths : ["test/sql", "test/e2e", "test/property", "test/fault"];
const versions =
  named.length > 0 ? named : [...new Set([15, ...Object.keys(majors).map(Number)])].sort((a, b) => a - b);

/** @returns {Promise<{ major: number, code: number | null, summary: string, seconds: number }>} */
function run(/** @type {number} */ major) {
  const begun = Date.now();
  const child = spawn(process.execPath, [vitest, "run", ...suites], {
    cwd: root,
    env: { ...process.env, TANDEM_TEST_PG: "embedded", TANDEM_TEST_PG_VERSION: String(major) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
    process.stdout.write(text);
  });
  return new Promise((resolve) => {
    child.on("close", (code) => {
      const summary = output.match(/^\d+ passed, \d+ failed, \d+ skipped$/gm)?.at(-1) ?? "did not run";
      resolve({ major, code, summary, seconds: Math.round((Date.now() - begun) / 1000) });
    });
  });
}

const results = [];
for (const major of versions) results.push(await run(major));
process.stdout.write("\nPostgreSQL  result                                 seconds\n");
for (const { major, code, summary, seconds } of results) {
  const words = code === 0 ? summary : `${summary} (exit ${code})`;
  process.stdout.write(`${String(major).padEnd(12)}${words.padEnd(39)}${seconds}\n`);
}
process.exitCode = results.every(({ code }) => code === 0) ? 0 : 1;
