import type { LinkActivity } from "../sidecar/link-loop.ts";
import { defineCommand } from "./command.ts";
import { activityLog } from "./run-log.ts";

const keyOf = ({ source, target }: { source: string; target: string }) => `${source} ${target}`;

/** The sidecar; ends with 0 when it was asked to end. */
export const run = defineCommand({
  usage: "run",
  summary: "keep all nodes the same until it is stopped (Ctrl-C, SIGTERM)",
  async run(_, { loadConfig, signal, stderr, env, answer }) {
    const config = await loadConfig();
    const { runSidecar } = await import("../sidecar/sidecar.ts");
    const { makeLogger } = await import("./log.ts");
    const logger = makeLogger(stderr, env);
    const log = activityLog(logger);
    const activities = new Map<string, LinkActivity>();
    try {
      await runSidecar(config, {
        signal,
        logger,
        onEvent: log.event,
        onActivity: (activity) => {
          activities.set(keyOf(activity), activity);
          log.activity(activity);
        },
      });
    } finally {
      log.stop();
    }
    answer({ links: config.links.flatMap((link) => activities.get(keyOf(link)) ?? []) }, "");
    return 0;
  },
});
