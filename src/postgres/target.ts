import { randomUUID } from "node:crypto";
import type { Writable } from "node:stream";
import type { Target } from "../base/ends.ts";
import type {
  ApplyRequest,
  ApplyResult,
  AskedKeys,
  LinkState,
  Position,
  Reach,
  Reconciled,
  Rows,
  SmallApply,
  SmallResult,
  SourceState,
  StagedTable,
  Staging,
  TableKeys,
  TableName,
  TablePreview,
  TableShape,
  VanishedTable,
} from "../base/exchange.ts";
import type { Connection, ExecResult, Row } from "../db/connection.ts";
import { quoteIdent, quoteLiteral } from "../db/quote.ts";
import { pinnedSettings } from "../db/session.ts";
import { sqlState } from "../db/sqlstate.ts";
import { execWhole, inTransaction } from "../db/transaction.ts";
import { carry } from "./copy.ts";
import {
  beginDurable,
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

/** How long an applier waits for another one that writes the same blocks out, in milliseconds. */
const writeOutTimeoutMs = 60_000;

/** The document that `tandem.inbound_state` answers with. */
interface InboundState extends Omit<LinkState, "clock"> {
  readonly peer: number;
  readonly clock: string;
}

/** The document that `tandem.apply_small` answers with. */
interface SmallDocument extends Omit<SmallResult, "clock" | "tables"> {
  readonly complete: boolean;
  readonly clock: string;
  readonly tables: Readonly<Record<string, SmallResult["tables"][number]>>;
}

type AppliedDocument = Omit<ApplyResult, "tables"> & {
  readonly tables: Readonly<Record<string, ApplyResult["tables"][number]>>;
};

/**
 * How long staging waits behind a table that somebody has locked, in milliseconds. The source reads in a transaction that is open
 * meanwhile, and whoever changes a table's shape there waits for its end: two links in opposite directions and two such
 * changes would wait for each other in a circle that no server sees.
 */
const tableTimeoutMs = 500;

const readWrite = "begin isolation level read committed read write;";

/** A staged table as the SQL side wants it. */
const planned = ({ shape, columns, asText, known }: StagedTable) => ({
  id: shape.id,
  mark: shape.mark,
  columns,
  as_text: asText,
  known,
});

/** The moments as PostgreSQL reads them. */
const instants = ({ asOf, since }: Reach) => ({
  asOf: new Date(asOf).toISOString(),
  since: since === null ? null : new Date(since).toISOString(),
});

/** A PostgreSQL database as the target of a link. */
export class PostgresTarget implements Target {
  readonly name: string;
  readonly #connection: Connection;
  readonly #source: string;
  /** The source's id in the target. */
  #peer = 0;
  /** How long this applier waits for another one of the same link, in milliseconds. */
  readonly #lockTimeout: number;

  constructor(connection: Connection, source: string, lockTimeout = 30_000) {
    this.#connection = connection;
    this.name = connection.node;
    this.#source = source;
    this.#lockTimeout = lockTimeout;
  }

  /** In one message: what the link knows is read once the source has been recognized. */
  async meet(source: SourceState): Promise<LinkState> {
    const met = this.#meetCall(source);
    const state = step("target-state", `select ${this.#stateCall}::text as answer`);
    const [row] = await call(this.#connection, "meet", `${met};\n${state}`);
    return this.#read(row);
  }

  async state(): Promise<LinkState> {
    const [row] = await call(this.#connection, "target-state", `select ${this.#stateCall}::text as answer`);
    return this.#read(row);
  }

  #meetCall(source: SourceState): string {
    return `select tandem.meet(${quoteLiteral(this.name)}, ${quoteLiteral(this.#source)}, ${jsonLiteral(source)})`;
  }

  get #stateCall(): string {
    return `tandem.inbound_state(${quoteLiteral(this.#source)})`;
  }

  /** The session takes the role that it will apply in, but not behind a pooler: the next client to use it would write in this role. */
  get #takeRole(): string {
    return this.#connection.pooled ? "" : "select tandem.try_replica_role(true);";
  }

  #read(row: Row | undefined): LinkState {
    const { peer, clock, ...state } = JSON.parse(row?.answer ?? "null") as InboundState;
    this.#peer = peer;
    return { ...state, clock: Date.parse(clock) };
  }

  async reconcile(source: readonly TableShape[]): Promise<Reconciled> {
    const sql = `tandem.reconcile_tables(${this.#peer}, ${jsonLiteral(source)})`;
    return await callJson<Reconciled>(this.#connection, "reconcile", sql);
  }

  async keysThere(table: TableName, known: Position, after: readonly string[] | null, rows: number) {
    const sql = `(select tandem.keys_there(${this.#peer}, t.table_id, ${quoteLiteral(known)}, ${textArray(after)}, ${rows})
      from tandem.tracked_table t where (t.schema_name, t.table_name) = ${nameLiteral(table)})`;
    return await callJson<{ keys: string[][]; upto: string[] | null }>(this.#connection, "reconcile", sql);
  }

  async noteAsked(table: VanishedTable): Promise<void> {
    const sql = `update tandem.inbound_table set vanished_seen = ${table.vanished}
      where peer_id = ${this.#peer} and (schema_name, table_name) = ${nameLiteral(table)}`;
    await call(this.#connection, "note", sql);
  }

  async copyOrder(tables: readonly TableName[]): Promise<readonly TableName[]> {
    const names = jsonLiteral(tables.map(({ schema, name }) => ({ schema, name })));
    const sql = `(select coalesce(jsonb_agg(jsonb_build_object('schema', e ->> 'schema', 'name', e ->> 'table') order by i), '[]')
      from jsonb_array_elements(tandem.parents_first((select coalesce(jsonb_agg(jsonb_build_object('id', t.table_id, 'schema', t.schema_name, 'table', t.table_name)), '[]')
        from tandem.tracked_table t join jsonb_array_elements(${names}) n on (n ->> 'schema', n ->> 'name') = (t.schema_name, t.table_name)))) with ordinality x (e, i))`;
    return await callJson<TableName[]>(this.#connection, "describe", sql);
  }

  /** One transaction, which holds the link: what is staged in it is seen by nobody before it ends, and would be gone with a crash in any case. */
  async stage<T>(tables: readonly TableName[], body: (staging: Staging) => Promise<T>): Promise<T> {
    const id = randomUUID();
    const named = tables.map((table) => `(${quoteLiteral(table.schema)}, ${quoteLiteral(table.name)})`);
    const ids =
      named.length === 0
        ? "'{}'::integer[]"
        : `array(select table_id from tandem.tracked_table where (schema_name, table_name) in (${named.join(", ")}))`;
    const begin = `${readWrite}\n${pinnedSettings(this.#connection.serverVersion)}
      ${keepPlans}
      set local lock_timeout = ${this.#lockTimeout};
      set local idle_in_transaction_session_timeout = '${longestPause}';
      set local synchronous_commit = off;
      ${this.#takeRole}
      ${step("stage-begin", `select tandem.begin_stage(${this.#peer}, ${quoteLiteral(id)})`)};
      set local lock_timeout = ${tableTimeoutMs};
      ${step("describe", `select tandem.describe_tables(${ids})::text as shapes`)}`;
    return await inTransaction(this.#connection, begin, (_, opened) =>
      body({
        id,
        shapes: JSON.parse(opened.at(-1)?.rows[0]?.shapes ?? "[]") as TableShape[],
        fill: (table, rows, append) => this.#fill(table, rows, append),
        closure: (tables) => this.#closure(tables),
        unstaged: (keys) => this.#unstaged(keys),
      }),
    );
  }

  /**
   * BEGIN, the whole of the applying and COMMIT travel in one message: from the first row lock on, nothing waits for
   * the network.
   */
  async apply(request: ApplyRequest): Promise<ApplyResult> {
    const { serverVersion } = this.#connection;
    const document = jsonLiteral(this.#document(request));
    const applied = `${beginDurable(serverVersion)}
      ${step("apply", `select tandem.apply_batch(${document})::text as answer`)};\ncommit`;
    // Only where there is anything: most batches meet none.
    const writtenOut = (all: boolean) => `${beginUnhurried(serverVersion)}
      set local lock_timeout = ${writeOutTimeoutMs};
      ${step("tidy", `select tandem.write_out_for(${document}, ${all})`)};\ncommit;`;
    let answers: ExecResult[];
    let all = false;
    for (let attempt = 1; ; attempt++) {
      try {
        answers = await execWhole(this.#connection, attempt === 1 ? applied : `${writtenOut(all)}\n${applied}`);
        break;
      } catch (error) {
        const state = sqlState(error) ?? "";
        if (!["TD013", "TD014"].includes(state) || attempt === 5) throw error;
        all = state === "TD014" || attempt > 1;
      }
    }
    const { tables, ...result } = JSON.parse(answers.at(-2)?.rows[0]?.answer ?? "null") as AppliedDocument;
    return { ...result, tables: Object.values(tables ?? {}) };
  }

  async applySmall({ batch, from, held, skewMs, reach }: SmallApply): Promise<SmallResult | null> {
    const { state, tables, ...rest } = batch;
    const document = {
      ...this.#links({ skewMs, reach }),
      ...rest,
      from,
      held,
      tables: tables.map(({ table: { target, columns }, ...rows }) => ({
        id: target.id,
        mark: target.mark,
        columns,
        ...rows,
      })),
    };
    let answers: ExecResult[];
    try {
      answers = await execWhole(
        this.#connection,
        `${beginDurable(this.#connection.serverVersion)}
        set local lock_timeout = ${this.#lockTimeout};
        ${this.#takeRole}
        ${step("meet", this.#meetCall(state))};
        ${step("small-apply", `select tandem.apply_small(${jsonLiteral(document)})::text as answer`)};\ncommit`,
      );
    } catch (error) {
      // Whatever it is, the usual way meets it again and says what it is.
      if (this.#connection.broken || sqlState(error) === undefined) throw error;
      return null;
    }
    const {
      complete,
      clock,
      seen,
      tables: counts,
    } = JSON.parse(answers.at(-2)?.rows[0]?.answer ?? "null") as SmallDocument;
    return complete ? { seen, clock: Date.parse(clock), tables: Object.values(counts) } : null;
  }

  async preview(request: ApplyRequest): Promise<readonly TablePreview[]> {
    const answers = await execWhole(
      this.#connection,
      `${readWrite}\n${pinnedSettings(this.#connection.serverVersion)}
      ${step("preview", `select tandem.preview_batch(${jsonLiteral(this.#document(request))})::text as answer`)};\nrollback`,
    );
    const { tables } = JSON.parse(answers.at(-2)?.rows[0]?.answer ?? "null") as { tables: TablePreview[] };
    return tables;
  }

  async parkedCount(): Promise<number> {
    const sql = `to_jsonb((select count(*) from tandem.parked_change where peer_id = ${this.#peer}))`;
    return await callJson<number>(this.#connection, "target-state", sql);
  }

  async noteError(error: string | null): Promise<void> {
    const sql = `select tandem.note_error(${this.#peer}, ${error === null ? "null" : quoteLiteral(error)})`;
    await call(this.#connection, "note", sql);
  }

  async noteCaughtUp(reach: Reach): Promise<void> {
    const { asOf, since } = instants(reach);
    const moments = [asOf, since].map((moment) => (moment === null ? "null" : quoteLiteral(moment))).join(", ");
    await call(this.#connection, "note", `select tandem.note_caught_up(${this.#peer}, ${moments})`);
  }

  async tidy(): Promise<boolean> {
    return await callJson<boolean>(this.#connection, "tidy", "to_jsonb(tandem.tidy())");
  }

  async noteHeartbeat(beat: string, tookMs: number): Promise<boolean> {
    const took = `${Math.max(tookMs, 0) / 1_000} seconds`;
    const values = [this.#peer, quoteLiteral(beat), quoteLiteral(took)].join(", ");
    return await callJson<boolean>(this.#connection, "note", `tandem.note_heartbeat(${values})`);
  }

  #document({ tables, skewMs, reach, ...request }: ApplyRequest): object {
    return { ...request, ...this.#links({ skewMs, reach }), tables: tables.map(planned) };
  }

  /** What every batch says of its link. */
  #links({ skewMs, reach }: Pick<ApplyRequest, "skewMs" | "reach">): object {
    return { ...instants(reach), peer: this.#peer, source: this.#source, skew: `${skewMs / 1_000} seconds` };
  }

  async #fill(table: Omit<StagedTable, "known">, rows: () => Promise<Rows>, append: boolean): Promise<number> {
    const columns = `array[${table.columns.map(quoteLiteral).join(", ")}]::text[]`;
    const sql = `select tandem.prepare_stage(${this.#peer}, ${table.shape.id}, ${columns}, ${table.asText}, ${append}) as stage`;
    // Each end prepares its own side meanwhile.
    const [prepared, read] = await Promise.allSettled([this.#connection.query(step("stage-prepare", sql)), rows()]);
    if (read.status === "rejected") throw read.reason;
    const from = read.value;
    let to: Writable;
    try {
      if (prepared.status === "rejected") throw prepared.reason;
      const [row] = prepared.value;
      const into = `${row?.stage} (${from.columns.map(quoteIdent).join(", ")})`;
      to = this.#connection.copyIn(step("stage-rows", `copy ${into} from stdin (format ${table.copyFormat})`));
    } catch (error) {
      from.copy.destroy();
      throw error;
    }
    const count = await carry(from.copy, to);
    if (table.asText) {
      const aside = `select tandem.set_misfits_aside(${this.#peer}, ${table.shape.id}, ${columns})`;
      await this.#connection.query(step("stage-misfits", aside));
    }
    return count;
  }

  async #unstaged({ schema, name, keys }: TableKeys): Promise<TableKeys["keys"]> {
    const call = `tandem.unstaged_keys(${this.#peer}, ${quoteLiteral(schema)}, ${quoteLiteral(name)}, ${jsonLiteral(keys)})`;
    const [row] = await this.#connection.query(step("closure", `select ${call}::text as keys`));
    return JSON.parse(row?.keys ?? "[]") as TableKeys["keys"];
  }

  async #closure(tables: readonly StagedTable[]): Promise<readonly AskedKeys[]> {
    const plans = `tandem.make_plans(${this.#peer}, ${jsonLiteral(tables.map(planned))}, false)`;
    const [row] = await this.#connection.query(step("closure", `select tandem.closure(${plans})::text as keys`));
    return JSON.parse(row?.keys ?? "[]") as AskedKeys[];
  }
}
