import type { Config } from "../config/config.ts";
import type { Mended, VerifyReport } from "../verify/report.ts";
import { type VerifyOptions, verify } from "../verify/verify.ts";
import { outcomeLine, sync } from "./sync.ts";
import { noteVerification } from "./verification.ts";

/** How `repair` works. */
export interface RepairOptions extends Omit<VerifyOptions, "mend"> {
  /** The node whose row all are to have where no version decides. */
  readonly prefer?: string | undefined;
  /** Only says what would be done. */
  readonly dryRun?: boolean | undefined;
}

/** What was done about one key. */
export interface RepairedKey extends Mended {
  readonly schema: string;
  readonly name: string;
}

/** The answer of `repair`. */
export interface RepairReport {
  /** All nodes are identical at the end; with `dryRun`: already were, or would be. */
  readonly well: boolean;
  /** Keys whose right row was written anew. */
  readonly mended: readonly RepairedKey[];
  /** Keys that nothing decides: `prefer` would. */
  readonly left: readonly RepairedKey[];
  /** Links that could not carry what was mended, one line each. */
  readonly failed: readonly string[];
  /** Before anything was mended, and after; the same with `dryRun`. */
  readonly before: VerifyReport;
  readonly after: VerifyReport;
}

// A row that changed under the repair's hands is mended the next time; a foreign key may bring up what it depends on.
const mostPasses = 3;

/**
 * Compares all nodes, has what is diverged written anew by the node that is right, carries it (beside a sidecar, if one
 * runs), and compares again. Writes of the application go on meanwhile.
 */
export async function repair(config: Config, options: RepairOptions = {}): Promise<RepairReport> {
  const { prefer = null, dryRun = false, ...rest } = options;
  const mend = { prefer, dryRun };
  const before = await verify(config, { ...rest, mend });
  const mended = new Map<string, RepairedKey>();
  const failed: string[] = [];
  let last = before;
  for (let pass = 1; ; pass++) {
    const written = keysOf(last).filter((key) => key.written);
    for (const key of written) mended.set(JSON.stringify([key.schema, key.name, key.key]), key);
    if (dryRun || pass > mostPasses || !keysOf(last).some(({ winner }) => winner !== null)) break;
    const { links } = await sync(config, { clock: rest.clock, signal: rest.signal });
    failed.splice(0, failed.length, ...links.flatMap((link) => (link.error ? [outcomeLine(link)] : [])));
    last = await verify(config, { ...rest, mend: { prefer, dryRun: pass === mostPasses } });
  }
  if (!dryRun && rest.tables === undefined) await noteVerification(config, last, { signal: rest.signal });
  const left = keysOf(last).filter(({ winner }) => winner === null);
  const would = dryRun && left.length === 0 && last.totals.differing === last.totals.reasons.diverged;
  return { well: last.identical || would, mended: [...mended.values()], left, failed, before, after: last };
}

function keysOf({ tables }: VerifyReport): RepairedKey[] {
  return tables.flatMap(({ schema, name, mended }) => mended.map((key) => ({ schema, name, ...key })));
}
