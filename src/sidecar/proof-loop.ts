import { jobStates } from "../backup/job-state.ts";
import { proofDueAt, proveNewest } from "../backup/prove.ts";
import { errorLine } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../base/time.ts";
import type { Config } from "../config/config.ts";

/** What the proofs need of the sidecar. */
export interface ProofLoopOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Whether this sidecar is the one that works on a node. */
  readonly may: (node: string) => boolean;
}

// A look at the folder costs little, and a clock may be set, a machine may sleep.
const lookEveryMs = 60_000;
const askAgainMs = 1_000;

/**
 * Proves the newest backup of each job that asks for it (`prove: daily`), one at a time and beside the backups, which do not wait for it:
 * restoring a database takes longer than dumping it. What is due is read from the folder, so nothing is missed over a restart.
 */
export async function proofLoop(config: Config, options: ProofLoopOptions): Promise<void> {
  if (config.backup.jobs.every(({ proveEveryMs }) => proveEveryMs === null)) return;
  const { clock, logger, signal, may } = options;
  while (!signal.aborted) {
    try {
      await proveDue(config, options);
    } catch (error) {
      if (!signal.aborted) logger.error({}, `backups cannot be proven: ${errorLine(error)}`);
    }
    const mine = config.backup.jobs.some(({ node }) => may(node));
    if (!signal.aborted) await clock.sleep(mine ? lookEveryMs : askAgainMs, signal).catch(() => {});
  }
}

async function proveDue(config: Config, { clock, logger, signal, may }: ProofLoopOptions): Promise<void> {
  for (const job of config.backup.jobs) {
    if (signal.aborted || !may(job.node)) continue;
    const state = (await jobStates(config, clock.now())).find((one) => one.job === job.name);
    const due = state ? proofDueAt(job, state) : null;
    if (!state || due === null || due > clock.now()) continue;
    const proof = await proveNewest(config, state, { clock, signal });
    if (!proof) continue;
    const fields = { job: job.name, node: job.node, backup: proof.id };
    if (proof.error) logger.error(fields, `the proof failed: ${errorLine(proof.error)}`);
    else logger.info(fields, "backup proven");
  }
}
