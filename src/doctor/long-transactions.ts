import { type Check, nodeCheck, type Observation, warning } from "./check.ts";
import type { DoctorNode } from "./node.ts";

/**
 * Sees transactions open for longer than a limit: their own rows wait until they end, logs cannot be pruned, and triggers
 * wait for a lock they hold. A role without pg_read_all_stats sees its own sessions only. Remedy: to end them.
 */
export function longTransactionsOver(limitMs: number): Check {
  return nodeCheck("long-transactions", "no transaction has been open for long", (node) => look(node, limitMs));
}

/** The check as `doctor` runs it. */
export const longTransactions: Check = longTransactionsOver(3_600_000);

async function look(node: DoctorNode, limitMs: number): Promise<Observation[]> {
  const rows = await node.query(
    `select 'pid ' || a.pid as who, coalesce(a.application_name, '') as what, a.state, clock_timestamp() - a.xact_start as age
     from pg_stat_activity a where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
       and a.xact_start < clock_timestamp() - $1::float8 * interval '1 ms'
     union all select 'prepared transaction ' || quote_literal(p.gid), '', 'prepared', clock_timestamp() - p.prepared
     from pg_prepared_xacts p where p.database = current_database() and p.prepared < clock_timestamp() - $1::float8 * interval '1 ms'
     order by age desc`,
    [limitMs],
  );
  return rows.map(({ who, what, state, age }) =>
    warning(
      `a transaction has been open for ${age?.replace(/\.\d+$/, "")}: ${[who, what, state].filter(Boolean).join(", ")}`,
      who?.startsWith("pid")
        ? `See what it waits for, and end it: select pg_terminate_backend(${who.slice(4)}).`
        : "Commit it or roll it back: commit prepared …, rollback prepared ….",
    ),
  );
}
