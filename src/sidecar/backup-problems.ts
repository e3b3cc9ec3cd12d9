import type { JobState } from "../backup/job-state.ts";
import type { Problem } from "./problems.ts";

/** What of the backups a person must look at: a last try that failed, a backup that is overdue, none at all. */
export function backupProblems(states: readonly JobState[]): Problem[] {
  return states.flatMap(({ job, node, last, failure, stale }) => {
    const problem = (kind: Problem["kind"], message: string, remedy: string) => [
      { kind, node, table: null, message, remedy },
    ];
    if (failure) {
      const what = `The last backup of job ${job} failed: ${failure.message.replace(/[.\s]+$/, "")}`;
      return problem("backup_failed", what, "`tandem backup list` shows what there is; `tandem run` tries it again.");
    }
    if (last === null) {
      return problem(
        "backup_stale",
        `Job ${job} has no backup yet`,
        "Is `tandem run` running? `tandem backup create` makes one.",
      );
    }
    if (stale)
      return problem(
        "backup_stale",
        `The last backup of job ${job} is overdue: ${last.id}`,
        "Is `tandem run` running?",
      );
    if (last.state === "degraded") {
      return problem(
        "backup_failed",
        `The last backup of job ${job} is degraded: ${last.reason ?? ""}`,
        "Install pg_dump of the server's version.",
      );
    }
    return [];
  });
}
