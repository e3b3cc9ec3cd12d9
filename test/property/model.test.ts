import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ways } from "../support/link.ts";
import { type HistoryOptions, ModelHistory } from "../support/model/history.ts";
import { wholeRule } from "../support/model/prune.ts";
import { faults, outcomeOf } from "../support/model/rest.ts";
import type { Topology } from "../support/model/rules.ts";
import { seeds } from "../support/seed.ts";
import { startTestServers, type TestServers } from "../support/servers.ts";
import { Coverage } from "./coverage.ts";
import { Lockstep } from "./lockstep.ts";
import { ModelSystem, systemNames } from "./model-system.ts";

/** Histories of one kind, and the way in which their rows are applied (0 replica role, 1 ordinary owner). */
interface Shape {
  readonly topology: Topology;
  readonly nodes: number;
  readonly way: 0 | 1;
  readonly how?: Pick<HistoryOptions, "prefer">;
  /** Chosen, for so short histories seldom meet much. */
  readonly chosen: readonly number[];
  /** Histories in which entries are pruned as soon as the rule allows. */
  readonly pruned?: readonly number[];
  /** Histories in which the last node is lost; each has databases of its own. */
  readonly lost?: readonly number[];
  /** Histories in which the last node is restored from an older copy of itself and comes back. */
  readonly restored?: readonly number[];
  /** Histories in which rows are merged into each other. */
  readonly merged?: readonly number[];
}

const shapes: readonly Shape[] = [
  {
    topology: "mesh",
    nodes: 2,
    way: 0,
    chosen: [2404, 1978, 2027, 3305],
    restored: [1725, 1055, 927],
    pruned: [1, 2],
    merged: [11809, 16408],
  },
  {
    topology: "mesh",
    nodes: 2,
    way: 1,
    chosen: [1001, 1002, 1003],
    restored: [2711, 1165, 535],
    merged: [12917, 17602],
  },
  { topology: "mesh", nodes: 2, way: 1, how: { prefer: true }, chosen: [3455, 3760, 3211] },
  {
    topology: "mesh",
    nodes: 3,
    way: 1,
    chosen: [2001, 2002, 2003],
    pruned: [3, 455],
    lost: [213, 398, 494],
    restored: [23, 129, 197, 2202],
  },
  { topology: "mesh", nodes: 3, way: 0, how: { prefer: true }, chosen: [4629, 3627, 3174] },
  {
    topology: "chain",
    nodes: 3,
    way: 0,
    chosen: [3001, 3002, 3003],
    pruned: [5],
    merged: [35652],
    lost: [81, 112],
    restored: [1218, 129, 1141],
  },
  { topology: "star", nodes: 4, way: 0, chosen: [4001, 4002, 4003], pruned: [7], lost: [62] },
  { topology: "mesh", nodes: 4, way: 1, chosen: [5001], lost: [442, 581] },
];
// An entry is let go some rounds after it was made.
const longer: readonly [number, number] = [40, 60];
const kindOf = ({ topology, nodes, how = {} }: Shape) =>
  [`${topology} of ${nodes} nodes`, ...Object.keys(how)].join(", ");

const coverage = new Coverage();
coverage.expect("met", [
  "conflict",
  "preferred",
  "parked: parent",
  "parked: loser",
  "parked: unique",
  "parked: waits",
  "pruned",
  "entered anew after a loss",
  "restored",
  "kept by a comparison",
]);
// The model's clocks begin a day from now, and each history after the last.
let epoch = Date.now() * 1_000 + 86_400_000_000;

// Servers that nobody else uses: a transaction that another test holds open would keep entries that are to be pruned.
let own: TestServers;
beforeAll(async () => {
  own = await startTestServers(2);
}, 180_000);
afterAll(() => own?.stop());

describe.each(shapes.map((shape) => [kindOf(shape), shape] as const))("C3 C7: %s", (_, shape) => {
  const { topology, nodes, way, how = {}, chosen, pruned, merged, lost, restored } = shape;
  let system: ModelSystem;
  beforeAll(async () => {
    const { servers } = own;
    system = await ModelSystem.open(topology, nodes, how.prefer ?? false, { ...ways[way]!.options, servers });
  }, 180_000);
  afterAll(() => system?.[Symbol.asyncDispose]());

  const given = process.env.SEED || process.env.SEEDS ? seeds(1) : undefined;
  const histories = [
    ...(given ?? chosen).map((seed) => ({ seed, ...how })),
    ...(merged ? (given ?? merged) : []).map((seed) => ({ seed, ...how, merges: true })),
    ...(pruned ? (given ?? pruned) : []).map((seed) => ({ seed, ...how, prune: wholeRule, steps: longer })),
  ];
  for (const { seed, ...kind } of histories) {
    const what = ["prune", "merges"].filter((option) => option in kind).map((option) => `, ${option}`);
    it(
      `seed ${seed}${what.join("")}: in ${ways[way]!.way} the real system goes where the model goes`,
      {
        timeout: 180_000,
      },
      () => playBeside(system, seed, { nodes, topology, ...kind }),
    );
  }

  for (const seed of restored ? (given ?? restored) : []) {
    it(
      `C10: seed ${seed}: in ${ways[way]!.way} a node is restored, comes back, and all go where their models go`,
      {
        timeout: 300_000,
      },
      () => playBeside(system, seed, { nodes, topology, ...how, restores: "keep" }),
    );
  }

  for (const seed of lost ? (given ?? lost) : []) {
    it(`C1: seed ${seed}: in ${ways[way]!.way} a node is lost, and the others go where their models go`, {
      timeout: 300_000,
    }, async () => {
      const options = { ...ways[way]!.options, servers: own.servers };
      await using without = await ModelSystem.open(topology, nodes, how.prefer ?? false, options);
      await playBeside(without, seed, { nodes, topology, ...how, loses: "forwarded" });
    });
  }
});

/** Plays a history on a real system and on its model; an error says how to repeat it. */
async function playBeside(system: ModelSystem, seed: number, kind: HistoryOptions): Promise<void> {
  const options = { cut: seed % 2 === 0, names: systemNames, steps: [15, 32], ...kind } as const;
  const history = new ModelHistory(seed, options);
  epoch += 10_000_000;
  const lockstep = new Lockstep(history, system, epoch, coverage);
  try {
    const outcome = outcomeOf(history, await lockstep.play(), null);
    expect(faults).not.toContain(outcome);
    coverage.count("histories", outcome);
    coverage.count("batches", options.cut ? "cut" : "whole");
  } catch (error) {
    throw new Error(`${error}\nseed ${seed}, ${JSON.stringify(options)}\n${lockstep.trace.join("\n")}`, {
      cause: error,
    });
  }
}

afterAll(() => process.stdout.write(`the real system beside its model met:\n${coverage}\n`));

it.runIf(!process.env.SEED && !process.env.SEEDS)("the histories met every kind", () =>
  expect(coverage.missing()).toEqual([]),
);
