import { TandemError } from "../base/errors.ts";
import { defineCommand, type Session } from "./command.ts";
import { answerList, limitOption } from "./lists.ts";
import { moment } from "./text.ts";

/** What was decided between two changes; a decided conflict is well. */
export const conflicts = defineCommand({
  usage: "conflicts [action] [id]",
  summary:
    "conflicts and how they were decided, the newest first; `show ID` explains one, `restore ID` brings back the image that lost",
  positionals: {
    action: { type: "string", choices: ["show", "restore"], describe: "what to do with one" },
    id: { type: "string", describe: "which, as the list has it" },
  },
  options: {
    limit: limitOption,
    node: { type: "string", requiresArg: true, describe: "show, restore: in this node" },
  },
  async run({ action, id, limit, node }, session) {
    if (action !== undefined) return await one(action, id, node, session);
    if (node !== undefined) throw new TandemError("usage", "--node belongs to `tandem conflicts show` and `restore`");
    const config = await session.loadConfig();
    const { conflicts: ask } = await import("../sidecar/conflicts.ts");
    const list = await ask(config, { limit, signal: session.signal });
    return answerList(
      list,
      {
        head: ["id", "detected (UTC)", "table", "key", "kind", "won", "lost", "the image that lost"],
        cells: ({ id, detectedAt, table, key, kind, winner, loser }) => [
          id,
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

async function one(action: string, id: string | undefined, node: string | undefined, session: Session): Promise<0> {
  if (id === undefined) throw new TandemError("usage", `say which: \`tandem conflicts ${action} ID\``);
  const config = await session.loadConfig();
  const { restoreConflict, showConflict } = await import("../sidecar/conflicts.ts");
  const { describeConflict, describeRestore } = await import("./conflict-text.ts");
  const options = { node, signal: session.signal };
  if (action === "show") {
    const details = await showConflict(config, id, options);
    session.answer(details, describeConflict(details));
  } else {
    const report = await restoreConflict(config, id, options);
    session.answer(report, describeRestore(report));
  }
  return 0;
}
