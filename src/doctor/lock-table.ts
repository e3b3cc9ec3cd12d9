import { type Check, nodeCheck, warning } from "./check.ts";

/** Sees a database with so many tables that a backup, or comparing all of them, may run out of the server's locks. Remedy: `max_locks_per_transaction`. */
export const lockTable: Check = lockTableFrom(0.5);

/** The check, from a part of the lock table on that all tables together would take. */
export function lockTableFrom(part: number): Check {
  return nodeCheck("lock-table", "the server has locks for all tables at once", async (node) => {
    const [row] = await node.query(
      `select (select count(*) from pg_class c where c.relkind in ('r', 'p', 'i', 'I') and c.relpersistence <> 't'
          and c.relnamespace not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace, 'information_schema'::regnamespace))::text as wanted,
        (current_setting('max_locks_per_transaction')::bigint
          * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint))::text as there`,
    );
    const [wanted, there] = [Number(row?.wanted), Number(row?.there)];
    if (wanted <= there * part) return [];
    return [
      warning(
        `there are ${wanted} tables and indexes, and the server has locks for ${there} in all its sessions: a backup may fail ("out of shared memory")`,
        "Raise max_locks_per_transaction, which takes a restart of the server.",
      ),
    ];
  });
}
