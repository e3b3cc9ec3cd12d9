import type { z } from "zod";
import type * as answers from "../http/answers.ts";

/** What the sidecar answers, in the forms of the HTTP interface. */
export type Access = z.infer<typeof answers.accessAnswer>;
export type Status = z.infer<typeof answers.statusReport>;
export type Problem = Status["problems"][number];
export type ErrorCode = z.infer<typeof answers.failure>["code"];
export type Link = Status["links"][number];
export type AlertList = z.infer<typeof answers.alertList>;
export type Alert = AlertList["alerts"][number];
export type LinkActivity = z.infer<typeof answers.activity>;
export type PendingList = z.infer<typeof answers.pendingList>;
export type ConflictList = z.infer<typeof answers.conflictList>;
export type Conflict = ConflictList["rows"][number];
export type ConflictDetails = z.infer<typeof answers.conflictDetails>;
export type ParkedList = z.infer<typeof answers.parkedList>;
export type ParkedRow = ParkedList["rows"][number];
export type ActivityList = z.infer<typeof answers.activityList>;
export type Throughput = z.infer<typeof answers.throughputList>;
export type BackupOverview = z.infer<typeof answers.backupOverview>;
export type BackupList = z.infer<typeof answers.backupList>;
export type Backup = z.infer<typeof answers.backupEntry>;

/** Work that goes on after the answer. */
export interface Run {
  readonly id: string;
  readonly action: string;
  readonly subject: string;
  readonly state: "running" | "done" | "failed";
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly result?: unknown;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string } | null;
}

/** What a restore did, or would do, to a table. */
export interface RestoredTable {
  readonly schema: string;
  readonly name: string;
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly deleted: number;
  readonly extra: number;
}
