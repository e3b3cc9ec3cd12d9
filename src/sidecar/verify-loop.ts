import { errorLine } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import { verify } from "../verify/verify.ts";
import type { Lease } from "./lease.ts";
import { askVerification, noteVerification } from "./verification.ts";

/** What the background comparison needs of the sidecar. */
export interface VerifyLoopOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Of several sidecars only the one that has it compares. */
  readonly lease: Lease;
}

// A sidecar that is started again and again shall not compare each time; nor before first copies are under way.
const firstAfterMs = 600_000;
const againAfterMs = 600_000;
// Small pieces, and after each of them four times as long doing nothing: a fifth of one session's time, per node.
const pace = { rangeRows: 50_000, restFactor: 4 };

/**
 * Compares all nodes once in a while, slowly, and keeps the result in each of them: so that status can say since when all
 * are known to be identical, also after the sidecar was started anew. Failures are logged and waited out.
 */
export async function verifyLoop(config: Config, options: VerifyLoopOptions): Promise<void> {
  const everyMs = config.sync.verifyEveryMs;
  const { clock, logger, signal, lease } = options;
  if (everyMs === null || config.nodes.length < 2) return;
  const started = clock.now();
  while (!signal.aborted) {
    let pause = againAfterMs;
    try {
      const last = await askVerification(config, { signal });
      const due = last === null ? started + Math.min(everyMs, firstAfterMs) : Date.parse(last.asOf) + everyMs;
      const left = Math.min(due - clock.now(), everyMs);
      if (left > 0) pause = left;
      else if (lease.tenure) {
        await compare(config, options);
        continue;
      }
    } catch (error) {
      if (!signal.aborted) logger.warn({}, `the nodes could not be compared: ${errorLine(error)}`);
    }
    if (!signal.aborted) await clock.sleep(pause, signal).catch(() => {});
  }
}

async function compare(config: Config, { clock, logger, signal }: VerifyLoopOptions): Promise<void> {
  const report = await verify(config, { ...pace, keyLimit: 10, clock, signal });
  await noteVerification(config, report, { signal });
  const { tables, differing, reasons } = report.totals;
  const found = { tables, differing, ...reasons };
  if (reasons.diverged > 0) logger.warn(found, "nodes differ: `tandem verify` names the rows");
  else logger.info(found, report.identical ? "all nodes are identical" : "the nodes were compared");
}
