import { pending as listPending } from "../sidecar/lists.ts";
import { defineCommand } from "./command.ts";
import { answerList, limitOption } from "./lists.ts";
import { moment } from "./text.ts";

/** What waits to be carried. */
export const pending = defineCommand({
  usage: "pending",
  summary: "changes that a node has not received yet, the oldest first",
  options: { limit: limitOption },
  async run({ limit }, session) {
    const list = await listPending(await session.loadConfig(), { limit, signal: session.signal });
    return answerList(
      list,
      {
        head: ["from", "to", "table", "op", "changed at (UTC)", "key"],
        cells: ({ node, peer, table, op, key, changedAt }) => [node, peer, table, op, moment(changedAt), key],
        empty: "Nothing is pending.",
      },
      session,
    );
  },
});
