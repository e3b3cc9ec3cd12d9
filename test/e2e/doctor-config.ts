import type { Config } from "../../src/config/config.ts";
import type { Check, Finding } from "../../src/doctor/check.ts";
import { type DoctorOptions, doctor } from "../../src/doctor/doctor.ts";

/** A table with one rule; `name` as the configuration has it. */
export function rule(name: string, updatedAt: string | null = null) {
  return { name, conflict: "newest" as const, updatedAt };
}

/** What one check finds that is not well. */
export async function faults(check: Check, config: Config, options: DoctorOptions = {}): Promise<Finding[]> {
  const { findings } = await doctor(config, { ...options, checks: [check] });
  return findings.filter(({ severity }) => severity !== "ok");
}

/** Everything that one check says, a line each: `severity node table: message`. */
export async function said(check: Check, config: Config, options: DoctorOptions = {}): Promise<string[]> {
  const { findings } = await doctor(config, { ...options, checks: [check] });
  return findings.map(({ severity, node, link, table, message }) =>
    `${[severity, node ?? link, table].filter(Boolean).join(" ")}: ${message}`.trim(),
  );
}
