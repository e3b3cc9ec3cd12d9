import { setTimeout as sleep } from "node:timers/promises";
import type { NodeConfig } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import type { Connection } from "../db/connection.ts";
import { type DemoNodes, type NodeName, nodeNames } from "./nodes.ts";

/** What moves in one direction: `pending` is asked of the source, the rest of the target. */
export interface Traffic {
  readonly source: NodeName;
  readonly target: NodeName;
  readonly pending: number;
  readonly applied: number;
  readonly conflicts: number;
  readonly parked: number;
  /** Tables of a first copy that is not complete, or held back. */
  readonly unfinished: number;
  readonly met: boolean;
  readonly error: string | null;
}

interface StatusRow {
  pending: string;
  parked: string;
  conflicts: string;
  unfinished: string;
  met: string;
  applied: string;
  error: string | null;
}

const statusSql = `select pending, parked, conflicts_24h as conflicts, tables_copying + tables_held as unfinished, met,
  rows_applied as applied, last_error as error from tandem.status`;

// what pends is counted from the logs, which is the dear part
const copySql = "select met and tables_copying + tables_held = 0 as done, last_error as error from tandem.status";

/** A connection to each node, for looking. */
export class Observer implements AsyncDisposable {
  readonly #connections: Record<NodeName, Connection>;

  private constructor(connections: Record<NodeName, Connection>) {
    this.#connections = connections;
  }

  static async open(nodes: DemoNodes): Promise<Observer> {
    const [local, external] = await Promise.all(nodeNames.map((name) => connect(nodes.node(name), "demo")));
    return new Observer({ local: local!, external: external! });
  }

  at(name: NodeName): Connection {
    return this.#connections[name];
  }

  /** Both directions, from what tandem.status says at both ends. */
  async traffic(): Promise<Traffic[]> {
    const rows = await Promise.all(nodeNames.map((name) => this.at(name).query<StatusRow>(statusSql)));
    const [local, external] = rows.map(([row]) => row!) as [StatusRow, StatusRow];
    return [direction("local", "external", local, external), direction("external", "local", external, local)];
  }

  /** Whether the first copies are done; what hinders them, if anything does. */
  async firstCopies(): Promise<{ done: boolean; errors: string[] }> {
    const rows = await Promise.all(nodeNames.map((name) => this.at(name).query(copySql)));
    const states = rows.flat();
    return {
      done: states.every(({ done }) => done === "t"),
      errors: states.flatMap(({ error }) => (error ? [error] : [])),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(nodeNames.map((name) => this.at(name).close()));
  }
}

function direction(source: NodeName, target: NodeName, from: StatusRow, to: StatusRow): Traffic {
  return {
    source,
    target,
    pending: Number(from.pending),
    applied: Number(to.applied),
    conflicts: Number(to.conflicts),
    parked: Number(to.parked),
    unfinished: Number(to.unfinished),
    met: to.met === "t",
    error: to.error,
  };
}

/** Whether nothing is on its way. Asked twice: between two looks at two servers a change may pass unseen. */
export async function isAtRest(observer: Observer): Promise<boolean> {
  for (let look = 0; look < 2; look++) {
    const traffic = await observer.traffic();
    if (!traffic.every((one) => one.met && one.pending + one.parked + one.unfinished === 0)) return false;
  }
  return true;
}

// Who restores a backup in the page puts older beats back: one that never came is written again.
const writtenAgainMs = 3_000;

/**
 * Measures how long a change takes as a user would see it: writes a beat into the source and looks for it in the target.
 * Ends with the signal; `note` gets milliseconds.
 */
export async function keepPulse(
  { source, target }: { source: NodeConfig; target: NodeConfig },
  { signal, note }: { signal: AbortSignal; note: (lagMs: number) => void },
): Promise<void> {
  await using writer = await connect(source, "demo");
  await using reader = await connect(target, "demo");
  for (let beat = 1; !signal.aborted; beat++) {
    const write = () => writer.query("update public.heartbeat set beat = $2 where node = $1", [source.name, beat]);
    await write();
    const first = performance.now();
    let last = first;
    while (!signal.aborted) {
      const [row] = await reader.query("select beat from public.heartbeat where node = $1", [source.name]);
      note(performance.now() - first);
      if (Number(row?.beat) >= beat) break;
      if (performance.now() - last > writtenAgainMs) {
        await write();
        last = performance.now();
      }
      await sleep(10);
    }
    await sleep(250);
  }
}
