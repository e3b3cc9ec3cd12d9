import type { DoctorNode } from "./node.ts";

/** A column as far as it matters to whether two tables can hold the same rows. */
export interface ColumnShape {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  readonly default: string | null;
  /** `stored …` or `virtual …` with the expression. */
  readonly generated: string | null;
  readonly identity: string;
  readonly collation: string | null;
}

/** A table; constraints as the server spells them, without their names. */
export interface TableShape {
  readonly label: string;
  readonly key: readonly string[];
  readonly columns: readonly ColumnShape[];
  readonly unique: readonly string[];
  readonly check: readonly string[];
  readonly foreignKey: readonly string[];
}

/** An enum's labels, or the definition of a domain or composite type. */
export interface TypeShape {
  readonly name: string;
  readonly kind: "e" | "d" | "c";
  readonly parts: readonly string[];
}

/** All that is compared between nodes. */
export interface NodeShape {
  readonly node: string;
  readonly tables: ReadonlyMap<string, TableShape>;
  readonly types: ReadonlyMap<string, TypeShape>;
}

const tablesQuery = `
  select t.relid,
    (select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
        'default', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end,
        'generated', case a.attgenerated when '' then null when 's' then 'stored ' else 'virtual ' end || pg_get_expr(d.adbin, d.adrelid),
        'identity', a.attidentity,
        'collation', (select format('%I.%I', n.nspname, l.collname) from pg_collation l join pg_namespace n on n.oid = l.collnamespace
          where l.oid = a.attcollation and a.attcollation <> y.typcollation)) order by a.attnum)
      from pg_attribute a join pg_type y on y.oid = a.atttypid
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = t.relid and a.attnum > 0 and not a.attisdropped) as columns,
    (select json_agg(x.text order by x.text collate "C") from (
      select substring(pg_get_indexdef(i.indexrelid) from ' USING (.*)$') || case when i.indimmediate then '' else ' deferrable' end as text
      from pg_index i where i.indrelid = t.relid and i.indisunique and i.indisvalid and not i.indisprimary) x) as unique,
    (select json_agg(x.text order by x.text collate "C") from (select pg_get_constraintdef(k.oid) as text
      from pg_constraint k where k.conrelid = t.relid and k.contype = 'c') x) as check,
    (select json_agg(x.text order by x.text collate "C") from (select pg_get_constraintdef(k.oid) as text
      from pg_constraint k where k.conrelid = t.relid and k.contype = 'f' and k.conparentid = 0) x) as foreign_key
  from unnest($1::oid[]) t (relid)`;

// format_type of an array and of what it is made of, of a domain and of its base: each is a type of its own here.
const typesQuery = `
  with recursive used (oid) as (
    select a.atttypid from pg_attribute a where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped
    union
    select x.oid from used u join pg_type t on t.oid = u.oid
    cross join lateral (select nullif(t.typelem, 0) as oid union select nullif(t.typbasetype, 0)
      union select a.atttypid from pg_attribute a where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) x
    where x.oid is not null
  )
  select format_type(t.oid, null) as name, t.typtype as kind, case t.typtype
    when 'e' then (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid)
    when 'c' then (select json_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)) order by a.attnum)
      from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped)
    else (select json_agg(x.part order by x.part collate "C") from (
      select format_type(t.typbasetype, t.typtypmod) as part union all select 'not null' where t.typnotnull
      union all select pg_get_constraintdef(k.oid) from pg_constraint k where k.contypid = t.oid and k.contype = 'c') x)
    end as parts
  from used u join pg_type t on t.oid = u.oid
  where t.typtype in ('e', 'd', 'c') and t.typnamespace <> 'pg_catalog'::regnamespace`;

function list<T>(text: string | null | undefined): T[] {
  return (JSON.parse(text ?? "null") ?? []) as T[];
}

/** The shapes of what is to be tracked in a node, read in one transaction. */
export async function shapeOf(node: DoctorNode): Promise<NodeShape> {
  const tracked = await node.tracked();
  const relids = tracked.map(({ relid }) => relid);
  return node.look(async (tx) => {
    const rows = await tx.query(tablesQuery, [relids]);
    const types = await tx.query(typesQuery, [relids]);
    const tables = tracked.map(({ label, key, relid }): TableShape => {
      const row = rows.find((each) => each.relid === relid);
      return {
        label,
        key,
        columns: list<ColumnShape>(row?.columns),
        unique: list<string>(row?.unique),
        check: list<string>(row?.check),
        foreignKey: list<string>(row?.foreign_key),
      };
    });
    return {
      node: node.name,
      tables: new Map(tables.map((table) => [table.label, table])),
      types: new Map(
        types.map(({ name, kind, parts }) => [
          name ?? "",
          { name: name ?? "", kind: kind as TypeShape["kind"], parts: list<string>(parts) },
        ]),
      ),
    };
  });
}
