import { close, cutAt, readBatch } from "./batch.ts";
import { Decision, type Incoming } from "./decide.ts";
import type { ModelNode, Role, Why } from "./node.ts";
import { isNewer, isParent, isSame, type Key, unknown } from "./rows.ts";
import { notForwarded, type Rules } from "./rules.ts";

/** What is a conflict, and not only a matter of order. */
const contested: ReadonlySet<Why> = new Set(["unique", "loser"]);

export interface Delivery {
  readonly rules: Rules;
  /** The target's clock. */
  readonly clock: number;
  /** Entries before the batch is cut; none: all there are. */
  readonly limit?: number | undefined;
  /** Whether somebody at the target has this row locked. */
  readonly busy?: ((key: Key) => boolean) | undefined;
  /** How many of the source's transactions are covered, where that is known otherwise. */
  readonly end?: number | undefined;
  /** What becomes of a row that only a node that came back has and that may have been deleted: a person's choice. */
  readonly missing?: "keep" | "delete" | undefined;
}

/** One round of a link: a batch is read, decided as a whole and carried out in one transaction of the target. */
export function deliver(
  source: ModelNode,
  target: ModelNode,
  { rules, clock, limit, busy, end: given, missing = "keep" }: Delivery,
): void {
  const role = target.meets.get(source.name);
  if (role) {
    compare(source, target, role, { rules, clock, missing });
    return;
  }
  const from = target.positions.get(source.name) ?? 0;
  const end = given ?? (limit === undefined ? source.log.length : cutAt(source, from, limit));
  const { keys, due } = readBatch(source, target, end, rules);
  const asked = new Set([...keys].slice(due));
  target.positions.set(source.name, end);
  const incoming = new Map<Key, Incoming>();
  const there = new Map([...source.rows].filter(([key]) => keys.has(key)));
  for (const key of keys) {
    const version = source.version(key);
    const { stamp, origin } = target.version(key);
    if (version.stamp === stamp && version.origin !== origin) target.ties++;
    const forgotten = asked.has(key) && !target.newest.has(key) && sameImage(source, target, key);
    // Whoever has no such version takes what it rejects: then the row here is written anew, for all.
    const assumed = target.isAssumed(key) && !sameImage(source, target, key) && !isSame(version, target.version(key));
    if ((isNewer(version, target.version(key)) && !forgotten) || assumed)
      incoming.set(key, { key, version, image: source.rows.get(key) });
    else target.unpark(source.name, key);
  }
  const changed = [...incoming.keys()];
  const assumed = changed.filter((key) => !isNewer(source.version(key), target.version(key)));
  const preferred = rules.prefer === target.name ? changed.filter((key) => isPreferred(source, target, key)) : [];
  target.preferred += preferred.length;
  const decision = new Decision(target, there, incoming, {
    waitThere: new Set(source.parkedFrom(target.name).map(({ key }) => key)),
    busy: changed.filter((key) => target.rows.has(key) && busy?.(key)),
    kept: [...preferred, ...assumed],
  });
  target.transaction(() => carryOut(source, target, decision, clock));
  source.acknowledge(target.name, { end, seen: target.log.length });
}

/**
 * The meeting of a node that came back with a survivor: all rows of the source are decided, whatever was received from whom. So are
 * the deletions that a survivor remembers: who made one may have pruned it. A survivor's row without an entry counts as changed when its log begins,
 * one of the node that came back as older than everything.
 */
function compare(
  source: ModelNode,
  target: ModelNode,
  role: Role,
  { rules, clock, missing }: Pick<Delivery, "rules" | "clock"> & { readonly missing: "keep" | "delete" },
): void {
  for (const [node, survives] of [
    [source, role === "returned"],
    [target, role === "survivor"],
  ] as const)
    if (survives) node.unlogged = { stamp: node.horizon, origin: node.name };
  const keys = new Set(source.rows.keys());
  const skip = notForwarded(rules, source.name, target.name);
  for (const [key, { receivedFrom }] of source.newest)
    if (role === "returned" || receivedFrom === null || !skip(receivedFrom)) keys.add(key);
  if (rules.closure) close(source, target, keys);
  const incoming = new Map<Key, Incoming>();
  const deleted: Key[] = [];
  const anew: Key[] = [];
  for (const key of keys) {
    const version = source.version(key);
    const image = source.rows.get(key);
    const forgotten =
      image !== undefined && !target.rows.has(key) && !target.newest.has(key) && version.stamp <= target.horizon;
    const unlogged = !source.newest.has(key) && !target.newest.has(key) && sameImage(source, target, key);
    if (role === "survivor" && forgotten && missing === "delete") deleted.push(key);
    else if (isSame(version, target.version(key)) && !sameImage(source, target, key)) {
      // a node of one name has written on in two places: the image of the greater name stays, as a fresh change
      if (target.name > source.name) anew.push(key);
    } else if (isNewer(version, target.version(key)) && !unlogged) {
      // What is kept is the survivor's from now on, and goes to all: a deletion that others remember and it has forgotten is older.
      const kept = role === "survivor" && forgotten;
      const taken = kept ? { stamp: target.horizon + 2, origin: target.name } : version;
      incoming.set(key, { key, version: taken, image, own: kept });
    } else if (
      role === "survivor" &&
      target.rows.has(key) &&
      !target.newest.has(key) &&
      !sameImage(source, target, key)
    ) {
      // rejected for a version that nobody else knows
      anew.push(key);
    }
  }
  const decision = new Decision(target, source.rows, incoming, { waitThere: new Set(), busy: [], kept: [] });
  target.transaction(() => {
    carryOut(source, target, decision, clock);
    for (const key of deleted) target.fresh(key, undefined, clock);
    for (const key of anew) target.fresh(key, target.rows.get(key), clock);
  });
  if (role === "returned") target.assume(source.unlogged);
  target.meets.delete(source.name);
  target.positions.set(source.name, source.log.length);
  source.acknowledge(target.name, { end: source.log.length, seen: target.log.length });
  // tried again without the version by which it was compared, a row that waits would lose to what the node that came back remembers
  const waiting = role === "returned" ? target.parkedFrom(source.name).map(({ key }) => key) : [];
  source.transaction(() => {
    for (const key of waiting)
      if (!source.newest.has(key) && source.rows.has(key))
        source.record(key, source.version(key), source.rows.get(key), null);
  });
  for (const node of [source, target]) node.unlogged = unknown;
}

/** A newer change whose writer had not seen this node's own version, which is another image. */
function isPreferred(source: ModelNode, target: ModelNode, key: Key): boolean {
  const version = target.version(key);
  return version.origin === target.name && !sameImage(source, target, key) && !source.knows(key, version);
}

function sameImage({ rows }: ModelNode, other: ModelNode, key: Key): boolean {
  return rows.has(key) === other.rows.has(key) && rows.get(key) === other.rows.get(key);
}

function carryOut(source: ModelNode, target: ModelNode, decision: Decision, clock: number): void {
  const { incoming, verdicts } = decision;
  const losers = decision.losers;
  for (const { version } of incoming.values()) target.floor = Math.max(target.floor, version.stamp);
  for (const loser of losers) removeLoser(target, loser);
  const written = [...incoming.values()].filter(({ key }) => decision.written(key));
  for (const { key, version, image, own } of written) {
    target.learn(key, source);
    if (image !== undefined || !isParent(key)) target.record(key, version, image, own ? null : source.name);
  }
  for (const { key, version, image } of written) {
    if (image !== undefined || !isParent(key)) continue;
    target.conflicts += target.children(key).filter((child) => target.version(child).origin === target.name).length;
    target.deleteChildrenOf(key, clock);
    target.record(key, version, undefined, source.name);
  }
  for (const key of incoming.keys()) target.unpark(source.name, key);
  const anew = new Set<Key>();
  for (const [key, verdict] of verdicts) {
    if (verdict.kind === "keep") {
      anew.add(key);
      // decided with the rejected change in view: what is written anew descends from it
      target.learn(key, source);
      if (verdict.fallback !== null) target.fellBack(verdict.fallback, key);
    } else {
      target.park({ from: source.name, key, why: verdict.why });
      if (verdict.reassert !== null) anew.add(verdict.reassert);
    }
    if (verdict.kind === "keep" || contested.has(verdict.why)) target.conflicts++;
  }
  for (const key of anew) target.fresh(key, target.rows.get(key), clock);
  target.forgetPairs();
}

/** The odd stamp is the same wherever the loser is removed; decided here, so it goes to everybody, its origin too. */
function removeLoser(target: ModelNode, loser: Key): void {
  const { stamp, origin } = target.version(loser);
  target.conflicts++;
  target.record(loser, { stamp: stamp + 1, origin }, undefined, null);
}
