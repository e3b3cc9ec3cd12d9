import type { LinkState, TableName, TableState } from "../base/exchange.ts";
import { tableKey } from "./carry-batch.ts";
import type { RoundContext, Step } from "./round-context.ts";

// A range is one transaction on either side: short enough for a provider's limits, long enough to be fast.
const rangeRows = 50_000;

/** What a link remembers of its first copies. */
export interface CopyMemory {
  /** Tables with rows that nothing decides: not tried again by this process. */
  readonly undecided: Set<string>;
  /** The tables that waited when this was asked for, parents first. */
  order: readonly string[];
}

/**
 * Copies one range of one table that the link meets for the first time; returns whether there was one. Parents come
 * before children where foreign keys allow. Progress is stored with the rows, so a copy goes on where it stopped.
 */
export async function copyTables(context: RoundContext, state: LinkState, memory: CopyMemory): Promise<boolean> {
  const waiting = state.tables.filter((table) => table.state === "copy" && !memory.undecided.has(tableKey(table)));
  if (waiting.length === 0) return false;
  const next =
    waiting.find((table) => table.copiedTo !== null) ?? (await parentsFirst(context, waiting, memory)) ?? waiting[0]!;
  await copyRange(context, next, memory.undecided);
  return true;
}

/** The order is asked for once for all that wait: with hundreds of tables it takes longer than a copy of an empty one. */
async function parentsFirst(
  context: RoundContext,
  waiting: readonly TableState[],
  memory: CopyMemory,
): Promise<TableState | undefined> {
  const byKey = new Map(waiting.map((table) => [tableKey(table), table]));
  const known = new Set(memory.order);
  if (waiting.some((table) => !known.has(tableKey(table)))) {
    memory.order = (await context.ends.target.copyOrder(waiting)).map(tableKey);
  }
  const next = memory.order.find((key) => byKey.has(key));
  return next === undefined ? undefined : byKey.get(next);
}

async function copyRange(context: RoundContext, state: TableState, undecided: Set<string>): Promise<void> {
  const name: TableName = { schema: state.schema, name: state.name };
  const { source, target } = context.ends;
  let copied = state.rowsCopied;
  let total: number | null = null;
  /** The range that begins after a key, and those behind it. */
  const range = (copiedTo: TableState["copiedTo"]): Step => ({
    request: { from: context.position, own: [], tables: [name], onlyThese: true },
    async plan(batch) {
      const table = batch.tables.find((shape) => tableKey(shape) === tableKey(name));
      const upto = table ? await batch.bound(table, copiedTo, rangeRows) : null;
      if (table) total = table.estimate;
      return {
        wanted: table ? [{ table, what: { kind: "range", after: copiedTo, upto } }] : [],
        mode: "copy",
        to: context.position,
        cut: false,
        copy: { ...name, upto, done: upto === null },
        released: [],
      };
    },
    after: ({ copy }) => (copy?.upto ? range(copy.upto) : null),
    applied({ tables }, { copy }) {
      copied += tables.find((table) => tableKey(table) === tableKey(name))?.staged ?? 0;
      const all = copy?.done ? copied : total;
      context.options.onEvent?.({
        source: source.name,
        target: target.name,
        kind: "copy",
        table: name,
        rows: copied,
        total: all,
      });
    },
  });
  const carried = await context.carry(range(state.copiedTo));
  if (!carried?.plan.copy?.done) return;
  const after = (await target.state()).tables.find((table) => tableKey(table) === tableKey(name));
  if (after?.state === "copy" && after.reason !== null) undecided.add(tableKey(name));
}
