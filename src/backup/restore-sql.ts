import { quoteIdent, quoteLiteral } from "../db/quote.ts";
import { rowsQuery } from "./load-rows.ts";
import type { RestoreTable } from "./restore-choice.ts";
import { lineValues } from "./rows.ts";
import { qualified } from "./snapshot.ts";

/** Asked for, never guessed: `merge` keeps what the backup does not have, `exact` removes it. */
export type RestoreMode = "merge" | "exact";

/** A table that is being restored, with the names of its temporary tables. */
export interface Stage extends RestoreTable {
  readonly number: number;
}

const lines = ({ number }: Stage) => `pg_temp.tandem_lines_${number}`;
const changes = ({ number }: Stage) => `pg_temp.tandem_changes_${number}`;
const relation = ({ table, partitioned }: Stage) => `${partitioned ? "" : "only "}${qualified(table)}`;

/** The place where a table's lines are copied to. */
export function stagedLines(stage: Stage): string {
  return `${lines(stage)} (line)`;
}

/** Makes the place; it goes with the transaction. */
export function makeStage(stage: Stage): string {
  return `create temporary table tandem_lines_${stage.number} (n bigint generated always as identity, line text) on commit drop`;
}

/** `t."a", t."b"` */
function columnsOf(alias: string, names: readonly string[]): string {
  return names.map((name) => `${alias}.${quoteIdent(name)}`).join(", ");
}

/** The rows there are, each with its place and its line. */
function present(stage: Stage): string {
  const keys = stage.table.key.map((name, i) => `, t.${quoteIdent(name)} as k${i}`).join("");
  return `select t.tableoid as rel, t.ctid as place, (select row_to_json(r) from (select ${lineValues(stage.table.columns)}) r)::text as line${keys} from ${relation(stage)} t`;
}

/** The lines of the backup, each with its typed key. */
function staged(stage: Stage): string {
  const { key, columns } = stage.table;
  const types = key.map((name) => columns.find((column) => column.name === name)?.type ?? "text");
  const record = key.map((name) => `${quoteIdent(name)} text`).join(", ");
  const keys = key.map((name, i) => `, r.${quoteIdent(name)}::${types[i]} as k${i}`).join("");
  const from = key.length === 0 ? "" : `, json_to_record(l.line::json) as r (${record})`;
  return `select l.n, l.line${keys} from ${lines(stage)} l${from}`;
}

/** Without a key rows are equal or strangers: the first of equal lines answers the first, and so on. */
function numbered(query: string): string {
  return `select q.*, row_number() over (partition by q.line) as k0 from (${query}) q`;
}

/**
 * Finds what differs: I in the backup only, U with other values, D in the database only; a row of equal values is in none.
 * The kinds are counted by `countChanges`.
 */
export function findChanges(stage: Stage): string {
  const { key } = stage.table;
  const [here, there] =
    key.length > 0 ? [present(stage), staged(stage)] : [numbered(present(stage)), numbered(staged(stage))];
  const on = key.length > 0 ? key.map((_, i) => `s.k${i} = c.k${i}`).join(" and ") : "s.line = c.line and s.k0 = c.k0";
  return `create temporary table tandem_changes_${stage.number} on commit drop as
    select case when c.place is null then 'I' when s.n is null then 'D' else 'U' end::text as op, s.n, c.rel, c.place
    from (${here}) c full join (${there}) s on ${on} where s.line is distinct from c.line;
    analyze ${changes(stage)}`;
}

/** How many rows there are of each kind, and lines in the backup. */
export function countChanges(stage: Stage): string {
  const count = (op: string) => `count(*) filter (where op = '${op}')`;
  return `select ${count("I")} as inserts, ${count("U")} as updates, ${count("D")} as extra, (select count(*) from ${lines(stage)}) as lines from ${changes(stage)}`;
}

/** What `findChanges` found is forgotten. */
export function forgetChanges(stage: Stage): string {
  return `drop table ${changes(stage)}`;
}

/** One unique index besides the key: its expressions and its condition, in terms of the table's columns. */
export interface UniqueIndex {
  readonly expressions: readonly string[];
  readonly predicate: string | null;
}

/**
 * Marks rows (R) that hold a value which another row of the backup claims: they have to give it away before that one is written.
 */
export function markHolders(stage: Stage, { expressions, predicate }: UniqueIndex): string {
  const values = expressions.map((expression, i) => `(${expression}) as x${i}`).join(", ");
  const where = predicate === null ? "" : `where ${predicate}`;
  const rows = `select v.*, h.rel as tandem_rel, h.place as tandem_place from (${rowsOf(stage)}) v join ${changes(stage)} h on h.n = v.tandem_n and h.op in ('I', 'U')`;
  const same = expressions.map((_, i) => `held.x${i} = claimed.x${i}`).join(" and ");
  return `update ${changes(stage)} u set op = 'R' where u.op = 'U' and (u.rel, u.place) in (
    select held.tandem_rel, held.tandem_place
    from (select tandem_rel, tandem_place, ${values} from (select t.*, t.tableoid as tandem_rel, t.ctid as tandem_place from ${relation(stage)} t) q ${where}) held
    join (select tandem_rel, tandem_place, ${values} from (${rows}) q ${where}) claimed on ${same}
    where (claimed.tandem_rel, claimed.tandem_place) is distinct from (held.tandem_rel, held.tandem_place))`;
}

/** Rows whose identity column, generated always and no part of the key, has another value: that cannot be updated. */
export function markIdentities(stage: Stage): string | null {
  const fixed = stage.table.columns.filter(({ name, identity }) => identity === "a" && !stage.table.key.includes(name));
  if (fixed.length === 0) return null;
  const other = fixed.map(({ name }) => `t.${quoteIdent(name)} is distinct from v.${quoteIdent(name)}`).join(" or ");
  return `update ${changes(stage)} u set op = 'R' from ${relation(stage)} t, (${rowsOf(stage)}) v
    where u.op = 'U' and v.tandem_n = u.n and t.tableoid = u.rel and t.ctid = u.place and (${other})`;
}

/** Typed rows of the lines that are wanted, with their number. */
function rowsOf(stage: Stage): string {
  const wanted = `(select w.n, w.line from ${lines(stage)} w where w.n in (select n from ${changes(stage)} where op <> 'D'))`;
  const rows = rowsQuery(stage.table.columns, wanted);
  return stage.table.columns.length === 0
    ? rows.replace("select", "select l.n as tandem_n")
    : rows.replace("select", "select l.n as tandem_n,");
}

/**
 * All changes of all tables as one statement: foreign keys are looked at when all of it is done, whatever they form. Within it
 * deletions come before updates and these before insertions, for unique values are looked at row by row.
 */
export function applyChanges(stages: readonly Stage[], mode: RestoreMode): string {
  const parts = stages.flatMap((stage) => {
    const { number: i, table } = stage;
    const gone = mode === "exact" ? "('D', 'R')" : "('R')";
    const names = table.columns.map(({ name }) => name);
    const list = names.map(quoteIdent).join(", ");
    const settable = table.columns.filter(({ identity }) => identity !== "a").map(({ name }) => name);
    const rows = `(${rowsOf(stage)})`;
    const removed = `d${i} as (delete from ${relation(stage)} t using ${changes(stage)} c
      where c.op in ${gone} and t.tableoid = c.rel and t.ctid = c.place returning 1)`;
    const set = settable.map((name) => `${quoteIdent(name)} = v.${quoteIdent(name)}`).join(", ");
    const updated = `u${i} as (update ${relation(stage)} t set ${set} from ${rows} v, ${changes(stage)} c
      where c.op = 'U' and v.tandem_n = c.n and t.tableoid = c.rel and t.ctid = c.place and (select count(*) from d${i}) >= 0 returning 1)`;
    const before =
      settable.length > 0
        ? `(select count(*) from d${i}) + (select count(*) from u${i}) >= 0`
        : `(select count(*) from d${i}) >= 0`;
    const inserted = `i${i} as (insert into ${qualified(table)} ${list === "" ? "" : `(${list}) overriding system value`}
      select ${columnsOf("v", names)} from ${rows} v, ${changes(stage)} c
      where c.op in ('I', 'R') and v.tandem_n = c.n and ${before} order by v.tandem_n returning 1)`;
    return settable.length > 0 ? [removed, updated, inserted] : [removed, inserted];
  });
  return `with ${parts.join(",\n")} select 1`;
}

/** Unique indexes of a table besides that of its key, which a row never gives away; those that can be deferred are. */
export function uniqueIndexesQuery({ oid, table }: RestoreTable): string {
  const key = `array[${table.key.map(quoteLiteral).join(", ")}]::text[]`;
  return `select jsonb_agg(pg_get_indexdef(i.indexrelid, k, true) order by k)::text as expressions, pg_get_expr(i.indpred, i.indrelid) as predicate
    from pg_index i cross join generate_series(1, i.indnkeyatts) k
    where i.indrelid = ${oid}::oid and i.indisunique and i.indimmediate and i.indisvalid
      and not (i.indpred is null and i.indexprs is null and ${key} = array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality u (n, p)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.n where u.p <= i.indnkeyatts order by u.p))
    group by i.indexrelid, i.indpred, i.indrelid`;
}

/** Foreign keys on a table whose action would carry a deletion on, or forbid it, before the row is there again. */
export function actingKeysQuery({ oid }: RestoreTable): string {
  return `select format('%I.%I', n.nspname, c.relname) as relation, format('%I', k.conname) as name,
      pg_get_constraintdef(k.oid) as definition, obj_description(k.oid, 'pg_constraint') as comment
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    where k.contype = 'f' and k.confrelid = ${oid}::oid and k.confdeltype <> 'a' and k.conparentid = 0 order by 1, 2`;
}

/** Rows of tables that are not restored which would go, or lose their reference, with the rows that `exact` removes. */
export function strandedQuery(stage: Stage, all: readonly Stage[]): string {
  return `select k.conrelid::regclass::text as child, k.conname::text as name,
      string_agg(format('x.%I = t.%I', ca.attname, pa.attname), ' and ') as matches
    from pg_constraint k cross join unnest(k.conkey, k.confkey) u (c, p)
    join pg_attribute ca on ca.attrelid = k.conrelid and ca.attnum = u.c
    join pg_attribute pa on pa.attrelid = k.confrelid and pa.attnum = u.p
    where k.contype = 'f' and k.confrelid = ${stage.oid}::oid and k.confdeltype in ('c', 'n', 'd') and k.conparentid = 0
      and k.conrelid <> all (array[${all.map(({ oid }) => `${oid}::oid`).join(", ")}])
    group by k.oid, k.conrelid, k.conname`;
}

/** Whether a row of `child` refers to a row that is to go. */
export function isStranded(stage: Stage, child: string, matches: string): string {
  return `select exists (select from ${child} x, ${relation(stage)} t, ${changes(stage)} c
    where c.op = 'D' and t.tableoid = c.rel and t.ctid = c.place and ${matches}) as stranded`;
}
