import { listed, nodeCheck, type Observation, problem, warning } from "./check.ts";
import type { DoctorNode } from "./node.ts";

/**
 * Sees others that write the same rows: subscriptions, whose writes fire no statement-level trigger and so escape the capture, and
 * the objects of SymmetricDS, Bucardo, spock, pglogical, Slony, BDR. Remedy: one of the two.
 */
export const otherReplication = nodeCheck(
  "other-replication",
  "nothing else replicates into these tables",
  async (node) => [...(await subscriptions(node)), ...(await products(node))],
);

async function subscriptions(node: DoctorNode): Promise<Observation[]> {
  const rows = await node.query(
    `select subname as name from pg_subscription
     where subenabled and subdbid = (select oid from pg_database where datname = current_database()) order by 1`,
  );
  return rows.map(({ name }) =>
    problem(
      `subscription "${name}" writes here: what it writes is not captured`,
      `Take the tables out of its publication, or run: alter subscription "${name}" disable.`,
    ),
  );
}

async function products(node: DoctorNode): Promise<Observation[]> {
  const rows = await node.query(
    `select distinct case when c.oid is null then 'schema ' || n.nspname else format('table %s.%s', n.nspname, c.relname) end as object,
       case when c.oid is not null then 'SymmetricDS' when n.nspname like '\\_%' then 'Slony'
         when n.nspname in ('bdr', 'pgactive') then 'BDR' else n.nspname end as product
     from pg_namespace n
     left join pg_class c on c.relnamespace = n.oid and c.relkind = 'r' and c.relname in ('sym_node', 'sym_trigger', 'sym_data')
     where c.oid is not null or n.nspname in ('bucardo', 'spock', 'pglogical', 'bdr', 'pgactive', 'londiste')
       or (n.nspname like '\\_%' and exists (select from pg_class s where s.relnamespace = n.oid and s.relname = 'sl_node'))
     order by 2, 1`,
  );
  const names = new Set(rows.map(({ product }) => product ?? ""));
  return [...names].map((name) =>
    warning(
      `there are objects of ${name} (${listed(rows.filter(({ product }) => product === name).map(({ object }) => object ?? ""))}): two that carry the same rows echo`,
      `Stop ${name} for these tables and remove its triggers before \`tandem run\`.`,
    ),
  );
}
