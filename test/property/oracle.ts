import { afterAll, beforeAll, inject } from "vitest";
import { type EmbeddedServer, startServer } from "../../src/embedded/server.ts";
import { testMajor } from "../support/pg.ts";
import { type TestServer, testSettings } from "../support/servers.ts";
import { Coverage } from "./coverage.ts";
import { makeFaultPlan } from "./fault-plan.ts";
import { Faults } from "./faults.ts";
import { NodePool } from "./nodes.ts";
import { runSeed } from "./run-seed.ts";

const mostNodes = 4;

/** Histories with faults, on servers that nobody else uses where these can be started. */
export class Oracle implements AsyncDisposable {
  readonly coverage = new Coverage();
  readonly #own: readonly EmbeddedServer[];
  readonly #pool: NodePool;
  readonly #servers: readonly TestServer[];

  private constructor(own: readonly EmbeddedServer[], servers: readonly TestServer[], pool: NodePool) {
    this.#own = own;
    this.#servers = servers;
    this.#pool = pool;
  }

  static async open(): Promise<Oracle> {
    const shared = inject("tandemServers");
    if (shared[0]?.kind !== "embedded") return new Oracle([], shared, await NodePool.open(mostNodes));
    const major = testMajor();
    // what a crash may not take: that commits survive it is what Tandem builds on
    const settings = { ...testSettings, synchronous_commit: "on" };
    const own = await Promise.all([1, 2].map(() => startServer({ major, settings })));
    const servers = own.map((server): TestServer => {
      const { host, port, logFile } = server;
      return { kind: "embedded", major, url: server.url(), host, port, logFile };
    });
    return new Oracle(own, servers, await NodePool.open(mostNodes, servers));
  }

  serverVersions(): Promise<string[]> {
    return this.#pool.serverVersions();
  }

  /** Runs one history to rest; throws with all that is needed to repeat it. */
  async run(seed: number, nodes: number, writes?: number): Promise<void> {
    const plan = makeFaultPlan(seed, nodes, { writes, restarts: this.#own.length > 0 });
    await using faults = await Faults.open(
      this.#servers.map(({ port }) => port),
      this.#own,
      this.coverage,
    );
    await runSeed(plan, this.#pool, this.coverage, faults);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
    for (const server of this.#own) await server.stop("immediate");
  }
}

/** An oracle for the tests of a file. */
export function openOracle(): () => Oracle {
  let oracle: Oracle | undefined;
  beforeAll(async () => {
    oracle = await Oracle.open();
  }, 180_000);
  afterAll(async () => {
    await oracle?.[Symbol.asyncDispose]();
    process.stdout.write(`met:\n${oracle?.coverage}\n`);
  });
  return () => oracle!;
}
