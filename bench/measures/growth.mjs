// How the costs grow: with what waits, with tables, with nodes. The figure is the exponent between the two largest sizes: 1 is linear.

import { loadConfig } from "../../dist/config/load.js";
import { migrate } from "../../dist/install/migrate.js";
import { runSidecar } from "../../dist/sidecar/sidecar.js";
import { fill, table, tandemPair, until } from "../lib/pairs.mjs";
import { median, timed } from "../lib/rounds.mjs";

/** By how much more something costs where there is more of it: the slope between the last two points, both scales logarithmic. */
function grown(points) {
  const [before, last] = points.slice(-2);
  if (!last) return { points, missing: "at this scale there is one size only" };
  return { points, ratio: Math.log(last.ms / before.ms) / Math.log(last.size / before.size) };
}

/** The sizes at this scale, each once. */
const scaledSizes = (context, sizes) => [...new Set(sizes.map(context.scaled))];

async function backlogs(context) {
  const points = [];
  for (const size of scaledSizes(context, [1_000, 10_000, 100_000, 1_000_000, 5_000_000])) {
    const pair = await tandemPair(context.servers, context.name(`tandem_${size}`), table());
    const ms = [];
    // Large ones take long, and vary little.
    for (let round = 0; round <= Math.min(context.rounds, Math.ceil(5_000_000 / size)); round++) {
      await pair.local.query(fill(round * size + 1, (round + 1) * size));
      for (const client of [pair.local, pair.external]) await client.query("checkpoint");
      ms.push(await timed(() => pair.rounds(pair.links.there)));
      await pair.rounds(pair.links.back);
    }
    points.push({ size, ms: median(ms.length > 2 ? ms.slice(1) : ms) });
    await pair.close();
    await context.dropPair(context.name(`tandem_${size}`), pair);
  }
  return grown(points);
}

async function tables(context) {
  const points = [];
  const empty = [];
  for (const size of scaledSizes(context, [10, 100, 1_000])) {
    const schema = Array.from({ length: size }, (_, i) => table(`item_${i}`)).join(";");
    const pair = await tandemPair(context.servers, context.name(`tandem_${size}`), schema);
    const [none, one] = [[], []];
    for (let round = 0; round < 10 + 10 * context.rounds; round++) {
      none.push(await timed(() => pair.links.there.link.round()));
      await pair.local.query(`insert into public.item_${round % size} (id) values (${round})`);
      one.push(await timed(() => pair.links.there.link.round()));
    }
    points.push({ size, ms: median(one.slice(10)) });
    empty.push({ size, ms: median(none.slice(10)) });
    await pair.close();
    await context.dropPair(context.name(`tandem_${size}`), pair);
  }
  const both = [grown(points), grown(empty)];
  return { ...both.reduce((a, b) => (a.ratio >= b.ratio ? a : b)), points, empty };
}

const rowsPerRound = 1_000;

/** A mesh of databases on the two servers; the time until what one node writes is at all others. */
async function meshOf(context, count) {
  const nodes = [];
  for (let i = 0; i < count; i++) {
    const server = i % 2 === 0 ? "local" : "external";
    const name = context.name(`mesh_${count}_${i}`);
    await (await context.servers.client(server, "postgres")).query(`create database ${name}`);
    const client = await context.servers.client(server, name);
    await client.query(table());
    nodes.push({ server, name, client, node: `n${i}`, url: context.servers.url(server, name) });
  }
  const settings = { nodes: Object.fromEntries(nodes.map(({ node, url }) => [node, { url }])) };
  const config = await loadConfig({ cwd: "/nonexistent", env: {}, settings });
  await migrate(config);
  const end = new AbortController();
  const running = runSidecar(config, { signal: end.signal });
  const written = async (round) => {
    await nodes[0].client.query(fill(round * rowsPerRound + 1, (round + 1) * rowsPerRound));
    const last = `select exists (select from public.item where id = ${(round + 1) * rowsPerRound})`;
    // One is asked at a time, for asking takes of the same two cores: the last of all answers at the same moment either way.
    for (const { client } of nodes.slice(1)) await until(client, last);
  };
  const ms = [];
  // Many of them: links compare their tables once in some seconds, in which several rounds fit.
  for (let round = 0; round < 3 + 4 * context.rounds; round++) ms.push(await timed(() => written(round)));
  end.abort();
  await running;
  for (const { server, name, client } of nodes) {
    await client.end();
    await (await context.servers.client(server, "postgres")).query(`drop database ${name} with (force)`);
  }
  return median(ms.slice(3));
}

async function meshes(context) {
  const points = [];
  // Counted are those who receive.
  for (const count of [2, 3, 5, 8]) points.push({ size: count - 1, ms: await meshOf(context, count) });
  return grown(points);
}

const limit = { atMost: 1.1 };

export const measures = [
  {
    name: "growth-backlog",
    title: "catching up with 1,000 to 5,000,000 inserted rows: exponent of the growth (1 is linear)",
    limit,
    plot: { title: "Catching up with inserted rows", each: "microseconds a row", of: "rows that wait", factor: 1_000 },
    run: backlogs,
  },
  {
    name: "growth-tables",
    title: "a round with 10 to 1,000 tracked tables: exponent of the growth (1 is linear)",
    limit,
    plot: { title: "A round that carries one row", each: "microseconds a table", of: "tracked tables", factor: 1_000 },
    run: tables,
  },
  {
    name: "growth-nodes",
    title: "1,000 rows from one node to 1 to 7 others: exponent of the growth (1 is linear)",
    limit,
    plot: { title: "1,000 rows to all other nodes", each: "milliseconds a node", of: "other nodes", factor: 1 },
    run: meshes,
  },
];
