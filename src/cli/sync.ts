import { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import type { SyncOptions } from "../sidecar/sync.ts";
import { defineCommand, type ExitCode, type Session } from "./command.ts";

/** Brings all links to the state of their sources at its start. */
export const sync = defineCommand({
  usage: "sync",
  summary: "bring all nodes to one state, print a report",
  options: {
    "dry-run": { type: "boolean", describe: "print what would be done, and change no row" },
    wait: { type: "number", requiresArg: true, describe: "seconds to wait for a server that sleeps (20)" },
  },
  async run(args, session) {
    const { wait } = args;
    if (wait !== undefined && !(wait >= 0)) throw new TandemError("usage", "--wait must be 0 or more");
    const config = await session.loadConfig();
    const { startProgress } = await import("./progress.ts");
    const progress = startProgress(session.stderr);
    const options = {
      signal: session.signal,
      onEvent: progress.show,
      ...(wait !== undefined && { patienceMs: wait * 1000 }),
    };
    try {
      return await (args["dry-run"] ? preview : carry)(config, options, session, progress.stop);
    } finally {
      progress.stop();
    }
  },
});

async function carry(config: Config, options: SyncOptions, session: Session, done: () => void): Promise<ExitCode> {
  const { sync: work } = await import("../sidecar/sync.ts");
  const { describeSync, syncDocument, tellErrors } = await import("./sync-text.ts");
  const report = await work(config, options);
  done();
  tellErrors(report.links, session.stderr);
  session.answer(syncDocument(report), describeSync(report));
  return report.well ? 0 : 1;
}

async function preview(config: Config, options: SyncOptions, session: Session, done: () => void): Promise<ExitCode> {
  const { dryRun } = await import("../sidecar/dry-run.ts");
  const { describeDryRun, dryRunDocument, dryRunWell } = await import("./dry-run-text.ts");
  const { tellErrors } = await import("./sync-text.ts");
  const previews = await dryRun(config, options);
  done();
  tellErrors(previews, session.stderr);
  session.answer(dryRunDocument(previews), describeDryRun(previews));
  return dryRunWell(previews) ? 0 : 1;
}
