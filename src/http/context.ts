import type { Logger } from "../base/logger.ts";
import type { Clock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import type { Live } from "../sidecar/live.ts";
import type { Page } from "./page-files.ts";
import type { ProcessMetrics } from "./process-metrics.ts";
import type { Runs } from "./runs.ts";
import type { Shared } from "./shared.ts";
import type { Streams } from "./streams.ts";

/** What every handler may use. */
export interface HttpContext {
  readonly config: Config;
  readonly version: string;
  readonly page: Page;
  readonly live: Live;
  readonly shared: Shared;
  readonly metrics: ProcessMetrics;
  readonly runs: Runs;
  readonly streams: Streams;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted when the sidecar ends. */
  readonly signal: AbortSignal;
}
