import { nodeCheck, problem, warning } from "./check.ts";

/**
 * Sees rules that rewrite writes to a tracked table: an INSERT … ON CONFLICT is refused there, and what a rule writes instead is
 * not what was meant. Remedy: a trigger in its place.
 */
export const rules = nodeCheck("rules", "no rule rewrites writes to a table", async (node) => {
  const tables = await node.tracked();
  const rows = await node.query(
    `select r.ev_class as relid, r.rulename as name, r.ev_enabled as enabled from pg_rewrite r
     where r.ev_class = any ($1::oid[]) and r.ev_type <> '1' and r.ev_enabled <> 'D' order by 1, 2`,
    [tables.map(({ relid }) => relid)],
  );
  const silent = !node.facts.inRecovery && (await node.mayReplicate());
  return rows.map(({ relid, name, enabled }) => {
    const table = tables.find((each) => each.relid === relid)?.label;
    const remedy = "Replace the rule by a trigger, or exclude the table.";
    return silent && enabled === "O"
      ? warning(`rule "${name}" rewrites the application's writes; changes are applied without it`, remedy, { table })
      : problem(`rule "${name}" rewrites writes to this table, the applier's too`, remedy, { table });
  });
});
