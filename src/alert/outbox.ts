import { errorLine } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Backoff } from "../base/retry.ts";
import type { Clock } from "../base/time.ts";
import type { AlertTarget } from "../config/config.ts";
import type { AlertEvent } from "./event.ts";
import { hideTarget, limitMs, ping, send } from "./send.ts";

/** What an outbox needs. */
export interface OutboxOptions {
  readonly sender: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted: what is on its way may still arrive, for a moment. */
  readonly signal: AbortSignal;
  /** Told what the target has taken. */
  readonly onTold: (target: string, events: readonly AlertEvent[]) => void;
}

const retryMs = { min: 5_000, max: 600_000 };
const lastMomentMs = 800;

/**
 * What waits for one target, sent by a loop of its own: a target that is slow or gone holds up nobody. It holds no more than the newest
 * event of each alert; what is not taken is tried again, in pauses that grow. A dead man's switch is given a sign of life with every look.
 */
export class Outbox {
  readonly #target: AlertTarget;
  readonly #options: OutboxOptions;
  readonly #failing = new Backoff(retryMs);
  #waiting: readonly AlertEvent[] = [];
  /** Whether nothing holds, as of the last look; null: that has been told. */
  #alive: boolean | null = null;
  #started = false;
  #wake: (() => void) | null = null;

  constructor(target: AlertTarget, options: OutboxOptions) {
    this.#target = target;
    this.#options = options;
    hideTarget(target);
  }

  /** What the target is owed, in place of what was before; `well`: nothing holds. Never waits. */
  offer(events: readonly AlertEvent[], well: boolean): void {
    this.#waiting = events;
    if (this.#target.kind === "ping") this.#alive = well;
    this.#wake?.();
  }

  /** Sends until the signal is aborted. */
  async run(): Promise<void> {
    const { signal, clock, logger } = this.#options;
    const lastMoment = new AbortController();
    const onStop = () => {
      setTimeout(() => lastMoment.abort(), lastMomentMs).unref();
      this.#wake?.();
    };
    signal.addEventListener("abort", onStop, { once: true });
    while (!signal.aborted) {
      if (!this.#hasWork()) {
        await this.#asked();
        continue;
      }
      try {
        await this.#flush(lastMoment.signal);
        this.#failing.reset();
      } catch (error) {
        if (signal.aborted) return;
        const retryInMs = this.#failing.next();
        logger.warn({ alertTarget: this.#target.name, retryInMs }, errorLine(error));
        await clock.sleep(retryInMs, signal).catch(() => {});
      }
    }
  }

  #hasWork(): boolean {
    return this.#waiting.length > 0 || this.#alive === true;
  }

  async #asked(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = null;
  }

  async #flush(signal: AbortSignal): Promise<void> {
    const events = this.#waiting;
    const { clock, sender, onTold } = this.#options;
    if (this.#target.kind === "ping") await this.#signOfLife(events, signal);
    else await send(this.#target, events, { clock, sender, signal });
    const ids = new Set(events.map(({ id }) => id));
    this.#waiting = this.#waiting.filter(({ id }) => !ids.has(id));
    if (events.length > 0) onTold(this.#target.name, events);
  }

  /** While something holds only what is new of it is told: then no sign of life comes, and that is the message. */
  async #signOfLife(events: readonly AlertEvent[], signal: AbortSignal): Promise<void> {
    const alive = this.#alive;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
    if (!this.#started) await ping(this.#target.url, "start", "", limit);
    this.#started = true;
    const failing = events.some(({ what }) => what !== "cleared");
    if (failing || alive === true) {
      await send(this.#target, events, { clock: this.#options.clock, sender: this.#options.sender, signal });
    }
    this.#alive = null;
  }
}
