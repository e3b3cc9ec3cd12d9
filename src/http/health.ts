import { z } from "zod";
import type { LinkActivity } from "../sidecar/link-loop.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";

const readiness = z.strictObject({
  ready: z.boolean(),
  links: z.strictObject({ well: z.int(), waiting: z.int() }).describe("Without names: everybody may ask."),
});

/** A link that works, has nothing to do, is let rest, or stands by for another sidecar needs nobody. */
const wellStates: readonly LinkActivity["state"][] = ["working", "idle", "paused", "standby"];

/** For those who look whether the process lives, and the document of all there is. */
export const healthEndpoints: readonly Endpoint[] = [
  endpoint({
    method: "GET",
    path: "/healthz",
    access: "open",
    summary: "Whether the process lives.",
    answer: z.strictObject({ status: z.literal("ok") }),
    handle: async () => ({ status: "ok" }),
  }),
  endpoint({
    method: "GET",
    path: "/readyz",
    access: "open",
    summary: "Whether all links work or stand by; status 503 otherwise.",
    answer: readiness,
    async handle({ reply }, { live, config }) {
      const well = live.links.filter(({ state }) => wellStates.includes(state)).length;
      const ready = well === config.links.length;
      if (!ready) reply.code(503);
      return { ready, links: { well, waiting: config.links.length - well } };
    },
  }),
  endpoint({
    method: "GET",
    path: "/api/openapi.json",
    access: "read",
    summary: "This document.",
    answer: null,
    handle: async ({ request }) => request.server.swagger(),
  }),
];
