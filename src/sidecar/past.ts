import { desc, gt, sql } from "drizzle-orm";
import type { Config } from "../config/config.ts";
import { readerOf } from "../db/drizzle.ts";
import { activityView, movedView } from "../db/schema.ts";
import { askNodes, reading, type Unanswered } from "./ask-nodes.ts";
import { byTime, cut, type List, type ListOptions, listOver } from "./lists.ts";

/** Something that happened; `id` is the node's own. */
export type PastActivity = { readonly node: string } & Readonly<typeof activityView.$inferSelect>;

/** What happened, the newest first. */
export async function activity(config: Config, options: ListOptions = {}): Promise<List<PastActivity>> {
  const { rows, limit, unanswered } = await listOver(config, options, (reader, most) =>
    reader.select().from(activityView).orderBy(desc(activityView.at), desc(activityView.id)).limit(most),
  );
  return cut(
    rows.sort((a, b) => byTime(b.at, a.at)),
    limit,
    unanswered,
  );
}

/** What a link carried in the minutes in which it carried anything. */
export interface LinkThroughput {
  readonly source: string;
  readonly target: string;
  /** The oldest first. */
  readonly minutes: readonly {
    readonly minute: string;
    readonly rows: number;
    /** How long ago the target had last had everything, at most, when a batch of that minute came. */
    readonly behindMs: number;
  }[];
}

/** How much each link has carried, minute by minute, as its target remembers (seven days). */
export async function throughput(
  config: Config,
  { minutes, signal }: { readonly minutes: number; readonly signal?: AbortSignal | undefined },
): Promise<{ readonly links: readonly LinkThroughput[]; readonly unanswered: readonly Unanswered[] }> {
  const { answers, unanswered } = await askNodes(
    config,
    (connection) =>
      reading(connection, (tx) =>
        readerOf(tx)
          .select()
          .from(movedView)
          .where(gt(movedView.minute, sql`clock_timestamp() - make_interval(mins => ${minutes})`))
          .orderBy(movedView.minute),
      ),
    { signal },
  );
  const links = config.links.flatMap(({ source, target }) => {
    const rows = answers.find(({ node }) => node === target)?.answer;
    if (!rows) return [];
    const own = rows.filter(({ peer }) => peer === source);
    return [
      { source, target, minutes: own.map(({ minute, rows: moved, behindMs }) => ({ minute, rows: moved, behindMs })) },
    ];
  });
  return { links, unanswered };
}
