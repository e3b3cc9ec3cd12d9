import { setMaxListeners } from "node:events";
import type { Logger } from "../base/logger.ts";
import { systemClock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import type { LinkEvent } from "../link/report.ts";
import type { LinkActivity } from "../sidecar/link-loop.ts";
import { Live } from "../sidecar/live.ts";
import { runSidecar } from "../sidecar/sidecar.ts";

/** What a sidecar with its HTTP interface needs. */
export interface RunOptions {
  /** Aborted: both end, after the batch in hand. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly live?: Live;
  readonly onEvent?: (event: LinkEvent) => void;
  readonly onActivity?: (activity: LinkActivity) => void;
}

/** The sidecar, and its HTTP interface as the configuration has it; returns once both have ended, throws what `runSidecar` throws. */
export async function runWithHttp(config: Config, options: RunOptions): Promise<void> {
  const { signal, logger, live = new Live(), onEvent, onActivity } = options;
  const ended = new AbortController();
  // Every request and every open page waits on it: more than ten are no leak.
  setMaxListeners(0, ended.signal);
  const work = runSidecar(config, {
    signal,
    logger,
    ...(onEvent && { onEvent }),
    onActivity: (activity) => {
      live.note(activity);
      onActivity?.(activity);
    },
    onFiring: (firing) => {
      live.alerts = firing;
    },
  }).finally(() => ended.abort());
  const both = [work, serve(config, { live, logger, signal: ended.signal })];
  const [outcome, served] = await Promise.allSettled(both);
  for (const result of [outcome, served]) if (result?.status === "rejected") throw result.reason;
}

/** Loaded after the links have begun: it takes a moment. */
async function serve(config: Config, options: { live: Live; logger: Logger; signal: AbortSignal }): Promise<void> {
  const { serveHttp } = await import("../http/server.ts");
  await serveHttp(config, { ...options, clock: systemClock });
}
