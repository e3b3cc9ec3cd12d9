import { TandemError } from "../base/errors.ts";
import type { Extent, Piece, VerifyNode, VerifySpec, VerifyTable } from "../postgres/verify-node.ts";
import { Rewritten } from "../postgres/verify-node.ts";
import { Buckets } from "./buckets.ts";

/** One table in one node. */
export interface Side {
  readonly node: VerifyNode;
  readonly table: VerifyTable;
  readonly spec: VerifySpec;
}

/** How a table is read. */
export interface ScanOptions {
  /** Rows of a piece, about. */
  readonly rangeRows: number;
  /** Called after each piece, with the milliseconds it took. */
  readonly rest: (tookMs: number) => Promise<void>;
  readonly onRows?: (node: string, rows: number, total: number) => void;
}

const attempts = 10;

/** How many rows the table has, as far as its size tells. */
export async function estimate({ node, table }: Side): Promise<number> {
  return (await node.extent(table)).reduce((sum, extent) => sum + extent.rows, 0);
}

/** Sums of the whole table, piece by piece; from the start again when it was rewritten meanwhile. */
export async function sumTable(side: Side, size: number, options: ScanOptions): Promise<Buckets> {
  let buckets = new Buckets(size);
  const begin = () => {
    buckets = new Buckets(size);
  };
  await eachPiece(side, options, begin, async (piece, total) => {
    buckets.add(await side.node.buckets(side.spec, piece, size));
    options.onRows?.(side.node.name, buckets.rows, Math.max(total, buckets.rows));
  });
  return buckets;
}

/** Hashes by key (JSON) of the rows that lie in some buckets. */
export async function hashesOf(
  side: Side,
  size: number,
  wanted: readonly number[],
  options: ScanOptions,
): Promise<Map<string, string>> {
  const bits = new Array<string>(size).fill("0");
  for (const bucket of wanted) bits[bucket] = "1";
  const mask = bits.join("");
  const hashes = new Map<string, string>();
  const begin = () => hashes.clear();
  await eachPiece(side, options, begin, async (piece) => {
    for (const [key, hash] of await side.node.keys(side.spec, piece, size, mask)) hashes.set(key, hash);
  });
  return hashes;
}

async function eachPiece(
  side: Side,
  { rangeRows, rest }: ScanOptions,
  begin: () => void,
  read: (piece: Piece, total: number) => Promise<void>,
): Promise<void> {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    begin();
    const extents = await side.node.extent(side.table);
    const total = extents.reduce((sum, extent) => sum + extent.rows, 0);
    try {
      for (const extent of extents) {
        for (const piece of piecesOf(extent, rangeRows)) {
          const begun = performance.now();
          await read(piece, total);
          await rest(performance.now() - begun);
        }
      }
      return;
    } catch (error) {
      if (!(error instanceof Rewritten)) throw error;
    }
  }
  const table = `${side.table.schema}.${side.table.name}`;
  throw new TandemError(
    "serialization",
    `node ${side.node.name}: table ${table} was rewritten again and again while it was read`,
    {
      node: side.node.name,
      table,
    },
  );
}

/** The last piece has no end: what is appended meanwhile belongs to it. */
function piecesOf(extent: Extent, rangeRows: number): Piece[] {
  const { blocks, rows } = extent;
  if (blocks === null) return [{ ...extent, from: 0, to: null }];
  const step = Math.max(1, Math.ceil((blocks * rangeRows) / Math.max(1, rows)));
  const pieces: Piece[] = [];
  for (let from = 0; from < blocks || from === 0; from += step) {
    pieces.push({ ...extent, from, to: from + step < blocks ? from + step : null });
  }
  return pieces;
}
