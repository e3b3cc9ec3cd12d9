import { asc } from "drizzle-orm";
import { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import { type Reader, readerOf } from "../db/drizzle.ts";
import { pendingView } from "../db/schema.ts";
import { askNodes, reading, type Unanswered } from "./ask-nodes.ts";

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
