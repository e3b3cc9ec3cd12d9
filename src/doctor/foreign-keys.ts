import { nodeCheck, warning } from "./check.ts";

/**
 * Sees foreign keys to tables that are not kept the same, such as `auth.users` of a provider: where the other node lacks the row that is
 * referred to, the referring one waits there. Remedy: to track the table, to load its rows, or no key.
 */
export const foreignKeys = nodeCheck(
  "foreign-keys",
  "no tracked table refers to one that is not tracked",
  async (node, { config }) => {
    if (config.links.length === 0) return [];
    const tables = await node.tracked();
    const rows = await node.query(
      `select k.conrelid as relid, k.conname as name, k.confrelid::regclass::text as referenced from pg_constraint k
       where k.contype = 'f' and k.conparentid = 0 and k.conrelid = any ($1::oid[])
         and coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
         and coalesce(pg_partition_root(k.confrelid), k.confrelid) <> all ($1::oid[]) order by 1, 2`,
      [tables.map(({ relid }) => relid)],
    );
    const labels = new Map(tables.map(({ relid, label }) => [relid, label]));
    return rows.map(({ relid, name, referenced }) =>
      warning(
        `foreign key ${name} refers to ${referenced}, which is not kept the same: where a node lacks the row, what refers to it is parked there`,
        `Have the same rows in ${referenced} on every node, track it too, or take the key off.`,
        { table: labels.get(relid ?? "") },
      ),
    );
  },
);
