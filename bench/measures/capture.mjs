// What capture costs the application: the same statements without and with Tandem's triggers, on one server.
import { barePair, fill, table, tandemPair } from "../lib/pairs.mjs";
import { pgbench, pgbenchMissing } from "../lib/pgbench.mjs";
import { inTurns, median, timed } from "../lib/rounds.mjs";

async function both(context) {
  const bare = await barePair(context.servers, context.name("bare"), table());
  const captured = await tandemPair(context.servers, context.name("captured"), table());
  const { rows } = await captured.local.query("select log_name from tandem.tracked_table");
  return { bare, captured, log: `tandem_log."${rows[0].log_name}"` };
}

/** Times a statement on either; `before` runs in both first, untimed, with a checkpoint after it. */
async function statement(context, { rows, before, run }) {
  const { bare, captured, log } = await both(context);
  await before.once?.(bare.local, captured.local);
  const one =
    ({ local }, isCaptured) =>
    async () => {
      await before.each?.(local, isCaptured ? log : null);
      await local.query("checkpoint");
      return await timed(() => local.query(run));
    };
  const ms = await inTurns(context.rounds, { bare: one(bare, false), captured: one(captured, true) });
  await captured.close();
  return { rows, ms, ratio: median(ms.captured) / median(ms.bare) };
}

async function rate(context, clients) {
  if (pgbenchMissing) return { missing: pgbenchMissing };
  const rows = context.scaled(100_000);
  const { bare, captured } = await both(context);
  for (const { local } of [bare, captured]) {
    await local.query(fill(1, rows));
    await local.query("vacuum analyze");
  }
  const script = `\\set id random(1, ${rows})\nupdate public.item set amount = amount + 1 where id = :id;\n`;
  const seconds = Math.max(2, Math.round(20 * context.scale));
  const one = (pair) => async () => {
    await pair.local.query("checkpoint");
    return await pgbench(pair.url("local"), script, { clients, seconds });
  };
  const tps = await inTurns(context.rounds, { bare: one(bare), captured: one(captured) });
  await captured.close();
  return { rows, seconds, tps, ratio: median(tps.captured) / median(tps.bare) };
}

export const measures = [
  {
    name: "capture-insert",
    title: "capture: one insert of 500,000 rows, time over no triggers",
    limit: { atMost: 1.6 },
    run: (context) => {
      const rows = context.scaled(500_000);
      const each = (client, log) => client.query(`truncate public.item${log ? `; truncate ${log}` : ""}`);
      return statement(context, { rows, before: { each }, run: fill(1, rows) });
    },
  },
  {
    name: "capture-update",
    title: "capture: one update of 200,000 rows, time over no triggers",
    limit: { atMost: 1.4 },
    run: (context) => {
      const rows = context.scaled(200_000);
      const once = async (...clients) => {
        for (const client of clients) await client.query(fill(1, rows));
      };
      const each = (client) => client.query("vacuum analyze public.item");
      return statement(context, { rows, before: { once, each }, run: "update public.item set amount = amount + 1" });
    },
  },
  {
    name: "capture-rate-4",
    title: "capture: single-row updates, 4 clients, rate over no triggers",
    limit: { atLeast: 0.85 },
    run: (context) => rate(context, 4),
  },
  {
    name: "capture-rate-16",
    title: "capture: single-row updates, 16 clients, rate over no triggers",
    limit: { atLeast: 0.78 },
    run: (context) => rate(context, 16),
  },
];
