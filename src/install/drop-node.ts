import { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import { topologyFaults } from "../config/topology.ts";
import type { Connection } from "../db/connection.ts";
import { quoteLiteral } from "../db/quote.ts";
import { checkCompat } from "./compat.ts";
import { underInstallLock } from "./lock.ts";
import { configureNodeCall } from "./node-settings.ts";
import { withNodes } from "./nodes.ts";

/** What one of the others did. */
export interface DropNodeOutcome {
  readonly node: string;
  /** Whether it had a link with the node that is dropped. */
  readonly linked: boolean;
  /** Entries received from that node, which are now sent to everybody. */
  readonly forwarded: number;
  /** Changes that were kept for it alone or among others. */
  readonly freed: number;
}

/** The answer of `dropNode`. */
export interface DropNodeReport {
  readonly node: string;
  readonly others: readonly DropNodeOutcome[];
  /** True: the configuration still names the node, and `migrate` would take it up again. */
  readonly configured: boolean;
}

/**
 * Lets a node go that is lost for good or no longer wanted. Its neighbours enter anew what they received from it, versions kept, so
 * that the others get what it had not brought them yet, and free the entries they kept for it. The node's own database
 * is not touched, and need not be there. Throws `usage` where nobody knows such a node, `net_splits` where the others
 * would not all reach each other without it, and what connecting throws: then nothing was done.
 */
export async function dropNode(
  config: Config,
  name: string,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<DropNodeReport> {
  const rest = withoutNode(config, name);
  if (rest.nodes.length === 0) throw new TandemError("usage", `${name} is the only node`);
  return await withNodes(rest.nodes, "drop node", signal, async (connections) => {
    const linked = new Set<string>();
    for (const connection of connections) {
      await checkCompat(connection);
      if (await knows(connection, name)) linked.add(connection.node);
    }
    if (linked.size === 0) throw new TandemError("usage", `no node has a link with a node ${name}`);
    const others: DropNodeOutcome[] = [];
    for (const connection of connections) {
      others.push(await dropPeer(connection, rest, name, linked.has(connection.node)));
    }
    return { node: name, others, configured: rest.nodes.length < config.nodes.length };
  });
}

/** The configuration as it is without the node; `net_splits` where it then falls apart, or has paths of different length. */
function withoutNode(config: Config, name: string): Config {
  const nodes = config.nodes.filter((node) => node.name !== name);
  const links = config.links.filter(({ source, target }) => source !== name && target !== name);
  const faults = topologyFaults(
    nodes.map((node) => node.name),
    links.filter(({ source, target }) => source < target).map(({ source, target }) => [source, target] as const),
  );
  if (faults.length > 0) {
    const pairs = faults.map(({ nodes: [a, b] }) => `${a} and ${b}`).join(", ");
    throw new TandemError("net_splits", `without node ${name} nothing would be carried between ${pairs}`);
  }
  return { ...config, nodes, links };
}

async function knows(connection: Connection, name: string): Promise<boolean> {
  const [row] = await connection.query(
    `select exists (select from tandem.peer where name = ${quoteLiteral(name)} and gone_at is null) as known`,
  );
  return row?.known === "t";
}

async function dropPeer(connection: Connection, rest: Config, name: string, linked: boolean): Promise<DropNodeOutcome> {
  const peer = `(select peer_id from tandem.peer where name = ${quoteLiteral(name)} and gone_at is null)`;
  return await underInstallLock(connection, async (tx) => {
    const [kept] = await tx.query(`select count(*)::text as n from tandem.unsynced(${peer})`);
    await tx.query(`select ${configureNodeCall(rest, tx.node)}`);
    const [row] = linked ? await tx.query(`select tandem.forget_peer(${peer})::text as n`) : [];
    return { node: tx.node, linked, forwarded: Number(row?.n ?? 0), freed: linked ? Number(kept?.n ?? 0) : 0 };
  });
}
