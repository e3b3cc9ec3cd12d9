import type { FiringAlert } from "./alert-store.ts";
import type { LinkActivity } from "./link-loop.ts";

/** Something that happened in this sidecar, for who looks on. */
export type LiveEvent = { readonly kind: "link"; readonly link: Readonly<LinkActivity> };

/** What a running sidecar knows of itself at this moment. Kept in memory: what must survive is in the databases. */
export class Live {
  /** What people are told of by this sidecar; null: another one tells them, or nobody has looked yet. */
  alerts: readonly FiringAlert[] | null = null;
  readonly #links = new Map<string, Readonly<LinkActivity>>();
  readonly #listeners = new Set<(event: LiveEvent) => void>();

  /** Every link as last heard of, in the order in which they were. */
  get links(): readonly Readonly<LinkActivity>[] {
    return [...this.#links.values()];
  }

  /** One link as last heard of; null: it has not begun. */
  link(source: string, target: string): Readonly<LinkActivity> | null {
    return this.#links.get(keyOf(source, target)) ?? null;
  }

  /** Takes note of what a link does; to be called by the sidecar. */
  note(activity: LinkActivity): void {
    const link = { ...activity };
    this.#links.set(keyOf(link.source, link.target), link);
    for (const listener of this.#listeners) listener({ kind: "link", link });
  }

  /** Calls the listener with each event until the returned function is called. */
  listen(listener: (event: LiveEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

const keyOf = (source: string, target: string) => `${source} ${target}`;
