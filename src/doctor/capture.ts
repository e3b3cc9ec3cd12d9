import { nodeCheck, type Observation, problem, warning } from "./check.ts";
import type { DoctorNode } from "./node.ts";

const again = "Run `tandem migrate`; the next round arms the table again by itself and compares it.";

/**
 * Sees, once Tandem is installed, tables whose capture triggers are missing or do not fire always, tables that are to be tracked
 * and are not, and tracked ones that are gone or no longer wanted. Remedy: `tandem migrate`.
 */
export const capture = nodeCheck("capture", "every table's changes are captured", async (node) => {
  if (node.facts.installed !== "usable") return [];
  return [...(await decisions(node)), ...(await triggers(node))];
});

async function decisions(node: DoctorNode): Promise<Observation[]> {
  return (await node.tables()).flatMap(({ label: table, decision, tracked, reason }): Observation[] => {
    if (decision === "track" && !tracked) {
      return [
        warning("is not captured yet: it came after the last `tandem migrate`", "Run `tandem migrate`.", { table }),
      ];
    }
    if (decision === "gone")
      return [warning("was captured here and is gone", "Exclude it, or create it again.", { table })];
    if (decision === "untrack")
      return [warning(`is still captured, but ${reason}`, "Run `tandem migrate`.", { table })];
    if (decision === "kept") {
      return [
        problem(`is captured, but could not be today: it ${reason}`, "Mend that, or exclude the table.", { table }),
      ];
    }
    return [];
  });
}

async function triggers(node: DoctorNode): Promise<Observation[]> {
  const rows = await node.query(
    `select format('%s.%s', t.schema_name, t.table_name) as label from tandem.tracked_table t
     where exists (select from pg_class c where c.oid = t.relid) and not tandem.capture_intact(t.table_id)
     order by t.schema_name, t.table_name`,
  );
  return rows.map(({ label }) =>
    problem("a capture trigger is missing or is not ENABLE ALWAYS: changes may have escaped", again, {
      table: label ?? undefined,
    }),
  );
}
