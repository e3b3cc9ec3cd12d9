import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { type JobState, jobStates } from "../backup/job-state.ts";
import { listBackups } from "../backup/list.ts";
import type { Clock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import type { Connection } from "../db/connection.ts";
import { askNodes, reading } from "./ask-nodes.ts";
import { type Kept, readKept } from "./kept.ts";
import { type StatusReport, status } from "./status.ts";

/** What came from a peer, as the target knows it. */
export interface PeerFacts {
  readonly peer: string;
  /** Noted in the last hour. */
  readonly conflicts: number;
  readonly parked: number;
  /** For how long the oldest of them has been parked, in milliseconds. */
  readonly parkedMs: number;
}

/** A backup job and what its newest whole backups weigh, the newest last. */
export interface JobFacts {
  readonly state: JobState;
  readonly bytes: readonly number[];
}

/** All that the rules of the alerts look at. */
export interface AlertFacts {
  readonly report: StatusReport;
  /** By node. */
  readonly peers: ReadonlyMap<string, readonly PeerFacts[]>;
  readonly kept: ReadonlyMap<string, readonly Kept[]>;
  readonly unanswered: ReadonlySet<string>;
  readonly jobs: readonly JobFacts[];
  /** Of the disk of the backups; null: there is no job. */
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number } | null;
}

// With its own backup and seven before it.
const weighed = 8;

const peerFacts = `
  select p.name as peer,
    (select count(*) from tandem.conflict c where c.peer_id = p.peer_id and c.detected_at > clock_timestamp() - interval '1 hour') as conflicts,
    (select count(*) from tandem.parked_change c where c.peer_id = p.peer_id) as parked,
    (select extract(epoch from clock_timestamp() - min(c.parked_at)) * 1000 from tandem.parked_change c where c.peer_id = p.peer_id) as parked_ms
  from tandem.peer p where p.configured`;

/** Asks for all of it; what one node cannot tell, the others do. */
export async function alertFacts(config: Config, { clock, signal }: { clock: Clock; signal: AbortSignal }) {
  const report = await status(config, { signal });
  const asked = await askNodes(config, (connection) => reading(connection, (tx) => readFacts(tx, config)), { signal });
  const of = <T>(pick: (facts: NodeFacts) => T) =>
    new Map(asked.answers.map(({ node, answer }) => [node, pick(answer)]));
  const silent = report.nodes.filter(({ answered }) => !answered).map(({ node }) => node);
  const facts: AlertFacts = {
    report,
    peers: of(({ peers }) => peers),
    kept: of(({ kept }) => kept),
    unanswered: new Set([...silent, ...asked.unanswered.map(({ node }) => node)]),
    jobs: await jobFacts(config, clock.now()),
    disk: config.backup.jobs.length === 0 ? null : await diskOf(config.backup.dir),
  };
  return facts;
}

interface NodeFacts {
  readonly peers: readonly PeerFacts[];
  readonly kept: readonly Kept[];
}

async function readFacts(tx: Connection, config: Config): Promise<NodeFacts> {
  const rows = await tx.query(peerFacts);
  const silentMs = config.alerts.rules.logGrowingMs;
  const sync = { ...config.sync, retentionMs: silentMs ?? config.sync.retentionMs };
  return {
    peers: rows.map((row) => ({
      peer: row.peer ?? "",
      conflicts: Number(row.conflicts),
      parked: Number(row.parked),
      parkedMs: Number(row.parked_ms ?? 0),
    })),
    kept: silentMs === null ? [] : await readKept(tx, { ...config, sync }, tx.node),
  };
}

async function jobFacts(config: Config, now: number): Promise<JobFacts[]> {
  if (config.backup.jobs.length === 0) return [];
  const { backups } = await listBackups(config.backup.dir);
  return (await jobStates(config, now)).map((state) => {
    const whole = backups.filter((one) => one.job === state.job && one.node === state.node && one.state === "complete");
    return { state, bytes: whole.slice(-weighed).map(({ bytes }) => bytes) };
  });
}

/** Before the first backup there is no folder; it will lie on the disk of the one above. */
async function diskOf(dir: string): Promise<AlertFacts["disk"]> {
  for (let folder = dir; ; folder = dirname(folder)) {
    try {
      const { bavail, blocks, bsize } = await statfs(folder);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || dirname(folder) === folder) throw error;
    }
  }
}
