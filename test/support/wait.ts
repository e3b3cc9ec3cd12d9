import { setTimeout as sleep } from "node:timers/promises";

/** How long a condition may take, 90 seconds unless told: a loaded machine may be five times slower, and only a failing test waits so long. */
export interface WaitOptions {
  deadlineMs?: number;
  every?: number;
  /** What is waited for, in the error's words; a function is asked when the deadline has passed. */
  what?: string | (() => unknown);
}

/** Waits until the condition gives something other than false, null or undefined, and returns that. An error thrown by it is the last word only at the deadline. */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, false | null | undefined>> {
  const { deadlineMs = 90_000, every = 50, what } = options;
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    let failure: unknown;
    try {
      const result = await condition();
      if (result !== false && result !== null && result !== undefined)
        return result as Exclude<T, false | null | undefined>;
    } catch (error) {
      failure = error;
    }
    if (Date.now() >= deadline) {
      const words = typeof what === "function" ? await what() : (what ?? condition.toString());
      throw new Error(`waited ${deadlineMs} ms in vain for: ${words}`, { cause: failure });
    }
    await sleep(every);
  }
}
