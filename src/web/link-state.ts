import type { LiveLink } from "./store.ts";
import type { Link } from "./types.ts";
import type { Words } from "./words/en.ts";

/** What the page says of a link, in one word. */
export type LinkState = keyof Words["link"]["states"];

const flowMs = 4_000;

/** How a link is, as its nodes know it and as this sidecar works on it. */
export function linkStateOf(link: Link, live: LiveLink | undefined): LinkState {
  if (link.pausedAt !== null || live?.state === "paused") return "paused";
  if (link.lastError !== null || live?.state === "failing") return "failing";
  if (live?.state === "connecting") return "connecting";
  if (link.pending === null) return "unknown";
  if (link.pending > 0) return "waiting";
  return live?.state === "standby" ? "standby" : "inStep";
}

/** Whether rows go over a link at this moment. */
export function flows(link: Link, live: LiveLink | undefined): boolean {
  const state = linkStateOf(link, live);
  if (state === "paused" || state === "failing" || state === "unknown") return false;
  return live?.movedAt != null && Date.now() - live.movedAt < flowMs;
}
