import { TandemError } from "../base/errors.ts";
import type { Config, NodeConfig } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import type { Connection } from "../db/connection.ts";
import { pinnedSettings } from "../db/session.ts";
import { toTandemError } from "../db/sqlstate.ts";
import { inTransaction } from "../db/transaction.ts";
import { checkCompat } from "../install/compat.ts";

/** A node that could not be asked; what the others say is shown all the same. */
export interface Unanswered {
  readonly node: string;
  readonly error: TandemError;
}

/** What the nodes answered, in the order of the configuration. */
export interface Answers<T> {
  readonly answers: readonly { readonly node: string; readonly answer: T }[];
  readonly unanswered: readonly Unanswered[];
}

/** Who is asked, and until when. */
export interface AskOptions {
  readonly signal?: AbortSignal | undefined;
  /** Only these nodes. */
  readonly only?: readonly string[] | undefined;
}

/**
 * Asks all nodes at once whether Tandem is installed there in this version, and then what `ask` asks. A node that
 * fails is part of the answer; only a stop by signal is thrown.
 */
export async function askNodes<T>(
  config: Config,
  ask: (connection: Connection) => Promise<T>,
  { signal, only }: AskOptions = {},
): Promise<Answers<T>> {
  const nodes = config.nodes.filter(({ name }) => only?.includes(name) ?? true);
  const results = await Promise.all(nodes.map((node) => askNode(node, ask, signal)));
  return {
    answers: results.flatMap(({ node, ...rest }) => ("answer" in rest ? [{ node, answer: rest.answer }] : [])),
    unanswered: results.flatMap(({ node, ...rest }) => ("error" in rest ? [{ node, error: rest.error }] : [])),
  };
}

async function askNode<T>(
  node: NodeConfig,
  ask: (connection: Connection) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<{ node: string; answer: T } | Unanswered> {
  try {
    await using connection = await connect(node, "status", { signal });
    const stop = () => connection.destroy(new TandemError("stopped", "stopped by a signal", { cause: signal?.reason }));
    signal?.addEventListener("abort", stop, { once: true });
    try {
      await checkCompat(connection);
      return { node: node.name, answer: await ask(connection) };
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  } catch (error) {
    const known = toTandemError(error, node.name);
    if (known.code === "stopped" || signal?.aborted) throw known;
    return { node: node.name, error: known };
  }
}

/** All that `body` reads comes from one moment, with the settings pinned; it waits for no lock longer than 5 s. */
export function reading<T>(connection: Connection, body: (tx: Connection) => Promise<T>): Promise<T> {
  const begin = `begin isolation level repeatable read read only;
${pinnedSettings(connection.serverVersion)}
set local lock_timeout = '5s'`;
  return inTransaction(connection, begin, body);
}

/** As `reading`, for a call that writes. */
export function writing<T>(connection: Connection, body: (tx: Connection) => Promise<T>): Promise<T> {
  const begin = `begin isolation level read committed read write;
${pinnedSettings(connection.serverVersion)}
set local lock_timeout = '5s'`;
  return inTransaction(connection, begin, body);
}
