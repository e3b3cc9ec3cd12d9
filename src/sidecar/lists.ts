import { asc } from "drizzle-orm";
import { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import { type Reader, readerOf } from "../db/drizzle.ts";
import { parkedView, pendingView } from "../db/schema.ts";
import { chosenNodes } from "../install/nodes.ts";
import { type AskOptions, askNodes, reading, type Unanswered, writing } from "./ask-nodes.ts";

/** How much of a list is wanted; 100 rows unless said otherwise. */
export interface ListOptions {
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A list over all nodes. */
export interface List<T> {
  readonly rows: readonly T[];
  /** Whether the limit cut it. */
  readonly more: boolean;
  /** Nodes that could not be asked: the list lacks what they hold. */
  readonly unanswered: readonly Unanswered[];
}

/** A change of `node` that `peer` has not acknowledged. */
export type PendingChange = { readonly node: string } & Readonly<typeof pendingView.$inferSelect>;

/** A change from `peer` that waits in `node`; `id` is the node's own. */
export type ParkedChange = { readonly node: string } & Readonly<typeof parkedView.$inferSelect>;

const defaultLimit = 100;

/** Throws `usage` unless the number is a whole one above nought. */
export function checkWhole(n: number | undefined, what: string): void {
  if (n !== undefined && !(Number.isSafeInteger(n) && n > 0)) {
    throw new TandemError("usage", `${what} must be a whole number of 1 or more`);
  }
}

/** Asks every node for its rows of a list, one more than the limit. */
export async function listOver<T>(
  config: Config,
  { limit = defaultLimit, signal }: ListOptions,
  ask: (reader: Reader, limit: number) => Promise<T[]>,
): Promise<{ rows: ({ readonly node: string } & T)[]; limit: number; unanswered: readonly Unanswered[] }> {
  checkWhole(limit, "the limit");
  const { answers, unanswered } = await askNodes(
    config,
    (connection) => reading(connection, (tx) => ask(readerOf(tx), limit + 1)),
    { signal },
  );
  return { rows: answers.flatMap(({ node, answer }) => answer.map((row) => ({ node, ...row }))), limit, unanswered };
}

/** The list that the limit leaves. */
export function cut<T>(rows: readonly T[], limit: number, unanswered: readonly Unanswered[]): List<T> {
  return { rows: rows.slice(0, limit), more: rows.length > limit, unanswered };
}

/** For sorting instants as the database writes them. */
export const byTime = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** What peers have not acknowledged yet, the oldest first. */
export async function pending(config: Config, options: ListOptions = {}): Promise<List<PendingChange>> {
  const { rows, limit, unanswered } = await listOver(config, options, (reader, most) =>
    reader.select().from(pendingView).orderBy(asc(pendingView.changedAt)).limit(most),
  );
  return cut(
    rows.sort((a, b) => byTime(a.changedAt, b.changedAt)),
    limit,
    unanswered,
  );
}

/** What is parked, the longest first; without a limit, since each row asks for a person. */
export async function parked(config: Config, options: Pick<ListOptions, "signal"> = {}): Promise<List<ParkedChange>> {
  const { rows, limit, unanswered } = await listOver(
    config,
    { ...options, limit: Number.MAX_SAFE_INTEGER - 1 },
    (reader, most) =>
      reader.select().from(parkedView).orderBy(asc(parkedView.parkedAt), asc(parkedView.id)).limit(most),
  );
  return cut(
    rows.sort((a, b) => byTime(a.parkedAt, b.parkedAt)),
    limit,
    unanswered,
  );
}

/** Which nodes let how many parked rows be tried again. */
export interface RetryReport {
  readonly nodes: readonly { readonly node: string; readonly rows: number }[];
  readonly unanswered: readonly Unanswered[];
}

/**
 * Lets parked rows (all, or the one of that id) be tried again by the next round of a link. Ids are counted in each
 * node for itself, so an id that several nodes have needs the node's name.
 */
export async function retryParked(
  config: Config,
  id?: number | undefined,
  { node, signal }: { readonly node?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<RetryReport> {
  checkWhole(id, "the id");
  const only = chosenNodes(config, node).map(({ name }) => name);
  const chosen = id === undefined ? only : await nodesWith(config, id, { only, signal });
  const { answers, unanswered } = await askNodes(
    config,
    (connection) =>
      writing(connection, async (tx) => {
        const [row] = await tx.query("select tandem.retry_parked($1::bigint)::text as rows", [id ?? null]);
        return Number(row?.rows);
      }),
    { only: chosen, signal },
  );
  return { nodes: answers.map((each) => ({ node: each.node, rows: each.answer })), unanswered };
}

async function nodesWith(config: Config, id: number, options: AskOptions): Promise<string[]> {
  const { answers, unanswered } = await askNodes(
    config,
    (connection) => reading(connection, (tx) => readerOf(tx).select({ id: parkedView.id }).from(parkedView)),
    options,
  );
  const having = answers.filter(({ answer }) => answer.some((row) => row.id === id)).map((each) => each.node);
  if (having.length === 1) return having;
  if (having.length > 1) {
    throw new TandemError("usage", `${having.join(" and ")} each have a parked row ${id}`, {
      hint: "Say which with `--node NAME`.",
    });
  }
  const [first] = unanswered;
  if (first) throw first.error;
  throw new TandemError("usage", `there is no parked row ${id}`, { hint: "`tandem parked` lists them." });
}
