// How long the application of the target waits while a large transaction of the source is applied to the very rows it updates.
import { setImmediate as turn } from "node:timers/promises";
import { barePair, fill, nativePair, table, tandemPair } from "../lib/pairs.mjs";
import { inTurns, median, timed } from "../lib/rounds.mjs";

/** Updates rows one by one, each in a transaction of its own, while `action` goes on; the longest that one took, in milliseconds. */
async function longestDuring(client, rows, action) {
  const doing = { over: false };
  const acting = action().finally(() => {
    doing.over = true;
  });
  let longest = 0;
  // Far apart from each other, each of them before any comes again: 7,919 is a prime.
  for (let i = 1; !doing.over; i = (i + 7_919) % rows) {
    const ms = await timed(() => client.query("update public.item set name = 'held' where id = $1", [i + 1]));
    longest = Math.max(longest, ms);
    await turn();
  }
  await acting;
  return longest;
}

async function run(context, rows) {
  const first = fill(1, rows);
  const open = { quiet: barePair, native: nativePair, tandem: tandemPair };
  const peers = {};
  for (const [name, openPair] of Object.entries(open)) {
    const pair = await openPair(context.servers, context.name(name), table());
    await pair.local.query(first);
    if (name === "quiet") await pair.external.query(first);
    else await pair.catchUp(`select exists (select from public.item where id = ${rows})`);
    const application = await context.servers.client("external", context.name(name));
    peers[name] = async (round) => {
      await pair.pause?.();
      await pair.local.query(`update public.item set amount = ${5_000 + round}`);
      // Rows that the application writes meanwhile may stay as they are; any other tells that the transaction is there.
      const last = `select exists (select from public.item where amount = ${5_000 + round})`;
      // One way only: the way back has work for as long as the application writes.
      const actions = {
        quiet: () => pair.external.query("select pg_sleep(1)"),
        native: () => pair.catchUp(last),
        tandem: () => pair.rounds(pair.links.there),
      };
      const longest = await longestDuring(application, rows, actions[name]);
      await pair.rest?.();
      return longest;
    };
    peers[name].close = () => pair.close?.();
  }
  for (const peer of Object.values(peers)) await peer(-1);
  const ms = await inTurns(context.rounds, peers);
  for (const peer of Object.values(peers)) await peer.close();
  return { rows, ms, figures: Object.fromEntries(Object.entries(ms).map(([name, all]) => [name, median(all)])) };
}

export const measures = [1_000, 100_000].map((rows) => ({
  name: `held-up-${rows}`,
  title: `the application's longest wait while one transaction's ${rows.toLocaleString("en")} updates of its rows are applied, ms`,
  limit: {},
  run: (context) => run(context, context.scaled(rows)),
}));
