import type { Source, Target } from "../base/ends.ts";
import { TandemError } from "../base/errors.ts";
import type {
  ApplyRequest,
  ApplyResult,
  BatchRequest,
  LinkState,
  MatchedTable,
  OpenBatch,
  Position,
  Reach,
  TableName,
  TablePreview,
} from "../base/exchange.ts";
import type { Clock } from "../base/time.ts";
import { carryBatch, NotOfItsType, type Staged, tableKey, type Wanted } from "./carry-batch.ts";
import { Reading, readAgain } from "./reading.ts";
import { addResult, type LinkEvent, type LinkReport } from "./report.ts";

/** How a link works. */
export interface LinkOptions {
  readonly clock: Clock;
  /** Entries in a batch before it is cut. */
  readonly batchRows: number;
  readonly onEvent?: ((event: LinkEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Runs what holds a transaction on either end at once; where sessions are few, one link at a time. */
  readonly inTurn?: (<T>(work: () => Promise<T>) => Promise<T>) | undefined;
  /** Whether a round goes on with the batches that follow, each read while the one before is applied; not with `inTurn`. */
  readonly readAhead?: boolean | undefined;
  /**
   * For how many milliseconds the stored position may stay where it is while all that was written is nothing for the target; a link that ends sooner
   * looks there again. Without: it is moved on at once.
   */
  readonly moveOnMs?: number | undefined;
}

/** What a batch is to become, once it is open. */
export interface BatchPlan {
  readonly wanted: readonly Wanted[];
  readonly mode: ApplyRequest["mode"];
  readonly to: Position;
  readonly cut: boolean;
  readonly copy: ApplyRequest["copy"];
  readonly released: readonly TableName[];
}

/** The link, as its parts see it. */
export interface Ends {
  readonly source: Source;
  readonly target: Target;
  readonly report: LinkReport;
}

/** What a batch is read for. */
export type CarryRequest = Omit<BatchRequest, "limit" | "allVersions">;

/** A batch to be carried. */
export interface Step {
  readonly request: CarryRequest;
  readonly plan: (batch: OpenBatch) => BatchPlan | Promise<BatchPlan>;
  /** The batch that follows this one, if it is applied plainly; null: none. It is asked for before that. */
  readonly after?: (plan: BatchPlan) => Step | null;
  readonly applied?: (result: ApplyResult, plan: BatchPlan) => void;
}

/** A batch that was applied. */
export interface Carried {
  readonly result: ApplyResult;
  readonly plan: BatchPlan;
  readonly token: string;
}

/** A batch that was read and staged. */
interface Read {
  readonly staged: Staged;
  readonly plan: BatchPlan;
  readonly horizon: string;
}

// A round begins no further batch after so long: what only its beginning sees (who pauses the link, tables that change) waits for its end.
const longestMs = 2_000;

/** The error to end a round with when another applier has carried this link on since the target had `token`; else null. */
export async function movedOn({ source, target }: Ends, token: string | null): Promise<TandemError | null> {
  if ((await target.state()).token === token) return null;
  const link = `${source.name} → ${target.name}`;
  return new TandemError("position_mismatch", `link ${link}: another applier has moved this link on`, { link });
}

/** What the parts of a round share: reading, staging, applying and telling the source, for whatever is wanted. */
export class RoundContext {
  readonly ends: Ends;
  readonly options: LinkOptions;
  readonly #asText: Set<string>;
  readonly #held: ReadonlySet<string>;
  readonly #skewMs: number;
  readonly #reach: Reach;
  readonly #allVersions: boolean;
  readonly #onMatched: (table: MatchedTable) => void;
  /** Tables as they were staged by their types, in this round. */
  readonly #matched = new Map<string, MatchedTable>();
  /** Whether there are tables that do not flow with the link. */
  #someHeld: boolean;
  #position: Position;
  #token: string | null;

  constructor(
    ends: Ends,
    options: LinkOptions,
    state: LinkState,
    known: {
      readonly asText: Set<string>;
      readonly skewMs: number;
      readonly reach: Reach;
      readonly onMatched: (table: MatchedTable) => void;
    },
  ) {
    if (state.position === null) throw new TandemError("internal", "a link was used before its first contact");
    this.ends = ends;
    this.options = options;
    this.#asText = known.asText;
    this.#held = new Set(state.tables.filter((table) => table.state === "held").map(tableKey));
    this.#skewMs = known.skewMs;
    this.#reach = known.reach;
    this.#onMatched = known.onMatched;
    this.#someHeld = state.tables.length > 0;
    this.#allVersions = state.tables.some(({ rejoin }) => rejoin !== null);
    this.#position = state.position;
    this.#token = state.token;
  }

  /** Whether the link holds a table back. */
  holds(table: TableName): boolean {
    return this.#held.has(tableKey(table));
  }

  /** The position as stored in the target. */
  get position(): Position {
    return this.#position;
  }

  /** The contact token as stored in the target. */
  get token(): string | null {
    return this.#token;
  }

  /**
   * Carries one batch, and where `after` names them those that follow it, each of which is read while the one before is applied. Returns the last
   * one that was applied. Null: none was, and the round must begin anew, because the source first had to write fresh entries, or a table must be staged
   * as text.
   */
  async carry(first: Step): Promise<Carried | null> {
    const began = this.options.clock.now();
    let last: Carried | null = null;
    let reading = this.#begin(first, false);
    for (let step = first; ; ) {
      const [outcome] = await Promise.allSettled([reading.take()]);
      // Its source is free to be told of the batch before it.
      if (last !== null) await this.#tell(last);
      if (outcome.status === "rejected") {
        if (!(outcome.reason instanceof NotOfItsType)) throw outcome.reason;
        this.#asText.add(tableKey(outcome.reason.table));
        return last;
      }
      const read = outcome.value;
      if (read === null) return last;
      this.options.signal?.throwIfAborted();
      const { source } = this.ends;
      const { plan } = read;
      const token = await this.#unlessMovedOn(this.#token, () => source.offerContact(this.#token));
      const apply = this.#applyRequest(read, token);
      const next = this.#goesOn(began) ? (step.after?.(plan) ?? null) : null;
      let ahead = next && this.#begin(next, true);
      const giveUp = async () => {
        await ahead?.giveUp();
        ahead = null;
      };
      let result: ApplyResult;
      try {
        result = await this.#apply(apply);
        if (result.unsettled.length > 0) {
          await giveUp();
          // Rows that the application holds locked there hold up nothing else: they wait in the target.
          const left = await source.settle(result.unsettled, plan.mode === "alone");
          if (left === 0) return last;
          result = await this.#apply({ ...apply, unsettled: "park" });
        }
      } catch (error) {
        await giveUp();
        throw error;
      }
      this.#token = token;
      this.#position = plan.to;
      last = { result, plan, token };
      step.applied?.(result, plan);
      // Retrying what is parked, and telling of what is held, come before the next batch.
      if (result.parked.length > 0 || result.held.length > 0) await giveUp();
      if (next === null || ahead === null) {
        await this.#tell(last);
        return last;
      }
      step = next;
      reading = ahead;
    }
  }

  /** Whether another batch may be begun in this round. */
  #goesOn(began: number): boolean {
    const { clock, readAhead = false, inTurn, signal } = this.options;
    return readAhead && !inTurn && !signal?.aborted && clock.now() - began < longestMs;
  }

  /** Tells the source of a batch that was applied. */
  async #tell({ result, plan, token }: Carried): Promise<void> {
    const { source } = this.ends;
    await this.#unlessMovedOn(token, () => source.confirm(plan.to, token, result.seen, result.parked));
    if (this.#someHeld || result.held.length > 0) await source.noteHeld(result.held);
    this.#someHeld = result.held.length > 0;
  }

  /**
   * A contact token that does not fit any more may mean that another applier of this link was faster: then the target
   * has got another one meanwhile, and nothing is wrong with the databases.
   */
  async #unlessMovedOn<T>(token: string | null, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof TandemError) || error.code !== "identity_mismatch") throw error;
      throw (await movedOn(this.ends, token)) ?? error;
    }
  }

  /** What applying the batch would do; nothing is applied. */
  async preview(step: Step): Promise<readonly TablePreview[] | null> {
    try {
      const read = await this.#begin(step, false).take();
      return read && (await this.ends.target.preview(this.#applyRequest(read, null)));
    } catch (error) {
      if (!(error instanceof NotOfItsType)) throw error;
      this.#asText.add(tableKey(error.table));
      return null;
    }
  }

  #applyRequest({ staged, plan, horizon }: Read, token: string | null): ApplyRequest {
    const { wanted: _, ...planned } = plan;
    return {
      ...planned,
      staging: staged.id,
      from: this.#position,
      token,
      horizon,
      skewMs: this.#skewMs,
      reach: this.#reach,
      tables: staged.tables,
    };
  }

  /** Begins to read a batch; `ahead`: while another one is applied. */
  #begin({ request, plan }: Step, ahead: boolean): Reading<Read> {
    const { source, target } = this.ends;
    const { onEvent, batchRows, inTurn = (work) => work() } = this.options;
    let planned: BatchPlan | null = null;
    const guess = async (batch: OpenBatch) => {
      planned = await plan(batch);
      const [wanted] = planned.wanted;
      const matched = wanted && this.#matched.get(tableKey(wanted.table));
      if (!matched || matched.source.mark !== wanted.table.mark || this.#asText.has(tableKey(wanted.table)))
        return null;
      return readAgain(matched, wanted.table, wanted.what);
    };
    const asked = { ...request, limit: batchRows, allVersions: this.#allVersions };
    const open = (body: (batch: OpenBatch) => Promise<Read | null>) => inTurn(() => source.read(asked, body));
    return new Reading(open, ahead ? guess : null, async (batch) => {
      planned ??= await plan(batch);
      const kind = planned.mode === "copy" ? "copy" : "batch";
      const staged = await carryBatch(batch, target, planned.wanted, {
        asText: this.#asText,
        held: this.#held,
        onMatched: (table) => {
          this.#matched.set(tableKey(table.source), table);
          this.#onMatched(table);
        },
        onRows: (table, rows) =>
          onEvent?.({ source: source.name, target: target.name, kind, table, rows, total: null }),
      });
      return { staged, plan: planned, horizon: batch.horizon };
    });
  }

  async #apply(request: ApplyRequest): Promise<ApplyResult> {
    const { target, report } = this.ends;
    for (let again: number | null = null; ; ) {
      const result = await target.apply({ ...request, again });
      if (result.unsettled.length > 0) return result;
      addResult(report, result);
      if (result.complete) return result;
      again = result.step;
      this.options.signal?.throwIfAborted();
    }
  }
}
