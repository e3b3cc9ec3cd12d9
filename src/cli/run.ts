import type { LinkActivity } from "../sidecar/link-loop.ts";
import { defineCommand } from "./command.ts";
import { activityLog } from "./run-log.ts";

/** The sidecar; ends with 0 when it was asked to end. */
export const run = defineCommand({
  usage: "run",
  summary: "keep all nodes the same until it is stopped (Ctrl-C, SIGTERM)",
  async run(_, { loadConfig, signal, stderr, env, answer }) {
    const config = await loadConfig();
    const { runSidecar } = await import("../sidecar/sidecar.ts");
    const { Live } = await import("../sidecar/live.ts");
    const { systemClock } = await import("../base/time.ts");
    const { makeLogger } = await import("./log.ts");
    const logger = makeLogger(stderr, env);
    const log = activityLog(logger);
    const live = new Live();
    const ended = new AbortController();
    const work = runSidecar(config, {
      signal,
      logger,
      onEvent: log.event,
      onActivity: (activity: LinkActivity) => {
        live.note(activity);
        log.activity(activity);
      },
    }).finally(() => ended.abort());
    // After the links have begun: what it loads takes a moment.
    const { serveHttp } = await import("../http/server.ts");
    const http = serveHttp(config, { live, clock: systemClock, logger, signal: ended.signal });
    try {
      await work;
    } finally {
      await http;
      log.stop();
    }
    const links = config.links.flatMap(({ source, target }) => live.link(source, target) ?? []);
    answer({ links }, "");
    return 0;
  },
});
