import type { Readable } from "node:stream";

/** How far a target has applied a source, in the source's own words (for PostgreSQL a `pg_snapshot`). */
export type Position = string;

/** A table by name: the names are what two ends have in common. */
export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** Keys of one table, each as the texts of its columns. */
export interface TableKeys extends TableName {
  readonly keys: readonly (readonly string[])[];
}

/** Keys that a target asks its source for; `referring`: not for these rows, but for some that refer to them. */
export interface AskedKeys extends TableKeys {
  readonly referring: boolean;
}

/** One column as an end describes it. */
export interface ColumnShape {
  readonly name: string;
  readonly type: string;
  /** Columns of one class carry each other's values unchanged, or refuse them. */
  readonly valueClass: string;
  /** Computed by the database; never written. */
  readonly generated: boolean;
}

/** A tracked table as an end describes it. */
export interface TableShape extends TableName {
  readonly id: number;
  readonly exists: boolean;
  readonly key: readonly string[];
  /** Key columns whose equal values are the same bytes; the others travel as values too. */
  readonly exactKey: readonly string[];
  readonly columns: readonly ColumnShape[];
  /** Another one whenever the columns are. */
  readonly mark: string;
  /** Rows, as the planner guesses. */
  readonly estimate: number;
}

/** What a source says of itself before a round. */
export interface SourceState {
  readonly incarnation: string;
  /** The source's clock, in milliseconds since 1970. */
  readonly clock: number;
  /** Where the source stands now. */
  readonly now: Position;
  /** The contact token that the source holds of the link the other way. */
  readonly token: string | null;
  /** It came back and has not got everything from this target yet: until then it sends nothing. */
  readonly waits: boolean;
  /** How far it knows the target to have come. */
  readonly acknowledged: Position;
  /** What lies before this has reached every node that the source sends to; null while anything is parked or held there. */
  readonly settled: string | null;
}

/** A table that does not flow with its link. */
export interface TableState extends TableName {
  readonly state: "copy" | "held" | "catch_up";
  readonly position: Position;
  readonly copiedTo: readonly string[] | null;
  readonly rowsCopied: number;
  readonly reason: string | null;
  /** Compared since a node came back. */
  readonly rejoin: "restored" | "replaced" | "survivor" | null;
}

/** Parked keys of one table whose next try has come; `busy` are those that only waited for a lock. */
export interface ParkedKeys extends TableKeys {
  readonly busy: readonly (readonly string[])[];
}

/** How far a link has come, as its target knows. */
export interface LinkState {
  /** Null before the first contact. */
  readonly position: Position | null;
  readonly token: string | null;
  /** How many tables the link knows. */
  readonly known: number;
  readonly tables: readonly TableState[];
  readonly parked: readonly ParkedKeys[];
  /** Whether any row is parked, its next try due or not. */
  readonly anyParked: boolean;
  /** Whether blocks are left to be written out. */
  readonly blocks: boolean;
  /** Who lets the link rest; null: nobody. */
  readonly pausedBy: string | null;
  readonly clock: number;
}

/** A table of which rows may have gone unseen at the source. */
export interface VanishedTable extends TableName {
  /** How often, as the source counts. */
  readonly vanished: number;
}

/** What comparing the tables of two ends led to. */
export interface Reconciled {
  /** How many of the link's tables changed. */
  readonly changed: number;
  readonly vanished: readonly VanishedTable[];
}

/** What is asked of one table while a batch is read. */
export interface ReadRequest {
  readonly table: TableShape;
  readonly copyFormat: StagedTable["copyFormat"];
  /** Columns to be sent, beside the key. */
  readonly columns: readonly string[];
  /** Columns the target lacks. */
  readonly unplaced: readonly string[];
  readonly what:
    | { readonly kind: "changes"; readonly from: Position; readonly keys: readonly (readonly string[])[] }
    /** `asked`: only to be looked at before a decision, not because they changed or wait. */
    | { readonly kind: "keys" | "asked"; readonly keys: readonly (readonly string[])[] }
    | { readonly kind: "range"; readonly after: readonly string[] | null; readonly upto: readonly string[] | null };
}

/** What a batch is asked for. */
export interface BatchRequest {
  readonly from: Position;
  /** Tables that are read from a position of their own. */
  readonly own: readonly TableState[];
  /** Entries that a batch may hold before it is cut. */
  readonly limit: number;
  /** Every version that the source's log names is sent with each row, for a node came back. */
  readonly allVersions: boolean;
  /** Tables to be read whether they have entries or not. */
  readonly tables: readonly TableName[];
  /** Whether only these are read, and what foreign keys connect them with: then nothing is looked for, and the batch is never cut. */
  readonly onlyThese: boolean;
}

/** Rows on their way: a COPY, and the columns of the staging table that it has values for. */
export interface Rows {
  readonly copy: Readable;
  readonly columns: readonly string[];
}

/** A batch while its source's snapshot is held. */
export interface OpenBatch {
  readonly to: Position;
  readonly cut: boolean;
  /** Tables with something to read, and those that foreign keys connect them with. */
  readonly tables: readonly TableShape[];
  /** Those of them that have entries. */
  readonly changed: readonly TableName[];
  /** Entries older than this may be gone at the source. */
  readonly horizon: string;
  /** How far the source had applied the target, for one table. */
  known(table: TableShape): Position | null;
  /** The end of a range of a first copy; null: it is the last. */
  bound(table: TableShape, after: readonly string[] | null, rows: number): Promise<readonly string[] | null>;
  rows(request: ReadRequest): Promise<Rows>;
  /** For each of these rows the key of one row of each foreign key that refers to it, where there is one. */
  referring(to: TableKeys): Promise<readonly TableKeys[]>;
}

/** A table that a target does not let flow, and how far it has come with it. */
export interface HeldTable extends TableName {
  readonly position: Position;
}

/** A table as both ends of a link know it, and what travels of it. */
export interface MatchedTable {
  readonly source: TableShape;
  readonly target: TableShape;
  /** Columns to be sent, beside the key. */
  readonly columns: readonly string[];
  /** Columns the target lacks. */
  readonly unplaced: readonly string[];
}

/** What a source is told of a batch that its target has committed. */
export interface Acknowledgement {
  readonly position: Position;
  readonly token: string;
  /** Where the target stood at the commit. */
  readonly seen: Position;
}

/** What a small batch is asked for. */
export interface SmallRequest {
  readonly from: Position;
  /** The contact token that the target has. */
  readonly held: string;
  /** Of the small batch before, whose target has nothing parked. */
  readonly acknowledge: Acknowledgement | null;
  readonly limit: number;
  /** All tables that may have entries. */
  readonly tables: readonly MatchedTable[];
  /** Ids, at the source, of those that a batch has been read from this way. */
  readonly ready: ReadonlySet<number>;
  /** Whether the asking to be told of commits ends (see `hushWake`). */
  readonly hush: boolean;
}

/** A batch that came whole, in one message. */
export interface SmallBatch {
  readonly state: SourceState;
  /** Null: nothing was written since that the target is sent, and there is no batch. */
  readonly token: string | null;
  /** Whether what was written then was passed over. */
  readonly passed: boolean;
  readonly to: Position;
  readonly horizon: string;
  readonly tables: readonly SmallTable[];
}

/** The rows of one table in a small batch. */
export interface SmallTable {
  readonly table: MatchedTable;
  readonly known: Position | null;
  /** Each as a record of the target's staging table, in text. */
  readonly rows: readonly string[];
}

/** How a small batch is to be applied. */
export interface SmallApply {
  readonly batch: SmallBatch & { readonly token: string };
  readonly from: Position;
  readonly held: string;
  readonly skewMs: number;
  readonly reach: Reach;
}

/** What applying a small batch led to. */
export interface SmallResult {
  readonly seen: Position;
  readonly tables: readonly TableCounts[];
  /** The target's clock, in milliseconds since 1970. */
  readonly clock: number;
}

/** What a source has for its target: nothing; only what that hears from others; or something. */
export type Found = "nothing" | "passed" | "changes";

/** A look of a source at itself. */
export interface Look {
  readonly found: Found;
  readonly now: Position;
  readonly incarnation: string;
}

/** A key that a target has parked. */
export interface ParkedRow {
  readonly schema: string;
  readonly table: string;
  readonly key: readonly string[];
}

/** What is staged for one table. */
export interface StagedTable {
  readonly shape: TableShape;
  readonly columns: readonly string[];
  readonly asText: boolean;
  readonly copyFormat: "text" | "binary";
  readonly known: Position | null;
}

/**
 * Up to when a target has all from its source, by the target's clock: whatever was committed at the source before `asOf` is in
 * what the round reads, and before `since` in what an earlier one has applied (null: it is not known here).
 */
export interface Reach {
  /** Milliseconds since 1970. */
  readonly asOf: number;
  readonly since: number | null;
}

/** How a staged batch is to be applied. */
export interface ApplyRequest {
  readonly mode: "batch" | "copy" | "alone";
  readonly staging: string;
  readonly from: Position;
  readonly to: Position;
  readonly token: string | null;
  readonly horizon: string;
  readonly cut: boolean;
  readonly skewMs: number;
  readonly reach: Reach;
  readonly copy: (TableName & { readonly upto: readonly string[] | null; readonly done: boolean }) | null;
  readonly released: readonly TableName[];
  readonly tables: readonly StagedTable[];
  /** The last call for this staging was not complete, and this is its `step`: what it could not write is parked without a further try. */
  readonly again?: number | null;
  /** Rows whose entries the source was asked to settle, and could not, wait. */
  readonly unsettled?: "park";
}

/** What became of the staged rows of a table: applied + adopted + superseded + parked + undecided = staged. */
export interface TableCounts extends TableName {
  readonly staged: number;
  readonly applied: number;
  readonly deleted: number;
  readonly adopted: number;
  readonly superseded: number;
  readonly parked: number;
  readonly undecided: number;
}

/** What applying a batch led to. */
export interface ApplyResult {
  /** False: locks would have been held too long; apply the same staging again. */
  readonly complete: boolean;
  /** If not complete: how many rows the search for those at fault tries at a time, to go on from there. */
  readonly step: number | null;
  /** Not empty: nothing was done; the source must write fresh entries for these keys. */
  readonly unsettled: readonly TableKeys[];
  readonly undecided: number;
  readonly conflicts: number;
  /** Where the target stood at the commit. */
  readonly seen: Position;
  readonly tables: readonly TableCounts[];
  readonly parked: readonly ParkedRow[];
  /** Tables that do not flow with the link. */
  readonly held: readonly HeldTable[];
}

/** What applying would do with a table. */
export interface TablePreview extends TableName {
  readonly insert: number;
  readonly update: number;
  readonly delete: number;
  readonly conflict: number;
  readonly refuse: number;
}

/** A staging session: the link is taken until it ends. */
export interface Staging {
  readonly id: string;
  /** Those of the tables that are tracked here. */
  readonly shapes: readonly TableShape[];
  /** Fills the emptied staging table; returns how many rows there were. `rows` is called once all is ready: a stream that nobody reads holds up its connection. */
  fill(table: Omit<StagedTable, "known">, rows: () => Promise<Rows>, append: boolean): Promise<number>;
  /** Keys the source must be asked for before anything is decided. */
  closure(tables: readonly StagedTable[]): Promise<readonly AskedKeys[]>;
  /** Those of the keys of a staged table of which no row is staged yet. */
  unstaged(keys: TableKeys): Promise<TableKeys["keys"]>;
}
