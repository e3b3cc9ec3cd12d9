import type { Config } from "../config/config.ts";
import type { Connection } from "../db/connection.ts";
import { quoteLiteral } from "../db/quote.ts";
import { count, duration } from "./words.ts";

/** What a node keeps for a peer that does not fetch it: its logs grow until somebody sees to it. */
export interface Kept {
  readonly peer: string;
  readonly changes: number;
  /** Milliseconds since the peer acknowledged anything, by the node's clock; null: it never did. */
  readonly silentMs: number | null;
  /** `silent`: for longer than the retention; else the configuration does not name the peer, or does not link it with the node. */
  readonly why: "silent" | "unnamed" | "unlinked";
}

/**
 * Reads what a node, migrated before, keeps for peers that are silent, or that the configuration names no longer though nobody dropped
 * them. Only what is waited for in vain is counted: what waits on a link that works is `pending`. A configuration of one node says nothing
 * of others.
 */
export async function readKept(tx: Connection, config: Config, node: string): Promise<Kept[]> {
  if (config.links.length === 0) return [];
  const linked = config.links.filter(({ source }) => source === node).map(({ target }) => target);
  const names = `array[${linked.map(quoteLiteral).join(", ")}]::text[]`;
  const long = `clock_timestamp() - interval '${config.sync.retentionMs} milliseconds'`;
  // First what needs no counting: a node with much pending is asked often.
  const rows = await tx.query<{ peer: string; changes: string; silent_ms: string | null }>(
    `select peer, changes, extract(epoch from clock_timestamp() - acknowledged_at) * 1000 as silent_ms from tandem.kept
     where (peer <> all (${names}) or coalesce(acknowledged_at < ${long}, true))
       and (peer <> all (${names}) or oldest < ${long})
     order by peer`,
  );
  return rows.map(({ peer, changes, silent_ms }) => ({
    peer,
    changes: Number(changes),
    silentMs: silent_ms === null ? null : Number(silent_ms),
    why: linked.includes(peer) ? "silent" : config.nodes.some(({ name }) => name === peer) ? "unlinked" : "unnamed",
  }));
}

/** Says it to a person. */
export function describeKept({ peer, changes, silentMs, why }: Kept): { message: string; remedy: string } {
  const message = `keeps ${count(changes, "change")} for node ${peer}`;
  if (why === "unlinked") {
    return { message: `${message}, with which the configuration does not link it`, remedy: "Run `tandem migrate`." };
  }
  if (why === "unnamed") {
    return {
      message: `${message}, which the configuration does not name`,
      remedy: `\`tandem drop-node ${peer}\` lets it go for good; to keep it, name it again and run \`tandem migrate\`.`,
    };
  }
  const since = silentMs === null ? "never acknowledged any" : `acknowledged none for ${duration(silentMs)}`;
  return {
    message: `${message}, which has ${since}`,
    remedy: `See that \`tandem run\` reaches it; if it is lost for good, \`tandem drop-node ${peer}\` lets it go.`,
  };
}
