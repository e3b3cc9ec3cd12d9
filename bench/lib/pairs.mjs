// The same schema in two databases, kept the same by one peer or another: local → external.
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../dist/base/time.js";
import { loadConfig } from "../../dist/config/load.js";
import { migrate } from "../../dist/install/migrate.js";
import { openLink } from "../../dist/sidecar/open-link.js";
import { timed } from "./rounds.mjs";

/** The table of all measures. */
export const table = (name = "item") =>
  `create table public.${name} (id bigint primary key, name text, amount int, price numeric, note text, at timestamptz)`;

/** Rows `first` to `last` of that table. */
export const fill = (first, last, name = "item") =>
  `insert into public.${name} select i, 'name ' || i, i % 1000, i / 100.0, repeat('x', 60), timestamptz '2026-01-01' from generate_series(${first}, ${last}) i`;

const deadlineMs = 1_800_000;

/** Waits until a query's only value is true. */
export async function until(client, query, pauseMs = 5) {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const { rows } = await client.query({ text: query, rowMode: "array" });
    if (rows[0][0] === true) return;
    if (performance.now() > end) throw new Error(`not within ${deadlineMs / 60_000} minutes: ${query}`);
    await sleep(pauseMs);
  }
}

/** The schema in a database of that name on either server. */
export async function databases(servers, name, schema) {
  const clients = {};
  for (const node of ["local", "external"]) {
    await (await servers.client(node, "postgres")).query(`create database ${name}`);
    clients[node] = await servers.client(node, name);
    await clients[node].query(schema);
  }
  return clients;
}

/** Nothing keeps the two the same. */
export async function barePair(servers, name, schema) {
  const { local, external } = await databases(servers, name, schema);
  return { local, external, url: (node) => servers.url(node, name) };
}

/** PostgreSQL's logical replication, with apply held back until `catchUp` lets it go. */
export async function nativePair(servers, name, schema) {
  const { local, external } = await databases(servers, name, schema);
  await local.query(`create publication bench for all tables`);
  // Within one cluster a slot made by the subscription itself would wait for this very transaction; these are two.
  await external.query(
    `create subscription ${name} connection '${servers.url("local", name)}' publication bench with (copy_data = false)`,
  );
  const pair = {
    local,
    external,
    pause: () => external.query(`alter subscription ${name} disable`),
    resume: () => external.query(`alter subscription ${name} enable`),
    /** Milliseconds from letting it go until `reached` is true in the target. */
    catchUp: (reached) =>
      timed(async () => {
        await pair.resume();
        await until(external, reached);
      }),
    close: () => external.query(`drop subscription ${name}`),
  };
  await until(external, `select not exists (select from pg_subscription_rel where srsubstate <> 'r')`);
  return pair;
}

/** Tandem, both links configured; the caller decides when they work. */
export async function tandemPair(servers, name, schema, { first = "", copy = true } = {}) {
  const { local, external } = await databases(servers, name, schema);
  if (first) await local.query(first);
  const env = { DATABASE_URL: servers.url("local", name), EXTERNAL_DB_URL: servers.url("external", name) };
  const config = await loadConfig({ cwd: "/nonexistent", env });
  await migrate(config);
  const open = async (source, target) =>
    await openLink(config, { source, target }, { clock: systemClock, batchRows: config.sync.batchRows });
  const links = { there: await open("local", "external"), back: await open("external", "local") };
  // A round that reached nothing waits for something, such as what was committed to be durable.
  const rounds = async ({ link }) => {
    const end = performance.now() + deadlineMs;
    for (;;) {
      const { worked, reached } = await link.round();
      if (!worked && reached) return;
      if (performance.now() > end) throw new Error("a link does not come to rest");
      if (!worked) await sleep(5);
    }
  };
  const pair = {
    local,
    external,
    config,
    url: (node) => servers.url(node, name),
    env,
    links,
    rounds,
    /** Both links, until nothing waits. */
    async rest() {
      await rounds(links.there);
      await rounds(links.back);
    },
    /** Milliseconds until the link has carried all, `reached` is true in the target, and the source knows it. */
    async catchUp(reached) {
      const ms = await timed(() => rounds(links.there));
      await until(external, reached);
      await rounds(links.back);
      return ms;
    },
    async close() {
      await links.there[Symbol.asyncDispose]();
      await links.back[Symbol.asyncDispose]();
    },
  };
  if (copy) {
    await pair.rest();
    if (links.there.link.report.undecided > 0) throw new Error("the rows of the two differ, and nothing decides");
  }
  return pair;
}
