import { errorCodes } from "./error-codes.ts";
import { TandemError } from "./errors.ts";
import type { Clock } from "./time.ts";

/** Limits of a `Backoff`, in milliseconds. */
export interface BackoffOptions {
  readonly min: number;
  readonly max: number;
  /** Growth from one pause to the next; 2 unless given. */
  readonly factor?: number;
  /** The part of a pause that is left to chance, 0 to 1; 0.2 unless given. Many clients must not come back in step. */
  readonly jitter?: number;
  /** Replaced in tests. */
  readonly random?: () => number;
}

/** Growing pauses: never below `min` less its jitter, never above `max`. */
export class Backoff {
  readonly #options: Required<BackoffOptions>;
  #pause: number;

  constructor(options: BackoffOptions) {
    this.#options = { factor: 2, jitter: 0.2, random: Math.random, ...options };
    this.#pause = this.#options.min;
  }

  /** The next pause in milliseconds. */
  next(): number {
    const { max, factor, jitter, random } = this.#options;
    const pause = Math.min(this.#pause, max);
    this.#pause = Math.min(pause * factor, max);
    return Math.round(pause * (1 - jitter * random()));
  }

  /** To be called when there was work or success, so that the next pause is short again. */
  reset(): void {
    this.#pause = this.#options.min;
  }
}

/** How `withRetry` goes on after a failure. Without `delays` and `backoff` nothing is tried again. */
export interface RetryOptions {
  readonly clock: Clock;
  /** One pause for each further try; the list's end is the end. */
  readonly delays?: readonly number[];
  /** Pauses without end; `deadline` or `signal` must end them. */
  readonly backoff?: Backoff;
  /** Unless given: what the table of error codes says. */
  readonly isRetryable?: (error: unknown) => boolean;
  readonly signal?: AbortSignal | undefined;
  /** A point of `clock` after which no try begins; the last one begins no later than then. */
  readonly deadline?: number | undefined;
  /** For logs; called before each pause. */
  readonly onRetry?: (error: unknown, delay: number, attempt: number) => void;
}

/** Whether the table of error codes calls this error one that mends itself. */
export function mendsItself(error: unknown): boolean {
  if (!(error instanceof TandemError)) return false;
  const { retry } = errorCodes[error.code];
  return retry === "now" || retry === "backoff";
}

/**
 * The only retry loop. When it gives up it throws the last error of the operation itself, never one of its own,
 * so that the reader learns what was wrong and not that patience ended.
 */
export async function withRetry<T>(operation: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, signal, deadline = Number.POSITIVE_INFINITY, isRetryable = mendsItself } = options;
  for (let attempt = 1; ; attempt++) {
    if (signal?.aborted) throw new TandemError("stopped", "stopped before the work began", { cause: signal.reason });
    try {
      return await operation(attempt);
    } catch (error) {
      const delay = options.delays ? options.delays[attempt - 1] : options.backoff?.next();
      const left = deadline - clock.now();
      if (delay === undefined || left <= 0 || signal?.aborted || !isRetryable(error)) throw error;
      const pause = Math.min(delay, left);
      options.onRetry?.(error, pause, attempt);
      await clock.sleep(pause, signal);
    }
  }
}
