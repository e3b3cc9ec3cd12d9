import type {
  ApplyRequest,
  ApplyResult,
  BatchRequest,
  HeldTable,
  LinkState,
  Look,
  OpenBatch,
  ParkedRow,
  Position,
  Reach,
  Reconciled,
  SmallApply,
  SmallBatch,
  SmallRequest,
  SmallResult,
  SourceState,
  Staging,
  TableKeys,
  TableName,
  TablePreview,
  TableShape,
  VanishedTable,
} from "./exchange.ts";

/** Where changes come from. One owner, one call at a time. */
export interface Source {
  readonly name: string;
  /**
   * Whether a session of a server that is gone may be taken for one of the server that came after it. Then what was seen there and has not been
   * brought to the disk since must not be built upon: a crash gives the ids of transactions that left nothing there to others.
   */
  readonly pooled: boolean;
  state(): Promise<SourceState>;
  /** Closes ways around capture; returns how many tables needed it. */
  watch(): Promise<number>;
  shapes(): Promise<readonly TableShape[]>;
  contactFits(token: string | null): Promise<boolean>;
  offerContact(token: string | null): Promise<string>;
  /** What was written since `from`; cheap. A `read` from there that follows begins with what it has seen. */
  lookFrom(from: Position): Promise<Look>;
  read<T>(request: BatchRequest, body: (batch: OpenBatch) => Promise<T>): Promise<T>;
  /**
   * A small batch in one message; null where there is something that only `read` can do. A token that it offers is not confirmed
   * by anything but the `acknowledge` of the next one, or `confirm`.
   */
  readSmall(request: SmallRequest): Promise<SmallBatch | null>;
  /** Writes fresh entries for rows whose entries and image disagree. Locked ones are left, with `wait` after 700 ms each: how many. */
  settle(keys: readonly TableKeys[], wait: boolean): Promise<number>;
  /** How far it has applied the target for one table; null while it does not simply flow. */
  known(table: TableName): Promise<Position | null>;
  /** Enters deletions of those of these keys that have no row here. */
  logMissing(table: TableName, keys: readonly (readonly string[])[]): Promise<void>;
  confirm(position: Position, token: string, seen: Position, parked: readonly ParkedRow[]): Promise<void>;
  /** Notes all tables that the target does not let flow: what they wait with is pending. */
  noteHeld(tables: readonly HeldTable[]): Promise<void>;
  /** Has `told` called, while it is asked to, when changes are committed here; false where nobody can be told. Once for a connection. */
  listen(told: () => void): Promise<boolean>;
  /** Asks to be told of commits for at least half of `ms` milliseconds. False: nobody had, so what has begun to write by now may end without a word. */
  askWake(ms: number): Promise<boolean>;
  /** Ends the asking. */
  hushWake(): Promise<void>;
}

/** Where changes go to. One owner, one call at a time. */
export interface Target {
  readonly name: string;
  /** Sees that it is itself the database it was, and recognizes the source by what that one says of itself; then as `state`. */
  meet(source: SourceState): Promise<LinkState>;
  state(): Promise<LinkState>;
  /** Brings the tables the link knows up to date with what the source tracks. */
  reconcile(source: readonly TableShape[]): Promise<Reconciled>;
  /** Keys in a range of rows that a source which has applied `known` must have, and the key the range ends at; null: the last. */
  keysThere(
    table: TableName,
    known: Position,
    after: readonly string[] | null,
    rows: number,
  ): Promise<{ readonly keys: readonly (readonly string[])[]; readonly upto: readonly string[] | null }>;
  /** The source has been asked for all rows of a table. */
  noteAsked(table: VanishedTable): Promise<void>;
  /** The tables in the order in which they are best copied: parents first. */
  copyOrder(tables: readonly TableName[]): Promise<readonly TableName[]>;
  /** `tables`: those of which anything may be staged. */
  stage<T>(tables: readonly TableName[], body: (staging: Staging) => Promise<T>): Promise<T>;
  apply(request: ApplyRequest): Promise<ApplyResult>;
  /** Applies a small batch whose rows are all simply written, in one message; else does nothing and says null. */
  applySmall(request: SmallApply): Promise<SmallResult | null>;
  preview(request: ApplyRequest): Promise<readonly TablePreview[]>;
  /** How many rows wait, parked, whether their next try has come or not. */
  parkedCount(): Promise<number>;
  noteError(error: string | null): Promise<void>;
  /** Notes, for status, that the source holds nothing for it now. */
  noteCaughtUp(reach: Reach): Promise<void>;
  /** Writes some blocks out as entries; whether there are more. */
  tidy(): Promise<boolean>;
  /** Whether that heartbeat of the source has come; if so, it keeps how long it took, in milliseconds. */
  noteHeartbeat(beat: string, tookMs: number): Promise<boolean>;
}
