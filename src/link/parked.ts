import type { ParkedKeys } from "../base/ends.ts";
import { tableKey } from "./carry-batch.ts";
import type { RoundContext } from "./round-context.ts";

// A busy row may wait for its lock when it is alone; so many are tried after a batch, the others with the next one.
const triesPerBatch = 20;

/**
 * Tries rows that somebody else held locked once more, each alone: its lock is the first of its transaction, so it may
 * wait for it without holding anything that others wait for.
 */
export async function retryBusy(context: RoundContext): Promise<void> {
  const { parked } = await context.ends.target.state();
  let left = triesPerBatch;
  for (const table of parked.filter((keys) => !context.holds(keys))) {
    for (const key of table.busy) {
      if (left-- <= 0) return;
      await retryAlone(context, table, key);
    }
  }
}

async function retryAlone(context: RoundContext, name: ParkedKeys, key: readonly string[]): Promise<void> {
  await context.carry({ from: context.position, own: [], tables: [name] }, (batch) => {
    const table = batch.tables.find((shape) => tableKey(shape) === tableKey(name));
    return {
      wanted: table ? [{ table, what: { kind: "keys", keys: [key] } }] : [],
      mode: "alone",
      to: context.position,
      cut: false,
      copy: null,
      released: [],
    };
  });
}
