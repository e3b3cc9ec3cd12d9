// The same job by triggers, as Bucardo does it: Tandem, Bucardo and native replication on the same servers, of Debian's programs.
import { bucardoMissing, bucardoPair } from "../lib/bucardo.mjs";
import { startDebianServer } from "../lib/debian-servers.mjs";
import { barePair, fill, nativePair, table, tandemPair } from "../lib/pairs.mjs";
import { inTurns, median, timed } from "../lib/rounds.mjs";
import { catchUp, inserted, updatedAgain, updatedOneByOne } from "./catch-up.mjs";

const open = { native: nativePair, tandem: tandemPair, bucardo: bucardoPair };

/** Both as multiples of what they are compared with. */
function over(ms, peer) {
  const [tandem, bucardo] = [ms.tandem, ms.bucardo].map((times) => median(times) / median(ms[peer]));
  return { tandem, bucardo };
}

async function caughtUp(context, work) {
  const { rows, ms } = await catchUp(context, work, open);
  return { rows, ms, figures: over(ms, "native") };
}

async function captured(context) {
  const rows = context.scaled(500_000);
  const pairs = {};
  for (const [name, openPair] of Object.entries({ bare: barePair, tandem: tandemPair, bucardo: bucardoPair }))
    pairs[name] = await openPair(context.servers, context.name(name), table());
  const one =
    ({ local }) =>
    async () => {
      await local.query("delete from public.item");
      await local.query("vacuum");
      await local.query("checkpoint");
      return await timed(() => local.query(fill(1, rows)));
    };
  const turns = Object.entries(pairs).map(([name, pair]) => [name, one(pair)]);
  const ms = await inTurns(context.rounds, Object.fromEntries(turns));
  for (const pair of Object.values(pairs)) await pair.close?.();
  return { rows, ms, figures: over(ms, "bare") };
}

/** Where Bucardo is not installed, no server is started for it. */
const beside = (name, title, run) => ({
  name: `bucardo-${name}`,
  title: `beside Bucardo: ${title}`,
  limit: {},
  missing: bucardoMissing,
  start: startDebianServer,
  run,
});

export const measures = [
  beside("capture", "capture of one insert of 500,000 rows, time over no triggers", captured),
  beside("insert", "catch-up of one insert of 500,000 rows, time over native replication", (context) =>
    caughtUp(context, inserted(context.scaled(500_000))),
  ),
  beside(
    "transactions",
    "catch-up of 100,000 single-row update transactions, time over native replication",
    (context) => caughtUp(context, updatedOneByOne(context.scaled(100_000))),
  ),
  beside("hot-row", "catch-up of one row updated 100,000 times, time over native replication", (context) =>
    caughtUp(context, updatedAgain(context.scaled(100_000))),
  ),
];
