import type { Decision } from "./selection.ts";

/** What became of one table. */
export interface TableOutcome {
  readonly schema: string;
  readonly table: string;
  /**
   * `armed`: capture was installed or brought up to date; `unchanged`: it was there already; `untracked`: taken away,
   * because a rule of the file excludes it; `left_out`: not tracked, by default or by the file; `kept`, `missing`,
   * `gone`, `failed`: a person must look at it, see `reason`.
   */
  readonly outcome: "armed" | "unchanged" | "untracked" | Exclude<Decision, "track" | "untrack">;
  readonly reasonCode: string | null;
  readonly reason: string | null;
  /** Triggers of the application's whose guard was put on, or taken off, now. */
  readonly triggers: readonly string[];
}

/** What became of the sequences: `offered` where they are not interleaved, and could be. */
export interface SequenceOutcome {
  readonly mode: "interleaved" | "restored" | "offered" | "none";
  /** How many were changed now. */
  readonly changed: number;
}

/** What was done in one node. */
export interface NodeReport {
  readonly node: string;
  /** False: everything was as it should be, and nothing was written. */
  readonly changed: boolean;
  readonly migrations: readonly string[];
  /** Whether the functions and views were installed anew. */
  readonly sqlInstalled: boolean;
  readonly tables: readonly TableOutcome[];
  readonly sequences: SequenceOutcome;
}

/** A node without tables beside one that has some: the line that brings the schema over. */
export interface SchemaCopy {
  readonly from: string;
  readonly to: string;
  readonly command: string;
}

/** The answer of `migrate`. */
export interface MigrateReport {
  readonly nodes: readonly NodeReport[];
  readonly schemaCopies: readonly SchemaCopy[];
  /** Whether a person must look at something: exit code 1. Tables left out by default are not such a thing. */
  readonly problems: boolean;
}

/** What `migrate` is about, for progress on stderr. */
export type MigrateEvent =
  | { readonly kind: "migrations"; readonly node: string; readonly names: readonly string[] }
  | { readonly kind: "functions"; readonly node: string }
  | { readonly kind: "table"; readonly node: string; readonly table: TableOutcome }
  | { readonly kind: "waiting"; readonly node: string; readonly what: string; readonly reason: string };

/** Outcomes that a person must look at. */
export function isProblem({ outcome }: TableOutcome): boolean {
  return outcome === "failed" || outcome === "missing" || outcome === "gone" || outcome === "kept";
}
