import { errorLine, TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import { count } from "../sidecar/words.ts";
import { defineCommand, type ExitCode, type Session } from "./command.ts";
import { answerList, limitOption } from "./lists.ts";
import { moment, printable } from "./text.ts";

/** What waits because it cannot be applied; exit code 1 while there is any. */
export const parked = defineCommand({
  usage: "parked [action] [id]",
  summary:
    "rows that could not be applied and wait; `retry [ID]` has them tried at once, `drop ID --reason TEXT` gives one up",
  positionals: {
    action: { type: "string", choices: ["retry", "drop"], describe: "has them tried again, or gives one up" },
    id: { type: "number", describe: "only the row of this id" },
  },
  options: {
    node: { type: "string", requiresArg: true, describe: "retry, drop: only in this node" },
    reason: { type: "string", requiresArg: true, describe: "drop: why; it is kept" },
    history: { type: "boolean", describe: "what was dropped, and why" },
    limit: limitOption,
  },
  async run({ action, id, node, reason, history, limit }, session) {
    const config = await session.loadConfig();
    if (action !== "drop" && reason !== undefined) throw misplaced("--reason", "drop ID");
    if (action === undefined && node !== undefined) throw misplaced("--node", "retry` and `drop");
    if (!history && limit !== undefined) throw misplaced("--limit", "--history");
    if (history) return await showHistory(config, limit, session);
    if (action === "retry") return await retry(config, id, node, session);
    if (action === "drop") return await drop(config, id, node, reason, session);
    return await list(config, session);
  },
});

function misplaced(option: string, where: string): TandemError {
  return new TandemError("usage", `${option} belongs to \`tandem parked ${where}\``);
}

async function list(config: Config, session: Session): Promise<ExitCode> {
  const { parked: ask } = await import("../sidecar/parked.ts");
  const found = await ask(config, { signal: session.signal });
  const code = answerList(
    found,
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
  return found.rows.length > 0 ? 1 : code;
}

async function showHistory(config: Config, limit: number | undefined, session: Session): Promise<ExitCode> {
  const { dropped } = await import("../sidecar/parked.ts");
  const found = await dropped(config, { limit, signal: session.signal });
  return answerList(
    found,
    {
      head: ["dropped (UTC)", "in", "from", "table", "key", "by", "reason", "differs", "was refused", "the image"],
      cells: (row) => [
        moment(row.droppedAt),
        row.node,
        row.peer,
        row.table,
        row.key,
        row.droppedBy,
        row.reason,
        row.differs ? "yes" : "no longer",
        row.refusal,
        row.image ?? "(gone, or not known)",
      ],
      empty: "Nothing was dropped.",
    },
    session,
  );
}

async function retry(
  config: Config,
  id: number | undefined,
  node: string | undefined,
  { signal, stderr, answer }: Session,
): Promise<ExitCode> {
  const { retryParked } = await import("../sidecar/parked.ts");
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

async function drop(
  config: Config,
  id: number | undefined,
  node: string | undefined,
  reason: string | undefined,
  { signal, answer }: Session,
): Promise<ExitCode> {
  if (id === undefined || reason === undefined) {
    throw new TandemError("usage", "say which row, and why: `tandem parked drop ID --reason TEXT`");
  }
  const { dropParked } = await import("../sidecar/parked.ts");
  const report = await dropParked(config, id, { reason, node, signal });
  const { table, key, peer, imageKept } = report;
  const text = `${table} ${key} from ${peer} is given up in ${report.node}: the two differ there until either changes it again. ${
    imageKept ? "The image is kept: `tandem parked --history`." : "Its image could not be had from the source."
  }`;
  answer(report, printable(text));
  return 0;
}
