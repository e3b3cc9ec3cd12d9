import type { Config } from "../config/config.ts";
import { quoteLiteral } from "../db/quote.ts";
import type { VerifyReport } from "../verify/report.ts";
import { type AskOptions, askNodes, reading, writing } from "./ask-nodes.ts";

/** What comparing all nodes has shown, as the nodes keep it. */
export interface Verification {
  /** In ISO 8601: nothing written before was left out. */
  readonly asOf: string;
  readonly finishedAt: string;
  readonly nodes: readonly string[];
  readonly identical: boolean;
  readonly tables: number;
  readonly rows: number;
  /** Keys that differed for any reason, and those that nothing under way would have made equal. */
  readonly differing: number;
  readonly diverged: number;
}

/** The call that reads the newest result of a node, as `answer`. */
export const lastVerification = "select tandem.last_verification()::text as answer";

/** Reads what `lastVerification` answers; null: there is none yet. */
export function readVerification(answer: string | null | undefined): Verification | null {
  if (!answer) return null;
  const value = JSON.parse(answer) as Verification;
  return { ...value, asOf: new Date(value.asOf).toISOString(), finishedAt: new Date(value.finishedAt).toISOString() };
}

/** The newest of what the nodes know. */
export function newestVerification(all: readonly (Verification | null)[]): Verification | null {
  const known = all.filter((one) => one !== null).sort((a, b) => (a.asOf < b.asOf ? -1 : 1));
  return known.at(-1) ?? null;
}

/** Asks the nodes for the newest result; null also where none could be asked. */
export async function askVerification(config: Config, options: AskOptions = {}): Promise<Verification | null> {
  const { answers } = await askNodes(
    config,
    (connection) => reading(connection, async (tx) => readVerification((await tx.query(lastVerification))[0]?.answer)),
    options,
  );
  return newestVerification(answers.map(({ answer }) => answer));
}

/** Keeps the result of a comparison of all tables on every node that was reached. */
export async function noteVerification(config: Config, report: VerifyReport, options: AskOptions = {}): Promise<void> {
  const { asOf, finishedAt, nodes, identical, totals } = report;
  const result: Verification = {
    asOf,
    finishedAt,
    nodes,
    identical,
    tables: totals.tables,
    rows: Math.max(0, ...Object.values(totals.rows)),
    differing: totals.differing,
    diverged: totals.reasons.diverged,
  };
  const call = `select tandem.note_verification(${quoteLiteral(JSON.stringify(result))})`;
  const { unanswered } = await askNodes(config, (connection) => writing(connection, (tx) => tx.query(call)), {
    ...options,
    only: nodes,
  });
  const [failed] = unanswered;
  if (failed && unanswered.length === nodes.length) throw failed.error;
}
