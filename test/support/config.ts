import type { Config, SyncConfig, TableRule } from "../../src/config/config.ts";
import { allPairs } from "../../src/config/rules.ts";

/** What differs from the defaults; `pairs` are linked in both directions, without it every node with every other. */
export type ConfigChanges = Partial<Omit<Config, "sync" | "nodes" | "tables">> & {
  sync?: Partial<SyncConfig>;
  tables?: readonly (Partial<TableRule> & { name: string })[] | null;
  pairs?: readonly (readonly [string, string])[] | undefined;
};

/** The same configuration, with neither the node nor its links. */
export function withoutNode(config: Config, name: string): Config {
  return {
    ...config,
    nodes: config.nodes.filter((node) => node.name !== name),
    links: config.links.filter(({ source, target }) => source !== name && target !== name),
  };
}

/** A configuration of these nodes, with all else as a file that does not name it would give. */
export function configOf(
  nodes: Iterable<{ name: string; url: string }>,
  { sync, tables, pairs, ...changes }: ConfigChanges = {},
): Config {
  const named = [...nodes].map(({ name, url }) => ({ name, url }));
  return {
    file: null,
    nodes: named,
    links: (pairs ?? allPairs(named.map(({ name }) => name))).flatMap(([one, other]) => [
      { source: one, target: other },
      { source: other, target: one },
    ]),
    tables: tables?.map((rule) => ({ conflict: "newest", updatedAt: null, ...rule })) ?? null,
    exclude: [],
    sync: {
      intervalMs: 1_000,
      batchRows: 100_000,
      maxSkewMs: 300_000,
      retentionMs: 7 * 86_400_000,
      seed: null,
      sequences: "past",
      heartbeatMs: null,
      keepConflictsMs: 28 * 86_400_000,
      verifyEveryMs: null,
      ...sync,
    },
    http: { listen: "127.0.0.1:7420", token: null, hosts: [] },
    // A folder that is not there: a test that makes backups names its own.
    backup: {
      dir: "/nonexistent",
      pgBin: null,
      compress: true,
      scratch: null,
      include: [],
      includeRoot: "/nonexistent",
      includeSecrets: false,
      timeZone: "UTC",
      store: null,
      encrypt: null,
      jobs: [],
    },
    alerts: {
      everyMs: 60_000,
      repeatMs: 6 * 3_600_000,
      rules: {
        linkDownMs: 120_000,
        lagMs: 900_000,
        parkedMs: 300_000,
        conflictsPerHour: 100,
        clockSkewMs: 60_000,
        logGrowingMs: 86_400_000,
        shrunkPercent: 50,
        diskLowPercent: 10,
        held: true,
        diverged: true,
        backupFailed: true,
        backupStale: true,
        backupUnproven: true,
        backupNotStored: true,
      },
      targets: [],
    },
    ...changes,
  };
}
