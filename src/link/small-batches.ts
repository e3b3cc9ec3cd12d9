import { TandemError } from "../base/errors.ts";
import type { Acknowledgement, MatchedTable, Position } from "../base/exchange.ts";
import { tableKey } from "./carry-batch.ts";
import { addResult } from "./report.ts";
import type { Ends, LinkOptions } from "./round-context.ts";

/** Where a link stands that has nothing parked, held or copied. */
export interface Standing {
  /** As stored in the target. */
  readonly position: Position;
  readonly token: string;
  /** From where on the source has not been looked at. */
  readonly from: Position;
  /** The target's clock at the last contact, in milliseconds since 1970. */
  readonly clock: number;
}

/** What a small round did: `now` is where the source stood when it began. */
export interface SmallRound {
  readonly worked: boolean;
  /** Whether what there was is not sent to the target, whose position stays where it was. */
  readonly passed: boolean;
  readonly now: Position;
  /** Up to when the target has all, by its own clock. */
  readonly asOf: number;
}

// Beyond this the usual way costs no more for each row, and holds locks no longer.
const smallRows = 200;
const mostTables = 30;

/**
 * The short way of a link that keeps up: two messages, one to each end, where the usual way takes sixteen. Whatever is not
 * plain (a conflict, a new table, a row that is locked, refused or waits) is left to the usual way, which begins the round anew and
 * decides everything. It is taken only where a round of the usual way has met both ends over these same connections.
 */
export class SmallBatches {
  readonly #ends: Ends;
  readonly #options: LinkOptions;
  readonly #tables = new Map<string, MatchedTable>();
  /** Those whose reader is known to be there, by their id at the source; where it is not any more, the batch goes the usual way. */
  readonly #ready = new Set<number>();
  #standing: Standing | null = null;
  /** What the source has not been told yet; it goes with the next message. */
  #owed: Acknowledgement | null = null;

  constructor(ends: Ends, options: LinkOptions) {
    this.#ends = ends;
    this.#options = options;
  }

  /** A table was carried the usual way. */
  learn(table: MatchedTable): void {
    const key = tableKey(table.source);
    this.#tables.delete(key);
    this.#tables.set(key, table);
    // All of them are locked for each reading.
    const [oldest] = this.#tables.keys();
    if (this.#tables.size > mostTables && oldest !== undefined) this.#tables.delete(oldest);
  }

  /** Where the link stands after a round of the usual way; null: where that is not plain. */
  stand(standing: Standing | null): void {
    this.#standing = standing;
  }

  /** What was learned over a lost connection may not hold. */
  forget(): void {
    this.#tables.clear();
    this.#ready.clear();
    this.#standing = null;
    this.#owed = null;
  }

  /** One round by the short way; null: it must go the usual way. `hush`: what is sent to the source ends the asking to be told of commits too. */
  async round(known: {
    readonly skewMs: number;
    readonly since: number | null;
    readonly hush: boolean;
  }): Promise<SmallRound | null> {
    const standing = this.#standing;
    if (standing === null || this.#tables.size === 0) return null;
    const { source, target, report } = this.#ends;
    const { position, token: held, clock: asOf } = standing;
    this.#standing = null;
    const limit = Math.min(smallRows, this.#options.batchRows);
    const tables = [...this.#tables.values()];
    const ready = new Set(this.#ready);
    this.#ready.clear();
    const batch = await source.readSmall({
      from: standing.from,
      held,
      acknowledge: this.#owed,
      limit,
      tables,
      ready,
      hush: known.hush,
    });
    if (batch === null) return null;
    for (const id of [...ready, ...batch.tables.map(({ table }) => table.source.id)]) this.#ready.add(id);
    this.#owed = null;
    const { token, state } = batch;
    if (token === null) {
      this.#standing = source.pooled ? standing : { ...standing, from: state.now };
      return { worked: false, passed: batch.passed, now: state.now, asOf };
    }
    this.#options.signal?.throwIfAborted();
    const reach = { asOf, since: known.since };
    const plain = { ...batch, token, tables: batch.tables.filter(({ rows }) => rows.length > 0) };
    const result = await target.applySmall({ batch: plain, from: position, held, skewMs: known.skewMs, reach });
    if (result === null) return null;
    this.#owed = { position: batch.to, token, seen: result.seen };
    this.#standing = { position: batch.to, from: batch.to, token, clock: result.clock };
    addResult(report, { tables: result.tables, conflicts: 0, undecided: 0 });
    report.small++;
    for (const { schema, name, staged } of result.tables) {
      this.#options.onEvent?.({
        source: source.name,
        target: target.name,
        kind: "batch",
        table: { schema, name },
        rows: staged,
        total: null,
      });
    }
    return { worked: true, passed: false, now: state.now, asOf };
  }

  /** Tells the source what it is owed, before the usual way; where it does not take that, another applier has told it more. */
  async settle(): Promise<void> {
    const owed = this.#owed;
    this.#owed = null;
    if (owed === null) return;
    try {
      await this.#ends.source.confirm(owed.position, owed.token, owed.seen, []);
    } catch (error) {
      if (!(error instanceof TandemError) || error.code !== "identity_mismatch") throw error;
    }
  }
}
