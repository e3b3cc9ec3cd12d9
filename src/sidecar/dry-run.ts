import type { LinkState, TablePreview } from "../base/exchange.ts";
import { Backoff, withRetry } from "../base/retry.ts";
import { systemClock } from "../base/time.ts";
import { assertSeveral } from "../config/alone.ts";
import type { Config } from "../config/config.ts";
import { openLink } from "./open-link.ts";
import type { SyncOptions } from "./sync.ts";

/** What one link would do. */
export interface LinkPreview {
  readonly source: string;
  readonly target: string;
  readonly tables: readonly TablePreview[];
  /** Tables that would not flow, with the reason. */
  readonly held: readonly { readonly table: string; readonly reason: string }[];
  readonly error: unknown;
}

/**
 * What `sync` would insert, update, delete and refuse, per direction and table, as things stand. Each direction is
 * looked at by itself: what the first would bring is not there yet when the second is looked at.
 */
export async function dryRun(config: Config, options: SyncOptions = {}): Promise<readonly LinkPreview[]> {
  assertSeveral(config);
  const clock = options.clock ?? systemClock;
  const previews: LinkPreview[] = [];
  for (const pair of config.links) {
    try {
      await using open = await withRetry(
        () => openLink(config, pair, { clock, batchRows: Number.MAX_SAFE_INTEGER, signal: options.signal }),
        {
          clock,
          signal: options.signal,
          backoff: new Backoff({ min: 200, max: 2_000 }),
          deadline: clock.now() + (options.patienceMs ?? 20_000),
        },
      );
      const tables = await open.link.preview();
      const held = heldOf(await open.link.target.state());
      previews.push({ ...pair, tables: [...tables.values()], held, error: null });
    } catch (error) {
      previews.push({ ...pair, tables: [], held: [], error });
    }
  }
  return previews;
}

function heldOf({ tables }: LinkState): LinkPreview["held"] {
  return tables
    .filter(({ state }) => state === "held")
    .map(({ schema, name, reason }) => ({ table: `${schema}.${name}`, reason: reason ?? "" }));
}
