import { dropNode } from "../../src/install/drop-node.ts";
import { takeBack } from "../../src/sidecar/rejoin.ts";
import { codeOf, type LinkedOptions, type Links, linked } from "../support/link.ts";
import { childTables, type Key } from "../support/model/rows.ts";
import { linkedPairs, type Topology } from "../support/model/rules.ts";
import type { Write } from "../support/model/writes.ts";
import { type Cluster, type ClusterOptions, cluster, sql, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

const schema = `
  create table public.p (id int primary key, u int unique);
  create table public.cc (id int primary key, parent int references public.p on delete cascade);
  create table public.cn (id int primary key, parent int references public.p on delete set null);
  create table public.cr (id int primary key, parent int references public.p on delete restrict);`;
const tables = ["p", "cc", "cn", "cr"];
/** `local`, `external`, …: as the cluster's nodes are called. */
export const systemNames = ["local", "external", "n3", "n4"];

const copyOf = (database: string) => `${database}_copy`;

// The nodes' clocks are the model's, which begin a day from now: in milliseconds, more than that.
const farAhead = 10 * 86_400_000;

/** An entry of a real log. */
export interface RealEntry {
  readonly key: Key;
  /** Microseconds since 1970. */
  readonly stamp: number;
  readonly origin: string;
  readonly madeHere: boolean;
  readonly xid: bigint;
}

/** What a real node holds, to be compared: `p3 = 1`, `cc0 from local`. */
export interface RealState {
  readonly rows: readonly string[];
  readonly parked: readonly string[];
  readonly versions: readonly string[];
}

/** The real system beside the model: its tables, its links, and its nodes' clocks. */
export class ModelSystem implements AsyncDisposable {
  readonly #nodes: Cluster;
  readonly #options: LinkedOptions;
  #links: Links | undefined;
  readonly #logQueries = new Map<string, string>();

  private constructor(nodes: Cluster, options: LinkedOptions) {
    this.#nodes = nodes;
    this.#options = options;
  }

  /** `prefer`: the first node is preferred. */
  static async open(topology: Topology, count: number, prefer: boolean, way: ClusterOptions): Promise<ModelSystem> {
    const conflict = prefer ? (`prefer: ${systemNames[0]!}` as const) : ("newest" as const);
    const pairs = linkedPairs(topology, count)
      .filter(([i, j]) => i < j)
      .map(([i, j]) => [systemNames[i]!, systemNames[j]!] as const);
    const system = new ModelSystem(await cluster(count, way), {
      pairs,
      maxSkewMs: farAhead,
      tables: [{ name: "public.*", conflict, updatedAt: null }],
    });
    try {
      for (const { url } of system.#nodes) await sql(url, schema);
      system.#links = await linked(system.#nodes, system.#options);
      await system.#links.sync();
      await system.#keepNothing();
      return system;
    } catch (error) {
      await system[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** To a node of this system every entry is older than the retention. */
  async #keepNothing(): Promise<void> {
    for (const { admin } of this.#nodes) await admin.query("update tandem.local_node set retention = '-20 days'");
  }

  /** A node is lost for good: the others let it go. No other history can be played on this system. */
  async lose(name: string): Promise<void> {
    await this.#links!.reopen();
    await dropNode(this.#links!.config, name);
    await this.#keepNothing();
  }

  /** Takes a copy of a node's database, beside it. */
  async copy(name: string): Promise<void> {
    const { database, server, owner } = await this.#left(name);
    await sql(server.url, `drop database if exists "${copyOf(database)}"`);
    await sql(
      server.url,
      `create database "${copyOf(database)}" template "${database}"${owner ? ` owner "${owner}"` : ""}`,
    );
  }

  /** The copy takes the place of the node's database, under its name. */
  async restore(name: string): Promise<void> {
    const { database, server } = await this.#left(name);
    await sql(server.url, `drop database "${database}" with (force)`);
    await sql(server.url, `alter database "${copyOf(database)}" rename to "${database}"`);
  }

  /** A node to whose database nobody is connected any more. */
  async #left(name: string): Promise<TestNode> {
    const node = this.node(name);
    await this.#links!.reopen();
    await node.admin.close();
    await waitFor(
      async () =>
        (await sql(node.server.url, "select from pg_stat_activity where datname = $1", [node.database])).length === 0,
    );
    return node;
  }

  /** The code of the error with which a link ends its round. */
  refused(source: string, target: string): Promise<string> {
    return codeOf(this.#links!.round(source, target));
  }

  /** A node that was restored comes back; its links are worked by `compare`. */
  async rejoin(name: string, missing: "keep" | "delete"): Promise<boolean> {
    await this.#links!.reopen();
    const renewed = await takeBack(this.#links!.config, name, { missing });
    await this.#keepNothing();
    return renewed;
  }

  /** Works a link that begins with a comparison until that is through and nothing else waits. */
  async compare(source: string, target: string, limit: number | undefined): Promise<void> {
    this.#options.batchRows = limit ?? 100_000;
    await this.#links!.catchUp(source, target);
  }

  node(name: string): TestNode {
    return this.#nodes.node(name);
  }

  /** Empties the tables as if nothing had ever been written: positions stay, entries and what was decided go. */
  async empty(): Promise<void> {
    for (const { admin } of this.#nodes) {
      const logs = await admin.query(
        "select format('tandem_log.%I', x) as name from tandem.tracked_table, unnest(array[log_name, blocks_name]) x where x is not null",
      );
      await admin.query(`${[...tables]
        .reverse()
        .map((table) => `delete from public.${table};`)
        .join(" ")}
        truncate ${logs.map(({ name }) => name).join(", ")};
        delete from tandem.parked_change; delete from tandem.outbound_parked; delete from tandem.conflict; delete from tandem.fallback_pair;`);
    }
  }

  /** From here on the node's stamps are later than this, in microseconds since 1970: its clock is ahead of the real one. */
  async setClock(name: string, clock: number): Promise<void> {
    await this.node(name).admin.query(
      "select tandem.raise_floor(min(peer_id), timestamptz 'epoch' + $1 * interval '1 microsecond') from tandem.inbound",
      [clock],
    );
  }

  async write(name: string, change: Write): Promise<void> {
    const [, table, id] = /^([a-z]+)(\d+)$/.exec(change.key)!;
    const { admin } = this.node(name);
    if (change.kind === "merge") {
      const children = childTables.map(
        (child) => `update public.${child} set parent = ${change.into.slice(1)} where parent = ${id};`,
      );
      await admin.query(`begin; ${children.join(" ")} delete from public.p where id = ${id}; commit`);
    } else if (change.kind === "delete") await admin.query(`delete from public.${table} where id = ${id}`);
    else {
      const column = table === "p" ? "u" : "parent";
      const value = typeof change.image === "string" ? change.image.slice(1) : change.image;
      await admin.query(`insert into public.${table} values (${id}, ${value})
        on conflict (id) do update set ${column} = excluded.${column}`);
    }
  }

  /** One round of a link, in which everything parked is tried. */
  async round(source: string, target: string, limit: number | undefined): Promise<void> {
    await this.node(target).admin.query("update tandem.parked_change set next_try_at = '-infinity'");
    this.#options.batchRows = limit ?? 100_000;
    await this.#links?.round(source, target);
  }

  /** Prunes all that no peer needs. Returns whether anything went. */
  async prune(name: string): Promise<boolean> {
    return (await this.node(name).admin.value("select tandem.prune()")) !== "0";
  }

  /** Transactions of a node up to now. */
  async lastTransaction(name: string): Promise<bigint> {
    const xmax = await this.node(name).admin.value("select pg_snapshot_xmax(pg_current_snapshot())");
    return BigInt(xmax!) - 1n;
  }

  /** What came into a node's logs after a transaction. */
  async entriesSince(name: string, xid: bigint): Promise<RealEntry[]> {
    const rows = await this.node(name).admin.query(
      `select * from (${await this.#logQuery(name)}) l where xid > '${xid}'::xid8 order by xid`,
    );
    return rows.map(({ key, stamp, origin, here, xid: at }) => ({
      key: key!,
      stamp: Number(stamp),
      origin: origin!,
      madeHere: here === "t",
      xid: BigInt(at!),
    }));
  }

  /** Which of a source's transactions the target has passed. */
  async passed(source: string, target: string, xids: readonly bigint[]): Promise<number> {
    const [row] = await this.node(target).admin.query(
      `select count(*) as n from tandem.inbound i join tandem.peer p using (peer_id)
        cross join unnest($2::text[]) x where p.name = $1 and pg_visible_in_snapshot(x::xid8, i.position)`,
      [source, xids.map(String)],
    );
    return Number(row!.n);
  }

  async state(name: string): Promise<RealState> {
    const lines = async (text: string) => (await this.node(name).admin.query(text)).map(({ line }) => line!).sort();
    const row = (table: string) =>
      table === "p"
        ? "select 'p' || id || ' = ' || coalesce(u::text, 'null') as line from public.p"
        : `select '${table}' || id || ' = ' || coalesce('p' || parent, 'null') as line from public.${table}`;
    return {
      rows: await lines(tables.map(row).join(" union all ")),
      parked: await lines(`select "table" || key || ' from ' || peer as line from tandem.parked`),
      versions: await lines(`select distinct on (key) concat(key, ' @', stamp, origin) as line
        from (${await this.#logQuery(name)}) l order by key, stamp desc, origin desc`),
    };
  }

  /** The images in a node's conflicts, as in its rows. */
  async kept(name: string): Promise<string[]> {
    const rows = await this.node(name).admin.query(`
      select concat(c.table_name, c.key[1], ' = ', coalesce(case c.table_name when 'p' then x.value else 'p' || x.value end, 'null')) as line
      from tandem.conflict c
      cross join lateral (values (c.local_columns, c.local_values), (c.incoming_columns, c.incoming_values)) i (columns, texts)
      cross join lateral (select i.texts[array_position(i.columns, case c.table_name when 'p' then 'u' else 'parent' end)] as value) x
      where i.columns is not null`);
    return rows.map(({ line }) => line!);
  }

  async #logQuery(name: string): Promise<string> {
    const known = this.#logQueries.get(name);
    if (known !== undefined) return known;
    const logs = await this.node(name).admin.query("select table_name, entries_name from tandem.tracked_table");
    const text = logs
      .map(
        ({
          table_name,
          entries_name,
        }) => `select '${table_name}' || k1 as key, origin, received_from is null as here, xid,
          extract(epoch from date_trunc('second', stamp))::bigint * 1000000 + extract(microseconds from stamp)::bigint % 1000000 as stamp
          from tandem_log."${entries_name}"`,
      )
      .join(" union all ");
    this.#logQueries.set(name, text);
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#links?.[Symbol.asyncDispose]();
    for (const { server, database } of this.#nodes)
      await sql(server.url, `drop database if exists "${copyOf(database)}"`);
    await this.#nodes[Symbol.asyncDispose]();
  }
}
