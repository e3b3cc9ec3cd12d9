import { TandemError } from "../base/errors.ts";
import { defineCommand } from "./command.ts";

/** Compares all nodes by content, and mends them when asked to; exit code 1 unless they are identical in the end. */
export const verify = defineCommand({
  usage: "verify",
  summary: "compare all nodes by content, while writes go on",
  options: {
    table: { type: "string", array: true, requiresArg: true, describe: "only these tables: perfis, crm.*" },
    repair: { type: "boolean", describe: "mend what differs, through the conflict rules" },
    prefer: {
      type: "string",
      requiresArg: true,
      describe: "with --repair: the node that is right where no version decides",
    },
    "dry-run": { type: "boolean", describe: "with --repair: only say what it would do" },
  },
  async run({ table, repair: mend, prefer, "dry-run": dryRun }, { loadConfig, signal, stderr, answer }) {
    if (!mend && (prefer !== undefined || dryRun)) {
      throw new TandemError("usage", "--prefer and --dry-run belong to --repair");
    }
    const config = await loadConfig();
    const { describeVerify, startVerifyProgress } = await import("./verify-text.ts");
    const options = { tables: table, signal, onProgress: startVerifyProgress(stderr) };
    if (mend) {
      const { repair } = await import("../sidecar/repair.ts");
      const { describeRepair } = await import("./repair-text.ts");
      const report = await repair(config, { ...options, prefer, dryRun });
      answer(report, describeRepair(report, dryRun === true));
      return report.well ? 0 : 1;
    }
    const { verify: compare } = await import("../verify/verify.ts");
    const report = await compare(config, options);
    answer(report, describeVerify(report));
    return report.identical ? 0 : 1;
  },
});
