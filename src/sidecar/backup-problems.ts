import type { JobState } from "../backup/job-state.ts";
import type { StoreState } from "../backup/store-state.ts";
import type { Problem } from "./problems.ts";
import { count } from "./words.ts";

/**
 * What of the backups a person must look at: a last try that failed, a newest one that is damaged, one that is overdue, none at all; a proof that failed, or was
 * asked for and is too old.
 */
export function backupProblems(states: readonly JobState[]): Problem[] {
  return states.flatMap((state) => {
    const found = [ofBackups(state), ofProofs(state)].filter((one) => one !== null);
    return found.map(([kind, message, remedy]) => ({ kind, node: state.node, table: null, message, remedy }));
  });
}

type Finding = readonly [kind: Problem["kind"], message: string, remedy: string] | null;

const ended = (message: string) => message.replace(/[.\s]+$/, "");

function ofBackups({ job, last, failure, damaged, stale }: JobState): Finding {
  if (failure) {
    const what = `The last backup of job ${job} failed: ${ended(failure.message)}`;
    return ["backup_failed", what, "`tandem backup list` shows what there is; `tandem run` tries it again."];
  }
  if (damaged) {
    const what = `The last backup of job ${job}, ${damaged.id}, is damaged: ${ended(damaged.reason ?? "")}`;
    const older = last === null ? "there is no good one before it" : `the last good one is ${last.id}`;
    return ["backup_failed", what, `Look after the disk; ${older}. \`tandem backup create\` makes one now.`];
  }
  if (last === null) {
    const remedy = "Is `tandem run` running? `tandem backup create` makes one.";
    return ["backup_stale", `Job ${job} has no backup yet`, remedy];
  }
  if (stale)
    return ["backup_stale", `The last backup of job ${job} is overdue: ${last.id}`, "Is `tandem run` running?"];
  if (last.state === "degraded") {
    const what = `The last backup of job ${job} is degraded: ${last.reason ?? ""}`;
    return ["backup_failed", what, "Install pg_dump of the server's version."];
  }
  return null;
}

function ofProofs({ job, provenAt, proofFailure, unproven }: JobState): Finding {
  const remedy = "`tandem run` tries it again within the hour, `tandem backup verify` at once.";
  if (proofFailure) {
    const what = `The last proof of job ${job} failed, of backup ${proofFailure.id}: ${ended(proofFailure.message)}`;
    return ["backup_unproven", what, remedy];
  }
  if (!unproven) return null;
  const what =
    provenAt === null
      ? `No backup of job ${job} is proven yet`
      : `The newest proof of job ${job} is too old: ${provenAt}`;
  return ["backup_unproven", what, "Is `tandem run` running? `tandem backup verify latest` proves it now."];
}

/** A store that backups could not be brought to, or that could not be asked. */
export function storeProblems(store: StoreState | null, node: string): Problem[] {
  if (store === null || (store.failure === null && store.unasked === null)) return [];
  const { behind, failure, unasked } = store;
  const many = `${count(behind.length, "backup")} ${behind.length === 1 ? "is" : "are"} not in the store`;
  const reason = unasked ?? ended(failure?.message ?? "");
  const message = `${behind.length > 0 ? many : "The store cannot be used"}: ${ended(reason)}`;
  const remedy = "`tandem run` tries it again by itself, `tandem backup upload` now.";
  return [{ kind: "backup_not_stored", node, table: null, message, remedy }];
}
