import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Link } from "../../src/link/link.ts";
import { actions } from "../support/random-schema.ts";
import { columnTypes, keyTypes } from "../support/random-values.ts";
import { seeds } from "../support/seed.ts";
import { brokenConstraints, type Content, conflictsOf, contentOf, differences, leftOver, logsOf } from "./checks.ts";
import { Coverage } from "./coverage.ts";
import { History, type Rest } from "./history.ts";
import { type HistoryNode, NodePool } from "./nodes.ts";
import { makePlan, type Plan } from "./plan.ts";
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
  coverage.expect("unique", ["constraint", "deferrable", "partial", "expression"]);
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
  coverage.expect("begin", ["first copy", "flowing"]);
  coverage.expect("writers", ["one", "all"]);
  return coverage;
}

const leftRows = "rows of a unique conflict left for a person";

/** Registers the tests of a file: `count` seeds, and those that have failed once. */
export function convergence(usual: number, count: number, firstSeed: number): void {
  const nodes = Number(process.env.NODES ?? usual);
  const coverage = expected(nodes);
  const drawn = seeds(count).map((seed) => (process.env.SEED ? seed : seed + firstSeed - 1));
  const failed = process.env.SEED ? [] : failedOnce.filter((each) => each.nodes === nodes).map(({ seed }) => seed);
  const chosen = [...new Set([...drawn, ...failed])];
  describe(`C1 C2 C3 C7 C8: ${nodes} nodes converge`, () => {
    let pool: NodePool;
    beforeAll(async () => {
      pool = await NodePool.open(nodes);
    }, 120_000);
    for (const seed of chosen) {
      const failed = failedOnce.find((each) => each.nodes === nodes && each.seed === seed);
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

async function runSeed(plan: Plan, pool: NodePool, coverage: Coverage): Promise<void> {
  const opened = await pool.prepare(plan).catch(async (error: unknown) => {
    await pool.reconnect();
    throw error;
  });
  const { nodes, links } = opened;
  const history = new History(plan, opened, coverage);
  try {
    await history.run();
    const written = await contentOf(nodes[0]!, plan.schema);
    const rest = await history.quiesce();
    coverage.count("passes to rest", String(rest.passes));
    const forPerson = leftForPerson(plan, rest);
    const faults = await faultsAtRest(plan, nodes, links, written);
    const serious = forPerson ? faults.filter((fault) => !fault.startsWith("row ")) : faults;
    if (serious.length > 0) throw new Error([...rest.parked, ...serious].slice(0, 30).join("\n"));
    await idleMovesNothing(history, nodes, rest);
    coverage.count("at rest", forPerson ? leftRows : "equal");
    countPlan(plan, coverage);
    for (const node of nodes) for (const { kind } of await conflictsOf(node)) coverage.count("conflict", kind);
    for (const link of links) coverage.count("batch", plan.batchRows < 100 ? "cut" : "whole", link.report.batches);
  } catch (error) {
    const message = await explain(plan, nodes, history, error);
    await pool.reconnect();
    throw new Error(message, { cause: error });
  }
}

/**
 * Two rows that cannot both exist, and that others refer to, on both sides: both stay, parked, for a person. Nothing
 * else may stay parked but what waits for these rows.
 */
function leftForPerson({ single, schema }: Plan, { parked }: Rest): boolean {
  const referenced = schema.tables.some(
    (table) =>
      table.uniques.length > 0 &&
      schema.tables.some(({ references }) => references.some(({ parent }) => parent === table.name)),
  );
  return !single && referenced && parked.some((line) => line.includes("holds the value it claims"));
}

async function faultsAtRest(
  plan: Plan,
  nodes: readonly HistoryNode[],
  links: readonly Link[],
  written: Content,
): Promise<string[]> {
  const faults: string[] = [];
  const contents = await Promise.all(nodes.map((node) => contentOf(node, plan.schema)));
  for (let i = 1; i < nodes.length; i++) {
    faults.push(
      ...differences(contents[0]!, contents[i]!, [nodes[0]!.name, nodes[i]!.name]).map((line) => `row ${line}`),
    );
  }
  if (plan.single) {
    faults.push(...differences(written, contents[0]!, ["the only writer, before", "after"]));
    for (const node of nodes) {
      for (const { line } of await conflictsOf(node))
        faults.push(`${node.name}: a single writer's change is called a conflict: ${line}`);
    }
  }
  for (const node of nodes) {
    faults.push(
      ...(await leftOver(node)).map((line) => `row ${line}`),
      ...(await brokenConstraints(node, plan.schema)),
    );
  }
  for (const { report } of links) {
    for (const [table, counts] of report.tables) {
      const { staged, applied, adopted, superseded, parked, undecided } = counts;
      if (applied + adopted + superseded + parked + undecided !== staged) {
        faults.push(`${report.source} → ${report.target}: ${table} does not add up: ${JSON.stringify(counts)}`);
      }
    }
  }
  return faults;
}

async function idleMovesNothing(history: History, nodes: readonly HistoryNode[], rest: Rest): Promise<void> {
  const entries = () => Promise.all(nodes.map(async (node) => (await logsOf(node)).length));
  const before = await entries();
  const again = await history.quiesce();
  if (rest.parked.length === 0) expect(again.passes, "passes while idle").toBe(1);
  expect(await entries(), "log entries after an idle pass").toEqual(before);
}

function countPlan({ schema, owner, topology, single, warm }: Plan, coverage: Coverage): void {
  for (const table of schema.tables) {
    for (const { value } of table.columns) if (value.values.length > 0) coverage.count("type", value.kind);
    if (table.keyKind !== "plain" && table.keyKind !== "numeric") coverage.count("key", table.keyKind);
    for (const { value } of table.key) coverage.count("key", value.kind);
    for (const reference of table.references) {
      coverage.count("on delete", reference.onDelete);
      coverage.count("on update", reference.onUpdate);
      if (reference.parent === table.name) coverage.count("schema", "self reference");
      if (reference.deferrable) coverage.count("schema", "deferrable");
    }
    for (const { kind } of table.uniques) coverage.count("unique", kind);
    if (table.partitioned) coverage.count("schema", "partitioned");
    if (table.columns.some(({ generated }) => generated)) coverage.count("schema", "generated");
  }
  if (schema.tables.length > 1) coverage.count("schema", "several tables");
  coverage.count("applied as", owner ? "owner" : "superuser");
  coverage.count("links", topology);
  coverage.count("begin", warm ? "flowing" : "first copy");
  coverage.count("writers", single ? "one" : "all");
}

/** A failure with all that is needed to understand and repeat it. */
async function explain(plan: Plan, nodes: readonly HistoryNode[], history: History, error: unknown): Promise<string> {
  const message = error instanceof Error ? error.message : String(error);
  const lines = [
    `seed ${plan.seed}: ${plan.nodes} nodes, ${plan.topology}, applied by ${plan.owner ? "an owner" : "a superuser"}, ${
      plan.single ? "one writer" : "all write"
    }, ${plan.warm ? "flowing" : "first copy"}, batches of ${plan.batchRows}`,
    `again: SEED=${plan.seed} NODES=${plan.nodes} TXNS=${plan.writes} TRACE=1 npx vitest run test/property/convergence.test.ts`,
    message,
  ];
  try {
    for (const node of nodes) {
      const touched = (await logsOf(node)).filter(({ key }) => process.env.TRACE || message.includes(key.slice(1, -1)));
      for (const { table, key, line } of touched.slice(0, 150))
        lines.push(`log of ${node.name}: ${table} ${key} ${line}`);
      for (const { line } of (await conflictsOf(node)).slice(0, 20)) lines.push(`conflict at ${node.name}: ${line}`);
    }
  } catch (inner) {
    lines.push(`(the logs could not be read: ${inner})`);
  }
  if (process.env.TRACE) lines.push(plan.schema.ddl, ...history.trace);
  return lines.join("\n");
}
