import type pg from "pg";
import type { Link } from "../../src/link/link.ts";
import { sql } from "../support/pg.ts";
import type { Transaction } from "../support/random-writes.ts";
import { logsOf } from "./checks.ts";
import type { Coverage } from "./coverage.ts";
import type { HistoryNode, HistoryNodes } from "./nodes.ts";
import type { Plan } from "./plan.ts";

// Far more than any history needs: reaching it is a failure of its own.
const mostPasses = 40;
const mostRounds = 400;

/** Runs a seed's writes and syncs, then syncs until nothing moves. Returns what was done, line by line. */
export class History {
  readonly trace: string[] = [];
  readonly #plan: Plan;
  readonly #nodes: readonly HistoryNode[];
  readonly #links: readonly Link[];
  readonly #coverage: Coverage;
  /** How each node's open transaction will end. */
  readonly #open = new Map<HistoryNode, "commit" | "rollback">();

  constructor(plan: Plan, { nodes, links }: HistoryNodes, coverage: Coverage) {
    this.#plan = plan;
    this.#nodes = nodes;
    this.#links = links;
    this.#coverage = coverage;
  }

  async run(): Promise<void> {
    for (const step of this.#plan.steps) {
      if (step.kind === "write") await this.#write(this.#nodes[step.node]!, step.transaction);
      else await this.#round(this.#links[step.link]!);
    }
    for (const node of this.#open.keys()) await this.#finish(node);
  }

  async #write(node: HistoryNode, transaction: Transaction): Promise<void> {
    // what stayed open ends before the next one does
    if (transaction.open !== "no" && this.#open.has(node)) await this.#finish(node);
    const client = transaction.open === "no" ? node.application : node.slow;
    const statements = transaction.statements.flatMap(({ kind, sql: text, rolledBack }) => {
      const attempt = `do $do$ declare n bigint; begin
          execute $write$${text}$write$; get diagnostics n = row_count;
          if n > 0 ${kind === "truncate" ? "or true" : ""} then perform set_config('prop.done', concat(current_setting('prop.done', true), ',${kind}'), true); end if;
        exception when others then perform set_config('prop.failed', concat(current_setting('prop.failed', true), ',${kind} ', sqlstate), true); end $do$`;
      return rolledBack ? ["savepoint s", attempt, "rollback to s"] : [attempt];
    });
    const done = "select current_setting('prop.done', true) as done, current_setting('prop.failed', true) as failed";
    this.trace.push(`${node.name}: begin (${transaction.open === "no" ? "commit" : `open, ${transaction.open}`})`);
    for (const { sql: text, rolledBack } of transaction.statements)
      this.trace.push(`    ${rolledBack ? "[rolled back] " : ""}${text}`);
    if (transaction.open !== "no") {
      const [row] = await sql(client, ["begin", ...statements, done].join(";\n"));
      this.trace.push(`    done ${row?.done}; failed ${row?.failed}`);
      this.#open.set(node, transaction.open);
      this.#coverage.count("transaction", "open over syncs");
      this.#counted(row?.done);
      return;
    }
    try {
      const [row] = await sql(client, ["begin", ...statements, done, "commit"].join(";\n"));
      this.trace.push(`    done ${row?.done}; failed ${row?.failed}`);
      this.#counted(row?.done);
      if (transaction.statements.some(({ rolledBack }) => rolledBack))
        this.#coverage.count("transaction", "savepoint rolled back");
      if (transaction.statements.length > 1) this.#coverage.count("transaction", "several statements");
    } catch (error) {
      await this.#refused(client, error);
    }
  }

  #counted(done: string | null | undefined): void {
    for (const kind of (done ?? "").split(",").filter(Boolean)) this.#coverage.count("write", kind);
  }

  /** A deferred constraint refuses at the commit: that is the application's own affair. */
  async #refused(client: pg.Client, error: unknown): Promise<void> {
    const { code = "" } = error as { code?: string };
    await client.query("rollback");
    this.trace.push(`    refused: ${code} ${(error as Error).message}`);
    if (!code.startsWith("23") && code !== "55P03" && code !== "40P01") throw error;
  }

  async #finish(node: HistoryNode): Promise<void> {
    const end = this.#open.get(node);
    this.#open.delete(node);
    if (!end) return;
    this.trace.push(`${node.name}: ${end} of the open transaction`);
    try {
      await node.slow.query(end);
    } catch (error) {
      await this.#refused(node.slow, error);
    }
  }

  async #round(link: Link): Promise<boolean> {
    const name = `${link.source.name} → ${link.target.name}`;
    try {
      const result = await link.round();
      this.trace.push(`round ${name}: ${JSON.stringify(result)}`);
      if (!result.reached) this.#coverage.count("batch", "not reached in one round");
      return result.worked;
    } catch (error) {
      this.trace.push(`round ${name} failed: ${error}`);
      throw error;
    }
  }

  /**
   * Rounds over all links until nothing moves; parked rows are tried again at each pass. Where they stay parked, rest
   * is when two passes leave the same entries and the same rows parked: whether that may be is for the caller to say.
   */
  async quiesce(): Promise<Rest> {
    let last = "";
    for (let pass = 1; pass <= mostPasses; pass++) {
      let moved = false;
      for (const { looking } of this.#nodes)
        await looking.query("update tandem.parked_change set next_try_at = '-infinity'");
      for (const link of this.#links) {
        let rounds = 0;
        while (await this.#round(link)) {
          moved = true;
          if (++rounds > mostRounds)
            throw new Error(`the link ${link.source.name} → ${link.target.name} does not come to rest`);
        }
      }
      if (!moved) return { passes: pass, parked: [] };
      const parked = (await Promise.all(this.#nodes.map(parkedAt))).flat();
      const state = JSON.stringify([
        parked,
        await Promise.all(this.#nodes.map(async (node) => (await logsOf(node)).length)),
      ]);
      if (parked.length > 0 && state === last) return { passes: pass, parked };
      last = state;
    }
    throw new Error(`the nodes do not come to rest within ${mostPasses} passes`);
  }
}

/** How a history came to rest. */
export interface Rest {
  readonly passes: number;
  /** Why rows stay parked, one line each. */
  readonly parked: readonly string[];
}

async function parkedAt({ name, looking }: HistoryNode): Promise<string[]> {
  const rows = await sql(
    looking,
    `select format('%s: %s %s from %s: %s', kind, "table", key, peer, reason) as line from tandem.parked order by 1`,
  );
  return rows.map(({ line }) => `${name}: ${line}`);
}
