import type { Source, Target } from "../base/ends.ts";
import { TandemError } from "../base/errors.ts";
import type {
  LinkState,
  MatchedTable,
  Position,
  Reach,
  SourceState,
  TablePreview,
  VanishedTable,
} from "../base/exchange.ts";
import { tableKey, type Wanted } from "./carry-batch.ts";
import { type CopyMemory, copyTables } from "./first-copy.ts";
import { retryBusy } from "./parked.ts";
import { previewLink } from "./preview.ts";
import { type LinkReport, newReport } from "./report.ts";
import { type LinkOptions, movedOn, RoundContext, type Step } from "./round-context.ts";
import { SmallBatches } from "./small-batches.ts";
import { askForVanished } from "./vanished.ts";

/** What a round did. */
export interface RoundResult {
  /** Whether anything was carried; then another round should follow at once. */
  readonly worked: boolean;
  /** Whether the link has reached the state its source was in when the round began. */
  readonly reached: boolean;
  /** Where the source stood when the round began. */
  readonly now: Position;
  /** Who lets the link rest: then nothing was looked for. */
  readonly pausedBy?: string | null;
}

// Catalogs change seldom, and comparing hundreds of tables costs: between batches it is done this often.
const reconcileEveryMs = 5_000;
// Of many nodes most links only pass over what their target hears from others, and there are as many as the square of the nodes.
const reconcilePassingMs = 15_000;

/**
 * One direction, from a source to a target: reads batches, stages them, has them applied, tells the source. It knows
 * its two ends only as Source and Target, decides nothing about rows, and keeps nothing that matters in memory.
 */
export class Link {
  readonly source: Source;
  readonly target: Target;
  readonly report: LinkReport;
  readonly #options: LinkOptions;
  /** Tables whose values must be staged as text. */
  readonly #asText = new Set<string>();
  readonly #copies: CopyMemory = { undecided: new Set(), order: [] };
  #metAt: number | null = null;
  /** Tables of which rows may have gone unseen, as of the last comparison. */
  #vanished: VanishedTable[] = [];
  /** Up to `to` the source is known to hold nothing for the target, beyond the position that is stored there. */
  #scanned: { readonly from: Position; readonly to: Position; readonly incarnation: string } | null = null;
  #skewMs = 0;
  #toldAt: number | null = null;
  readonly #small: SmallBatches;
  /** Whether the last round brought something, and went the short way. */
  #last: "small" | "usual" | null = null;
  /** Whether the last round of the usual way had nothing to carry. */
  #resting = false;
  /** Whether it wrote out blocks of the target, and more are left. */
  #tidying = false;
  /** Since when what there is for others alone has been passed over, with the position left where it was. */
  #passedAt: number | null = null;
  /** Up to when the last round that brought all had it, by the target's clock. */
  #reachedAsOf: number | null = null;
  /** What the target's clock said when it was last met, and this one when the answer was there. */
  #clocks: { readonly target: number; readonly here: number } | null = null;

  constructor(source: Source, target: Target, options: LinkOptions) {
    this.source = source;
    this.target = target;
    this.#options = options;
    this.report = newReport(source.name, target.name);
    this.#small = new SmallBatches(this, options);
  }

  /** The target's clock less the source's, in milliseconds, as last measured. */
  get skewMs(): number {
    return this.#skewMs;
  }

  /**
   * One round: whatever waits is carried, one batch, or with `readAhead` those that follow too, for two seconds. `woken`: the source has said that there
   * is something, and need not say so again.
   */
  async round(woken = false): Promise<RoundResult> {
    const last = this.#last;
    this.#last = null;
    if ((woken || last !== null) && !(last === "small" && this.#isDue) && !this.#mustMoveOn) {
      const small = await this.#small.round({ skewMs: this.#skewMs, since: this.#reachedAsOf, hush: woken });
      if (small !== null) {
        this.#scanned = null;
        this.#reachedAsOf = Math.max(this.#reachedAsOf ?? small.asOf, small.asOf);
        if (small.passed) this.#passOver();
        if (small.worked) {
          this.#last = "small";
          this.#passedAt = null;
        }
        if (!this.#mustMoveOn) return { worked: small.worked, reached: true, now: small.now };
      }
    }
    const passed = woken || last !== null ? null : await this.#passOn();
    if (passed !== null) return passed;
    if (woken) await this.source.hushWake();
    await this.#small.settle();
    this.#tidying = false;
    const { here, state, asOf } = await this.meet();
    const result = await this.#roundFrom(here, state, asOf);
    // What was left of tidying up is for a round of the usual way, which looks for entries first.
    if (result.worked && !this.#tidying) this.#last = "usual";
    return { now: here.now, ...result };
  }

  /** Before the link goes to rest: the source is told what it is owed. */
  async settle(): Promise<void> {
    await this.#small.settle();
  }

  /** Whether it is time to look after what only a round of the usual way sees. */
  get #isDue(): boolean {
    const now = this.#options.clock.now();
    const every = this.#passedAt === null ? reconcileEveryMs : reconcilePassingMs;
    return this.#metAt === null || now - this.#metAt >= every || now < this.#metAt;
  }

  get #mustMoveOn(): boolean {
    if (this.#passedAt === null) return false;
    const passed = this.#options.clock.now() - this.#passedAt;
    return passed < 0 || passed >= (this.#options.moveOnMs ?? 0);
  }

  #passOver(): void {
    this.#passedAt ??= this.#options.clock.now();
  }

  /** The round of a link that passes over what it finds, and finds nothing else: one look. Null: it is to do more. */
  async #passOn(): Promise<RoundResult | null> {
    const scanned = this.#scanned;
    if (this.#passedAt === null || scanned === null || this.source.pooled || this.#isDue || this.#mustMoveOn)
      return null;
    const asOf = this.#targetNow();
    const { found, now, incarnation } = await this.source.lookFrom(scanned.to);
    if (found === "changes" || incarnation !== scanned.incarnation) return null;
    this.#scanned = { ...scanned, to: now };
    this.#reachedAsOf = asOf;
    return { worked: false, reached: true, now };
  }

  /** The target's clock, unasked: as it was, and what has passed here since. Good for a lag, not for a moment that is stored; never later than it is, unless a clock was set. */
  #targetNow(): number | null {
    if (this.#clocks === null) return null;
    const { target, here } = this.#clocks;
    return target + Math.max(0, this.#options.clock.now() - here) - 1;
  }

  async #roundFrom(here: SourceState, state: LinkState, asOf: number): Promise<Omit<RoundResult, "now">> {
    if (state.pausedBy !== null) return { worked: false, reached: false, pausedBy: state.pausedBy };
    if (here.waits) return { worked: false, reached: false };
    if (await this.#reconcile(state)) return { worked: true, reached: false };
    const { signal } = this.#options;
    await askForVanished(this.source, this.target, this.#vanished.splice(0), signal);
    try {
      const context = this.#context(state, asOf);
      if (await copyTables(context, state, this.#copies)) return { worked: true, reached: false };
      if (this.#scanned?.from !== context.position || this.#scanned.incarnation !== here.incarnation)
        this.#scanned = null;
      const result = await this.#batch(context, state, here.acknowledged !== context.position);
      if (!result.worked) {
        const upto = this.source.pooled ? context.position : here.now;
        this.#scanned = { from: context.position, to: upto, incarnation: here.incarnation };
        this.#stand(context, {
          from: upto,
          clock: state.clock,
          plain: state.tables.length === 0 && !state.anyParked,
        });
        await this.#noteCaughtUp({ asOf, since: this.#reachedAsOf });
        // Not at once: what has just come may not be all.
        this.#tidying = this.#resting && state.blocks && (await this.target.tidy());
      }
      this.#resting = !result.worked;
      if (result.reached) this.#reachedAsOf = asOf;
      return this.#tidying ? { ...result, worked: true } : result;
    } catch (error) {
      // The next round compares the tables first.
      if (error instanceof TandemError && error.code === "shape_changed") this.#metAt = null;
      throw error;
    }
  }

  /**
   * What a round would do, per table. The two ends are met and their tables compared, which Tandem notes in its own
   * tables; no row of the application is written or locked.
   */
  async preview(): Promise<Map<string, TablePreview>> {
    const met = await this.meet();
    let { state } = met;
    if (await this.#reconcile(state)) state = await this.target.state();
    return await previewLink(this.#context(state, met.asOf), state);
  }

  /** A failure's trace in memory is forgotten: what was learned over a lost connection may not hold. */
  forget(): void {
    this.#metAt = null;
    this.#scanned = null;
    this.#passedAt = null;
    this.#reachedAsOf = null;
    this.#clocks = null;
    this.#last = null;
    this.#small.forget();
  }

  #context(state: LinkState, asOf: number): RoundContext {
    const reach = { asOf, since: this.#reachedAsOf };
    const onMatched = (table: MatchedTable) => this.#small.learn(table);
    return new RoundContext(this, this.#options, state, {
      asText: this.#asText,
      skewMs: this.#skewMs,
      reach,
      onMatched,
    });
  }

  #stand(
    { position, token }: RoundContext,
    { from, clock, plain }: { from: Position; clock: number; plain: boolean },
  ): void {
    this.#small.stand(plain && token !== null ? { position, token, from, clock } : null);
  }

  /**
   * Sees that both ends are the databases they were, and know each other: by themselves, and by what each has got from the
   * other, in both directions. Nothing of the application is read before. Throws `identity_mismatch` when they are not.
   * `asOf`: a moment by the target's clock, in milliseconds since 1970, that was over before the source was asked where it stands.
   */
  async meet(): Promise<{ readonly here: SourceState; readonly state: LinkState; readonly asOf: number }> {
    const { clock } = this.#options;
    const began = clock.now();
    const { here, state } = await this.#recognized();
    this.#clocks = { target: state.clock, here: clock.now() };
    // The target read its clock at the latest now: only times by one clock are taken from each other, in whole milliseconds.
    const asOf = state.clock - Math.max(0, clock.now() - began) - 1;
    this.#skewMs = state.clock - here.clock;
    if (!(await this.source.contactFits(state.token))) {
      throw (await movedOn(this, state.token)) ?? this.#identityMismatch();
    }
    return { here, state, asOf };
  }

  /** While an applier of the other direction works, the token that was read may be an old one already: then it is read again. */
  async #recognized(): Promise<{ readonly here: SourceState; readonly state: LinkState }> {
    for (let here = await this.source.state(); ; ) {
      try {
        return { here, state: await this.target.meet(here) };
      } catch (error) {
        if (!(error instanceof TandemError) || error.code !== "identity_mismatch") throw error;
        const again = await this.source.state();
        if (again.token === here.token) throw error;
        here = again;
      }
    }
  }

  get #name(): string {
    return `${this.source.name} → ${this.target.name}`;
  }

  /** The target is told now and then only: an idle link writes next to nothing. */
  async #noteCaughtUp(reach: Reach): Promise<void> {
    const time = this.#options.clock.now();
    if (this.#toldAt !== null && time - this.#toldAt < reconcileEveryMs && time >= this.#toldAt) return;
    await this.target.noteCaughtUp(reach);
    this.#toldAt = time;
  }

  #identityMismatch(): TandemError {
    return new TandemError(
      "identity_mismatch",
      `link ${this.#name}: the contact token does not fit, so one of the two databases was restored, cloned or branched`,
      { link: this.#name },
    );
  }

  async #reconcile(state: LinkState): Promise<boolean> {
    if (state.position !== null && !this.#isDue) return false;
    await this.source.watch();
    const { changed, vanished } = await this.target.reconcile(await this.source.shapes());
    this.#vanished = [...vanished];
    if (changed > 0 || this.#metAt === null) await this.source.noteHeld((await this.target.state()).tables);
    this.#metAt = this.#options.clock.now();
    // without a position it was another applier that brought the tables up to date just now
    return changed > 0 || state.position === null;
  }

  /** `unconfirmed`: the source does not know how far the target has come, for an applier ended before it could say so. */
  async #batch(context: RoundContext, state: LinkState, unconfirmed: boolean): Promise<Omit<RoundResult, "now">> {
    const own = state.tables.filter((table) => table.state === "catch_up");
    const resting = new Set(state.tables.filter((table) => table.state !== "catch_up").map(tableKey));
    const from = this.#scanned?.to ?? context.position;
    const parked = state.parked.filter((table) => !resting.has(tableKey(table)));
    if (own.length === 0 && parked.length === 0 && !unconfirmed && !this.#mustMoveOn) {
      const { found } = await this.source.lookFrom(from);
      if (found === "nothing") return { worked: false, reached: true };
      if (found === "passed") {
        this.#passOver();
        if (!this.#mustMoveOn) return { worked: false, reached: true };
      }
    }
    /** What has changed since a position. */
    const changes = (from: Position, own: LinkState["tables"], parked: LinkState["parked"]): Step => ({
      request: { from, own, tables: parked, onlyThese: false },
      plan(batch) {
        const wanted: Wanted[] = [];
        for (const table of batch.tables) {
          if (resting.has(tableKey(table))) continue;
          const ownState = own.find((other) => tableKey(other) === tableKey(table));
          const keys = parked.find((other) => tableKey(other) === tableKey(table))?.keys ?? [];
          const changed = batch.changed.some((other) => tableKey(other) === tableKey(table));
          if (ownState || changed || keys.length > 0) {
            wanted.push({ table, what: { kind: "changes", from: ownState?.position ?? from, keys } });
          }
        }
        return { wanted, mode: "batch", to: batch.to, cut: batch.cut, copy: null, released: own };
      },
      after: ({ to, cut }) => (cut ? changes(to, [], []) : null),
    });
    const carried = await context.carry(changes(from, own, parked));
    if (carried === null) return { worked: true, reached: false };
    const { result, plan } = carried;
    this.#scanned = null;
    this.#passedAt = null;
    const plain = result.parked.length === 0 && result.held.length === 0;
    this.#stand(context, { from: context.position, clock: state.clock, plain });
    await retryBusy(context, parked, result.parked);
    return { worked: true, reached: !plan.cut };
  }
}
