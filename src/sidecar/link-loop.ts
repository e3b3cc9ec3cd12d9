import { errorLine, TandemError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Backoff, mendsItself } from "../base/retry.ts";
import type { Clock } from "../base/time.ts";
import type { Config, LinkConfig } from "../config/config.ts";
import type { LinkEvent } from "../link/report.ts";
import { Heartbeat } from "./heartbeat.ts";
import { findMisfits, standsStill } from "./identity.ts";
import { disconnectFromMs, type Lease } from "./lease.ts";
import { type OpenLink, openLink } from "./open-link.ts";
import { WakeUp } from "./wake-up.ts";

/** The longest pause of a link that fails, in milliseconds. */
export const longestPauseMs = 15_000;

// Between many nodes most links only see what their target hears from others; to store that each time costs both databases several commits.
const moveOnMs = 30_000;

/** What a link is doing, for status. */
export interface LinkActivity {
  readonly source: string;
  readonly target: string;
  state: "connecting" | "standby" | "working" | "idle" | "paused" | "failing" | "stopped";
  /** Milliseconds since 1970: the target has all that was committed at its source before this. */
  caughtUpAt: number | null;
  error: string | null;
  skewMs: number;
  rows: number;
}

/** What a link loop needs. */
export interface LinkLoopOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Of the target: only who holds it works on the link. */
  readonly lease: Lease;
  readonly onEvent?: ((event: LinkEvent) => void) | undefined;
  readonly onActivity?: ((activity: LinkActivity) => void) | undefined;
}

/** One link for ever: rounds while there is work, then growing pauses up to the interval; failures are waited out. */
export class LinkLoop {
  readonly activity: LinkActivity;
  readonly #config: Config;
  readonly #pair: LinkConfig;
  readonly #options: LinkLoopOptions;
  readonly #idle: Backoff;
  readonly #failing = new Backoff({ min: 250, max: longestPauseMs });
  readonly #heartbeat: Heartbeat | null;
  #open: OpenLink | null = null;
  /** Of the open link; none where it is closed between rounds. */
  #wakeUp: WakeUp | null = null;
  /** The lease's tenure under which the link was opened. */
  #tenure: AbortSignal | null = null;
  #worked = false;

  constructor(config: Config, pair: LinkConfig, options: LinkLoopOptions) {
    this.#config = config;
    this.#pair = pair;
    this.#options = options;
    this.#idle = new Backoff({ min: 20, max: config.sync.intervalMs });
    this.activity = { ...pair, state: "connecting", caughtUpAt: null, error: null, skewMs: 0, rows: 0 };
    const { heartbeatMs } = config.sync;
    const { clock, logger, signal } = options;
    const may = () => this.activity.state === "working" || this.activity.state === "idle";
    const every = heartbeatMs === null ? null : { everyMs: heartbeatMs, clock, logger, signal, may };
    this.#heartbeat = every && new Heartbeat(config, pair, every);
  }

  /** Ends when the signal is aborted, after the batch in hand; throws what only a person can mend before the first round. */
  async run(): Promise<void> {
    const { signal, clock } = this.#options;
    const beating = this.#heartbeat?.run();
    try {
      while (!signal.aborted) {
        const pause = await this.#turn();
        if (pause <= 0 || signal.aborted) continue;
        await (this.#wakeUp?.sleep(clock, pause, signal) ?? clock.sleep(pause, signal).catch(() => {}));
      }
    } finally {
      // What is left untold, the next applier's first round finds out.
      if (this.#open && !this.#open.broken) await this.#open.link.settle().catch(() => {});
      await this.#close();
      await beating;
      this.#set({ state: "stopped" });
    }
  }

  /** One round; returns how long to wait before the next, in milliseconds. */
  async #turn(): Promise<number> {
    try {
      await this.#leased();
      const link = (await this.#connected()).link;
      this.#set({ state: "working" });
      const woken = this.#wakeUp?.rise();
      const began = this.#options.clock.now();
      const beganAt = performance.now();
      const { worked, reached, now, pausedBy = null } = await link.round(woken);
      this.#failing.reset();
      this.#options.lease.noteReach(this.#pair.source, true);
      this.#worked = true;
      if (this.activity.error !== null) await link.target.noteError(null);
      this.#set({ error: null, skewMs: link.skewMs });
      if (reached) this.#set({ caughtUpAt: began });
      await this.#heartbeat?.look(link.target, { beganAt, reached });
      if (worked) {
        this.#idle.reset();
        return 0;
      }
      this.#set({ state: pausedBy === null ? "idle" : "paused" });
      const calm = reached && (await this.#wakeUp?.ask(now));
      const pause = calm ? this.#config.sync.intervalMs : this.#idle.next();
      if (pause >= disconnectFromMs) await this.#close();
      return pause;
    } catch (error) {
      return await this.#failed(error);
    }
  }

  /** Waits for the lease, without a connection, where another sidecar has it. */
  async #leased(): Promise<void> {
    const { lease, signal } = this.#options;
    const tenure = lease.tenure;
    if (tenure && tenure === this.#tenure) return;
    await this.#close();
    this.#tenure = await lease.held(signal, {
      standBy: () => this.#set({ state: "standby", error: null }),
      failing: (error) => this.#set({ state: "failing", error }),
    });
  }

  async #connected(): Promise<OpenLink> {
    if (this.#open?.broken) await this.#close();
    if (!this.#open) {
      this.#set({ state: "connecting" });
      await this.#checkNeighbours();
      const { clock, signal, onEvent } = this.#options;
      const { intervalMs, batchRows } = this.#config.sync;
      const stays = intervalMs < disconnectFromMs;
      this.#open = await openLink(this.#config, this.#pair, {
        clock,
        batchRows,
        moveOnMs: stays ? moveOnMs : undefined,
        signal: this.#tenure ? AbortSignal.any([signal, this.#tenure]) : signal,
        onEvent: (event) => {
          this.#set({ rows: this.activity.rows + (event.total === null ? event.rows : 0) });
          onEvent?.(event);
        },
      });
      if (stays) this.#wakeUp = new WakeUp(this.#open.link.source, intervalMs);
    }
    return this.#open;
  }

  /** Another database may stand behind a URL than before: no link of a node works while one of them finds it a stranger. */
  async #checkNeighbours(): Promise<void> {
    const { clock, signal } = this.#options;
    const own = [this.#pair.source, this.#pair.target];
    const only = ({ source, target }: LinkConfig) => own.includes(source) !== own.includes(target);
    const error = standsStill(this.#pair, await findMisfits(this.#config, { clock, signal, only }));
    if (error) throw error;
  }

  async #failed(error: unknown): Promise<number> {
    const { logger, signal } = this.#options;
    if (signal.aborted || this.#tenure?.aborted) return 0;
    if (error instanceof TandemError && ["position_mismatch", "shape_changed"].includes(error.code)) return 20;
    if (error instanceof TandemError && error.node === this.#pair.source) {
      this.#options.lease.noteReach(this.#pair.source, false);
    }
    // What only a person can mend is said at once when the sidecar starts; later it is waited out like the rest.
    if (!this.#worked && !mendsItself(error)) throw error;
    const line = errorLine(error);
    const pause = this.#failing.next();
    logger.warn({ source: this.#pair.source, target: this.#pair.target, retryInMs: pause }, line);
    this.#set({ state: "failing", error: line });
    if (this.#open && !this.#open.broken) await this.#open.link.target.noteError(line).catch(() => {});
    await this.#close();
    return pause;
  }

  async #close(): Promise<void> {
    await this.#open?.[Symbol.asyncDispose]();
    this.#open = null;
    this.#wakeUp = null;
  }

  #set(change: Partial<LinkActivity>): void {
    Object.assign(this.activity, change);
    this.#options.onActivity?.(this.activity);
  }
}
