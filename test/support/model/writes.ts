import type { Random } from "../seed.ts";
import type { ModelNode } from "./node.ts";
import { actionOf, childTables, type Image, isParent, type Key } from "./rows.ts";

/** A write of the application. */
export type Write =
  | { readonly kind: "put"; readonly key: Key; readonly image: Image }
  | { readonly kind: "delete"; readonly key: Key }
  /** The children of one parent are given to another, and it goes. */
  | { readonly kind: "merge"; readonly key: Key; readonly into: Key };

/** A random write that the node's own constraints allow, or null. */
export function randomWrite(random: Random, node: ModelNode): Write | null {
  const keys = [...node.rows.keys()];
  const parents = keys.filter(isParent);
  const children = keys.filter((key) => !isParent(key));
  const drawn = random.next();
  if (drawn < 0.3) {
    const key = `p${random.int(0, 5)}`;
    const image = random.pick([null, 0, 1, 2]);
    return node.holder(key, image) === undefined ? { kind: "put", key, image } : null;
  }
  if (drawn < 0.65) {
    const key = `${random.pick(childTables)}${random.int(0, 3)}`;
    return parents.length > 0 ? { kind: "put", key, image: random.pick(parents) } : null;
  }
  const candidates = drawn < 0.8 ? children : parents;
  if (candidates.length === 0) return null;
  const key = random.pick(candidates);
  const forbidden = node.children(key).some((child) => actionOf(child) === "restrict");
  return forbidden ? null : { kind: "delete", key };
}

/** One parent is merged into another, as people do with what was entered twice; among few, so that others do the opposite. */
export function randomMerge(random: Random, node: ModelNode): Write | null {
  const parents = [...node.rows.keys()].filter(isParent).sort();
  const [key, into] = random.shuffle(parents.slice(0, 3));
  return key !== undefined && into !== undefined ? { kind: "merge", key, into } : null;
}

/** Carries a write out, with what the foreign keys do, in one transaction. */
export function write(node: ModelNode, change: Write, clock: number): void {
  node.transaction(() => {
    if (change.kind === "put") node.fresh(change.key, change.image, clock);
    else {
      if (change.kind === "merge") for (const child of node.children(change.key)) node.fresh(child, change.into, clock);
      else if (isParent(change.key)) node.deleteChildrenOf(change.key, clock);
      node.fresh(change.key, undefined, clock);
    }
  });
}
