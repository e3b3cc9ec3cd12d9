import { quoteIdent } from "../db/quote.ts";
import type { DoctorNode } from "./node.ts";

/** A column of a tracked table that takes its numbers from a sequence, with where both stand. */
export interface SequenceState {
  readonly table: string;
  readonly column: string;
  readonly sequence: string;
  readonly increment: number;
  readonly cache: number;
  readonly cycle: boolean;
  /** The bounds of the sequence, and of the column's type within them. */
  readonly lowest: number;
  readonly highest: number;
  /** What the next insert would take; null where the role may not read the sequence. */
  readonly next: number | null;
  /** The column's value furthest in the sequence's direction; null: no row, or too costly to look for. */
  readonly furthest: number | null;
  readonly interleaved: boolean;
}

/** Above so many rows a maximum is only looked for by an index. */
const smallTable = 100_000;

const columnsQuery = `
  select distinct t.relid, a.attname as column, s.oid::regclass::text as sequence, q.seqincrement as increment, q.seqcache as cache,
    q.seqcycle as cycle, q.seqmin as lowest,
    least(q.seqmax, case y.typname when 'int2' then 32767 when 'int4' then 2147483647 else q.seqmax end) as highest,
    has_sequence_privilege(s.oid, 'select') as readable, sn.nspname as sequence_schema, s.relname as sequence_name,
    has_table_privilege(t.relid, 'select') and not row_security_active(t.relid) and (c.reltuples < ${smallTable} or exists (
      select from pg_index i where i.indrelid = t.relid and i.indisvalid and i.indpred is null and i.indkey[0] = a.attnum)) as comparable
  from unnest($1::oid[]) t (relid)
  join pg_class c on c.oid = t.relid
  join pg_attribute a on a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped
  join pg_type z on z.oid = a.atttypid
  join pg_type y on y.oid = coalesce(nullif(z.typbasetype, 0), z.oid) and y.typcategory = 'N'
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  join pg_depend p on p.refclassid = 'pg_class'::regclass and (
      (p.classid = 'pg_class'::regclass and p.refobjid = t.relid and p.refobjsubid = a.attnum and p.deptype in ('a', 'i'))
      or (p.classid = 'pg_attrdef'::regclass and p.objid = d.oid))
  join pg_class s on s.relkind = 'S' and s.oid = case when p.classid = 'pg_class'::regclass then p.objid else p.refobjid end
  join pg_namespace sn on sn.oid = s.relnamespace
  join pg_sequence q on q.seqrelid = s.oid
  order by 1, 2`;

/** The sequences of all tracked tables; two questions, however many there are. */
export async function sequenceStates(node: DoctorNode): Promise<SequenceState[]> {
  const tables = await node.tracked();
  return node.look(async (tx) => {
    const columns = await tx.query(columnsQuery, [tables.map(({ relid }) => relid)]);
    const named = (relid: string | null | undefined) => tables.find((table) => table.relid === relid);
    const parts = columns.map((row, index) => {
      const table = named(row.relid);
      const extreme = Number(row.increment) > 0 ? "max" : "min";
      const furthest =
        row.comparable === "t"
          ? `(select ${extreme}(x.${quoteIdent(row.column ?? "")})::numeric from ${quoteIdent(table?.schema ?? "")}.${quoteIdent(table?.name ?? "")} x)`
          : "null::numeric";
      const state =
        row.readable === "t"
          ? `(select q.last_value::numeric + case when q.is_called then ${row.increment} else 0 end from ${row.sequence} q)`
          : "null::numeric";
      return `select ${index} as i, ${state} as next, ${furthest} as furthest`;
    });
    const values = parts.length > 0 ? await tx.query(parts.join("\nunion all ")) : [];
    const interleaved = new Set<string>();
    if (node.facts.installed === "usable") {
      for (const row of await tx.query("select schema_name, sequence_name from tandem.interleaved_sequence")) {
        interleaved.add(`${row.schema_name}.${row.sequence_name}`);
      }
    }
    return columns.map((row, index) => {
      const value = values.find(({ i }) => Number(i) === index);
      const number = (text: string | null | undefined) => (text == null ? null : Number(text));
      return {
        table: named(row.relid)?.label ?? "",
        column: row.column ?? "",
        sequence: row.sequence ?? "",
        increment: Number(row.increment),
        cache: Number(row.cache),
        cycle: row.cycle === "t",
        lowest: Number(row.lowest),
        highest: Number(row.highest),
        next: number(value?.next),
        furthest: number(value?.furthest),
        interleaved: interleaved.has(`${row.sequence_schema}.${row.sequence_name}`),
      };
    });
  });
}
