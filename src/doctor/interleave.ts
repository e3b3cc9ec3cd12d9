import { counted, type DoctorContext, listed, netCheck, type Observation, warning } from "./check.ts";
import { sequenceStates } from "./sequence-state.ts";

/**
 * Sees several nodes that draw the same numbers for new rows: two rows of one key are then one conflict. Remedy: to
 * interleave, so that each node has numbers of its own.
 */
export const interleave = netCheck("interleave", "nodes draw no number twice", look);

async function look({ config, nodes }: DoctorContext): Promise<Observation[]> {
  const states = await Promise.all(nodes.map(async (node) => ({ node, columns: await sequenceStates(node) })));
  if (config.sync.sequences === "past") {
    const names = [...new Set(states.flatMap(({ columns }) => columns.map(({ sequence }) => sequence)))].sort();
    if (names.length === 0) return [];
    return [
      warning(
        `${counted(names.length, "sequence")} (${listed(names)}) may give one number to new rows of two nodes at the same time: of such rows the newer wins`,
        "Set `sync.sequences: interleave` and run `tandem migrate`, unless one node alone inserts.",
      ),
    ];
  }
  return states
    .filter(({ node }) => node.facts.installed === "usable")
    .flatMap(({ node, columns }) => {
      const without = columns.filter(({ interleaved }) => !interleaved).map(({ sequence }) => sequence);
      if (without.length === 0) return [];
      return [warning(`not interleaved yet: ${listed(without)}`, "Run `tandem migrate`.", { node: node.name })];
    });
}
