import type { LinkState, OpenBatch, TablePreview, TableState } from "../base/exchange.ts";
import { tableKey, type Wanted } from "./carry-batch.ts";
import { tableLabel } from "./report.ts";
import type { BatchPlan, RoundContext } from "./round-context.ts";

// As in a first copy: ranges short enough for a provider's limits.
const rangeRows = 50_000;

/**
 * What the link would do now, per table; nothing is applied and no row is locked. Tables that the link meets for the
 * first time are read range by range, as a first copy would; of the entries that wait for such a table only deletions
 * are counted, for its rows have been counted already.
 */
export async function previewLink(context: RoundContext, state: LinkState): Promise<Map<string, TablePreview>> {
  const sum = new Map<string, TablePreview>();
  const copied = state.tables.filter((table) => table.state === "copy");
  for (const table of copied) {
    // What the closure adds of other tables is counted with those.
    for await (const previews of ranges(context, table)) {
      for (const preview of previews) if (tableKey(preview) === tableKey(table)) add(sum, preview, false);
    }
  }
  const resting = new Set(state.tables.filter((table) => table.state === "held").map(tableKey));
  const own = state.tables.filter((table) => table.state !== "held");
  const previews = await again(() =>
    context.preview({
      request: { from: context.position, own, tables: state.parked, onlyThese: false },
      plan: (batch) => changesPlan(batch, context, own, resting),
    }),
  );
  const fresh = new Set(copied.map(tableKey));
  for (const preview of previews) add(sum, preview, fresh.has(tableKey(preview)));
  return sum;
}

function changesPlan(
  batch: OpenBatch,
  context: RoundContext,
  own: readonly TableState[],
  resting: ReadonlySet<string>,
): BatchPlan {
  const wanted: Wanted[] = batch.tables
    .filter(
      (table) => !resting.has(tableKey(table)) && batch.changed.some((other) => tableKey(other) === tableKey(table)),
    )
    .map((table) => ({
      table,
      what: {
        kind: "changes",
        from: own.find((other) => tableKey(other) === tableKey(table))?.position ?? context.position,
        keys: [],
      },
    }));
  return { wanted, mode: "batch", to: batch.to, cut: batch.cut, copy: null, released: [] };
}

async function* ranges(context: RoundContext, table: TableState): AsyncGenerator<readonly TablePreview[]> {
  let after = table.copiedTo;
  do {
    let upto: readonly string[] | null = null;
    const start = after;
    yield await again(() =>
      context.preview({
        request: { from: context.position, own: [], tables: [table], onlyThese: true },
        async plan(batch) {
          const shape = batch.tables.find((other) => tableKey(other) === tableKey(table));
          upto = shape ? await batch.bound(shape, start, rangeRows) : null;
          const wanted: Wanted[] = shape ? [{ table: shape, what: { kind: "range", after: start, upto } }] : [];
          return { wanted, mode: "copy", to: batch.to, cut: false, copy: null, released: [] };
        },
      }),
    );
    after = upto;
  } while (after !== null);
}

/** A table that turns out to need staging as text is read once more. */
async function again(preview: () => Promise<readonly TablePreview[] | null>): Promise<readonly TablePreview[]> {
  for (;;) {
    const result = await preview();
    if (result !== null) return result;
  }
}

function add(sum: Map<string, TablePreview>, preview: TablePreview, deletionsOnly: boolean): void {
  const label = tableLabel(preview);
  const so = sum.get(label);
  const part = (name: "insert" | "update" | "conflict" | "refuse") =>
    (so?.[name] ?? 0) + (deletionsOnly ? 0 : preview[name]);
  sum.set(label, {
    schema: preview.schema,
    name: preview.name,
    insert: part("insert"),
    update: part("update"),
    delete: (so?.delete ?? 0) + preview.delete,
    conflict: part("conflict"),
    refuse: part("refuse"),
  });
}
