// A backlog is made while nothing works on it; then Tandem's link, or native replication, catches up.
import { fill, nativePair, table, tandemPair } from "../lib/pairs.mjs";
import { inTurns, median } from "../lib/rounds.mjs";

/** Single-row transactions made within the server, so that making them takes little. */
const transactions = (count, id, value) =>
  `do $$ begin for i in 1..${count} loop update public.item set amount = ${value} where id = ${id}; commit; end loop; end $$`;

/** What Tandem is measured beside, by name: each opens a pair of databases. */
const usual = { native: nativePair, tandem: tandemPair };

/**
 * `backlog(round)` returns {"sql" (to run in the source), "reached" (a query that is true once the target has it)};
 * returns milliseconds by peer.
 */
export async function catchUp(context, { rows, first = "", backlog }, open = usual) {
  const peers = {};
  for (const [name, openPair] of Object.entries(open))
    peers[name] = await openPair(context.servers, context.name(name), `${table()}; ${first}`);
  const one = (pair) => async (round) => {
    const { sql, reached } = backlog(round);
    await pair.pause?.();
    await pair.local.query("set synchronous_commit = off");
    await pair.local.query(sql);
    for (const client of [pair.local, pair.external]) await client.query("vacuum analyze public.item");
    for (const client of [pair.local, pair.external]) await client.query("checkpoint");
    return await pair.catchUp(reached);
  };
  // The first round makes staging tables and fills caches: it is not counted.
  for (const pair of Object.values(peers)) await one(pair)(-1);
  const turns = Object.entries(peers).map(([name, pair]) => [name, one(pair)]);
  const ms = await inTurns(context.rounds, Object.fromEntries(turns));
  for (const pair of Object.values(peers)) await pair.close();
  return { rows, ms };
}

/** One statement that inserts so many rows. */
export function inserted(rows) {
  const backlog = (round) => {
    const last = (round + 2) * rows;
    return {
      sql: fill(last - rows + 1, last),
      reached: `select exists (select from public.item where id = ${last})`,
    };
  };
  return { rows, backlog };
}

/** So many transactions, each of which updates one row, and each another one. */
export function updatedOneByOne(rows) {
  const backlog = (round) => ({
    sql: transactions(rows, "i", 5_000 + round),
    reached: `select exists (select from public.item where id = ${rows} and amount = ${5_000 + round})`,
  });
  return { rows, first: fill(1, rows), backlog };
}

/** So many transactions, all of which update one row. */
export function updatedAgain(rows) {
  const backlog = (round) => ({
    sql: transactions(rows, 1, `${round + 2} * 1000000 + i`),
    reached: `select exists (select from public.item where id = 1 and amount = ${(round + 2) * 1_000_000 + rows})`,
  });
  return { rows, first: fill(1, 1_000), backlog };
}

async function overNative(context, work) {
  const { rows, ms } = await catchUp(context, work);
  return { rows, ms, ratio: median(ms.tandem) / median(ms.native) };
}

export const measures = [
  {
    name: "catch-up-insert",
    title: "catch-up of one insert of 500,000 rows, time over native replication",
    limit: { atMost: 1 },
    run: (context) => overNative(context, inserted(context.scaled(500_000))),
  },
  {
    name: "catch-up-transactions",
    title: "catch-up of 100,000 single-row update transactions, time over native replication",
    limit: { atMost: 0.4 },
    run: (context) => overNative(context, updatedOneByOne(context.scaled(100_000))),
  },
  {
    name: "catch-up-hot-row",
    title: "catch-up of one row updated 100,000 times, time over native replication",
    limit: { atMost: 0.1 },
    run: (context) => overNative(context, updatedAgain(context.scaled(100_000))),
  },
];
