// From the commit's answer in the source until another session of the target sees the row.
import { setTimeout as sleep } from "node:timers/promises";
import { startApplier } from "../lib/applier.mjs";
import { nativePair, table, tandemPair, until } from "../lib/pairs.mjs";
import { inTurns, median, percentile } from "../lib/rounds.mjs";

/** Latencies in milliseconds of rows inserted one by one at a fixed rate; the target is looked at once a millisecond. */
export async function latencies({ local, external }, first, count, perSecond = 100) {
  const committed = [];
  const found = [];
  let seen = first - 1;
  const start = performance.now();
  const writing = (async () => {
    for (let i = 0; i < count; i++) {
      const due = start + (i * 1_000) / perSecond;
      if (due > performance.now()) await sleep(due - performance.now());
      await local.query("insert into public.item values ($1, 'name', 1, 1.5, repeat('x', 60), now())", [first + i]);
      committed.push(performance.now());
    }
  })();
  while (found.length < count) {
    // Up to what was committed before the query began, else a row could be seen before its commit has been told.
    if (committed.length > found.length) {
      const { rows } = await external.query("select coalesce(max(id), 0) as id from public.item");
      const now = performance.now();
      for (; seen < Math.min(Number(rows[0].id), first + committed.length - 1); seen++) {
        found.push(now - committed[seen + 1 - first]);
      }
    }
    await sleep(1);
    if (performance.now() - start > 600_000) throw new Error("rows do not arrive");
  }
  await writing;
  return found;
}

async function run(context) {
  const count = Math.max(200, context.scaled(2_000));
  const native = await nativePair(context.servers, context.name("native"), table());
  const tandem = await tandemPair(context.servers, context.name("tandem"), table());
  await tandem.close();
  await native.pause();
  let next = 1;
  const one = async (pair) => {
    const first = next;
    next += count + 1;
    // One row for the way: the peer is awake and its caches are warm.
    await pair.local.query("insert into public.item (id) values ($1)", [first]);
    await until(pair.external, `select exists (select from public.item where id = ${first})`);
    const found = await latencies(pair, first + 1, count);
    return { p50: percentile(found, 0.5), p99: percentile(found, 0.99) };
  };
  const found = await inTurns(context.rounds, {
    native: async () => {
      await native.resume();
      const result = await one(native);
      await native.pause();
      return result;
    },
    tandem: async () => {
      const applier = startApplier(["run"], tandem.env);
      const result = await Promise.race([one(tandem), applier.ended.then(() => Promise.reject(new Error("it ended")))]);
      await applier.stop();
      return result;
    },
  });
  await native.close();
  const of = (peer) => ({
    p50: median(found[peer].map(({ p50 }) => p50)),
    p99: median(found[peer].map(({ p99 }) => p99)),
  });
  return { rows: count, found, figures: { native: of("native"), tandem: of("tandem") } };
}

export const measures = [
  {
    name: "latency",
    title: "latency from commit to visible at 100 transactions a second, p50 / p99 in ms",
    limit: { p50: 10, p99: 50 },
    run,
  },
];
