/** An undirected connection of two nodes, by name. */
export type Pair = readonly [string, string];

/** What is wrong with a set of connections; both name two nodes for the message. */
export type TopologyFault =
  | { readonly kind: "disconnected"; readonly nodes: Pair }
  | { readonly kind: "missing_link"; readonly nodes: Pair };

type Graph = ReadonlyMap<string, ReadonlySet<string>>;

function graphOf(nodes: readonly string[], pairs: readonly Pair[]): Graph {
  const graph = new Map(nodes.map((node) => [node, new Set<string>()]));
  for (const [a, b] of pairs) {
    graph.get(a)?.add(b);
    graph.get(b)?.add(a);
  }
  return graph;
}

function reachable(graph: Graph, from: string, without: string | null): Set<string> {
  const seen = new Set([from]);
  for (const node of seen) {
    for (const next of graph.get(node) ?? []) if (next !== without) seen.add(next);
  }
  return seen;
}

/**
 * Design C3: convergence is only known where any two nodes on a common cycle are linked directly, for two paths
 * of different length can deliver changes in an order that no rule repairs. By Menger, two nodes without a link
 * of their own lie on a common cycle exactly when no single third node separates them.
 */
export function topologyFaults(nodes: readonly string[], pairs: readonly Pair[]): TopologyFault[] {
  const graph = graphOf(nodes, pairs);
  const first = nodes[0];
  if (first === undefined) return [];
  const together = reachable(graph, first, null);
  const apart = nodes.filter((node) => !together.has(node));
  if (apart.length > 0) return apart.map((node) => ({ kind: "disconnected", nodes: [first, node] }));

  const faults: TopologyFault[] = [];
  for (const [index, a] of nodes.entries()) {
    for (const b of nodes.slice(index + 1)) {
      if (graph.get(a)?.has(b)) continue;
      const separable = nodes.some((cut) => cut !== a && cut !== b && !reachable(graph, a, cut).has(b));
      if (!separable) faults.push({ kind: "missing_link", nodes: [a, b] });
    }
  }
  return faults;
}
