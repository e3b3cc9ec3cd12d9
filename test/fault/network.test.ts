import { expect, test, vi } from "vitest";
import { connect } from "../../src/db/connect.ts";
import { type TandemProcess, tandem } from "../support/child.ts";
import { type Cluster, cluster } from "../support/pg.ts";
import { type Proxy as NetworkProxy, startProxy } from "../support/proxy.ts";
import { expectRest, Opened, sidecar } from "./support.ts";

vi.setConfig({ testTimeout: 240_000 });

interface Network extends AsyncDisposable {
  nodes: Cluster;
  proxies: NetworkProxy[];
  running: TandemProcess;
}

/** A sidecar that reaches its servers by way of proxies, and asks after two seconds of silence. */
async function network(): Promise<Network> {
  const opened = new Opened();
  const nodes = opened.add(await cluster(2));
  for (const { admin } of nodes) await admin.query("create table t (id int primary key, v text)");
  const proxies: NetworkProxy[] = [];
  for (const { server } of nodes) proxies.push(opened.add(await startProxy(server.port, server.host)));
  const urls = nodes.nodes.map(({ name, url }, i) => [name, `${proxies[i]!.url(url)}?tcp_user_timeout=2000`]);
  const at = await opened.folder(Object.fromEntries(urls));
  for (const command of ["migrate", "sync"]) expect((await tandem([command], at)).code).toBe(0);
  const running = opened.add(sidecar(at));
  for (const { name } of nodes) await running.waitForLine(new RegExp(`"node":"${name}".*works on`));
  return { nodes, proxies, running, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

let next = 0;
async function insert(nodes: Cluster, rows = 20): Promise<void> {
  for (const { admin } of nodes) {
    next += 100_000;
    await admin.query(`insert into t select g, repeat('x', 200) from generate_series(${next}, ${next + rows - 1}) g`);
  }
}

test("C2: a network that is slow, stops for a while, or breaks is waited out", async () => {
  await using all = await network();
  const { nodes, proxies, running } = all;
  for (const proxy of proxies) proxy.delay(40);
  await insert(nodes);
  await expectRest(nodes.nodes, () => running.stderr);
  for (const proxy of proxies) proxy.delay(0);
  for (const proxy of proxies) {
    const held = proxy.holdAt("apply");
    await insert(nodes, 2_000);
    const { release } = await held;
    proxy.stall();
    release();
    await insert(nodes);
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    proxy.resume();
    await expectRest(nodes.nodes, () => running.stderr);
    await proxy.down();
    await insert(nodes);
    await proxy.up();
  }
  await expectRest(nodes.nodes, () => running.stderr);
  expect(running.result).toBeUndefined();
});

test.each(["probe", "read-rows", "stage-rows", "apply", "confirm", "lease"])(
  "C2: a connection whose other half is gone is given up: at %s",
  async (step) => {
    await using all = await network();
    const { nodes, proxies, running } = all;
    const held = Promise.race(proxies.map((proxy) => proxy.holdAt(step)));
    await insert(nodes);
    await held;
    // What is held is swallowed with all that follows, on every connection; nobody says so.
    for (const proxy of proxies) {
      proxy.disarm();
      proxy.halfOpen();
    }
    await insert(nodes);
    await expectRest(nodes.nodes, () => running.stderr);
    expect(running.result).toBeUndefined();
  },
);

test("a statement that takes long is not given up, only one whose answer never comes", async () => {
  await using nodes = await cluster(1);
  const { name, server, url } = nodes.local;
  await using proxy = await startProxy(server.port, server.host);
  const through = { name, url: `${proxy.url(url)}?tcp_user_timeout=300` };
  await using connection = await connect(through, "test");
  expect(await connection.query("select 'slept' as done from pg_sleep(3)")).toEqual([{ done: "slept" }]);
  const held = proxy.holdAt("never");
  const lost = connection.query("/* tandem:never */ select 1").then(
    () => null,
    (error: unknown) => error,
  );
  await held;
  expect(await lost).toMatchObject({ code: "connection_lost" });
  expect(connection.broken).toBe(true);
});
