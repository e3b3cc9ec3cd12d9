import { and, eq, getViewSelectedFields, ne, type SQL, sql } from "drizzle-orm";
import type { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import { ruleFor } from "../config/table-pattern.ts";
import type { Connection } from "../db/connection.ts";
import { readerOf } from "../db/drizzle.ts";
import { inboundTable, nodesView, peerTable, sidecarView, statusView } from "../db/schema.ts";
import { toTandemError } from "../db/sqlstate.ts";
import { type SelectionRow, selectionQuery } from "../install/selection.ts";
import { reading } from "./ask-nodes.ts";
import { type Kept, readKept } from "./kept.ts";
import { lastVerification, readVerification, type Verification } from "./verification.ts";

/** A table that a link does not simply carry. */
export interface WaitingTable {
  readonly peer: string;
  readonly table: string;
  readonly state: "copy" | "held" | "catch_up";
  readonly reason: string | null;
  readonly rowsCopied: number;
}

/** An AFTER trigger of the application's that fires for what the applier writes here, though nobody chose so. */
export interface FiringTrigger {
  readonly table: string;
  readonly trigger: string;
}

/** What one node says of itself and of its peers. */
export interface NodeAnswer {
  /** The name this database was given when it was migrated. */
  readonly name: string | null;
  /** Why this is not the database that was migrated, or cannot take part. */
  readonly identity: TandemError | null;
  readonly peers: readonly PeerAnswer[];
  readonly waiting: readonly WaitingTable[];
  readonly selection: readonly SelectionRow[];
  readonly triggers: readonly FiringTrigger[];
  /** What it keeps for peers that do not fetch it. */
  readonly kept: readonly Kept[];
  /** The sidecar that works on the links into this node. */
  readonly sidecar: SidecarAnswer | null;
  /** What the newest comparison of all nodes has shown. */
  readonly verified: Verification | null;
}

/** A sidecar at work, as the node's lease names it. */
export interface SidecarAnswer {
  /** Its machine and process. */
  readonly label: string;
  readonly since: string;
  readonly seenAt: string;
}

/** A row of tandem.status, with ages by the node's own clock, in milliseconds. */
export type PeerAnswer = Omit<typeof statusView.$inferSelect, "clockSkew" | "lag" | "heartbeat"> & {
  readonly oldestPendingMs: number | null;
  readonly caughtUpMs: number | null;
  readonly clockSkewMs: number | null;
  readonly lagMs: number | null;
  readonly heartbeatMs: number | null;
};

/** Reads all that `status` needs from one node; writes nothing. */
export async function readNode(connection: Connection, config: Config): Promise<NodeAnswer> {
  const identity = await checkIdentity(connection);
  return await reading(connection, async (tx) => {
    const reader = readerOf(tx);
    const { clockSkew: _, lag: __, heartbeat: ___, ...columns } = getViewSelectedFields(statusView);
    const [here] = await reader.select().from(nodesView).where(eq(nodesView.here, true));
    const peers = await reader
      .select({
        ...columns,
        oldestPendingMs: milliseconds(sql`clock_timestamp() - ${statusView.oldestPending}`, "oldest_ms"),
        caughtUpMs: milliseconds(sql`clock_timestamp() - ${statusView.caughtUpAt}`, "caught_up_ms"),
        clockSkewMs: milliseconds(sql`${statusView.clockSkew}`, "skew_ms"),
        lagMs: milliseconds(sql`${statusView.lag}`, "lag_ms"),
        heartbeatMs: milliseconds(sql`${statusView.heartbeat}`, "heartbeat_ms"),
      })
      .from(statusView)
      .orderBy(statusView.peer);
    const waiting = await reader
      .select({
        peer: peerTable.name,
        schema: inboundTable.schemaName,
        name: inboundTable.tableName,
        state: inboundTable.state,
        reason: inboundTable.reason,
        rowsCopied: inboundTable.rowsCopied,
      })
      .from(inboundTable)
      .innerJoin(peerTable, eq(peerTable.id, inboundTable.peerId))
      .where(and(peerTable.configured, ne(inboundTable.state, "flow")))
      .orderBy(peerTable.name, inboundTable.schemaName, inboundTable.tableName);
    const [working] = await reader.select().from(sidecarView).where(eq(sidecarView.working, true));
    return {
      name: here?.name ?? null,
      identity,
      peers,
      waiting: waiting.map(({ schema, name, state, ...rest }) => ({
        ...rest,
        table: labelOf(schema, name),
        state: state === "flow" ? "catch_up" : state,
      })),
      selection: await tx.query<SelectionRow>(selectionQuery(config)),
      triggers: await firingTriggers(tx, config),
      kept: await readKept(tx, config, connection.node),
      verified: readVerification((await tx.query(lastVerification))[0]?.answer),
      sidecar: working ? { label: working.label, since: working.since, seenAt: working.seenAt } : null,
    };
  });
}

// Where the role may switch to replica role, only triggers that fire always do. BEFORE triggers change nothing: the image is put back.
const firing = `
  with role as materialized (select tandem.try_replica_role() as replica)
  select t.schema_name, t.table_name, a.name
  from role, tandem.tracked_table t cross join lateral tandem.application_triggers(t.relid) a
  where not a.before and not a.guarded and (a.enabled = 'A' or (a.enabled = 'O' and not role.replica))
  order by 1, 2, 3`;

async function firingTriggers(tx: Connection, config: Config): Promise<FiringTrigger[]> {
  const rows = await tx.query<{ schema_name: string; table_name: string; name: string }>(firing);
  return rows
    .filter((row) => ruleFor(config.tables ?? [], row.schema_name, row.table_name)?.triggers !== "leave")
    .map((row) => ({ table: labelOf(row.schema_name, row.table_name), trigger: row.name }));
}

/** The name of a table as people write it. */
export function labelOf(schema: string, table: string): string {
  return schema === "public" ? table : `${schema}.${table}`;
}

function milliseconds(interval: SQL, name: string): SQL.Aliased<number | null> {
  return sql<number | null>`(extract(epoch from ${interval}) * 1000)::float8`.mapWith(Number).as(name);
}

async function checkIdentity(connection: Connection): Promise<TandemError | null> {
  try {
    await reading(connection, (tx) => tx.query("select tandem.check_identity()"));
    return null;
  } catch (error) {
    const known = toTandemError(error, connection.node);
    if (["identity_mismatch", "in_recovery", "not_installed"].includes(known.code)) return known;
    throw known;
  }
}
