import { defineCommand } from "./command.ts";
import { hasColours } from "./text.ts";

/** Looks for everything that would go wrong. */
export const doctor = defineCommand({
  usage: "doctor",
  summary: "look for everything that would go wrong, each with its remedy",
  options: {
    roundtrip: { type: "boolean", describe: "also write a probe row in each node and time its way into the others" },
  },
  async run({ roundtrip }, { loadConfig, signal, stdout, env, answer }) {
    const config = await loadConfig();
    const { doctor: examine } = await import("../doctor/doctor.ts");
    const { renderDoctor } = await import("../doctor/render.ts");
    const report = await examine(config, { signal, roundtrip });
    answer(report, renderDoctor(report, { color: hasColours(stdout, env) }).trimEnd());
    return report.exitCode;
  },
});
