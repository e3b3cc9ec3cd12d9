import { actionOf, type Image, isNewer, isParent, type Key, none, unknown, type Version } from "./rows.ts";

/** One captured or applied change; null: made here. */
export interface Entry {
  readonly key: Key;
  readonly version: Version;
  readonly receivedFrom: string | null;
}

/**
 * Why a change waits: `unique`, a newer row claims a value whose holder others refer to; `loser`, an older one, until its
 * home removes it; `parent`, a child; `busy`, the row here is locked; `waits`, for another change that waits.
 */
export type Why = "unique" | "loser" | "parent" | "busy" | "waits";

/** A change that waits at its target. */
export interface Parked {
  readonly from: string;
  readonly key: Key;
  readonly why: Why;
}

/** A target has passed so many of a node's transactions, and then stood at so many of its own. */
export interface Acknowledgement {
  readonly end: number;
  readonly seen: number;
}

/** Which side a node is on when it is compared with a peer because one of the two came back from an older copy of itself. */
export type Role = "returned" | "survivor";

/** A node of the model: rows, their versions, the log, and what is known of its peers. */
export class ModelNode {
  readonly name: string;
  rows = new Map<Key, Image>();
  newest = new Map<Key, Entry>();
  /** Of each key the newest stamp of each origin that its row here descends from. */
  #known = new Map<Key, Map<string, number>>();
  /** Transactions in order of their commit. */
  log: (readonly Entry[])[] = [];
  /** How many transactions of each source have been applied here. */
  positions = new Map<string, number>();
  #parked = new Map<string, Parked>();
  #acknowledged = new Map<string, Acknowledgement[]>();
  /** Pairs in which a newer claimant fell back on its older image, with the holder. */
  #fellBack = new Map<string, Key>();
  /** Peers with which every row is to be compared before anything flows from them. */
  readonly meets = new Map<string, Role>();
  /** Of whatever was changed here with a later stamp the entry is still there. */
  horizon = 0;
  /** The version of a row without an entry. */
  unlogged: Version = unknown;
  /** Versions that survivors' rows without an entry counted with as this node came back: they are no newer than that. */
  #assumed = new Set<string>();
  floor = 0;
  conflicts = 0;
  /** Rows that stayed as they were because this node is preferred. */
  preferred = 0;
  /** Changes that met one of another node with the same stamp. */
  ties = 0;
  /** Where stamps are not the model's own: the real ones of this transaction. */
  stamps: ReadonlyMap<Key, number> = new Map();
  #open: Entry[] | null = null;

  constructor(name: string) {
    this.name = name;
  }

  version(key: Key): Version {
    return this.newest.get(key)?.version ?? (this.rows.has(key) ? this.unlogged : none);
  }

  /** Whether the row here descends from a version. */
  knows(key: Key, { stamp, origin }: Version): boolean {
    return (this.#known.get(key)?.get(origin) ?? Number.NEGATIVE_INFINITY) >= stamp;
  }

  assume({ stamp, origin }: Version): void {
    this.#assumed.add(`${stamp} ${origin}`);
  }

  /** Whether the row here is known to be no newer than its version, and no more. */
  isAssumed(key: Key): boolean {
    const { stamp, origin } = this.version(key);
    return this.#assumed.has(`${stamp} ${origin}`);
  }

  /** What the source's row descends from is known from here on. */
  learn(key: Key, source: ModelNode): void {
    for (const [origin, stamp] of source.#known.get(key) ?? []) this.#note(key, { stamp, origin });
  }

  #note(key: Key, version: Version): void {
    if (this.knows(key, version)) return;
    this.#known.set(key, (this.#known.get(key) ?? new Map()).set(version.origin, version.stamp));
  }

  children(parent: Key): Key[] {
    return [...this.rows].filter(([key, image]) => !isParent(key) && image === parent).map(([key]) => key);
  }

  /** The other parent that holds a unique value. */
  holder(key: Key, value: Image): Key | undefined {
    if (value === null) return undefined;
    for (const [other, image] of this.rows) if (other !== key && isParent(other) && image === value) return other;
    return undefined;
  }

  /** What `work` records becomes one transaction of the log. */
  transaction(work: () => void): void {
    this.#open = [];
    work();
    if (this.#open.length > 0) this.log.push(this.#open);
    this.#open = null;
  }

  record(key: Key, version: Version, image: Image | undefined, receivedFrom: string | null): void {
    if (this.#open === null) throw new Error("a change outside a transaction");
    if (image === undefined) this.rows.delete(key);
    else this.rows.set(key, image);
    const entry = { key, version, receivedFrom };
    if (!this.newest.has(key) || isNewer(version, this.version(key))) this.newest.set(key, entry);
    this.#open.push(entry);
    this.#note(key, version);
  }

  /** A change made here: an even stamp, later than the clock and than all that was applied. */
  fresh(key: Key, image: Image | undefined, clock: number): void {
    const own = Math.max(this.floor, clock) + 2;
    const stamp = this.stamps.get(key) ?? own - (own % 2);
    this.floor = Math.max(this.floor, stamp);
    this.record(key, { stamp, origin: this.name }, image, null);
  }

  /** What the foreign keys do with the children of a parent that goes. */
  deleteChildrenOf(parent: Key, clock: number): void {
    for (const child of this.children(parent))
      this.fresh(child, actionOf(child) === "cascade" ? undefined : null, clock);
  }

  /** Whether a claimant that is here falls back on its older image because of this holder: once per pair. */
  mayFallBack(holder: Key, claimant: Key): boolean {
    return !this.#fellBack.has(`${holder} ${claimant}`);
  }

  fellBack(holder: Key, claimant: Key): void {
    this.#fellBack.set(`${holder} ${claimant}`, holder);
  }

  /** A pair is forgotten when its holder is gone. */
  forgetPairs(): void {
    for (const [pair, holder] of this.#fellBack) if (!this.rows.has(holder)) this.#fellBack.delete(pair);
  }

  acknowledge(by: string, acknowledgement: Acknowledgement): void {
    this.#acknowledged.set(by, [...this.acknowledgements(by), acknowledgement]);
  }

  acknowledgements(by: string): readonly Acknowledgement[] {
    return this.#acknowledged.get(by) ?? [];
  }

  /**
   * A node is gone for good: what waits for it waits no longer, and what was received from it is entered anew, versions kept:
   * it had been left to that node to bring it to the others. With `forward` false it is left there. A later node of that name is another.
   */
  forgetNode(gone: string, forward = true): void {
    for (const { key } of this.parkedFrom(gone)) this.unpark(gone, key);
    this.#acknowledged.delete(gone);
    if (!forward) return;
    const anew: Entry[] = [];
    for (const [i, transaction] of this.log.entries()) {
      const kept: Entry[] = [];
      for (const entry of transaction) {
        const renamed = entry.receivedFrom === gone ? { ...entry, receivedFrom: `${gone}, gone` } : entry;
        if (this.newest.get(entry.key) === entry) this.newest.set(entry.key, renamed);
        (renamed === entry ? kept : anew).push(renamed);
      }
      this.log[i] = kept;
    }
    if (anew.length > 0) this.log.push(anew);
  }

  /** Everything that a copy of the database holds. */
  copy(): ModelNode {
    const copy = new ModelNode(this.name);
    copy.returnTo(this);
    return copy;
  }

  /** The database becomes what an older copy of it was. */
  returnTo(older: ModelNode): void {
    this.rows = new Map(older.rows);
    this.newest = new Map(older.newest);
    this.#known = new Map([...older.#known].map(([key, known]) => [key, new Map(known)]));
    this.log = [...older.log];
    this.positions = new Map(older.positions);
    this.#parked = new Map(older.#parked);
    this.#acknowledged = new Map(older.#acknowledged);
    this.#fellBack = new Map(older.#fellBack);
    this.#assumed = new Set(older.#assumed);
    this.floor = older.floor;
    this.horizon = older.horizon;
  }

  /** All that was known of the links with a peer is forgotten; every row is to be compared. */
  meetAnew(peer: string, role: Role): void {
    for (const { key } of this.parkedFrom(peer)) this.unpark(peer, key);
    this.#acknowledged.delete(peer);
    this.positions.delete(peer);
    this.meets.set(peer, role);
  }

  /** The entries of a key are pruned. */
  forget(key: Key): void {
    this.horizon = Math.max(this.horizon, this.version(key).stamp);
    this.newest.delete(key);
    this.#known.delete(key);
  }

  park(parked: Parked): void {
    this.#parked.set(`${parked.from} ${parked.key}`, parked);
  }

  unpark(from: string, key: Key): void {
    this.#parked.delete(`${from} ${key}`);
  }

  parkedFrom(source: string): Parked[] {
    return [...this.#parked.values()].filter(({ from }) => from === source);
  }

  get parked(): Parked[] {
    return [...this.#parked.values()];
  }
}
