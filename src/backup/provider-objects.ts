import type { Connection } from "../db/connection.ts";
import type { Manifest } from "./manifest.ts";

/**
 * What the dump holds and an empty database cannot take, for it needs what is in the provider's schemas, which the dump leaves out. Found
 * by the catalogs' own dependencies; what depends on these in turn is found in the dump's table of contents.
 */
const query = `
  with outside as (
    select d.classid, d.objid, d.refclassid, d.refobjid from pg_depend d
    left join pg_class c on d.refclassid = 'pg_class'::regclass and c.oid = d.refobjid
    left join pg_proc p on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid
    where d.deptype = 'n' and coalesce(c.relnamespace, p.pronamespace) in (select oid from pg_namespace where nspname = any ($1))
      -- The extension itself is in the dump, and brings these.
      and not exists (select from pg_depend e where e.classid = d.refclassid and e.objid = d.refobjid and e.deptype = 'e')
  ), object as (
    select 'pg_constraint'::regclass as class, k.oid, k.conrelid as relid, 'foreign key ' || k.conname as what, o.refclassid, o.refobjid
    from outside o join pg_constraint k on o.classid = 'pg_constraint'::regclass and k.oid = o.objid
    where k.contype = 'f' and k.conparentid = 0
    union select 'pg_policy'::regclass, l.oid, l.polrelid, 'policy ' || l.polname, o.refclassid, o.refobjid
    from outside o join pg_policy l on o.classid = 'pg_policy'::regclass and l.oid = o.objid
    union select 'pg_trigger'::regclass, g.oid, g.tgrelid, 'trigger ' || g.tgname, o.refclassid, o.refobjid
    from outside o join pg_trigger g on o.classid = 'pg_trigger'::regclass and g.oid = o.objid where not g.tgisinternal
    union select 'pg_class'::regclass, v.oid, v.oid, 'view', o.refclassid, o.refobjid
    from outside o join pg_rewrite r on o.classid = 'pg_rewrite'::regclass and r.oid = o.objid
    join pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm')
  )
  select o.class::oid::text as class, o.oid::text, n.nspname || '.' || c.relname as relation, o.what,
    string_agg(distinct pg_describe_object(o.refclassid, o.refobjid, 0), ', ') as needed
  from object o join pg_class c on c.oid = o.relid join pg_namespace n on n.oid = c.relnamespace
  where n.nspname <> all ($1)
  group by o.class, o.oid, n.nspname, c.relname, o.what order by 3, 4`;

/**
 * Functions of the provider's schemas that the definition of a table calls: in a default, a generated column, a check or an index. Without
 * them the table cannot be made, so their definitions are taken along. (Of a generated column the column itself depends on them in old versions.)
 */
const functionsQuery = `
  select distinct n.nspname::text as schema, pg_get_functiondef(p.oid) as definition
  from pg_depend d join pg_proc p on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid
  join pg_namespace n on n.oid = p.pronamespace
  left join pg_attrdef a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
  left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid and k.contype = 'c'
  left join pg_index i on d.classid = 'pg_class'::regclass and i.indexrelid = d.objid
  left join pg_class g on d.classid = 'pg_class'::regclass and d.objsubid > 0 and g.oid = d.objid
  join pg_class c on c.oid = coalesce(a.adrelid, k.conrelid, i.indrelid, g.oid) and c.relkind in ('r', 'p')
  where n.nspname = any ($1) and c.relnamespace not in (select oid from pg_namespace where nspname = any ($1)) and p.prokind = 'f'
    and not exists (select from pg_depend e where e.classid = d.refclassid and e.objid = d.refobjid and e.deptype = 'e')
  order by 1, 2`;

/** The facts of a manifest that say how a dump without the provider's schemas is restored into an empty database. */
export async function readProviderObjects(
  connection: Connection,
  leftOutSchemas: readonly string[],
): Promise<Pick<Manifest, "notRestored" | "extensionSchemas" | "providerFunctions">> {
  const schemas = [...leftOutSchemas];
  const objects = await connection.query(query, [schemas]);
  const extensions = await connection.query(
    `select distinct n.nspname::text as schema from pg_extension e join pg_namespace n on n.oid = e.extnamespace
     where n.nspname = any ($1) order by 1`,
    [schemas],
  );
  const functions = await connection.query(functionsQuery, [schemas]);
  return {
    providerFunctions: functions.map(({ schema, definition }) => ({
      schema: schema ?? "",
      definition: definition ?? "",
    })),
    notRestored: objects.map((row) => ({
      name: `${row.relation}: ${row.what}`,
      reason: `needs what is in no format (${row.needed}): it is in the dump, and left out when that is restored`,
      catalog: row.class ?? "",
      oid: row.oid ?? "",
    })),
    extensionSchemas: extensions.map(({ schema }) => schema ?? ""),
  };
}
