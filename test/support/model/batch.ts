import type { ModelNode } from "./node.ts";
import { childTables, isParent, type Key, tableOf } from "./rows.ts";
import { notForwarded, type Rules } from "./rules.ts";

/** What a source sends. */
export interface Batch {
  /** Of the keys changed in its transactions up to `end`, of those parked, and of what the closure asks for. */
  readonly keys: ReadonlySet<Key>;
  /** How many of them, the first ones, are not only asked for by the closure. */
  readonly due: number;
}

export function readBatch(source: ModelNode, target: ModelNode, end: number, rules: Rules): Batch {
  const skip = notForwarded(rules, source.name, target.name);
  const sent = (from: string | null) => from === null || !skip(from);
  const keys = new Set<Key>();
  for (const { key, receivedFrom } of source.log.slice(target.positions.get(source.name) ?? 0, end).flat()) {
    if (sent(receivedFrom) && sent(source.newest.get(key)?.receivedFrom ?? null)) keys.add(key);
  }
  for (const { key } of target.parkedFrom(source.name)) keys.add(key);
  const due = keys.size;
  if (rules.closure) close(source, target, keys);
  return { keys, due };
}

/**
 * Whatever this batch would block, displace, cascade or leave without a parent is brought along in the source's state, to
 * a fixpoint: only what the source has not changed is a conflict.
 */
export function close(source: ModelNode, target: ModelNode, keys: Set<Key>): void {
  // a set's iteration meets what is added meanwhile
  for (const key of keys) for (const asked of concerned(source, target, key)) keys.add(asked);
}

function concerned(source: ModelNode, target: ModelNode, key: Key): Key[] {
  const image = source.rows.get(key);
  if (!isParent(key)) return typeof image === "string" && !target.rows.has(image) ? [image] : [];
  if (image === undefined) return target.children(key);
  const holder = target.holder(key, image);
  if (holder === undefined) return [];
  const referring = target.children(holder);
  return [holder, ...referring, ...(referring.length > 0 ? firstOfEachTable(source.children(key)) : [])];
}

/** Enough to tell whether others refer to a row. */
function firstOfEachTable(children: Key[]): Key[] {
  return childTables.flatMap((table) =>
    children
      .filter((child) => tableOf(child) === table)
      .sort()
      .slice(0, 1),
  );
}

/** How many transactions after a position make a batch of about `limit` entries: never a part of one, at least one. */
export function cutAt(source: ModelNode, from: number, limit: number): number {
  let end = from;
  for (let entries = 0; end < source.log.length; end++) {
    entries += source.log[end]!.length;
    if (entries > limit && end > from) break;
  }
  return end;
}
