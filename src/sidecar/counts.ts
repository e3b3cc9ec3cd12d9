import type { Config } from "../config/config.ts";
import type { Connection } from "../db/connection.ts";
import { quoteIdent } from "../db/quote.ts";
import { askNodes, reading, type Unanswered } from "./ask-nodes.ts";
import { labelOf } from "./node-status.ts";

/** Rows of a table in one node. */
export interface RowCount {
  /** Null: the table is large, and the planner knows nothing of it yet. */
  readonly rows: number | null;
  /** False: the table is large, and this is what the planner guesses. */
  readonly exact: boolean;
}

/** Rows of a table in every node that tracks it. */
export interface TableCount {
  readonly table: string;
  readonly nodes: Readonly<Record<string, RowCount>>;
  /** Whether all nodes have as many; null where that is not known. While people write, moments differ. */
  readonly same: boolean | null;
}

/** How many rows there are. */
export interface Counts {
  readonly tables: readonly TableCount[];
  readonly unanswered: readonly Unanswered[];
}

// What a server counts in some hundredths of a second.
const countedBytes = 32 * 1024 * 1024;

const sizes = `
  select t.schema_name, t.table_name, sum(c.reltuples) filter (where c.reltuples > 0)::bigint as estimate, sum(pg_relation_size(c.oid)) as bytes
  from tandem.tracked_table t
  join lateral (select t.relid union select p.relid from pg_partition_tree(t.relid) p) leaf (relid) on true
  join pg_class c on c.oid = leaf.relid and c.relkind = 'r'
  where t.schema_name <> 'tandem'
  group by 1, 2 order by 1, 2`;

/** Counts the rows of every tracked table, in every node; those of large tables as the planner guesses. */
export async function counts(
  config: Config,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Counts> {
  const { answers, unanswered } = await askNodes(config, countNode, options);
  const tables = new Map<string, Record<string, RowCount>>();
  for (const { node, answer } of answers) {
    for (const [table, count] of answer) tables.set(table, { ...tables.get(table), [node]: count });
  }
  const asked = config.nodes.length;
  return {
    tables: [...tables]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([table, nodes]) => ({ table, nodes, same: sameIn(Object.values(nodes), asked) })),
    unanswered,
  };
}

function sameIn(found: readonly RowCount[], asked: number): boolean | null {
  if (found.length < asked || found.some(({ exact }) => !exact)) return null;
  return found.every(({ rows }) => rows === found[0]?.rows);
}

async function countNode(connection: Connection): Promise<[table: string, count: RowCount][]> {
  return await reading(connection, async (tx) => {
    const found: [string, RowCount][] = [];
    for (const { schema_name: schema, table_name: table, estimate, bytes } of await tx.query(sizes)) {
      if (!schema || !table) continue;
      const exact = Number(bytes) <= countedBytes;
      const rows = exact
        ? await countRows(tx, schema, table)
        : estimate === null || estimate === undefined
          ? null
          : Number(estimate);
      found.push([labelOf(schema, table), { rows, exact }]);
    }
    return found;
  });
}

async function countRows(tx: Connection, schema: string, table: string): Promise<number> {
  const [row] = await tx.query(`select count(*)::text as rows from ${quoteIdent(schema)}.${quoteIdent(table)}`);
  return Number(row?.rows);
}
