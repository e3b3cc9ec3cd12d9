import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectRoot } from "../support/child.ts";

const rows = readFileSync(join(projectRoot, "docs", "spec.md"), "utf8")
  .split("\n")
  .filter((line) => /^\| [CB]\d+ \|/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map(([, id = "", , tests = ""]) => ({
    id,
    tests: [...tests.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ""),
  }));

test("docs/spec.md names every invariant of the design, C1 to C11, and those of backups that are built", () => {
  const ids = Array.from({ length: 11 }, (_, i) => `C${i + 1}`);
  expect(rows.map(({ id }) => id)).toEqual([...ids, "B1", "B2", "B3", "B4", "B5", "B6"]);
});

test.each(rows)("the tests said to hold $id exist and name it", ({ id, tests }) => {
  expect(tests.length).toBeGreaterThan(0);
  for (const path of tests) {
    expect(existsSync(join(projectRoot, path)), path).toBe(true);
    expect(readFileSync(join(projectRoot, path), "utf8"), path).toMatch(new RegExp(`\\b${id}\\b`));
  }
});
