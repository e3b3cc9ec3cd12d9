import { systemClock } from "../../src/base/time.ts";
import type { Config } from "../../src/config/config.ts";
import { migrate } from "../../src/install/migrate.ts";
import { openLink } from "../../src/sidecar/open-link.ts";
import { type Cluster, sql } from "../support/pg.ts";

/** A configuration of a cluster: all pairs linked, all tables, as a file without more would give. */
export function configOf(nodes: Cluster, changes: Partial<Config> = {}): Config {
  const names = nodes.nodes.map(({ name }) => name);
  return {
    file: null,
    nodes: nodes.nodes.map(({ name, url }) => ({ name, url })),
    links: names.flatMap((source) => names.filter((name) => name !== source).map((target) => ({ source, target }))),
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
    },
    http: { listen: "127.0.0.1:0", token: null },
    backup: { dir: "backups", pgBin: null, compress: true, scratch: null, timeZone: "UTC", jobs: [] },
    ...changes,
  };
}

/** Makes the tables on every node, and Tandem. */
export async function prepare(nodes: Cluster, schema: string, changes: Partial<Config> = {}): Promise<Config> {
  for (const { url } of nodes) await sql(url, schema);
  const config = configOf(nodes, changes);
  await migrate(config);
  return config;
}

/** Runs all links, round after round, until nothing is left to carry. */
export async function sync(config: Config): Promise<void> {
  for (let quiet = 0; quiet < 2; ) {
    let worked = false;
    for (const pair of config.links) {
      await using open = await openLink(config, pair, { clock: systemClock, batchRows: 100_000 });
      for (let result = await open.link.round(); ; result = await open.link.round()) {
        worked ||= result.worked;
        if (!result.worked) break;
      }
    }
    quiet = worked ? 0 : quiet + 1;
  }
}

/** Runs all links until the signal ends them, as a sidecar would; settles when all have ended. */
export async function runLinks(config: Config, signal: AbortSignal): Promise<void> {
  await Promise.all(
    config.links.map(async (pair) => {
      await using open = await openLink(config, pair, { clock: systemClock, batchRows: 100_000 });
      while (!signal.aborted) {
        const { worked } = await open.link.round();
        if (!worked) await systemClock.sleep(10);
      }
    }),
  );
}

/** Something done to rows behind the capture's back. */
export function behindTriggers(table: string, statements: string): string {
  return `begin; alter table ${table} disable trigger user; ${statements}; alter table ${table} enable trigger user;
    ${["tandem_insert", "tandem_update", "tandem_delete", "tandem_key", "tandem_truncate"].map((name) => `alter table ${table} enable always trigger ${name};`).join(" ")} commit`;
}
