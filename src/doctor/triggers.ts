import { ruleFor } from "../config/table-pattern.ts";
import { type ApplicationTrigger, applicationTriggers } from "./application-triggers.ts";
import { nodeCheck, type Observation, ok, problem, warning } from "./check.ts";

const last = "~tandem_last";

/**
 * Sees triggers of the application's that fire while changes are applied, where the role may not switch them off. What a
 * BEFORE ROW trigger changes is put back by ~tandem_last, unless its name sorts after that. What others write is a change of
 * its own: counted or logged twice. Remedy: rename, or choose between leaving and guarding; what was chosen is no finding.
 */
export const triggers = nodeCheck(
  "triggers",
  "no trigger of the application disturbs what is applied",
  async (node, { config }) => {
    // A standby cannot be tried, and is refused anyway.
    if (node.facts.inRecovery || (await node.mayReplicate())) return [];
    const seen = (await applicationTriggers(node)).filter(({ enabled }) => enabled !== "R");
    const rules = config.tables ?? [];
    const left = ({ schema, table }: ApplicationTrigger) => ruleFor(rules, schema, table)?.triggers === "leave";
    return seen.filter((each) => !each.guarded).flatMap((each) => look(each, left(each)));
  },
);

function look({ label, name, before, perRow, writes }: ApplicationTrigger, left: boolean): Observation[] {
  const place = { table: label };
  const found: Observation[] = [];
  if (before && perRow && byBytes(name) > 0) {
    found.push(
      problem(
        `BEFORE trigger "${name}" sorts after "${last}" and would change applied rows`,
        "Rename it, so that it fires first (alter trigger … rename to …).",
        place,
      ),
    );
  } else if (before && perRow) {
    found.push(ok(`BEFORE trigger "${name}" fires during apply; "${last}" puts the row back`, place));
  }
  if (writes && left) {
    found.push(ok(`trigger "${name}" fires during apply and may write: left so by the configuration`, place));
  } else if (writes) {
    found.push(
      warning(
        `trigger "${name}" fires during apply and may write: its writes come twice, here and with the source's own`,
        "Choose for the table, in tandem.yaml: `triggers: leave`, if its writes can be repeated, or `triggers: guard` (for all tables: `tandem migrate --guard-triggers`).",
        place,
      ),
    );
  }
  return found;
}

/** Triggers fire in the order of their names' bytes. */
function byBytes(name: string): number {
  return Buffer.compare(Buffer.from(name), Buffer.from(last));
}
