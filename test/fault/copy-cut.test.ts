import { afterAll, beforeAll, expect, test } from "vitest";
import { TandemError } from "../../src/base/errors.ts";
import { connect } from "../../src/db/connect.ts";
import { carry } from "../../src/postgres/copy.ts";
import { type Cluster, cluster } from "../support/pg.ts";
import { type Proxy as NetworkProxy, startProxy } from "../support/proxy.ts";
import { seeded, seeds } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";
import { Opened } from "./support.ts";

// What nobody awaits ends a process: the runner fails the run for it, whichever test it belongs to.

const rows = "copy (select g, repeat('x', 1000) from generate_series(1, 150000) g) to stdout";
const into = "copy public.copied from stdin";

const opened = new Opened();
let nodes: Cluster;
let from: NetworkProxy;
let to: NetworkProxy;

beforeAll(async () => {
  nodes = opened.add(await cluster(2));
  await nodes.external.admin.query("create table copied (id int, v text)");
  from = opened.add(await startProxy(nodes.local.server.port, nodes.local.server.host));
  to = opened.add(await startProxy(nodes.external.server.port, nodes.external.server.host));
});
afterAll(() => opened[Symbol.asyncDispose]());

/** Carries the rows, and cuts when some have been under way for so long. Returns the code of the error met. */
async function carried(cut: () => void, afterMs: number): Promise<string> {
  await using source = await connect({ name: "local", url: from.url(nodes.local.url) }, "test");
  await using target = await connect({ name: "external", url: to.url(nodes.external.url) }, "test");
  const carrying = carry(source.copyOut(rows), target.copyIn(into));
  const timer = setTimeout(cut, afterMs);
  try {
    await carrying;
    return "none";
  } catch (error) {
    return error instanceof TandemError ? error.code : String(error);
  } finally {
    clearTimeout(timer);
  }
}

test("C2: a COPY that loses its target and then its source ends with one error that is met", async () => {
  await using target = await connect({ name: "external", url: to.url(nodes.external.url) }, "test");
  const writer = target.copyIn(into);
  const failed = new Promise<unknown>((resolve) => writer.once("error", resolve));
  await new Promise((resolve) => writer.write("1\tx\n", resolve));
  to.cut();
  expect(await failed).toMatchObject({ code: "connection_lost" });
  writer.destroy(new Error("the source is lost too"));
  await waitFor(() => writer.closed);
});

test("C2: a COPY that loses its source while the target takes nothing ends with the loss", async () => {
  for (const afterMs of [50, 100, 200]) {
    const cut = () => {
      to.stall();
      setTimeout(() => {
        from.cut();
        to.resume();
      }, afterMs);
    };
    expect(await carried(cut, afterMs)).toBe("connection_lost");
  }
});

test.each(seeds(40))("C2: connections cut while a COPY runs, seed %i", async (seed) => {
  const random = seeded(seed);
  const which = random.pick([[from], [to], [from, to], [to, from]]);
  const cut = () => {
    for (const proxy of which) proxy.cut();
  };
  expect(await carried(cut, random.int(0, 150))).toBe("connection_lost");
});
