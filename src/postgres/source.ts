import type { Source } from "../base/ends.ts";
import { TandemError } from "../base/errors.ts";
import type {
  BatchRequest,
  HeldTable,
  Look,
  OpenBatch,
  ParkedRow,
  Position,
  ReadRequest,
  Rows,
  SmallBatch,
  SmallRequest,
  SourceState,
  TableKeys,
  TableName,
  TableShape,
} from "../base/exchange.ts";
import type { Connection } from "../db/connection.ts";
import { quoteLiteral } from "../db/quote.ts";
import { pinnedSettings } from "../db/session.ts";
import { sqlState } from "../db/sqlstate.ts";
import { execWhole, inTransaction } from "../db/transaction.ts";
import { lockAtOnce, lockWithin, TablesBusy, waitUntilFree } from "./read-locks.ts";
import { type OutboundState, readSmall } from "./read-small.ts";
import {
  beginUnhurried,
  call,
  callJson,
  jsonLiteral,
  keepPlans,
  longestPause,
  nameLiteral,
  step,
  textArray,
} from "./session.ts";

const nullable = (value: string | null): string => (value === null ? "null" : quoteLiteral(value));
const intArray = (values: readonly number[]): string => `'{${values.join(",")}}'::integer[]`;

// The application's writers queue behind whoever waits to mend a trigger.
const watchTimeoutMs = 500;

/** What a whole batch needs, as `tandem.batch_header` gives it. */
interface Header {
  readonly horizon: string;
  readonly vector: boolean;
  readonly known: Readonly<Record<string, Position | null>>;
}

/** Of a batch's request what says which tables it concerns. */
type TablesRequest = Pick<BatchRequest, "from" | "own" | "tables" | "onlyThese">;

/** The tables of a reading transaction. */
interface Locked {
  readonly ids: number[];
  /** Each table with its log, as LOCK takes them. */
  readonly relations: string[];
}

/** Ends the asking to be told of commits. */
const hushed = step("wake", "select tandem.hush_wake()");

/** Raised inside a reading transaction when a table without a lock turns out to have entries. */
class MoreTables extends Error {}

/** A PostgreSQL database as the source of a link. */
export class PostgresSource implements Source {
  readonly name: string;
  readonly pooled: boolean;
  readonly #connection: Connection;
  readonly #target: string;
  /** The target's id in the source. */
  #peer = 0;
  /** What the last look for entries has found, for the reading that follows at once; only a hint (see MoreTables). */
  #looked: { readonly from: Position; readonly locked: Locked } | null = null;
  /** What is locked to read a table: itself with its log, by the table's id. */
  readonly #relations = new Map<number, string>();
  /** How long reading waits behind DDL, in milliseconds: for each table while it holds none, and for all together when it locks them. */
  readonly #lockTimeout: number;

  constructor(connection: Connection, target: string, lockTimeout = 2_000) {
    this.#connection = connection;
    this.name = connection.node;
    this.pooled = connection.pooled;
    this.#target = target;
    this.#lockTimeout = lockTimeout;
  }

  async state(): Promise<SourceState> {
    const sql = `tandem.source_state(${quoteLiteral(this.name)}, ${quoteLiteral(this.#target)})`;
    return this.#stateOf(await callJson<OutboundState>(this.#connection, "source-state", sql));
  }

  #stateOf({ peer, clock, snapshot, ...state }: OutboundState): SourceState {
    this.#peer = peer;
    return { ...state, clock: Date.parse(clock), now: snapshot };
  }

  async watch(): Promise<number> {
    return await callJson<number>(
      this.#connection,
      "watch",
      `(select to_jsonb(tandem.watch()) from set_config('lock_timeout', '${watchTimeoutMs}', true))`,
    );
  }

  async shapes(): Promise<readonly TableShape[]> {
    return await callJson<TableShape[]>(this.#connection, "describe", "tandem.describe_tables()");
  }

  async contactFits(token: string | null): Promise<boolean> {
    const sql = `to_jsonb(coalesce(tandem.contact_fits(${this.#peer}, ${nullable(token)}::uuid), false))`;
    return await callJson<boolean>(this.#connection, "contact", sql);
  }

  async offerContact(token: string | null): Promise<string> {
    const sql = `to_jsonb(tandem.offer_contact(${this.#peer}, ${nullable(token)}::uuid))`;
    return await callJson<string>(this.#connection, "contact", sql);
  }

  async lookFrom(from: Position): Promise<Look> {
    const found = `(with x as materialized (select * from tandem.entries_for(${quoteLiteral(from)}, ${this.#peer}))
      select jsonb_build_object('now', pg_current_snapshot()::text, 'incarnation', (select n.incarnation from tandem.local_node n),
        'passed', exists (select from x), 'locked', case when (select bool_or(sent) from x) then ${this.#toLock("array(select table_id from x)", from, false)} end))`;
    const { locked, passed, ...here } = await this.#followed(() =>
      callJson<Omit<Look, "found"> & { passed: boolean; locked: Locked | null }>(this.#connection, "probe", found),
    );
    if (locked === null) return { ...here, found: passed ? "passed" : "nothing" };
    this.#looked = { from, locked: this.#learn(locked) };
    return { ...here, found: "changes" };
  }

  /**
   * Opens a reading transaction: locks first, then the one snapshot that everything is read in. Which tables to lock
   * is looked up beforehand; where the snapshot shows entries in another one, it is begun anew with that one too. Tables that
   * are not all free at once are waited for one by one, before it begins anew.
   */
  async read<T>(request: BatchRequest, body: (batch: OpenBatch) => Promise<T>): Promise<T> {
    let busy = false;
    const plain = request.own.length === 0 && request.tables.length === 0;
    let looked = plain && this.#looked?.from === request.from ? this.#looked.locked : null;
    this.#looked = null;
    for (let attempt = 0; attempt < 10; attempt++) {
      try {
        return await this.#followed(async () => {
          const locked = looked ?? (await this.#tablesToRead(request));
          looked = null;
          if (busy) await waitUntilFree(this.#connection, locked.relations, this.#lockTimeout);
          return await this.#readLocked(request, locked, busy, body);
        });
      } catch (error) {
        if (error instanceof TablesBusy) busy = true;
        else if (!(error instanceof MoreTables)) throw error;
      }
    }
    throw new TandemError("serialization", `node ${this.name}: tables kept changing while a batch was opened`, {
      node: this.name,
    });
  }

  /**
   * A log that goes away while it is looked for (a table is not tracked any more) is a change of shape, after which the link begins
   * anew; one that is missing is a failure.
   */
  async #followed<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (sqlState(error) !== "42P01" || !(error instanceof TandemError) || error.node !== this.name) throw error;
      const complete = `to_jsonb(not exists (select from tandem.tracked_table t
        where to_regclass(format('tandem_log.%I', t.log_name)) is null))`;
      if (!(await callJson<boolean>(this.#connection, "probe", complete))) throw error;
      const message = `node ${this.name}: a table that was read is not tracked any more`;
      throw new TandemError("shape_changed", message, { node: this.name, cause: error });
    }
  }

  async readSmall(request: SmallRequest): Promise<SmallBatch | null> {
    const relations = request.tables.flatMap(({ source }) => this.#relations.get(source.id) ?? []);
    if (relations.length < request.tables.length) return null;
    const found = await readSmall(this.#connection, request, {
      target: this.#target,
      hush: request.hush ? `${hushed};\n` : "",
      lock: `${step("small-begin", this.#beginReading(this.#lockTimeout))}\n${lockAtOnce(relations)}`,
    });
    return found && { ...found, state: this.#stateOf(found.state) };
  }

  async settle(keys: readonly TableKeys[], wait: boolean): Promise<number> {
    let left = 0;
    for (const table of keys) {
      const locked = await this.#settle(table, table.keys, false);
      if (!wait) left += locked.length;
      else for (const key of locked) left += (await this.#settle(table, [key], true)).length;
    }
    return left;
  }

  async #settle(table: TableName, keys: TableKeys["keys"], wait: boolean): Promise<TableKeys["keys"]> {
    const sql = `(select tandem.settle(table_id, ${jsonLiteral(keys)}, ${wait}) from tandem.tracked_table
      where (schema_name, table_name) = ${nameLiteral(table)})`;
    return (await callJson<TableKeys["keys"] | null>(this.#connection, "settle", sql)) ?? [];
  }

  async known(table: TableName): Promise<Position | null> {
    const sql = `(select tandem.batch_header(${this.#peer}, array[t.table_id]) -> 'known' -> t.table_id::text
      from tandem.tracked_table t where (t.schema_name, t.table_name) = ${nameLiteral(table)})`;
    return await callJson<Position | null>(this.#connection, "source-state", sql);
  }

  async logMissing(table: TableName, keys: readonly (readonly string[])[]): Promise<void> {
    const sql = `select tandem.log_missing(t.table_id, ${jsonLiteral(keys)}) from tandem.tracked_table t
      where (t.schema_name, t.table_name) = ${nameLiteral(table)}`;
    await call(this.#connection, "settle", sql);
  }

  async confirm(position: Position, token: string, seen: Position, parked: readonly ParkedRow[]): Promise<void> {
    const sql = `select tandem.confirm(${this.#peer}, ${quoteLiteral(position)}, ${quoteLiteral(token)},
      ${quoteLiteral(seen)}, ${jsonLiteral(parked)})`;
    await call(this.#connection, "confirm", sql);
  }

  async noteHeld(tables: readonly HeldTable[]): Promise<void> {
    const sql = `select tandem.note_held(${this.#peer}, ${jsonLiteral(tables.map(({ schema, name, position }) => ({ schema, name, position })))})`;
    await call(this.#connection, "confirm", sql);
  }

  /** Not through a pooler: the session that listens would be anybody's. */
  async listen(told: () => void): Promise<boolean> {
    if (this.pooled) return false;
    this.#connection.onNotification(told);
    await this.#connection.exec(step("wake", "listen tandem"));
    return true;
  }

  /** Whether it is asked for or not may be lost with a crash: nothing is waited for. */
  async askWake(ms: number): Promise<boolean> {
    const sql = step("wake", `select tandem.ask_wake(${ms})::text as stood`);
    const begin = beginUnhurried(this.#connection.serverVersion);
    const answers = await execWhole(this.#connection, `${begin}\n${sql};\ncommit`);
    return answers.at(-2)?.rows[0]?.stood === "true";
  }

  async hushWake(): Promise<void> {
    await execWhole(this.#connection, `${beginUnhurried(this.#connection.serverVersion)}\n${hushed};\ncommit`);
  }

  #changedTables({ from, own, onlyThese }: TablesRequest): string {
    if (onlyThese) return "select null::integer as id where false";
    const owned = own.map(
      (table) => `union select table_id from tandem.tracked_table
        where (schema_name, table_name) = (${quoteLiteral(table.schema)}, ${quoteLiteral(table.name)})`,
    );
    return `select tandem.tables_with_entries(${quoteLiteral(from)}) as id ${owned.join(" ")}`;
  }

  /** What to lock, looked up in a transaction of its own: reading the catalog takes a snapshot, LOCK does not. */
  async #tablesToRead(request: TablesRequest): Promise<Locked> {
    const named = request.tables.map(
      (table) => `union select table_id from tandem.tracked_table
        where (schema_name, table_name) = (${quoteLiteral(table.schema)}, ${quoteLiteral(table.name)})`,
    );
    const keys = request.own.length > 0 || request.tables.length > 0;
    const sql = this.#toLock(`array(${this.#changedTables(request)} ${named.join(" ")})`, request.from, keys);
    return this.#learn(await callJson<Locked>(this.#connection, "probe", sql));
  }

  /** Query for what is to be locked for these tables, as Locked. */
  #toLock(tables: string, from: Position, keys: boolean): string {
    return `(select jsonb_build_object('ids', to_jsonb(x.ids), 'relations', tandem.relations_to_lock(x.ids),
        'written', tandem.write_out_before(x.ids, ${quoteLiteral(from)}, ${this.#peer}, ${keys}))
      from (select tandem.related_tables(${tables}) as ids offset 0) x)`;
  }

  #learn(locked: Locked): Locked {
    locked.ids.forEach((id, i) => {
      const relation = locked.relations[i];
      if (relation !== undefined) this.#relations.set(id, relation);
    });
    return locked;
  }

  /**
   * Where nobody is waited for, all of it up to the first look travels in one message. No statement that takes a snapshot may come before
   * the locks: not even `select 1`.
   */
  async #readLocked<T>(
    request: BatchRequest,
    { ids, relations }: Locked,
    busy: boolean,
    body: (batch: OpenBatch) => Promise<T>,
  ): Promise<T> {
    const connection = this.#connection;
    const begin = step("read-begin", this.#beginReading(this.#lockTimeout));
    const end = step(
      "read-end",
      `with changed as (${this.#changedTables(request)})
      select tandem.describe_tables(${intArray(ids)})::text as shapes, tandem.batch_header(${this.#peer}, ${intArray(ids)})::text as header,
        (select coalesce(jsonb_agg(id), '[]') from changed)::text as changed, b.position_to::text as position_to, b.cut::text as cut
      from ${request.onlyThese ? "(select pg_current_snapshot() as position_to, false as cut)" : `tandem.batch_end(${quoteLiteral(request.from)}, ${intArray(ids)}, ${request.limit})`} b`,
    );
    const opening = busy ? begin : `${begin}\n${lockAtOnce(relations)}\n${end}`;
    let open = false;
    const opened = inTransaction(connection, opening, async (_, answers) => {
      open = true;
      if (busy && relations.length > 0) await lockWithin(connection, relations, this.#lockTimeout);
      const row = busy ? (await connection.query(end))[0] : answers.at(-1)?.rows[0];
      const changed = JSON.parse(row?.changed ?? "[]") as number[];
      if (changed.some((id) => !ids.includes(id))) throw new MoreTables();
      const shapes = JSON.parse(row?.shapes ?? "[]") as TableShape[];
      const header = JSON.parse(row?.header ?? "{}") as Header;
      const to = row?.position_to ?? request.from;
      return await body({
        to,
        cut: row?.cut === "true",
        tables: shapes,
        changed: shapes.filter((table) => changed.includes(table.id)),
        horizon: header.horizon,
        known: (table) => header.known[table.id] ?? null,
        bound: (table, after, rows) => this.#bound(table, after, rows),
        rows: (read) => this.#rows(read, to, request.allVersions ? "all" : header.vector ? "newest" : null),
        referring: (to) => this.#referring(to),
      });
    });
    return await opened.catch((error: unknown) => {
      if (!open && !busy && sqlState(error) === "55P03") throw new TablesBusy();
      throw error;
    });
  }

  #beginReading(lockTimeout: number): string {
    return `begin isolation level repeatable read read only;\n${pinnedSettings(this.#connection.serverVersion)}
      set local lock_timeout = ${lockTimeout};
      set local idle_in_transaction_session_timeout = '${longestPause}'; ${keepPlans}`;
  }

  async #bound(table: TableShape, after: readonly string[] | null, rows: number): Promise<readonly string[] | null> {
    const sql = `select to_jsonb(tandem.copy_bound(${table.id}, ${textArray(after)}, ${rows}))::text as bound`;
    const [row] = await this.#connection.query(step("read-rows", sql));
    return row?.bound ? (JSON.parse(row.bound) as string[]) : null;
  }

  async #referring({ schema, name, keys }: TableKeys): Promise<readonly TableKeys[]> {
    const sql = `select tandem.referring_keys(${quoteLiteral(schema)}, ${quoteLiteral(name)}, ${jsonLiteral(keys)})::text as keys`;
    const [row] = await this.#connection.query(step("read-rows", sql));
    return JSON.parse(row?.keys ?? "[]") as TableKeys[];
  }

  async #rows(
    { table, columns, unplaced, copyFormat, what }: ReadRequest,
    to: Position,
    versions: "all" | "newest" | null,
  ): Promise<Rows> {
    const vector = nullable(versions);
    const lists = `${textArray(columns)}, ${textArray(unplaced)}`;
    const query =
      what.kind === "range"
        ? `tandem.copy_query(${table.id}, ${this.#peer}, ${textArray(what.after)}, ${textArray(what.upto)}, ${lists}, ${vector})`
        : `tandem.batch_query(${table.id}, ${what.kind === "changes" ? quoteLiteral(what.from) : "null"}, ${quoteLiteral(to)}, ${this.#peer},
            ${lists}, ${jsonLiteral(what.keys)}, ${vector}, ${what.kind === "asked"})`;
    const [row] = await this.#connection.query(step("read-rows", `select ${query}::text as sent`));
    const sent = JSON.parse(row?.sent ?? "null") as { query: string; columns: string[] };
    const copy = this.#connection.copyOut(step("read-rows", `copy (${sent.query}) to stdout (format ${copyFormat})`));
    return { copy, columns: sent.columns };
  }
}
