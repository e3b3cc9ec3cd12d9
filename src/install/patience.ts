import { TandemError } from "../base/errors.ts";
import { Backoff, withRetry } from "../base/retry.ts";
import type { Clock } from "../base/time.ts";

/** How long, and until when, locks are asked for. */
export interface Patience {
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** For all tables of a node together. */
  readonly patienceMs: number;
  /** Told before each pause. */
  readonly onWait?: (error: unknown) => void;
}

const wasLocked = (error: unknown) =>
  error instanceof TandemError && (error.code === "lock_timeout" || error.code === "serialization");

/**
 * Does each piece of work in a transaction of its own, and comes back later to those whose table was locked: one table
 * that a long transaction holds keeps no other waiting. Returns what could not be done in time, with the last error.
 */
export async function eachWithPatience<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
  { clock, signal, patienceMs, onWait }: Patience,
): Promise<ReadonlyMap<T, TandemError>> {
  let waiting = [...items];
  const locked = new Map<T, TandemError>();
  const round = async () => {
    locked.clear();
    for (const item of waiting) {
      if (signal?.aborted) throw new TandemError("stopped", "stopped between two tables", { cause: signal.reason });
      try {
        await work(item);
      } catch (error) {
        if (!(error instanceof TandemError) || !wasLocked(error)) throw error;
        locked.set(item, error);
      }
    }
    waiting = [...locked.keys()];
    const [first] = locked.values();
    if (first) throw first;
  };
  try {
    await withRetry(round, {
      clock,
      signal,
      backoff: new Backoff({ min: 100, max: 2_000 }),
      deadline: clock.now() + patienceMs,
      isRetryable: wasLocked,
      onRetry: (error) => onWait?.(error),
    });
  } catch (error) {
    if (!wasLocked(error)) throw error;
  }
  return locked;
}

/** One piece of work that is worth nothing unless it is done. */
export async function patiently<T>(work: () => Promise<T>, patience: Patience): Promise<T> {
  const results: T[] = [];
  const late = await eachWithPatience(["it"], async () => void results.push(await work()), patience);
  for (const error of late.values()) throw error;
  return results[0] as T;
}
