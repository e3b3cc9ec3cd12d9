import type { Alert, Problem } from "./types.ts";

type Kinds = readonly Problem["kind"][];

/**
 * The problems that say what an alert is about. Such a problem bears the alert's mark, and the alert has no sentence of its own: not
 * for as long either as it outlives its problem, which the sidecar's next look ends.
 */
const problemsOf: Record<Alert["rule"], Kinds> = {
  link_down: [
    ...(["unreachable", "not_installed", "wrong_version", "identity", "unreadable", "not_configured"] as const),
    "failing",
  ],
  lag: ["stale"],
  parked: ["parked"],
  held: ["held", "undecided"],
  conflicts: [],
  diverged: ["diverged"],
  clock_skew: [],
  backup_failed: ["backup_failed"],
  backup_stale: ["backup_stale"],
  backup_unproven: ["backup_unproven"],
  backup_not_stored: ["backup_not_stored"],
  shrunk: [],
  disk_low: [],
  log_growing: ["kept"],
  watch_failed: [],
};

/** The node at which an alert's subject stands: of a link its target, of a log that grows the node that keeps it. */
export function nodeOf({ rule, subject }: Pick<Alert, "rule" | "subject">): string {
  if (rule === "held") return subject.split(" ")[0] ?? "";
  return subject.split(":").at(rule === "log_growing" ? 0 : -1) ?? "";
}

/** Whether a problem says what an alert is about. */
export function says(problem: Problem, alert: Alert): boolean {
  const { rule, subject } = alert;
  if (!problemsOf[rule].includes(problem.kind)) return false;
  // The subject of these is a job, which the sentence names, or nothing.
  if (rule === "diverged" || rule.startsWith("backup_")) return problem.message.includes(subject);
  return nodeOf(alert) === problem.node;
}

/** Of these alerts, those that nothing else on the page speaks of. */
export function unsaid(alerts: readonly Alert[], problems: readonly Problem[]): Alert[] {
  const ownWords: readonly Alert["rule"][] = [
    "conflicts",
    "clock_skew",
    "shrunk",
    "disk_low",
    "log_growing",
    "watch_failed",
  ];
  return alerts.filter((alert) => ownWords.includes(alert.rule) && !problems.some((problem) => says(problem, alert)));
}

/** Since when the first of them is so, in ISO 8601; null: there is none. */
export function sinceOf(alerts: readonly Alert[]): string | null {
  return alerts.map(({ since }) => since).sort()[0] ?? null;
}
