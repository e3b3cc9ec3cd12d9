import type { LinkState, TableName, TableState } from "../base/ends.ts";
import { tableKey } from "./carry-batch.ts";
import type { RoundContext } from "./round-context.ts";

// A range is one transaction on either side: short enough for a provider's limits, long enough to be fast.
const rangeRows = 50_000;

/**
 * Copies one range of one table that the link meets for the first time; returns whether there was one. Parents come
 * before children where foreign keys allow. Progress is stored with the rows, so a copy goes on where it stopped.
 */
export async function copyTables(context: RoundContext, state: LinkState, undecided: Set<string>): Promise<boolean> {
  const waiting = state.tables.filter((table) => table.state === "copy" && !undecided.has(tableKey(table)));
  const next = waiting.find((table) => table.copiedTo !== null) ?? waiting[0];
  if (!next) return false;
  await copyRange(context, await parentsFirst(context, waiting, next), undecided);
  return true;
}

async function parentsFirst(
  context: RoundContext,
  waiting: readonly TableState[],
  next: TableState,
): Promise<TableState> {
  if (next.copiedTo !== null) return next;
  const order = await context.ends.target.copyOrder(waiting);
  return waiting.find((table) => order[0] !== undefined && tableKey(table) === tableKey(order[0])) ?? next;
}

async function copyRange(context: RoundContext, state: TableState, undecided: Set<string>): Promise<void> {
  const name: TableName = { schema: state.schema, name: state.name };
  let done = false;
  let total: number | null = null;
  const result = await context.carry({ from: context.position, own: [], tables: [name] }, async (batch) => {
    const table = batch.tables.find((shape) => tableKey(shape) === tableKey(name));
    if (!table) {
      done = true;
      return {
        wanted: [],
        mode: "copy",
        to: context.position,
        cut: false,
        copy: { ...name, upto: null, done },
        released: [],
      };
    }
    const upto = await batch.bound(table, state.copiedTo, rangeRows);
    done = upto === null;
    total = table.estimate;
    return {
      wanted: [{ table, what: { kind: "range", after: state.copiedTo, upto } }],
      mode: "copy",
      to: context.position,
      cut: false,
      copy: { ...name, upto, done },
      released: [],
    };
  });
  if (result === null) return;
  const staged = result.tables.find((table) => tableKey(table) === tableKey(name))?.staged ?? 0;
  context.options.onEvent?.({
    source: context.ends.source.name,
    target: context.ends.target.name,
    kind: "copy",
    table: name,
    rows: state.rowsCopied + staged,
    total: done ? state.rowsCopied + staged : total,
  });
  if (!done) return;
  const after = (await context.ends.target.state()).tables.find((table) => tableKey(table) === tableKey(name));
  if (after?.state === "copy" && after.reason !== null) undecided.add(tableKey(name));
}
