import type pg from "pg";
import { errorLine, TandemError } from "../../src/base/errors.ts";
import { mendsItself } from "../../src/base/retry.ts";
import { sql } from "../support/pg.ts";
import type { Transaction } from "../support/random-writes.ts";
import { logsOf } from "./checks.ts";
import type { Coverage } from "./coverage.ts";
import type { Faults } from "./faults.ts";
import type { HistoryLink } from "./links.ts";
import type { HistoryNode, HistoryNodes } from "./nodes.ts";
import type { Plan } from "./plan.ts";
import { Written } from "./written.ts";

// Far more than any history needs: reaching it is a failure of its own.
const mostPasses = 40;
const mostRounds = 400;

/** How a history is run. */
export interface HistoryOptions {
  readonly coverage: Coverage;
  /** Null: nothing goes wrong, and a round that fails is a failure of the test. */
  readonly faults: Faults | null;
}

/** Runs a seed's writes and syncs, then syncs until nothing moves. Keeps what was done, line by line. */
export class History {
  readonly trace: string[] = [];
  readonly written: Written;
  readonly #plan: Plan;
  readonly #nodes: readonly HistoryNode[];
  readonly #links: readonly HistoryLink[];
  readonly #coverage: Coverage;
  readonly #faults: Faults | null;
  /** How each node's open transaction will end. */
  readonly #open = new Map<HistoryNode, "commit" | "rollback">();

  constructor(plan: Plan, { nodes, links }: HistoryNodes, { coverage, faults }: HistoryOptions) {
    this.#plan = plan;
    this.#nodes = nodes;
    this.#links = links;
    this.#coverage = coverage;
    this.#faults = faults;
    this.written = new Written(plan.schema, nodes);
  }

  async run(): Promise<void> {
    for (const step of this.#plan.steps) {
      switch (step.kind) {
        case "write":
          await this.#write(this.#nodes[step.node]!, step.transaction);
          break;
        case "sync":
          await this.#rounds([this.#links[step.link]!]);
          break;
        case "together":
          this.#coverage.count("sync", "together");
          await this.#rounds(step.links.map((link) => this.#links[link]!));
          break;
        case "doubled":
          await this.#doubled(this.#links[step.link]!);
          break;
        case "fault": {
          this.trace.push(JSON.stringify(step.fault));
          const lost = await this.#faults?.inject(step.fault, { nodes: this.#nodes, links: this.#links });
          for (const node of lost ?? []) this.#open.delete(node);
          break;
        }
      }
    }
    for (const node of this.#open.keys()) await this.#finish(node);
    await this.#faults?.calm(this.#links);
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
      await this.written.wrote(node);
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
      await this.written.wrote(node);
    } catch (error) {
      await this.#refused(node.slow, error);
    }
  }

  /** A round of each of these, at once. Where faults are injected it may fail, if only in a way that mends itself; then it has worked. */
  async #prune(): Promise<void> {
    for (const { name, looking } of this.#nodes) {
      const [row] = await sql(looking, "select tandem.prune() as n");
      if (row?.n === "0") continue;
      this.trace.push(`${name}: pruned ${row?.n}`);
      this.#coverage.count("prune", "entries", Number(row?.n));
    }
  }

  async #rounds(links: readonly HistoryLink[]): Promise<boolean> {
    if (this.#plan.prune) await this.#prune();
    const ended = await Promise.allSettled(links.map((link) => link.round()));
    let worked = false;
    for (const [i, result] of ended.entries()) {
      const link = links[i]!;
      if (result.status === "fulfilled") {
        this.trace.push(`round ${link.name}: ${JSON.stringify(result.value)}`);
        if (!result.value.reached) this.#coverage.count("batch", "not reached in one round");
        worked ||= result.value.worked;
      } else {
        this.trace.push(`round ${link.name} failed: ${errorLine(result.reason)}`);
        // Begun anew as `tandem sync` and the sidecar do it: an autovacuum that shortens a table locks it for a moment.
        const locked = result.reason instanceof TandemError && result.reason.code === "lock_timeout";
        if (!locked && (this.#faults === null || !mendsItself(result.reason))) throw result.reason;
        if (result.reason instanceof TandemError) this.#coverage.count("round failed", result.reason.code);
        await link.kill();
        worked = true;
      }
    }
    await this.written.carried(links.map(({ target }) => target));
    return worked;
  }

  async #doubled(link: HistoryLink): Promise<void> {
    this.#coverage.count("sync", "doubled");
    const rival = link.rival();
    await this.#rounds([link, rival]);
    await rival.kill();
  }

  /**
   * Rounds over all links until nothing moves; parked rows are tried again at each pass. Where they stay parked, rest
   * is when two passes leave the same entries and the same rows parked: whether that may be is for the caller to say.
   */
  async quiesce(): Promise<Rest> {
    let last = "";
    for (const link of this.#links) link.restful = true;
    for (let pass = 1; pass <= mostPasses; pass++) {
      let moved = false;
      for (const { looking } of this.#nodes)
        await looking.query("update tandem.parked_change set next_try_at = '-infinity'");
      for (const link of this.#links) {
        let rounds = 0;
        while (await this.#rounds([link])) {
          moved = true;
          if (++rounds > mostRounds) throw new Error(`the link ${link.name} does not come to rest`);
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
