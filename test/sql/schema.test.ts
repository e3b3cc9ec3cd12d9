import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, extname, join } from "node:path";
import { runner } from "node-pg-migrate";
import { describe, expect, test } from "vitest";
import { emitMigration } from "../../src/install/emit.ts";
import { migrate } from "../../src/install/migrate.ts";
import { migrationScript, uninstallScript } from "../../src/install/script.ts";
import { uninstall } from "../../src/install/uninstall.ts";
import { pgDump } from "../support/components.ts";
import { configOf } from "../support/config.ts";
import { afterTest, cluster, type TestNode, testMajor } from "../support/pg.ts";
import { dumpSchema, fingerprint, run, runScript, sampleSchema } from "./install-support.ts";

async function fill(node: TestNode): Promise<void> {
  const client = node.owner ? `set role "${node.owner}";` : "";
  await node.admin.query(`${client} ${sampleSchema} reset role`);
}

/** An empty folder that is gone after the test. */
async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tandem-emit-"));
  afterTest(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs an application's own migrations, as its own command would. */
async function runFolder(url: string, dir: string, direction: "up" | "down"): Promise<void> {
  const silent = { info() {}, warn() {}, error() {} };
  await runner({
    databaseUrl: url,
    dir,
    direction,
    migrationsTable: "pgmigrations",
    singleTransaction: true,
    logger: silent,
  });
}

test("the committed dump is what migrate makes of one table", async (context) => {
  const program = await run(pgDump(), ["--version"]);
  if (testMajor() !== 15 || !/ 15\./.test(program)) context.skip("the dump was made by PostgreSQL 15 and its pg_dump");
  await using nodes = await cluster(2);
  const table = "create table public.perfis (id integer primary key, nome text)";
  await nodes.local.admin.query(table);
  await migrate(configOf(nodes));
  const dump = await dumpSchema(nodes.local.url, "-O", "-n", "tandem", "-n", "tandem_log", "-n", "public");
  await expect(dump).toMatchFileSnapshot("schema.dump.sql");
});

describe.each([
  ["a superuser", false],
  ["an ordinary owner", true],
])("as %s", (_, owner) => {
  test("C9: migrate, the script by psql and the emitted migration make one schema, and uninstall takes all of it", {
    timeout: 240_000,
  }, async () => {
    await using nodes = await cluster(3, { owner });
    const [byMigrate, byScript, byFolder] = nodes.nodes as [TestNode, TestNode, TestNode];
    const comparable = async (node: TestNode) => (await dumpSchema(node.url)).replaceAll(node.owner ?? "\0", "owner");
    for (const node of nodes) await fill(node);
    const before = await comparable(byMigrate);
    const config = (node: TestNode) =>
      configOf([
        { name: "local", url: node.url },
        { name: "external", url: nodes.external.url },
      ]);

    await migrate(config(byMigrate), { node: "local" });
    const after = await comparable(byMigrate);
    expect(after).toContain("ENABLE ALWAYS TRIGGER");

    // A database administrator who is somebody else: what the script makes is the role's nevertheless.
    const script = await migrationScript(config(byScript), "local");
    await runScript(byScript.superUrl, script);
    expect(await comparable(byScript)).toBe(after);
    const foreign = `select count(*) from pg_class where relnamespace::regnamespace::text ~ '^tandem' and pg_get_userbyid(relowner) <> $1`;
    const role = owner ? byScript.owner : new URL(byScript.url).username;
    expect(await byScript.admin.value(foreign, [role])).toBe("0");

    const folder = await temporaryFolder();
    const path = await emitMigration(config(byFolder), "local", folder);
    await runFolder(byFolder.url, folder, "up");
    expect(await comparable(byFolder)).toBe(after);

    // What each of the three made is complete for the other two.
    for (const node of nodes) {
      const report = await migrate(config(node), { node: "local" });
      expect(report.nodes.map(({ node: name, changed }) => ({ name, changed }))).toEqual([
        { name: "local", changed: false },
      ]);
      const unchanged = await fingerprint(node.admin);
      await runScript(node.superUrl, await migrationScript(config(node), "local"));
      expect(await fingerprint(node.admin)).toBe(unchanged);
    }

    await uninstall(config(byMigrate), { node: "local" });
    expect(await comparable(byMigrate)).toBe(before);
    await runScript(byScript.url, await uninstallScript());
    expect(await comparable(byScript)).toBe(before);
    await runFolder(byFolder.url, folder, "down");
    expect(await comparable(byFolder)).toBe(before);
    expect(basename(path)).toMatch(/^\d{13}_install-tandem\.sql$/);
  });
});

test("uninstall takes interleaving back, and a database without Tandem is left alone", async () => {
  await using nodes = await cluster(2);
  for (const node of nodes) await fill(node);
  const config = configOf(nodes, { sync: { sequences: "interleave" } });
  const before = await dumpSchema(nodes.local.url);
  const never = await uninstall(config);
  expect(never.nodes.map(({ removed }) => removed)).toEqual([false, false]);
  await runScript(nodes.local.url, await uninstallScript());
  expect(await dumpSchema(nodes.local.url)).toBe(before);

  await migrate(config);
  expect(await dumpSchema(nodes.local.url)).toContain("INCREMENT BY 2");
  await uninstall(config);
  expect(await dumpSchema(nodes.local.url)).toBe(before);
});

test("what is half there, or of a newer version, is removed all the same", async () => {
  await using nodes = await cluster(2);
  await fill(nodes.local);
  const before = await dumpSchema(nodes.local.url);
  const config = configOf(nodes);
  await migrate(config, { node: "local" });
  await nodes.local.admin.query("drop function tandem.untrack_table(text, text); drop function tandem.version()");
  await nodes.local.admin.query("insert into tandem.migrations (name, run_on) values ('0999_later', now())");
  expect((await uninstall(config, { node: "local" })).nodes[0]?.removed).toBe(true);
  expect(await dumpSchema(nodes.local.url)).toBe(before);
});

test("a view of the application's on Tandem's is named, and nothing is taken from under it", async () => {
  await using nodes = await cluster(2);
  await fill(nodes.local);
  await migrate(configOf(nodes), { node: "local" });
  await nodes.local.admin.query("create view public.espera as select count(*) from tandem.pending");
  await expect(uninstall(configOf(nodes), { node: "local" })).rejects.toThrow(
    /view public\.espera uses tandem\.pending/,
  );
  expect(await nodes.local.admin.value("select * from public.espera")).toBe("0");
  expect(await nodes.local.admin.value("select count(*) from pg_trigger where tgname like 'tandem%'")).not.toBe("0");
});

test("the script serves a role that may not create schemas, and leaves it without that right", async () => {
  await using nodes = await cluster(2, { owner: true });
  const { local } = nodes;
  await fill(local);
  await local.admin.query(
    `alter database "${local.database}" owner to current_user; revoke create on schema public from "${local.owner}"`,
  );
  await expect(migrate(configOf(nodes), { node: "local" })).rejects.toThrow(/permission denied/);
  await runScript(local.superUrl, await migrationScript(configOf(nodes), "local"));
  expect((await migrate(configOf(nodes), { node: "local" })).nodes[0]?.changed).toBe(false);
  const may = "select has_database_privilege($1, current_database(), 'create')";
  expect(await local.admin.value(may, [local.owner])).toBe("f");
});

describe("an emitted migration follows the ones that are there", () => {
  const esm = "export const up = (pgm) => { pgm.sql('select 1'); };\nexport const down = () => {};\n";
  const commonjs = "exports.up = (pgm) => { pgm.sql('select 1'); };\nexports.down = () => {};\n";
  test.each([
    ["an index", "0007_first.sql", "select 1;\n-- Down Migration\nselect 1;\n", /^0008_install-tandem\.sql$/],
    ["a time of UTC", "20991231235959999_first.mjs", esm, /^21000101000000000_install-tandem\.mjs$/],
    ["milliseconds", "1700000000000_first.cjs", commonjs, /^\d{13}_install-tandem\.cjs$/],
    ["modules in .js", "1700000000000_first.js", esm, /^\d{13}_install-tandem\.js$/],
    [
      "TypeScript",
      "4102444800000_first.ts",
      esm.replaceAll("(pgm)", "(pgm: any)"),
      /^4102444800001_install-tandem\.ts$/,
    ],
  ])("%s", async (_, name, text, expected) => {
    await using nodes = await cluster(2);
    for (const node of nodes) await fill(node);
    const { local, external } = nodes;
    const folder = await temporaryFolder();
    await writeFile(join(folder, name), text);
    const path = await emitMigration(configOf(nodes), "local", folder);
    expect(basename(path)).toMatch(expected);
    expect(extname(path)).toBe(extname(name));
    expect(await readdir(folder)).toHaveLength(2);

    const before = await dumpSchema(local.url);
    await runFolder(local.url, folder, "up");
    const other = configOf([
      { name: "local", url: external.url },
      { name: "external", url: local.url },
    ]);
    await migrate(other, { node: "local" });
    expect(await dumpSchema(local.url)).toBe(await dumpSchema(external.url));
    await runFolder(local.url, folder, "down");
    expect(await dumpSchema(local.url)).toBe(before);
    expect(await readFile(path, "utf8")).not.toContain(new URL(nodes.local.url).pathname.slice(1));
  });
});
