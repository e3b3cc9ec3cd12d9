/** The rules by which something is told. Visible from outside: never rename one. */
export const alertRules = [
  "link_down",
  "lag",
  "parked",
  "held",
  "conflicts",
  "diverged",
  "clock_skew",
  "backup_failed",
  "backup_stale",
  "backup_unproven",
  "backup_not_stored",
  "shrunk",
  "disk_low",
  "log_growing",
  "watch_failed",
] as const;

/** One of the rules. */
export type AlertRule = (typeof alertRules)[number];

/** Something that a person must look at, as it is at this moment. */
export interface Condition {
  readonly rule: AlertRule;
  /** A node, a link (`local:external`), a job; empty: all. */
  readonly subject: string;
  /** A sentence without its full stop. */
  readonly message: string;
  readonly remedy: string;
  /** For how long it must last before anybody is told, in milliseconds. */
  readonly afterMs: number;
}

/** What is to be told. */
export interface AlertEvent {
  /** A UUID: what comes twice has the same. */
  readonly id: string;
  readonly what: "fired" | "lasts" | "cleared" | "test";
  /** Rule and subject: the same for as long as it is about the same. */
  readonly alert: string;
  readonly rule: AlertRule | "test";
  readonly subject: string;
  /** In ISO 8601: since when it is so, and when this was noticed. */
  readonly since: string;
  readonly at: string;
  readonly message: string;
  readonly remedy: string;
}
