import type { Connection } from "../db/connection.ts";
import type { ManifestTable } from "./manifest.ts";

// These queries are here and not among Tandem's functions: a backup needs nothing installed in the database.

/** A table whose rows a backup holds. */
export type SourceTable = Pick<ManifestTable, "schema" | "name" | "columns" | "key" | "leaves"> & {
  /** The same name may mean another table a moment later. */
  readonly oid: string;
  readonly partitioned: boolean;
  readonly readable: boolean;
  /** The planner's guess. */
  readonly estimate: number;
};

/** The tables of a database as a backup sees them. */
export interface Inventory {
  readonly tables: readonly SourceTable[];
  /** What is in the database and not among `tables`. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
  /** Schemas that the dump leaves out too. */
  readonly leftOutSchemas: readonly string[];
  /** Tables of Tandem's own, which are in the dump alone. */
  readonly ownTables: readonly { readonly schema: string; readonly name: string }[];
}

/** Schemas that belong to a provider, who makes them anew in a new database and often lets nobody else write there. */
const providerSchemas = [
  ...["auth", "storage", "realtime", "_realtime", "cron", "graphql", "graphql_public", "vault", "pgsodium"],
  ...["pgsodium_masks", "extensions", "supabase_functions", "supabase_migrations", "_analytics", "net", "pgbouncer"],
  ...["neon", "neon_auth", "neon_migration", "rdsadmin", "pgtle", "hdb_catalog"],
];

const inventoryQuery = `
  select c.oid::text, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
    has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage') as readable,
    greatest(0, coalesce((select sum(l.reltuples) from pg_partition_tree(c.oid) t join pg_class l on l.oid = t.relid where t.isleaf),
      c.reltuples))::bigint::text as estimate,
    n.nspname = any ($1) as provider, n.nspname in ('tandem', 'tandem_log') as own,
    (select e.extname::text from pg_depend d join pg_extension e on e.oid = d.refobjid
      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e' limit 1) as extension,
    coalesce((select jsonb_agg(jsonb_build_object('schema', ln.nspname, 'name', l.relname, 'kind', l.relkind) order by ln.nspname, l.relname)
      from pg_partition_tree(c.oid) t join pg_class l on l.oid = t.relid join pg_namespace ln on ln.oid = l.relnamespace
      where c.relkind = 'p' and t.isleaf and l.relkind <> 'p'), '[]')::text as leaves,
    coalesce((select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
        'identity', a.attidentity) order by a.attnum)
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''), '[]')::text as columns,
    coalesce((select jsonb_agg(a.attname order by k.position)
      from (select i.* from pg_index i where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
          and not exists (select from unnest(i.indkey::int2[]) with ordinality u (attnum, position) join pg_attribute a
            on a.attrelid = c.oid and a.attnum = u.attnum
            where u.position <= i.indnkeyatts and (a.attgenerated <> '' or not a.attnotnull))
        order by i.indisprimary desc, i.indimmediate desc, i.indnkeyatts, i.indexrelid limit 1) i
      cross join unnest(i.indkey::int2[]) with ordinality k (attnum, position)
      join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum where k.position <= i.indnkeyatts), '[]')::text as key
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'f') and not c.relispartition and c.relpersistence <> 't'
    and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
  order by n.nspname collate "C", c.relname collate "C"`;

interface Leaf {
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
}

/** Reads which tables there are, and which of them a backup leaves out and why. */
export async function readInventory(connection: Connection): Promise<Inventory> {
  const rows = await connection.query(inventoryQuery, [providerSchemas]);
  const tables: SourceTable[] = [];
  const leftOut: { name: string; reason: string }[] = [];
  const ownTables: { schema: string; name: string }[] = [];
  const leftOutSchemas = new Set<string>();
  for (const row of rows) {
    const [schema, name] = [row.schema ?? "", row.name ?? ""];
    const leaves = JSON.parse(row.leaves ?? "[]") as Leaf[];
    if (row.provider === "t") leftOutSchemas.add(schema);
    if (row.own === "t") {
      ownTables.push({ schema, name });
      continue;
    }
    const reason = whyNot(row, leaves);
    if (reason !== null) {
      leftOut.push({ name: `${schema}.${name}`, reason });
      continue;
    }
    tables.push({
      oid: row.oid ?? "",
      schema,
      name,
      partitioned: row.kind === "p",
      readable: row.readable === "t",
      estimate: Number(row.estimate),
      columns: JSON.parse(row.columns ?? "[]") as SourceTable["columns"],
      key: JSON.parse(row.key ?? "[]") as string[],
      leaves: leaves.map((leaf) => ({ schema: leaf.schema, name: leaf.name })),
    });
  }
  return { tables, leftOut, leftOutSchemas: [...leftOutSchemas], ownTables };
}

function whyNot(row: Readonly<Record<string, string | null>>, leaves: readonly Leaf[]): string | null {
  if (row.provider === "t") return `belongs to the provider's schema ${row.schema}, in neither format`;
  if (row.extension !== null) return `belongs to the extension ${row.extension}, which makes it anew`;
  if (row.kind === "f") return "is a foreign table: its rows are elsewhere";
  if (leaves.some(({ kind }) => kind === "f"))
    return "has foreign tables as partitions: its own rows are in the dump only";
  return null;
}
