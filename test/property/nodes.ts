import type pg from "pg";
import { connect } from "../../src/db/connect.ts";
import type { Connection } from "../../src/db/connection.ts";
import { connectClient } from "../support/client.ts";
import { countFewAsMany, installSql } from "../support/install.ts";
import { type Cluster, cluster, hostileSettings, sql, type TestNode, template } from "../support/pg.ts";
import type { TestServer } from "../support/servers.ts";
import { HistoryLink } from "./links.ts";
import type { Plan } from "./plan.ts";

/** One node of a history: its database, the applier's session and two of the application. */
export interface HistoryNode {
  readonly name: string;
  readonly server: TestServer;
  /** Of whoever applies: the owner or the superuser. */
  readonly url: string;
  readonly applier: Connection;
  readonly application: pg.Client;
  /** For the transactions that stay open. */
  readonly slow: pg.Client;
  /** A superuser's, under settings that write every value exactly. */
  readonly looking: pg.Client;
  /** After the server was away: all sessions anew. */
  reopen(): Promise<void>;
}

/** A history's nodes and the links between them. */
export interface HistoryNodes {
  readonly nodes: readonly HistoryNode[];
  readonly links: readonly HistoryLink[];
}

const ownerRole = "tandem_property_owner";

/** Tandem's SQL is installed once in a template, by the role that will apply; a seed clones it. A few rows are many there. */
async function preparedTemplate(owner: boolean, servers: readonly TestServer[] | undefined): Promise<string> {
  const prepare = async (url: string) => {
    await installSql(url);
    await countFewAsMany(url);
  };
  if (!owner) return await template("property superuser", prepare, servers);
  const install = async (url: string) => {
    await sql(
      url,
      `do $$ begin create role ${ownerRole} login password 'tandem'; exception when duplicate_object then null; end $$;
       do $$ begin execute format('grant all on database %I to ${ownerRole}', current_database()); end $$;
       grant all on schema public to ${ownerRole};`,
    );
    await prepare(asOwner(url));
  };
  return await template("property owner", install, servers);
}

function asOwner(url: string): string {
  const changed = new URL(url);
  changed.username = ownerRole;
  changed.password = "tandem";
  return changed.href;
}

const exactly = `set DateStyle = 'ISO, YMD'; set IntervalStyle = 'postgres'; set TimeZone = 'UTC'; set extra_float_digits = 3;
  set bytea_output = 'hex'; set lc_monetary = 'C'; set client_encoding = 'UTF8'; set search_path = pg_catalog, public`;

/** The neighbours of a node: everybody in a mesh, those beside it in a chain, the first one's in a star. */
function neighbours({ nodes, topology }: Plan, i: number): number[] {
  const all = Array.from({ length: nodes }, (_, j) => j).filter((j) => j !== i);
  if (topology === "star") return all.filter((j) => i === 0 || j === 0);
  return topology === "mesh" ? all : all.filter((j) => Math.abs(i - j) === 1);
}

/**
 * The databases and sessions that the seeds of a file use one after the other: cloning a database costs more than a
 * whole history. Made before the tests; each seed gets them emptied, with its own schema and its own links.
 */
export class NodePool implements AsyncDisposable {
  readonly #clusters: Readonly<Record<"owner" | "superuser", Cluster>>;
  readonly #nodes = new Map<Cluster, readonly HistoryNode[]>();

  private constructor(clusters: Readonly<Record<"owner" | "superuser", Cluster>>) {
    this.#clusters = clusters;
  }

  /** For plans of at most `count` nodes, on the run's servers or on servers of the caller's own. */
  static async open(count: number, servers?: readonly TestServer[]): Promise<NodePool> {
    const on = servers ? { servers } : {};
    const superuser = await cluster(count, { ...on, template: await preparedTemplate(false, servers) });
    const owner = await cluster(count, {
      ...on,
      template: await preparedTemplate(true, servers),
      settings: hostileSettings,
    });
    // rights on a database are not cloned with it
    for (const { database, admin } of owner)
      await admin.query(`grant create on database "${database}" to ${ownerRole}`);
    return new NodePool({ superuser, owner });
  }

  /** The nodes of a seed, at rest in the middle of nothing; `reach`: how the appliers of its links reach a node, if by sessions of their own. */
  async prepare(plan: Plan, reach: ((node: HistoryNode) => string) | null = null): Promise<HistoryNodes> {
    const made = this.#clusters[plan.owner ? "owner" : "superuser"];
    const all = this.#nodes.get(made) ?? (await Promise.all(made.nodes.map((node) => openNode(node, plan.owner))));
    this.#nodes.set(made, all);
    const nodes = all.slice(0, plan.nodes);
    await Promise.all(nodes.map((node, i) => begin(node, i, nodes, plan)));
    const links = nodes.flatMap((from, i) =>
      neighbours(plan, i).map((j) => new HistoryLink(from, nodes[j]!, { batchRows: plan.batchRows, reach })),
    );
    if (plan.warm) for (const link of links) await skipCopies(link);
    return { nodes, links };
  }

  /** Of each server that nodes lie on. */
  async serverVersions(): Promise<string[]> {
    const urls = new Set(this.#clusters.superuser.nodes.map(({ server }) => server.url));
    return await Promise.all(
      [...urls].map(async (url) => (await sql(url, "show server_version"))[0]?.server_version ?? ""),
    );
  }

  /** After a failure sessions may be anywhere: the next seed gets others. */
  async reconnect(): Promise<void> {
    for (const nodes of this.#nodes.values()) await Promise.all(nodes.map(closeNode));
    this.#nodes.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reconnect();
    // a single seed that failed is there to be looked at
    if (process.env.SEED && process.env.TANDEM_TEST_KEEP) {
      for (const { name, superUrl } of Object.values(this.#clusters).flatMap(({ nodes }) => nodes)) {
        process.stderr.write(`kept ${name}: psql '${superUrl}'\n`);
      }
      return;
    }
    for (const made of Object.values(this.#clusters)) await made[Symbol.asyncDispose]();
  }
}

async function openNode({ name, superUrl, server }: TestNode, owner: boolean): Promise<HistoryNode> {
  const url = owner ? asOwner(superUrl) : superUrl;
  const open = async () => {
    const [application, slow, looking] = await Promise.all([
      connectClient(url),
      connectClient(url),
      connectClient(superUrl),
    ]);
    await looking.query(exactly);
    for (const client of [application, slow]) await client.query("set lock_timeout = '40ms'");
    return { application, slow, looking, applier: await connect({ name, url }, "property") };
  };
  const node = { name, server, url, ...(await open()), reopen: async () => {} };
  node.reopen = async () => {
    await closeNode(node);
    Object.assign(node, await open());
  };
  return node;
}

async function closeNode({ application, slow, looking, applier }: HistoryNode): Promise<void> {
  await Promise.all([application.end(), slow.end(), looking.end(), applier.close()].map((end) => end.catch(() => {})));
}

/** Takes the last seed's tables away, makes this one's, and configures the node as if it had never been one. */
async function begin(node: HistoryNode, i: number, nodes: readonly HistoryNode[], plan: Plan): Promise<void> {
  const { application, slow, looking } = node;
  const peers = neighbours(plan, i).map((j) => ({
    name: nodes[j]!.name,
    sends: true,
    receives: true,
    receives_from: neighbours(plan, j).map((k) => nodes[k]!.name),
  }));
  await application.query(`reset lock_timeout;
    do $$ begin execute coalesce((select 'drop table ' || string_agg(format('%I.%I', schema_name, table_name), ', ') || ' cascade' from tandem.tracked_table), 'select 1'); end $$;
    drop schema if exists "Other" cascade; drop type if exists mood, positive, "Short Word", "Pair" cascade;
    select tandem.untrack_table(schema_name, table_name) from tandem.tracked_table;
    delete from tandem.verdict; delete from tandem.conflict; delete from tandem.parked_change; delete from tandem.outbound_parked; delete from tandem.fallback_pair;
    delete from tandem.inbound_table; delete from tandem.inbound; delete from tandem.outbound; delete from tandem.peer;
    update tandem.local_node set retention = default, horizon = default;`);
  await looking.query(
    "select setval(c.oid, 0, false) from pg_class c where c.relkind = 'S' and c.relname like 'floor %' and c.relnamespace = 'tandem_log'::regnamespace",
  );
  await application.query(plan.schema.ddl);
  await application.query(`select tandem.configure_node('${node.name}', '${JSON.stringify(peers)}');
    select tandem.track_table(schema_name, table_name) from tandem.table_candidates where reason_code is null order by schema_name, table_name;
    update tandem.local_node set retention = '${plan.prune ? "0" : "7 days"}', horizon = '0001-01-01 00:00:00+00';
    ${plan.interleave ? `select tandem.interleave_sequences(${i}, ${plan.nodes});` : ""}`);
  for (const client of [application, slow]) await client.query("set lock_timeout = '40ms'");
}

/** What first copies of empty tables lead to, without the rounds they take. */
async function skipCopies(link: HistoryLink): Promise<void> {
  const opened = await link.open();
  await opened.meet();
  await opened.target.reconcile(await opened.source.shapes());
  const flowing = "update tandem.inbound_table set state = 'flow', position = null where state = 'copy'";
  await sql(link.target.looking, flowing);
}
