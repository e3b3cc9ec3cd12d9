import type pg from "pg";
import { sql } from "../support/pg.ts";

/** What a batch brought. */
export interface Batch {
  from: string;
  to: string;
  cut: boolean;
  /** `table xid k1 op`, once for each entry. */
  entries: string[];
}

/** Reads batches as the applier does: a position, and from it to where `tandem.batch_end` says. */
export class BatchReader {
  position = "1:1:";
  readonly #client: pg.Client;

  constructor(client: pg.Client) {
    this.#client = client;
  }

  /** Reads the next batch and moves on; throws where the new position does not contain the old one. */
  async next(limit = 1_000_000): Promise<Batch> {
    await this.#client.query("begin isolation level repeatable read read only");
    try {
      const from = this.position;
      const tables = await sql(
        this.#client,
        `select t.table_id, t.table_name, t.entries_name from tandem.tables_with_entries($1) x join tandem.tracked_table t on t.table_id = x`,
        [from],
      );
      const ids = `{${tables.map(({ table_id }) => table_id).join(",")}}`;
      const [end] = await sql(
        this.#client,
        `select position_to::text as to, cut, tandem.between($1, position_to) as condition from tandem.batch_end($1, $2, $3)`,
        [from, ids, limit],
      );
      const entries: string[] = [];
      for (const { table_name, entries_name } of tables) {
        const rows = await sql(
          this.#client,
          `select concat_ws(' ', l.xid, l.k1, l.op) as e from tandem_log."${entries_name}" l where ${end!.condition}`,
        );
        entries.push(...rows.map(({ e }) => `${table_name} ${e}`));
      }
      const batch = { from, to: end!.to!, cut: end!.cut === "t", entries };
      await this.#check(
        batch,
        tables.map(({ entries_name }) => entries_name!),
      );
      this.position = batch.to;
      return batch;
    } finally {
      await this.#client.query("commit");
    }
  }

  /** Reads batches until one is not cut. */
  async drain(limit?: number): Promise<Batch[]> {
    const batches: Batch[] = [];
    do batches.push(await this.next(limit));
    while (batches.at(-1)!.cut);
    return batches;
  }

  /** To contains from; a condition says what the snapshots say; no progress would be no end. */
  async #check({ from, to, cut, entries }: Batch, logs: string[]): Promise<void> {
    const [row] = await sql(
      this.#client,
      `select pg_snapshot_xmax($1) <= pg_snapshot_xmax($2) as further, pg_snapshot_xmax($2) <= pg_snapshot_xmax(pg_current_snapshot()) as not_beyond,
         not exists (select from pg_snapshot_xip($2) x where pg_visible_in_snapshot(x, $1)) as contained,
         not exists (select from pg_snapshot_xip(pg_current_snapshot()) x where pg_visible_in_snapshot(x, $2)) as finished,
         -- the parts of a snapshot that PostgreSQL itself would refuse
         $2::text = ($2::text)::pg_snapshot::text and pg_snapshot_xmin($2) <= pg_snapshot_xmax($2)
           and not exists (select from pg_snapshot_xip($2) x where x < pg_snapshot_xmin($2) or x >= pg_snapshot_xmax($2)) as sound`,
      [from, to],
    );
    const wrong = Object.entries(row!).filter(([, holds]) => holds !== "t");
    if (wrong.length) throw new Error(`from ${from} to ${to}: not ${wrong.map(([name]) => name).join(", ")}`);
    let expected = 0;
    for (const log of logs) {
      const [{ n } = { n: "0" }] = await sql(
        this.#client,
        `select count(*) as n from tandem_log."${log}" l where pg_visible_in_snapshot(l.xid, $2) and not pg_visible_in_snapshot(l.xid, $1)`,
        [from, to],
      );
      expected += Number(n);
    }
    if (expected !== entries.length)
      throw new Error(`from ${from} to ${to}: ${entries.length} entries, ${expected} by the snapshots`);
    if (cut && entries.length === 0) throw new Error(`from ${from} to ${to}: cut, and nothing delivered`);
  }
}
