import { type Endpoint, endpoint } from "./endpoint.ts";

/** Live state. */
export const eventsEndpoint: Endpoint = endpoint({
  method: "GET",
  path: "/api/events",
  access: "read",
  summary:
    "Server-sent events: `status` (as /api/status) whenever it changes, `link` whenever a link of this sidecar does something.",
  answer: null,
  async handle({ reply }, { streams }) {
    streams.check();
    reply.hijack();
    reply.raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      "content-type": "text/event-stream; charset=utf-8",
      // A proxy that collects would keep what is live.
      "x-accel-buffering": "no",
    });
    streams.add(reply.raw);
  },
});
