import type { ConflictRule } from "./config.ts";
import { conflictRule } from "./fields.ts";
import type { Pair } from "./topology.ts";

/** What the rules look at, taken from a file that may have any other fault: all faults are to be told together. */
export interface Draft {
  readonly nodes: ReadonlyArray<{ readonly name: string; readonly url: string | null }>;
  /** Null in the list: a pair that is none, which the check of the shape tells. */
  readonly links: readonly (Pair | null)[] | null;
  readonly conflicts: readonly (ConflictRule | null)[];
  readonly seed: string | null;
  readonly http: { readonly listen: string | null; readonly token: boolean };
  readonly jobs: ReadonlyArray<{ readonly name: string | null; readonly node: string | null }>;
}

function at(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}

function textAt(value: unknown, key: string): string | null {
  const text = at(value, key);
  return typeof text === "string" && text !== "" ? text : null;
}

function listAt(value: unknown, key: string): unknown[] | null {
  const list = at(value, key);
  return Array.isArray(list) ? list : null;
}

function pairOf(value: unknown): Pair | null {
  const [a, b] = Array.isArray(value) && value.length === 2 ? value : [];
  return typeof a === "string" && typeof b === "string" ? [a, b] : null;
}

/** Takes what can be taken; never complains. */
export function draftOf(raw: unknown): Draft {
  const nodes = at(raw, "nodes");
  const named = typeof nodes === "object" && nodes !== null && !Array.isArray(nodes) ? Object.entries(nodes) : [];
  return {
    nodes: named.map(([name, node]) => ({ name, url: textAt(node, "url") })),
    links: listAt(raw, "links")?.map(pairOf) ?? null,
    conflicts: (listAt(raw, "tables") ?? []).map((table) => conflictRule.safeParse(at(table, "conflict")).data ?? null),
    seed: textAt(at(raw, "sync"), "seed"),
    http: { listen: textAt(at(raw, "http"), "listen"), token: textAt(at(raw, "http"), "token") !== null },
    jobs: (listAt(at(raw, "backup"), "jobs") ?? []).map((job) => ({
      name: textAt(job, "name"),
      node: textAt(job, "node"),
    })),
  };
}
