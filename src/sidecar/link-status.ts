import type { NodeAnswer, PeerAnswer } from "./node-status.ts";

/** One link, put together from what its two nodes say; null: the node that would know could not be asked. */
export interface LinkStatus {
  readonly source: string;
  readonly target: string;
  /** Changes that wait at the source. */
  readonly pending: number | null;
  readonly oldestPending: string | null;
  readonly oldestPendingMs: number | null;
  readonly acknowledgedAt: string | null;
  /** False before the target has received anything. */
  readonly met: boolean | null;
  readonly parked: number | null;
  /** Rows that a person dropped and that have not changed since: the two nodes differ there. */
  readonly dropped: number | null;
  readonly conflicts24h: number | null;
  readonly tablesCopying: number | null;
  readonly tablesHeld: number | null;
  readonly rowsApplied: number | null;
  readonly batchesCut: number | null;
  readonly appliedAt: string | null;
  /** All that was committed at the source before this moment, by the target's clock, is known to be in the target. */
  readonly caughtUpAt: string | null;
  readonly caughtUpMs: number | null;
  /** How long what came last was under way at most, from commit to commit, in milliseconds; measured by one clock, with or without changes. */
  readonly lagMs: number | null;
  /** How long the last heartbeat was under way, in milliseconds, and when it came; null: heartbeats are off, or none has come yet. */
  readonly heartbeatMs: number | null;
  readonly heartbeatAt: string | null;
  readonly clockSkewMs: number | null;
  readonly lastError: string | null;
  readonly lastErrorAt: string | null;
  /** Since when a person lets it rest, and who; null: nobody does, or it is not known. */
  readonly pausedAt: string | null;
  readonly pausedBy: string | null;
}

/** Puts together what two nodes say of the link between them. */
export function linkStatus(source: string, target: string, answers: ReadonlyMap<string, NodeAnswer>): LinkStatus {
  const peer = (node: string, other: string): PeerAnswer | undefined =>
    answers.get(node)?.peers.find((row) => row.peer === other);
  const from = peer(source, target);
  const to = peer(target, source);
  return {
    source,
    target,
    pending: from?.pending ?? null,
    oldestPending: from?.oldestPending ?? null,
    oldestPendingMs: from?.oldestPendingMs ?? null,
    acknowledgedAt: from?.acknowledgedAt ?? null,
    met: to?.met ?? null,
    parked: to?.parked ?? null,
    dropped: to?.dropped ?? null,
    conflicts24h: to?.conflicts24h ?? null,
    tablesCopying: to?.tablesCopying ?? null,
    tablesHeld: to?.tablesHeld ?? null,
    rowsApplied: to?.rowsApplied ?? null,
    batchesCut: to?.batchesCut ?? null,
    appliedAt: to?.appliedAt ?? null,
    caughtUpAt: to?.caughtUpAt ?? null,
    caughtUpMs: to?.caughtUpMs ?? null,
    lagMs: to?.lagMs ?? null,
    heartbeatMs: to?.heartbeatMs ?? null,
    heartbeatAt: to?.heartbeatAt ?? null,
    clockSkewMs: to?.clockSkewMs ?? null,
    lastError: to?.lastError ?? null,
    lastErrorAt: to?.lastErrorAt ?? null,
    pausedAt: to?.pausedAt ?? null,
    pausedBy: to?.pausedBy ?? null,
  };
}
