import { matchesTable } from "../config/table-pattern.ts";
import { type Check, type DoctorContext, type Observation, problem, warning } from "./check.ts";
import type { DoctorNode } from "./node.ts";

/**
 * Sees patterns of the configuration that match no table of any node, and `updated_at` columns that are not there.
 * Remedy: the spelling; names are case-sensitive.
 */
export const patterns: Check = {
  id: "patterns",
  title: "every pattern of the configuration matches a table",
  run: async (context) => (await look(context)).map((observation) => ({ check: "patterns", ...observation })),
};

async function look({ config, nodes }: DoctorContext): Promise<Observation[]> {
  const tables = (await Promise.all(nodes.map((node) => node.tables()))).flat().filter(({ relid }) => relid);
  const idle = (pattern: string) => !tables.some(({ schema, name }) => matchesTable(pattern, schema, name));
  const rules = (config.tables ?? []).map(({ name }) => name).filter(idle);
  const updatedAt = await Promise.all(nodes.map(missingColumns));
  return [
    ...rules.map((pattern) => (pattern.includes("*") ? starred(pattern) : exact(pattern))),
    ...config.exclude
      .filter(idle)
      .map((pattern) => warning(`exclude: ${pattern} matches no table of any node`, spelling)),
    ...updatedAt.flat(),
  ];
}

const spelling = "Correct its spelling (names are case-sensitive and are not folded), or take it out.";

function starred(pattern: string): Observation {
  return warning(`tables: ${pattern} matches no table of any node`, spelling);
}

function exact(pattern: string): Observation {
  return problem(`tables: ${pattern} is in no node`, spelling);
}

/** Of a rule for one table; a rule with a star names a column that only some may have. */
async function missingColumns(node: DoctorNode): Promise<Observation[]> {
  return (await node.tables())
    .filter(({ reasonCode }) => reasonCode === "no_column")
    .map(({ label: table, reason }) =>
      problem(reason, "Name a column of the table, or take updated_at out.", { node: node.name, table }),
    );
}
