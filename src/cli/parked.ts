import { errorLine, TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import { count } from "../sidecar/words.ts";
import { defineCommand, type ExitCode, type Session } from "./command.ts";
import { answerList } from "./lists.ts";
import { moment } from "./text.ts";

/** What waits because it cannot be applied; exit code 1 while there is any. */
export const parked = defineCommand({
  usage: "parked [action] [id]",
  summary: "rows that could not be applied and wait; `parked retry [ID]` has them tried at once",
  positionals: {
    action: { type: "string", choices: ["retry"], describe: "has them tried again" },
    id: { type: "number", describe: "only the row of this id" },
  },
  options: { node: { type: "string", requiresArg: true, describe: "retry: only in this node" } },
  async run({ action, id, node }, session) {
    const config = await session.loadConfig();
    if (action === "retry") return await retry(config, id, node, session);
    if (node !== undefined) throw new TandemError("usage", "--node belongs to `tandem parked retry`");
    const { parked: ask } = await import("../sidecar/lists.ts");
    const list = await ask(config, { signal: session.signal });
    const code = answerList(
      list,
      {
        head: ["id", "in", "from", "table", "key", "since (UTC)", "tries", "next try", "why"],
        cells: (row) => [
          String(row.id),
          row.node,
          row.peer,
          row.table,
          row.key,
          moment(row.parkedAt),
          row.attempts,
          moment(row.nextTryAt),
          row.sqlstate === null ? row.reason : `${row.reason} (${row.sqlstate})`,
        ],
        empty: "Nothing is parked.",
      },
      session,
    );
    return list.rows.length > 0 ? 1 : code;
  },
});

async function retry(
  config: Config,
  id: number | undefined,
  node: string | undefined,
  { signal, stderr, answer }: Session,
): Promise<ExitCode> {
  const { retryParked } = await import("../sidecar/lists.ts");
  const report = await retryParked(config, id, { node, signal });
  for (const { error } of report.unanswered) stderr.write(`${errorLine(error)}\n`);
  const rows = report.nodes.reduce((sum, each) => sum + each.rows, 0);
  const text =
    rows === 0
      ? "Nothing is parked."
      : `${count(rows, "row")} will be tried with the next round: at once where \`tandem run\` runs, else with \`tandem sync\`.`;
  answer(report, text);
  return report.unanswered.length === 0 ? 0 : 1;
}
