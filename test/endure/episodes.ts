import type { EmbeddedServer } from "../../src/embedded/server.ts";
import type { Random } from "../support/seed.ts";

/** Something that happens to the nodes. */
export type Episode =
  /** Servers are started again at once: nobody is to be told. */
  | { readonly kind: "restart"; readonly nodes: readonly string[]; readonly how: Ending }
  /** Servers are away for longer than an alert waits. */
  | { readonly kind: "outage"; readonly nodes: readonly string[]; readonly how: Ending; readonly moreMs: number }
  /** A row that the other node refuses. */
  | { readonly kind: "parked" }
  /** A link that a person lets rest. */
  | { readonly kind: "paused" };

/** How a server ends. */
export type Ending = "fast" | "immediate" | "killed";

const endings: readonly Ending[] = ["fast", "immediate", "killed"];
const both = ["local", "external"];

/** What is done next, and how long all is left in peace before it. */
export function nextEpisode(random: Random): Episode {
  const nodes = random.chance(0.2) ? both : [random.pick(both)];
  const how = random.pick(endings);
  const which = random.next();
  if (which < 0.5) return { kind: "restart", nodes, how };
  if (which < 0.8) return { kind: "outage", nodes, how, moreMs: random.int(0, 15_000) };
  return { kind: which < 0.92 ? "parked" : "paused" };
}

/** The events that people are to be told of it, in any order. */
export function wantedOf(episode: Episode): string[] {
  switch (episode.kind) {
    case "restart":
      return [];
    case "outage":
      return episode.nodes.flatMap((node) => [`fired link_down ${node}`, `cleared link_down ${node}`]);
    case "parked":
      return ["fired parked local:external", "cleared parked local:external"];
    case "paused":
      return ["fired lag local:external", "cleared lag local:external"];
  }
}

/** One line for people. */
export function wordsOf(episode: Episode): string {
  if (!("nodes" in episode)) return episode.kind;
  return `${episode.kind} of ${episode.nodes.join(" and ")}, ${episode.how}`;
}

/** Ends a server so that it can be started again. */
export async function end(server: EmbeddedServer, how: Ending): Promise<void> {
  if (how === "killed") await server.kill();
  else await server.stop(how, { keep: true });
}
