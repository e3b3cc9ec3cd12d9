import { z } from "zod";
import { alertRules } from "../alert/event.ts";
import type { BackupEntry } from "../backup/list.ts";
import type { BackupOverview } from "../backup/overview.ts";
import { type ErrorCode, errorCodes } from "../base/error-codes.ts";
import type { Counts } from "../sidecar/counts.ts";
import type { LinkActivity } from "../sidecar/link-loop.ts";
import type { LinkStatus } from "../sidecar/link-status.ts";
import { problemKinds } from "../sidecar/problems.ts";
import type { StatusReport } from "../sidecar/status.ts";

// The forms of answers. Each is held to the type of what the sidecar hands out, and the tests hold the answers to the forms.

const instant = z.string().describe("A time in ISO 8601, in UTC.");
const count = z.int().nonnegative();
const code = z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]);

/** A failure inside an answer: what one node, or one link, could not do. */
export const failure = z.object({
  code,
  message: z.string(),
  hint: z.string(),
  node: z.string().optional(),
  link: z.string().optional(),
  table: z.string().optional(),
});

/** What a page may do here. */
export const accessAnswer = z.strictObject({
  version: z.string(),
  actions: z.boolean().describe("Whether a token is configured: without one nothing can be done by HTTP."),
  trusted: z.boolean().describe("Whether this request has the token."),
});

/** Nodes that could not be asked. */
export const unanswered = z.array(z.strictObject({ node: z.string(), error: failure }));

const verification = z.strictObject({
  asOf: instant,
  finishedAt: instant,
  nodes: z.array(z.string()),
  identical: z.boolean(),
  tables: count,
  rows: count,
  differing: count,
  diverged: count,
});

const linkStatus = z.strictObject({
  source: z.string(),
  target: z.string(),
  pending: count.nullable(),
  oldestPending: instant.nullable(),
  oldestPendingMs: z.number().nullable(),
  acknowledgedAt: instant.nullable(),
  met: z.boolean().nullable(),
  parked: count.nullable(),
  dropped: count.nullable(),
  conflicts24h: count.nullable(),
  tablesCopying: count.nullable(),
  tablesHeld: count.nullable(),
  rowsApplied: count.nullable(),
  batchesCut: count.nullable(),
  appliedAt: instant.nullable(),
  caughtUpAt: instant.nullable(),
  caughtUpMs: z.number().nullable(),
  lagMs: z.number().nullable().describe("How long what came last was under way at most, from commit to commit."),
  heartbeatMs: z
    .number()
    .nullable()
    .describe("How long the last heartbeat was under way; null where heartbeats are off."),
  heartbeatAt: instant.nullable(),
  clockSkewMs: z.number().nullable(),
  lastError: z.string().nullable(),
  lastErrorAt: instant.nullable(),
  pausedAt: instant.nullable(),
  pausedBy: z.string().nullable(),
}) satisfies z.ZodType<LinkStatus>;

/** What one link of this sidecar does at this moment. */
export const activity = z.strictObject({
  source: z.string(),
  target: z.string(),
  state: z.enum(["connecting", "standby", "working", "idle", "paused", "failing", "stopped"]),
  caughtUpAt: z.number().nullable().describe("Milliseconds since 1970."),
  error: z.string().nullable(),
  skewMs: z.number(),
  rows: count,
}) satisfies z.ZodType<LinkActivity>;

/** How all is. */
export const statusReport = z.strictObject({
  sentence: z.string(),
  well: z.boolean(),
  problems: z.array(
    z.strictObject({
      kind: z.enum(problemKinds),
      node: z.string(),
      table: z.string().nullable(),
      message: z.string(),
      remedy: z.string(),
    }),
  ),
  nodes: z.array(
    z.strictObject({
      node: z.string(),
      answered: z.boolean(),
      tables: count.nullable(),
      sidecar: z.strictObject({ label: z.string(), since: instant, seenAt: instant }).nullable(),
    }),
  ),
  links: z.array(linkStatus),
  leftOut: z.array(z.strictObject({ node: z.string(), table: z.string(), reason: z.string(), problem: z.boolean() })),
  triggers: z.array(z.strictObject({ node: z.string(), table: z.string(), trigger: z.string() })),
  kept: z.array(
    z.strictObject({
      node: z.string(),
      peer: z.string(),
      changes: count,
      silentMs: z.number().nullable().describe("Since the peer acknowledged anything; null: it never did."),
      why: z.enum(["silent", "unnamed", "unlinked"]),
    }),
  ),
  verified: verification.nullable(),
  backups: z.array(
    z.strictObject({
      job: z.string(),
      node: z.string(),
      last: z.string().nullable(),
      level: count.nullable(),
      proven: z.string().nullable(),
      provenAt: instant.nullable(),
      proofFailure: z.string().nullable(),
      failure: z.string().nullable(),
      stale: z.boolean(),
      places: z.array(z.enum(["folder", "store"])),
    }),
  ),
  store: z
    .strictObject({
      name: z.string(),
      behind: z.array(z.string()),
      failure: z.strictObject({ at: instant, code: z.string(), message: z.string() }).nullable(),
      unasked: z.string().nullable(),
      sameDisk: z.boolean(),
    })
    .nullable(),
}) satisfies z.ZodType<StatusReport>;

/** What people are told of. */
export const alertList = z.strictObject({
  alerts: z.array(
    z.strictObject({
      rule: z.enum(alertRules),
      subject: z.string().describe("A node, a link (`local:external`), a job; empty: all."),
      since: instant,
      message: z.string(),
      remedy: z.string(),
    }),
  ),
  unanswered,
});

/** The links, as the nodes know them and as this sidecar works on them. */
export const linkList = z.strictObject({
  links: z.array(
    linkStatus.extend({
      id: z.string().describe("SOURCE:TARGET, for the actions."),
      here: activity.nullable().describe("What this sidecar does on it; null before its first round."),
    }),
  ),
});

/** How many rows there are. */
export const countList = z.strictObject({
  tables: z.array(
    z.strictObject({
      table: z.string(),
      nodes: z.record(z.string(), z.strictObject({ rows: count.nullable(), exact: z.boolean() })),
      same: z.boolean().nullable(),
    }),
  ) satisfies z.ZodType<Counts["tables"]>,
  unanswered,
});

/** A backup as it lies in the folder. */
export const backupEntry = z.strictObject({
  id: z.string(),
  state: z.enum(["complete", "degraded", "damaged"]),
  reason: z.string().nullable(),
  node: z.string().nullable(),
  job: z.string().nullable(),
  label: z.string().nullable(),
  startedAt: instant,
  finishedAt: instant.nullable(),
  tables: count,
  rows: count,
  bytes: count,
  level: z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)]),
  provenAt: instant.nullable(),
  pinned: z.boolean(),
  places: z.array(z.enum(["folder", "store"])),
  leftOut: z.array(z.strictObject({ name: z.string(), reason: z.string() })),
  warnings: z.array(z.string()),
}) satisfies z.ZodType<BackupEntry>;

const backupFailure = z.strictObject({
  id: z.string(),
  what: z.enum(["backup", "proof"]),
  node: z.string(),
  job: z.string().nullable(),
  startedAt: instant,
  failedAt: instant,
  code: z.string(),
  message: z.string(),
});

/** All backups of the folder. */
export const backupList = z.strictObject({
  backups: z.array(backupEntry),
  failures: z.array(backupFailure),
  unsealed: z.array(z.string()).describe("Being made, or left behind by a process that died."),
});

/** How the backups are. */
export const backupOverview = z.strictObject({
  status: z.enum(["ok", "degraded", "failing", "never"]),
  jobs: z.array(
    z.strictObject({
      job: z.string(),
      node: z.string(),
      last: backupEntry.nullable(),
      proven: backupEntry.nullable(),
      whole: backupEntry.nullable(),
      damaged: backupEntry.nullable(),
      provenAt: instant.nullable(),
      proofFailure: backupFailure.nullable(),
      unproven: z.boolean(),
      failure: backupFailure.nullable(),
      stale: z.boolean(),
      schedule: z.string().nullable(),
      nextRunAt: instant.nullable(),
    }),
  ),
  last: backupEntry.nullable(),
  proven: backupEntry.nullable(),
  unsealed: z.array(z.string()),
  counts: z.strictObject({ complete: count, degraded: count, damaged: count, pinned: count, failed: count }),
  disk: z.strictObject({ usedBytes: count, freeBytes: count }).nullable(),
}) satisfies z.ZodType<BackupOverview>;

const more = z.boolean().describe("Whether the limit cut the list.");

/** Changes that wait to be carried. */
export const pendingList = z.strictObject({
  rows: z.array(
    z.strictObject({
      node: z.string(),
      peer: z.string(),
      table: z.string(),
      op: z.enum(["I", "U", "D"]),
      key: z.string(),
      changedAt: instant,
    }),
  ),
  more,
  unanswered,
});

const version = z.strictObject({
  origin: z.string(),
  changedAt: instant,
  image: z.string().nullable().optional().describe("Null: the row was gone. Only with the token."),
});

const conflict = z.strictObject({
  id: z.string(),
  detectedAt: instant,
  table: z.string(),
  key: z.string(),
  kind: z.string(),
  rule: z.string(),
  winner: version,
  loser: version,
  restoredAt: instant.nullable(),
});

/** Conflicts and how they were decided. */
export const conflictList = z.strictObject({
  rows: z.array(conflict.extend({ nodes: z.array(z.string()) })),
  more,
  images: z.boolean().describe("Whether the images are there: only with the token."),
  unanswered,
});

/** One conflict, its images side by side. */
export const conflictDetails = conflict.extend({
  node: z.string(),
  columns: z
    .array(
      z.strictObject({
        column: z.string(),
        winner: z.string().nullable(),
        loser: z.string().nullable(),
        differs: z.boolean(),
      }),
    )
    .describe("Every column of either image; null: the value is null, or the image has no such column."),
  differences: z.array(
    z.strictObject({ column: z.string(), winner: z.string().nullable(), loser: z.string().nullable() }),
  ),
});

/** Rows that wait because they cannot be applied. */
export const parkedList = z.strictObject({
  rows: z.array(
    z.strictObject({
      node: z.string(),
      id: z.int(),
      peer: z.string(),
      table: z.string(),
      key: z.string(),
      kind: z.string(),
      reason: z.string(),
      sqlstate: z.string().nullable(),
      parkedAt: instant,
      attempts: count,
      triedAt: instant,
      nextTryAt: instant,
    }),
  ),
  more,
  unanswered,
});

/** What happened, as the nodes keep it. */
export const activityList = z.strictObject({
  rows: z.array(
    z.strictObject({
      node: z.string().describe("The node that keeps it."),
      id: z.int(),
      at: instant,
      kind: z.string(),
      source: z.string().nullable(),
      target: z.string(),
      message: z.string(),
      actor: z.string(),
    }),
  ),
  more,
  unanswered,
});

/** What the links carried, minute by minute. */
export const throughputList = z.strictObject({
  links: z.array(
    z.strictObject({
      source: z.string(),
      target: z.string(),
      minutes: z.array(z.strictObject({ minute: instant, rows: count, behindMs: count })),
    }),
  ),
  unanswered,
});
