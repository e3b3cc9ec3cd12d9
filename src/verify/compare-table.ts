import { bucketsFor, differingSlices, finerBuckets } from "./buckets.ts";
import type { TableMatch } from "./match.ts";
import { type MendOptions, mendKeys } from "./mend.ts";
import type { DifferingKey, Mended, Reason, TableVerifyReport, VerifyEvent } from "./report.ts";
import { estimate, hashesOf, type Side, sumTable } from "./scan.ts";
import type { Settler } from "./settle.ts";

/** How tables are compared. */
export interface CompareOptions {
  readonly rangeRows: number;
  /** Called after each piece of a table, with the milliseconds it took. */
  readonly rest: (tookMs: number) => Promise<void>;
  /** Differing keys that are listed for a table; all are counted. */
  readonly keyLimit: number;
  readonly settler: Settler;
  /** Null: nothing is mended. */
  readonly mend: MendOptions | null;
  readonly onProgress: (event: VerifyEvent) => void;
}

// Keys with hashes that are held in memory at once, per node.
const sliceRows = 50_000;

/** No difference of any kind. */
export const noReasons = (): Record<Reason, number> => ({ diverged: 0, pending: 0, parked: 0, held: 0 });

/**
 * Compares one table on all nodes that have it: sums per bucket first, all nodes at once; then the keys of the buckets
 * that differ, so many at a time; then each differing key alone, until it is known whether a change of it is under way.
 */
export async function compareTable(match: TableMatch, options: CompareOptions): Promise<TableVerifyReport> {
  const { schema, name, sides, missing, schemaDifferences } = match;
  const found = new Findings(sides, options.keyLimit);
  const rows: Record<string, number> = {};
  const mended: Mended[] = [];
  if (sides.length > 0) {
    const guess = Math.max(...(await Promise.all(sides.map(estimate))));
    const onRows = (node: string, read: number, total: number) =>
      options.onProgress({ kind: "read", node, schema, name, rows: read, total });
    const scan = { rangeRows: options.rangeRows, rest: options.rest };
    const sum = (buckets: number) => Promise.all(sides.map((side) => sumTable(side, buckets, { ...scan, onRows })));
    let size = bucketsFor(guess);
    let sums = await sum(size);
    for (const [i, { node }] of sides.entries()) rows[node.name] = sums[i]?.rows ?? 0;
    // Every slice is a scan of its own: rather one more with finer buckets, of which fewer differ.
    if (differingSlices(sums, sliceRows).length > 2 && finerBuckets(guess) > size) {
      size = finerBuckets(guess);
      sums = await sum(size);
    }
    const aliases = new Set<string>();
    for (const buckets of differingSlices(sums, sliceRows)) {
      const hashes = await Promise.all(sides.map((side) => hashesOf(side, size, buckets, scan)));
      const keys = differingKeys(hashes);
      if (keys.length === 0) continue;
      options.onProgress({ kind: "settle", schema, name, keys: keys.length });
      const settled = await options.settler.settle(sides, keys, aliases);
      for (const { key } of settled) found.add(key);
      const diverged = settled.filter(({ key }) => key.reason === "diverged");
      if (options.mend && diverged.length > 0) mended.push(...(await mendKeys(sides, diverged, options.mend)));
    }
  }
  const complete = schemaDifferences.every(({ generated }) => generated) && missing.length === 0;
  return {
    schema,
    name,
    compared: sides.length > 0,
    equal: sides.length > 0 && complete && found.count === 0,
    rows,
    groups: found.groups(),
    differing: found.count,
    reasons: found.reasons,
    keys: found.listed(),
    mended,
    schemaDifferences,
    missing,
  };
}

function differingKeys(hashes: readonly ReadonlyMap<string, string>[]): string[] {
  const keys = new Set(hashes.flatMap((one) => [...one.keys()]));
  return [...keys].filter((key) => new Set(hashes.map((one) => one.get(key))).size > 1);
}

/** What was found in a table, counted; of the keys as many as are to be listed. */
class Findings {
  readonly reasons = noReasons();
  count = 0;
  readonly #names: readonly string[];
  readonly #limit: number;
  readonly #keys: DifferingKey[] = [];
  /** Pairs of nodes that some key tells apart. */
  readonly #apart = new Set<string>();

  constructor(sides: readonly Side[], limit: number) {
    this.#names = sides.map(({ node }) => node.name);
    this.#limit = limit;
  }

  add(key: DifferingKey): void {
    this.count++;
    this.reasons[key.reason]++;
    if (this.#keys.length < this.#limit) this.#keys.push(key);
    const kinds = [key.lacking, ...key.groups];
    for (const one of kinds) {
      for (const other of kinds) {
        if (one !== other) for (const a of one) for (const b of other) this.#apart.add(`${a} ${b}`);
      }
    }
  }

  listed(): DifferingKey[] {
    const text = ({ key }: DifferingKey) => JSON.stringify(key);
    return this.#keys.sort((a, b) => (text(a) < text(b) ? -1 : 1));
  }

  groups(): string[][] {
    const groups: string[][] = [];
    for (const name of this.#names) {
      const group = groups.find((one) => one.every((other) => !this.#apart.has(`${name} ${other}`)));
      if (group) group.push(name);
      else groups.push([name]);
    }
    return groups;
  }
}
