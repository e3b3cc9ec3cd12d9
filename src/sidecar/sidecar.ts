import { errorLine } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { type Clock, systemClock } from "../base/time.ts";
import type { Config, NodeConfig } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import type { LinkEvent } from "../link/report.ts";
import { type LinkActivity, LinkLoop } from "./link-loop.ts";

/** How the sidecar works. */
export interface SidecarOptions {
  /** Aborted: it ends after the batch in hand. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly onEvent?: (event: LinkEvent) => void;
  readonly onActivity?: (activity: LinkActivity) => void;
}

const pruneEveryMs = 3_600_000;

/**
 * All links of the configuration, for ever; returns once all have ended. What only a person can mend before a link's
 * first round (not installed, wrong password, another database) ends all of them and is thrown.
 */
export async function runSidecar(config: Config, options: SidecarOptions): Promise<void> {
  const { onEvent, onActivity } = options;
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  const loops = config.links.map((pair) => new LinkLoop(config, pair, { clock, logger, signal, onEvent, onActivity }));
  logger.info({ links: loops.length, nodes: config.nodes.map((node) => node.name) }, "sidecar started");
  const works = [
    ...loops.map((loop) => loop.run()),
    ...config.nodes.map((node) => pruneLoop(node, { clock, logger, signal })),
  ];
  const ended = await Promise.allSettled(
    works.map((work) =>
      work.catch((error: unknown) => {
        failed.abort(error);
        throw error;
      }),
    ),
  );
  logger.info({}, "sidecar stopped");
  const failure = ended.find((result) => result.status === "rejected");
  if (failure) throw failure.reason;
}

/** Log entries that nobody needs any more go, once an hour; a node that cannot be reached is asked again an hour later. */
async function pruneLoop(
  node: NodeConfig,
  { clock, logger, signal }: { clock: Clock; logger: Logger; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(pruneEveryMs, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      await using connection = await connect(node, "prune", { signal });
      for (;;) {
        const [row] = await connection.query("select tandem.prune(50000)::text as pruned");
        if (Number(row?.pruned) > 0)
          logger.info({ node: node.name, entries: Number(row?.pruned) }, "pruned change log");
        if (Number(row?.pruned) < 50_000 || signal.aborted) break;
      }
    } catch (error) {
      logger.warn({ node: node.name }, errorLine(error));
    }
  }
}
