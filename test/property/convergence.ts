import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { actions } from "../support/random-schema.ts";
import { columnTypes, keyTypes } from "../support/random-values.ts";
import { seeds } from "../support/seed.ts";
import { Coverage } from "./coverage.ts";
import { NodePool } from "./nodes.ts";
import { makePlan } from "./plan.ts";
import { leftRows, runSeed } from "./run-seed.ts";
import { failedOnce } from "./seeds.ts";

/** What every run of so many seeds must have met. */
function expected(nodes: number): Coverage {
  const coverage = new Coverage();
  coverage.expect(
    "type",
    columnTypes.map(({ kind }) => kind),
  );
  coverage.expect("key", [
    ...keyTypes.map(({ kind }) => kind),
    "serial",
    "by default",
    "always",
    "composite",
    "mixed",
    "unique index",
  ]);
  coverage.expect("write", ["insert", "update", "delete", "key update", "upsert", "multi-row", "truncate", "swap"]);
  coverage.expect("on delete", actions);
  coverage.expect("on update", actions);
  coverage.expect("unique", ["constraint", "deferrable", "partial", "expression", "generated"]);
  coverage.expect("schema", ["partitioned", "self reference", "deferrable", "several tables", "generated"]);
  coverage.expect("transaction", ["several statements", "savepoint rolled back", "open over syncs"]);
  coverage.expect("conflict", [
    "insert/insert",
    "update/update",
    "update/delete",
    "delete/update",
    "unique",
    "referring/delete",
    // Rare: the seeds of two nodes have it, and test/e2e/apply-foreign-keys.test.ts makes it happen.
    ...(nodes > 2 ? [] : ["referenced/delete"]),
  ]);
  coverage.expect("applied as", ["superuser", "owner"]);
  coverage.expect("links", nodes > 2 ? ["mesh", "chain"] : ["mesh"]);
  coverage.expect("batch", ["cut", "whole"]);
  coverage.expect("way", ["short", "usual"]);
  coverage.expect("log", ["blocks"]);
  coverage.expect("begin", ["first copy", "flowing"]);
  coverage.expect("writers", ["one", "all"]);
  return coverage;
}

/** Registers the tests of a file: `count` seeds, and those that have failed once. */
export function convergence(usual: number, count: number, firstSeed: number): void {
  const nodes = Number(process.env.NODES ?? usual);
  const coverage = expected(nodes);
  const drawn = seeds(count).map((seed) => (process.env.SEED ? seed : seed + firstSeed - 1));
  const failed = process.env.SEED
    ? []
    : failedOnce.filter((each) => each.nodes === nodes && !each.faults).map(({ seed }) => seed);
  const chosen = [...new Set([...drawn, ...failed])];
  describe(`C1 C2 C3 C7 C8: ${nodes} nodes converge`, () => {
    let pool: NodePool;
    beforeAll(async () => {
      pool = await NodePool.open(nodes);
    }, 180_000);
    for (const seed of chosen) {
      const failed = failedOnce.find((each) => each.nodes === nodes && !each.faults && each.seed === seed);
      it(`seed ${seed}${failed ? `, which once failed: ${failed.what}` : ""}`, () =>
        runSeed(makePlan(seed, nodes, failed?.writes), pool, coverage));
    }
    const all = !process.env.SEED && chosen.length >= count;
    it.runIf(all)("the seeds met every kind", () => expect(coverage.missing()).toEqual([]));
    it.runIf(all)("hardly a seed leaves rows for a person", () =>
      expect(coverage.of("at rest", leftRows)).toBeLessThan(chosen.length / 20),
    );
    afterAll(async () => {
      await pool[Symbol.asyncDispose]();
      process.stdout.write(`${chosen.length} seeds, ${nodes} nodes, met:\n${coverage}\n`);
    });
  });
}
