import { TandemError } from "../base/errors.ts";
import { count, listing } from "../sidecar/words.ts";
import { defineCommand } from "./command.ts";

/** Lets a node go that is lost for good. */
export const dropNode = defineCommand({
  usage: "drop-node <node>",
  summary: "let a node go that is lost for good; the others pass on what they have of it",
  positionals: { node: { type: "string", describe: "the node that is no more" } },
  async run({ node }, session) {
    if (!node) throw new TandemError("usage", "drop-node needs the name of a node");
    const config = await session.loadConfig();
    const { dropNode: drop } = await import("../install/drop-node.ts");
    const report = await drop(config, node, { signal: session.signal });
    const lines = report.others
      .filter(({ linked }) => linked)
      .map(
        (other) =>
          `${other.node}: ${count(other.forwarded, "change")} of ${node} passed on; ${count(other.freed, "change")} no longer kept for it`,
      );
    lines.push(`${node} is no longer a node of ${listing(report.others.map((other) => other.node))}.`);
    if (report.configured)
      lines.push(`Take ${node} out of the configuration: \`tandem migrate\` would take it up again.`);
    session.answer(report, lines.join("\n"));
    return 0;
  },
});
