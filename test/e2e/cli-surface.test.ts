import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { errorCodes } from "../../src/base/error-codes.ts";
import { errorLine, exitCodeOf } from "../../src/base/errors.ts";
import { commands } from "../../src/cli/commands.ts";
import { commonOptions, parseCommandLine } from "../../src/cli/parser.ts";
import { projectRoot } from "../support/child.ts";
import { run, runJson } from "./cli-runner.ts";

/** What a script may rely on: every command and option, and how each error ends. */
function surface(): object {
  return {
    common: commonOptions,
    commands: Object.fromEntries(
      commands.map(({ usage, summary, positionals, options }) => [usage, { summary, positionals, options }]),
    ),
    exitCodes: Object.fromEntries(Object.entries(errorCodes).map(([code, { exit }]) => [code, exit])),
  };
}

test("the surface is the one that was released", async () => {
  await expect(`${JSON.stringify(surface(), null, 2)}\n`).toMatchFileSnapshot("cli-surface.snap");
});

test("no option has a default of its own: it would overrule the file", () => {
  for (const { usage, options } of commands) {
    for (const [name, option] of Object.entries(options)) {
      expect(Object.keys(option), `${usage} --${name}`).not.toContain("default");
      expect(option.describe, `${usage} --${name}`).toBeTruthy();
    }
  }
});

async function helpOf(args: string[]): Promise<string> {
  const parsed = await parseCommandLine(args, "1.2.3");
  return "help" in parsed ? parsed.help : "";
}

test("help names every command and option", async () => {
  const named = [...(await helpOf(["--help"])).matchAll(/^ {2}tandem ([\w-]+)/gm)].map((match) => match[1]);
  expect(named).toEqual(commands.map(({ usage }) => usage.split(" ")[0]));
  for (const { usage, options } of commands) {
    const help = await helpOf([usage.split(" ")[0] ?? "", "--help"]);
    for (const name of [...Object.keys(options), ...Object.keys(commonOptions)]) {
      expect(help, usage).toContain(`--${name}`);
    }
  }
});

test("the built command prints help and version", async () => {
  const help = await run(["--help"]);
  expect(help).toMatchObject({ code: 0, stderr: "" });
  expect(help.stdout).toMatch(/tandem migrate +install or upgrade/);
  const { version } = JSON.parse(await readFile(join(projectRoot, "package.json"), "utf8")) as { version: string };
  expect(await run(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: "" });
});

test.each([
  [[], /name a command/],
  [["frobnicate"], /unknown argument "frobnicate"/],
  [["statsu"], /did you mean "status"/],
  [["status", "--jsn"], /unknown argument "jsn" \(did you mean "json"\?\)/],
  [["status", "extra"], /unknown argument "extra"/],
  [["sync", "--wait", "soon"], /wait must be a number/],
  [["migrate", "--node"], /node/],
  [["migrate", "--node="], /node must not be empty/],
  [["migrate", "--sql", "--emit", "x"], /sql and emit/],
  [["migrate", "--node", "a", "--node", "b"], /node is given more than once/],
  [["parked", "again"], /retry/],
  [["parked", "retry", "one"], /id must be a number/],
] as const)("wrong usage is one line with code usage: %j", async (args, words) => {
  const error = await parseCommandLine(args, "1.2.3").catch((reason: unknown) => reason);
  expect(errorLine(error)).toMatch(words);
  expect(errorLine(error)).toMatch(/^usage: .+ Remedy: .+$/);
  expect(exitCodeOf(error)).toBe(2);
});

test.each([
  [["frobnicate"], /unknown argument "frobnicate"/],
  [["sync", "--wait", "-1"], /wait/],
  [["pending", "--limit", "0"], /limit/],
  [["demo", "--seconds", "0"], /seconds/],
] as const)("wrong usage ends with 2: %j", async (args, words) => {
  const env = { DATABASE_URL: "postgresql://u@127.0.0.1:1/a", EXTERNAL_DB_URL: "postgresql://u@127.0.0.1:1/b" };
  const { code, document, stderr } = await runJson<{ error: { code: string; message: string } }>([...args], { env });
  expect(code).toBe(2);
  expect(document.error.code).toBe("usage");
  expect(document.error.message).toMatch(words);
  expect(stderr).toMatch(/^usage: .+ Remedy: .+\n$/);
});
