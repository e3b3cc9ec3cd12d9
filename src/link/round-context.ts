import type {
  ApplyRequest,
  ApplyResult,
  LinkState,
  MatchedTable,
  OpenBatch,
  Position,
  Reach,
  Source,
  TableName,
  Target,
} from "../base/ends.ts";
import { TandemError } from "../base/errors.ts";
import type { Clock } from "../base/time.ts";
import { carryBatch, NotOfItsType, type Staged, tableKey, type Wanted } from "./carry-batch.ts";
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
export interface CarryRequest {
  readonly from: Position;
  readonly own: LinkState["tables"];
  readonly tables: readonly TableName[];
}

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
   * Carries one batch. Null: nothing was applied and the round must begin anew, because the source first had to write
   * fresh entries, or a table must be staged as text.
   */
  async carry(
    request: CarryRequest,
    plan: (batch: OpenBatch) => BatchPlan | Promise<BatchPlan>,
  ): Promise<ApplyResult | null> {
    const read = await this.#read(request, plan);
    if (read === null) return null;
    this.options.signal?.throwIfAborted();
    const { source } = this.ends;
    const token = await this.#unlessMovedOn(this.#token, () => source.offerContact(this.#token));
    const { wanted: _, ...planned } = read.plan;
    const apply: ApplyRequest = {
      ...planned,
      staging: read.staged.id,
      from: this.#position,
      token,
      horizon: read.horizon,
      skewMs: this.#skewMs,
      reach: this.#reach,
      tables: read.staged.tables,
    };
    let result = await this.#apply(apply);
    if (result.unsettled.length > 0) {
      // Rows that the application holds locked there hold up nothing else: they wait in the target.
      const left = await source.settle(result.unsettled, planned.mode === "alone");
      if (left === 0) return null;
      result = await this.#apply({ ...apply, unsettled: "park" });
    }
    this.#token = token;
    this.#position = planned.to;
    await this.#unlessMovedOn(token, () => source.confirm(planned.to, token, result.seen, result.parked));
    if (this.#someHeld || result.held.length > 0) await source.noteHeld(result.held);
    this.#someHeld = result.held.length > 0;
    return result;
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
  async preview(request: CarryRequest, plan: (batch: OpenBatch) => BatchPlan | Promise<BatchPlan>) {
    const read = await this.#read(request, plan);
    if (read === null) return null;
    const { wanted: _, ...planned } = read.plan;
    return await this.ends.target.preview({
      ...planned,
      staging: read.staged.id,
      from: this.#position,
      token: null,
      horizon: read.horizon,
      skewMs: this.#skewMs,
      reach: this.#reach,
      tables: read.staged.tables,
    });
  }

  async #read(
    request: CarryRequest,
    plan: (batch: OpenBatch) => BatchPlan | Promise<BatchPlan>,
  ): Promise<{ staged: Staged; plan: BatchPlan; horizon: string } | null> {
    const { source, target } = this.ends;
    const { onEvent, batchRows, inTurn = (work) => work() } = this.options;
    const read = () =>
      source.read({ ...request, limit: batchRows, allVersions: this.#allVersions }, async (batch) => {
        const planned = await plan(batch);
        const kind = planned.mode === "copy" ? "copy" : "batch";
        const staged = await carryBatch(batch, target, planned.wanted, {
          asText: this.#asText,
          held: this.#held,
          onMatched: this.#onMatched,
          onRows: (table, rows) =>
            onEvent?.({ source: source.name, target: target.name, kind, table, rows, total: null }),
        });
        return { staged, plan: planned, horizon: batch.horizon };
      });
    try {
      return await inTurn(read);
    } catch (error) {
      if (!(error instanceof NotOfItsType)) throw error;
      this.#asText.add(tableKey(error.table));
      return null;
    }
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
