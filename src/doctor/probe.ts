import type { Clock } from "../base/time.ts";
import type { LinkConfig } from "../config/config.ts";
import type { Connection } from "../db/connection.ts";
import { quoteLiteral } from "../db/quote.ts";
import { underInstallLock } from "../install/lock.ts";
import { patiently } from "../install/patience.ts";
import type { DoctorContext } from "./check.ts";
import type { DoctorNode } from "./node.ts";

/** The way of a row from one node into another, by their names. */
export interface Trip {
  readonly from: string;
  readonly to: string;
}

/** Where rows are sent, and the links that are to carry them. */
export interface Route {
  readonly trips: readonly Trip[];
  readonly links: readonly LinkConfig[];
}

/** What became of the row. */
export interface Arrival extends Trip {
  /** Milliseconds from before it was written until it was seen, by the clock of this machine; null: not seen in time. */
  readonly tookMs: number | null;
}

const lookEveryMs = 10;
const patienceMs = 20_000;

/** How long a row is waited for, in milliseconds: two pauses of an idle link, and what a busy machine takes. */
export function longestTripMs(intervalMs: number): number {
  return 30_000 + 2 * intervalMs;
}

/**
 * Makes the table of the probe in all nodes, waits until the links carry it, sends a row on each trip, one node after the
 * other, and takes all away again, also after a failure or a signal. Throws what keeps a node from making or losing the table.
 */
export async function sendProbes(
  nodes: readonly DoctorNode[],
  route: Route,
  context: DoctorContext,
): Promise<Arrival[]> {
  const writers = new Map<string, Connection>();
  try {
    for (const node of nodes) {
      const writer = await node.connectAgain(context.signal);
      writers.set(node.name, writer);
      await change(writer, "open", context);
    }
    return await new Probes(writers, context).send(route);
  } finally {
    await Promise.all([...writers.values()].map((writer) => writer.close()));
    await closeAll(nodes, context.clock);
  }
}

/** By connections of its own: a signal ends all others. A node that fails keeps no other from being cleaned. */
async function closeAll(nodes: readonly DoctorNode[], clock: Clock): Promise<void> {
  const closed = await Promise.allSettled(
    nodes.map(async (node) => {
      const connection = await node.connectAgain();
      try {
        await change(connection, "close", { clock });
      } finally {
        await connection.close();
      }
    }),
  );
  for (const result of closed) if (result.status === "rejected") throw result.reason;
}

async function change(
  connection: Connection,
  what: "open" | "close",
  { clock, signal }: { readonly clock: Clock; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const work = () => underInstallLock(connection, (tx) => tx.query(`select tandem.${what}_probe()`));
  await patiently(work, { clock, signal, patienceMs });
}

class Probes {
  readonly #nodes: ReadonlyMap<string, Connection>;
  readonly #context: DoctorContext;

  constructor(nodes: ReadonlyMap<string, Connection>, context: DoctorContext) {
    this.#nodes = nodes;
    this.#context = context;
  }

  async send({ trips, links }: Route): Promise<Arrival[]> {
    const targets = new Set(trips.map(({ to }) => to));
    const closed = await this.#waitForAll(links, ({ source, target }) =>
      this.#holds(target, `tandem.probe_flows(${quoteLiteral(source)})`),
    );
    // A link that does not carry the table will not carry its rows.
    const hopeless = ({ from, to }: Trip) => closed.some(({ source, target }) => source === from && target === to);
    const arrivals: Arrival[] = trips.filter(hopeless).map((trip) => ({ ...trip, tookMs: null }));
    for (const from of this.#nodes.keys()) {
      const own = trips.filter((trip) => trip.from === from && !hopeless(trip));
      if (own.length > 0) arrivals.push(...(await this.#sendFrom(from, own)));
    }
    await Promise.all(
      [...this.#nodes].map(([name, node]) => node.query(`delete from tandem.probe where node = ${quoteLiteral(name)}`)),
    );
    await this.#waitForAll([...targets], (to) => this.#holds(to, "not exists (select from tandem.probe)"));
    return trips.flatMap((trip) => arrivals.filter(({ from, to }) => from === trip.from && to === trip.to));
  }

  async #sendFrom(from: string, trips: readonly Trip[]): Promise<Arrival[]> {
    const began = performance.now();
    const took = new Map<Trip, number>();
    await this.#node(from).query(`insert into tandem.probe (node) values (${quoteLiteral(from)})`);
    await this.#waitForAll(trips, async (trip) => {
      const there = await this.#holds(trip.to, `exists (select from tandem.probe where node = ${quoteLiteral(from)})`);
      if (there) took.set(trip, performance.now() - began);
      return there;
    });
    return trips.map((trip) => ({ ...trip, tookMs: took.get(trip) ?? null }));
  }

  /** Looks at each item until it is done; returns those that were not in time. */
  async #waitForAll<T>(items: readonly T[], done: (item: T) => Promise<boolean>): Promise<T[]> {
    const { clock, signal, config } = this.#context;
    const deadline = performance.now() + longestTripMs(config.sync.intervalMs);
    let waiting = [...items];
    for (;;) {
      const answers = await Promise.all(waiting.map(done));
      waiting = waiting.filter((_, i) => !answers[i]);
      if (waiting.length === 0 || performance.now() > deadline) return waiting;
      await clock.sleep(lookEveryMs, signal);
    }
  }

  async #holds(node: string, condition: string): Promise<boolean> {
    const [row] = await this.#node(node).query(`select ${condition} as holds`);
    return row?.holds === "t";
  }

  #node(name: string): Connection {
    const connection = this.#nodes.get(name);
    if (!connection) throw new Error(`no connection to ${name}`);
    return connection;
  }
}
