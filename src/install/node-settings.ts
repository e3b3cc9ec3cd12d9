import type { Config } from "../config/config.ts";
import { quoteLiteral } from "../db/quote.ts";

/** A peer as `tandem.configure_node` takes it. */
export interface PeerSettings {
  readonly name: string;
  /** It has a link into this node. */
  readonly sends: boolean;
  /** This node has a link into it. */
  readonly receives: boolean;
  /** The nodes that have a link into it. */
  readonly receives_from: readonly string[];
}

/** Everybody that a node has a link with, in either direction. */
export function peersOf(config: Config, node: string): PeerSettings[] {
  const { links } = config;
  const has = (source: string, target: string) =>
    links.some((link) => link.source === source && link.target === target);
  return config.nodes
    .map(({ name }) => name)
    .filter((name) => name !== node && (has(name, node) || has(node, name)))
    .sort()
    .map((name) => ({
      name,
      sends: has(name, node),
      receives: has(node, name),
      receives_from: [...new Set(links.filter(({ target }) => target === name).map(({ source }) => source))].sort(),
    }));
}

const json = (value: unknown) => `${quoteLiteral(JSON.stringify(value))}::jsonb`;

function nodeArguments(config: Config, node: string): string {
  const { maxSkewMs, retentionMs, keepConflictsMs, seed, heartbeatMs } = config.sync;
  // PostgreSQL 13 takes no more than 2^31 of any unit.
  const interval = (ms: number) => `${ms / 1_000} seconds`;
  const settings = {
    max_skew: interval(maxSkewMs),
    retention: interval(retentionMs),
    keep_conflicts: interval(keepConflictsMs),
    seed,
    heartbeat: heartbeatMs !== null,
    nodes: config.nodes.map(({ name }) => name),
  };
  return `${quoteLiteral(node)}, ${json(peersOf(config, node))}, ${json(settings)}`;
}

/** The call that makes a database this node. */
export function configureNodeCall(config: Config, node: string): string {
  return `tandem.configure_node(${nodeArguments(config, node)})`;
}

/** The call that makes a database this node anew, whatever it was; the incarnations are its peers'. True. */
export function rejoinNodeCall(config: Config, node: string, incarnations: Readonly<Record<string, string>>): string {
  return `(tandem.rejoin_node(${nodeArguments(config, node)}, ${json(incarnations)}) is not null)`;
}

/** The call by which `node` takes up a peer that came back. */
export function renewPeerCall(config: Config, node: string, peer: string, incarnation: string): string {
  const settings = peersOf(config, node).find(({ name }) => name === peer);
  return `tandem.renew_peer(${json(settings)}, ${quoteLiteral(incarnation)})`;
}

/** A node's residue class where sequences are interleaved: its place by name, out of the number of nodes. */
export function interleaving(config: Config, node: string): { readonly residue: number; readonly modulus: number } {
  const names = config.nodes.map(({ name }) => name).sort();
  return { residue: names.indexOf(node), modulus: names.length };
}
