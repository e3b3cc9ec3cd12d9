import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { connectClient } from "../support/client.ts";
import type { Random } from "../support/seed.ts";
import type { FaultNode } from "./support.ts";

export const schema = `
  create table account (id int primary key, balance int not null, note text);
  create table entry (id int primary key, account_id int not null references account on delete cascade, amount int);
  insert into account select g, 0, 'first' from generate_series(1, 30) g`;

/** Sessions of the application that this file opens. */
const applicationName = "contender";

/**
 * Writers never lock in a circle among themselves: each takes its locks of tables first, account before entry, as strong as it will
 * need them, then those of rows in the order of their keys, each once.
 */
const lock = (mode: string) => `lock table account in ${mode} mode; lock table entry in row exclusive mode`;
const ddl = [
  "alter table account alter note set default 'x'",
  "create index if not exists by_balance on account (balance)",
  "drop index if exists by_balance",
  "alter table entry alter amount set default 1",
  "alter table entry set (fillfactor = 90)",
];
const tableLocks = ["share row exclusive", "exclusive", "access exclusive"];
const levels = ["read committed", "repeatable read", "serializable"];

/** A row was changed, or a parent deleted, since the transaction read it: every application begins such a one again. */
const lostRaces = ["40001", "23503"];

/** One session that writes transactions, long and short ones, until it has committed as many as it was told. */
export class Contender {
  readonly #random: Random;
  readonly #url: string;
  #nextEntry: number;
  committed = 0;
  again = 0;
  /** What ended one of its transactions otherwise, the server's detail with it. */
  readonly errors: string[] = [];

  /** `entries`: the keys it gives to rows of its own begin here. */
  constructor(url: string, random: Random, entries: number) {
    this.#url = url;
    this.#random = random;
    this.#nextEntry = entries;
  }

  async run(transactions: number): Promise<void> {
    const client = await connectClient(this.#url, applicationName);
    try {
      while (this.committed < transactions) {
        try {
          await this.#transaction(client);
          this.committed++;
        } catch (error) {
          const { code, message, detail } = error as pg.DatabaseError;
          if (lostRaces.includes(code ?? "")) this.again++;
          else {
            this.errors.push(`${code} ${message}: ${detail}`);
            this.committed++;
          }
          await client.query("rollback");
        }
      }
    } finally {
      await client.end();
    }
  }

  async #transaction(client: pg.Client): Promise<void> {
    const random = this.#random;
    if (random.chance(0.06)) {
      await client.query(`begin; lock table account in access exclusive mode; ${random.pick(ddl)}; commit`);
      return;
    }
    await client.query(`begin isolation level ${random.pick(levels)}`);
    if (random.chance(0.15)) {
      await client.query(lock(random.pick(tableLocks)));
      await client.query("update account set balance = balance + 1 where id <= 30");
    } else await client.query(lock("row exclusive"));
    const ids = new Set(Array.from({ length: random.int(1, 5) }, () => random.int(1, random.chance(0.3) ? 45 : 30)));
    for (const id of [...ids].sort((a, b) => a - b)) {
      await client.query(this.#statement(id));
      if (random.chance(0.5)) await sleep(random.int(0, 40));
    }
    if (random.chance(0.06)) await sleep(random.int(200, 1_500));
    await client.query(random.chance(0.1) ? "rollback" : "commit");
  }

  /** Rows from 31 on come and go. */
  #statement(id: number): string {
    const random = this.#random;
    const update = `update account set balance = balance + 1, note = '${random.int(1, 1_000)}' where id = ${id}`;
    const insert = `insert into account values (${id}, 0, 'new') on conflict (id) do nothing`;
    const entry = `insert into entry select ${this.#nextEntry++}, id, 1 from account where id = ${id}`;
    const rowLock = `select from account where id = ${id} for ${random.pick(["update", "no key update", "share", "key share"])}`;
    return random.pick(
      id > 30
        ? [update, insert, insert, entry, `delete from account where id = ${id}`]
        : [update, update, entry, rowLock],
    );
  }
}

/** How long sessions of the application wait for one of Tandem's, seen by looking again and again. */
export class HoldUps {
  /** By session and statement: when it was first and last seen to wait, in milliseconds. */
  readonly #seen = new Map<string, { first: number; last: number }>();
  #over = false;
  readonly #done: Promise<unknown>;

  constructor(nodes: readonly FaultNode[]) {
    this.#done = Promise.all(nodes.map((node) => this.#watch(node)));
  }

  async #watch(node: FaultNode): Promise<void> {
    const client = await connectClient(node.superUrl, "hold-ups");
    while (!this.#over) {
      const { rows } = await client.query<{ wait: string; at: string }>(
        `select concat_ws(' ', a.pid, a.query_start) as wait, extract(epoch from clock_timestamp()) * 1000 as at from pg_stat_activity a
         where a.application_name = '${applicationName}' and a.wait_event_type = 'Lock'
           and exists (select from pg_stat_activity b where b.pid = any (pg_blocking_pids(a.pid)) and b.application_name like 'tandem/%')`,
      );
      for (const { wait, at } of rows) {
        const key = `${node.name} ${wait}`;
        this.#seen.set(key, { first: this.#seen.get(key)?.first ?? Number(at), last: Number(at) });
      }
      await sleep(10);
    }
    await client.end();
  }

  /** Stops looking. `longestMs` is short by the time between two looks, some 20 ms. */
  async end(): Promise<{ waits: number; longestMs: number }> {
    this.#over = true;
    await this.#done;
    const lengths = [...this.#seen.values()].map(({ first, last }) => last - first);
    return { waits: lengths.length, longestMs: Math.round(Math.max(0, ...lengths)) };
  }
}
