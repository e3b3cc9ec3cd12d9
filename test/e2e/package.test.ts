import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { projectRoot } from "../support/child.ts";
import { type Cluster, cluster, expectEqual } from "../support/pg.ts";

// npm fetches what the package needs.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 600_000 });

interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of the machine to its end. */
async function run(program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<Said> {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(VITEST|NODE_ENV$|DATABASE_URL$|EXTERNAL_DB_URL$|TANDEM_)/.test(name),
  );
  const child = spawn(program, args, {
    cwd,
    env: { ...Object.fromEntries(own), NO_COLOR: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  const code = await new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  return { code, ...said };
}

/** The same; throws with all it said when it fails. */
async function must(program: string, args: readonly string[], cwd: string, env?: NodeJS.ProcessEnv): Promise<Said> {
  const said = await run(program, args, cwd, env);
  expect({ args, ...said, code: said.code }, `${said.stdout}\n${said.stderr}`).toMatchObject({ code: 0 });
  return said;
}

let folder = "";
let packed: readonly string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tandem-package-"));
  // Without scripts: `prepare` would build anew below the tests that run beside this one.
  const { stdout } = await must(
    "npm",
    ["pack", "--ignore-scripts", "--json", "--pack-destination", folder],
    projectRoot,
  );
  const [report] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  packed = report.files.map(({ path }) => path);
  await mkdir(join(folder, "app"));
  await writeFile(join(folder, "app", "package.json"), '{ "type": "module" }\n');
  const options = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"];
  await must("npm", ["install", ...options, join("..", report.filename)], join(folder, "app"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("the package holds what runs, with types, and nothing else", async () => {
  const top = [...new Set(packed.map((path) => path.split("/")[0]))].sort();
  expect(top).toEqual([
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "README.pt-BR.md",
    "dist",
    "migrations",
    "package.json",
    "sql",
  ]);
  const sources = await readdir(join(projectRoot, "src"), { recursive: true });
  const library = sources.filter((path) => !/^(web|cli)\//.test(path));
  const modules = library.filter((path) => path.endsWith(".ts")).map((path) => path.slice(0, -3));
  const wanted = modules.flatMap((path) => [`dist/${path}.js`, `dist/${path}.d.ts`]);
  const compiled = packed.filter((path) => path.startsWith("dist/") && /\.(js|d\.ts)$/.test(path));
  expect(compiled.filter((path) => !/^dist\/(web|cli)\//.test(path)).sort()).toEqual(wanted.sort());
  const sql = (await readdir(join(projectRoot, "sql"), { recursive: true })).filter((path) => path.endsWith(".sql"));
  expect(packed.filter((path) => path.startsWith("sql/")).sort()).toEqual(sql.map((path) => `sql/${path}`).sort());
  expect(packed.filter((path) => /\.(map|tsx?|log|snap|env)$/.test(path) && !path.endsWith(".d.ts"))).toEqual([]);
  expect(packed).toContain("migrations/CHECKSUMS");
  // The page is made of other projects' code too: their licences go with it.
  const page = packed.filter((path) => path.startsWith("dist/web/")).map((path) => path.replace(/-[\w-]{8}\./, "."));
  expect(page.sort()).toEqual([
    "dist/web/assets/icon.svg",
    "dist/web/assets/index.css",
    "dist/web/assets/index.js",
    "dist/web/index.html",
    "dist/web/license.md",
  ]);
});

test("the command is made of a few files, with the licences of what is in them, and needs only what the package depends on", async () => {
  const files = packed.filter((path) => path.startsWith("dist/cli/"));
  expect(files.filter((path) => !path.endsWith(".js"))).toEqual(["dist/cli/license.md"]);
  expect(files).toContain("dist/cli/main.js");
  // npx makes it so at its first use only: after an update it would say "Permission denied".
  expect((await stat(join(projectRoot, "dist", "cli", "main.js"))).mode & 0o111, "executable by").toBe(0o111);
  const licences = await readFile(join(projectRoot, "dist", "cli", "license.md"), "utf8");
  for (const inside of ["yargs", "yargs-parser", "pg", "pg-types", "drizzle-orm", "zod", "yaml"])
    expect(licences).toMatch(new RegExp(`^## ${inside} - `, "m"));
  const { dependencies } = JSON.parse(await readFile(join(projectRoot, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const needed = new Set<string>();
  for (const path of files.filter((file) => file.endsWith(".js"))) {
    const code = await readFile(join(projectRoot, path), "utf8");
    const imports = code.matchAll(
      /^(?:import|export)\b[^"';]*?\bfrom "([^".][^"]*)"|^import "([^".][^"]*)"|\bimport\("([^".][^"]*)"\)/gm,
    );
    for (const [, ...names] of imports) needed.add(names.find(Boolean) ?? "");
  }
  const foreign = [...needed].filter((name) => !isBuiltin(name)).sort();
  expect(foreign).toContain("fastify");
  expect(foreign.filter((name) => !(name in dependencies))).toEqual([]);
  // What every start of the command reads is inside.
  for (const name of ["yargs", "pg", "pg-copy-streams", "drizzle-orm", "yaml", "zod"])
    expect(foreign).not.toContain(name);
});

describe("installed into an empty folder", () => {
  let nodes: Cluster;
  let env: Record<string, string>;
  const app = () => join(folder, "app");

  beforeAll(async () => {
    nodes = await cluster(2);
    env = { DATABASE_URL: nodes.local.url, EXTERNAL_DB_URL: nodes.external.url };
    for (const { admin } of nodes) await admin.query("create table price (id int primary key, amount numeric)");
    await nodes.local.admin.query("insert into price select g, g * 1.5 from generate_series(1, 20) g");
  });
  afterAll(() => nodes[Symbol.asyncDispose]());

  test("the command does its work", async () => {
    const tandem = (...args: string[]) => must("npx", ["--no-install", "tandem", ...args], app(), env);
    const { version } = JSON.parse(await readFile(join(projectRoot, "package.json"), "utf8")) as { version: string };
    expect((await tandem("--version")).stdout.trim()).toBe(version);
    await tandem("init");
    await rm(join(app(), "tandem.yaml"));
    expect((await tandem("migrate")).stdout).toContain("local: 1 table tracked");
    expect((await tandem("sync")).stdout).toContain("local → external: 20 rows carried");
    await expectEqual(nodes.nodes);
  });

  test("every example of docs/library.md has right types and does what it says", async () => {
    const text = await readFile(join(projectRoot, "docs", "library.md"), "utf8");
    const examples = [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = ""]) => code);
    expect(examples.length).toBeGreaterThanOrEqual(5);
    const names = examples.map((_, i) => `example-${i + 1}`);
    for (const [i, code] of examples.entries()) await writeFile(join(app(), `${names[i]}.ts`), code);
    const compilerOptions = {
      ...{ strict: true, target: "es2022", module: "nodenext", noPropertyAccessFromIndexSignature: true },
      ...{ types: ["node"], typeRoots: [join(projectRoot, "node_modules", "@types")], skipLibCheck: true },
    };
    await writeFile(
      join(app(), "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: names.map((name) => `${name}.ts`) }),
    );
    await must(process.execPath, [join(projectRoot, "node_modules", "typescript", "bin", "tsc")], app());

    await nodes.local.admin.query("insert into price values (21, 2.5)");
    const said: Said[] = [];
    for (const name of names) said.push(await must(process.execPath, [`${name}.js`], app(), env));
    const lines = said.map(({ stdout }) => stdout.trim());
    expect(lines).toEqual([
      "local to external: done, 0 rows wait\nexternal to local: done, 0 rows wait",
      expect.stringMatching(/^All well: /),
      expect.stringMatching(/^(local to external|external to local) is \w+\n.* is \w+$/),
      "cannot_connect external",
      "0 changes wait\nAll nodes hold the same.",
    ]);
    await expectEqual(nodes.nodes);
  });
});
