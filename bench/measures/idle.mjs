import { setTimeout as sleep } from "node:timers/promises";
import { startApplier } from "../lib/applier.mjs";
import { table, tandemPair } from "../lib/pairs.mjs";
import { median, timed } from "../lib/rounds.mjs";

/** Transactions that ended in a database so far; statistics are sent with some delay. */
async function transactions({ local, external }) {
  await sleep(1_500);
  let sum = 0;
  for (const client of [local, external]) {
    const { rows } = await client.query(
      "select xact_commit + xact_rollback as n from pg_stat_database where datname = current_database()",
    );
    sum += Number(rows[0].n);
  }
  return sum;
}

export const measures = [
  {
    name: "idle",
    title: "idle for a minute, an interval of 1 s: transactions a second in both databases, CPU of the applier",
    limit: {},
    async run(context) {
      const seconds = Math.max(10, context.scaled(60));
      const pair = await tandemPair(context.servers, context.name("tandem"), table());
      await pair.close();
      const applier = startApplier(["run"], pair.env);
      await sleep(8_000);
      const [before, cpu] = [await transactions(pair), applier.cpuSeconds()];
      await sleep(seconds * 1_000);
      const perSecond = ((await transactions(pair)) - before - 4) / (seconds + 1.5);
      const percent = ((applier.cpuSeconds() - cpu) / (seconds + 1.5)) * 100;
      await applier.stop();
      return { figures: { "transactions/s": perSecond, "CPU %": percent } };
    },
  },
  {
    name: "empty-round",
    title: "an empty round with 500 tracked tables, ms",
    limit: { atMost: 15 },
    async run(context) {
      const count = context.scaled(500);
      const schema = Array.from({ length: count }, (_, i) => table(`item_${i}`)).join(";");
      const pair = await tandemPair(context.servers, context.name("tandem"), schema);
      const ms = [];
      // Every few seconds a round compares the catalogs too: a median does not see those, `slowest` does.
      for (let round = 0; round < 100; round++) ms.push(await timed(() => pair.links.there.link.round()));
      await pair.close();
      return { tables: count, figures: { tandem: median(ms), slowest: Math.max(...ms) } };
    },
  },
];
