import type pg from "pg";
import { systemClock } from "../../src/base/time.ts";
import { connect } from "../../src/db/connect.ts";
import type { Connection } from "../../src/db/connection.ts";
import { Link } from "../../src/link/link.ts";
import { PostgresSource } from "../../src/postgres/source.ts";
import { PostgresTarget } from "../../src/postgres/target.ts";
import { installSql } from "../support/install.ts";
import { type Cluster, cluster, hostileSettings, openClient, sql, template } from "../support/pg.ts";
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
export interface HistoryNodes extends AsyncDisposable {
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

export async function openNodes(plan: Plan): Promise<HistoryNodes> {
  const prepared = await preparedTemplate(plan.owner);
  const made: Cluster = await cluster(plan.nodes, { template: prepared, settings: plan.owner ? hostileSettings : {} });
  const names = made.nodes.map(({ name }) => name);
  const namesOf = (list: number[]) => list.map((i) => names[i]!);
  const nodes = await Promise.all(
    made.nodes.map(async ({ name, superUrl }, i): Promise<HistoryNode> => {
      const url = plan.owner ? asOwner(superUrl) : superUrl;
      // an owner of an older cluster's clone may not create schemas: the rights on a database are not cloned with it
      if (plan.owner) await sql(superUrl, `do $$ begin execute format('grant create on database %I to ${ownerRole}', current_database()); end $$`);
      const application = await openClient(url);
      const peers = neighbours(plan, i).map((j) => ({
        name: names[j]!,
        sends: true,
        receives: true,
        receives_from: namesOf(neighbours(plan, j)),
      }));
      await application.query(plan.schema.ddl);
      await application.query(`select tandem.configure_node('${name}', '${JSON.stringify(peers)}');
        select tandem.track_table(schema_name, table_name) from tandem.table_candidates where reason_code is null order by schema_name, table_name;
        ${plan.interleave ? `select tandem.interleave_sequences(${i}, ${plan.nodes});` : ""}`);
      const looking = await openClient(superUrl);
      await looking.query(exactly);
      await application.query("set lock_timeout = '40ms'");
      const slow = await openClient(url);
      await slow.query("set lock_timeout = '40ms'");
      return { name, superUrl, application, slow, looking, applier: await connect({ name, url }, "property") };
    }),
  );
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
  return {
    nodes,
    links,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(nodes.map(({ applier }) => applier.close()));
      await made[Symbol.asyncDispose]();
    },
  };
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
