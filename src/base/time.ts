import { TandemError } from "./errors.ts";

/** Time as the program sees it; tests give their own, so that no test waits. */
export interface Clock {
  /** Milliseconds since 1970; may step back, as the system's clock may. */
  now(): number;
  /** Rejects with code `stopped` as soon as the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

// setTimeout fires at once when given more.
const longestTimer = 2 ** 31 - 1;

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(new TandemError("stopped", "stopped while waiting", { cause: signal?.reason }));
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener("abort", stop);
          resolve();
        },
        Math.min(Math.max(ms, 0), longestTimer),
      );
      if (signal?.aborted) stop();
      else signal?.addEventListener("abort", stop, { once: true });
    }),
};
