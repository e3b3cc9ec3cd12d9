import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ways } from "../support/link.ts";
import { type HistoryOptions, ModelHistory } from "../support/model/history.ts";
import { faults, outcomeOf } from "../support/model/rest.ts";
import type { Topology } from "../support/model/rules.ts";
import { seeds } from "../support/seed.ts";
import { Coverage } from "./coverage.ts";
import { Lockstep } from "./lockstep.ts";
import { ModelSystem, systemNames } from "./model-system.ts";

/**
 * Each shape with the way in which its rows are applied (0 replica role, 1 ordinary owner) and its seeds; those of the first
 * were chosen from 4,000, for their short histories meet every kind.
 */
const shapes: [Topology, number, 0 | 1, number[]][] = [
  ["mesh", 2, 0, [2404, 1978, 2027, 3305]],
  ["mesh", 2, 1, [1001, 1002, 1003, 1004]],
  ["mesh", 3, 1, [2001, 2002, 2003, 2004]],
  ["chain", 3, 0, [3001, 3002, 3003, 3004]],
  ["star", 4, 0, [4001, 4002, 4003, 4004]],
];

const coverage = new Coverage();
coverage.expect("met", ["conflict", "parked: parent", "parked: loser", "parked: unique", "parked: waits"]);
// The model's clocks begin a day from now, and each history after the last.
let epoch = Date.now() * 1_000 + 86_400_000_000;

describe.each(shapes)("C3 C7: %s of %i nodes", (topology, nodes, way, chosen) => {
  let system: ModelSystem;
  beforeAll(async () => {
    system = await ModelSystem.open(topology, nodes, ways[way]!.options);
  }, 120_000);
  afterAll(() => system[Symbol.asyncDispose]());

  for (const seed of process.env.SEED || process.env.SEEDS ? seeds(1) : chosen) {
    it(`seed ${seed}: in ${ways[way]!.way} the real system goes where the model goes`, {
      timeout: 120_000,
    }, async () => {
      const cut = seed % 2 === 0;
      const options: HistoryOptions = { nodes, topology, cut, names: systemNames, steps: [15, 32] };
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
    });
  }
});

afterAll(() => process.stdout.write(`the real system beside its model met:\n${coverage}\n`));

it.runIf(!process.env.SEED && !process.env.SEEDS)("the histories met every kind", () =>
  expect(coverage.missing()).toEqual([]),
);
