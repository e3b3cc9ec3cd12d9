import { errorLine, TandemError } from "../base/errors.ts";
import type { Position } from "../base/exchange.ts";
import { Backoff, withRetry } from "../base/retry.ts";
import { type Clock, systemClock } from "../base/time.ts";
import { assertSeveral } from "../config/alone.ts";
import type { Config, LinkConfig } from "../config/config.ts";
import type { RoundResult } from "../link/link.ts";
import type { LinkEvent, LinkReport } from "../link/report.ts";
import { findMisfits, type Misfit, standsStill } from "./identity.ts";
import { type OpenLink, openLink } from "./open-link.ts";

/** How `sync` works; everything has a default. */
export interface SyncOptions {
  readonly clock?: Clock;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: (event: LinkEvent) => void;
  /** How long a server that sleeps or starts is waited for, in milliseconds. */
  readonly patienceMs?: number;
}

/** What one link did, and what stayed behind. */
export interface LinkOutcome {
  readonly source: string;
  readonly target: string;
  readonly report: LinkReport | null;
  /** Rows that wait in the target. */
  readonly parked: number;
  /** Tables that do not flow, with the reason. */
  readonly held: readonly { readonly table: string; readonly reason: string }[];
  /** Rows of a first meeting that nothing decides. */
  readonly undecided: number;
  /** One line; null when all went well. */
  readonly error: unknown;
}

/** What `sync` did. */
export interface SyncReport {
  readonly links: readonly LinkOutcome[];
  /** False when anything stayed behind or failed. */
  readonly well: boolean;
}

/**
 * Brings all links to the state of their sources at the start: every link in turn, then all again while anything
 * moves, for what one link brought another may have to carry on. With people writing all the time it ends as well:
 * a pass takes each link to where its source was when the pass reached it, and as many passes follow as there are
 * nodes for a change to travel over.
 */
export async function sync(config: Config, options: SyncOptions = {}): Promise<SyncReport> {
  assertSeveral(config);
  const clock = options.clock ?? systemClock;
  await using links = new LinkSet();
  const deadline = clock.now() + (options.patienceMs ?? 20_000);
  for (const pair of config.links) await links.open(config, pair, { ...options, clock, deadline });
  links.stop(await findMisfits(config, { clock, signal: options.signal }));
  const passes = config.nodes.length + 1;
  for (let pass = 0; pass < passes; pass++) {
    let moved = false;
    for (const link of links.working) moved = (await link.catchUp()) || moved;
    if (!moved) break;
  }
  const outcomes: LinkOutcome[] = [];
  for (const link of links.all) outcomes.push(await link.outcome());
  return {
    links: outcomes,
    well: outcomes.every((link) => !link.error && link.parked === 0 && link.held.length === 0 && link.undecided === 0),
  };
}

/** All links share one deadline for servers that sleep. */
type OpenOptions = SyncOptions & { readonly clock: Clock; readonly deadline: number };

class LinkSet implements AsyncDisposable {
  readonly all: WorkingLink[] = [];

  get working(): readonly WorkingLink[] {
    return this.all.filter((link) => link.error === null);
  }

  async open(config: Config, pair: LinkConfig, options: OpenOptions): Promise<void> {
    const link = new WorkingLink(pair);
    this.all.push(link);
    await link.open(config, options);
  }

  stop(misfits: readonly Misfit[]): void {
    for (const link of this.working) link.error = standsStill(link.pair, misfits);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.all) await link.close();
  }
}

/** One link of a `sync`: a failure ends its own work and is reported; the other links go on. */
class WorkingLink {
  readonly pair: LinkConfig;
  error: unknown = null;
  #open: OpenLink | null = null;
  #reconnect: () => Promise<void> = async () => {};
  /** A round, again where a table is locked by somebody, for as long as a server that sleeps is waited for. */
  #round: () => Promise<RoundResult> = () => this.#link.round();

  constructor(pair: LinkConfig) {
    this.pair = pair;
  }

  async open(config: Config, options: OpenOptions): Promise<void> {
    const { clock, signal, onEvent, deadline } = options;
    const patience = options.patienceMs ?? 20_000;
    this.#reconnect = async () => {
      const again = this.#open !== null;
      await this.close();
      this.#open = await withRetry(
        () => openLink(config, this.pair, { clock, batchRows: config.sync.batchRows, onEvent, signal }),
        {
          clock,
          signal,
          backoff: new Backoff({ min: 200, max: 2_000 }),
          deadline: again ? clock.now() + patience : deadline,
        },
      );
    };
    this.#round = () =>
      withRetry(() => this.#link.round(), {
        clock,
        signal,
        backoff: new Backoff({ min: 100, max: 1_000 }),
        deadline: clock.now() + patience,
        isRetryable: (error) => error instanceof TandemError && error.code === "lock_timeout",
      });
    await this.#guard(this.#reconnect);
  }

  /** Rounds until nothing waits, or the source's state of now is reached, by whomever; returns whether anything moved. */
  async catchUp(): Promise<boolean> {
    let moved = false;
    let losses = 0;
    let goal: Position | null = null;
    let stood: Position | null = null;
    await this.#guard(async () => {
      for (;;) {
        try {
          const result = await this.#round();
          if (result.pausedBy) throw pausedError(this.pair, result.pausedBy);
          if (!result.worked) return;
          moved = true;
          losses = 0;
          if (result.reached) return;
        } catch (error) {
          // Another applier was faster, or the connection broke: nothing is half done, the round begins anew.
          if (!(error instanceof TandemError) || !mayRepeat(error) || ++losses > 5) throw error;
          if (this.#open?.broken) await this.#reconnect();
          if (error.code !== "position_mismatch") continue;
          // A sidecar that is busy on this link is always faster; what it carries counts.
          const { position, tables } = await this.#link.target.state();
          if (position === null || position === stood) continue;
          stood = position;
          moved = true;
          losses = 0;
          if (goal !== null && covers(position, goal) && tables.every(({ state }) => state === "held")) return;
          goal ??= (await this.#link.source.state()).now;
        }
      }
    });
    return moved;
  }

  async outcome(): Promise<LinkOutcome> {
    const base = { source: this.pair.source, target: this.pair.target };
    if (this.error !== null || !this.#open) {
      return { ...base, report: this.#open?.link.report ?? null, parked: 0, held: [], undecided: 0, error: this.error };
    }
    const { link } = this.#open;
    const state = await link.target.state();
    const parked = await link.target.parkedCount();
    const held = state.tables
      .filter((table) => table.state !== "catch_up")
      .map((table) => ({ table: `${table.schema}.${table.name}`, reason: table.reason ?? "not copied yet" }));
    return { ...base, report: link.report, parked, held, undecided: link.report.undecided, error: null };
  }

  async close(): Promise<void> {
    await this.#open?.[Symbol.asyncDispose]();
  }

  get #link() {
    if (!this.#open) throw new TandemError("internal", "a link was used before it was open");
    return this.#open.link;
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof TandemError && error.code === "stopped") throw error;
      this.error = error;
    }
  }
}

function pausedError({ source, target }: LinkConfig, by: string): TandemError {
  const link = `${source} → ${target}`;
  return new TandemError("link_paused", `link ${link} is paused, by ${by}`, { link });
}

/** Whether all that is visible in one snapshot of a server is visible in another, of the form `xmin:xmax:xip,xip`. */
export function covers(position: Position, goal: Position): boolean {
  const [, end, open] = partsOf(position);
  const [, goalEnd, goalOpen] = partsOf(goal);
  const unseen = (xid: bigint) => xid >= goalEnd || goalOpen.has(xid);
  for (const xid of open) if (!unseen(xid)) return false;
  for (let xid = end; xid < goalEnd; xid++) if (!goalOpen.has(xid)) return false;
  return true;
}

function partsOf(position: Position): [bigint, bigint, ReadonlySet<bigint>] {
  const [start = "", end = "", open = ""] = position.split(":");
  return [BigInt(start), BigInt(end), new Set(open === "" ? [] : open.split(",").map(BigInt))];
}

function mayRepeat({ code }: TandemError): boolean {
  return ["position_mismatch", "shape_changed", "connection_lost", "serialization"].includes(code);
}

/** A failed link in one line. */
export function outcomeLine(outcome: LinkOutcome): string {
  return `${outcome.source} → ${outcome.target}: ${errorLine(outcome.error)}`;
}
