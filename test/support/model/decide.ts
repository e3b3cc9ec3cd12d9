import type { ModelNode } from "./node.ts";
import { actionOf, type Image, isNewer, isParent, type Key, type Version } from "./rows.ts";

/** A staged row that is newer than what is here. */
export interface Incoming {
  readonly key: Key;
  readonly version: Version;
  /** undefined: gone. */
  readonly image: Image | undefined;
}

/**
 * What becomes of an incoming row that is not simply written. `keep`: the row here stays and is written anew; `loser`: an
 * older row that is new here waits; `waits`: a newer one waits for a holder that others refer to; `orphan`: a child
 * waits for its parent.
 */
export type Verdict =
  | { readonly kind: "keep" }
  | { readonly kind: "loser" }
  | { readonly kind: "orphan" }
  | { readonly kind: "waits"; readonly holder: Key };

/** Decides a batch as a whole: forbidden deletions, unique rejections and children that must wait form one fixpoint. */
export class Decision {
  readonly incoming: ReadonlyMap<Key, Incoming>;
  readonly verdicts = new Map<Key, Verdict>();
  readonly #here: ModelNode;

  constructor(here: ModelNode, incoming: ReadonlyMap<Key, Incoming>) {
    this.#here = here;
    this.incoming = incoming;
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

  /** A deletion that a child here forbids: the row stays, as a fresh change. */
  #deletion(key: Key): Verdict | null {
    if (!this.#here.rows.has(key)) return null;
    return this.#childrenAfter(key).some((child) => actionOf(child) === "restrict") ? { kind: "keep" } : null;
  }

  #claim(key: Key): Verdict | null {
    const { version, image } = this.incoming.get(key)!;
    const holder = this.#staysHolding(key, image);
    if (holder === undefined) return null;
    // an incoming row that was rejected keeps its place with its older image
    const kept = this.verdicts.has(holder);
    if (kept || isNewer(this.#here.version(holder), version)) {
      return { kind: this.#here.rows.has(key) ? "keep" : "loser" };
    }
    return this.#childrenAfter(holder).length > 0 ? { kind: "waits", holder } : null;
  }

  #child(key: Key): Verdict | null {
    const { image } = this.incoming.get(key)!;
    if (typeof image !== "string") return null;
    const parent = this.written(image);
    const there = parent ? parent.image !== undefined : this.#here.rows.has(image);
    return there ? null : { kind: "orphan" };
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
