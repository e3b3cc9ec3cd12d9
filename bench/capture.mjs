// What capture costs: the same statement on a table without and with Tandem's triggers, in turn, on one embedded server.
// usage: npm run bench [-- ROWS [ROUNDS]]     prints one JSON line per measure: medians in milliseconds and their ratio

import { connect } from "../dist/db/connect.js";
import { startServer } from "../dist/embedded/server.js";
import { migrate } from "../dist/install/migrate.js";

const rows = Number(process.argv[2] ?? 200_000);
const rounds = Number(process.argv[3] ?? 5);
const table = (name) =>
  `create table public.${name} (id bigint primary key, name text, amount int, price numeric, note text, at timestamptz)`;
const fill = (name) =>
  `insert into public.${name} select i, 'name ' || i, i % 1000, i / 100.0, repeat('x', 60), now() from generate_series(1, ${rows}) i`;
const measures = {
  "one insert": { before: (name) => `truncate public.${name}`, statement: fill },
  "one update of all rows": {
    before: () => "select 1",
    statement: (name) => `update public.${name} set amount = amount + 1`,
  },
  "an update for each of a tenth of the rows": {
    before: () => "select 1",
    statement: (name) =>
      `do $$ begin for i in 1..${rows / 10} loop update public.${name} set amount = amount + 1 where id = i; end loop; end $$`,
  },
};

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];

async function timed(connection, sql) {
  const start = performance.now();
  await connection.exec(sql);
  return performance.now() - start;
}

const server = await startServer();
const url = server.url("postgres");
const connection = await connect({ name: "local", url }, "bench");
try {
  await connection.exec(`${table("bare")}; ${table("captured")}`);
  const sync = {
    intervalMs: 1000,
    batchRows: 100_000,
    maxSkewMs: 300_000,
    retentionMs: 604_800_000,
    seed: null,
    sequences: "past",
    keepConflictsMs: 2_419_200_000,
    verifyEveryMs: null,
  };
  await migrate({
    file: null,
    nodes: [{ name: "local", url }],
    links: [],
    tables: null,
    exclude: ["public.bare"],
    sync,
  });
  const [version] = await connection.query("show server_version");
  for (const [measure, { before, statement }] of Object.entries(measures)) {
    const times = { bare: [], captured: [] };
    for (let round = 0; round < rounds; round++) {
      for (const name of round % 2 ? ["captured", "bare"] : ["bare", "captured"]) {
        await connection.exec(before(name));
        await connection.exec("checkpoint");
        times[name].push(await timed(connection, statement(name)));
      }
    }
    const [bare, captured] = [median(times.bare), median(times.captured)];
    const result = {
      measure,
      rows,
      rounds,
      bareMs: Math.round(bare),
      capturedMs: Math.round(captured),
      ratio: Number((captured / bare).toFixed(2)),
    };
    console.log(JSON.stringify({ ...result, postgres: version.server_version, node: process.version }));
  }
} finally {
  await connection.close();
  await server.stop();
}
