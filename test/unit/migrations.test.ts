import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { compareVersions, levelOf } from "../../src/install/installed.ts";
import { readPackage } from "../../src/install/package-files.ts";
import { projectRoot } from "../support/child.ts";

const read = (path: string) => readFileSync(join(projectRoot, path), "utf8");

describe("what the program installs", () => {
  test("migrations are numbered with four digits, without a gap: node-pg-migrate reads the digits as a number", async () => {
    const { migrations } = await readPackage();
    expect(migrations.map(({ name }) => name.slice(0, 5))).toEqual(
      migrations.map((_, i) => `${String(i + 1).padStart(4, "0")}_`),
    );
  });

  test("both halves of a migration are there, and no other line splits it", async () => {
    const { migrations, files } = await readPackage();
    const splits = /^\s*--[\s-]*(?:up|down)\s+migration/gim;
    for (const { text, up } of migrations) {
      expect(text.match(splits)?.map((line) => line.trim())).toEqual(["-- Up Migration", "-- Down Migration"]);
      expect(up).toContain("create ");
      expect(up).not.toMatch(splits);
    }
    expect(files.filter(({ text }) => splits.test(text))).toEqual([]);
  });

  test("sql/install.sql holds nothing that migrate would leave out", () => {
    const lines = read("sql/install.sql").split("\n");
    const known = /^(--.*|\\ir \S+|set check_function_bodies = off;|)$/;
    expect(lines.filter((line) => !known.test(line))).toEqual([]);
  });

  test("the SQL says the version of package.json", async () => {
    const { version, files } = await readPackage();
    expect(files.find(({ path }) => path === "sql/admin/version.sql")?.text).toContain(`select '${version}'`);
  });
});

test.each([
  ["1.2.3", "1.2.3", 0],
  ["1.10.0", "1.9.9", 1],
  ["1.2", "1.2.0", 0],
  ["1.2.3-beta.1", "1.2.3", -1],
  ["2.0.0-beta.1", "1.9.0", 1],
])("version %s against %s", (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign);
  expect(Math.sign(compareVersions(b, a))).toBe(sign === 0 ? 0 : -sign);
});

test("levels: a file more or less, or another sum, is older; an unknown migration is newer", async () => {
  const own = await readPackage();
  const migrations = own.migrations.map(({ name }) => name);
  const sums = [...own.migrations, ...own.files].map(({ path, sha256 }) => [path, sha256] as const);
  const { version } = own;
  expect(levelOf(null, own)).toBe("none");
  expect(levelOf({ migrations, files: new Map(sums), version }, own)).toBe("same");
  expect(levelOf({ migrations, files: new Map(sums.slice(1)), version }, own)).toBe("older");
  expect(levelOf({ migrations, files: new Map([...sums, ["sql/x.sql", "0"]]), version }, own)).toBe("older");
  expect(levelOf({ migrations: [], files: new Map(sums), version }, own)).toBe("older");
  expect(levelOf({ migrations: [...migrations, "9999_x"], files: new Map(sums), version }, own)).toBe("newer");
  expect(levelOf({ migrations, files: new Map(), version: null }, own)).toBe("older");
});
