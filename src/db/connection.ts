import type { Readable, Writable } from "node:stream";
import type pg from "pg";
import { TandemError } from "../base/errors.ts";
import { copyInStream, copyOutStream } from "./copy.ts";
import { endClient, processIdOf, socketOf } from "./driver.ts";
import { type Looked, SilenceWatch } from "./silence.ts";
import { toTandemError } from "./sqlstate.ts";

/** A row as the server writes it: every value is text, or null. Casts are made in SQL, never here. */
export type Row = Readonly<Record<string, string | null>>;

/** What may be given for `$1`. No Date: the driver would write it in the time zone of this process. */
export type Param = string | number | bigint | boolean | null | Buffer | readonly (string | null)[];

/** The answer to one of several statements. */
export interface ExecResult {
  /** The command's tag, `COMMIT`; of a transaction that had failed it is `ROLLBACK`, without an error. */
  readonly command: string;
  readonly rowCount: number | null;
  readonly rows: readonly Row[];
}

/** How the connection is encrypted; null for none. */
export interface Encryption {
  readonly protocol: string;
  /** Whether the certificate chain was checked, and (`full`) the host's name too. */
  readonly verified: "no" | "ca" | "full";
  readonly channelBinding: boolean;
}

/** What `connect` knows of the connection it made. */
export interface ConnectionFacts {
  readonly node: string;
  readonly serverVersion: number;
  readonly encryption: Encryption | null;
  readonly pooled: boolean;
  readonly standby: boolean;
  readonly silentMs: number;
  /** Looks by another connection whether the session with this process id (behind a pooler: any) works on the statement. */
  readonly look: (processId: number | null, sql: string) => Promise<Looked>;
}

/**
 * One session of one node. Its owner closes it; nobody shares it, for what runs on it runs in one transaction.
 * A lost connection is remembered in `broken` and met at the next use: it never ends the process.
 */
export class Connection implements AsyncDisposable {
  readonly node: string;
  /** As `server_version_num`: 150004. */
  readonly serverVersion: number;
  readonly encryption: Encryption | null;
  /** A pooler stands between: every transaction may run in another session, and sessions may be few. */
  readonly pooled: boolean;
  /** The server was in recovery when the session began: it takes no writes. */
  readonly standby: boolean;
  readonly #client: pg.Client;
  readonly #silence: SilenceWatch;
  #lost: TandemError | null = null;
  #closed = false;

  constructor(client: pg.Client, facts: ConnectionFacts) {
    this.#client = client;
    this.node = facts.node;
    this.serverVersion = facts.serverVersion;
    this.encryption = facts.encryption;
    this.pooled = facts.pooled;
    this.standby = facts.standby;
    this.#silence = new SilenceWatch({
      socket: () => socketOf(client),
      silentMs: facts.silentMs,
      look: (sql) => facts.look(facts.pooled ? null : this.processId, sql),
      giveUp: () => this.destroy(new Error("Connection terminated: the network has gone silent")),
    });
    // Without a listener for 'error' Node ends the process when an idle connection is lost.
    client.on("error", (error) => this.#lose(error));
    client.on("end", () => this.#lose(new Error("Connection terminated")));
  }

  /** The backend's process id; behind a pooler it says nothing. */
  get processId(): number {
    return processIdOf(this.#client);
  }

  /** True once nothing more can be done here but to close. */
  get broken(): boolean {
    return this.#lost !== null || this.#closed;
  }

  /** Runs one statement. */
  async query<T extends object = Row>(sql: string, params: readonly Param[] = []): Promise<T[]> {
    const result = await this.#run(sql, () => this.#client.query<T>(sql, [...params]));
    return result.rows;
  }

  /** Runs one or several statements in one message, without parameters; one answer for each statement. */
  async exec(sql: string): Promise<ExecResult[]> {
    const result: pg.QueryResult | pg.QueryResult[] = await this.#run(sql, () => this.#client.query(sql));
    return [result].flat().map(({ command, rowCount, rows }) => ({ command, rowCount, rows }));
  }

  /** `COPY … TO STDOUT` as bytes. Nothing else may run here until the stream has ended. */
  copyOut(sql: string): Readable {
    this.#assertUsable();
    const stream = copyOutStream(sql, {
      wrap: (error) => toTandemError(error, this.node),
      // What the server goes on to send has no reader: the connection can only be thrown away.
      abandoned: () => this.destroy(new Error("Connection terminated: a COPY was abandoned")),
    });
    stream.once("close", this.#silence.await(sql));
    return this.#client.query(stream);
  }

  /** `COPY … FROM STDIN`; `finish` means that the server has taken all. Destroying it makes the COPY fail. */
  copyIn(sql: string): Writable {
    this.#assertUsable();
    const stream = copyInStream(sql, {
      wrap: (error) => toTandemError(error, this.node),
      ended: () => stream.once("close", this.#silence.await(sql)),
    });
    return this.#client.query(stream);
  }

  /** Hears NOTIFY on the channels this session listens to. A hint only: notifications are lost with a connection. */
  onNotification(listener: (channel: string, payload: string) => void): void {
    this.#client.on("notification", ({ channel, payload }) => listener(channel, payload ?? ""));
  }

  /** Says goodbye to the server, as `endClient` does. Never throws. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#lost) return this.destroy();
    await endClient(this.#client);
  }

  /** Cuts the connection at once; a running statement fails, its transaction is rolled back by the server. */
  destroy(error: Error = new Error("Connection terminated")): void {
    this.#lose(error);
    socketOf(this.#client).destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #lose(error: Error): void {
    this.#lost ??= toTandemError(error, this.node);
  }

  #assertUsable(): void {
    if (this.#lost) throw this.#lost;
    if (this.#closed)
      throw new TandemError("connection_lost", `node ${this.node}: the connection was closed`, { node: this.node });
  }

  async #run<T>(sql: string, run: () => Promise<T>): Promise<T> {
    this.#assertUsable();
    const answered = this.#silence.await(sql);
    try {
      return await run();
    } catch (error) {
      throw toTandemError(error, this.node);
    } finally {
      answered();
    }
  }
}
