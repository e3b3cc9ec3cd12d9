import { setTimeout as sleep } from "node:timers/promises";
import { TandemError } from "../base/errors.ts";
import { migrate } from "../install/migrate.ts";
import { setPaused } from "../sidecar/pause.ts";
import { verify } from "../verify/verify.ts";
import { directionOf } from "./live-table.ts";
import { type DemoNodes, nodeNames } from "./nodes.ts";
import { countShop, createShop, fillShop, shopTables } from "./shop.ts";
import { isAtRest, type Observer } from "./traffic.ts";

/** Prints a line. */
export type Say = (text: string) => void;

/** Everything the stages work with. */
export interface Scene {
  readonly nodes: DemoNodes;
  readonly observer: Observer;
  readonly say: Say;
}

const copyDeadlineMs = 120_000;
const restDeadlineMs = 120_000;

/** The sample shop: its tables on both sides, its rows in local alone; then Tandem in both. */
export async function prepare({ nodes, observer, say }: Scene, signal: AbortSignal): Promise<void> {
  for (const name of nodeNames) await createShop(observer.at(name));
  await fillShop(observer.at("local"));
  const rows = await countShop(observer.at("local"));
  say(
    `local holds a sample shop: ${number(rows)} rows in ${shopTables.length} tables. external has the same tables, empty.`,
  );
  const { problems } = await migrate(nodes.config, { signal });
  if (problems) throw new TandemError("internal", "a table of the sample shop could not be tracked");
  say("tandem migrate: Tandem is installed in both, and what is written to their tables is noted from now on.");
}

/** Waits until external has all that local had. */
export async function awaitFirstCopy({ observer, say }: Scene, signal: AbortSignal): Promise<void> {
  const start = performance.now();
  for (;;) {
    signal.throwIfAborted();
    const { done, errors } = await observer.firstCopies();
    if (done) break;
    if (performance.now() - start > copyDeadlineMs) {
      const why = errors.join("; ") || "it is still under way";
      throw new TandemError("timed_out", `the first copy was not done after ${seconds(start)} s: ${why}`);
    }
    await sleep(50);
  }
  const rows = await countShop(observer.at("external"));
  say(`tandem run: the first copy took ${seconds(start)} s; external holds ${number(rows)} rows, too.`);
}

/** Has links work again that somebody paused in the page: no rest would come about. */
export async function resumeAll({ nodes: { config }, say }: Scene, signal: AbortSignal): Promise<void> {
  for (const link of config.links) {
    const { changed } = await setPaused(config, link, false, { by: "demo", signal });
    if (changed) say(`${directionOf(link)} was paused; it works again, so that both can be compared.`);
  }
}

/** Waits until nothing is on its way any more; false when that does not come about. */
export async function awaitRest({ observer, say }: Scene, signal: AbortSignal): Promise<boolean> {
  const start = performance.now();
  while (!(await isAtRest(observer))) {
    signal.throwIfAborted();
    if (performance.now() - start > restDeadlineMs) {
      const rest = (await observer.traffic()).map(
        (one) => `${directionOf(one)} ${one.pending} pending, ${one.parked} parked`,
      );
      say(`Not at rest ${seconds(start)} s later: ${rest.join("; ")}.`);
      return false;
    }
    await sleep(150);
  }
  const conflicts = (await observer.traffic()).map(({ target, conflicts }) => `${conflicts} seen by ${target}`);
  say(
    `At rest ${seconds(start)} s later: nothing pending, nothing parked. Conflicts decided: ${conflicts.join(", ")}.`,
  );
  return true;
}

/** Compares both databases by content and says what came of it. */
export async function prove({ nodes, say }: Scene): Promise<boolean> {
  const { identical, tables, totals } = await verify(nodes.config);
  if (identical && tables.length === shopTables.length) {
    const rows = Math.max(...Object.values(totals.rows));
    say(
      `tandem verify: local and external are identical, all ${totals.tables} tables with ${number(rows)} rows, compared by content.`,
    );
    return true;
  }
  const faults = tables
    .filter(({ equal }) => !equal)
    .map(({ name, differing }) => `${name} (${differing} rows differ)`);
  say(`tandem verify: local and external are NOT identical: ${faults.join(", ") || "not every table was compared"}.`);
  return false;
}

function seconds(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1);
}

function number(count: number): string {
  return count.toLocaleString("en");
}
