import { systemClock } from "../../src/base/time.ts";
import type { Config } from "../../src/config/config.ts";
import { migrate } from "../../src/install/migrate.ts";
import { openLink } from "../../src/sidecar/open-link.ts";
import { configOf } from "../support/config.ts";
import { type Cluster, sql } from "../support/pg.ts";

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

/** The same where writers and links worked at once: a row that was locked then is parked until its next try, which comes now. */
export async function syncParked(config: Config, nodes: Cluster): Promise<void> {
  await sync(config);
  for (const { admin } of nodes) await admin.query("select tandem.retry_parked(null)");
  await sync(config);
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
    ${["tandem_insert", "tandem_update", "tandem_delete", "tandem_truncate"].map((name) => `alter table ${table} enable always trigger ${name};`).join(" ")} commit`;
}
