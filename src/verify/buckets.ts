/** Counts and hash sums of a table's rows, per bucket of keys; the sums are taken modulo 2^64. Its size does not grow with the table. */
export class Buckets {
  readonly size: number;
  rows = 0;
  readonly #counts: Float64Array;
  readonly #sums: readonly [BigUint64Array, BigUint64Array];

  constructor(size: number) {
    this.size = size;
    this.#counts = new Float64Array(size);
    this.#sums = [new BigUint64Array(size), new BigUint64Array(size)];
  }

  /** Adds the sums of a piece: `bucket,rows,sum,sum;…`. */
  add(sums: string): void {
    const [first, second] = this.#sums;
    for (const line of sums === "" ? [] : sums.split(";")) {
      const [bucket, rows, one, other] = line.split(",");
      const at = Number(bucket);
      this.#counts[at] = (this.#counts[at] ?? 0) + Number(rows);
      this.rows += Number(rows);
      // storing into the array cuts to 64 bits
      first[at] = (first[at] ?? 0n) + BigInt(one ?? 0);
      second[at] = (second[at] ?? 0n) + BigInt(other ?? 0);
    }
  }

  count(bucket: number): number {
    return this.#counts[bucket] ?? 0;
  }

  /** Whether a bucket holds the same rows in both. */
  same(other: Buckets, bucket: number): boolean {
    const [one, two] = [this.#sums, other.#sums];
    return (
      this.count(bucket) === other.count(bucket) &&
      one[0][bucket] === two[0][bucket] &&
      one[1][bucket] === two[1][bucket]
    );
  }
}

/** Few at first, for the databases add up fast only while all sums fit into a processor's cache. */
export function bucketsFor(rows: number): number {
  return clampedPower(rows / 64, 1_024);
}

/** So many that a bucket holds a dozen rows, for a table of which much differs; whatever the table's size, memory is bounded. */
export function finerBuckets(rows: number): number {
  return clampedPower(rows / 8, 65_536);
}

function clampedPower(wanted: number, most: number): number {
  return Math.min(most, Math.max(16, 2 ** Math.ceil(Math.log2(Math.max(1, wanted)))));
}

/** The buckets that do not hold the same rows in all, in slices of about as many rows as are to be held in memory at once. */
export function differingSlices(all: readonly Buckets[], sliceRows: number): number[][] {
  const [reference, ...others] = all;
  const slices: number[][] = [];
  let slice: number[] = [];
  let held = 0;
  for (let bucket = 0; reference && bucket < reference.size; bucket++) {
    if (others.every((other) => other.same(reference, bucket))) continue;
    const rows = Math.max(...all.map((one) => one.count(bucket)));
    if (slice.length > 0 && held + rows > sliceRows) {
      slices.push(slice);
      slice = [];
      held = 0;
    }
    slice.push(bucket);
    held += rows;
  }
  if (slice.length > 0) slices.push(slice);
  return slices;
}
