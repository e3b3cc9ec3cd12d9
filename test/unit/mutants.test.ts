import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../support/child.ts";

const folder = join(projectRoot, "test", "mutants");
const patches = readdirSync(folder).filter((file) => file.endsWith(".patch"));

interface Hunk {
  readonly file: string;
  /** The lines that it finds there, whole. */
  readonly before: string;
}

function hunksOf(patch: string): Hunk[] {
  return patch.split(/^diff --git a\/\S+ b\//m).flatMap((part, i) => {
    if (i === 0) return [];
    const [head = "", ...hunks] = part.split(/^@@ .*\n/m);
    const file = head.slice(0, head.indexOf("\n"));
    return hunks.map((hunk) => {
      const lines = hunk.split("\n").filter((line) => line.startsWith(" ") || line.startsWith("-"));
      return { file, before: lines.map((line) => `${line.slice(1)}\n`).join("") };
    });
  });
}

describe("a mutant that no longer fits breaks nothing, and so proves nothing", () => {
  test.each(patches)("%s", (name) => {
    const patch = readFileSync(join(folder, name), "utf8");
    const header = /^breaks: [BC]\d+: .+\ntests: (.+)\n\n/.exec(patch);
    expect(header).not.toBeNull();
    for (const file of (header?.[1] ?? "").split(" ")) readFileSync(join(projectRoot, file));
    const hunks = hunksOf(patch);
    expect(hunks.length).toBeGreaterThan(0);
    for (const { file, before } of hunks) expect(readFileSync(join(projectRoot, file), "utf8")).toContain(before);
  });

  test("each invariant has one", () => {
    const broken = new Set(
      patches.map((name) => /^breaks: ([BC]\d+)/.exec(readFileSync(join(folder, name), "utf8"))?.[1]),
    );
    const spec = readFileSync(join(projectRoot, "docs", "spec.md"), "utf8");
    const invariants = [...spec.matchAll(/^\| ([BC]\d+) \| /gm)].map((match) => match[1]);
    expect(invariants.length).toBeGreaterThan(15);
    expect(invariants.filter((id) => !broken.has(id))).toEqual([]);
  });
});
