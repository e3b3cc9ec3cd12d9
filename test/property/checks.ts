import { sql } from "../support/pg.ts";
import { quote, type RandomSchema, type RandomTable } from "../support/random-schema.ts";
import type { HistoryNode } from "./nodes.ts";

/** A row as it can be compared: its key, its text, and a hash of its bytes. */
interface SeenRow {
  readonly key: string;
  readonly text: string;
  readonly image: string;
}

export type Content = ReadonlyMap<string, readonly SeenRow[]>;

/** User-defined types have other ids in other databases, which their images name: these go in as text. */
const own = new Set(["mood", "mood[]", "positive", '"Short Word"', '"Pair"', '"Pair"[]']);

/** Every table's rows, by SQL that shares nothing with Tandem's. */
export async function contentOf({ looking }: HistoryNode, { tables }: RandomSchema): Promise<Content> {
  const parts = tables.map((table, i) => {
    const columns = [...table.key, ...table.columns];
    const image = columns.map(({ name, value }) =>
      own.has(value.type) ? `t.${quote(name)}::text` : `t.${quote(name)}`,
    );
    return `select ${i} as i, row(${keyOf(table)})::text as key, row(${columns.map(({ name }) => `t.${quote(name)}`).join(", ")})::text as text,
      md5(record_send(row(${image.join(", ")}))) as image from ${table.name} t`;
  });
  const rows = await sql(
    looking,
    `select * from (${parts.join(" union all ")}) x order by i, text collate "C", image collate "C"`,
  );
  const content = new Map<string, SeenRow[]>(tables.map(({ name }) => [name, []]));
  for (const row of rows) {
    content
      .get(tables[Number(row.i)]!.name)!
      .push({ key: row.key ?? "", text: row.text ?? "", image: row.image ?? "" });
  }
  return content;
}

function keyOf(table: RandomTable): string {
  return table.key.map(({ name }) => `t.${quote(name)}`).join(", ");
}

/** Lines that say where two contents differ; none when they are equal. */
export function differences(one: Content, other: Content, names: readonly [string, string]): string[] {
  const lines: string[] = [];
  for (const [table, rows] of one) {
    const others = other.get(table) ?? [];
    const line = ({ text, image }: SeenRow) => `${text} ${image}`;
    const here = new Set(rows.map(line));
    const there = new Set(others.map(line));
    for (const row of rows) if (!there.has(line(row))) lines.push(`${table}: only ${names[0]} has ${line(row)}`);
    for (const row of others) if (!here.has(line(row))) lines.push(`${table}: only ${names[1]} has ${line(row)}`);
    if (rows.length !== others.length)
      lines.push(`${table}: ${names[0]} has ${rows.length} rows, ${names[1]} ${others.length}`);
  }
  return lines;
}

/** Foreign keys, unique values and checks that rows of a node break. */
export async function brokenConstraints({ name, looking }: HistoryNode, { tables }: RandomSchema): Promise<string[]> {
  const queries = tables.flatMap((table) => [
    ...table.references.map((reference) => {
      const pairs = reference.columns.map(
        (column, i) => `p.${quote(reference.parentColumns[i]!)} = c.${quote(column)}`,
      );
      const given = reference.columns.map((column) => `c.${quote(column)} is not null`);
      return [
        `foreign key ${reference.name} of ${table.name} (${reference.onDelete}/${reference.onUpdate})`,
        `select c::text as row from ${table.name} c where ${given.join(" and ")} and not exists (select from ${reference.parent} p where ${pairs.join(" and ")})`,
      ] as const;
    }),
    ...table.uniques.map(({ columns, kind }) => {
      const u = columns
        .map((column) => (kind === "expression" || kind === "generated" ? `lower(${quote(column)})` : quote(column)))
        .join(", ");
      const where = kind === "partial" ? `${u} <> 'a'` : `${u} is not null`;
      return [
        `unique ${kind} of ${table.name}`,
        `select row(${u})::text as row from ${table.name} where ${where} group by ${u} having count(*) > 1`,
      ] as const;
    }),
    [
      `key of ${table.name}`,
      `select row(${keyOf(table)})::text as row from ${table.name} t group by ${keyOf(table)} having count(*) > 1`,
    ] as const,
    ...table.checks.map(
      (check) => [`check of ${table.name}`, `select t::text as row from ${table.name} t where not (${check})`] as const,
    ),
  ]);
  const rows = await sql(
    looking,
    queries.map(([, text], i) => `(select ${i} as i, x.row from (${text}) x limit 3)`).join(" union all "),
  );
  return rows.map(({ i, row }) => `${name}: ${queries[Number(i)]![0]} is broken by ${row}`);
}

/** What must be empty at rest. */
export async function leftOver({ name, looking }: HistoryNode): Promise<string[]> {
  const rows = await sql(
    looking,
    `select 'pending: ' || p::text as line from tandem.pending p
     union all select 'parked: ' || p::text from tandem.parked p
     union all select 'held: ' || b::text from tandem.inbound_table b where b.state <> 'flow'`,
  );
  return rows.map(({ line }) => `${name}: ${line}`);
}

/** Conflicts kept at a node, as `kind` and a line to read. */
export async function conflictsOf({ looking }: HistoryNode): Promise<{ kind: string; rule: string; line: string }[]> {
  const rows = await sql(looking, `select kind, rule, c::text as line from tandem.conflict c order by conflict_id`);
  return rows.map(({ kind, rule, line }) => ({ kind: kind ?? "", rule: rule ?? "", line: line ?? "" }));
}

/** Whether statements of a node have been captured in blocks at any time. */
export async function hasWrittenBlocks({ looking }: HistoryNode): Promise<boolean> {
  const [row] = await sql(looking, "select pg_sequence_last_value('tandem.block_floor') is not null as written");
  return row?.written === "t";
}

/** All entries of all logs of a node, by table and in order of their keys. */
export async function logsOf({ looking }: HistoryNode): Promise<{ table: string; key: string; line: string }[]> {
  const logs = await sql(
    looking,
    `select format('%I.%I', schema_name, table_name) as name, entries_name, cardinality(key_columns) as keys from tandem.tracked_table order by 1`,
  );
  const parts = logs.map(({ name, entries_name, keys }) => {
    const key = Array.from({ length: Number(keys) }, (_, i) => `l.k${i + 1}`).join(", ");
    return `select '${name?.replaceAll("'", "''")}' as "table", row(${key})::text as key, l.stamp, l.origin,
      format('%s %s %s from %s xid %s', l.op, l.stamp, l.origin, coalesce((select p.name from tandem.peer p where p.peer_id = l.received_from), 'here'), l.xid) as line
      from tandem_log.${quote(entries_name ?? "")} l`;
  });
  const rows = await sql(looking, `select * from (${parts.join(" union all ")}) x order by 1, 2, stamp, origin`);
  return rows.map(({ table, key, line }) => ({ table: table ?? "", key: key ?? "", line: line ?? "" }));
}
