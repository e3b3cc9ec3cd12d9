import type { ModelNode, Why } from "./node.ts";
import { actionOf, type Image, isNewer, isParent, type Key, type Version } from "./rows.ts";

/** A staged row that is newer than what is here. */
export interface Incoming {
  readonly key: Key;
  readonly version: Version;
  /** undefined: gone. */
  readonly image: Image | undefined;
  /** Whether it is this node's own from then on. */
  readonly own?: boolean;
}

/**
 * What becomes of an incoming row that is not simply written. `keep`: the row here stays and is written anew (`fallback`:
 * the holder of the value it claimed, though it is the newer). `park`: it waits; `reassert`: the holder of the value it
 * claims is written anew, so that the other side gives way.
 */
export type Verdict =
  | { readonly kind: "keep"; readonly fallback: Key | null }
  | { readonly kind: "park"; readonly why: Why; readonly reassert: Key | null };

const keep: Verdict = { kind: "keep", fallback: null };
const park = (why: Why): Verdict => ({ kind: "park", why, reassert: null });

/** Decides a batch as a whole: forbidden deletions, unique rejections and children that must wait form one fixpoint. */
export class Decision {
  readonly incoming: ReadonlyMap<Key, Incoming>;
  readonly verdicts = new Map<Key, Verdict>();
  readonly #here: ModelNode;
  readonly #there: ReadonlyMap<Key, Image>;
  readonly #waitThere: ReadonlySet<Key>;

  /**
   * `there`: the staged rows as the source has them, whether newer or not. `waitThere`: changes sent from here that wait at the
   * source. `busy`: rows here that somebody has locked. `kept`: rows that stay as they are here, whatever is newer.
   */
  constructor(
    here: ModelNode,
    there: ReadonlyMap<Key, Image>,
    incoming: ReadonlyMap<Key, Incoming>,
    { waitThere, busy, kept }: { waitThere: ReadonlySet<Key>; busy: readonly Key[]; kept: readonly Key[] },
  ) {
    this.#here = here;
    this.#there = there;
    this.#waitThere = waitThere;
    this.incoming = incoming;
    for (const key of kept) this.verdicts.set(key, keep);
    for (const key of busy) this.verdicts.set(key, park("busy"));
    while (this.#round()) {}
  }

  written(key: Key): Incoming | undefined {
    return this.verdicts.has(key) ? undefined : this.incoming.get(key);
  }

  /** Local rows that hold a value which a newer incoming row takes. */
  get losers(): Key[] {
    const losers = new Set<Key>();
    for (const { key, image } of this.#writtenParents()) {
      const holder = this.#staysHolding(key, image);
      if (holder !== undefined) losers.add(holder);
    }
    return [...losers];
  }

  #round(): boolean {
    const before = this.verdicts.size;
    for (const { key, image } of [...this.incoming.values()]) {
      if (this.verdicts.has(key)) continue;
      const verdict = isParent(key) ? (image === undefined ? this.#deletion(key) : this.#claim(key)) : this.#child(key);
      if (verdict) this.verdicts.set(key, verdict);
    }
    return this.verdicts.size > before;
  }

  /**
   * A deletion that a child here forbids: the row stays, as a fresh change. Where the source has changed the child too, and
   * that waits, the deletion waits with it, unless the child waits for a deletion that waits for this one. A child that stays
   * because this node is preferred is a child as any other.
   */
  #deletion(key: Key): Verdict | null {
    if (!this.#here.rows.has(key)) return null;
    const children = this.#childrenAfter(key);
    const waits = (child: Key) => this.verdicts.get(child)?.kind === "park";
    if (children.some((child) => actionOf(child) === "restrict" && !waits(child))) return keep;
    return children.some((child) => waits(child) && !this.#isCrossed(child)) ? park("waits") : null;
  }

  /**
   * A child whose new parent was deleted here, while that deletion waits at the source: what it waits for there may be the
   * deletion of its old parent. So the foreign key's action is carried out on the row here. (One that restricts forbids
   * the other deletion at the source.)
   */
  #isCrossed(child: Key): boolean {
    const parent = this.incoming.get(child)?.image;
    const verdict = this.verdicts.get(child);
    return (
      actionOf(child) !== "restrict" &&
      verdict?.kind === "park" &&
      verdict.why === "parent" &&
      typeof parent === "string" &&
      this.#waitThere.has(parent) &&
      !this.#here.rows.has(parent)
    );
  }

  #claim(key: Key): Verdict | null {
    const { version, image } = this.incoming.get(key)!;
    const holder = this.#staysHolding(key, image);
    if (holder === undefined) return null;
    const verdict = this.verdicts.get(holder);
    const goes = this.#mustGo(holder) && !isNewer(this.#here.version(holder), version);
    if (goes) return null;
    if (verdict?.kind === "park") return park("waits");
    if (verdict?.kind === "keep" || isNewer(this.#here.version(holder), version)) {
      return this.#here.rows.has(key) ? keep : park("loser");
    }
    return this.#childrenAfter(holder).length > 0 ? this.#againstReferenced(key, holder) : null;
  }

  /**
   * A row whose change waits for a value that a row here holds to which others refer, while none refers to it on either side: one of
   * the two must go, and it is this one. So it does not keep the value that it has here either.
   */
  #mustGo(holder: Key): boolean {
    const verdict = this.verdicts.get(holder);
    return verdict?.kind === "park" && verdict.reassert !== null && this.#childrenAfter(holder).length === 0;
  }

  /**
   * The holder may not go, for others refer to it. Where the source has a row of the holder's key, it rejects the holder's
   * value by itself, and the holder falls back on its older image there. Else the newer row falls back, if it has an
   * older image here; once per pair. Else one of the two must go: the incoming one, unless others refer to it there.
   */
  #againstReferenced(key: Key, holder: Key): Verdict {
    if (this.#there.has(holder)) return park("unique");
    if (this.#here.rows.has(key) && this.#here.mayFallBack(holder, key)) return { kind: "keep", fallback: holder };
    const referencedThere = [...this.#there].some(([child, image]) => !isParent(child) && image === key);
    return { kind: "park", why: "unique", reassert: referencedThere ? null : holder };
  }

  #child(key: Key): Verdict | null {
    const { image } = this.incoming.get(key)!;
    if (typeof image !== "string") return null;
    const parent = this.written(image);
    const there = parent ? parent.image !== undefined : this.#here.rows.has(image);
    return there ? null : park("parent");
  }

  /** The holder of a value that this batch does not write. */
  #staysHolding(key: Key, image: Image | undefined): Key | undefined {
    const holder = image === undefined ? undefined : this.#here.holder(key, image);
    return holder === undefined || this.written(holder) ? undefined : holder;
  }

  /** Children after the set; one that waits counts with its old parent. */
  #childrenAfter(parent: Key): Key[] {
    const children = this.#here.children(parent).filter((child) => !this.written(child));
    for (const { key, image } of this.incoming.values()) {
      if (!isParent(key) && image === parent && this.written(key)) children.push(key);
    }
    return children;
  }

  *#writtenParents(): Generator<Incoming> {
    for (const each of this.incoming.values()) if (isParent(each.key) && this.written(each.key)) yield each;
  }
}
