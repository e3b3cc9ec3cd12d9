import type { VerifyNode, VerifyOverview, VerifyTable } from "../postgres/verify-node.ts";
import type { MissingTable, SchemaDifference } from "./report.ts";
import type { Side } from "./scan.ts";

/** A reachable node and what was seen of it. */
export interface SeenNode {
  readonly node: VerifyNode;
  readonly overview: VerifyOverview;
  /** Why tables are not tracked there, by `schema.table`. */
  readonly reasons: ReadonlyMap<string, string>;
}

/** One table as the nodes have it. */
export interface TableMatch {
  readonly schema: string;
  readonly name: string;
  /** Empty where it cannot be compared. */
  readonly sides: readonly Side[];
  readonly missing: readonly MissingTable[];
  readonly schemaDifferences: readonly SchemaDifference[];
}

/** The identity of a table in a map. */
export const tableId = (schema: string, name: string): string => JSON.stringify([schema, name]);

/** Every table that any node tracks, once, in the order of names. */
export function trackedTables(seen: readonly SeenNode[]): { schema: string; name: string }[] {
  const all = new Map<string, { schema: string; name: string }>();
  for (const { overview } of seen) {
    for (const { schema, name } of overview.tables) all.set(tableId(schema, name), { schema, name });
  }
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, table]) => table);
}

/** Who has a table, and what of it can be compared: columns are matched by name, and told when one side lacks them. */
export function matchTable(seen: readonly SeenNode[], schema: string, name: string): TableMatch {
  const missing: MissingTable[] = [];
  const having: { node: VerifyNode; table: VerifyTable }[] = [];
  for (const { node, overview, reasons } of seen) {
    const table = overview.tables.find((one) => one.schema === schema && one.name === name);
    if (table?.exists) having.push({ node, table });
    else missing.push({ node: node.name, reason: reasons.get(tableId(schema, name)) ?? "there is no such table" });
  }
  const differences = [...keyDifferences(having), ...columnDifferences(having)];
  const comparable = having.length > 1 && !differences.some(({ kind }) => kind === "key");
  const sides = comparable ? withSpec(having, new Set(seen.map(({ overview }) => overview.encoding)).size > 1) : [];
  return { schema, name, sides, missing, schemaDifferences: differences };
}

type Having = readonly { readonly node: VerifyNode; readonly table: VerifyTable }[];

function keyDifferences(having: Having): SchemaDifference[] {
  const keys = new Map<string, string[]>();
  for (const { node, table } of having) {
    const key = `(${table.key.map((column, i) => `${column} ${table.keyTypes[i]}`).join(", ")})`;
    keys.set(key, [...(keys.get(key) ?? []), node.name]);
  }
  if (keys.size < 2) return [];
  return [...keys].map(([what, present]) => ({
    kind: "key",
    what,
    present,
    absent: having.map(({ node }) => node.name).filter((name) => !present.includes(name)),
    generated: false,
  }));
}

function columnDifferences(having: Having): SchemaDifference[] {
  const names = [...new Set(having.flatMap(({ table }) => table.columns.map((column) => column.name)))].sort();
  return names.flatMap((what): SchemaDifference[] => {
    const has = ({ table }: Having[number]) => table.columns.some((column) => column.name === what);
    const present = having.filter(has);
    if (present.length === having.length) return [];
    const generated = present.every(({ table }) =>
      table.columns.some((column) => column.name === what && column.generated),
    );
    const absent = having.filter((one) => !has(one));
    return [
      {
        kind: "column",
        what,
        present: present.map(({ node }) => node.name),
        absent: absent.map(({ node }) => node.name),
        generated,
      },
    ];
  });
}

function withSpec(having: Having, portable: boolean): Side[] {
  const typesOf = (name: string) =>
    having.map(({ table }) => table.columns.find((column) => column.name === name)?.type);
  const columns = (having[0]?.table.columns ?? [])
    .map(({ name }) => name)
    .filter((name) => typesOf(name).every((type) => type !== undefined))
    .sort();
  const typed = columns.filter((name) => new Set(typesOf(name)).size === 1);
  return having.map(({ node, table }) => ({ node, table, spec: { id: table.id, columns, typed, portable } }));
}
