import { defineCommand } from "./command.ts";
import { answerList, limitOption } from "./lists.ts";
import { moment } from "./text.ts";

/** What was decided between two changes; a decided conflict is well. */
export const conflicts = defineCommand({
  usage: "conflicts",
  summary: "conflicts and how they were decided, the newest first",
  options: { limit: limitOption },
  async run({ limit }, session) {
    const config = await session.loadConfig();
    const { conflicts: ask } = await import("../sidecar/lists.ts");
    const list = await ask(config, { limit, signal: session.signal });
    return answerList(
      list,
      {
        head: ["detected (UTC)", "table", "key", "kind", "won", "lost", "the image that lost"],
        cells: ({ detectedAt, table, key, kind, winner, loser }) => [
          moment(detectedAt),
          table,
          key,
          kind,
          `${winner.origin} ${moment(winner.changedAt)}`,
          `${loser.origin} ${moment(loser.changedAt)}`,
          loser.image ?? "(deleted)",
        ],
        empty: "There were no conflicts.",
      },
      session,
    );
  },
});
