// People write to both at once, at half the rate that the servers reach without Tandem: does the backlog grow?
import { setTimeout as sleep } from "node:timers/promises";
import { startApplier } from "../lib/applier.mjs";
import { barePair, fill, table, tandemPair } from "../lib/pairs.mjs";
import { pgbench, pgbenchMissing } from "../lib/pgbench.mjs";

const clients = 4;

/** Transactions of each side that the other has not acknowledged. */
async function backlog(pair) {
  let sum = 0;
  for (const client of [pair.local, pair.external]) {
    const { rows } = await client.query(`select coalesce(max(
      pg_snapshot_xmax(pg_current_snapshot())::text::bigint - pg_snapshot_xmax(o.acknowledged)::text::bigint), 0) as n
      from tandem.outbound o`);
    sum += Number(rows[0].n);
  }
  return sum;
}

async function run(context) {
  if (pgbenchMissing) return { missing: pgbenchMissing };
  const rows = context.scaled(100_000);
  const seconds = Math.max(10, context.scaled(60));
  const script = (odd) =>
    `\\set id 2 * random(1, ${rows / 2}) - ${odd}\nupdate public.item set amount = amount + 1 where id = :id;\n`;
  const load = (pair, rate) =>
    Promise.all([
      pgbench(pair.url("local"), script(0), { clients, seconds, rate }),
      pgbench(pair.url("external"), script(1), { clients, seconds, rate }),
    ]);
  const bare = await barePair(context.servers, context.name("bare"), `${table()}; ${fill(1, rows)}; analyze`);
  const most = Math.min(...(await load(bare, null)));
  const pair = await tandemPair(context.servers, context.name("tandem"), `${table()}; ${fill(1, rows)}; analyze`);
  await pair.close();
  const applier = startApplier(["run"], pair.env);
  await sleep(2_000);
  const samples = [];
  let over = false;
  const loading = load(pair, Math.max(1, Math.floor(most / 2))).finally(() => {
    over = true;
  });
  while (!over) {
    await sleep(500);
    samples.push(await backlog(pair));
  }
  const reached = await loading;
  await applier.stop();
  const third = Math.floor(samples.length / 3);
  const mean = (list) => list.reduce((sum, n) => sum + n, 0) / Math.max(1, list.length);
  const middle = mean(samples.slice(third, 2 * third));
  const last = mean(samples.slice(2 * third));
  return {
    rows,
    seconds,
    samples,
    figures: {
      "tps without Tandem": most,
      "tps kept up": Math.min(...reached),
      "backlog, middle third": middle,
      "last third": last,
    },
    ratio: last / Math.max(1, middle),
  };
}

export const measures = [
  {
    name: "two-way",
    title: "sustained two-way load at half the servers' rate: backlog in the last third over the middle third",
    limit: { atMost: 1.2 },
    run,
  },
];
