import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../support/child.ts";
import { houseFaults, pathsNamed } from "../support/house.ts";
import { scanModule } from "../support/source-scan.ts";

/** Paths from the project's top of the files below a folder. */
function filesBelow(folder: string, ending: string): string[] {
  if (!existsSync(join(projectRoot, folder))) return [];
  return readdirSync(join(projectRoot, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(projectRoot, join(entry.parentPath, entry.name)))
    .sort();
}

function read(path: string): string {
  return readFileSync(join(projectRoot, path), "utf8");
}

describe("the house", () => {
  const modules = [...filesBelow("src", ".ts"), ...filesBelow("src", ".tsx")];
  const sources = new Map(modules.map((file) => [file, read(file)]));

  test("imports go one way down, without cycle, barrel or default export", () => {
    expect(sources.size).toBeGreaterThan(10);
    expect(houseFaults(sources)).toEqual([]);
  });

  test("SQL is plain ASCII: it is installed in databases of any encoding", () => {
    const files = [...filesBelow("sql", ".sql"), ...filesBelow("migrations", ".sql")];
    expect(files.filter((file) => /[^\n\t -~]/.test(read(file)))).toEqual([]);
  });

  test("no file of src or sql is longer than 400 lines", () => {
    const long = [...modules, ...filesBelow("src", ".css"), ...filesBelow("sql", ".sql")]
      .map((file) => ({ file, lines: read(file).split("\n").length - 1 }))
      .filter(({ lines }) => lines > 400);
    expect(long).toEqual([]);
  });

  test("sql/install.sql names every file of sql, and only those", () => {
    const named = [...read("sql/install.sql").matchAll(/^\\ir\s+(\S+)/gm)].map((match) => `sql/${match[1]}`);
    const there = filesBelow("sql", ".sql").filter((file) => file !== "sql/install.sql");
    expect([...named].sort()).toEqual(there);
  });

  test("a migration never changes: migrations/CHECKSUMS holds", () => {
    const pinned = read("migrations/CHECKSUMS")
      .trim()
      .split("\n")
      .filter((line) => !line.startsWith("#"));
    const actual = filesBelow("migrations", ".sql").map((file) => {
      const sum = createHash("sha256").update(read(file)).digest("hex");
      return `${sum}  ${file.slice("migrations/".length)}`;
    });
    expect(pinned.map((line) => line.trim().replace(/\s+\*?/, "  "))).toEqual(actual);
  });

  test.each(["ARCHITECTURE.md", "README.md"])("every path that %s names exists", (document) => {
    const text = existsSync(join(projectRoot, document)) ? read(document) : "";
    const users = new Set(["tandem.yaml"]); // a user's own files, which no clone holds
    const dangling = pathsNamed(text).filter((path) => {
      if (users.has(path)) return false;
      return path.includes("*") || path.includes("{") ? !matches(path) : !existsSync(join(projectRoot, path));
    });
    expect(dangling).toEqual([]);
  });
});

interface LockedPackage {
  optionalDependencies?: Record<string, string>;
}

describe("the lock file", () => {
  test("holds the optional packages of every platform: without them npm ci fails where a registry lacks some", () => {
    const { packages } = JSON.parse(read("package-lock.json")) as { packages: Record<string, LockedPackage> };
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`],
      ),
    );
    expect(missing).toEqual([]);
  });

  test("names no place to download from", () => {
    expect(read("package-lock.json")).not.toMatch(/"resolved": "https?:/);
  });
});

/** `sql/*.sql`, `src/{cli,demo}/`: every alternative must have a match. */
function matches(pattern: string): boolean {
  const braces = /^(.*)\{([^}]*)\}(.*)$/.exec(pattern);
  if (braces) return (braces[2] ?? "").split(",").every((word) => matches(`${braces[1]}${word}${braces[3]}`));
  if (!pattern.includes("*")) return existsSync(join(projectRoot, pattern));
  const form = new RegExp(`^${pattern.replace(/[.+?^$()|[\]\\]/g, "\\$&").replace(/\*+/g, "[^/]*")}`);
  return filesBelow(pattern.split("/")[0]!, "").some((file) => form.test(file));
}

describe("the check itself", () => {
  test("sees imports of every form, and none in comments, strings, templates or regular expressions", () => {
    const source = [
      'import "./a.ts";',
      'import b, { type B } from "./b.ts";',
      "import type * as c from './c.ts';",
      'import {\n  d, // from "./no.ts"\n} from "./d.ts";',
      'export * from "./e.ts"; export type { F } from "./f.ts";',
      'const g = await import("./g.ts");',
      'type H = import("./h.ts").H;',
      '// import "./no.ts"',
      '/* export * from "./no.ts" */',
      "const text = 'import \"./no.ts\"';",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the sources under test hold templates
      'const t = `import "./no.ts" ${x({ a: `}` }, "y")} from "./no.ts"`;',
      'const r = /["\'`/]import "x"/g; const q = a / b / c; const s = [/[/"]/, "import"];',
      'const z = await import(`./k.ts`); export const last = "from";',
    ].join("\n");
    const names = scanModule(source).imports.filter((name) => name.startsWith("./"));
    expect(names).toEqual([..."abcdefghk"].map((letter) => `./${letter}.ts`));
  });

  test("knows barrels and default exports", () => {
    expect(scanModule('/** x */\nexport * from "./a.ts";\nexport { b } from "./b.ts";').barrel).toBe(true);
    expect(scanModule('import { a } from "./a.ts";\nexport { a };').barrel).toBe(true);
    expect(scanModule('export { b } from "./b.ts";\nexport const c = 1;').barrel).toBe(false);
    expect(scanModule('import { run } from "./run.ts";\nrun();').barrel).toBe(false);
    expect(scanModule("export default function f() {}").defaultExport).toBe(true);
    expect(scanModule("const f = 1; export { f as default };").defaultExport).toBe(true);
    expect(scanModule('// export default\nexport const s = "export default";').defaultExport).toBe(false);
  });

  test.each([
    ["upwards", { "src/link/a.ts": 'import "../cli/b.ts"', "src/cli/b.ts": "1" }, "src/link stands not above src/cli"],
    ["sideways", { "src/demo/a.ts": 'import "../doctor/b.ts"', "src/doctor/b.ts": "1" }, "stands not above"],
    [
      "bottom",
      { "src/base/a.ts": 'import type { C } from "../config/b.ts"', "src/config/b.ts": "1" },
      "stands not above",
    ],
    ["unknown folder", { "src/util/a.ts": "1" }, "in no folder"],
    ["out of the house", { "src/base/a.ts": 'import "../../test/x.ts"' }, "does not exist"],
    [
      "cycle",
      { "src/db/a.ts": 'import "./b.ts"', "src/db/b.ts": 'import type { A } from "./a.ts"' },
      "import cycle: src/db/a.ts → src/db/b.ts → src/db/a.ts",
    ],
    ["itself", { "src/db/a.ts": 'import "./a.ts"' }, "import cycle"],
    [
      "the page needs the program",
      { "src/web/a.tsx": 'import { b } from "../http/answers.ts"; run(b);', "src/http/answers.ts": "run();" },
      "src/web/a.tsx imports src/http/answers.ts: the page knows only types",
    ],
    [
      "the page knows too much",
      { "src/web/a.tsx": 'import type { B } from "../sidecar/b.ts"; run();', "src/sidecar/b.ts": "run();" },
      "the page knows only types of src/http/answers.ts",
    ],
    [
      "the program needs the page",
      { "src/demo/a.ts": 'import "../web/b.tsx"', "src/web/b.tsx": "run();" },
      "src/demo/a.ts imports src/web/b.tsx: the page is no part of the program",
    ],
    ["barrel", { "src/db/a.ts": 'export * from "./b.ts"', "src/db/b.ts": "1" }, "is a barrel"],
  ])("finds what is wrong: %s", (_, files, words) => {
    expect(houseFaults(new Map(Object.entries(files as Record<string, string>))).join("\n")).toContain(words);
  });

  test("lets pass what is right", () => {
    const files = {
      "src/index.ts": 'export * from "./link/a.ts"',
      "src/cli/main.ts": 'import "../index.ts"; import "../demo/d.ts"; import pg from "pg"; run();',
      "src/demo/d.ts": 'import "./parts/e.ts"; run();',
      "src/demo/parts/e.ts": 'import "../../base/f.ts"; run();',
      "src/link/a.ts": 'import "../base/f.ts"; run();',
      "src/base/f.ts": "run();",
      "src/web/g.tsx": 'import type { H } from "../http/answers.ts"; import "./i.ts"; run();',
      "src/web/i.ts": "run();",
      "src/http/answers.ts": "run();",
    };
    expect(houseFaults(new Map(Object.entries(files)))).toEqual([]);
  });

  test("finds the paths that a document names", () => {
    const text = [
      "See `src/link/round.ts` and `sql/*.sql`, not `a/b` nor `npm run demo`; `npx vitest run test/unit`; `docs/<name>.md`.",
      "`CHANGELOG.md`, `./test/support/pg.ts:12`, src/plain.ts",
      "```\nsrc/cli/  src/demo/   one file a command: parse\n```",
    ].join("\n");
    expect(pathsNamed(text)).toEqual([
      "src/link/round.ts",
      "sql/*.sql",
      "test/unit",
      "CHANGELOG.md",
      "test/support/pg.ts",
      "src/cli/",
      "src/demo/",
    ]);
  });
});
