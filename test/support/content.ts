import type pg from "pg";
import { connectClient } from "./client.ts";

/** What a node is for a comparison. */
interface Comparable {
  name: string;
  superUrl: string;
}

/** Both sides write every value the same way and exactly, whatever the role or the server is set to. */
const pinned = `
  set DateStyle = 'ISO, YMD'; set IntervalStyle = 'postgres'; set TimeZone = 'UTC'; set extra_float_digits = 3;
  set bytea_output = 'hex'; set lc_monetary = 'C'; set client_encoding = 'UTF8'; set xmlbinary = 'base64';
  set row_security = off; set search_path = pg_catalog; set quote_all_identifiers = off; set array_nulls = on;
  begin isolation level repeatable read read only;`;

/** User tables as `schema.table`, quoted where needed; partitions are seen through their parents. */
const userTables = `
  select format('%I.%I', n.nspname, c.relname) as name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and not c.relispartition
    and n.nspname not in ('information_schema', 'tandem', 'tandem_log') and n.nspname not like 'pg\\_%'`;

/** The whole content of a table (`schema.table`): a line for each row, its values in the order of the columns' names. */
export async function contentOf(on: string | pg.Client, table: string): Promise<string[]> {
  const client = typeof on === "string" ? await openPinned(on) : on;
  try {
    return await rowsOf(client, table);
  } finally {
    if (client !== on) await client.end();
  }
}

async function openPinned(url: string): Promise<pg.Client> {
  const client = await connectClient(url);
  await client.query(pinned);
  return client;
}

async function rowsOf(client: pg.Client, table: string): Promise<string[]> {
  const { rows: columns } = await client.query<{ name: string }>(
    `select format('%I', attname) as name from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attname collate "C"`,
    [table],
  );
  const row = `row(${columns.map(({ name }) => `t.${name}`).join(", ")})`;
  const { rows } = await client.query<{ line: string }>(
    `select line from (select ${row}::text as line from ${table} t) as rows order by line collate "C"`,
  );
  return rows.map(({ line }) => line);
}

/**
 * The suite's own comparison, of every value of every row, by SQL that shares nothing with Tandem's. Throws with the
 * first rows that differ; returns what it has compared, so that a test can see it was something.
 */
export async function expectEqual(
  nodes: Iterable<Comparable>,
  tables?: string[],
): Promise<{ tables: number; rows: number }> {
  const sides: { node: Comparable; client: pg.Client }[] = [];
  try {
    for (const node of nodes) sides.push({ node, client: await openPinned(node.superUrl) });
    const names = tables ?? (await allTables(sides.map(({ client }) => client)));
    let count = 0;
    const faults: string[] = [];
    for (const table of names) {
      const contents = await Promise.all(
        sides.map(async ({ client }) => ((await isThere(client, table)) ? rowsOf(client, table) : undefined)),
      );
      count += contents[0]?.length ?? 0;
      for (let i = 1; i < sides.length; i++) {
        const [one, other] = [sides[0]!.node.name, sides[i]!.node.name];
        faults.push(...differences(table, { name: one, rows: contents[0] }, { name: other, rows: contents[i] }));
      }
    }
    if (faults.length) throw new Error(`the nodes differ:\n${faults.join("\n")}`);
    return { tables: names.length, rows: count };
  } finally {
    for (const { client } of sides) await client.end();
  }
}

async function allTables(clients: pg.Client[]): Promise<string[]> {
  const names = new Set<string>();
  for (const client of clients) {
    for (const { name } of (await client.query<{ name: string }>(userTables)).rows) names.add(name);
  }
  return [...names].sort();
}

async function isThere(client: pg.Client, table: string): Promise<boolean> {
  const { rows } = await client.query<{ there: string }>(`select to_regclass($1) is not null as there`, [table]);
  return rows[0]?.there === "t";
}

interface Side {
  name: string;
  rows: string[] | undefined;
}

function differences(table: string, one: Side, other: Side): string[] {
  if (!one.rows || !other.rows) {
    return one.rows || other.rows
      ? [`${table}: only on ${one.rows ? one.name : other.name}`]
      : [`${table}: on neither`];
  }
  const left = surplus(one.rows, other.rows);
  const right = surplus(other.rows, one.rows);
  if (!left.length && !right.length) return [];
  const show = (name: string, rows: string[]) => rows.slice(0, 5).map((row) => `  only ${name}: ${row.slice(0, 500)}`);
  const size = `${one.rows.length} rows on ${one.name}, ${other.rows.length} on ${other.name}`;
  return [
    `${table}: ${size}; ${left.length} and ${right.length} have no equal`,
    ...show(one.name, left),
    ...show(other.name, right),
  ];
}

/** The rows of the first that the second lacks, counting equal ones. */
function surplus(rows: string[], others: string[]): string[] {
  const counts = new Map<string, number>();
  for (const row of others) counts.set(row, (counts.get(row) ?? 0) + 1);
  return rows.filter((row) => {
    const left = counts.get(row) ?? 0;
    counts.set(row, left - 1);
    return left <= 0;
  });
}
