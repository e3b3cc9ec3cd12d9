import { Counter, Gauge, Registry } from "prom-client";
import type { LinkStatus } from "../sidecar/link-status.ts";
import { problemKinds } from "../sidecar/problems.ts";
import type { HttpContext } from "./context.ts";
import { sharedStatus } from "./status.ts";

/** Seconds since 1970 of a time in ISO 8601. */
export function seconds(iso: string | null): number | null {
  return iso === null ? null : Date.parse(iso) / 1_000;
}

const linkGauges: readonly (readonly [name: string, help: string, read: (link: LinkStatus) => number | null])[] = [
  ["pending_changes", "Changes that wait at the source.", ({ pending }) => pending],
  [
    "oldest_pending_timestamp_seconds",
    "When the oldest change was made that waits at the source.",
    ({ oldestPending }) => seconds(oldestPending),
  ],
  ["parked_rows", "Rows that wait in the target because they cannot be applied.", ({ parked }) => parked],
  ["dropped_rows", "Rows that were given up and differ since.", ({ dropped }) => dropped],
  ["held_tables", "Tables that do not flow, for they do not fit.", ({ tablesHeld }) => tablesHeld],
  ["copying_tables", "Tables that are not wholly copied yet.", ({ tablesCopying }) => tablesCopying],
  ["day_conflicts", "Conflicts of the last 24 hours.", ({ conflicts24h }) => conflicts24h],
  [
    "applied_timestamp_seconds",
    "When the target last applied anything from the source.",
    ({ appliedAt }) => seconds(appliedAt),
  ],
  [
    "caught_up_timestamp_seconds",
    "Everything that was committed at the source before this is known to be in the target, by its clock.",
    ({ caughtUpAt }) => seconds(caughtUpAt),
  ],
  [
    "lag_seconds",
    "How long what came last was under way at most, from its commit at the source to its commit at the target.",
    ({ lagMs }) => (lagMs === null ? null : lagMs / 1_000),
  ],
  [
    "heartbeat_seconds",
    "How long the last heartbeat was under way.",
    ({ heartbeatMs }) => (heartbeatMs === null ? null : heartbeatMs / 1_000),
  ],
  ["heartbeat_timestamp_seconds", "When the last heartbeat came.", ({ heartbeatAt }) => seconds(heartbeatAt)],
  [
    "acknowledged_timestamp_seconds",
    "When the source last heard from the target.",
    ({ acknowledgedAt }) => seconds(acknowledgedAt),
  ],
  [
    "clock_skew_seconds",
    "The target's clock less the source's.",
    ({ clockSkewMs }) => (clockSkewMs === null ? null : clockSkewMs / 1_000),
  ],
  [
    "paused",
    "1 while a person lets the link rest.",
    ({ met, pausedAt }) => (met === null ? null : pausedAt === null ? 0 : 1),
  ],
  [
    "failing",
    "1 while the link's last round failed.",
    ({ lastError, met }) => (met === null ? null : lastError === null ? 0 : 1),
  ],
];

/** What the nodes know, asked anew; a series is missing while the node that would know cannot be asked. */
export async function nodeMetrics(context: HttpContext): Promise<string> {
  const { links, nodes, problems, well, verified } = await sharedStatus(context);
  const registry = new Registry();
  const registers = [registry];
  const labelNames = ["source", "target"];
  for (const [name, help, read] of linkGauges) {
    const gauge = new Gauge({ name: `tandem_link_${name}`, help, labelNames, registers });
    for (const link of links) {
      const value = read(link);
      if (value !== null) gauge.set({ source: link.source, target: link.target }, value);
    }
  }
  const applied = new Counter({
    name: "tandem_link_rows_applied_total",
    help: "Rows that the target has applied since the link was made.",
    labelNames,
    registers,
  });
  for (const { source, target, rowsApplied } of links) {
    if (rowsApplied !== null) applied.inc({ source, target }, rowsApplied);
  }
  const up = new Gauge({ name: "tandem_node_up", help: "1: the node answers.", labelNames: ["node"], registers });
  const tables = new Gauge({
    name: "tandem_node_tracked_tables",
    help: "Tables that are kept the same.",
    labelNames: ["node"],
    registers,
  });
  for (const { node, answered, tables: tracked } of nodes) {
    up.set({ node }, answered ? 1 : 0);
    if (tracked !== null) tables.set({ node }, tracked);
  }
  new Gauge({ name: "tandem_well", help: "1: nothing that a person must look at.", registers }).set(well ? 1 : 0);
  const byKind = new Gauge({
    name: "tandem_problems",
    help: "What a person must look at, by its kind.",
    labelNames: ["kind"],
    registers,
  });
  for (const kind of problemKinds) byKind.set({ kind }, problems.filter((problem) => problem.kind === kind).length);
  if (verified) {
    new Gauge({
      name: "tandem_verified_timestamp_seconds",
      help: "The moment of which the newest comparison of all nodes tells.",
      registers,
    }).set(seconds(verified.asOf) ?? 0);
    new Gauge({
      name: "tandem_verified_diverged_rows",
      help: "Rows that differed then, though nothing was under way that would make them equal.",
      registers,
    }).set(verified.diverged);
  }
  return await registry.metrics();
}
