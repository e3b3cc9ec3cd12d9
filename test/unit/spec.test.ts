import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectRoot } from "../support/child.ts";

/** The cells of the tables' rows whose id has one of these letters. */
const rowsOf = (letters: string) =>
  readFileSync(join(projectRoot, "docs", "spec.md"), "utf8")
    .split("\n")
    .filter((line) => new RegExp(`^\\| [${letters}]\\d+ \\|`).test(line))
    .map((line) => line.split("|").map((cell) => cell.trim()));

const rows = rowsOf("CB").map(([, id = "", , tests = ""]) => ({
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

const cases = rowsOf("HD").map(([, id = "", , held = ""]) => ({ id, held }));

test("docs/spec.md goes through every hard case, H1 to H35, and every sentence found by breaking", () => {
  const ids = (letter: string, count: number) => Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
  expect(cases.map(({ id }) => id)).toEqual([...ids("H", 35), ...ids("D", 35)]);
});

test.each(cases)("the tests said to hold $id are there, or it is said why it cannot occur", ({ held }) => {
  if (/^cannot occur: .{20}/.test(held)) return;
  const named = [...held.matchAll(/`([^`]+)` "([^"]+)"/g)];
  expect(named.length).toBeGreaterThan(0);
  for (const [, path = "", title = ""] of named) {
    expect(readFileSync(join(projectRoot, path), "utf8"), path).toContain(title);
  }
});

test("each thing to try against backups, 1 to 34, is a test that names it", () => {
  const files = readdirSync(join(projectRoot, "test"), { recursive: true, encoding: "utf8" });
  const text = files
    .filter((file) => file.endsWith(".test.ts") && !file.endsWith("spec.test.ts"))
    .map((file) => readFileSync(join(projectRoot, "test", file), "utf8"))
    .join("\n");
  const named = [...text.matchAll(/\bthings? (\d+(?:, \d+)*)/g)].flatMap(([, list = ""]) =>
    list.split(", ").map(Number),
  );
  expect([...new Set(named)].sort((a, b) => a - b)).toEqual(Array.from({ length: 34 }, (_, i) => i + 1));
});
