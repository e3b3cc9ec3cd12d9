import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { testMajor } from "../support/pg.ts";
import { seeded } from "../support/seed.ts";
import { Endurance } from "./endure.ts";
import { type Episode, nextEpisode } from "./episodes.ts";
import { type EndureReport, grown, medians } from "./report.ts";

// npm run test:endure -- --minutes 60; with 0 minutes, three episodes
const minutes = Number(process.env.ENDURE_MINUTES ?? 0);
const seed = Number(process.env.SEED ?? 1);
const minute = 60_000;
// Longer than the longest pause of a link that fails: what heals by itself is not told.
const pace = { linkDownMs: 20_000, parkedMs: 10_000, lagMs: 90_000, scrapeMs: minutes > 0 ? 3_000 : 500 };
const short: readonly Episode[] = [
  { kind: "restart", nodes: ["local", "external"], how: "fast" },
  { kind: "outage", nodes: ["external"], how: "killed", moreMs: 0 },
  { kind: "restart", nodes: ["local"], how: "immediate" },
];

test("C1 C2 C3 C11 tandem run with writers while servers are restarted: rows, metrics, alerts and memory are as they must be", {
  timeout: (minutes + 10) * minute,
}, async () => {
  const random = seeded(seed);
  await using endurance = await Endurance.open(pace, random.fork());
  const begun = Date.now();
  if (minutes === 0) for (const episode of short) await endurance.pass(episode);
  while (endurance.going && Date.now() - begun < minutes * minute) {
    await sleep(random.int(5_000, 40_000));
    await endurance.pass(nextEpisode(random));
  }
  const rows = await endurance.rest();
  const { watch, writers } = endurance;
  const grownMb = grown(watch.memory);
  const report: EndureReport = {
    seed,
    minutes: Math.round((Date.now() - begun) / 6_000) / 10,
    server: String(testMajor()),
    transactions: writers.map(({ transactions }) => transactions),
    reconnects: writers.reduce((sum, one) => sum + one.reconnects, 0),
    rows,
    episodes: endurance.episodes,
    scrapes: watch.scrapes,
    slowestMs: Math.round(watch.slowestMs),
    told: watch.told,
    memory: medians(watch.memory, 60).map((mb) => Math.round(mb * 10) / 10),
    grownMb: Math.round(grownMb * 10) / 10,
    wrong: endurance.wrong,
  };
  if (process.env.ENDURE_REPORT) await writeFile(process.env.ENDURE_REPORT, JSON.stringify(report));
  expect(endurance.wrong).toEqual([]);
  expect(Math.min(...report.transactions)).toBeGreaterThan(0);
  // Minutes are too few to tell a leak from warming up.
  if (minutes >= 30) expect(grownMb).toBeLessThan(10);
});
