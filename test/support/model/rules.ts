/** Directed links, and the parts of the rules that can be switched off to see what they are for. */
export interface Rules {
  /** `source target` of each link. */
  readonly links: ReadonlySet<string>;
  /** Nothing goes back to where it came from, nor to a node that has its own link from there. */
  readonly filter: boolean;
  readonly closure: boolean;
  /** The node whose own rows give way to no concurrent change; null: the newest stays. */
  readonly prefer: string | null;
}

/** Ordered pairs of node numbers that are linked. */
export type Topology = "mesh" | "chain" | "star" | "tail" | "ring";
export const topologies: readonly Topology[] = ["mesh", "chain", "star", "tail", "ring"];

export function linkedPairs(topology: Topology, nodes: number): [number, number][] {
  const pairs: [number, number][] = [];
  for (let i = 0; i < nodes; i++) {
    for (let j = 0; j < nodes; j++) {
      if (i !== j && linked(topology, nodes, i, j)) pairs.push([i, j]);
    }
  }
  return pairs;
}

function linked(topology: Topology, nodes: number, i: number, j: number): boolean {
  if (topology === "mesh") return true;
  if (topology === "chain") return Math.abs(i - j) === 1;
  if (topology === "star") return i === 0 || j === 0;
  // a mesh of all but the last, which hangs on the first
  if (topology === "tail") return Math.max(i, j) < nodes - 1 || Math.min(i, j) === 0;
  return j === (i + 1) % nodes;
}

/** Nodes whose changes `source` does not send on to `target`: itself, and those it hears directly. */
export function notForwarded({ links, filter }: Rules, source: string, target: string): (from: string) => boolean {
  if (!filter) return () => false;
  return (from) => from === target || (links.has(`${from} ${target}`) && links.has(`${from} ${source}`));
}
