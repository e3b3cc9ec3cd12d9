import { setTimeout as sleep } from "node:timers/promises";
import { startApplier } from "../lib/applier.mjs";
import { fill, table, tandemPair, until } from "../lib/pairs.mjs";
import { median } from "../lib/rounds.mjs";

/** The most resident memory of one `tandem sync` that carries a backlog. */
async function peak(pair, sql, reached) {
  await pair.local.query("set synchronous_commit = off");
  await pair.local.query(sql);
  const applier = startApplier(["sync"], pair.env);
  let most = 0;
  let over = false;
  const end = () => {
    over = true;
  };
  applier.ended.then(end, end);
  while (!over) {
    most = Math.max(most, applier.peakMb() ?? 0);
    await sleep(20);
  }
  await applier.ended;
  await until(pair.external, reached);
  return most;
}

async function memory(context, rows, backlog, first = "") {
  const pair = await tandemPair(context.servers, context.name("tandem"), `${table()}; ${first}`);
  await pair.close();
  const mb = [];
  for (let round = 0; round < Math.min(context.rounds, 3); round++) {
    const { sql, reached } = backlog(round);
    mb.push(await peak(pair, sql, reached));
  }
  return { rows, mb, figures: { tandem: median(mb) } };
}

const inserted = (rows) => (round) => {
  const last = (round + 1) * rows;
  return { sql: fill(last - rows + 1, last), reached: `select exists (select from public.item where id = ${last})` };
};

export const measures = [
  {
    name: "memory-insert",
    title: "memory of the applier, one insert of 500,000 rows, MB",
    limit: { atMost: 150 },
    run: (context) => memory(context, context.scaled(500_000), inserted(context.scaled(500_000))),
  },
  {
    name: "memory-transactions",
    title: "memory of the applier, 100,000 single-row transactions, MB",
    limit: { atMost: 150 },
    run: (context) => {
      const rows = context.scaled(100_000);
      const backlog = (round) => ({
        sql: `do $$ begin for i in 1..${rows} loop update public.item set amount = ${5_000 + round} where id = i; commit; end loop; end $$`,
        reached: `select exists (select from public.item where id = ${rows} and amount = ${5_000 + round})`,
      });
      return memory(context, rows, backlog, fill(1, rows));
    },
  },
  {
    name: "memory-large",
    title: "memory of the applier, one transaction of 5 million rows, MB",
    limit: { atMost: 150 },
    run: (context) => {
      const rows = context.scaled(5_000_000);
      return memory({ ...context, rounds: 1 }, rows, inserted(rows));
    },
  },
];
