import { TandemError } from "../base/errors.ts";
import type { Clock } from "../base/time.ts";
import type { Config, LinkConfig } from "../config/config.ts";
import { openLink } from "./open-link.ts";

/** Two nodes of which at least one is not the database it was. */
export interface Misfit {
  readonly nodes: readonly [string, string];
  readonly error: TandemError;
}

/** What is wanted of a look at identities. */
export interface IdentityOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** Only the pairs that this one says yes to. */
  readonly only?: (pair: LinkConfig) => boolean;
}

/**
 * Lets every pair of linked nodes recognize each other, in both directions, before anything is carried; returns those that do not. Of two databases
 * that do not fit each other nobody can say which one was restored, and a third node would pass on what the wrong one
 * holds: so all links of both stand still. A pair that cannot be asked is left to its own link.
 */
export async function findMisfits(
  config: Config,
  { clock, signal, only = () => true }: IdentityOptions,
): Promise<Misfit[]> {
  const pairs = config.links.filter((pair) => pair.source < pair.target && only(pair));
  const found = await Promise.all(pairs.map((pair) => misfitOf(config, pair, clock, signal)));
  return found.filter((misfit) => misfit !== null);
}

async function misfitOf(
  config: Config,
  pair: LinkConfig,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<Misfit | null> {
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      await using open = await openLink(config, pair, { clock, batchRows: 1, signal });
      await open.link.meet();
      return null;
    } catch (error) {
      if (!(error instanceof TandemError)) throw error;
      if (error.code === "identity_mismatch") return { nodes: [pair.source, pair.target], error };
      // A sidecar may be carrying this very link on.
      if (error.code !== "position_mismatch") return null;
    }
  }
  return null;
}

/** Why a link stands still because of what was found with one of its nodes; null: it may work. */
export function standsStill({ source, target }: LinkConfig, misfits: readonly Misfit[]): TandemError | null {
  const own = misfits.find(({ nodes }) => nodes.includes(source) && nodes.includes(target));
  if (own) return own.error;
  const other = misfits.find(({ nodes }) => nodes.includes(source) || nodes.includes(target));
  if (!other) return null;
  const [one, two] = other.nodes;
  return new TandemError(
    "identity_mismatch",
    `link ${source} → ${target} stands still, for ${one} and ${two} do not fit each other: ${other.error.message}`,
    {
      cause: other.error,
      link: `${source} → ${target}`,
    },
  );
}
