import { randomUUID } from "node:crypto";
import { expect, test, vi } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import type { Clock } from "../../src/base/time.ts";
import { Lease } from "../../src/sidecar/lease.ts";
import { runSidecar } from "../../src/sidecar/sidecar.ts";
import { type TandemOptions, tandem } from "../support/child.ts";
import { configOf } from "../support/config.ts";
import { installSql } from "../support/install.ts";
import { type Cluster, cluster } from "../support/pg.ts";
import { startProxy } from "../support/proxy.ts";
import { waitFor } from "../support/wait.ts";
import { expectRest, Opened, sidecar } from "./support.ts";

vi.setConfig({ testTimeout: 180_000 });

interface Pair extends AsyncDisposable {
  nodes: Cluster;
  opened: Opened;
  /** Two sidecars' configurations: the first one's goes by way of `proxies`. */
  first: TandemOptions;
  second: TandemOptions;
  proxies: Awaited<ReturnType<typeof startProxy>>[];
}

async function pair(): Promise<Pair> {
  const opened = new Opened();
  const nodes = opened.add(await cluster(2));
  for (const { admin } of nodes) await admin.query("create table t (id int primary key, v text)");
  const proxies: Pair["proxies"] = [];
  for (const { server } of nodes) proxies.push(opened.add(await startProxy(server.port, server.host)));
  const urls = (through: (url: string, i: number) => string) =>
    Object.fromEntries(nodes.nodes.map(({ name, url }, i) => [name, through(url, i)]));
  const first = await opened.folder(urls((url, i) => proxies[i]!.url(url)));
  const second = await opened.folder(urls((url) => url));
  for (const command of ["migrate", "sync"]) expect((await tandem([command], second)).code).toBe(0);
  return { nodes, opened, first, second, proxies, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

const insert = async (nodes: Cluster, from: number) => {
  for (const [i, { admin }] of nodes.nodes.entries()) {
    await admin.query(`insert into t select g, 'x' from generate_series(${from + i * 100}, ${from + i * 100 + 9}) g`);
  }
};

const works = (node: string) => new RegExp(`"node":"${node}".*works on the links`);

async function sidecarsShown(at: TandemOptions): Promise<string[]> {
  const { stdout } = await tandem(["status", "--json"], at);
  const { nodes } = JSON.parse(stdout) as { nodes: { node: string; sidecar: { label: string } | null }[] };
  return nodes.map(
    ({ node, sidecar: working }) => `${node}: ${/process \d+/.exec(working?.label ?? "nobody")?.[0] ?? "nobody"}`,
  );
}

test("C2: of two sidecars one works, and the other takes over when it is killed", async () => {
  await using all = await pair();
  const { nodes, first, second } = all;
  await using one = sidecar(first);
  for (const { name } of nodes) await one.waitForLine(works(name));
  await using other = sidecar(second);
  for (const { name } of nodes) await other.waitForLine(new RegExp(`"node":"${name}".*stands by`));
  await insert(nodes, 1000);
  await expectRest(nodes.nodes, () => one.stderr);
  expect(await sidecarsShown(second)).toEqual([`local: process ${one.pid}`, `external: process ${one.pid}`]);

  // One command beside them waits for the link and does its own.
  await insert(nodes, 2000);
  expect((await tandem(["sync"], second)).code).toBe(0);

  await one.kill();
  await insert(nodes, 3000);
  await expectRest(nodes.nodes, () => other.stderr);
  for (const { name } of nodes) await other.waitForLine(works(name));
  expect(await sidecarsShown(second)).toEqual([`local: process ${other.pid}`, `external: process ${other.pid}`]);
  expect((await other.kill("SIGTERM")).code).toBe(0);
  // It was given back, not left to run out.
  for (const { admin } of nodes) expect(await admin.query("select * from tandem.lease")).toEqual([]);
});

test("C2: a sidecar that is frozen while it holds a link is taken over, and gives way when it wakes up", async () => {
  await using all = await pair();
  const { nodes, first, second, proxies } = all;
  await using one = sidecar(first);
  for (const { name } of nodes) await one.waitForLine(works(name));
  const held = proxies[1]!.holdAt("stage-rows");
  await insert(nodes, 1000);
  const { release } = await held;
  one.signal("SIGSTOP");
  await using other = sidecar(second);
  for (const { name } of nodes) await other.waitForLine(works(name));
  await insert(nodes, 2000);
  await expectRest(nodes.nodes, () => other.stderr);

  release();
  one.signal("SIGCONT");
  for (const { name } of nodes) await one.waitForLine(new RegExp(`"node":"${name}".*stands by`));
  await insert(nodes, 3000);
  await expectRest(nodes.nodes, () => one.stderr);
  expect(await sidecarsShown(second)).toEqual([`local: process ${other.pid}`, `external: process ${other.pid}`]);
  expect([one.result, other.result]).toEqual([undefined, undefined]);
});

test("C2: links whose source only the sidecar that stands by can reach are given to it, though their target is within reach", async () => {
  await using all = await pair();
  const { nodes, first, second, proxies } = all;
  await using one = sidecar(first);
  for (const { name } of nodes) await one.waitForLine(works(name));
  await using other = sidecar(second);
  for (const { name } of nodes) await other.waitForLine(new RegExp(`"node":"${name}".*stands by`));
  await proxies[0]!.down();
  await insert(nodes, 1000);
  await expectRest(nodes.nodes, () => `${one.stderr}\n${other.stderr}`);
  await one.waitForLine(/"node":"external".*gives way/);
  for (const { name } of nodes) await other.waitForLine(works(name));

  await proxies[0]!.up();
  for (const { name } of nodes) await one.waitForLine(new RegExp(`"node":"${name}".*stands by`));
  expect(await sidecarsShown(second)).toEqual([`local: process ${other.pid}`, `external: process ${other.pid}`]);
  expect([one.result, other.result]).toEqual([undefined, undefined]);
});

test("a sidecar that is stopped while a server does not answer ends without an error", async () => {
  await using nodes = await cluster(2);
  await using opened = new Opened();
  const proxies: Pair["proxies"] = [];
  for (const { server } of nodes) proxies.push(opened.add(await startProxy(server.port, server.host)));
  for (const proxy of proxies) proxy.stall();
  const stop = new AbortController();
  const config = configOf(nodes.nodes.map(({ name, url }, i) => ({ name, url: proxies[i]!.url(url) })));
  const running = runSidecar(config, { signal: stop.signal });
  await waitFor(() => proxies.every((proxy) => proxy.accepted > 0));
  stop.abort();
  await expect(running).resolves.toBeUndefined();
});

/** Stands still until it is moved; a sleep ends when its time has come. */
class HandClock implements Clock {
  #now = 1_000_000;
  #sleeping: { due: number; wake: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeper = { due: this.#now + ms, wake: resolve };
      this.#sleeping.push(sleeper);
      const stop = () => {
        this.#sleeping = this.#sleeping.filter((one) => one !== sleeper);
        reject(new Error("stopped"));
      };
      signal?.addEventListener("abort", stop, { once: true });
    });
  }

  /** Waits until somebody sleeps for just so long. */
  async asleep(ms: number): Promise<void> {
    await waitFor(() => this.#sleeping.some(({ due }) => due === this.#now + ms));
  }

  /** Once somebody sleeps for just so long, that time passes. */
  async pass(ms: number): Promise<void> {
    await this.asleep(ms);
    this.forward(ms);
  }

  forward(ms: number): void {
    this.#now += ms;
    const due = this.#sleeping.filter((sleeper) => sleeper.due <= this.#now);
    this.#sleeping = this.#sleeping.filter((sleeper) => sleeper.due > this.#now);
    for (const { wake } of due) wake();
  }
}

test("a tenure is over when the time since its last renewal is, whatever the database would say", async () => {
  await using nodes = await cluster(1);
  const { name, url, admin } = nodes.local;
  await using opened = new Opened();
  const at: TandemOptions = await opened.folder({ local: url });
  expect((await tandem(["migrate"], at)).code).toBe(0);
  const clock = new HandClock();
  const stop = new AbortController();
  const lease = new Lease(
    { name, url },
    { holder: randomUUID(), label: "one", renewMs: 3_000, clock, logger: silentLogger, signal: stop.signal },
  );
  const running = lease.run();
  const tenure = await lease.held(stop.signal);
  const renewedAt = () => admin.value("select renewed_at from tandem.lease");
  const taken = await renewedAt();
  await clock.pass(3_000);
  // Once the lease sleeps again it has heard of its last renewal: what the database shows is a moment earlier.
  await clock.asleep(3_000);
  expect(await renewedAt()).not.toBe(taken);
  expect(lease.tenure).toBe(tenure);

  // The renewal waits behind somebody who holds the row; so long as that lasts nothing is known.
  await admin.query("begin; select from tandem.lease for update");
  await clock.pass(3_000);
  expect(tenure.aborted).toBe(false);
  clock.forward(10_000);
  await waitFor(() => tenure.aborted);
  expect(lease.tenure).toBe(null);
  await admin.query("rollback");
  expect((await lease.held(stop.signal)).aborted).toBe(false);
  stop.abort();
  await running;
});

test("a holder to whom a source stays out of reach gives the lease away, but only where another one stands by", async () => {
  await using nodes = await cluster(1);
  const { name, url, admin } = nodes.local;
  await using opened = new Opened();
  expect((await tandem(["migrate"], await opened.folder({ local: url }))).code).toBe(0);
  const clock = new HandClock();
  const stop = new AbortController();
  const lease = new Lease(
    { name, url },
    { holder: randomUUID(), label: "one", renewMs: 20_000, clock, logger: silentLogger, signal: stop.signal },
  );
  const running = lease.run();
  const tenure = await lease.held(stop.signal);
  const other = randomUUID();
  const ask = () => admin.value(`select tandem.hold_lease('${other}', 'other', '10 s') ->> 'held'`);
  const renewals = async () => admin.value("select xmin::text from tandem.lease");
  const renewed = async () => {
    const before = await renewals();
    await clock.pass(20_000);
    await waitFor(async () => (await renewals()) !== before);
  };
  lease.noteReach("far", false);
  await renewed();
  expect(lease.tenure).toBe(tenure);
  expect(await ask()).toBe("false");
  await clock.pass(20_000);
  await waitFor(() => tenure.aborted);
  expect(await ask()).toBe("true");
  let standsBy = false;
  const standBy = () => {
    standsBy = true;
  };
  const next = lease.held(stop.signal, { standBy });
  await clock.pass(41_000);
  await waitFor(() => standsBy);

  // The other one did not reach it either, and went: after a try in vain the next one takes longer.
  await admin.query("delete from tandem.lease");
  await clock.pass(20_000);
  const again = await next;
  lease.noteReach("far", false);
  expect(await ask()).toBe("false");
  await renewed();
  expect(lease.tenure).toBe(again);
  expect(await ask()).toBe("false");
  await clock.pass(20_000);
  await waitFor(() => again.aborted);
  stop.abort();
  await running;
});

test("a lease is taken only when it is over, also where the clock has stepped back", async () => {
  await using nodes = await cluster(1);
  const { url, admin } = nodes.local;
  await installSql(url);
  const hold = (holder: string) =>
    admin.value(`select tandem.hold_lease('${holder}', '${holder.slice(0, 1)}', '10 s') ->> 'held'`);
  const [a, b] = ["a0000000-0000-4000-8000-000000000000", "b0000000-0000-4000-8000-000000000000"];
  expect([await hold(a), await hold(b), await hold(a)]).toEqual(["true", "false", "true"]);
  await admin.query("update tandem.lease set renewed_at = clock_timestamp() - interval '11 s'");
  expect([await hold(b), await hold(a)]).toEqual(["true", "false"]);
  await admin.query("update tandem.lease set renewed_at = clock_timestamp() + interval '1 h'");
  expect([await hold(a), await hold(b)]).toEqual(["true", "false"]);
  expect(await admin.value(`select tandem.release_lease('${b}')::text`)).toBe("false");
  expect(await admin.value(`select tandem.release_lease('${a}')::text`)).toBe("true");
  expect(await hold(b)).toBe("true");
});
