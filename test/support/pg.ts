import { createHash, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { expect, inject, onTestFinished } from "vitest";
import { connectClient, sql, type TextRow } from "./client.ts";
import type { TestServer } from "./servers.ts";
import { waitFor } from "./wait.ts";

export { sql, type TextRow } from "./client.ts";
export { contentOf, expectEqual } from "./content.ts";

/** Settings of a role under which text values look unlike the usual ones: nothing may depend on them. */
export const hostileSettings: Record<string, string> = {
  extra_float_digits: "0",
  bytea_output: "escape",
  DateStyle: "German",
  TimeZone: "Pacific/Auckland",
};

/** How a cluster's databases are made. */
export interface ClusterOptions {
  /** A database to clone, from `template()`. */
  template?: string;
  /** The nodes' `url` is of a fresh role, no superuser, that owns the database. */
  owner?: boolean;
  /** Servers of the test's own; else the run's. */
  servers?: readonly TestServer[];
  /** Role settings (of the owner, else of the database): `hostileSettings`, or what the test needs. */
  settings?: Record<string, string>;
}

/** One database that takes part in a test. */
export interface TestNode {
  /** `local`, `external`, `n3`, … */
  name: string;
  database: string;
  /** The owner's when asked for, else the superuser's. */
  url: string;
  superUrl: string;
  owner: string | undefined;
  server: TestServer;
  /** The superuser's connection, opened at first use. */
  admin: Admin;
}

/** The databases of a test; gone after it when it passed, kept with a psql line when it failed. */
export interface Cluster extends AsyncDisposable, Iterable<TestNode> {
  nodes: TestNode[];
  local: TestNode;
  external: TestNode;
  node(name: string): TestNode;
}

/** A superuser's connection for preparing and looking. */
export class Admin implements AsyncDisposable {
  readonly #url: string;
  #client: Promise<pg.Client> | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  client(): Promise<pg.Client> {
    this.#client ??= connectClient(this.#url, "test-admin");
    return this.#client;
  }

  async query(text: string, params: unknown[] = []): Promise<TextRow[]> {
    return sql(await this.client(), text, params);
  }

  /** The first column of the first row; undefined without rows. */
  async value(text: string, params: unknown[] = []): Promise<string | null | undefined> {
    const [row] = await this.query(text, params);
    return row && Object.values(row)[0];
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await (await client?.catch(() => undefined))?.end().catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The servers of this run, in the order in which nodes are spread over them. */
export function testServers(): TestServer[] {
  return inject("tandemServers");
}

/** The major version the run tests against. */
export function testMajor(): number {
  return testServers()[0]!.major;
}

/**
 * Makes `count` fresh databases, alternately on the run's servers, called after the test. Inside a test they go when
 * it is over; in a beforeAll the caller disposes of the cluster itself.
 */
export async function cluster(count: number, options: ClusterOptions = {}): Promise<Cluster> {
  const servers = options.servers ?? testServers();
  const stem = databaseStem();
  const nodes: TestNode[] = [];
  for (let i = 0; i < count; i++) {
    const name = nodeName(i);
    nodes.push(await createNode({ name, database: `${stem}_${name}`, server: servers[i % servers.length]! }, options));
  }
  return new TestCluster(nodes);
}

function nodeName(i: number): string {
  return i === 0 ? "local" : i === 1 ? "external" : `n${i + 1}`;
}

/** `t_<the test's name>_<hash>`: at most 50 bytes, so that a node's name has room. */
function databaseStem(): string {
  const { currentTestName = "suite", testPath = "" } = expect.getState();
  const words = (currentTestName.split(" > ").at(-1) ?? "").toLowerCase().replace(/[^a-z0-9]+/g, "_");
  const hash = createHash("sha256")
    .update(testPath + currentTestName)
    .update(randomBytes(8))
    .digest("hex")
    .slice(0, 6);
  return `t_${words.slice(0, 38).replace(/^_+|_+$/g, "")}_${hash}`;
}

async function createNode(
  { name, database, server }: { name: string; database: string; server: TestServer },
  { template, owner, settings = {} }: ClusterOptions,
): Promise<TestNode> {
  const superUrl = withDatabase(server.url, database);
  const role = owner ? `${database}_o`.slice(0, 63) : undefined;
  const client = await connectClient(server.url);
  try {
    if (role) await client.query(`create role "${role}" login nosuperuser password 'tandem'`);
    // a member may give a database away where the superuser is none (a managed server given by URL)
    if (role) await client.query(`grant "${role}" to current_user`).catch(() => {});
    const from = template ? ` template "${template}"` : "";
    await client.query(`create database "${database}"${role ? ` owner "${role}"` : ""}${from}`);
    const target = role ? `role "${role}"` : `database "${database}"`;
    for (const [key, value] of Object.entries(settings)) {
      await client.query(`alter ${target} set "${key}" = '${value.replaceAll("'", "''")}'`);
    }
  } finally {
    await client.end();
  }
  const url = role ? withUser(superUrl, role, "tandem") : superUrl;
  return { name, database, url, superUrl, owner: role, server, admin: new Admin(superUrl) };
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${encodeURIComponent(database)}`;
  return changed.href;
}

function withUser(url: string, user: string, password: string): string {
  const changed = new URL(url);
  changed.username = encodeURIComponent(user);
  changed.password = encodeURIComponent(password);
  return changed.href;
}

class TestCluster implements Cluster {
  readonly nodes: TestNode[];
  readonly #inTest: boolean;

  constructor(nodes: TestNode[]) {
    this.nodes = nodes;
    this.#inTest = afterTest(async (passed) => {
      if (!passed) return this.#keep();
      await this.#drop();
    });
  }

  get local(): TestNode {
    return this.nodes[0]!;
  }

  get external(): TestNode {
    return this.nodes[1]!;
  }

  node(name: string): TestNode {
    const found = this.nodes.find((node) => node.name === name);
    if (!found) throw new Error(`the cluster has no node ${name}`);
    return found;
  }

  [Symbol.iterator](): Iterator<TestNode> {
    return this.nodes[Symbol.iterator]();
  }

  /** Inside a test only the connections close here: whether it failed is known after it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.admin.close()));
    if (!this.#inTest) await this.#drop();
  }

  async #keep(): Promise<void> {
    await writeFile(join(inject("tandemRunFolder"), "kept"), "", { flag: "a" });
    await Promise.all(this.nodes.map((node) => node.admin.close()));
    for (const node of this.nodes) {
      const log = node.server.logFile ? `   # server log: ${node.server.logFile}` : "";
      process.stderr.write(`kept ${node.name}: psql '${node.superUrl}'${log}\n`);
    }
    if (!process.env.TANDEM_TEST_KEEP) process.stderr.write("(TANDEM_TEST_KEEP=1 leaves the servers up for them)\n");
  }

  async #drop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.admin.close()));
    const leaks = await leftBackends(this.nodes);
    await Promise.all(this.nodes.map(dropNode));
    if (leaks.length) throw new Error(`the test left connections of Tandem open:\n${leaks.join("\n")}`);
  }
}

/** The backends that are still there when they have had time to go. */
async function leftBackends(nodes: TestNode[]): Promise<string[]> {
  const find = async () => {
    const found: string[] = [];
    for (const { server, database } of nodes) {
      const rows = await sql(
        server.url,
        `select format('%s: pid %s, %s, %s: %s', datname, pid, application_name, state, query) as backend
         from pg_stat_activity where datname = $1 and application_name like 'tandem%'`,
        [database],
      );
      found.push(...rows.map((row) => row.backend ?? ""));
    }
    return found;
  };
  return waitFor(async () => ((await find()).length === 0 ? [] : null), { deadlineMs: 60_000 }).catch(find);
}

async function dropNode({ server, database, owner }: TestNode): Promise<void> {
  const client = await connectClient(server.url);
  try {
    await client.query(`drop database if exists "${database}" with (force)`);
    if (owner) await client.query(`drop role if exists "${owner}"`);
  } finally {
    await client.end();
  }
}

/** Has something done when the running test is over, told whether it passed; false when no test is running. */
export function afterTest(action: (passed: boolean) => Promise<void>): boolean {
  try {
    onTestFinished(({ task }) => action(task.result?.state !== "fail"));
    return true;
  } catch {
    return false;
  }
}

/** A connection with text-only values that the test need not close. */
export async function openClient(url: string): Promise<pg.Client> {
  const client = await connectClient(url);
  afterTest(() => client.end().catch(() => {}));
  return client;
}

/**
 * A database made once per run on every server (of the run, unless others are given), to be cloned by `cluster(n, { template })`. `build` is given its URL
 * and must leave no connection to it open.
 */
export async function template(
  key: string,
  build: (url: string) => Promise<void>,
  servers: readonly TestServer[] = testServers(),
): Promise<string> {
  const name = `tpl_${createHash("sha256")
    .update(key + inject("tandemRunFolder"))
    .digest("hex")
    .slice(0, 16)}`;
  for (const server of servers) {
    const client = await connectClient(server.url);
    try {
      // workers that want the same template wait for the first one
      await client.query(`select pg_advisory_lock(hashtext($1))`, [name]);
      const { rows } = await client.query(`select from pg_database where datname = $1`, [name]);
      if (rows.length) continue;
      const unready = `${name}_unready`;
      await client.query(`drop database if exists ${unready} with (force)`);
      await client.query(`create database ${unready}`);
      await build(withDatabase(server.url, unready));
      await client.query(`alter database ${unready} rename to ${name}`);
    } finally {
      await client.end();
    }
  }
  return name;
}
