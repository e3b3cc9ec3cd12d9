import { defineCommand } from "./command.ts";
import { activityLog } from "./run-log.ts";

/** The sidecar; ends with 0 when it was asked to end. */
export const run = defineCommand({
  usage: "run",
  summary: "keep all nodes the same until it is stopped (Ctrl-C, SIGTERM)",
  async run(_, { loadConfig, signal, stderr, env, answer }) {
    const config = await loadConfig();
    const { runWithHttp } = await import("../library/run.ts");
    const { Live } = await import("../sidecar/live.ts");
    const { makeLogger } = await import("./log.ts");
    const logger = makeLogger(stderr, env);
    const log = activityLog(logger);
    const live = new Live();
    try {
      await runWithHttp(config, { signal, logger, live, onEvent: log.event, onActivity: log.activity });
    } finally {
      log.stop();
    }
    const links = config.links.flatMap(({ source, target }) => live.link(source, target) ?? []);
    answer({ links }, "");
    return 0;
  },
});
