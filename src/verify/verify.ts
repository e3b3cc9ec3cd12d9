import { TandemError } from "../base/errors.ts";
import { type Clock, systemClock } from "../base/time.ts";
import { assertSeveral } from "../config/alone.ts";
import type { Config } from "../config/config.ts";
import { matchesTable } from "../config/table-pattern.ts";
import { sqlState } from "../db/sqlstate.ts";
import { selectionQuery } from "../install/selection.ts";
import { VerifyNode } from "../postgres/verify-node.ts";
import { type CompareOptions, compareTable, noReasons } from "./compare-table.ts";
import { matchTable, type SeenNode, tableId, trackedTables } from "./match.ts";
import type { MendOptions } from "./mend.ts";
import type { TableVerifyReport, UnreachableNode, UntrackedTable, VerifyEvent, VerifyReport } from "./report.ts";
import { Settler } from "./settle.ts";

/** What `verify` may be told. */
export interface VerifyOptions {
  /** Names or patterns, `perfis`, `crm.*`; all tracked tables unless given. */
  readonly tables?: readonly string[] | undefined;
  /** Rows that are read in one transaction, about. */
  readonly rangeRows?: number | undefined;
  /** After each of these it waits so many times as long as that took; 0 unless given. */
  readonly restFactor?: number | undefined;
  /** Differing keys listed for each table; all are counted. */
  readonly keyLimit?: number | undefined;
  /** How long changes under way are waited for while no link moves. */
  readonly patienceMs?: number | undefined;
  /** What is diverged is mended; without it nothing is written. `prefer` must be a node that can be reached. */
  readonly mend?: MendOptions | undefined;
  readonly onProgress?: ((event: VerifyEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
}

const defaults = { rangeRows: 250_000, keyLimit: 10_000, patienceMs: 10_000 };
// Links that move are waited for longer; a row that is written all the time must not hold a verify for ever.
const limitFactor = 6;
// What is left of a node that went away while it was connected to.
const awayCodes = ["cannot_connect", "connection_lost", "server_starting", "too_many_connections", "timed_out"];

/**
 * Compares every tracked table on all nodes by content, while writes go on, and writes nothing unless told to mend. A
 * node that cannot be reached is named, as long as two others are left to compare.
 */
export async function verify(config: Config, options: VerifyOptions = {}): Promise<VerifyReport> {
  assertSeveral(config);
  const { clock = systemClock, signal, onProgress = () => {} } = options;
  const startedAt = clock.now();
  const nodes = config.nodes.map((node) => new VerifyNode(node, { clock, signal }));
  try {
    const { reachable, unreachable } = await openAll(nodes);
    checkPreferred(options.mend, reachable, unreachable);
    const seen = await Promise.all(reachable.map((node) => see(node, config)));
    const settler = new Settler({
      clock,
      signal,
      patienceMs: options.patienceMs ?? defaults.patienceMs,
      limitMs: (options.patienceMs ?? defaults.patienceMs) * limitFactor,
      unreachable: unreachable.map(({ node }) => node),
      blind: unreachable.length > 0 && !allLinked(config, reachable),
    });
    const compare: CompareOptions = {
      rangeRows: options.rangeRows ?? defaults.rangeRows,
      rest: async (tookMs) => {
        if (options.restFactor) await clock.sleep(tookMs * options.restFactor, signal);
      },
      keyLimit: options.keyLimit ?? defaults.keyLimit,
      settler,
      mend: options.mend ?? null,
      onProgress,
    };
    const tables: TableVerifyReport[] = [];
    for (const { schema, name } of chosen(trackedTables(seen), options.tables)) {
      const table = await compareNow(seen, config, schema, name, compare);
      tables.push(table);
      onProgress({ kind: "table", table });
    }
    return reportOf(tables, {
      nodes: reachable.map(({ name }) => name),
      unreachable,
      untracked: untrackedTables(seen, tables, options.tables),
      asOf: new Date(startedAt).toISOString(),
      finishedAt: new Date(clock.now()).toISOString(),
    });
  } finally {
    await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
  }
}

async function openAll(
  nodes: readonly VerifyNode[],
): Promise<{ reachable: VerifyNode[]; unreachable: UnreachableNode[] }> {
  const opened = await Promise.allSettled(nodes.map((node) => node.open()));
  const failures = opened.flatMap((one, i) =>
    one.status === "rejected" ? [{ node: nodes[i]?.name ?? "", error: one.reason as unknown }] : [],
  );
  const serious = failures.find(({ error }) => !(error instanceof TandemError && awayCodes.includes(error.code)));
  if (serious) throw serious.error;
  const reachable = nodes.filter((_, i) => opened[i]?.status === "fulfilled");
  if (reachable.length < 2 && failures[0]) throw failures[0].error;
  const unreachable = failures.map(({ node, error }) => ({
    node,
    error: error instanceof Error ? error.message : String(error),
  }));
  return { reachable, unreachable };
}

/** All nodes must be there to be mended: one that is away may hold what is newest. */
function checkPreferred(
  mend: MendOptions | undefined,
  reachable: readonly VerifyNode[],
  unreachable: readonly UnreachableNode[],
): void {
  const [away] = unreachable;
  if (mend && away) throw new TandemError("cannot_connect", `nothing is mended while a node is away: ${away.error}`);
  if (mend?.prefer && !reachable.some(({ name }) => name === mend.prefer)) {
    throw new TandemError("usage", `no node is called ${mend.prefer}`, { node: mend.prefer });
  }
}

/** Whether any two of the nodes have a link of their own. */
function allLinked({ links }: Config, nodes: readonly VerifyNode[]): boolean {
  return nodes.every((a) =>
    nodes.every((b) => a === b || links.some(({ source, target }) => source === a.name && target === b.name)),
  );
}

async function see(node: VerifyNode, config: Config): Promise<SeenNode> {
  const overview = await node.overview();
  const reasons = new Map<string, string>();
  for (const row of await node.catalog(selectionQuery(config))) {
    if (row.tracked === "t" && row.decision !== "gone") continue;
    reasons.set(
      tableId(row.schema_name ?? "", row.table_name ?? ""),
      row.reason ?? 'is not tracked yet: run "tandem migrate"',
    );
  }
  return { node, overview, reasons };
}

/** undefined_column, undefined_table, no_data_found: the table was changed, dropped or taken out of tracking meanwhile. */
const changedStates = ["42703", "42P01", "P0002", "42P13", "42883"];

async function compareNow(
  seen: readonly SeenNode[],
  config: Config,
  schema: string,
  name: string,
  options: CompareOptions,
): Promise<TableVerifyReport> {
  let now = seen;
  for (let attempt = 1; ; attempt++) {
    try {
      return await compareTable(matchTable(now, schema, name), options);
    } catch (error) {
      if (attempt === 5 || !changedStates.includes(sqlState(error) ?? "")) throw error;
      now = await Promise.all(now.map(({ node }) => see(node, config)));
    }
  }
}

function asPattern(table: string): string {
  return /^("(?:[^"]|"")+"|[^".\s]+)$/.test(table.trim()) ? `public.${table.trim()}` : table;
}

function chosen<T extends { schema: string; name: string }>(
  tables: readonly T[],
  patterns: readonly string[] | undefined,
): readonly T[] {
  if (patterns === undefined) return tables;
  const fits = (pattern: string, { schema, name }: T) => matchesTable(asPattern(pattern), schema, name);
  const idle = patterns.find((pattern) => !tables.some((table) => fits(pattern, table)));
  if (idle !== undefined) throw new TandemError("usage", `no tracked table is called ${idle}`, { table: idle });
  return tables.filter((table) => patterns.some((pattern) => fits(pattern, table)));
}

function untrackedTables(
  seen: readonly SeenNode[],
  compared: readonly TableVerifyReport[],
  patterns: readonly string[] | undefined,
): UntrackedTable[] {
  if (patterns !== undefined) return [];
  const known = new Set(compared.map(({ schema, name }) => tableId(schema, name)));
  return seen.flatMap(({ node, reasons }) =>
    [...reasons]
      .filter(([id]) => !known.has(id))
      .map(([id, reason]) => {
        const [schema = "", name = ""] = JSON.parse(id) as string[];
        return { node: node.name, schema, name, reason };
      }),
  );
}

function reportOf(
  tables: readonly TableVerifyReport[],
  head: Pick<VerifyReport, "nodes" | "unreachable" | "untracked" | "asOf" | "finishedAt">,
): VerifyReport {
  const rows: Record<string, number> = Object.fromEntries(head.nodes.map((name) => [name, 0]));
  const reasons = noReasons();
  for (const table of tables) {
    for (const [node, count] of Object.entries(table.rows)) rows[node] = (rows[node] ?? 0) + count;
    for (const reason of Object.keys(reasons) as (keyof typeof reasons)[]) reasons[reason] += table.reasons[reason];
  }
  const equal = tables.filter((table) => table.equal).length;
  return {
    identical: equal === tables.length && head.unreachable.length === 0,
    ...head,
    tables,
    totals: {
      tables: tables.length,
      equal,
      rows,
      differing: tables.reduce((sum, table) => sum + table.differing, 0),
      reasons,
    },
  };
}
