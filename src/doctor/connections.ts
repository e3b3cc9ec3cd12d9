import type { Config } from "../config/config.ts";
import { type Check, nodeCheck, type Observation, ok, warning } from "./check.ts";
import type { DoctorNode } from "./node.ts";

/** Sessions besides those of the links: the lease, and two that come and go (status, pruning, alerts, a backup). */
const others = 3;

/**
 * Sees that a server, a database or a role admits too few sessions: small plans of providers do (Render, Supabase, RDS micro). Sessions of
 * Tandem's own count as free. Remedy: a larger limit, or fewer sessions of the application.
 */
export const connections: Check = connectionsWith(others);

/** The check, with so many sessions wanted besides those of the links. */
export function connectionsWith(besides: number): Check {
  return nodeCheck("connections", "every server admits the sessions that Tandem needs", async (node, { config }) =>
    node.address.pooled ? [] : await look(node, neededBy(node, config) + besides),
  );
}

/** A link holds one session at each of its ends. */
function neededBy({ name }: DoctorNode, { links }: Config): number {
  return links.filter(({ source, target }) => source === name || target === name).length;
}

const question = `
  with used as (
    select a.datname, a.usename from pg_stat_activity a
    where a.backend_type = 'client backend' and coalesce(a.application_name, '') not like 'tandem%'
  ), reserved as (
    select sum(setting::int) as slots from pg_settings where name in ('superuser_reserved_connections', 'reserved_connections')
  )
  select x.what, x.allowed::text, x.taken::text from (
    select 'the server' as what, current_setting('max_connections')::bigint - case when r.rolsuper then 0 else s.slots end as allowed,
      (select count(*) from used) as taken
    from pg_roles r, reserved s where r.rolname = current_user
    union all select 'database ' || d.datname, d.datconnlimit, (select count(*) from used u where u.datname = d.datname)
    from pg_database d where d.datname = current_database() and d.datconnlimit >= 0
    union all select 'role ' || r.rolname, r.rolconnlimit, (select count(*) from used u where u.usename = r.rolname)
    from pg_roles r where r.rolname = current_user and r.rolconnlimit >= 0 and not r.rolsuper
  ) x order by x.allowed - x.taken limit 1`;

async function look(node: DoctorNode, needed: number): Promise<Observation[]> {
  const [row] = await node.query<{ what: string; allowed: string; taken: string }>(question);
  if (!row) return [];
  const words = `${row.what} admits ${row.allowed} sessions, of which ${row.taken} are taken; Tandem needs up to ${needed}`;
  if (Number(row.allowed) - Number(row.taken) >= needed) return [ok(words)];
  return [warning(words, "Raise the limit, take a larger plan, or have the application keep fewer sessions open.")];
}
