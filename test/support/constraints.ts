import type { TestNode } from "./pg.ts";

/**
 * Rows that break a foreign key or a unique constraint or index of a node, by queries made from the catalogs: in
 * replica role PostgreSQL does not look itself.
 */
export async function brokenByQuery({ name, admin }: TestNode): Promise<string[]> {
  const checks = await admin.query(`
    select c.conname as name, format('select count(*) from %s c where %s and not exists (select from %s p where %s)', c.conrelid::regclass,
        string_agg(format('c.%I is not null', a.attname), ' and '), c.confrelid::regclass, string_agg(format('p.%I = c.%I', b.attname, a.attname), ' and ')) as query
      from pg_constraint c cross join lateral unnest(c.conkey, c.confkey) k (child, parent)
      join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.child
      join pg_attribute b on b.attrelid = c.confrelid and b.attnum = k.parent
      where c.contype = 'f' and c.conrelid::regclass::text !~ '^tandem' group by c.oid, c.conname, c.conrelid, c.confrelid
    union all
    select i.indexrelid::regclass::text, format('select count(*) from (select 1 from %s where %s group by %s having count(*) > 1) x', i.indrelid::regclass,
        concat_ws(' and ', coalesce(pg_get_expr(i.indpred, i.indrelid), 'true'),
          case when not coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) then string_agg(format('(%s) is not null', x.e), ' and ') end),
        string_agg(x.e, ', '))
      from pg_index i join pg_class t on t.oid = i.indrelid and t.relkind in ('r', 'p') and t.relnamespace::regnamespace::text !~ '^(tandem|pg_)'
      cross join lateral (select pg_get_indexdef(i.indexrelid, n, false) as e from generate_series(1, i.indnkeyatts) n) x
      where i.indisunique and i.indislive group by i.indexrelid, i.indrelid, i.indpred, to_jsonb(i)`);
  const broken: string[] = [];
  for (const { name: constraint, query } of checks) {
    const count = await admin.value(query!);
    if (count !== "0") broken.push(`${name}: ${count} rows break ${constraint}`);
  }
  return broken;
}
