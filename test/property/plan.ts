import { type RandomSchema, randomSchema } from "../support/random-schema.ts";
import { randomTransaction, type Transaction } from "../support/random-writes.ts";
import { type Random, seeded } from "../support/seed.ts";
import type { Fault } from "./faults.ts";
import { failedOnce } from "./seeds.ts";

/** One step of a history. */
export type Step =
  | { readonly kind: "write"; readonly node: number; readonly transaction: Transaction }
  | { readonly kind: "sync"; readonly link: number }
  /** Rounds of several links at once. */
  | { readonly kind: "together"; readonly links: readonly number[] }
  /** Rounds of two appliers of one link at once. */
  | { readonly kind: "doubled"; readonly link: number }
  | { readonly kind: "fault"; readonly fault: Fault };

/** All that a seed decides. */
export interface Plan {
  readonly seed: number;
  readonly nodes: number;
  readonly topology: "mesh" | "chain" | "star";
  /** The appliers' role owns the tables and is no superuser, and the settings are hostile. */
  readonly owner: boolean;
  /** Only the first node writes. */
  readonly single: boolean;
  /** Links begin in the state after a first copy of nothing. */
  readonly warm: boolean;
  readonly interleave: boolean;
  /** Entries are pruned before every round, as soon as the rule lets them go. */
  readonly prune: boolean;
  readonly batchRows: number;
  readonly schema: RandomSchema;
  readonly steps: readonly Step[];
  readonly writes: number;
}

/** TOPOLOGY and TXNS, and `writes`, override what the seed says. */
export function makePlan(seed: number, nodes: number, writes?: number): Plan {
  const random = seeded(seed);
  const topology = chosenTopology(random, nodes);
  const owner = random.chance(0.5);
  const single = random.chance(0.3);
  const warm = random.chance(0.8);
  const interleave = random.chance(0.3);
  const batchRows = random.pick([1, 2, 3, 5, 1000, 1000]);
  // A seed that failed before keeps the schema that it failed with.
  const generatedUniques = !failedOnce.some((each) => each.seed === seed && !each.generatedUniques);
  const schema = randomSchema(random.fork(), { generatedUniques });
  const steps = randomSteps(random.fork(), schema, { nodes, single, links: linkCount(nodes, topology), writes });
  return {
    seed,
    nodes,
    topology,
    owner,
    single,
    warm,
    interleave,
    prune: process.env.PRUNE ? process.env.PRUNE === "1" : seed % 6 === 5,
    batchRows,
    schema,
    steps,
    writes: steps.filter(({ kind }) => kind === "write").length,
  };
}

function chosenTopology(random: Random, nodes: number): "mesh" | "chain" {
  const drawn = random.pick(["mesh", "chain"] as const);
  const asked = process.env.TOPOLOGY;
  if (asked === "mesh" || asked === "chain") return asked;
  return nodes > 2 ? drawn : "mesh";
}

/** Links of a plan, both directions counted. */
export function linkCount(nodes: number, topology: Plan["topology"]): number {
  return topology === "mesh" ? nodes * (nodes - 1) : 2 * (nodes - 1);
}

function randomSteps(
  random: Random,
  schema: RandomSchema,
  of: { nodes: number; single: boolean; links: number; writes: number | undefined },
): Step[] {
  const steps: Step[] = [];
  const drawn = random.int(4, of.nodes > 2 ? 11 : 14);
  const writes = Number(process.env.TXNS ?? of.writes ?? drawn);
  for (let i = 0; i < writes; i++) {
    const node = of.single ? 0 : random.int(0, of.nodes - 1);
    steps.push({ kind: "write", node, transaction: randomTransaction(random, schema, { mayStayOpen: true }) });
    while (random.chance(0.35)) steps.push({ kind: "sync", link: random.int(0, of.links - 1) });
  }
  return steps;
}
