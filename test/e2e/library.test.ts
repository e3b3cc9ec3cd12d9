import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { type LinkActivity, type LinkEvent, openTandem, type Settings } from "../../src/index.ts";
import { projectRoot, tempFolder } from "../support/child.ts";
import { codeOf } from "../support/link.ts";
import { type Cluster, cluster, expectEqual } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

const settingsOf = (nodes: Cluster, changes: Partial<Settings> = {}): Settings => ({
  nodes: Object.fromEntries(nodes.nodes.map(({ name, url }) => [name, { url }])),
  sync: { interval: "50ms" },
  http: { listen: "off" },
  ...changes,
});

async function prepared(): Promise<Cluster> {
  const nodes = await cluster(2);
  for (const { admin } of nodes) await admin.query("create table item (id int primary key, name text)");
  await nodes.local.admin.query("insert into item select g, 'item ' || g from generate_series(1, 30) g");
  return nodes;
}

/** Sessions of Tandem's in the nodes. */
async function sessions(nodes: Cluster): Promise<number> {
  let count = 0;
  for (const { admin } of nodes)
    count += Number(
      await admin.value(
        "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'tandem%'",
      ),
    );
  return count;
}

/** A server ends a session a moment after it was left. */
async function expectNoSession(nodes: Cluster): Promise<void> {
  await waitFor(async () => (await sessions(nodes)) === 0, { what: "no session of Tandem's" });
}

test("the sidecar starts, carries, tells, stops without a session left, and starts again", async () => {
  await using nodes = await prepared();
  await using tandem = await openTandem({ settings: settingsOf(nodes) });
  expect({ running: tandem.running, links: tandem.links }).toEqual({ running: false, links: [] });
  const moved: LinkEvent[] = [];
  const told: LinkActivity[] = [];
  const ends: unknown[] = [];
  tandem.on("moved", (event) => moved.push(event));
  tandem.on("link", (activity) => told.push(activity));
  tandem.on("stopped", (error) => ends.push(error));

  await tandem.migrate();
  await Promise.all([tandem.start(), tandem.start()]);
  expect(tandem.running).toBe(true);
  await waitFor(async () => (await tandem.status()).well);
  await expectEqual(nodes.nodes);
  await waitFor(() => moved.some(({ target }) => target === "external"));
  expect(await sessions(nodes)).toBeGreaterThan(0);

  await nodes.external.admin.query("update item set name = 'changed' where id = 7");
  await waitFor(async () => (await nodes.local.admin.value("select name from item where id = 7")) === "changed");
  // Beside the sidecar, as beside one of another process.
  expect((await tandem.sync()).well).toBe(true);

  await tandem.stop();
  await tandem.stop();
  await expectNoSession(nodes);
  await waitFor(() => ends.length > 0);
  expect(ends).toEqual([null]);
  expect(tandem.links.map(({ state }) => state)).toEqual(["stopped", "stopped"]);
  expect(told.map(({ state }) => state)).toEqual(expect.arrayContaining(["working", "idle", "stopped"]));

  await tandem.start();
  await nodes.local.admin.query("delete from item where id = 1");
  await waitFor(async () => (await nodes.external.admin.value("select count(*) from item where id = 1")) === "0");
});

test("what only a person can mend rejects the start, and the Tandem may be started again once it is mended", async () => {
  await using nodes = await prepared();
  await using tandem = await openTandem({ settings: settingsOf(nodes) });
  const ends: unknown[] = [];
  tandem.on("stopped", (error) => ends.push(error));
  expect(await codeOf(tandem.start())).toBe("not_installed");
  expect(tandem.running).toBe(false);
  await waitFor(() => ends.length > 0);
  expect(ends).toEqual([expect.objectContaining({ code: "not_installed" })]);
  await tandem.migrate();
  await tandem.start();
  await waitFor(async () => (await tandem.status()).well);
});

test("a server that is away does not hold up the start", async () => {
  await using nodes = await prepared();
  const settings = settingsOf(nodes);
  await (await openTandem({ settings })).migrate();
  const away = { ...settings.nodes, external: { url: "postgres://nobody@127.0.0.1:1/nothing" } };
  await using tandem = await openTandem({ settings: { ...settings, nodes: away } });
  await tandem.start();
  // Between two tries a link connects again.
  await waitFor(() => tandem.links.length === 2 && tandem.links.every(({ state }) => state === "failing"));
  expect((await tandem.status()).well).toBe(false);
});

test("stopped before it has begun, the start says so and leaves no session", async () => {
  await using nodes = await prepared();
  await using tandem = await openTandem({ settings: settingsOf(nodes) });
  await tandem.migrate();
  const start = codeOf(tandem.start());
  await tandem.stop();
  expect(await start).toBe("stopped");
  await expectNoSession(nodes);
});

test("settings are checked like a file, and read nothing else", async () => {
  const url = "postgres://somebody@db.example/one";
  const settings = {
    nodes: { a: { url }, b: { url } },
    sync: { interval: "never" },
    tabels: [],
  } as unknown as Settings;
  const env = { DATABASE_URL: "postgres://other@db.example/two" };
  await expect(openTandem({ settings, env, cwd: await tempFolder() })).rejects.toMatchObject({
    code: "config_invalid",
    faults: [
      expect.objectContaining({ path: "sync.interval" }),
      expect.objectContaining({ path: "tabels", message: 'unknown key "tabels", did you mean "tables"?' }),
      expect.objectContaining({ path: "nodes.b.url", message: expect.stringContaining("same database") }),
    ],
  });
  await expect(openTandem({ settings, file: "tandem.yaml" })).rejects.toMatchObject({ code: "config_invalid" });
  const { config } = await openTandem({ settings: { nodes: { a: { url: `${url}?x=\${HOME}` } } }, env });
  expect(config).toMatchObject({ file: null, nodes: [{ name: "a", url: `${url}?x=\${HOME}` }] });
});

test("a listener that throws is the application's uncaught exception, and stops no link", async () => {
  await using nodes = await prepared();
  const cwd = await tempFolder();
  await writeFile(
    join(cwd, "app.mjs"),
    `import { openTandem } from ${JSON.stringify(pathToFileURL(join(projectRoot, "dist", "index.js")).href)};
    let caught = 0;
    process.on("uncaughtException", () => caught++);
    const tandem = await openTandem({ settings: ${JSON.stringify(settingsOf(nodes))} });
    tandem.on("link", () => { throw new Error("of the application"); });
    await tandem.migrate();
    await tandem.start();
    while (!(await tandem.status()).well) await new Promise((resolve) => setTimeout(resolve, 50));
    await tandem.stop();
    console.log(caught > 0, tandem.links.every(({ error }) => error === null));`,
  );
  const child = spawn(process.execPath, ["app.mjs"], { cwd, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect({ code, said }).toEqual({ code: 0, said: "true true\n" });
  await expectEqual(nodes.nodes);
});
