import type { Connection } from "../db/connection.ts";
import type { Manifest } from "./manifest.ts";
import type { RestoreTable } from "./restore-choice.ts";
import { qualified } from "./snapshot.ts";

/** A sequence that was moved on. */
export interface MovedSequence {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

interface Known {
  readonly schema: string;
  readonly name: string;
  readonly increment: bigint;
  readonly last: bigint;
  readonly called: boolean;
  /** The farthest value in a column that draws from it. */
  readonly used: bigint | null;
}

/**
 * Moves sequences past the restored rows and past where they stood when the backup was made; never back. A sequence keeps to
 * its residue class, for an interleaved one must not draw another node's numbers.
 */
export async function moveSequences(
  connection: Connection,
  manifest: Manifest,
  tables: readonly RestoreTable[],
  whole: boolean,
): Promise<MovedSequence[]> {
  const moved: MovedSequence[] = [];
  for (const now of await knownSequences(connection, tables, whole ? manifest.sequences : [])) {
    const then = manifest.sequences.find(({ schema, name }) => schema === now.schema && name === now.name);
    const wanted = [then?.isCalled ? BigInt(then.lastValue) : null, now.used].filter((value) => value !== null);
    const ahead = (value: bigint) => (now.increment > 0n ? value - now.last : now.last - value);
    const farthest = wanted.filter((value) => ahead(value) > 0n || (ahead(value) === 0n && !now.called));
    if (farthest.length === 0) continue;
    const step = now.increment > 0n ? now.increment : -now.increment;
    let steps = 0n;
    for (const value of farthest) {
      const needed = (ahead(value) + step - 1n) / step;
      if (needed > steps) steps = needed;
    }
    const to = now.last + steps * now.increment;
    await connection.query("select setval($1::text::regclass, $2::text::bigint)", [qualified(now), String(to)]);
    moved.push({ name: `${now.schema}.${now.name}`, from: String(now.last), to: String(to) });
  }
  return moved;
}

async function knownSequences(
  connection: Connection,
  tables: readonly RestoreTable[],
  more: Manifest["sequences"],
): Promise<Known[]> {
  const rows = await connection.query(
    `with drawn as (
       select d.refobjid as relid, d.refobjsubid as attnum, d.objid as seq from pg_depend d
       where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
       union
       select a.adrelid, a.adnum, d.refobjid from pg_depend d join pg_attrdef a on a.oid = d.objid
       where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass
     )
     select n.nspname::text as schema, c.relname::text as name, s.seqincrement::text as increment,
       (select jsonb_agg(jsonb_build_object('relation', format('%I.%I', tn.nspname, t.relname), 'column', format('%I', a.attname)))
        from drawn w join pg_class t on t.oid = w.relid join pg_namespace tn on tn.oid = t.relnamespace
        join pg_attribute a on a.attrelid = w.relid and a.attnum = w.attnum
        where w.seq = c.oid and w.relid = any ($1::oid[]))::text as columns
     from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_sequence s on s.seqrelid = c.oid
     where exists (select from drawn w where w.seq = c.oid and w.relid = any ($1::oid[]))
       or (n.nspname, c.relname) in (select e ->> 'schema', e ->> 'name' from jsonb_array_elements($2::jsonb) e)
     order by 1, 2`,
    [tables.map(({ oid }) => oid), JSON.stringify(more.map(({ schema, name }) => ({ schema, name })))],
  );
  const known: Known[] = [];
  for (const row of rows) {
    const [schema, name, increment] = [row.schema ?? "", row.name ?? "", BigInt(row.increment ?? "1")];
    const [state] = await connection.query(
      `select last_value::text as last, is_called from ${qualified({ schema, name })}`,
    );
    const columns = JSON.parse(row.columns ?? "[]") as { relation: string; column: string }[] | null;
    const used: bigint[] = [];
    for (const { relation, column } of columns ?? []) {
      const farthest = increment > 0n ? "max" : "min";
      const [value] = await connection.query(
        `select trunc(${farthest}(${column})::numeric)::text as value from ${relation}`,
      );
      if (value?.value != null) used.push(BigInt(value.value));
    }
    const far = used.toSorted((a, b) => (a === b ? 0 : a < b === increment > 0n ? 1 : -1))[0] ?? null;
    known.push({
      schema,
      name,
      increment,
      last: BigInt(state?.last ?? "1"),
      called: state?.is_called === "t",
      used: far,
    });
  }
  return known;
}
