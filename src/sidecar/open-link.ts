import { TandemError } from "../base/errors.ts";
import { Turns } from "../base/turns.ts";
import type { Config, LinkConfig, NodeConfig } from "../config/config.ts";
import { type ConnectOptions, connect } from "../db/connect.ts";
import type { Connection } from "../db/connection.ts";
import { assertDistinct } from "../db/distinct.ts";
import { checkCompat } from "../install/compat.ts";
import { Link } from "../link/link.ts";
import type { LinkOptions } from "../link/round-context.ts";
import { PostgresSource } from "../postgres/source.ts";
import { PostgresTarget } from "../postgres/target.ts";

// A pool may have fewer sessions than links: each would hold one at its source while it waits for one at its target.
const turns = new Turns();

/** A link with the two connections it works on. */
export interface OpenLink extends AsyncDisposable {
  readonly link: Link;
  /** True once one of the connections is lost. */
  readonly broken: boolean;
}

/** The configured node of that name. */
export function nodeOf(config: Config, name: string): NodeConfig {
  const node = config.nodes.find((candidate) => candidate.name === name);
  if (!node) throw new Error(`node ${name} is not configured`);
  return node;
}

/** A connection to a node that can take part: a primary with Tandem installed in this version. */
export async function connectPrimary(node: NodeConfig, purpose: string, options: ConnectOptions): Promise<Connection> {
  const connection = await connect(node, purpose, options);
  try {
    if (connection.standby) {
      throw new TandemError("in_recovery", `node ${node.name}: the server is a standby (in recovery)`, {
        node: node.name,
      });
    }
    await checkCompat(connection);
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** Connects both ends of a link and sees that they are two, and that Tandem is installed in both, in this version. */
export async function openLink(
  config: Config,
  { source, target }: LinkConfig,
  options: LinkOptions,
): Promise<OpenLink> {
  const connections: Connection[] = [];
  const dispose = async () => {
    await Promise.all(connections.map((connection) => connection.close()));
  };
  try {
    for (const name of [source, target]) {
      const { signal } = options;
      connections.push(await connectPrimary(nodeOf(config, name), `link ${source} ${target}`, { signal }));
    }
    await assertDistinct(connections);
    const [from, to] = connections as [Connection, Connection];
    const few = from.pooled || to.pooled;
    const inTurn = few ? <T>(work: () => Promise<T>) => turns.take(work) : undefined;
    const link = new Link(new PostgresSource(from, target), new PostgresTarget(to, source), {
      readAhead: true,
      ...options,
      inTurn,
    });
    return {
      link,
      [Symbol.asyncDispose]: dispose,
      get broken() {
        return from.broken || to.broken;
      },
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}
