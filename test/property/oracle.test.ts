import { describe, it, vi } from "vitest";
import { seeds } from "../support/seed.ts";
import { openOracle } from "./oracle.ts";
import { failedOnce } from "./seeds.ts";

vi.setConfig({ testTimeout: 240_000 });

/** How many seeds a usual run has, by the number of nodes, and the first of them. */
const usual = [
  { nodes: 2, count: 5, first: 2001 },
  { nodes: 3, count: 4, first: 3001 },
  { nodes: 4, count: 2, first: 4001 },
];

describe("C1 C2 C3 C5 C7 C8: whatever goes wrong, nodes converge and no value is lost", () => {
  const oracle = openOracle();
  for (const { nodes, count, first } of usual) {
    if (process.env.NODES && Number(process.env.NODES) !== nodes) continue;
    const drawn = seeds(count).map((seed) => (process.env.SEED ? seed : seed + first - 1));
    for (const seed of drawn) it(`${nodes} nodes, seed ${seed}`, () => oracle().run(seed, nodes));
  }
  if (process.env.SEED) return;
  for (const { seed, nodes, writes, what, faults } of failedOnce) {
    if (faults) it(`${nodes} nodes, seed ${seed}, which once failed: ${what}`, () => oracle().run(seed, nodes, writes));
  }
});
