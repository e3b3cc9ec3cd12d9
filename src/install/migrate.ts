import { type Clock, systemClock } from "../base/time.ts";
import type { Config, TriggerChoice } from "../config/config.ts";
import type { Environment } from "../config/environment.ts";
import type { Connection } from "../db/connection.ts";
import { assertDistinct } from "../db/distinct.ts";
import { installNode } from "./install-node.ts";
import { chosenNodes, withNodes } from "./nodes.ts";
import { type PackageSql, readPackage } from "./package-files.ts";
import { type Patience, patiently } from "./patience.ts";
import { isProblem, type MigrateEvent, type MigrateReport, type NodeReport } from "./report.ts";
import { schemaCopies } from "./schema-copy.ts";
import { arrangeSequences } from "./sequences.ts";
import { trackTables } from "./track.ts";

/** What `migrate` and `uninstall` may be told. */
export interface InstallOptions {
  /** Only this node. */
  readonly node?: string | undefined;
  readonly onProgress?: ((event: MigrateEvent) => void) | undefined;
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long tables that are locked are asked for, per node; a minute unless given. */
  readonly patienceMs?: number | undefined;
  /** Where a URL came from, to name its variable instead of it; the process's unless given. */
  readonly env?: Environment | undefined;
  /** What to do with the application's triggers on tables of which the file does not say it; nothing unless given. */
  readonly triggers?: TriggerChoice | undefined;
}

/**
 * Installs or upgrades Tandem and the capture in every node. All nodes are connected before the first is touched;
 * each step is a transaction, so that an interrupted run is only begun again. Repeated, it writes nothing.
 */
export async function migrate(config: Config, options: InstallOptions = {}): Promise<MigrateReport> {
  const own = await readPackage();
  const nodes = await withNodes(chosenNodes(config, options.node), "migrate", options.signal, async (connections) => {
    await assertDistinct(connections);
    const reports: NodeReport[] = [];
    for (const connection of connections) reports.push(await migrateNode(connection, config, own, options));
    return reports;
  });
  return {
    nodes,
    schemaCopies: schemaCopies(config, nodes, options.env ?? process.env),
    problems: nodes.some(({ tables }) => tables.some(isProblem)),
  };
}

/** All that `migrate` does in one node; `identify`: see `installNode`. */
export async function migrateNode(
  connection: Connection,
  config: Config,
  own: PackageSql,
  { onProgress = () => {}, clock = systemClock, signal, triggers, patienceMs = 60_000 }: InstallOptions,
  identify?: string,
): Promise<NodeReport> {
  const { node } = connection;
  const patience = (what: string): Patience => ({
    clock,
    signal,
    patienceMs,
    onWait: (error) => onProgress({ kind: "waiting", node, what, reason: error instanceof Error ? error.message : "" }),
  });
  // Somebody may be reading the views that are replaced.
  const installed = await patiently(() => installNode(connection, config, own, identify), patience("functions"));
  if (installed.migrations.length > 0) onProgress({ kind: "migrations", node, names: installed.migrations });
  if (installed.sqlInstalled) onProgress({ kind: "functions", node });
  const tables = await trackTables(connection, config, triggers ?? null, patience("tables"), (table) =>
    onProgress({ kind: "table", node, table }),
  );
  const sequences = await arrangeSequences(connection, config, patience("sequences"));
  const changed =
    installed.sqlInstalled ||
    installed.migrations.length > 0 ||
    installed.configured ||
    sequences.changed > 0 ||
    tables.some(({ outcome }) => outcome === "armed" || outcome === "untracked");
  const { migrations, sqlInstalled } = installed;
  return { node, changed, migrations, sqlInstalled, tables, sequences };
}
