import { asc, desc } from "drizzle-orm";
import { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import { readerOf } from "../db/drizzle.ts";
import { droppedView, parkedView } from "../db/schema.ts";
import { chosenNodes } from "../install/nodes.ts";
import { type AskOptions, askNodes, reading, type Unanswered, writing } from "./ask-nodes.ts";
import { byTime, checkWhole, cut, type List, type ListOptions, listOver } from "./lists.ts";

/** A change from `peer` that waits in `node`; `id` is the node's own. */
export type ParkedChange = { readonly node: string } & Readonly<typeof parkedView.$inferSelect>;

/** A change from `peer` that a person gave up in `node`; `differs`: the row has not changed since. */
export type DroppedChange = { readonly node: string } & Readonly<typeof droppedView.$inferSelect>;

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

/** What was dropped, the newest first. */
export async function dropped(config: Config, options: ListOptions = {}): Promise<List<DroppedChange>> {
  const { rows, limit, unanswered } = await listOver(config, options, (reader, most) =>
    reader.select().from(droppedView).orderBy(desc(droppedView.droppedAt), desc(droppedView.id)).limit(most),
  );
  return cut(
    rows.sort((a, b) => byTime(b.droppedAt, a.droppedAt)),
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
  throw new TandemError("not_found", `there is no parked row ${id}`, { hint: "`tandem parked` lists them." });
}

/** What dropping a parked change did. */
export interface DropReport {
  readonly node: string;
  readonly peer: string;
  readonly table: string;
  readonly key: string;
  /** Whether the image that was given up is kept; else the source could not be asked, or has no such row. */
  readonly imageKept: boolean;
}

/**
 * Gives a parked change up: the row stays as it is in its node and differs from the source's until either changes
 * again, and status says so until then. What was given up is kept, with the reason. An id that several nodes have
 * needs the node's name. Throws `not_found` where there is no such row, `usage` where there is no reason.
 */
export async function dropParked(
  config: Config,
  id: number,
  options: { readonly reason: string; readonly node?: string | undefined; readonly signal?: AbortSignal | undefined },
): Promise<DropReport> {
  const { node: named, signal, reason } = options;
  checkWhole(id, "the id");
  if (reason.trim() === "") throw new TandemError("usage", "a reason is needed to drop a row");
  const only = chosenNodes(config, named).map(({ name }) => name);
  const [node = ""] = await nodesWith(config, id, { only, signal });
  const at = await one(config, node, signal, async (tx) => {
    const [row] = await tx.query("select tandem.parked_row($1::bigint)::text as parked", [id]);
    return row?.parked ? (JSON.parse(row.parked) as ParkedRow) : null;
  });
  if (at === null) throw new TandemError("not_found", `there is no parked row ${id}`);
  const { peer, schema, table } = at;
  const key = at.key.map((value) => value);
  const image = await one(config, peer, signal, async (tx) => {
    const [row] = await tx.query("select tandem.row_image($1, $2, $3::text[])::text as image", [schema, table, key]);
    return row?.image ?? null;
  }).catch(unasked);
  await one(config, node, signal, (tx) =>
    tx.query("select tandem.drop_parked($1::bigint, $2, $3::jsonb)", [id, reason, image]),
  );
  // The source learns of it with the next batch at the latest.
  await one(config, peer, signal, (tx) =>
    tx.query("select tandem.forget_parked($1, $2, $3, $4::text[])", [node, schema, table, key]),
  ).catch(unasked);
  return {
    node,
    peer,
    table: schema === "public" ? table : `${schema}.${table}`,
    key: key.join(", "),
    imageKept: image !== null,
  };
}

interface ParkedRow {
  readonly peer: string;
  readonly schema: string;
  readonly table: string;
  readonly key: readonly string[];
}

/** A source that cannot be asked does not keep anybody from dropping; being stopped does. */
function unasked(error: unknown): null {
  if (error instanceof TandemError && error.code !== "stopped") return null;
  throw error;
}

/** Asks one node, which must answer. */
async function one<T>(
  config: Config,
  node: string,
  signal: AbortSignal | undefined,
  body: Parameters<typeof writing<T>>[1],
): Promise<T> {
  const { answers, unanswered } = await askNodes(config, (connection) => writing(connection, body), {
    only: [node],
    signal,
  });
  const [answer] = answers;
  if (answer) return answer.answer;
  throw unanswered[0]?.error ?? new TandemError("usage", `there is no node ${node}`);
}
