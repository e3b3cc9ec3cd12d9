import { nodeCheck, ok } from "./check.ts";

/** Sees limits that would end long work; Tandem's own sessions take them off. Nothing to do. */
export const timeLimits = nodeCheck("time-limits", "no time limit is set for the role", async (node) => {
  const rows = await node.query(
    `select name, reset_val, unit from pg_settings where reset_val <> '0' and name in ('statement_timeout', 'lock_timeout',
       'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout') order by name`,
  );
  if (rows.length === 0) return [];
  const limits = rows.map(({ name, reset_val, unit }) => `${name} ${reset_val} ${unit}`);
  return [ok(`set for this role or server, and taken off in Tandem's own sessions: ${limits.join(", ")}`)];
});
