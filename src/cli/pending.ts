import { defineCommand } from "./command.ts";
import { answerList, limitOption } from "./lists.ts";
import { moment } from "./text.ts";

/** What waits to be carried. */
export const pending = defineCommand({
  usage: "pending",
  summary: "changes that a node has not received yet, the oldest first",
  options: { limit: limitOption },
  async run({ limit }, session) {
    const config = await session.loadConfig();
    const { pending: ask } = await import("../sidecar/lists.ts");
    const list = await ask(config, { limit, signal: session.signal });
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
