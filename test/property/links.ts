import { systemClock } from "../../src/base/time.ts";
import { connect } from "../../src/db/connect.ts";
import type { Connection } from "../../src/db/connection.ts";
import { Link, type RoundResult } from "../../src/link/link.ts";
import type { LinkReport } from "../../src/link/report.ts";
import { PostgresSource } from "../../src/postgres/source.ts";
import { PostgresTarget } from "../../src/postgres/target.ts";
import { sql } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import type { HistoryNode } from "./nodes.ts";

/** How the appliers of a history work. */
export interface LinkWays {
  readonly batchRows: number;
  /** The URL by which appliers reach a node, where they have sessions of their own; else they share the node's one. */
  readonly reach: ((node: HistoryNode) => string) | null;
}

/** One direction of a history, and its applier, which may die and be started again at any moment. */
export class HistoryLink {
  readonly source: HistoryNode;
  readonly target: HistoryNode;
  readonly name: string;
  /** Of every applier there has been. */
  readonly reports: LinkReport[] = [];
  /** Whether positions are moved on at once: else what the target hears from others is passed over now and then. */
  restful = false;
  readonly #ways: LinkWays;
  #purpose: string;
  #link: Link | null = null;
  #rounds = 0;
  readonly #sessions: Connection[] = [];

  constructor(source: HistoryNode, target: HistoryNode, ways: LinkWays) {
    this.source = source;
    this.target = target;
    this.name = `${source.name} → ${target.name}`;
    this.#ways = ways;
    this.#purpose = `history ${source.name} ${target.name}`;
  }

  /** The applier; another one where this one's sessions are lost. */
  async open(): Promise<Link> {
    if (this.#sessions.some(({ broken }) => broken)) await this.kill();
    if (!this.#link) {
      // one by one: where the second cannot be had, the first is there to be ended
      for (const node of [this.source, this.target]) this.#sessions.push(await this.#session(node));
      const [from, to] = this.#sessions as [Connection, Connection];
      const readsAhead = () => this.#rounds % 2 === 0;
      const passesOver = () => !this.restful && this.#rounds % 5 < 3;
      this.#link = new Link(new PostgresSource(from, this.target.name), new PostgresTarget(to, this.source.name), {
        clock: systemClock,
        batchRows: this.#ways.batchRows,
        get readAhead() {
          return readsAhead();
        },
        get moveOnMs() {
          return passesOver() ? 60_000 : undefined;
        },
      });
      this.reports.push(this.#link.report);
    }
    return this.#link;
  }

  /** One round; two of three begin as if the source had told of a change, so the short way where it can be gone. */
  async round(): Promise<RoundResult> {
    const link = await this.open();
    return await link.round(this.#rounds++ % 3 !== 0);
  }

  /** Another applier of the same link. */
  rival(): HistoryLink {
    const rival = new HistoryLink(this.source, this.target, this.#ways);
    rival.#purpose += " rival";
    return rival;
  }

  /** The applier is gone from one moment to the next; returns once the servers have noticed. */
  async kill(): Promise<void> {
    this.#link = null;
    if (this.#ways.reach === null) {
      this.#sessions.length = 0;
      return;
    }
    for (const session of this.#sessions.splice(0)) session.destroy();
    // a server notices at the end of a statement only; the longest waits half a minute for another applier of the link
    for (const { looking } of [this.source, this.target]) {
      await waitFor(
        async () => {
          const rows = await sql(looking, "select from pg_stat_activity where application_name = $1", [
            `tandem/${this.#purpose}`,
          ]);
          return rows.length === 0 || null;
        },
        { deadlineMs: 90_000 },
      );
    }
  }

  /** As `kill`, but nobody waits for servers that may not be there any more. */
  abandon(): void {
    this.#link = null;
    for (const session of this.#sessions.splice(0)) if (this.#ways.reach !== null) session.destroy();
  }

  async #session(node: HistoryNode): Promise<Connection> {
    const { reach } = this.#ways;
    return reach === null ? node.applier : await connect({ name: node.name, url: reach(node) }, this.#purpose);
  }
}
