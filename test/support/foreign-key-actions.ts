import { expect } from "vitest";
import { brokenByQuery } from "./constraints.ts";
import { type Links, ways } from "./link.ts";
import type { Cluster } from "./pg.ts";

/** What a foreign key can do when what it refers to goes or changes. */
export const actions = ["no action", "restrict", "cascade", "set null", "set default"] as const;
export type Action = (typeof actions)[number];
/** As part of a name. */
export const suffix = (action: Action) => action.replace(" ", "_");
/** The text for each action in turn, its tables named `…_ACTION`. */
export const forEach = (text: (name: string, action: Action) => string, over: readonly Action[] = actions) =>
  over.map((action) => text(suffix(action), action)).join("\n");
/** Refused by the application's own node. */
export const forbids = (action: Action) => action === "no action" || action === "restrict";

/** Both orders in which two nodes can hear of each other. */
export const orders = [
  ["local", "external"],
  ["external", "local"],
] as const;

/** Rounds and retries until nothing moves, one direction first; then all is equal, nothing waits, every constraint holds. */
export async function comeToRest(
  nodes: Cluster,
  links: Links,
  [first, other]: readonly [string, string],
): Promise<void> {
  await links.catchUp(first, other);
  await links.catchUp(other, first);
  for (let i = 0; i < 4; i++) {
    await links.retryParked();
    await links.sync();
  }
  await links.expectRest();
  for (const node of nodes) expect(await brokenByQuery(node)).toEqual([]);
}

/** A query's rows in `local`, a line each. */
export async function linesOf(nodes: Cluster, query: string): Promise<string[]> {
  return (await nodes.local.admin.query(query)).map((row) => Object.values(row).join(" "));
}

/** All that is kept of images that were lost, in both nodes. */
export async function keptImages(nodes: Cluster, table: string): Promise<string> {
  const query = `select coalesce(local_image::text, '') || coalesce(incoming_image::text, '') as image from tandem.conflicts where "table" = $1`;
  const kept = await Promise.all(nodes.nodes.map(({ admin }) => admin.query(query, [table])));
  return kept
    .flat()
    .map(({ image }) => image)
    .join("\n");
}

/** In replica role PostgreSQL looks at no foreign key, deferrable or not. */
export const shapes = ways.flatMap(({ way, options }) => [
  { way, options, clause: "" },
  ...(options.owner ? [{ way: `${way}, deferrable keys`, options, clause: "deferrable initially deferred" }] : []),
]);
