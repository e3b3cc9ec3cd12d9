import type { Logger } from "../base/logger.ts";
import { type LinkEvent, tableLabel } from "../link/report.ts";
import type { LinkActivity } from "../sidecar/link-loop.ts";

/** Turns what the links tell into lines of a log. */
export interface ActivityLog {
  readonly event: (event: LinkEvent) => void;
  readonly activity: (activity: LinkActivity) => void;
  /** Writes what was counted and not yet told. */
  stop(): void;
}

// A busy link applies many batches a second: what moved is summed up.
const sumEveryMs = 10_000;

/** What moved, at most every ten seconds a line per link; a first copy by table; a link that is well again. */
export function activityLog(logger: Logger): ActivityLog {
  const moved = new Map<string, { source: string; target: string; rows: number }>();
  const failing = new Set<string>();
  const caughtUp = new Set<string>();
  const tell = () => {
    for (const link of moved.values()) logger.info(link, "rows carried");
    moved.clear();
  };
  const timer = setInterval(tell, sumEveryMs);
  timer.unref();
  return {
    event({ source, target, kind, table, rows, total }) {
      if (kind === "copy") {
        if (total !== null) logger.info({ source, target, table: table && tableLabel(table), rows, total }, "copying");
        return;
      }
      const before = moved.get(`${source} ${target}`)?.rows ?? 0;
      moved.set(`${source} ${target}`, { source, target, rows: before + rows });
    },
    activity({ source, target, state, caughtUpAt }) {
      const link = `${source} ${target}`;
      if (state === "failing") failing.add(link);
      else if (state === "idle" && failing.delete(link)) logger.info({ source, target }, "well again");
      if (caughtUpAt !== null && !caughtUp.has(link)) {
        caughtUp.add(link);
        logger.info({ source, target }, "caught up");
      }
    },
    stop() {
      clearInterval(timer);
      tell();
    },
  };
}
