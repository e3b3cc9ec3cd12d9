import { TandemError } from "../base/errors.ts";
import type { Position, TableShape } from "../base/exchange.ts";
import { withRetry } from "../base/retry.ts";
import type { Clock } from "../base/time.ts";
import type { NodeConfig } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import type { Connection, Row } from "../db/connection.ts";
import { quoteIdent, quoteLiteral } from "../db/quote.ts";
import { pinnedSettings } from "../db/session.ts";
import { checkCompat } from "../install/compat.ts";
import { jsonLiteral } from "./session.ts";

/** A tracked table as verify sees it in one node. */
export interface VerifyTable extends TableShape {
  readonly keyTypes: readonly string[];
  /** Its log, quoted. */
  readonly log: string;
  /** `newest`, or `prefer: <node>`. */
  readonly policy: string;
}

/** What verify must know of a node. */
export interface VerifyOverview {
  readonly name: string;
  readonly encoding: string;
  readonly tables: readonly VerifyTable[];
}

/** What is compared of a table: columns that all nodes have, and those of them whose type is the same everywhere. */
export interface VerifySpec {
  readonly id: number;
  readonly columns: readonly string[];
  readonly typed: readonly string[];
  readonly portable: boolean;
}

/** A place where rows of a table lie: the table, or a leaf of it. */
export interface Extent {
  /** Quoted. */
  readonly relation: string;
  /** Another one once the table was rewritten. */
  readonly file: string | null;
  readonly blocks: number | null;
  readonly rows: number;
}

/** A piece of an extent that is read in one transaction. */
export interface Piece extends Extent {
  readonly from: number;
  /** Null: to the end, wherever it is by then. */
  readonly to: number | null;
}

/** How far a link into a node has come with a table. */
export interface VerifyLink {
  readonly source: string;
  readonly position: Position | null;
  readonly state: "flow" | "copy" | "held" | "catch_up" | "new";
  readonly reason: string | null;
}

/** A change that a node has parked. */
export interface ParkedThere {
  readonly source: string;
  readonly kind: string;
  readonly reason: string;
}

/** What one look at a key of one node showed. */
export interface Look {
  /** The key as the row has it; null: there is no row. Equal keys may be written differently (1 and 1.00). */
  readonly key: string | null;
  readonly hash: string | null;
  /** Of the newest entry, microseconds and origin; empty when there is none. */
  readonly version: string;
  /** Of that entry: `D` says that the row is gone. */
  readonly op: string | null;
  readonly xid: string | null;
  readonly receivedFrom: string | null;
  /** The targets that have not applied all that was entered here. */
  readonly pending: readonly string[];
  readonly parked: readonly ParkedThere[];
}

/** A row that a repair concerns, as it was looked at. */
export interface RepairRow {
  readonly key: readonly string[];
  readonly hash: string | null;
  readonly version: string;
  /** Of the fresh entry, in microseconds. */
  readonly stamp: string;
}

/** An image, its arrays as the database writes them; null texts: there is no row. */
export interface RepairImage {
  readonly columns: string | null;
  readonly texts: string | null;
}

/** The table was rewritten while it was read in pieces: its rows lie elsewhere now. */
export class Rewritten extends Error {}

/** How a node is read. */
export interface VerifyNodeOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

// Behind DDL; then the lock is asked for again, so that nobody queues behind us for long.
const lockTimeoutMs = 2_000;
const retryDelays = [100, 500, 2_000, 5_000, 5_000];

/**
 * A node as verify reads it. Every call is a transaction of its own that may be repeated, over another connection too:
 * no provider's limit on transactions or sessions ends a verify. Only what repairs writes; before keys are looked at, entries that lie
 * many in a row are written out as entries of their own, which says nothing else.
 */
export class VerifyNode implements AsyncDisposable {
  readonly name: string;
  readonly #config: NodeConfig;
  readonly #options: VerifyNodeOptions;
  #connection: Connection | null = null;

  constructor(config: NodeConfig, options: VerifyNodeOptions) {
    this.name = config.name;
    this.#config = config;
    this.#options = options;
  }

  /** Connects, and sees that Tandem is installed here in this version. */
  async open(): Promise<void> {
    await this.#open();
  }

  async overview(): Promise<VerifyOverview> {
    const [row] = await this.#read("verify-overview", [], "tandem.verify_overview()::text as answer");
    const overview = JSON.parse(row?.answer ?? "null") as VerifyOverview;
    if (overview.name === this.name) return overview;
    throw new TandemError("identity_mismatch", `node ${this.name}: the database is node "${overview.name}"`, {
      node: this.name,
    });
  }

  /** Runs a query that reads catalogs and Tandem's own tables. */
  async catalog(query: string): Promise<readonly Row[]> {
    return await this.#read("verify-catalog", [], `q.* from (${query}) q`);
  }

  async extent(table: VerifyTable): Promise<readonly Extent[]> {
    const [row] = await this.#read(
      "verify-extent",
      [relationOf(table)],
      `tandem.verify_extent(${table.id})::text as answer`,
    );
    return JSON.parse(row?.answer ?? "[]") as Extent[];
  }

  /** Sums per bucket of one piece, as `bucket,rows,sum,sum;…`. */
  async buckets(spec: VerifySpec, piece: Piece, buckets: number): Promise<string> {
    const call = `tandem.verify_buckets(${this.#pieceArguments(spec, piece, buckets)})`;
    const [row] = await this.#read("verify-buckets", [`only ${piece.relation}`], `${call} as sums, ${fileOf(piece)}`);
    if (row?.file !== piece.file) throw new Rewritten();
    return row?.sums ?? "";
  }

  /** Keys (JSON) and hashes of the rows in the wanted buckets, of one piece. */
  async keys(
    spec: VerifySpec,
    piece: Piece,
    buckets: number,
    wanted: string,
  ): Promise<readonly (readonly [string, string])[]> {
    const call = `tandem.verify_keys(${this.#pieceArguments(spec, piece, buckets)}, B'${wanted}')`;
    const rows = await this.#read(
      "verify-keys",
      [`only ${piece.relation}`],
      `k.key, k.hash, f.file from (select ${fileOf(piece)} offset 0) f left join ${call} k on true`,
    );
    if (rows[0]?.file !== piece.file) throw new Rewritten();
    return rows.flatMap(({ key, hash }) => (key != null && hash != null ? [[key, hash] as const] : []));
  }

  async links(table: VerifyTable): Promise<readonly VerifyLink[]> {
    const names = `${quoteLiteral(table.schema)}, ${quoteLiteral(table.name)}`;
    const [row] = await this.#read("verify-links", [], `tandem.verify_links(${names})::text as answer`);
    return JSON.parse(row?.answer ?? "[]") as VerifyLink[];
  }

  /** Entries that lie many in a row in a table's log are written out: else each key that is looked at would go through all of them. */
  async writeOut(table: VerifyTable): Promise<void> {
    await this.#write("verify-look", [], `tandem.write_out(${table.id})::text`);
  }

  /** One look at keys (JSON each), in one snapshot; `targets`: how far those that this node sends to have come. */
  async look(
    table: VerifyTable,
    spec: VerifySpec,
    keys: readonly string[],
    targets: readonly { readonly target: string; readonly position: Position | null }[],
  ): Promise<readonly Look[]> {
    const call = `tandem.verify_look(${jsonLiteral(spec)}, ${quoteLiteral(`[${keys.join(",")}]`)}::jsonb, ${jsonLiteral(targets)})`;
    const rows = await this.#read("verify-look", [relationOf(table), table.log], `l.* from ${call} l order by l.n`);
    return rows.map((row) => ({
      key: row.key ?? null,
      hash: row.hash ?? null,
      version: row.version ?? "",
      op: row.op ?? null,
      xid: row.xid ?? null,
      receivedFrom: row.received_from ?? null,
      pending: row.pending ? row.pending.split(",") : [],
      parked: row.parked ? (JSON.parse(row.parked) as ParkedThere[]) : [],
    }));
  }

  /** A stamp for a change that this node would make now, in microseconds. */
  async repairStamp(): Promise<bigint> {
    const [row] = await this.#read("repair-stamp", [], "tandem.repair_stamp()::text as stamp");
    return BigInt(row?.stamp ?? 0);
  }

  /** The images that are to be written anew, by their place in `rows`; rows that are not as they were looked at are missing. */
  async repairImages(
    table: VerifyTable,
    spec: VerifySpec,
    rows: readonly RepairRow[],
  ): Promise<ReadonlyMap<number, RepairImage>> {
    const call = `tandem.repair_images(${jsonLiteral(spec)}, ${jsonLiteral(rows)})`;
    const found = await this.#read(
      "repair-images",
      [relationOf(table), table.log],
      `r.n::text, r.columns::text, r.texts::text from ${call} r`,
    );
    return new Map(
      found.map(({ n, columns, texts }) => [Number(n) - 1, { columns: columns ?? null, texts: texts ?? null }]),
    );
  }

  /** Keeps the images that `winner` is going to overwrite here; returns, by the place in `rows`, the conflict or null where it was kept before. */
  async repairKeep(
    table: VerifyTable,
    spec: VerifySpec,
    rows: readonly (RepairRow & RepairImage)[],
    winner: string,
  ): Promise<ReadonlyMap<number, string | null>> {
    const call = `tandem.repair_keep(${jsonLiteral(spec)}, ${jsonLiteral(rows)}, ${quoteLiteral(winner)})`;
    const kept = await this.#write(
      "repair-keep",
      [relationOf(table), table.log],
      `r.n::text, r.conflict_id::text from ${call} r`,
    );
    return new Map(kept.map(({ n, conflict_id }) => [Number(n) - 1, conflict_id ?? null]));
  }

  /** Enters rows into the log anew; returns the places of those that were as they were looked at. */
  async repairAnew(table: VerifyTable, spec: VerifySpec, rows: readonly RepairRow[]): Promise<ReadonlySet<number>> {
    const call = `tandem.repair_anew(${jsonLiteral(spec)}, ${jsonLiteral(rows)})`;
    const [row] = await this.#write("repair-anew", [relationOf(table), table.log], `to_jsonb(${call})::text as done`);
    return new Set((JSON.parse(row?.done ?? "[]") as number[]).map((n) => n - 1));
  }

  async repairForget(ids: readonly string[]): Promise<void> {
    await this.#write("repair-forget", [], `tandem.repair_forget('{${ids.join(",")}}')::text`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection?.close();
    this.#connection = null;
  }

  async #open(): Promise<Connection> {
    if (this.#connection && !this.#connection.broken) return this.#connection;
    await this.#connection?.close();
    this.#connection = await connect(this.#config, "verify", { signal: this.#options.signal });
    await checkCompat(this.#connection);
    return this.#connection;
  }

  #pieceArguments(spec: VerifySpec, piece: Piece, buckets: number): string {
    return `${jsonLiteral(spec)}, ${quoteLiteral(piece.relation)}, ${piece.from}, ${piece.to ?? "null"}, ${buckets}`;
  }

  /**
   * One reading transaction, in one message: the locks come before the statement that takes the snapshot (LOCK and SET
   * take none), or a table rewritten in between would read as empty.
   */
  async #read(step: string, locks: readonly string[], what: string): Promise<readonly Row[]> {
    return await this.#call("repeatable read read only", step, locks, what);
  }

  /** One writing transaction. Where the answer was lost it is made again, and finds the rows changed by itself. */
  async #write(step: string, locks: readonly string[], what: string): Promise<readonly Row[]> {
    return await this.#call("read committed read write", step, locks, what);
  }

  async #call(mode: string, step: string, locks: readonly string[], what: string): Promise<readonly Row[]> {
    const { clock, signal } = this.#options;
    return await withRetry(
      async () => {
        const connection = await this.#open();
        const lock = locks.length > 0 ? `lock table ${locks.join(", ")} in access share mode;` : "";
        // A statement that waits or counts is not waited for: the server ends it by itself, soon.
        const stop = () => connection.destroy();
        signal?.addEventListener("abort", stop, { once: true });
        try {
          const answers = await connection.exec(
            `begin isolation level ${mode};\n${pinnedSettings(connection.serverVersion)}
            set local lock_timeout = ${lockTimeoutMs};\nset local jit = off;\n${lock}\n/* tandem:${step} */ select ${what};\ncommit`,
          );
          return answers.at(-2)?.rows ?? [];
        } catch (error) {
          if (signal?.aborted)
            throw new TandemError("stopped", "verify was stopped before it was done", { cause: error });
          if (!connection.broken) await connection.exec("rollback").catch(() => connection.destroy());
          throw error;
        } finally {
          signal?.removeEventListener("abort", stop);
        }
      },
      { clock, signal, delays: retryDelays },
    );
  }
}

const relationOf = (table: VerifyTable): string => `${quoteIdent(table.schema)}.${quoteIdent(table.name)}`;

const fileOf = ({ relation }: Piece): string =>
  `pg_relation_filenode(${quoteLiteral(relation)}::regclass)::text as file`;
