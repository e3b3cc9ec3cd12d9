import { bigint, customType, integer, pgSchema, primaryKey, text } from "drizzle-orm/pg-core";

// The driver hands out every value as the server's own text; these types read it.

const flag = customType<{ data: boolean; driverData: string }>({
  dataType: () => "boolean",
  fromDriver: (value) => value === "t" || value === "true",
});

/**
 * ISO 8601 in UTC, always with six digits, so that texts compare as the times do; a Date of JavaScript would lose the
 * microseconds. Infinite and BC dates stay as they are.
 */
const instant = customType<{ data: string; driverData: string }>({
  dataType: () => "timestamptz",
  fromDriver: (value) => {
    const [, day, time, fraction = ""] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(value) ?? [];
    return day ? `${day}T${time}.${fraction.padEnd(6, "0")}Z` : value;
  },
});

const number = (name: string) => bigint(name, { mode: "number" });

/** Tandem's own schema, as far as the program reads it by typed queries; `migrations/` and `sql/` make it. */
export const tandemSchema = pgSchema("tandem");

/** The backups of a node by place (machine and folder), as that folder says. */
export const backupTable = tandemSchema.table(
  "backup",
  {
    place: text("place").notNull(),
    id: text("backup_id").notNull(),
    state: text("state", { enum: ["complete", "degraded", "damaged", "failed"] }).notNull(),
    reason: text("reason"),
    job: text("job"),
    label: text("label"),
    startedAt: instant("started_at").notNull(),
    finishedAt: instant("finished_at"),
    rows: number("rows").notNull(),
    bytes: number("bytes").notNull(),
    level: integer("level").notNull(),
    provenAt: instant("proven_at"),
    pinned: flag("pinned").notNull(),
  },
  (table) => [primaryKey({ columns: [table.place, table.id] })],
);

/** One row per peer: what waits in either direction. */
export const statusView = tandemSchema
  .view("status", {
    peer: text("peer").notNull(),
    pending: number("pending").notNull(),
    oldestPending: instant("oldest_pending"),
    parked: number("parked").notNull(),
    dropped: number("dropped").notNull(),
    conflicts24h: number("conflicts_24h").notNull(),
    tablesCopying: number("tables_copying").notNull(),
    tablesHeld: number("tables_held").notNull(),
    met: flag("met").notNull(),
    appliedAt: instant("applied_at"),
    caughtUpAt: instant("caught_up_at"),
    acknowledgedAt: instant("acknowledged_at"),
    rowsApplied: number("rows_applied"),
    batchesCut: number("batches_cut"),
    clockSkew: text("clock_skew"),
    lastError: text("last_error"),
    lastErrorAt: instant("last_error_at"),
    pausedAt: instant("paused_at"),
    pausedBy: text("paused_by"),
    lag: text("lag"),
    heartbeat: text("heartbeat"),
    heartbeatAt: instant("heartbeat_at"),
  })
  .existing();

/** One row per change that a peer has not acknowledged. */
export const pendingView = tandemSchema
  .view("pending", {
    peer: text("peer").notNull(),
    table: text("table").notNull(),
    op: text("op", { enum: ["I", "U", "D"] }).notNull(),
    key: text("key").notNull(),
    changedAt: instant("changed_at").notNull(),
  })
  .existing();

/** Conflicts that were decided in a node; the id is the same in all. A null image: the row was gone. */
export const conflictsView = tandemSchema
  .view("conflicts", {
    id: text("id").notNull(),
    detectedAt: instant("detected_at").notNull(),
    peer: text("peer").notNull(),
    table: text("table").notNull(),
    key: text("key").notNull(),
    kind: text("kind").notNull(),
    rule: text("rule").notNull(),
    winner: text("winner", { enum: ["local", "incoming"] }).notNull(),
    winnerOrigin: text("winner_origin").notNull(),
    winnerChangedAt: instant("winner_changed_at").notNull(),
    loserOrigin: text("loser_origin").notNull(),
    loserChangedAt: instant("loser_changed_at").notNull(),
    localImage: text("local_image"),
    incomingImage: text("incoming_image"),
    restoredAt: instant("restored_at"),
  })
  .existing();

/** Changes from a peer that could not be applied and wait. */
export const parkedView = tandemSchema
  .view("parked", {
    id: number("id").notNull(),
    peer: text("peer").notNull(),
    table: text("table").notNull(),
    key: text("key").notNull(),
    kind: text("kind").notNull(),
    reason: text("reason").notNull(),
    sqlstate: text("sqlstate"),
    parkedAt: instant("parked_at").notNull(),
    attempts: integer("attempts").notNull(),
    triedAt: instant("tried_at").notNull(),
    nextTryAt: instant("next_try_at").notNull(),
  })
  .existing();

/** Parked changes that a person gave up. */
export const droppedView = tandemSchema
  .view("dropped", {
    id: number("id").notNull(),
    peer: text("peer").notNull(),
    table: text("table").notNull(),
    key: text("key").notNull(),
    kind: text("kind").notNull(),
    refusal: text("refusal").notNull(),
    parkedAt: instant("parked_at").notNull(),
    droppedAt: instant("dropped_at").notNull(),
    droppedBy: text("dropped_by").notNull(),
    reason: text("reason").notNull(),
    image: text("image"),
    differs: flag("differs").notNull(),
  })
  .existing();

/** A node and its peers, as it sees them; `here` marks the node itself. */
export const nodesView = tandemSchema
  .view("nodes", {
    name: text("name").notNull(),
    here: flag("here").notNull(),
  })
  .existing();

/** The other nodes that a node has a link with. */
export const peerTable = tandemSchema.table("peer", {
  id: integer("peer_id").primaryKey(),
  name: text("name").notNull(),
  configured: flag("configured").notNull(),
});

/** The tables that a link into a node knows. */
export const inboundTable = tandemSchema.table("inbound_table", {
  peerId: integer("peer_id").notNull(),
  schemaName: text("schema_name").notNull(),
  tableName: text("table_name").notNull(),
  state: text("state", { enum: ["flow", "copy", "held", "catch_up"] }).notNull(),
  rowsCopied: number("rows_copied").notNull(),
  reason: text("reason"),
  since: instant("since").notNull(),
});

/** The sidecar that works on the links into a node, or did. */
export const sidecarView = tandemSchema
  .view("sidecar", {
    label: text("label").notNull(),
    since: instant("since").notNull(),
    seenAt: instant("seen_at").notNull(),
    working: flag("working").notNull(),
  })
  .existing();

/** What happened, as a node keeps it. */
export const activityView = tandemSchema
  .view("activity", {
    id: number("id").notNull(),
    at: instant("at").notNull(),
    kind: text("kind").notNull(),
    source: text("source"),
    target: text("target").notNull(),
    message: text("message").notNull(),
    actor: text("actor").notNull(),
  })
  .existing();

/** Rows that came from each peer, by the minute. */
export const movedView = tandemSchema
  .view("moved", {
    peer: text("peer").notNull(),
    minute: instant("minute").notNull(),
    rows: number("rows").notNull(),
    behindMs: number("behind_ms").notNull(),
  })
  .existing();
