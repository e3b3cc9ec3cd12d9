import { TandemError } from "../base/errors.ts";
import { defineCommand } from "./command.ts";

/** Two servers of its own, and writers on both sides; needs no configuration. */
export const demo = defineCommand({
  usage: "demo",
  summary: "two servers on this machine that are written to and kept the same",
  options: {
    seconds: { type: "number", requiresArg: true, describe: "end by itself after so long; until Ctrl-C otherwise" },
  },
  async run({ seconds }, { signal, stdout, stderr, json, answer }) {
    if (seconds !== undefined && !(seconds > 0)) throw new TandemError("usage", "--seconds must be more than 0");
    const { runDemo } = await import("../demo/demo.ts");
    const out = json ? stderr : stdout;
    const code = await runDemo({ seconds, signal, out, isTerminal: out.isTTY === true });
    answer({ identical: code === 0 }, "");
    return code;
  },
});
