import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { parseCommandLine } from "../../src/cli/parser.ts";
import { projectRoot } from "../support/child.ts";
import { blocksOf, document, sections } from "../support/docs.ts";

const docs = readdirSync(join(projectRoot, "docs"))
  .filter((name) => name.endsWith(".md"))
  .map((name) => `docs/${name}`);
const documents = ["README.md", "README.pt-BR.md", "CONTRIBUTING.md", "ARCHITECTURE.md", ...docs];

test("README.pt-BR.md has the headings and the code of README.md", () => {
  const shape = (path: string) =>
    sections(document(path)).map(({ level, blocks }) => ({
      level,
      // Comments are translated.
      blocks: blocks.map(({ language, text }) => `${language}: ${text.replace(/ *(#|--) .*$/gm, "")}`),
    }));
  expect(shape("README.pt-BR.md")).toEqual(shape("README.md"));
});

test.each(documents)("every link of %s to a file leads somewhere", (path) => {
  const links = [...document(path).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, link = ""]) => link);
  const dangling = links.filter(
    (link) => !/^[a-z]+:/.test(link) && !existsSync(join(projectRoot, dirname(path), link)),
  );
  expect(dangling).toEqual([]);
});

test("a script that a document has npm run is one of the package", () => {
  const { scripts } = JSON.parse(document("package.json")) as { scripts: Record<string, string> };
  for (const path of documents) {
    for (const [, name = ""] of document(path).matchAll(/\bnpm run ([a-z][\w:-]*)/g))
      expect(scripts, path).toHaveProperty(name);
  }
});

test("what is for another machine (console) names commands of the program and files that are there", async () => {
  const lines = documents.flatMap((path) =>
    blocksOf(document(path), "console").flatMap((text) => text.trim().split("\n")),
  );
  expect(lines.length).toBeGreaterThan(5);
  for (const line of lines) {
    expect(line).toMatch(/^(docker|kubectl|systemctl|journalctl|schtasks) /);
    for (const [, file = ""] of line.matchAll(/\b(deploy\/[\w./-]+)/g))
      expect(existsSync(join(projectRoot, file)), file).toBe(true);
    const [, command] = /(?:\bnpx tandem|\bsidecar tandem|\bpg-tandem) ([a-z-]+)/.exec(line) ?? [];
    if (command) expect(await parseCommandLine([command], "0")).toHaveProperty("command");
  }
});

test("the documents whose commands a test runs are all that have some", () => {
  // The others: test/e2e/docs*.test.ts, http-docs.test.ts, package.test.ts, backup-recovery.test.ts.
  const run = ["CONTRIBUTING.md", "README.md", "README.pt-BR.md"];
  const held = [...run, "docs/backups.md", "docs/http.md", "docs/library.md", "docs/operations.md", "docs/running.md"];
  expect(documents.filter((path) => blocksOf(document(path), "sh").length > 0).sort()).toEqual(held.sort());
});

test("docs/comparison.md: each cell of ours names its test, each of others has a link", () => {
  const [head = [], , ...rows] = document("docs/comparison.md")
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  expect(head.slice(1)).toHaveLength(5);
  expect(rows.length).toBeGreaterThanOrEqual(8);
  for (const [, ours = "", ...others] of rows) {
    const [, path] = /`(test\/[^`]+)`/.exec(ours) ?? /\]\(([^)]+)\)/.exec(ours) ?? [];
    expect(existsSync(join(projectRoot, path?.startsWith("test/") ? path : join("docs", path ?? "-"))), ours).toBe(
      true,
    );
    expect(others).toHaveLength(4);
    for (const cell of others) expect(cell).toMatch(/\]\(https:\/\/[^)]+\)/);
  }
});
