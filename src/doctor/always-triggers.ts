import { applicationTriggers } from "./application-triggers.ts";
import { nodeCheck, warning } from "./check.ts";

/**
 * Sees triggers of the application's that are ENABLE ALWAYS or REPLICA: they fire during apply even where the role switches
 * triggers off. Remedy: enable them in the ordinary way.
 */
export const alwaysTriggers = nodeCheck(
  "always-triggers",
  "no trigger of the application fires in replica role",
  async (node) => {
    if (node.facts.inRecovery || !(await node.mayReplicate())) return [];
    return (await applicationTriggers(node))
      .filter(({ enabled, guarded }) => enabled !== "O" && !guarded)
      .map(({ table, name, enabled }) =>
        warning(
          `trigger "${name}" is ENABLE ${enabled === "A" ? "ALWAYS" : "REPLICA"} and fires during apply`,
          `Unless that is meant: alter table … enable trigger "${name}".`,
          { table },
        ),
      );
  },
);
