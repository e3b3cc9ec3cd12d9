import { defineCommand } from "./command.ts";

/** Compares all nodes by content; exit code 1 unless they are identical. */
export const verify = defineCommand({
  usage: "verify",
  summary: "compare all nodes by content, while writes go on",
  options: {
    table: { type: "string", array: true, requiresArg: true, describe: "only these tables: perfis, crm.*" },
  },
  async run({ table }, { loadConfig, signal, stderr, answer }) {
    const config = await loadConfig();
    const { verify: compare } = await import("../verify/verify.ts");
    const { describeVerify, startVerifyProgress } = await import("./verify-text.ts");
    const report = await compare(config, { tables: table, signal, onProgress: startVerifyProgress(stderr) });
    answer(report, describeVerify(report));
    return report.identical ? 0 : 1;
  },
});
