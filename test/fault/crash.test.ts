import { expect, test, vi } from "vitest";
import type { EmbeddedServer } from "../../src/embedded/server.ts";
import type { TandemProcess } from "../support/child.ts";
import { connectClient } from "../support/client.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import { startProxy } from "../support/proxy.ts";
import { type Random, seeded } from "../support/seed.ts";
import { type Servers, synced, twoServers } from "./servers.ts";
import { expectRest, sidecar } from "./support.ts";

vi.setConfig({ testTimeout: 300_000 });

const schema = `
  create table customer (id int primary key, name text not null, visits int not null default 0);
  create table invoice (id int primary key, customer_id int not null references customer, total numeric);
  insert into customer select g, 'customer ' || g from generate_series(1, 50) g`;

const started = async ({ opened }: Servers, urls: Record<string, string>): Promise<TandemProcess> =>
  opened.add(sidecar(await synced(opened, urls)));

test("C1: rows that a crash emptied out of the staging tables are staged again, though a pooler hides the crash", async () => {
  await using all = await twoServers(schema);
  const { opened, servers, nodes } = all;
  const bouncer = opened.add(await startPgBouncer(servers[1].url()));
  const proxy = opened.add(await startProxy(bouncer.port));
  const running = await started(all, { local: servers[0].url(), external: proxy.url(servers[1].url()) });
  const held = proxy.holdAt("apply");
  await nodes[0].admin.query("insert into customer select g, 'x' from generate_series(100, 199) g");
  const { release } = await held;
  await servers[1].kill();
  await servers[1].restart();
  expect(await nodes[1].admin.query("select * from tandem.staged")).toEqual([]);
  release();
  expect(await expectRest(nodes, () => running.stderr)).toBe(150);
});

/** Writes to one node until it is told to stop, through all that happens to the server. */
class Writer {
  readonly #url: string;
  readonly #random: Random;
  readonly #parity: number;
  #stop = false;
  readonly #done: Promise<void>;
  written = 0;

  constructor(url: string, random: Random, parity: number) {
    this.#url = url;
    this.#random = random;
    this.#parity = parity;
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    let id = 1000 + this.#parity;
    while (!this.#stop) {
      const client = await connectClient(this.#url).catch(() => null);
      try {
        while (client && !this.#stop) {
          id += 2;
          const own = this.#random.int(0, 24) * 2 + 1 + this.#parity;
          await client.query(`begin; insert into customer values (${id}, 'w'); insert into invoice values (${id}, ${own}, 1);
            update customer set visits = visits + 1 where id = ${own}; commit`);
          this.written++;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      } catch {
        // The server went away: that is what the test does to it.
        await new Promise((resolve) => setTimeout(resolve, 20));
      } finally {
        await client?.end().catch(() => {});
      }
    }
  }

  async stop(): Promise<void> {
    this.#stop = true;
    await this.#done;
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("C1 C2 C3: either server is restarted, crashes or is away for a while, under load", async () => {
  const random = seeded(Number(process.env.SEED ?? Date.now() % 100_000));
  process.stdout.write(`SEED=${random.seed}\n`);
  await using all = await twoServers(schema);
  const { servers, nodes } = all;
  const running = await started(all, { local: servers[0].url(), external: servers[1].url() });
  const writers = nodes.map(({ superUrl }, i) => new Writer(superUrl, random.fork(), i));
  const faults: ((server: EmbeddedServer) => Promise<void>)[] = [
    (server) => server.restart({ mode: "fast" }),
    (server) => server.restart({ mode: "immediate" }),
    async (server) => {
      await server.kill();
      await server.restart();
    },
    async (server) => {
      await server.stop("fast", { keep: true });
      await pause(2_500);
      await server.restart();
    },
  ];
  for (const fault of random.shuffle([...faults, ...faults.slice(1, 3)])) {
    await pause(random.int(100, 1_500));
    await fault(random.pick(servers));
  }
  for (const writer of writers) await writer.stop();
  const rows = await expectRest(nodes, () => running.stderr);
  expect(running.result, running.stderr).toBeUndefined();
  expect(writers.every(({ written }) => written > 10)).toBe(true);
  expect(rows).toBeGreaterThan(50);
});

test("C2: sessions of the applier are ended at random moments", async () => {
  const random = seeded(Number(process.env.SEED ?? Date.now() % 100_000));
  process.stdout.write(`SEED=${random.seed}\n`);
  await using all = await twoServers(schema);
  const { servers, nodes } = all;
  const running = await started(all, { local: servers[0].url(), external: servers[1].url() });
  const writers = nodes.map(({ superUrl }, i) => new Writer(superUrl, random.fork(), i));
  let ended = 0;
  for (let i = 0; i < 60; i++) {
    await pause(random.int(0, 200));
    const victims = await random.pick(nodes).admin.query(`select pg_terminate_backend(pid) from (
      select pid from pg_stat_activity where application_name like 'tandem/%' order by random() limit 1) x`);
    ended += victims.length;
  }
  for (const writer of writers) await writer.stop();
  await expectRest(nodes, () => running.stderr);
  expect(running.result, running.stderr).toBeUndefined();
  expect(ended).toBeGreaterThan(10);
});
