import { desc } from "drizzle-orm";
import { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import { conflictsView } from "../db/schema.ts";
import { chosenNodes } from "../install/nodes.ts";
import { askNodes, reading, type Unanswered, writing } from "./ask-nodes.ts";
import { byTime, cut, type List, type ListOptions, listOver } from "./lists.ts";

/** A conflict, once, whichever nodes decided it. */
export interface Conflict {
  /** The same on every node. */
  readonly id: string;
  readonly nodes: readonly string[];
  readonly detectedAt: string;
  readonly table: string;
  readonly key: string;
  /** What the winner did, and what the loser: `update/delete`; or `unique`, `referenced/…` and `referring/…`. */
  readonly kind: string;
  readonly rule: string;
  readonly winner: Version;
  readonly loser: Version;
  /** When the image that lost was brought back; null: never. */
  readonly restoredAt: string | null;
}

/** One of the two changes of a conflict; a null image: the row was gone. */
export interface Version {
  readonly origin: string;
  readonly changedAt: string;
  readonly image: string | null;
}

/** A column in which the two images differ; null: the value is null, or the image has no such column. */
export interface ColumnDifference {
  readonly column: string;
  readonly winner: string | null;
  readonly loser: string | null;
}

/** A conflict with its images side by side. */
export interface ConflictDetails extends Omit<Conflict, "nodes"> {
  /** The node that was asked. */
  readonly node: string;
  /** Every column of either image, in the table's order. */
  readonly columns: readonly (ColumnDifference & { readonly differs: boolean })[];
  /** Empty where one of the two is a deletion. */
  readonly differences: readonly ColumnDifference[];
}

/** What bringing an image back did. */
export interface RestoreReport {
  readonly id: string;
  /** The node it was written in; the others receive it from there. */
  readonly node: string;
  readonly table: string;
  readonly key: string;
  /** False: the row was so already, and nothing was written. */
  readonly changed: boolean;
  /** Columns of the image that the table has no more. */
  readonly leftOut: readonly string[];
}

/** Which node is asked; any that keeps the conflict, unless said otherwise. */
export interface OneConflictOptions {
  readonly node?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Conflicts of all nodes, the newest first. Each of two nodes that met the same two changes decided for itself, and
 * alike: they are one conflict. Where the preferred node has overruled what another one decided, its word stands.
 */
export async function conflicts(config: Config, options: ListOptions = {}): Promise<List<Conflict>> {
  const { rows, limit, unanswered } = await listOver(config, options, (reader, most) =>
    reader.select().from(conflictsView).orderBy(desc(conflictsView.detectedAt), desc(conflictsView.id)).limit(most),
  );
  const seen = new Map<string, Conflict>();
  for (const { node, ...row } of rows) {
    const one = oriented(row);
    const before = seen.get(row.id);
    const stands = before && !(one.rule.startsWith("prefer: ") && !before.rule.startsWith("prefer: ")) ? before : one;
    seen.set(row.id, {
      ...stands,
      nodes: [...new Set([...(before?.nodes ?? []), node])],
      detectedAt: before && before.detectedAt < one.detectedAt ? before.detectedAt : one.detectedAt,
      restoredAt: before?.restoredAt ?? one.restoredAt,
    });
  }
  const ordered = [...seen.values()].sort((a, b) => byTime(b.detectedAt, a.detectedAt));
  return cut(ordered, limit, unanswered);
}

/** A row as one node keeps it, with winner and loser in place of local and incoming. */
function oriented(row: typeof conflictsView.$inferSelect): Omit<Conflict, "nodes"> {
  const { id, detectedAt, table, key, kind, rule, restoredAt } = row;
  const local = row.winner === "local";
  return {
    id,
    detectedAt,
    table,
    key,
    kind: local ? kind : turned(kind),
    rule,
    winner: {
      origin: row.winnerOrigin,
      changedAt: row.winnerChangedAt,
      image: local ? row.localImage : row.incomingImage,
    },
    loser: {
      origin: row.loserOrigin,
      changedAt: row.loserChangedAt,
      image: local ? row.incomingImage : row.localImage,
    },
    restoredAt,
  };
}

const operations = /^(insert|update|delete)\/(insert|update|delete)$/;

function turned(kind: string): string {
  return kind.replace(operations, "$2/$1");
}

interface Side {
  readonly columns: readonly string[] | null;
  readonly values: readonly (string | null)[] | null;
}

/** One conflict with the columns that differ. Throws `not_found` where no node keeps it. */
export async function showConflict(
  config: Config,
  id: string,
  options: OneConflictOptions = {},
): Promise<ConflictDetails> {
  return await inOneNode(config, id, options, async (connection, node) =>
    reading(connection, async (tx) => {
      const view = await tx.query("select tandem.conflict_details($1)::text as details", [id]);
      const details = view[0]?.details;
      if (!details) return null;
      const { winner: won, schema, table, local, incoming, ...rest } = JSON.parse(details) as ConflictDocument;
      const [winner, loser] = won === "local" ? [local, incoming] : [incoming, local];
      return {
        id,
        node,
        detectedAt: rest.detectedAt,
        table: schema === "public" ? table : `${schema}.${table}`,
        key: rest.key,
        kind: won === "local" ? rest.kind : turned(rest.kind),
        rule: rest.rule,
        winner: version(winner),
        loser: version(loser),
        restoredAt: rest.restoredAt,
        columns: columnPairs(winner, loser),
        differences: differences(winner, loser),
      };
    }),
  );
}

/** The document that `tandem.conflict_details` answers with. */
interface ConflictDocument {
  readonly schema: string;
  readonly table: string;
  readonly key: string;
  readonly kind: string;
  readonly rule: string;
  readonly winner: "local" | "incoming";
  readonly detectedAt: string;
  readonly restoredAt: string | null;
  readonly local: SideDocument;
  readonly incoming: SideDocument;
}

type SideDocument = Side & Omit<Version, "image">;

function version({ origin, changedAt, columns, values }: SideDocument): Version {
  const image = columns?.map((column, i) => `${column} = ${values?.[i] ?? "null"}`).join(", ") ?? null;
  return { origin, changedAt, image };
}

function columnPairs(winner: Side, loser: Side): ConflictDetails["columns"] {
  const differing = new Set(differences(winner, loser).map(({ column }) => column));
  const all = new Set([...(winner.columns ?? []), ...(loser.columns ?? [])]);
  return [...all].map((column) => ({
    ...{ column, winner: value(winner, column), loser: value(loser, column) },
    differs: differing.has(column),
  }));
}

function value({ columns, values }: Side, column: string): string | null {
  return values?.[columns?.indexOf(column) ?? -1] ?? null;
}

function differences(winner: Side, loser: Side): ColumnDifference[] {
  if (!winner.columns || !loser.columns) return [];
  // A column that only one node has is in one image only.
  const both = winner.columns.filter((column) => loser.columns?.includes(column));
  return both
    .map((column) => ({ column, winner: value(winner, column), loser: value(loser, column) }))
    .filter((each) => each.winner !== each.loser);
}

/**
 * Brings the image that lost back, byte for byte, as a new change of the node that is asked; it travels to all. Throws
 * `conflict_not_restored` with what stands in the way, and has changed nothing then; `not_found` where no node keeps the conflict.
 */
export async function restoreConflict(
  config: Config,
  id: string,
  options: OneConflictOptions = {},
): Promise<RestoreReport> {
  return await inOneNode(config, id, options, async (connection, node) => {
    const having = await reading(connection, (tx) =>
      tx.query("select tandem.conflict_details($1) is null as none", [id]),
    );
    if (having[0]?.none === "t") return null;
    return await writing(connection, async (tx) => {
      const [row] = await tx.query("select tandem.restore_conflict($1)::text as done", [id]);
      const { schema, table, ...rest } = JSON.parse(row?.done ?? "null") as RestoredDocument;
      return { id, node, table: schema === "public" ? table : `${schema}.${table}`, ...rest };
    });
  });
}

type RestoredDocument = Pick<RestoreReport, "table" | "key" | "changed" | "leftOut"> & { readonly schema: string };

/** Asks one node after the other, in the order of the file, until one keeps the conflict. */
async function inOneNode<T>(
  config: Config,
  id: string,
  { node: only, signal }: OneConflictOptions,
  ask: (connection: Parameters<Parameters<typeof askNodes>[1]>[0], node: string) => Promise<T | null>,
): Promise<T> {
  const silent: Unanswered[] = [];
  for (const { name } of chosenNodes(config, only)) {
    const { answers, unanswered } = await askNodes(config, (connection) => ask(connection, name), {
      only: [name],
      signal,
    });
    for (const { error } of unanswered) if (error.code === "conflict_not_restored") throw error;
    silent.push(...unanswered);
    if (answers[0]?.answer) return answers[0].answer;
  }
  const [first] = silent;
  if (first) throw first.error;
  throw new TandemError("not_found", `there is no conflict ${id}`, { hint: "`tandem conflicts` lists them." });
}
