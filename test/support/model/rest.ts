import { type HistoryOptions, ModelHistory } from "./history.ts";
import type { ModelNode } from "./node.ts";
import { type Image, isParent, type Key } from "./rows.ts";

/** How a history ended. */
export type Outcome =
  | "equal"
  /** Two rows that cannot both exist, each referred to: for a person, with what waits for them. */
  | "for a person"
  /** Something waits that the rules should have decided. */
  | "left parked"
  /** Never at rest, a constraint broken, or different with nothing parked: each a fault of the rules. */
  | "never at rest"
  | "constraint broken"
  | "diverged silently"
  /** A row of a single writer was changed, or called a conflict. */
  | "single writer changed";

export const faults: readonly Outcome[] = ["left parked", "never at rest", "constraint broken", "diverged silently"];

/** Plays a history and says how it ended. */
export function play(
  seed: number,
  options: HistoryOptions,
): { outcome: Outcome; history: ModelHistory; rounds: number } {
  const history = new ModelHistory(seed, options);
  for (const step of history.steps()) history.perform(step);
  const [first] = history.nodes;
  const written = new Map(first!.rows);
  const rest = history.rest();
  let next = rest.next();
  for (; !next.done; next = rest.next()) history.perform(next.value);
  const rounds = next.value;
  return { outcome: outcomeOf(history, rounds, options.single ? written : null), history, rounds: rounds ?? 0 };
}

/** How a history ended that took so many rounds; `written`: what a single writer had written, else null. */
export function outcomeOf(
  { nodes }: ModelHistory,
  rounds: number | null,
  written: ReadonlyMap<Key, Image> | null,
): Outcome {
  const equal = nodes.every(({ rows }) => sameRows(rows, nodes[0]!.rows));
  if (rounds === null) return "never at rest";
  if (nodes.some((node) => brokenConstraints(node).length > 0)) return "constraint broken";
  if (written) {
    const touched = nodes.some(({ conflicts }) => conflicts > 0) || !sameRows(nodes[0]!.rows, written);
    if (touched || !equal) return "single writer changed";
  }
  if (nodes.some((node) => node.parked.length > 0)) return nodes.some(both) ? "for a person" : "left parked";
  return equal ? "equal" : "diverged silently";

  /** Whether a row waits here that others refer to somewhere, for a holder that others refer to somewhere. */
  function both(here: ModelNode): boolean {
    return here.parked.some(({ from, key }) => {
      const source = nodes.find(({ name }) => name === from)!;
      const holder = isParent(key) ? here.holder(key, source.rows.get(key) ?? null) : undefined;
      return holder !== undefined && referenced(holder) && referenced(key);
    });
  }

  function referenced(key: Key): boolean {
    return nodes.some((node) => node.children(key).length > 0);
  }
}

export function sameRows(one: ReadonlyMap<Key, Image>, other: ReadonlyMap<Key, Image>): boolean {
  return one.size === other.size && [...one].every(([key, image]) => other.has(key) && other.get(key) === image);
}

/** Unique values held twice, and children whose parent is not there. */
export function brokenConstraints({ name, rows }: ModelNode): string[] {
  const broken: string[] = [];
  const holders = new Map<Image, Key>();
  for (const [key, image] of rows) {
    if (image === null) continue;
    if (!isParent(key)) {
      if (!rows.has(image as Key)) broken.push(`${name}: ${key} refers to ${image}, which is not there`);
    } else if (holders.has(image)) broken.push(`${name}: ${key} and ${holders.get(image)} both hold ${image}`);
    else holders.set(image, key);
  }
  return broken;
}
