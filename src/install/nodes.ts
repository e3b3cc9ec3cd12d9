import { TandemError } from "../base/errors.ts";
import type { Config, NodeConfig } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import type { Connection } from "../db/connection.ts";

/** The node named, or all. */
export function chosenNodes(config: Config, name: string | undefined): readonly NodeConfig[] {
  if (name === undefined) return config.nodes;
  const node = config.nodes.find((each) => each.name === name);
  if (node) return [node];
  const names = config.nodes.map((each) => each.name).join(", ");
  throw new TandemError("usage", `there is no node ${name}; the configuration has ${names}`);
}

/**
 * Connects to all nodes before anything is done, so that an unreachable one is met first. A signal cuts off whatever
 * runs; the server rolls it back.
 */
export async function withNodes<T>(
  nodes: readonly NodeConfig[],
  purpose: string,
  signal: AbortSignal | undefined,
  body: (connections: readonly Connection[]) => Promise<T>,
): Promise<T> {
  const connections: Connection[] = [];
  const stop = () => {
    const error = new TandemError("stopped", "stopped by a signal", { cause: signal?.reason });
    for (const connection of connections) connection.destroy(error);
  };
  try {
    for (const node of nodes) connections.push(await connect(node, purpose, { signal }));
    signal?.addEventListener("abort", stop, { once: true });
    return await body(connections);
  } finally {
    signal?.removeEventListener("abort", stop);
    for (const connection of connections) await connection.close();
  }
}
