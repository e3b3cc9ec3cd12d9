import { PassThrough, pipeline } from "node:stream";
import { finished } from "node:stream/promises";
import type { MatchedTable, OpenBatch, ReadRequest, Rows } from "../base/exchange.ts";
import { chooseCopyFormat } from "./columns.ts";

// What is read before the target takes it, at most, in bytes: of the 150 MB that an applier may take.
const buffered = 16 * 1_048_576;

/** Opens a batch's first table the way that the batch before has shown; null: nothing is read ahead. */
export type Guess = (batch: OpenBatch) => Promise<ReadRequest | null>;

/**
 * A batch that a source reads, from the snapshot to the end of its transaction. One that was begun ahead, while the batch before it is applied,
 * reads its first table into memory until it is taken: what its source knew of the target is then older, never newer.
 */
export class Reading<T> {
  readonly #over: Promise<T | null>;
  #decide: (taken: boolean) => void = () => {};

  /** `open` reads a batch; `guess`: it is begun ahead, and waits to be taken or given up; `body` gets the batch once it is taken. */
  constructor(
    open: (body: (batch: OpenBatch) => Promise<T | null>) => Promise<T | null>,
    guess: Guess | null,
    body: (batch: OpenBatch) => Promise<T>,
  ) {
    const decided = new Promise<boolean>((resolve) => {
      this.#decide = resolve;
    });
    this.#over = open(async (batch) => {
      if (guess === null) return await body(batch);
      const ahead = await Ahead.begin(batch, await guess(batch));
      let result: T | null = null;
      try {
        if (await decided) result = await body(ahead.batch);
      } catch (error) {
        await ahead.drain().catch(() => {});
        throw error;
      }
      await ahead.drain();
      return result;
    });
    // It may fail long before anybody asks.
    this.#over.catch(() => {});
  }

  /** What the body made of the batch. */
  async take(): Promise<T | null> {
    this.#decide(true);
    return await this.#over;
  }

  /** Nothing is made of it; the source is free when this returns. Never throws. */
  async giveUp(): Promise<void> {
    this.#decide(false);
    await this.#over.catch(() => {});
  }
}

/** A batch of which one table is being read before anybody has asked for it. */
class Ahead {
  readonly #batch: OpenBatch;
  readonly #request: ReadRequest | null;
  #rows: Rows | null;

  private constructor(batch: OpenBatch, request: ReadRequest | null, rows: Rows | null) {
    this.#batch = batch;
    this.#request = request;
    this.#rows = rows;
  }

  static async begin(batch: OpenBatch, request: ReadRequest | null): Promise<Ahead> {
    if (request === null) return new Ahead(batch, null, null);
    const from = await batch.rows(request);
    const copy = new PassThrough({ highWaterMark: buffered });
    // Either takes the other along when it fails. The reader gets the error when it comes; until then nobody listens.
    pipeline(from.copy, copy, () => {});
    copy.on("error", () => {});
    return new Ahead(batch, request, { ...from, copy });
  }

  /** The batch, which takes what was read for an answer where it is asked for just that first. */
  get batch(): OpenBatch {
    return { ...this.#batch, rows: (request) => this.#answer(request) };
  }

  /** Reads to the end: a COPY that is abandoned breaks its connection. */
  async drain(): Promise<void> {
    const rows = this.#rows;
    this.#rows = null;
    if (rows === null) return;
    rows.copy.resume();
    await finished(rows.copy);
  }

  async #answer(request: ReadRequest): Promise<Rows> {
    const rows = this.#rows;
    if (rows !== null && JSON.stringify(request) === JSON.stringify(this.#request)) {
      this.#rows = null;
      return rows;
    }
    await this.drain();
    return await this.#batch.rows(request);
  }
}

/** How a table that was carried before is read anew, as long as its shape is the same. */
export function readAgain(matched: MatchedTable, table: ReadRequest["table"], what: ReadRequest["what"]): ReadRequest {
  const { source, target, columns, unplaced } = matched;
  return { table, columns, unplaced, copyFormat: chooseCopyFormat(source, target, columns), what };
}
