import { errorLine } from "../base/errors.ts";
import { sync as syncAll } from "../sidecar/sync.ts";
import { defineCommand } from "./command.ts";
import { startProgress } from "./progress.ts";
import { describeSync, syncDocument } from "./sync-text.ts";

/** Brings all links to the state of their sources at its start. */
export const sync = defineCommand({
  usage: "sync",
  summary: "bring all nodes to one state, print a report",
  options: {
    wait: { type: "number", requiresArg: true, describe: "seconds to wait for a server that sleeps (20)" },
  },
  async run({ wait }, session) {
    const config = await session.loadConfig();
    const progress = startProgress(session.stderr);
    try {
      const report = await syncAll(config, {
        signal: session.signal,
        onEvent: progress.show,
        patienceMs: wait === undefined ? undefined : wait * 1000,
      });
      progress.stop();
      // Both links of an unreachable node fail with the same words: it is one trouble, and one line.
      const lines = report.links.flatMap(({ error }) => (error ? [errorLine(error)] : []));
      for (const line of new Set(lines)) session.stderr.write(`${line}\n`);
      session.answer(syncDocument(report), describeSync(report));
      return report.well ? 0 : 1;
    } finally {
      progress.stop();
    }
  },
});
