import { TandemError } from "../base/errors.ts";
import { count } from "../sidecar/words.ts";
import { defineCommand } from "./command.ts";

const choices = ["keep", "delete"] as const;

/** Takes back a node whose database was restored, branched, cloned or made anew. */
export const rejoin = defineCommand({
  usage: "rejoin <node>",
  summary: "take back a node that was restored, branched or cloned: compare, lose nothing",
  positionals: { node: { type: "string", describe: "the node that came back" } },
  options: {
    missing: {
      type: "string",
      requiresArg: true,
      choices,
      describe: "rows that only this node has and that may have been deleted meanwhile",
    },
  },
  async run({ node, missing }, session) {
    if (!node) throw new TandemError("usage", "rejoin needs the name of a node");
    const config = await session.loadConfig();
    const { startProgress } = await import("./progress.ts");
    const { rejoin: work } = await import("../sidecar/rejoin.ts");
    const { describeSync, syncDocument, tellErrors } = await import("./sync-text.ts");
    const progress = startProgress(session.stderr);
    try {
      const report = await work(config, node, {
        signal: session.signal,
        onEvent: progress.show,
        missing: choices.find((choice) => choice === missing),
      });
      progress.stop();
      tellErrors(report.sync.links, session.stderr);
      const lines = [
        report.renewed ? `${node} came back: it was compared with the others.` : `${node} is the database it was.`,
        describeSync(report.sync),
      ];
      if (report.undecided > 0) {
        lines.push(
          `${count(report.undecided, "row")} may have been deleted elsewhere while ${node} was away. ` +
            `Say what they are: tandem rejoin ${node} --missing keep, or --missing delete.`,
        );
      }
      const { renewed, undecided, well } = report;
      session.answer({ node, renewed, undecided, well, ...syncDocument(report.sync) }, lines.join("\n"));
      return report.well ? 0 : 1;
    } finally {
      progress.stop();
    }
  },
});
