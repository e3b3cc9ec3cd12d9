import { errorLine } from "../base/errors.ts";
import type { List } from "../sidecar/lists.ts";
import type { ExitCode, Session } from "./command.ts";
import { type Cell, renderTable } from "./table.ts";

/** `--limit` of the commands that list. */
export const limitOption = { type: "number", requiresArg: true, describe: "rows to show (100)" } as const;

/** Prints a list with what it lacks; the code is 1 when a node could not be asked. */
export function answerList<T>(
  { rows, more, unanswered }: List<T>,
  { head, cells, empty }: { head: readonly string[]; cells: (row: T) => readonly Cell[]; empty: string },
  { stderr, answer }: Session,
): ExitCode {
  for (const { error } of unanswered) stderr.write(`${errorLine(error)}\n`);
  const whole = unanswered.length === 0 ? empty : `${empty.replace(/\.$/, "")} in the nodes that answered.`;
  const table = rows.length === 0 ? whole : renderTable(head, rows.map(cells));
  answer({ rows, more, unanswered }, more ? `${table}\n… and more; \`--limit N\` shows them.` : table);
  return unanswered.length === 0 ? 0 : 1;
}
