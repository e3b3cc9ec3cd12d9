import { expect } from "vitest";
import {
  brokenConstraints,
  type Content,
  conflictsOf,
  contentOf,
  differences,
  hasWrittenBlocks,
  leftOver,
  logsOf,
} from "./checks.ts";
import type { Coverage } from "./coverage.ts";
import type { Faults } from "./faults.ts";
import { History, type Rest } from "./history.ts";
import type { HistoryLink } from "./links.ts";
import type { HistoryNode, NodePool } from "./nodes.ts";
import type { Plan } from "./plan.ts";

/** What is counted for a history whose last rows wait for a person. */
export const leftRows = "rows of a unique conflict left for a person";

/** Runs the history of a plan to rest and checks all that must hold there; an error says how to repeat it. */
export async function runSeed(
  plan: Plan,
  pool: NodePool,
  coverage: Coverage,
  faults: Faults | null = null,
): Promise<void> {
  const opened = await pool.prepare(plan, faults?.reach).catch(async (error: unknown) => {
    await pool.reconnect();
    throw error;
  });
  const { nodes, links } = opened;
  const history = new History(plan, opened, { coverage, faults });
  try {
    await history.run();
    const written = await contentOf(nodes[0]!, plan.schema);
    const rest = await history.quiesce();
    coverage.count("passes to rest", String(rest.passes));
    for (const node of nodes) coverage.count("log", (await hasWrittenBlocks(node)) ? "blocks" : "no blocks");
    const forPerson = leftForPerson(plan, rest);
    const wrong = [...(await wrongAtRest(plan, nodes, links, written)), ...(await history.written.lost())];
    const serious = forPerson ? wrong.filter((line) => !line.startsWith("row ")) : wrong;
    if (serious.length > 0) throw new Error([...rest.parked, ...serious].slice(0, 30).join("\n"));
    await idleMovesNothing(plan, history, nodes, rest);
    coverage.count("at rest", forPerson ? leftRows : "equal");
    countPlan(plan, coverage);
    for (const node of nodes) for (const { kind } of await conflictsOf(node)) coverage.count("conflict", kind);
    const reports = links.flatMap((link) => link.reports);
    const batches = reports.reduce((sum, report) => sum + report.batches, 0);
    const small = reports.reduce((sum, report) => sum + report.small, 0);
    coverage.count("batch", plan.batchRows < 100 ? "cut" : "whole", batches);
    coverage.count("way", "short", small);
    coverage.count("way", "usual", batches - small);
    for (const link of links) await link.kill();
    if (faults?.restarted) await pool.reconnect();
  } catch (error) {
    const message = await explain(plan, nodes, history, error);
    for (const link of links) link.abandon();
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

async function wrongAtRest(
  plan: Plan,
  nodes: readonly HistoryNode[],
  links: readonly HistoryLink[],
  written: Content,
): Promise<string[]> {
  const wrong: string[] = [];
  const contents = await Promise.all(nodes.map((node) => contentOf(node, plan.schema)));
  for (let i = 1; i < nodes.length; i++) {
    wrong.push(
      ...differences(contents[0]!, contents[i]!, [nodes[0]!.name, nodes[i]!.name]).map((line) => `row ${line}`),
    );
  }
  if (plan.single) {
    wrong.push(...differences(written, contents[0]!, ["the only writer, before", "after"]));
    for (const node of nodes) {
      for (const { line } of await conflictsOf(node))
        wrong.push(`${node.name}: a single writer's change is called a conflict: ${line}`);
    }
  }
  for (const node of nodes) {
    wrong.push(...(await leftOver(node)).map((line) => `row ${line}`), ...(await brokenConstraints(node, plan.schema)));
  }
  for (const report of links.flatMap(({ reports }) => reports)) {
    for (const [table, counts] of report.tables) {
      const { staged, applied, adopted, superseded, parked, undecided } = counts;
      if (applied + adopted + superseded + parked + undecided !== staged) {
        wrong.push(`${report.source} → ${report.target}: ${table} does not add up: ${JSON.stringify(counts)}`);
      }
    }
  }
  return wrong;
}

async function idleMovesNothing(
  { prune }: Plan,
  history: History,
  nodes: readonly HistoryNode[],
  rest: Rest,
): Promise<void> {
  const entriesOf = async (node: HistoryNode) =>
    (await logsOf(node)).map(({ table, key, line }) => `${node.name}: ${table} ${key} ${line}`);
  const entries = async () => (await Promise.all(nodes.map(entriesOf))).flat();
  const before = await entries();
  const again = await history.quiesce();
  if (rest.parked.length === 0) expect(again.passes, "passes while idle").toBe(1);
  const after = await entries();
  expect(
    after.filter((entry) => !before.includes(entry)),
    "log entries that an idle pass wrote",
  ).toEqual([]);
  // What is pruned before each round may go only now: any transaction of the server, an autovacuum, may have held it.
  if (!prune) expect(after.length, "log entries after an idle pass").toBe(before.length);
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
  const faulty = plan.steps.some(({ kind }) => kind === "fault");
  const message = error instanceof Error ? error.message : String(error);
  const lines = [
    `seed ${plan.seed}: ${plan.nodes} nodes, ${plan.topology}, applied by ${plan.owner ? "an owner" : "a superuser"}, ${
      plan.single ? "one writer" : "all write"
    }, ${plan.warm ? "flowing" : "first copy"}, batches of ${plan.batchRows}`,
    `again: SEED=${plan.seed} NODES=${plan.nodes} TXNS=${plan.writes} TRACE=1 npx vitest run test/property/${faulty ? "oracle" : "convergence"}.test.ts`,
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
