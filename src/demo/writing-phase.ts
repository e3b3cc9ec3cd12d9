import { setTimeout as sleep } from "node:timers/promises";
import { Chance } from "./chance.ts";
import { type Collision, keepColliding, tellCollision } from "./collisions.ts";
import { directionOf, LiveTable, type Screen } from "./live-table.ts";
import { type DemoNodes, type NodeName, nodeNames } from "./nodes.ts";
import { keepPulse, type Observer } from "./traffic.ts";
import { keepWriting, openSession, type Session, type WriterTally } from "./writers.ts";

/** How long is written, and where it is shown. */
export interface WritingOptions {
  /** Writing ends with it. */
  readonly signal: AbortSignal;
  readonly seconds?: number | undefined;
  readonly screen: Screen;
  /** What the links fail with at the moment, a line each. */
  readonly troubles: () => readonly string[];
}

/** What was written, and what of it on both sides at once. */
export interface WritingReport {
  readonly tally: WriterTally;
  readonly collisions: readonly Collision[];
}

const writersEach = 3;

/** Several sessions on each side write, some of it on purpose to the same rows, while a table shows what moves. */
export async function writeOnBothSides(
  nodes: DemoNodes,
  observer: Observer,
  options: WritingOptions,
): Promise<WritingReport> {
  const tally: WriterTally = { transactions: 0, failures: 0, firstFailure: null };
  const collisions: Collision[] = [];
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  const sessions: Session[] = [];
  const open = async (node: NodeName) => {
    const session = await openSession(nodes.node(node).url, { node, chance: new Chance(1 + sessions.length) });
    sessions.push(session);
    return session;
  };
  let timer: NodeJS.Timeout | undefined;
  try {
    const [local, external] = [await open("local"), await open("external")];
    const writers: Session[] = [];
    for (let i = 0; i < writersEach; i++) for (const node of nodeNames) writers.push(await open(node));
    // Opening them is no time of writing.
    if (options.seconds !== undefined) timer = setTimeout(() => over.abort(), options.seconds * 1000);
    const lags = new Map<string, number>();
    const pulses = [["local", "external"] as const, ["external", "local"] as const].map(([source, target]) =>
      keepPulse(
        { source: nodes.node(source), target: nodes.node(target) },
        { signal, note: (ms) => void lags.set(directionOf({ source, target }), ms) },
      ),
    );
    await allOrStop(over, [
      keepColliding({ local, external, chance: new Chance(20251130) }, { tally, collisions, signal }),
      ...writers.map((session) => keepWriting(session, tally, signal)),
      ...pulses,
      keepShowing(observer, { ...options, signal, lags, collisions }),
    ]);
    return { tally, collisions };
  } finally {
    clearTimeout(timer);
    await Promise.all(sessions.map(({ client }) => client.end()));
  }
}

/** Waits for all, also after one has failed: nothing may go on working with connections that are being closed. */
async function allOrStop(over: AbortController, works: readonly Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(works.map((work) => work.finally(() => over.abort())));
  for (const result of ended) if (result.status === "rejected") throw result.reason;
}

async function keepShowing(
  observer: Observer,
  options: WritingOptions & { lags: ReadonlyMap<string, number>; collisions: readonly Collision[] },
): Promise<void> {
  const { signal, screen, lags, collisions, troubles } = options;
  const table = new LiveTable(screen);
  const start = performance.now();
  while (!signal.aborted) {
    const traffic = await observer.traffic();
    const collision = screen.isTerminal ? await tellCollision(observer.at("local"), collisions) : null;
    const remarks = [...(collision ? [`Conflict: ${collision}`] : []), ...troubles()];
    table.show({ elapsedMs: performance.now() - start, traffic, lags, remarks });
    await sleep(table.everyMs, undefined, { signal }).catch(() => {});
  }
}
