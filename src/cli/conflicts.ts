import { conflicts as listConflicts } from "../sidecar/lists.ts";
import { defineCommand } from "./command.ts";
import { answerList, limitOption } from "./lists.ts";
import { moment } from "./text.ts";

/** What was decided between two changes; a decided conflict is well. */
export const conflicts = defineCommand({
  usage: "conflicts",
  summary: "conflicts and how they were decided, the newest first",
  options: { limit: limitOption },
  async run({ limit }, session) {
    const list = await listConflicts(await session.loadConfig(), { limit, signal: session.signal });
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
