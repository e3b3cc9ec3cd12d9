import type { Clock } from "../base/time.ts";
import type { BackupJob, Config } from "../config/config.ts";
import { toTandemError } from "../db/sqlstate.ts";
import { BackupFolder } from "./folder.ts";
import type { JobState } from "./job-state.ts";
import { writeFailure } from "./records.ts";
import { type BackupProof, verifyBackup } from "./verify.ts";

const againAfterMs = 3_600_000;

/**
 * When the newest backup of a job is to be proven next, in milliseconds since 1970: at once while none of its backups was, an hour after
 * a proof that failed. Null: nobody asked for it, or there is nothing that could be proven.
 */
export function proofDueAt(
  { proveEveryMs: every }: BackupJob,
  { whole, provenAt, proofFailure }: JobState,
): number | null {
  if (every === null || whole === null) return null;
  if (proofFailure) return Date.parse(proofFailure.failedAt) + Math.min(every, againAfterMs);
  return provenAt === null ? 0 : Date.parse(provenAt) + every;
}

/** How a proof is made. */
export interface ProveOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Proves the newest whole backup of a job to level 3. That it was not reached is on record, and no backup any less for it unless damage was
 * found. Throws what kept it from being tried, after noting that too, and `stopped`.
 */
export async function proveNewest(
  config: Config,
  { job, node, whole }: JobState,
  { clock, signal }: ProveOptions,
): Promise<BackupProof | null> {
  if (whole === null) return null;
  const startedAt = new Date(clock.now()).toISOString();
  const note = ({ code, message }: { readonly code: string; readonly message: string }) =>
    writeFailure(new BackupFolder(config.backup.dir), {
      ...{ id: whole.id, what: "proof", node, job, startedAt, code, message },
      failedAt: new Date(clock.now()).toISOString(),
    });
  try {
    const proof = await verifyBackup(config, whole.id, { level: 3, clock, signal });
    if (proof.error) await note(proof.error);
    return proof;
  } catch (error) {
    if (!signal?.aborted) await note(toTandemError(error, node));
    throw error;
  }
}
