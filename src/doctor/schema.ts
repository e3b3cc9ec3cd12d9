import { type DoctorContext, netCheck, type Observation, problem } from "./check.ts";
import { shapeOf } from "./shape.ts";
import { differences } from "./shape-difference.ts";

/**
 * Sees tables, columns, types and constraints that differ between nodes. Every node is compared with the first, so that a
 * difference is told once. Remedy: the same shape everywhere.
 */
export const schema = netCheck("schema", "the tables have the same shape in every node", look);

const createAll = "Run `tandem migrate`: it prints the pg_dump line that brings the tables over.";

async function look({ nodes }: DoctorContext): Promise<Observation[]> {
  const shapes = await Promise.all(nodes.map(shapeOf));
  const reasons = new Map<string, Map<string, string>>();
  for (const node of nodes) {
    for (const table of await node.tables()) {
      if (table.decision === "track" || !table.relid) continue;
      const ofNode = reasons.get(node.name) ?? new Map<string, string>();
      reasons.set(node.name, ofNode.set(table.label, table.reason));
    }
  }
  const bare = shapes.filter(({ node, tables }) => tables.size === 0 && !reasons.has(node));
  const [first, ...others] = shapes.filter((shape) => !bare.includes(shape));
  if (!first) return [];
  const found = others.flatMap((other) =>
    differences(first, other, (node, label) => reasons.get(node)?.get(label) ?? null),
  );
  found.push(...bare.map(({ node }) => problem("holds no table yet; other nodes do", createAll, { node })));
  // What the first node lacks is told by every other one.
  return [...new Map(found.map((each) => [`${each.node} ${each.table} ${each.message}`, each])).values()];
}
