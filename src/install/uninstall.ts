import { systemClock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import type { Connection } from "../db/connection.ts";
import { quoteLiteral } from "../db/quote.ts";
import { underInstallLock } from "./lock.ts";
import type { InstallOptions } from "./migrate.ts";
import { chosenNodes, withNodes } from "./nodes.ts";
import { eachWithPatience, type Patience, patiently } from "./patience.ts";
import { isInstalled, refusalBlock, removeBlock } from "./uninstall-block.ts";

/** What `uninstall` did in one node. */
export interface UninstallOutcome {
  readonly node: string;
  /** False: Tandem was not there; nothing was done. */
  readonly removed: boolean;
  /** The tables that were tracked. */
  readonly tables: readonly string[];
}

/** The answer of `uninstall`. */
export interface UninstallReport {
  readonly nodes: readonly UninstallOutcome[];
}

/**
 * Removes Tandem and leaves each database as it was before: one table at a time, so that live traffic is not stopped,
 * then the rest at once. Interrupted, it is begun again; where Tandem is not, or only half, installed, it says so or
 * removes what is there. Throws `lock_timeout` when a lock was not to be had in time.
 */
export async function uninstall(config: Config, options: InstallOptions = {}): Promise<UninstallReport> {
  const nodes = await withNodes(chosenNodes(config, options.node), "uninstall", options.signal, async (connections) => {
    const outcomes: UninstallOutcome[] = [];
    for (const connection of connections) outcomes.push(await uninstallNode(connection, options));
    return outcomes;
  });
  return { nodes };
}

interface Tracked {
  readonly schema_name: string;
  readonly table_name: string;
  readonly shown: string;
}

async function uninstallNode(connection: Connection, options: InstallOptions): Promise<UninstallOutcome> {
  const { node } = connection;
  const { onProgress = () => {}, clock = systemClock, signal, patienceMs = 60_000 } = options;
  const patience = (what: string): Patience => ({
    clock,
    signal,
    patienceMs,
    onWait: (error) => onProgress({ kind: "waiting", node, what, reason: error instanceof Error ? error.message : "" }),
  });
  const { installed, tables } = await look(connection);
  if (!installed) return { node, removed: false, tables: [] };
  const late = await eachWithPatience(
    tables,
    async ({ schema_name: schema, table_name: table }) => {
      const call = `tandem.untrack_table(${quoteLiteral(schema)}, ${quoteLiteral(table)})`;
      await underInstallLock(connection, (tx) => tx.query(`select ${call}`));
      const outcome = { schema, table, outcome: "untracked", reasonCode: null, reason: null, triggers: [] } as const;
      onProgress({ kind: "table", node, table: outcome });
    },
    patience("tables"),
  );
  for (const error of late.values()) throw error;
  await patiently(() => underInstallLock(connection, (tx) => tx.exec(removeBlock())), patience("the rest"));
  return { node, removed: true, tables: tables.map(({ shown }) => shown) };
}

/** Without the function that takes capture away, the last step takes all of it. */
function look(connection: Connection): Promise<{ installed: boolean; tables: Tracked[] }> {
  return underInstallLock(connection, async (tx) => {
    await tx.exec(refusalBlock());
    const [row] = await tx.query(`select ${isInstalled} as installed,
      to_regprocedure('tandem.untrack_table(text,text)') is not null and to_regclass('tandem.tracked_table') is not null as whole`);
    const list = `select t.schema_name, t.table_name, format('%I.%I', t.schema_name, t.table_name) as shown
      from tandem.tracked_table t order by t.table_id`;
    return { installed: row?.installed === "t", tables: row?.whole === "t" ? await tx.query<Tracked>(list) : [] };
  });
}
