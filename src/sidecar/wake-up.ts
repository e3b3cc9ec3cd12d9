import type { Source } from "../base/ends.ts";
import type { Position } from "../base/exchange.ts";
import type { Clock } from "../base/time.ts";

/**
 * Lets a link that has nothing to do sleep until its source commits something. The order is what matters: ask first, then look at what was
 * open at that moment until it has ended, and only then sleep. Whatever goes unheard all the same is found at the next interval.
 */
export class WakeUp {
  readonly #source: Source;
  readonly #askMs: number;
  #listening: boolean | null = null;
  #asked = false;
  /** Transactions from here on have begun after the asking; null: nobody has looked since. */
  #openBefore: bigint | null = null;
  #told = false;
  #rouse: (() => void) | null = null;

  /** `intervalMs`: the longest sleep. */
  constructor(source: Source, intervalMs: number) {
    this.#source = source;
    this.#askMs = Math.max(10_000, 4 * intervalMs);
  }

  /** Before a round, which ends the asking if so: whether it has been told of something. */
  rise(): boolean {
    if (!this.#told) return false;
    this.#told = false;
    this.#asked = false;
    return true;
  }

  /** After a round that found nothing up to `now`: whether it will be told of all that is committed from now on. */
  async ask(now: Position): Promise<boolean> {
    this.#listening ??= await this.#source.listen(() => this.#hear());
    if (!this.#listening) return false;
    const stood = await this.#source.askWake(this.#askMs);
    if (!stood || !this.#asked) {
      this.#asked = true;
      this.#openBefore = null;
      return false;
    }
    const [xmin = 0n, xmax = 0n] = now.split(":", 2).map(BigInt);
    this.#openBefore ??= xmax;
    return xmin >= this.#openBefore;
  }

  /** Sleeps for so many milliseconds, or until it is told or the signal is aborted. */
  async sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    if (this.#told || signal.aborted) return;
    const roused = new AbortController();
    const rouse = () => roused.abort();
    this.#rouse = rouse;
    signal.addEventListener("abort", rouse, { once: true });
    try {
      await clock.sleep(ms, roused.signal).catch(() => {});
    } finally {
      this.#rouse = null;
      signal.removeEventListener("abort", rouse);
    }
  }

  #hear(): void {
    this.#told = true;
    this.#rouse?.();
  }
}
