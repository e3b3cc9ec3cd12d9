import type { Config, NodeConfig } from "../config/config.ts";
import { parseNodeUrl } from "../config/url.ts";
import { connect } from "../db/connect.ts";
import type { Connection, Param, Row } from "../db/connection.ts";
import { pinnedSettings } from "../db/session.ts";
import { sqlState } from "../db/sqlstate.ts";
import { type NodeFacts, readFacts } from "./facts.ts";
import { chosenTables, type DoctorTable } from "./tables.ts";

/** What the URL says of the way; no part of it is secret. */
export interface NodeAddress {
  /** As the URL names it; `host` is where we go, which may be its address. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** The URL leads, by all appearance, through a pooler. */
  readonly pooled: boolean;
}

/** Nobody waits long for the doctor, nor behind it. */
const limits = "set local lock_timeout = '2s'; set local statement_timeout = '15s';";

/** One node under examination. Everything is asked in transactions that are rolled back. */
export class DoctorNode implements AsyncDisposable {
  readonly name: string;
  readonly address: NodeAddress;
  readonly connection: Connection;
  readonly facts: NodeFacts;
  readonly #config: Config;
  readonly #node: NodeConfig;
  #tables: Promise<readonly DoctorTable[]> | undefined;
  #replicaRole: Promise<boolean> | undefined;

  private constructor(node: NodeConfig, config: Config, connection: Connection, facts: NodeFacts) {
    const { host, hostAddress, port, pooled } = parseNodeUrl(node.url);
    this.name = node.name;
    this.address = { name: host, host: hostAddress ?? host, port, pooled };
    this.connection = connection;
    this.facts = facts;
    this.#config = config;
    this.#node = node;
  }

  /** Connects and asks what nearly every check needs. */
  static async open(node: NodeConfig, config: Config, signal?: AbortSignal): Promise<DoctorNode> {
    const connection = await connect(node, "doctor", { signal });
    try {
      return new DoctorNode(node, config, connection, await looking(connection, readFacts));
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** A further connection to the same URL; the caller closes it. */
  connectAgain(signal?: AbortSignal): Promise<Connection> {
    return connect(this.#node, "doctor", { signal });
  }

  /** Asks in a read-only transaction. */
  look<T>(body: (tx: Connection) => Promise<T>): Promise<T> {
    return looking(this.connection, body);
  }

  /** One question in a transaction of its own. */
  query<T extends object = Row>(sql: string, params: readonly Param[] = []): Promise<T[]> {
    return this.look((tx) => tx.query<T>(sql, params));
  }

  /** Tries what Tandem will do later, and takes it back. A server in recovery refuses this. */
  attempt<T>(body: (tx: Connection) => Promise<T>): Promise<T> {
    return rolledBack(this.connection, "read write", body);
  }

  /** Every ordinary table, each with what `tandem migrate` would make of it. Read once. */
  tables(): Promise<readonly DoctorTable[]> {
    this.#tables ??= this.look((tx) => chosenTables(tx, this.#config, this.facts.installed === "usable"));
    return this.#tables;
  }

  /** The tables that are to be the same on all nodes. */
  async tracked(): Promise<readonly DoctorTable[]> {
    return (await this.tables()).filter(({ decision }) => decision === "track");
  }

  /** Whether the role may set session_replication_role; tried once. */
  mayReplicate(): Promise<boolean> {
    this.#replicaRole ??= this.attempt((tx) => allowed(tx, "set local session_replication_role = replica"));
    return this.#replicaRole;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.connection.close();
  }
}

/** Whether the server lets us; only a missing right counts as no, any other failure is thrown. */
export async function allowed(tx: Connection, statement: string): Promise<boolean> {
  try {
    await tx.exec(statement);
    return true;
  } catch (error) {
    if (sqlState(error) === "42501") return false;
    throw error;
  }
}

function looking<T>(connection: Connection, body: (tx: Connection) => Promise<T>): Promise<T> {
  return rolledBack(connection, "read only", body);
}

async function rolledBack<T>(
  connection: Connection,
  mode: "read only" | "read write",
  body: (tx: Connection) => Promise<T>,
): Promise<T> {
  await connection.exec(
    `begin isolation level read committed ${mode};\n${pinnedSettings(connection.serverVersion)}\n${limits}`,
  );
  try {
    return await body(connection);
  } finally {
    // What remains open would be committed by nobody, but would hold locks.
    if (!connection.broken) await connection.exec("rollback").catch(() => connection.destroy());
  }
}
