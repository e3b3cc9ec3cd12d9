import type { Source, Target } from "../base/ends.ts";
import type { VanishedTable } from "../base/exchange.ts";

const keysAtOnce = 10_000;

/**
 * Rows went at the source without a trigger, and its log does not know which: the target names, range by range, what
 * the source must have, and what is missing there enters its log as deletions. Interrupted, it begins anew.
 */
export async function askForVanished(
  source: Source,
  target: Target,
  tables: readonly VanishedTable[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const table of tables) {
    // The source is still being filled by the target: what it lacks may be on its way.
    const known = await source.known(table);
    if (known === null) continue;
    let after: readonly string[] | null = null;
    do {
      signal?.throwIfAborted();
      const range = await target.keysThere(table, known, after, keysAtOnce);
      if (range.keys.length > 0) await source.logMissing(table, range.keys);
      after = range.upto;
    } while (after !== null);
    await target.noteAsked(table);
  }
}
