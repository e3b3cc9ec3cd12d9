import { expect } from "vitest";
import { TandemError } from "../../src/base/errors.ts";
import type { TableCounts } from "../../src/base/exchange.ts";
import { type Clock, systemClock } from "../../src/base/time.ts";
import type { Config } from "../../src/config/config.ts";
import { connect } from "../../src/db/connect.ts";
import type { Connection } from "../../src/db/connection.ts";
import { type InstallOptions, migrate } from "../../src/install/migrate.ts";
import type { MigrateReport } from "../../src/install/report.ts";
import { Link, type RoundResult } from "../../src/link/link.ts";
import type { LinkEvent } from "../../src/link/report.ts";
import { PostgresSource } from "../../src/postgres/source.ts";
import { PostgresTarget } from "../../src/postgres/target.ts";
import { configOf } from "./config.ts";
import {
  type Cluster,
  type ClusterOptions,
  cluster,
  expectEqual,
  hostileSettings,
  sql,
  type TestNode,
  type TextRow,
} from "./pg.ts";

/** How the databases of a cluster are linked. */
export interface LinkedOptions {
  /** Pairs of names, each in both directions; default: every node with every other. */
  pairs?: (readonly [string, string])[];
  /** May be changed between rounds. */
  batchRows?: number;
  readAhead?: boolean;
  moveOnMs?: number;
  maxSkewMs?: number;
  seed?: string | null;
  keepConflictsMs?: number;
  sequences?: "past" | "interleave";
  heartbeatMs?: number;
  tables?: Config["tables"];
  exclude?: string[];
  clock?: Clock;
  signal?: AbortSignal;
  onEvent?: (event: LinkEvent) => void;
}

/** The two ways rows are written: a superuser sets replica role, an ordinary owner may not. */
export const ways: readonly { way: string; options: ClusterOptions }[] = [
  { way: "replica role", options: {} },
  { way: "ordinary owner", options: { owner: true, settings: hostileSettings } },
];

/** What became of rows, over tables and rounds. */
export type Totals = Omit<TableCounts, "schema" | "name">;

const counted = ["staged", "applied", "deleted", "adopted", "superseded", "parked", "undecided"] as const;
const nothing: Totals = { staged: 0, applied: 0, deleted: 0, adopted: 0, superseded: 0, parked: 0, undecided: 0 };

/** Databases with `schema` run in each of them as the application's role, migrated and linked. */
export async function linkedCluster(
  count: number,
  { schema = "", ...options }: ClusterOptions & LinkedOptions & { schema?: string },
): Promise<{ nodes: Cluster; links: Links } & AsyncDisposable> {
  const nodes = await cluster(count, options);
  try {
    if (schema) for (const node of nodes) await sql(node.url, schema);
    const links = await linked(nodes, options);
    const dispose = async () => {
      await links[Symbol.asyncDispose]();
      await nodes[Symbol.asyncDispose]();
    };
    return { nodes, links, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await nodes[Symbol.asyncDispose]();
    throw error;
  }
}

/** Installs Tandem in a cluster's databases and links them. */
export async function linked(nodes: Cluster, options: LinkedOptions = {}): Promise<Links> {
  const links = new Links(nodes, options);
  await links.migrate();
  return links;
}

/** All links of a cluster, worked by hand. */
export class Links implements AsyncDisposable {
  readonly config: Config;
  readonly #nodes: Cluster;
  readonly #options: LinkedOptions;
  readonly #open = new Map<string, { link: Link; connections: Connection[] }>();

  constructor(nodes: Cluster, options: LinkedOptions) {
    this.#nodes = nodes;
    this.#options = options;
    this.config = configured(nodes, options);
  }

  /** As `tandem migrate` does; problems of tables are the test's affair. */
  migrate(options: InstallOptions = {}): Promise<MigrateReport> {
    return migrate(this.config, options);
  }

  /** The link from source to target, connected at first use. */
  async link(source: string, target: string): Promise<Link> {
    const name = `${source} ${target}`;
    let open = this.#open.get(name);
    if (!open) {
      open = await this.another(source, target);
      this.#open.set(name, open);
    }
    return open.link;
  }

  /** A second applier of the same direction; the caller closes its connections. */
  async another(source: string, target: string): Promise<{ link: Link; connections: Connection[] }> {
    const [from, to] = [await this.connection(source), await this.connection(target)];
    const options = this.#options;
    const { clock = systemClock, readAhead, moveOnMs, signal, onEvent } = options;
    const link = new Link(new PostgresSource(from, target), new PostgresTarget(to, source), {
      clock,
      get batchRows() {
        return options.batchRows ?? 100_000;
      },
      readAhead,
      moveOnMs,
      signal,
      onEvent,
    });
    return { link, connections: [from, to] };
  }

  /** A connection as the applier's. */
  connection(node: string): Promise<Connection> {
    const { name, url } = this.#nodes.node(node);
    return connect({ name, url }, "test");
  }

  /** One round of one link; the counts of what it applied must add up. */
  async round(source: string, target: string): Promise<RoundResult> {
    const link = await this.link(source, target);
    const result = await link.round();
    for (const [table, counts] of link.report.tables) {
      const { staged, applied, adopted, superseded, parked, undecided } = counts;
      expect({ table, staged }).toEqual({ table, staged: applied + adopted + superseded + parked + undecided });
    }
    return result;
  }

  /** One round in which `between` is done after the batch was read and staged, before it is applied. */
  async roundAround(source: string, target: string, between: () => Promise<unknown>): Promise<RoundResult> {
    const { target: end } = await this.link(source, target);
    const apply = end.apply.bind(end);
    end.apply = async (request) => {
      end.apply = apply;
      await between();
      return await apply(request);
    };
    return this.round(source, target);
  }

  /** Rounds of one direction until nothing waits; catalogs are read anew. */
  async catchUp(source: string, target: string): Promise<Totals> {
    const before = await this.totals(source, target);
    (await this.link(source, target)).forget();
    for (let rounds = 0; (await this.round(source, target)).worked; rounds++) {
      if (rounds > 500) throw new Error(`the link ${source} → ${target} does not come to rest`);
    }
    return minus(await this.totals(source, target), before);
  }

  /** Rounds of all links until nothing moves any more; returns what was done per direction, as `local external`. */
  async sync(): Promise<Record<string, Totals>> {
    const sums: Record<string, Totals> = {};
    for (const { source, target } of this.config.links) sums[`${source} ${target}`] = nothing;
    for (let pass = 0; ; pass++) {
      let moved = false;
      for (const { source, target } of this.config.links) {
        const done = await this.catchUp(source, target);
        moved ||= done.staged > 0;
        sums[`${source} ${target}`] = plus(sums[`${source} ${target}`] ?? nothing, done);
      }
      if (!moved) return sums;
      if (pass > 20) throw new Error("the links do not come to rest");
    }
  }

  /** What one direction has done since it was opened. */
  async totals(source: string, target: string): Promise<Totals> {
    const { report } = await this.link(source, target);
    return [...report.tables.values()].reduce<Totals>(plus, nothing);
  }

  /** Lets all that is parked be tried again at once. */
  async retryParked(): Promise<void> {
    for (const node of this.#nodes) await node.admin.query("select tandem.retry_parked(null)");
  }

  /** `table key kind` of what is parked in a node. */
  async parked(node: string): Promise<string[]> {
    const rows = await this.#nodes
      .node(node)
      .admin.query(`select concat_ws(' ', "table", key, kind) as line from tandem.parked order by 1`);
    return rows.map(({ line }) => line ?? "");
  }

  /** Conflicts as one node has recorded them: `table key kind winner`. */
  async conflicts(node: string): Promise<string[]> {
    const rows = await this.#nodes
      .node(node)
      .admin.query(`select concat_ws(' ', "table", key, kind, winner) as line from tandem.conflicts order by 1`);
    return rows.map(({ line }) => line ?? "");
  }

  /** Nothing pending, nothing parked, every table equal; a further pass moves nothing. Returns the number of rows. */
  async expectRest(): Promise<number> {
    for (const node of this.#nodes) {
      expect({ [node.name]: await this.parked(node.name) }).toEqual({ [node.name]: [] });
    }
    const { rows } = await expectEqual(this.#nodes);
    const again = await this.sync();
    expect(Object.entries(again).filter(([, done]) => done.staged > 0)).toEqual([]);
    for (const node of this.#nodes) {
      expect({ [node.name]: await node.admin.query("select * from tandem.pending") }).toEqual({ [node.name]: [] });
    }
    return rows;
  }

  /** Ends the connections; the next use opens others, as a new process would. */
  async reopen(): Promise<void> {
    for (const { connections } of this.#open.values()) {
      for (const connection of connections) await connection.close();
    }
    this.#open.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reopen();
  }
}

/** Runs statements as the application's role. */
export async function app(node: TestNode, text: string): Promise<TextRow[]> {
  return sql(node.url, text);
}

/** The code of the error that something ends with. */
export async function codeOf(action: Promise<unknown>): Promise<string> {
  try {
    await action;
    return "none";
  } catch (error) {
    if (error instanceof TandemError) return error.code;
    throw error;
  }
}

function configured(nodes: Cluster, options: LinkedOptions): Config {
  const { pairs, tables = null, exclude = [] } = options;
  const { batchRows, maxSkewMs, seed, sequences, keepConflictsMs, heartbeatMs } = options;
  const given = { batchRows, maxSkewMs, seed, sequences, keepConflictsMs, heartbeatMs };
  const sync = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return configOf(nodes, { pairs, tables, exclude, sync });
}

function plus(a: Totals, b: Totals): Totals {
  return Object.fromEntries(counted.map((name) => [name, a[name] + b[name]])) as unknown as Totals;
}

function minus(a: Totals, b: Totals): Totals {
  return Object.fromEntries(counted.map((name) => [name, a[name] - b[name]])) as unknown as Totals;
}
