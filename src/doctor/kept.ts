import { describeKept, readKept } from "../sidecar/kept.ts";
import { nodeCheck, problem } from "./check.ts";

/**
 * Sees what is kept for a node that is silent for longer than the retention, or that was taken out of the configuration and not
 * dropped: the change logs grow. Remedy: reach it again, or `tandem drop-node`.
 */
export const kept = nodeCheck("kept", "nothing is kept for a node that is gone or silent", async (node, { config }) => {
  if (node.facts.installed !== "usable") return [];
  const found = await node.look((tx) => readKept(tx, config, node.name));
  return found.map((each) => {
    const { message, remedy } = describeKept(each);
    return problem(message, remedy);
  });
});
