import { describe, expect, test, vi } from "vitest";
import type { Clock } from "../../src/base/time.ts";
import { repair } from "../../src/sidecar/repair.ts";
import { runSidecar } from "../../src/sidecar/sidecar.ts";
import { status } from "../../src/sidecar/status.ts";
import { configOf } from "../support/config.ts";
import { type Cluster, cluster, sql } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { behindTriggers, prepare, sync } from "./verify-support.ts";

vi.setConfig({ testTimeout: 300_000 });

const item = "create table item (id bigint primary key, name text)";
const day = 86_400_000;

/** What the sidecar does once an hour: on this clock it is not done at all, or it would make the days pass. */
const hourly = 3_600_000;

/** A clock on which a day is over at once: long sleeps take a moment, and are counted. */
class QuickClock implements Clock {
  #ahead = 0;
  readonly slept: number[] = [];

  now(): number {
    return Date.now() + this.#ahead;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const quick = ms >= 60_000 && ms !== hourly;
    if (quick) {
      this.slept.push(ms);
      this.#ahead += ms;
    }
    await new Promise((resolve) => setTimeout(resolve, quick ? 5 : Math.min(ms, ms === hourly ? 300 : 50)));
    signal?.throwIfAborted();
  }
}

async function results(nodes: Cluster, node: string): Promise<string[]> {
  const rows = await nodes
    .node(node)
    .admin.query(
      "select identical || ' ' || rows || ' ' || diverged as line from tandem.verification order by verification_id",
    );
  return rows.map(({ line }) => line ?? "");
}

/** Waits until every node has kept so many results: each is written by itself, and a stop may come between. */
async function waitForResults(nodes: Cluster, count: number): Promise<void> {
  for (const node of ["local", "external"])
    await waitFor(async () => (await results(nodes, node)).length >= count, { deadlineMs: 120_000 });
}

describe("C11 comparing in the background", () => {
  test("the sidecar compares all nodes once a day, keeps what it saw on each, and status says it; a difference is a problem until it is mended", async () => {
    await using nodes = await cluster(2);
    const base = await prepare(nodes, item);
    const config = { ...base, sync: { ...base.sync, verifyEveryMs: day } };
    await sql(nodes.local.url, "insert into item select i, 'a' from generate_series(1, 10) i");
    await sync(config);
    expect((await status(config)).verified).toBe(null);
    const clock = new QuickClock();
    const end = new AbortController();
    const sidecar = runSidecar(config, { signal: end.signal, clock });
    try {
      await waitForResults(nodes, 2);
    } finally {
      end.abort();
      await sidecar;
    }
    const kept = await results(nodes, "local");
    expect(kept.slice(0, 2)).toEqual(["true 10 0", "true 10 0"]);
    const asOf = await nodes.local.admin.query("select as_of::text from tandem.verification order by 1");
    expect(Date.parse(asOf[1]?.as_of ?? "") - Date.parse(asOf[0]?.as_of ?? "")).toBeGreaterThanOrEqual(day);
    const well = await status(config);
    expect(well.well).toBe(true);
    expect(well.sentence).toMatch(
      /^All well: local and external have everything from each other; all nodes identical as of \d{4}-\d\d-\d\d \d\d:\d\d UTC\.$/,
    );
  });

  test("a sidecar that is started again goes on from the last result; what it finds stands in status until it is mended", async () => {
    await using nodes = await cluster(2);
    const base = await prepare(nodes, item);
    const config = { ...base, sync: { ...base.sync, verifyEveryMs: day } };
    await sql(nodes.local.url, "insert into item select i, 'a' from generate_series(1, 10) i");
    await sync(config);
    await nodes.external.admin.query(behindTriggers("item", "delete from item where id = 3"));
    const report = JSON.stringify({
      asOf: new Date(Date.now() - day / 2).toISOString(),
      finishedAt: new Date(Date.now() - day / 2).toISOString(),
      nodes: ["local", "external"],
      identical: true,
      tables: 1,
      rows: 10,
      differing: 0,
      diverged: 0,
    });
    await nodes.local.admin.query("select tandem.note_verification($1)", [report]);
    const clock = new QuickClock();
    const end = new AbortController();
    const sidecar = runSidecar(config, { signal: end.signal, clock });
    try {
      await waitForResults(nodes, 1);
    } finally {
      end.abort();
      await sidecar;
    }
    // it waited for the rest of the day, not for a first time nor for a whole day
    expect(clock.slept.some((ms) => ms > day / 3 && ms <= day / 2)).toBe(true);
    expect((await results(nodes, "external"))[0]).toBe("false 10 1");
    const found = await status(config);
    expect(found.well).toBe(false);
    expect(found.problems.map(({ kind }) => kind)).toEqual(["diverged"]);
    expect(found.sentence).toMatch(/^1 row of local and external differs, as of \d{4}-\d\d-\d\d \d\d:\d\d UTC\.$/);
    // the sidecar's clock was ahead by a day: what is seen later counts
    expect((await repair(config, { clock })).well).toBe(true);
    const mended = await status(config);
    expect(mended.problems).toEqual([]);
    expect(mended.sentence).toContain("all nodes identical as of");
  });

  test("off, or one node alone: nothing is compared", async () => {
    await using nodes = await cluster(2);
    const config = configOf(nodes);
    expect(config.sync.verifyEveryMs).toBe(null);
    await prepare(nodes, item);
    const clock = new QuickClock();
    const end = new AbortController();
    const sidecar = runSidecar(config, { signal: end.signal, clock });
    const leased = async () => (await nodes.external.admin.query("select from tandem.lease")).length > 0;
    await waitFor(leased, { deadlineMs: 60_000 });
    end.abort();
    await sidecar;
    expect(await results(nodes, "local")).toEqual([]);
  });
});
