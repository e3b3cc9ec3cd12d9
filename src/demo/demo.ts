import { silentLogger } from "../base/logger.ts";
import { runWithHttp } from "../library/run.ts";
import { tellCollision } from "./collisions.ts";
import { directionOf, type Screen } from "./live-table.ts";
import { type DemoNodes, nodeNames, startNodes } from "./nodes.ts";
import { awaitFirstCopy, awaitRest, prepare, prove, resumeAll, type Say, type Scene } from "./stages.ts";
import { Observer } from "./traffic.ts";
import { type WritingReport, writeOnBothSides } from "./writing-phase.ts";

/** What the demo is started with. */
export interface DemoOptions extends Screen {
  /** How long is written; until the signal when not given. */
  readonly seconds?: number | undefined;
  /** Ends the writing, and then the demo in good order. Whoever gives it ends the process on a second Ctrl-C. */
  readonly signal: AbortSignal;
  /** Major version of the servers; 15 is the one that is installed. */
  readonly major?: number | undefined;
}

/**
 * Two real servers that are kept the same while both are written to; ends by comparing them. 0: they are identical and
 * nothing failed. Whatever way it ends, the servers and their folders go.
 */
export async function runDemo(options: DemoOptions): Promise<0 | 1> {
  const { signal, out, major = 15 } = options;
  const say = (text: string) => void out.write(`${text}\n`);
  say(`Starting two PostgreSQL ${major} servers on this machine: local and external.`);
  await using nodes = await startNodes(major);
  await using observer = await Observer.open(nodes);
  const scene = { nodes, observer, say };
  try {
    signal.throwIfAborted();
    await prepare(scene, signal);
    return await play(scene, options);
  } catch (error) {
    if (!signal.aborted) throw error;
    say("Stopped before anything could be verified.");
    return 1;
  }
}

/** From the start of the sidecar to its end. */
async function play(scene: Scene, options: DemoOptions): Promise<0 | 1> {
  const { nodes, observer, say } = scene;
  const troubles = new Map<string, string | null>();
  const currentTroubles = () => [...troubles.values()].filter((text) => text !== null);
  const stop = new AbortController();
  const sidecarFailed = new AbortController();
  const sidecar = runWithHttp(nodes.config, {
    signal: stop.signal,
    logger: silentLogger,
    onActivity: ({ source, target, error }) => {
      const direction = directionOf({ source, target });
      troubles.set(direction, error && `${direction}: ${error}`);
    },
  });
  sidecar.catch((error) => sidecarFailed.abort(error));
  try {
    const signal = AbortSignal.any([options.signal, sidecarFailed.signal]);
    await awaitFirstCopy(scene, signal);
    invite(nodes, say, options.seconds);
    const report = await writeOnBothSides(nodes, observer, {
      ...options,
      signal,
      screen: options,
      troubles: currentTroubles,
    });
    tell(report, say);
    await resumeAll(scene, sidecarFailed.signal);
    const resting = await awaitRest(scene, sidecarFailed.signal);
    const collision = await tellCollision(observer.at("local"), report.collisions);
    if (collision) say(`One of them: ${collision}`);
    for (const trouble of currentTroubles()) say(trouble);
    stop.abort();
    await sidecar;
    const identical = await prove(scene);
    return identical && resting && report.tally.failures === 0 ? 0 : 1;
  } finally {
    stop.abort();
    await sidecar.catch(() => {});
  }
}

function invite(nodes: DemoNodes, say: Say, limit: number | undefined): void {
  say("\nNow several sessions write to each of the two, and now and then both change one row at the same moment.");
  say("See it in a browser; the buttons of the page ask for the token:\n");
  say(`  page      ${nodes.page.url}`);
  say(`  token     ${nodes.page.token}`);
  say(
    "\nIt may say for a moment that rows are parked: a writer holds them, or they refer to rows still under way. They are",
  );
  say("tried again by themselves.");
  say("\nWrite by hand as well, with any client:\n");
  for (const name of nodeNames) say(`  ${name.padEnd(9)} psql "${nodes.node(name).url}"`);
  say("\n  select * from tandem.pending;      what is still to be carried to the other side");
  say("  select * from tandem.conflicts;    what collided, with both images");
  say(`\n  npx tandem status --config ${nodes.configFile}`);
  say(limit === undefined ? "\nCtrl-C ends it.\n" : `\nIt ends after ${limit} s, or with Ctrl-C.\n`);
}

function tell({ tally }: WritingReport, say: Say): void {
  const { transactions, failures, firstFailure } = tally;
  say(
    `\nThe writers have stopped after ${transactions} transactions, ${failures} of which failed${firstFailure ? `: ${firstFailure}` : "."}`,
  );
}
