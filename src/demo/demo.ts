import { setTimeout as sleep } from "node:timers/promises";
import { TandemError } from "../base/errors.ts";
import { migrate } from "../install/migrate.ts";
import { runSidecar } from "../sidecar/sidecar.ts";
import { compare } from "./compare.ts";
import { directionOf } from "./live-table.ts";
import { type DemoNodes, nodeNames, startNodes } from "./nodes.ts";
import { countShop, createShop, fillShop, shopTables } from "./shop.ts";
import { isAtRest, Observer } from "./traffic.ts";
import { type WritingReport, writeOnBothSides } from "./writing-phase.ts";

/** What the demo is started with. */
export interface DemoOptions {
  /** How long is written; until the signal when not given. */
  readonly seconds?: number | undefined;
  /** Ends the writing, and then the demo in good order; whoever gives it ends the process at once on a second Ctrl-C. */
  readonly signal: AbortSignal;
  readonly out: NodeJS.WritableStream;
  readonly isTerminal: boolean;
  /** Major version of the servers; 15 is the one that is installed. */
  readonly major?: number | undefined;
}

const copyDeadlineMs = 60_000;
const restDeadlineMs = 60_000;

/**
 * Two real servers that are kept the same while both are written to; ends by comparing them. 0: they are identical and
 * nothing failed. Whatever way it ends, the servers and their folders go.
 */
export async function runDemo(options: DemoOptions): Promise<0 | 1> {
  const { signal, out } = options;
  const say = (text: string) => void out.write(`${text}\n`);
  const major = options.major ?? 15;
  say(`Starting two PostgreSQL ${major} servers on this machine, local and external …`);
  await using nodes = await startNodes(major);
  await using observer = await Observer.open(nodes);
  await prepare(nodes, observer, say, signal);

  const troubles = new Map<string, string | null>();
  const stopSidecar = new AbortController();
  const failed = new AbortController();
  const sidecar = runSidecar(nodes.config, {
    signal: stopSidecar.signal,
    onActivity: (activity) => void troubles.set(activity.source, activity.error && `${directionOf(activity as never)}: ${activity.error}`),
  });
  sidecar.catch((error) => failed.abort(error));
  try {
    const until = AbortSignal.any([signal, failed.signal]);
    const toldTroubles = () => [...troubles.values()].filter((text) => text !== null);
    await firstCopy(observer, say, until);
    invite(nodes, say, options.seconds);
    const report = await writeOnBothSides(nodes, observer, { signal: until, seconds: options.seconds, screen: options, troubles: toldTroubles });
    tellWriting(report, say);
    const resting = await comeToRest(observer, say, failed.signal);
    stopSidecar.abort();
    await sidecar;
    for (const trouble of toldTroubles()) say(trouble);
    return (await prove(observer, say)) && resting && report.tally.failures === 0 ? 0 : 1;
  } finally {
    stopSidecar.abort();
    await sidecar.catch(() => {});
  }
}

type Say = (text: string) => void;

async function prepare(nodes: DemoNodes, observer: Observer, say: Say, signal: AbortSignal): Promise<void> {
  for (const name of nodeNames) await createShop(observer.at(name));
  await fillShop(observer.at("local"));
  const rows = await countShop(observer.at("local"));
  say(`local holds a sample shop of ${rows} rows in ${shopTables.length} tables; external has the same tables, empty.`);
  const { problems } = await migrate(nodes.config, { signal });
  if (problems) throw new TandemError("internal", "a table of the sample shop could not be tracked");
  say("tandem migrate: both databases have Tandem's functions now, and their changes are captured.");
}

async function firstCopy(observer: Observer, say: Say, signal: AbortSignal): Promise<void> {
  const start = performance.now();
  for (;;) {
    signal.throwIfAborted();
    const { done, errors } = await observer.firstCopies();
    if (done) break;
    if (performance.now() - start > copyDeadlineMs) {
      throw new TandemError("timed_out", `the first copy is not done after ${seconds(start)} s: ${errors.join("; ") || "it is slow"}`);
    }
    await sleep(50);
  }
  say(`tandem run: the first copy is done, external holds ${await countShop(observer.at("external"))} rows after ${seconds(start)} s.`);
}

function invite(nodes: DemoNodes, say: Say, limit: number | undefined): void {
  say("\nNow six sessions write to the two, and now and then both change the same row at the same moment. Write by hand, too:\n");
  for (const name of nodeNames) say(`  ${name.padEnd(9)} psql ${nodes.node(name).url}`);
  say("\n  select * from tandem.pending;     what is still to be carried to the other side");
  say("  select * from tandem.conflicts;   what collided, with both images");
  say(`\n  npx tandem status --config ${nodes.configFile}`);
  say(limit === undefined ? "\nCtrl-C ends it.\n" : `\nIt ends after ${limit} s, or with Ctrl-C.\n`);
}

function tellWriting({ tally, collision }: WritingReport, say: Say): void {
  say(`\nThe writers have stopped after ${tally.transactions} transactions; ${tally.failures} failed${tally.firstFailure ? `: ${tally.firstFailure}` : ""}.`);
  if (collision) say(`One conflict of them: ${collision}`);
}

async function comeToRest(observer: Observer, say: Say, signal: AbortSignal): Promise<boolean> {
  const start = performance.now();
  while (!(await isAtRest(observer))) {
    signal.throwIfAborted();
    if (performance.now() - start > restDeadlineMs) {
      const rest = (await observer.traffic()).map((one) => `${directionOf(one)} ${one.pending} pending, ${one.parked} parked`);
      say(`Not at rest after ${seconds(start)} s: ${rest.join("; ")}.`);
      return false;
    }
    await sleep(150);
  }
  const conflicts = (await observer.traffic()).map(({ target, conflicts }) => `${conflicts} at ${target}`);
  say(`At rest ${seconds(start)} s later: nothing pending, nothing parked. Conflicts met and decided: ${conflicts.join(", ")}.`);
  return true;
}

async function prove(observer: Observer, say: Say): Promise<boolean> {
  const same = await compare(observer);
  say(same ? `Verified by content: the ${shopTables.length} tables are identical on both sides, ${await countShop(observer.at("local"))} rows each.` : "NOT identical.");
  return same;
}

function seconds(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1);
}
