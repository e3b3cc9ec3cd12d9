import { z } from "zod";
import type { LinkConfig } from "../config/config.ts";
import { counts } from "../sidecar/counts.ts";
import { type StatusReport, status } from "../sidecar/status.ts";
import { countList, linkList, statusReport } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";

/** What `tandem status` shows; those who ask at the same time are told the same. */
export function sharedStatus({
  shared,
  config,
  signal,
}: Pick<HttpContext, "shared" | "config" | "signal">): Promise<StatusReport> {
  return shared.get("status", () => status(config, { signal }));
}

/** How a link is called in a path. */
export const linkId = ({ source, target }: LinkConfig): string => `${source}:${target}`;

/** How all is. */
export const statusEndpoints: readonly Endpoint[] = [
  endpoint({
    method: "GET",
    path: "/api/status",
    access: "read",
    summary: "How all is, beginning with one sentence; what `tandem status --json` prints.",
    query: z.strictObject({
      strict: z.enum(["0", "1"]).default("0").describe("1: the answer's status is 503 while anything is not well."),
    }),
    answer: statusReport,
    async handle({ query, reply }, context) {
      const report = await sharedStatus(context);
      if (query.strict === "1" && !report.well) reply.code(503);
      return report;
    },
  }),
  endpoint({
    method: "GET",
    path: "/api/links",
    access: "read",
    summary: "Every link, as its two nodes know it and as this sidecar works on it.",
    answer: linkList,
    async handle(_, context) {
      const { links } = await sharedStatus(context);
      return {
        links: links.map((link) => ({
          id: linkId(link),
          ...link,
          here: context.live.link(link.source, link.target),
        })),
      };
    },
  }),
  endpoint({
    method: "GET",
    path: "/api/counts",
    access: "read",
    summary: "How many rows each table has in each node.",
    answer: countList,
    handle: (_, { shared, config, signal }) => shared.get("counts", () => counts(config, { signal })),
  }),
];
