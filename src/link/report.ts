import type { ApplyResult, TableCounts, TableName } from "../base/exchange.ts";

/** What a link has done, summed over batches. */
export interface LinkReport {
  readonly source: string;
  readonly target: string;
  batches: number;
  /** Those of the batches that went the short way. */
  small: number;
  conflicts: number;
  /** Rows of a first meeting that nothing decides. */
  undecided: number;
  readonly tables: Map<string, TableCounts>;
}

/** Shown while a link works. */
export interface LinkEvent {
  readonly source: string;
  readonly target: string;
  readonly kind: "copy" | "batch";
  readonly table: TableName | null;
  /** Rows carried so far; of `total`, as the planner guesses, where it is known. */
  readonly rows: number;
  readonly total: number | null;
}

/** The name of a table as people write it: without `public`. */
export function tableLabel({ schema, name }: TableName): string {
  return schema === "public" ? name : `${schema}.${name}`;
}

/** An empty report. */
export function newReport(source: string, target: string): LinkReport {
  return { source, target, batches: 0, small: 0, conflicts: 0, undecided: 0, tables: new Map() };
}

/** Adds what one batch led to. */
export function addResult(report: LinkReport, result: Pick<ApplyResult, "conflicts" | "undecided" | "tables">): void {
  report.batches++;
  report.conflicts += result.conflicts;
  report.undecided += result.undecided;
  for (const counts of result.tables) {
    const label = tableLabel(counts);
    const sum = report.tables.get(label);
    report.tables.set(label, sum ? addCounts(sum, counts) : counts);
  }
}

function addCounts(a: TableCounts, b: TableCounts): TableCounts {
  return {
    schema: a.schema,
    name: a.name,
    staged: a.staged + b.staged,
    applied: a.applied + b.applied,
    deleted: a.deleted + b.deleted,
    adopted: a.adopted + b.adopted,
    superseded: a.superseded + b.superseded,
    parked: a.parked + b.parked,
    undecided: a.undecided + b.undecided,
  };
}
