import { TandemError } from "../base/errors.ts";
import { systemClock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import type { Connection } from "../db/connection.ts";
import { quoteLiteral } from "../db/quote.ts";
import { checkCompat } from "../install/compat.ts";
import { underInstallLock } from "../install/lock.ts";
import { migrateNode } from "../install/migrate.ts";
import { peersOf, rejoinNodeCall, renewPeerCall } from "../install/node-settings.ts";
import { chosenNodes, withNodes } from "../install/nodes.ts";
import { readPackage } from "../install/package-files.ts";
import { openLink } from "./open-link.ts";
import { type SyncOptions, type SyncReport, sync } from "./sync.ts";

/** How a node comes back. */
export interface RejoinOptions extends SyncOptions {
  /** What becomes of rows that only this node has and that the others may have deleted while it was away. */
  readonly missing?: "keep" | "delete" | undefined;
}

/** What `rejoin` did. */
export interface RejoinReport {
  readonly node: string;
  /** False: it was the database it had been, so that nothing but what was left of an earlier rejoin had to be done. */
  readonly renewed: boolean;
  /** Rows that only this node has and that wait for a word, `missing`; one that others refer to counts for each table that asks for it. */
  readonly undecided: number;
  readonly sync: SyncReport;
  readonly well: boolean;
}

/**
 * Takes back a node whose database was restored, branched, cloned or made anew. It gets a new incarnation; all that was
 * known of its links is forgotten on both sides, and every table is compared before it flows: the others are read
 * into it, then it into the others. No write of either side is lost: where both changed a row the newer image stays and
 * the older one is kept as a conflict. Interrupted, it is called again. Throws `usage` where there is no such node or it is
 * linked with nobody, and what connecting and installing throw.
 */
export async function rejoin(config: Config, name: string, options: RejoinOptions = {}): Promise<RejoinReport> {
  const renewed = await takeBack(config, name, options);
  const report = await sync(config, options);
  const undecided = report.links.filter(({ source }) => source === name).reduce((sum, link) => sum + link.undecided, 0);
  return { node: name, renewed, undecided, sync: report, well: report.well };
}

/** `rejoin` up to where its links are worked, by whomever; returns whether it was another database than it had been. */
export async function takeBack(config: Config, name: string, options: RejoinOptions = {}): Promise<boolean> {
  const peers = peersOf(config, name).map((peer) => peer.name);
  const nodes = [name, ...peers].flatMap((each) => chosenNodes(config, each));
  if (peers.length === 0) throw new TandemError("usage", `node ${name} is linked with no other node`);
  const renewed = !(await isIntact(config, name, options));
  await withNodes(nodes, "rejoin", options.signal, async ([node, ...others]) => {
    if (renewed) await renew(config, node as Connection, others, options);
    if (options.missing) await choose(others, name, options.missing);
  });
  return renewed;
}

/** Whether the node and its peers recognize each other, in both directions. */
async function isIntact(
  config: Config,
  name: string,
  { clock = systemClock, signal }: RejoinOptions,
): Promise<boolean> {
  for (const pair of config.links.filter(({ source }) => source === name)) {
    try {
      for (const each of [pair, { source: pair.target, target: pair.source }]) {
        await using open = await openLink(config, each, { clock, batchRows: 1, signal });
        await open.link.meet();
      }
    } catch (error) {
      const code = error instanceof TandemError ? error.code : "internal";
      if (["identity_mismatch", "not_installed", "version_mismatch"].includes(code)) return false;
      if (code !== "position_mismatch") throw error;
    }
  }
  return true;
}

async function renew(
  config: Config,
  node: Connection,
  others: readonly Connection[],
  { clock, signal }: RejoinOptions,
): Promise<void> {
  const own = await readPackage();
  const incarnations: Record<string, string> = {};
  for (const other of others) {
    await checkCompat(other);
    incarnations[other.node] = await incarnationOf(other);
  }
  await migrateNode(node, config, own, { clock, signal }, rejoinNodeCall(config, node.node, incarnations));
  const incarnation = await incarnationOf(node);
  for (const other of others) {
    await underInstallLock(other, (tx) =>
      tx.query(`select ${renewPeerCall(config, other.node, node.node, incarnation)}`),
    );
  }
}

/** Only the name is asked: the other database may wait for a rejoin of its own. */
async function incarnationOf(connection: Connection): Promise<string> {
  const [row] = await connection.query("select name, incarnation from tandem.local_node");
  if (row?.name === connection.node && row.incarnation) return row.incarnation;
  throw new TandemError(
    row ? "identity_mismatch" : "not_installed",
    row ? `node ${connection.node}: the database is node "${row.name}"` : `node ${connection.node} is not configured`,
    { node: connection.node, hint: row ? "Correct the URLs: they may have been exchanged." : undefined },
  );
}

async function choose(others: readonly Connection[], name: string, missing: "keep" | "delete"): Promise<void> {
  const call = `tandem.choose_missing(${quoteLiteral(name)}, ${quoteLiteral(missing)})`;
  for (const other of others) await underInstallLock(other, (tx) => tx.query(`select ${call}`));
}
