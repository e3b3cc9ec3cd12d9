/**
 * Why a key differs. `diverged`: nothing is under way that would make it equal. `pending`: a change of it is still to
 * be carried. `parked`: a node could not apply a change of it. `held`: a link holds the table back.
 */
export type Reason = "diverged" | "pending" | "parked" | "held";

/** A key whose rows are not the same on all nodes. */
export interface DifferingKey {
  /** The texts of its columns. */
  readonly key: readonly string[];
  readonly reason: Reason;
  /** For people: whose change waits, why it was parked. */
  readonly detail: string | null;
  /** The nodes that have no such row. */
  readonly lacking: readonly string[];
  /** The nodes that have one, those with equal rows together. */
  readonly groups: readonly (readonly string[])[];
}

/** What was done, or would be, about a key that is diverged. */
export interface Mended {
  readonly key: readonly string[];
  /** Whose row all are to have; null: nobody may decide that. */
  readonly winner: string | null;
  readonly why: string;
  /** False: only looked at, or the row changed meanwhile. */
  readonly written: boolean;
  /** What the other nodes do when it reaches them. */
  readonly changes: readonly { readonly node: string; readonly change: "insert" | "update" | "delete" }[];
}

/** A part of a table's definition that keeps it from being compared wholly. */
export interface SchemaDifference {
  readonly kind: "column" | "key";
  /** The column's name, or what the key is. */
  readonly what: string;
  readonly present: readonly string[];
  readonly absent: readonly string[];
  /** A column that the database computes: it counts for nothing where it is missing. */
  readonly generated: boolean;
}

/** A node that lacks a table, or does not track it. */
export interface MissingTable {
  readonly node: string;
  readonly reason: string;
}

/** What became of one table. */
export interface TableVerifyReport {
  readonly schema: string;
  readonly name: string;
  /** False: fewer than two nodes have it, or its key differs. */
  readonly compared: boolean;
  readonly equal: boolean;
  /** Rows seen in each node that was read; while writes go on, of slightly different moments. */
  readonly rows: Readonly<Record<string, number>>;
  /** The nodes that have it, those with equal content together. */
  readonly groups: readonly (readonly string[])[];
  readonly differing: number;
  readonly reasons: Readonly<Record<Reason, number>>;
  /** In the order of their keys' text, as many as were asked for. */
  readonly keys: readonly DifferingKey[];
  /** With `--repair`: every diverged key. */
  readonly mended: readonly Mended[];
  readonly schemaDifferences: readonly SchemaDifference[];
  readonly missing: readonly MissingTable[];
}

/** A table that is not compared, because nobody captures its changes. */
export interface UntrackedTable {
  readonly node: string;
  readonly schema: string;
  readonly name: string;
  readonly reason: string;
}

/** A node that could not be reached. */
export interface UnreachableNode {
  readonly node: string;
  readonly error: string;
}

/** The answer of `verify`. */
export interface VerifyReport {
  /** All tables that were asked for are equal on all nodes, none is missing anywhere, and no node was out of reach. */
  readonly identical: boolean;
  /** What is said holds of this moment: nothing written before it was left out. In ISO 8601. */
  readonly asOf: string;
  readonly finishedAt: string;
  /** Those that were compared, the reference first. */
  readonly nodes: readonly string[];
  readonly unreachable: readonly UnreachableNode[];
  readonly tables: readonly TableVerifyReport[];
  readonly untracked: readonly UntrackedTable[];
  readonly totals: {
    readonly tables: number;
    readonly equal: number;
    readonly rows: Readonly<Record<string, number>>;
    readonly differing: number;
    readonly reasons: Readonly<Record<Reason, number>>;
  };
}

/** Shown while verify works. */
export type VerifyEvent =
  | {
      readonly kind: "read";
      readonly node: string;
      readonly schema: string;
      readonly name: string;
      readonly rows: number;
      readonly total: number;
    }
  | { readonly kind: "settle"; readonly schema: string; readonly name: string; readonly keys: number }
  | { readonly kind: "table"; readonly table: TableVerifyReport };
