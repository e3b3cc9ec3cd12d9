import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commands } from "../../src/cli/commands.ts";
import { commonOptions } from "../../src/cli/parser.ts";
import { errorCodes } from "../../src/base/error-codes.ts";
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

test("the built command knows exactly these", async () => {
  const { code, stdout, stderr } = await run(["--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const named = [...stdout.matchAll(/^ {2}tandem (\w+)/gm)].map((match) => match[1]);
  expect(named).toEqual(commands.map(({ usage }) => usage.split(" ")[0]));
  for (const { usage, options } of commands) {
    const help = await run([usage.split(" ")[0] ?? "", "--help"]);
    expect(help.code).toBe(0);
    for (const name of [...Object.keys(options), ...Object.keys(commonOptions)]) {
      expect(help.stdout, usage).toContain(`--${name}`);
    }
  }
});

test("--version is the package's", async () => {
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
  [["sync", "--wait", "-1"], /wait/],
  [["pending", "--limit", "0"], /limit/],
  [["migrate", "--node"], /node/],
  [["migrate", "--sql", "--emit", "x"], /sql and emit/],
  [["parked", "again"], /retry/],
  [["parked", "retry", "one"], /id must be a number/],
  [["demo", "--seconds", "0"], /seconds/],
] as const)("wrong usage ends with 2 and one line: %j", async (args, words) => {
  const env = { DATABASE_URL: "postgresql://u@127.0.0.1:1/a", EXTERNAL_DB_URL: "postgresql://u@127.0.0.1:1/b" };
  const { code, stdout, stderr } = await run([...args], { env });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(words);
  expect(stderr).toMatch(/^usage: .+ Remedy: .+\n$/);
  const json = await runJson<{ error: { code: string; hint: string } }>([...args], { env });
  expect(json.code).toBe(2);
  expect(json.document.error.code).toBe("usage");
});
