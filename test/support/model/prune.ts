import type { Entry, ModelNode } from "./node.ts";
import { isNewer, type Key } from "./rows.ts";
import type { Rules } from "./rules.ts";

/** The parts of the rule, to see what each is for. */
export interface PruneRule {
  /** An entry stays until its peer's own changes up to the acknowledgement have arrived: nothing older can come. */
  readonly nothingOlder: boolean;
  /** An entry stays while its key is parked at a peer. */
  readonly notParked: boolean;
  /** An entry stays until the peers that hear of it from where this node has it, and not from this node, have applied it; parked is not. */
  readonly heardElsewhere: boolean;
}

export const wholeRule: PruneRule = { nothingOlder: true, notParked: true, heardElsewhere: true };

/**
 * The keys whose entries no peer needs any more: without them a row has the unknown version, a key without a row none. To forget
 * all of them is to prune at its most eager.
 */
export function prunable(node: ModelNode, peers: readonly ModelNode[], rules: Rules, rule: PruneRule): Key[] {
  const passed = peers.map((peer) => acknowledged(node, peer, rule));
  const entries = node.log.slice(0, Math.min(...passed)).flat();
  return entries.filter((entry) => node.newest.get(entry.key) === entry && !isNeeded(entry)).map(({ key }) => key);

  function isNeeded(entry: Entry): boolean {
    if (rule.notParked && peers.some((peer) => waitsAt(peer, node, entry))) return true;
    return rule.heardElsewhere && peers.some((peer) => hasNotHeard(peer, peers, entry, rules));
  }
}

function acknowledged(node: ModelNode, peer: ModelNode, { nothingOlder }: PruneRule): number {
  const heard = node.positions.get(peer.name) ?? 0;
  const usable = node.acknowledgements(peer.name).filter(({ seen }) => !nothingOlder || seen <= heard);
  return Math.max(0, ...usable.map(({ end }) => end));
}

/**
 * What this node received from `from` it does not send on to a peer that hears `from` itself; nor did `from`, if it has it from a
 * third one that the peer hears too (the closure had asked for it).
 */
function hasNotHeard(peer: ModelNode, nodes: readonly ModelNode[], entry: Entry, rules: Rules): boolean {
  const from = nodes.find(({ name }) => name === entry.receivedFrom);
  if (!from || from === peer || !rules.links.has(`${from.name} ${peer.name}`)) return false;
  const same = ({ key, version }: Entry) => key === entry.key && !isNewer(entry.version, version);
  const at = from.log.findIndex((entries) => entries.some(same));
  // it is no longer there: nothing tells how far it has come
  if (at < 0 || at >= (peer.positions.get(from.name) ?? 0) || waitsAt(peer, from, entry)) return true;
  return hasNotHeard(peer, nodes, from.log[at]!.find(same)!, rules);
}

function waitsAt(peer: ModelNode, node: ModelNode, { key }: Entry): boolean {
  return peer.parkedFrom(node.name).some((parked) => parked.key === key);
}
