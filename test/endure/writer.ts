import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { connectClient, sql } from "../support/client.ts";
import type { Random } from "../support/seed.ts";

/** The tables that the writers write. */
export const schema = `
  create table ledger (node text, n int, words text not null, primary key (node, n));
  create table account (id text primary key, total bigint not null, words text);
  create table shared (id int primary key, node text not null, total bigint not null);
  insert into account values ('local', 0), ('external', 0);
  insert into shared select i, 'local', 0 from generate_series(1, 20) i;`;

/**
 * An application on one node: it writes some ten transactions a second, is thrown out when the server goes, comes back when
 * it can, and remembers what was acknowledged to it.
 */
export class Writer implements AsyncDisposable {
  readonly #url: string;
  readonly #node: string;
  readonly #random: Random;
  readonly #end = new AbortController();
  /** Numbers of the ledger: there, gone, or null where nobody told whether the commit went through. */
  readonly #ledger = new Map<number, "there" | "gone" | null>();
  readonly #done: Promise<void>;
  transactions = 0;
  reconnects = 0;

  constructor(url: string, node: string, random: Random) {
    this.#url = url;
    this.#node = node;
    this.#random = random;
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      let client: pg.Client | null = null;
      try {
        client = await connectClient(this.#url, "endure-writer");
        while (!signal.aborted) {
          await this.#transaction(client);
          await sleep(this.#random.int(60, 120), undefined, { signal }).catch(() => {});
        }
      } catch (error) {
        if (!isLost(error)) throw error;
        this.reconnects++;
        await sleep(200);
      } finally {
        await client?.end().catch(() => {});
      }
    }
  }

  async #transaction(client: pg.Client): Promise<void> {
    const n = this.#ledger.size + 1;
    const old = this.#random.chance(0.2) ? this.#random.int(1, n) : null;
    const gone = old !== null && this.#ledger.get(old) === "there" ? old : null;
    this.#ledger.set(n, null);
    if (gone !== null) this.#ledger.set(gone, null);
    await client.query("begin");
    await client.query("insert into ledger values ($1, $2, $3)", [this.#node, n, `row ${n} of ${this.#node}`]);
    await client.query("update account set total = total + 1, words = $2 where id = $1", [this.#node, `after ${n}`]);
    if (gone !== null) await client.query("delete from ledger where node = $1 and n = $2", [this.#node, gone]);
    if (this.#random.chance(0.02)) {
      const id = this.#random.int(1, 20);
      await client.query("update shared set node = $1, total = total + 1 where id = $2", [this.#node, id]);
    }
    await client.query("commit");
    this.#ledger.set(n, "there");
    if (gone !== null) this.#ledger.set(gone, "gone");
    this.transactions++;
  }

  /** What was acknowledged to it and is not so in a database; empty: nothing is lost. */
  async lostIn(url: string): Promise<string[]> {
    const rows = await sql(url, "select n::text from ledger where node = $1", [this.#node]);
    const there = new Set(rows.map(({ n }) => Number(n)));
    const wrong = [...this.#ledger].filter(([n, state]) => state !== null && (state === "there") !== there.has(n));
    return wrong.map(([n, state]) => `${this.#node} ${n} should be ${state}`);
  }

  /** Ends after the transaction in progress; throws what no restart of a server explains. */
  async stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#done.catch(() => {});
  }
}

/** Whether a restart of the server, and nothing else, is what the error tells of. */
function isLost(error: unknown): boolean {
  const { code = "", message } = error as Error & { code?: string };
  if (/^(57P0[123]|08...|ECONN.*|EPIPE)$/.test(code)) return true;
  return /Connection terminated|not queryable|Client was closed/.test(message);
}
