const signals = ["SIGINT", "SIGTERM"] as const;

// One Ctrl-C arrives twice where npm or npx stands between: from the terminal, and passed on by npm.
const sameSignalMs = 1_000;

/** What is told to whoever waits for the end. */
export interface SignalOptions {
  /** The first signal came, and the work in hand is being finished. */
  readonly onFirst?: ((signal: NodeJS.Signals) => void) | undefined;
}

/**
 * Runs `work` with an abort signal: the first SIGINT or SIGTERM aborts it, so that the work in hand is finished; the
 * second kills the process at once, by that very signal, as if nobody had handled it. Nothing is half done then
 * either: what was not committed is rolled back by the servers.
 */
export async function withSignals<T>(
  work: (signal: AbortSignal) => Promise<T>,
  options: SignalOptions = {},
): Promise<T> {
  const controller = new AbortController();
  let firstAt = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      if (performance.now() - firstAt < sameSignalMs) return;
      stopListening();
      process.kill(process.pid, signal);
      return;
    }
    firstAt = performance.now();
    controller.abort(new Error(`stopped by ${signal}`));
    options.onFirst?.(signal);
  };
  const stopListening = () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await work(controller.signal);
  } finally {
    stopListening();
  }
}
