import type { Config, SyncConfig } from "../../src/config/config.ts";
import type { Check, Finding } from "../../src/doctor/check.ts";
import { type DoctorOptions, doctor } from "../../src/doctor/doctor.ts";

interface Named {
  name: string;
  url: string;
}

/** What differs from the defaults. */
type Changes = Partial<Omit<Config, "sync" | "nodes">> & { sync?: Partial<SyncConfig> };

/** A configuration of these nodes, all linked, as `loadConfig` would make it. */
export function configOf(nodes: Iterable<Named>, { sync, ...changes }: Changes = {}): Config {
  const named = [...nodes].map(({ name, url }) => ({ name, url }));
  return {
    file: null,
    nodes: named,
    links: named.flatMap((a) => named.filter((b) => b !== a).map((b) => ({ source: a.name, target: b.name }))),
    tables: null,
    exclude: [],
    sync: {
      intervalMs: 1_000,
      batchRows: 100_000,
      maxSkewMs: 300_000,
      retentionMs: 604_800_000,
      seed: null,
      sequences: "past",
      keepConflictsMs: 2_419_200_000,
      verifyEveryMs: null,
      ...sync,
    },
    http: { listen: "127.0.0.1:7420", token: null },
    backup: { dir: "/tmp/backups", pgBin: null, compress: true, scratch: null, timeZone: "UTC", jobs: [] },
    ...changes,
  };
}

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
