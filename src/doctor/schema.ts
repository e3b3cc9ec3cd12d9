import { type DoctorContext, netCheck, type Observation } from "./check.ts";
import { shapeOf } from "./shape.ts";
import { differences } from "./shape-difference.ts";

/**
 * Sees tables, columns, types and constraints that differ between nodes. Every node is compared with the first, so that a
 * difference is told once. Remedy: the same shape everywhere.
 */
export const schema = netCheck("schema", "the tables have the same shape in every node", look);

async function look({ nodes }: DoctorContext): Promise<Observation[]> {
  const shapes = await Promise.all(nodes.map(shapeOf));
  const reasons = new Map<string, string>();
  for (const node of nodes) {
    for (const table of await node.tables()) {
      if (table.decision !== "track" && table.relid) reasons.set(`${node.name} ${table.label}`, table.reason);
    }
  }
  const [first, ...others] = shapes;
  if (!first) return [];
  const found = others.flatMap((other) =>
    differences(first, other, (node, label) => reasons.get(`${node} ${label}`) ?? null),
  );
  // What the first node lacks is told by every other one.
  return [...new Map(found.map((each) => [`${each.node} ${each.table} ${each.message}`, each])).values()];
}
