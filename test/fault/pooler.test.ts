import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type TandemOptions, tandem } from "../support/child.ts";
import { connectClient, sql, type TextRow } from "../support/client.ts";
import { type Cluster, type ClusterOptions, cluster } from "../support/pg.ts";
import { type PgBouncer, type PgBouncerOptions, startPgBouncer } from "../support/pgbouncer.ts";
import { expectRest, Opened, sidecar } from "./support.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const schema = `
  create table customer (id int primary key, name text not null unique, balance numeric, seen timestamptz, raw bytea);
  create table invoice (id int primary key, customer_id int not null references customer on delete cascade, total float8);
  create table note (id int primary key, body text check (body <> 'bad'))`;

interface Pooled extends AsyncDisposable {
  nodes: Cluster;
  bouncers: PgBouncer[];
  at: TandemOptions;
  run(...args: string[]): Promise<{ stdout: string; stderr: string }>;
}

/** Nodes that Tandem knows only by way of a pooler; the application writes straight to the servers. */
async function pooled(count: number, options: PgBouncerOptions, roles: ClusterOptions = {}): Promise<Pooled> {
  const opened = new Opened();
  const nodes = opened.add(await cluster(count, roles));
  for (const { url } of nodes) await sql(url, schema);
  const bouncers: PgBouncer[] = [];
  for (const { url } of nodes) bouncers.push(opened.add(await startPgBouncer(url, options)));
  const at = await opened.folder(Object.fromEntries(nodes.nodes.map(({ name }, i) => [name, bouncers[i]!.url])));
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await tandem(args, at);
    expect({ args, code }, `${stdout}\n${stderr}`).toEqual({ args, code: 0 });
    return { stdout, stderr };
  };
  await run("migrate");
  return { nodes, bouncers, at, run, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

/** A first load on one side, then work on all of them that meets every way of writing: parents, unique values, deletions. */
async function load({ nodes }: Pooled): Promise<void> {
  await nodes.local.admin.query(`
    insert into customer select g, 'customer ' || g, g * 1.10, '2025-03-30 01:30+00', decode(md5(g::text), 'hex') from generate_series(1, 300) g;
    insert into invoice select g, 1 + g % 300, g / 3.0 from generate_series(1, 900) g`);
}

async function work({ nodes }: Pooled, round: number): Promise<void> {
  for (const [i, { admin }] of nodes.nodes.entries()) {
    const base = 1000 * (round * 10 + i + 1);
    await admin.query(`
      insert into customer select g, 'new ' || g from generate_series(${base}, ${base + 20}) g;
      insert into invoice select g, g, 1 from generate_series(${base}, ${base + 20}) g;
      update customer set balance = ${base} where id between ${i * 50 + 1} and ${i * 50 + 40};`);
    await admin.query(`delete from customer where id = ${base + 10}`);
  }
}

describe.each([
  { pool: "transaction mode", count: 2, options: {}, roles: {} },
  { pool: "transaction mode, as an ordinary owner", count: 2, options: {}, roles: { owner: true } },
  {
    pool: "session mode without a reset query",
    count: 2,
    options: { poolMode: "session", resetQuery: "", poolSize: 20 },
    roles: {},
  },
  { pool: "two sessions for four links", count: 3, options: { poolSize: 2 }, roles: {} },
] as const)("a pooler in $pool", ({ count, options, roles }) => {
  let all: Pooled;

  beforeAll(async () => {
    all = await pooled(count, options, roles);
  });
  afterAll(() => all?.[Symbol.asyncDispose]());

  test("C1 C2 C3: commands and the sidecar work through it", async () => {
    await load(all);
    await all.run("sync");
    expect(await expectRest(all.nodes.nodes)).toBe(1200);
    await work(all, 1);
    await all.run("sync");
    await expectRest(all.nodes.nodes);
    await all.run("verify");
    await all.run("doctor");
    await using running = sidecar(all.at);
    for (let round = 2; round < 5; round++) await work(all, round);
    await expectRest(all.nodes.nodes, () => running.stderr);
    await all.run("status");
    expect((await running.kill("SIGTERM")).code).toBe(0);
  });
});

test("C2: a pooler that is started again in the middle is waited for", async () => {
  await using all = await pooled(2, {});
  await load(all);
  await all.run("sync");
  await using running = sidecar(all.at);
  for (let round = 1; round < 6; round++) {
    await work(all, round);
    await all.bouncers[round % 2]!.restart();
  }
  await expectRest(all.nodes.nodes, () => running.stderr);
  expect(running.result).toBeUndefined();
});

test("C9: what Tandem sets stays in no session of the pool", async () => {
  await using all = await pooled(2, { poolSize: 1 });
  const settings = async (): Promise<TextRow[]> => {
    const client = await connectClient(all.bouncers[0]!.url, "application");
    try {
      const { rows } = await client.query<TextRow>("select name, setting from pg_settings order by name");
      return rows;
    } finally {
      await client.end();
    }
  };
  const before = await settings();
  for (const command of ["sync", "status", "verify", "doctor", "pending", "migrate"]) {
    await all.run(command);
    expect(changes(before, await settings()), command).toEqual([]);
  }
});

function changes(before: TextRow[], after: TextRow[]): TextRow[] {
  return after.filter(({ name, setting }) => before.find((row) => row.name === name)?.setting !== setting);
}
