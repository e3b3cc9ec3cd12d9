import { z } from "zod";
import { type Conflict, conflicts, showConflict, type Version } from "../sidecar/conflicts.ts";
import { pending } from "../sidecar/lists.ts";
import { parked } from "../sidecar/parked.ts";
import { activity, throughput } from "../sidecar/past.ts";
import { activityList, conflictDetails, conflictList, parkedList, pendingList, throughputList } from "./answers.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";

/** `?limit=`, which keeps an answer from growing without end. */
export const listQuery = z.strictObject({
  limit: z.coerce.number<string>().int().min(1).max(1_000).default(100).describe("Rows at most."),
});

/** What waits and what was decided. */
export const listEndpoints: readonly Endpoint[] = [
  endpoint({
    method: "GET",
    path: "/api/pending",
    access: "read",
    summary: "Changes that a node has not received yet, the oldest first.",
    query: listQuery,
    answer: pendingList,
    handle: ({ query: { limit } }, { shared, config, signal }) =>
      shared.get(`pending ${limit}`, () => pending(config, { limit, signal })),
  }),
  endpoint({
    method: "GET",
    path: "/api/conflicts",
    access: "read",
    summary: "Conflicts and how they were decided, the newest first; the rows' images only with the token.",
    query: listQuery,
    answer: conflictList,
    async handle({ query: { limit }, trusted }, { shared, config, signal }) {
      const list = await shared.get(`conflicts ${limit}`, () => conflicts(config, { limit, signal }));
      return { ...list, rows: trusted ? list.rows : list.rows.map(withoutImages), images: trusted };
    },
  }),
  endpoint({
    method: "GET",
    path: "/api/conflicts/:id",
    access: "token",
    summary: "One conflict, with both images and the columns that differ.",
    params: z.strictObject({ id: z.string().min(1).max(100) }),
    query: z.strictObject({ node: z.string().optional().describe("Ask this node; any that keeps it otherwise.") }),
    answer: conflictDetails,
    handle: ({ params: { id }, query: { node } }, { config, signal }) => showConflict(config, id, { node, signal }),
  }),
  endpoint({
    method: "GET",
    path: "/api/parked",
    access: "read",
    summary: "Rows that could not be applied and wait, the longest waiting first.",
    query: listQuery,
    answer: parkedList,
    async handle({ query: { limit } }, { shared, config, signal }) {
      const { rows, unanswered } = await shared.get("parked", () => parked(config, { signal }));
      return { rows: rows.slice(0, limit), more: rows.length > limit, unanswered };
    },
  }),
  endpoint({
    method: "GET",
    path: "/api/activity",
    access: "read",
    summary: "What happened, the newest first: links, backups, what people asked for. It outlives the sidecar.",
    query: listQuery,
    answer: activityList,
    handle: ({ query: { limit } }, { shared, config, signal }) =>
      shared.get(`activity ${limit}`, () => activity(config, { limit, signal })),
  }),
  endpoint({
    method: "GET",
    path: "/api/throughput",
    access: "read",
    summary: "What each link carried, minute by minute, and how far behind it was; minutes without rows are not there.",
    query: z.strictObject({ minutes: z.coerce.number<string>().int().min(1).max(10_080).default(1_440) }),
    answer: throughputList,
    handle: ({ query: { minutes } }, { shared, config, signal }) =>
      shared.get(`throughput ${minutes}`, () => throughput(config, { minutes, signal })),
  }),
];

function withoutImages({ winner, loser, ...rest }: Conflict) {
  const bare = ({ origin, changedAt }: Version) => ({ origin, changedAt });
  return { ...rest, winner: bare(winner), loser: bare(loser) };
}
