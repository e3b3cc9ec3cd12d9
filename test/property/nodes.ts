import type pg from "pg";
import { systemClock } from "../../src/base/time.ts";
import { connect } from "../../src/db/connect.ts";
import type { Connection } from "../../src/db/connection.ts";
import { Link } from "../../src/link/link.ts";
import { PostgresSource } from "../../src/postgres/source.ts";
import { PostgresTarget } from "../../src/postgres/target.ts";
import { connectClient } from "../support/client.ts";
import { installSql } from "../support/install.ts";
import { type Cluster, cluster, hostileSettings, sql, type TestNode, template } from "../support/pg.ts";
import type { Plan } from "./plan.ts";

/** One node of a history: its database, the applier's session and two of the application. */
export interface HistoryNode {
  readonly name: string;
  readonly superUrl: string;
  readonly applier: Connection;
  readonly application: pg.Client;
  /** For the transactions that stay open. */
  readonly slow: pg.Client;
  /** A superuser's, under settings that write every value exactly. */
  readonly looking: pg.Client;
}

/** A history's nodes and the links between them. */
export interface HistoryNodes {
  readonly nodes: readonly HistoryNode[];
  readonly links: readonly Link[];
}

const ownerRole = "tandem_property_owner";

/** Tandem's SQL is installed once in a template, by the role that will apply; a seed clones it. */
async function preparedTemplate(owner: boolean): Promise<string> {
  if (!owner) return await template("property superuser", installSql);
  return await template("property owner", async (url) => {
    await sql(
      url,
      `do $$ begin create role ${ownerRole} login password 'tandem'; exception when duplicate_object then null; end $$;
       do $$ begin execute format('grant all on database %I to ${ownerRole}', current_database()); end $$;
       grant all on schema public to ${ownerRole};`,
    );
    await installSql(asOwner(url));
  });
}

function asOwner(url: string): string {
  const changed = new URL(url);
  changed.username = ownerRole;
  changed.password = "tandem";
  return changed.href;
}

const exactly = `set DateStyle = 'ISO, YMD'; set IntervalStyle = 'postgres'; set TimeZone = 'UTC'; set extra_float_digits = 3;
  set bytea_output = 'hex'; set lc_monetary = 'C'; set client_encoding = 'UTF8'; set search_path = pg_catalog, public`;

/** The neighbours of a node: everybody in a mesh, those beside it in a chain. */
function neighbours(plan: Plan, i: number): number[] {
  const all = Array.from({ length: plan.nodes }, (_, j) => j).filter((j) => j !== i);
  return plan.topology === "mesh" ? all : all.filter((j) => Math.abs(i - j) === 1);
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

  static async open(count: number): Promise<NodePool> {
    const superuser = await cluster(count, { template: await preparedTemplate(false) });
    const owner = await cluster(count, { template: await preparedTemplate(true), settings: hostileSettings });
    // rights on a database are not cloned with it
    for (const { database, admin } of owner)
      await admin.query(`grant create on database "${database}" to ${ownerRole}`);
    return new NodePool({ superuser, owner });
  }

  /** The nodes of a seed, at rest in the middle of nothing. */
  async prepare(plan: Plan): Promise<HistoryNodes> {
    const made = this.#clusters[plan.owner ? "owner" : "superuser"];
    const nodes = this.#nodes.get(made) ?? (await Promise.all(made.nodes.map((node) => openNode(node, plan.owner))));
    this.#nodes.set(made, nodes);
    await Promise.all(nodes.map((node, i) => begin(node, i, nodes, plan)));
    // one session a node serves all its links: they work in turn
    const links = nodes.flatMap((from, i) =>
      neighbours(plan, i).map((j) => {
        const to = nodes[j]!;
        return new Link(new PostgresSource(from.applier, to.name), new PostgresTarget(to.applier, from.name), {
          clock: systemClock,
          batchRows: plan.batchRows,
        });
      }),
    );
    if (plan.warm) for (const link of links) await skipCopies(link, nodes);
    return { nodes, links };
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

async function openNode({ name, superUrl }: TestNode, owner: boolean): Promise<HistoryNode> {
  const url = owner ? asOwner(superUrl) : superUrl;
  const [application, slow, looking] = await Promise.all([
    connectClient(url),
    connectClient(url),
    connectClient(superUrl),
  ]);
  await looking.query(exactly);
  const applier = await connect({ name, url }, "property");
  return { name, superUrl, application, slow, looking, applier };
}

async function closeNode({ application, slow, looking, applier }: HistoryNode): Promise<void> {
  await Promise.all([application.end(), slow.end(), looking.end(), applier.close()].map((end) => end.catch(() => {})));
}

/** Takes the last seed's tables away, makes this one's, and configures the node as if it had never been one. */
async function begin(node: HistoryNode, i: number, nodes: readonly HistoryNode[], plan: Plan): Promise<void> {
  const { application, slow } = node;
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
    delete from tandem.verdict; delete from tandem.conflict; delete from tandem.parked_change; delete from tandem.outbound_parked; delete from tandem.reasserted_pair;
    delete from tandem.inbound_table; delete from tandem.inbound; delete from tandem.outbound; delete from tandem.peer;`);
  await application.query(plan.schema.ddl);
  await application.query(`select tandem.configure_node('${node.name}', '${JSON.stringify(peers)}');
    select tandem.track_table(schema_name, table_name) from tandem.table_candidates where reason_code is null order by schema_name, table_name;
    ${plan.interleave ? `select tandem.interleave_sequences(${i}, ${plan.nodes});` : ""}`);
  for (const client of [application, slow]) await client.query("set lock_timeout = '40ms'");
}

/** What first copies of empty tables lead to, without the rounds they take. */
async function skipCopies(link: Link, nodes: readonly HistoryNode[]): Promise<void> {
  const { incarnation } = await link.source.state();
  await link.target.meet(incarnation);
  await link.target.state();
  await link.target.reconcile(await link.source.shapes());
  const target = nodes.find(({ name }) => name === link.target.name)!;
  await sql(target.looking, `update tandem.inbound_table set state = 'flow', position = null where state = 'copy'`);
}
