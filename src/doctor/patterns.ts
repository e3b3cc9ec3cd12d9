import { matchesTable } from "../config/table-pattern.ts";
import { type Check, type DoctorContext, type Observation, problem, warning } from "./check.ts";
import type { DoctorTable } from "./tables.ts";

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
  const updatedAt = await Promise.all(nodes.map(async (node) => missingColumns(await node.tracked(), node)));
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

type Asked = DoctorContext["nodes"][number];

async function missingColumns(tables: readonly DoctorTable[], node: Asked): Promise<Observation[]> {
  const named = tables.filter(({ updatedAt }) => updatedAt !== null);
  if (named.length === 0) return [];
  const rows = await node.query(
    `select u.relid from unnest($1::oid[], $2::text[]) u (relid, name)
     where not exists (select from pg_attribute a where a.attrelid = u.relid and a.attname = u.name and not a.attisdropped)`,
    [named.map(({ relid }) => relid), named.map(({ updatedAt }) => updatedAt)],
  );
  const without = new Set(rows.map(({ relid }) => relid));
  return named
    .filter(({ relid }) => without.has(relid))
    .map(({ label: table, updatedAt }) =>
      problem(`updated_at: it has no column ${updatedAt}`, "Name a column of the table, or take updated_at out.", {
        node: node.name,
        table,
      }),
    );
}
