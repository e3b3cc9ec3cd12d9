import { z } from "zod";
import { TandemError } from "../base/errors.ts";
import { accessAnswer } from "./answers.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";

const index = z.strictObject({
  name: z.string(),
  version: z.string(),
  paths: z.array(z.string()),
});

/** The page, what it is made of, and what it asks for first. */
export const pageEndpoints: readonly Endpoint[] = [
  endpoint({
    method: "GET",
    path: "/",
    access: "open",
    summary: "For browsers the dashboard; for others what there is to ask for.",
    answer: index,
    async handle({ request, reply }, { version, page }) {
      reply.header("vary", "accept");
      if (page.index !== null && request.headers.accept?.includes("text/html")) {
        reply.type(page.index.type);
        return page.index.body;
      }
      const { paths = {} } = request.server.swagger();
      return { name: "tandem", version, paths: ["/metrics", "/api/openapi.json", ...Object.keys(paths)].sort() };
    },
  }),
  endpoint({
    method: "GET",
    path: "/assets/:name",
    access: "open",
    summary: "What the dashboard is made of.",
    params: z.strictObject({ name: z.string() }),
    answer: null,
    async handle({ params: { name }, reply }, { page }) {
      const file = page.assets.get(name);
      if (!file) throw new TandemError("not_found", "there is no such path");
      reply.type(file.type).header("cache-control", "public, max-age=31536000, immutable");
      return file.body;
    },
  }),
  endpoint({
    method: "GET",
    path: "/api/access",
    access: "open",
    summary:
      "Which program answers, whether it takes actions (a token is configured), and whether the request has the token.",
    answer: accessAnswer,
    handle: async ({ trusted }, { version, config }) => ({ version, actions: config.http.token !== null, trusted }),
  }),
];
