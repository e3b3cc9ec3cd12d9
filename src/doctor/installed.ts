import { errorCodes } from "../base/error-codes.ts";
import { TandemError } from "../base/errors.ts";
import { sqlState } from "../db/sqlstate.ts";
import { checkCompat } from "../install/compat.ts";
import { type Check, type DoctorContext, notSeen, type Observation, problem, warning } from "./check.ts";
import type { DoctorNode } from "./node.ts";

/**
 * Sees nodes where Tandem is missing, of another version, or where the database is not the one that was configured.
 * Remedy: `tandem migrate`, an upgrade, or installing anew.
 */
export const installed: Check = {
  id: "installed",
  title: "Tandem is installed in every node, in this version",
  run: async (context) => (await look(context)).map((observation) => ({ check: "installed", ...observation })),
};

async function look({ nodes }: DoctorContext): Promise<Observation[]> {
  if (nodes.every(({ facts }) => facts.installed === "no")) {
    return [warning("Tandem is not installed yet", "Run `tandem migrate`.")];
  }
  // A role that may not see what is installed is a matter of `rights`.
  const seen = nodes.filter(({ facts }) => facts.installed !== "barred");
  return (await Promise.all(seen.map(oneNode))).flat();
}

async function oneNode(node: DoctorNode): Promise<Observation[]> {
  const place = { node: node.name };
  if (node.facts.installed === "no") {
    return [problem("Tandem is installed in other nodes, and not in this one", errorCodes.not_installed.hint, place)];
  }
  try {
    await checkCompat(node.connection);
    return await identity(node);
  } catch (error) {
    if (!(error instanceof TandemError)) return [notSeen(node, error)];
    return [problem(error.message.replace(/^node \S+: /, ""), error.hint, place)];
  }
}

/** As every round of a link does it; it also notes how far transactions have come, which is taken back. */
async function identity(node: DoctorNode): Promise<Observation[]> {
  const place = { node: node.name };
  const [row] = await node.query("select name from tandem.local_node");
  if (!row)
    return [warning("Tandem is installed here, but the database is not a node yet", "Run `tandem migrate`.", place)];
  if (row.name !== node.name) {
    return [
      problem(
        `this database is node "${row.name}"`,
        `Name it ${row.name} in the configuration, or correct the URL.`,
        place,
      ),
    ];
  }
  if (node.facts.inRecovery) return [];
  try {
    await node.attempt((tx) => tx.query("select tandem.check_identity()"));
    return [];
  } catch (error) {
    if (sqlState(error) !== "TD002") throw error;
    return [
      problem((error as TandemError).message.replace(/^node \S+: /, ""), errorCodes.identity_mismatch.hint, place),
    ];
  }
}
