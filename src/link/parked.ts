import type { ParkedKeys, ParkedRow } from "../base/exchange.ts";
import { tableKey } from "./carry-batch.ts";
import type { RoundContext } from "./round-context.ts";

// A busy row may wait for its lock when it is alone; so many are tried after a batch, the others with the next one.
const triesPerBatch = 20;

/**
 * Tries rows that somebody else held locked once more, each alone: its lock is the first of its transaction, so it may
 * wait for it without holding anything that others wait for. Those that a batch has just parked, and of those that were
 * `due` before it the ones that it has put off (`parked`: all that is parked after it).
 */
export async function retryBusy(
  context: RoundContext,
  due: readonly ParkedKeys[],
  parked: readonly ParkedRow[],
): Promise<void> {
  const name = (schema: string, table: string, key: readonly string[]) => JSON.stringify([schema, table, key]);
  const left = new Set(parked.map(({ schema, table, key }) => name(schema, table, key)));
  if (left.size === 0) return;
  const first = (await context.ends.target.state()).parked;
  const tried = new Set<string>();
  for (const table of [...first, ...due].filter((keys) => !context.holds(keys))) {
    for (const key of table.busy) {
      const row = name(table.schema, table.name, key);
      if (!left.has(row) || tried.has(row)) continue;
      if (tried.size >= triesPerBatch) return;
      tried.add(row);
      await retryAlone(context, table, key);
    }
  }
}

async function retryAlone(context: RoundContext, name: ParkedKeys, key: readonly string[]): Promise<void> {
  await context.carry({
    request: { from: context.position, own: [], tables: [name], onlyThese: true },
    plan(batch) {
      const table = batch.tables.find((shape) => tableKey(shape) === tableKey(name));
      return {
        wanted: table ? [{ table, what: { kind: "keys", keys: [key] } }] : [],
        mode: "alone",
        to: context.position,
        cut: false,
        copy: null,
        released: [],
      };
    },
  });
}
