// Measures Tandem beside others, on the same servers, in the same run; peers take turns and ratios count.
// usage: npm run bench [-- NAME ...] [--scale 0.1] [--rounds 5] [--table]
// A NAME is a measure's or the beginning of several; without one, all. Each result is a line of JSON on stdout and in
// bench/results/; --table then puts the newest result of each measure into the README, and what grows into docs/performance.md (alone: without
// measuring).
import { appendFileSync, mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { writePlots } from "./lib/plots.mjs";
import { kept, machine, newest, writeReadme } from "./lib/results.mjs";
import { rounded } from "./lib/rounds.mjs";
import { startServers } from "./lib/servers.mjs";
import { measures as backup } from "./measures/backup.mjs";
import { measures as bucardo } from "./measures/bucardo.mjs";
import { measures as capture } from "./measures/capture.mjs";
import { measures as catchUp } from "./measures/catch-up.mjs";
import { measures as firstCopy } from "./measures/first-copy.mjs";
import { measures as flood } from "./measures/flood.mjs";
import { measures as growth } from "./measures/growth.mjs";
import { measures as heldUp } from "./measures/held-up.mjs";
import { measures as idle } from "./measures/idle.mjs";
import { measures as latency } from "./measures/latency.mjs";
import { measures as memory } from "./measures/memory.mjs";
import { measures as twoWay } from "./measures/two-way.mjs";
import { measures as verify } from "./measures/verify.mjs";

const all = [
  ...capture,
  ...catchUp,
  ...latency,
  ...twoWay,
  ...firstCopy,
  ...memory,
  ...heldUp,
  ...idle,
  ...growth,
  ...verify,
  ...backup,
  ...bucardo,
  ...flood,
];
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: "string", default: "1" },
    rounds: { type: "string", default: "5" },
    table: { type: "boolean", default: false },
  },
});
const [scale, rounds] = [Number(values.scale), Number(values.rounds)];
const unknown = positionals.find((name) => !all.some((measure) => measure.name.startsWith(name)));
if (unknown || !(scale > 0) || !(rounds >= 1)) {
  console.error(
    `usage: npm run bench -- [NAME ...] [--scale N] [--rounds N] [--table]\nmeasures: ${all.map(({ name }) => name).join(", ")}`,
  );
  process.exit(2);
}
const chosen = all.filter(
  ({ name }) => positionals.length === 0 || positionals.some((given) => name.startsWith(given)),
);

/** Servers of its own for each measure: what one leaves behind is not the next one's affair. */
async function measured({ name, title, limit, run, start, missing = null }) {
  const at = new Date().toISOString();
  if (missing) return { name, title, at, scale, rounds, machine: machine(), limit, missing, kept: null };
  const servers = await startServers(start);
  try {
    const client = await servers.client("local", "postgres");
    const { rows } = await client.query("show server_version");
    const result = await run({
      servers,
      scale,
      rounds,
      scaled: (count) => Math.max(10, Math.round(count * scale)),
      name: (role) => `bench_${role}`,
      async dropPair(database, pair) {
        for (const node of ["local", "external"]) {
          await pair[node].end();
          await (await servers.client(node, "postgres")).query(`drop database ${database} with (force)`);
        }
      },
    });
    const load = { scale, rounds, postgres: rows[0].server_version.split(" ")[0], machine: machine() };
    return { name, title, at, ...load, limit, ...result, kept: kept(limit, result) };
  } finally {
    await servers.end();
  }
}

const short = (_key, value) => (typeof value === "number" && !Number.isInteger(value) ? rounded(value) : value);
let failed = false;
if (!values.table || positionals.length > 0) {
  const file = new URL(
    `./results/${new Date().toISOString().replaceAll(":", "-").slice(0, 19)}Z.jsonl`,
    import.meta.url,
  );
  mkdirSync(new URL("./", file), { recursive: true });
  for (const measure of chosen) {
    try {
      const line = JSON.stringify(await measured(measure), short);
      console.log(line);
      appendFileSync(file, `${line}\n`);
    } catch (error) {
      // The others are measured all the same.
      failed = true;
      console.error(`${measure.name}: ${error.stack ?? error}`);
    }
  }
}
if (values.table || (chosen.length === all.length && !failed)) {
  writeReadme(newest(all));
  writePlots(all, newest(all));
}
process.exitCode = failed ? 1 : 0;
