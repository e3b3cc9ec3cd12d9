import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { hostname } from "node:os";
import { errorLine, TandemError } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { type Clock, systemClock } from "../base/time.ts";
import { assertSeveral } from "../config/alone.ts";
import type { Config, NodeConfig } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import type { LinkEvent } from "../link/report.ts";
import { call } from "../postgres/session.ts";
import { AlertLoop } from "./alert-loop.ts";
import type { FiringAlert } from "./alert-store.ts";
import { runBackupJob } from "./backup-job.ts";
import { History } from "./history.ts";
import { disconnectFromMs, Lease } from "./lease.ts";
import { type LinkActivity, LinkLoop } from "./link-loop.ts";
import { proofLoop } from "./proof-loop.ts";
import { uploadLoop } from "./upload-loop.ts";
import { verifyLoop } from "./verify-loop.ts";

/** How the sidecar works. */
export interface SidecarOptions {
  /** Aborted: it ends after the batch in hand. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly onEvent?: (event: LinkEvent) => void;
  readonly onActivity?: (activity: LinkActivity) => void;
  /** As `AlertLoopOptions` has it. */
  readonly onFiring?: (firing: readonly FiringAlert[] | null) => void;
}

const pruneEveryMs = 3_600_000;
// Three of them and a second are the most that pass before another sidecar takes over.
const renewLeaseMs = 3_000;

/**
 * All links of the configuration, for ever; returns once all have ended. What only a person can mend before a link's
 * first round (not installed, wrong password, another database) ends all of them and is thrown.
 */
export async function runSidecar(config: Config, options: SidecarOptions): Promise<void> {
  if (config.backup.jobs.length === 0) assertSeveral(config);
  const failed = new AbortController();
  const released = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  // Every link and every lease waits on them: with five nodes that is no leak.
  setMaxListeners(0, signal, released.signal);
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  const label = `${hostname()}, process ${process.pid}`;
  const history = new History(config, { actor: label, clock, logger, signal: released.signal });
  const onTenure = (target: string) =>
    history.note({ kind: "sidecar_took_over", source: null, target, message: "works on the links into this node" });
  const leases = new Map(leasesOf(config, { label, onTenure, clock, logger, signal: released.signal }));
  const holds = (node: string) => of(leases, node).tenure !== null;
  const { onFiring } = options;
  const alerts = new AlertLoop(config, { sender: label, clock, logger, signal, holds, onFiring });
  const onEvent = (event: LinkEvent) => {
    if (event.total === null) history.moved(event);
    options.onEvent?.(event);
  };
  const onActivity = (activity: LinkActivity) => {
    history.watch(activity);
    alerts.watch(activity);
    options.onActivity?.(activity);
  };
  const loops = config.links.map(
    (pair) =>
      new LinkLoop(config, pair, { clock, logger, signal, lease: of(leases, pair.target), onEvent, onActivity }),
  );
  logger.info({ links: loops.length, nodes: config.nodes.map((node) => node.name) }, "sidecar started");
  const endAllWhenFailed = (work: Promise<void>) =>
    work.catch((error: unknown) => {
      failed.abort(error);
      throw error;
    });
  const keeping = [...leases.values()].map((lease) => endAllWhenFailed(lease.run()));
  keeping.push(history.run());
  // Taken hold of at once: one that fails before the works have ended is nobody's unhandled rejection.
  const kept = Promise.allSettled(keeping);
  const works = [
    ...loops.map((loop) => loop.run()),
    ...config.nodes.map((node) => pruneLoop(node, { clock, logger, signal, lease: of(leases, node.name) })),
    ...config.nodes
      .slice(0, 1)
      .map(({ name }) => verifyLoop(config, { clock, logger, signal, lease: of(leases, name) })),
    uploadLoop(config, { clock, logger, signal }),
    proofLoop(config, { clock, logger, signal, may: holds }),
    alerts.run(),
    ...config.backup.jobs.map((job) => {
      const lease = of(leases, job.node);
      const note = (kind: "backup_made" | "backup_failed", message: string) =>
        history.note({ kind, source: null, target: job.node, message });
      return runBackupJob(config, job, { clock, logger, signal, may: () => lease.tenure !== null, note });
    }),
  ];
  const ended = await Promise.allSettled(works.map(endAllWhenFailed));
  released.abort();
  ended.push(...(await kept));
  logger.info({}, "sidecar stopped");
  const failure = ended.find((result) => result.status === "rejected");
  if (failure) throw failure.reason;
}

/** One lease for each node: for the links into it, and for what is done in it once in a while. */
function leasesOf(
  config: Config,
  options: { label: string; onTenure: (node: string) => void; clock: Clock; logger: Logger; signal: AbortSignal },
): [node: string, lease: Lease][] {
  const { intervalMs } = config.sync;
  const holder = randomUUID();
  const renewMs = intervalMs >= disconnectFromMs ? intervalMs : renewLeaseMs;
  return config.nodes.map((node) => [node.name, new Lease(node, { ...options, holder, renewMs })]);
}

function of(leases: ReadonlyMap<string, Lease>, node: string): Lease {
  const lease = leases.get(node);
  if (!lease) throw new TandemError("internal", `node ${node} has no lease`, { node });
  return lease;
}

/** Log entries that nobody needs any more go, once an hour; a node that cannot be reached is asked again an hour later. */
async function pruneLoop(
  node: NodeConfig,
  { clock, logger, signal, lease }: { clock: Clock; logger: Logger; signal: AbortSignal; lease: Lease },
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(pruneEveryMs, signal).catch(() => {});
    if (signal.aborted) return;
    if (!lease.tenure) continue;
    try {
      await using connection = await connect(node, "prune", { signal });
      for (;;) {
        const [row] = await call(connection, "prune", "select tandem.prune(50000)::text as pruned");
        if (Number(row?.pruned) > 0)
          logger.info({ node: node.name, entries: Number(row?.pruned) }, "pruned change log");
        if (Number(row?.pruned) < 50_000 || signal.aborted) break;
      }
    } catch (error) {
      logger.warn({ node: node.name }, errorLine(error));
    }
  }
}
