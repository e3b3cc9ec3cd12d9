import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { projectRoot, type TandemOptions, type TandemProcess, tandem } from "../support/child.ts";
import { type Cluster, cluster } from "../support/pg.ts";
import { type Proxy as NetworkProxy, startProxy } from "../support/proxy.ts";
import { waitFor } from "../support/wait.ts";
import { appliedIn, cutAtStep, expectRest, Opened, sidecar } from "./support.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** Steps that no round comes to: `sync --dry-run`; an error that a person must look at; what is done once an hour; tables of two shapes; resting; heartbeats; what large statements leave. */
const elsewhere = ["preview", "note", "prune", "stage-misfits", "wake", "beat", "tidy"];

const files = readdirSync(join(projectRoot, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => readFileSync(join(projectRoot, "src", name), "utf8"));
const declared = [
  ...(
    /export type Step =([^;]*);/.exec(files.find((text) => text.includes("export type Step =")) ?? "")?.[1] ?? ""
  ).matchAll(/"([\w-]+)"/g),
].map((match) => match[1] ?? "");
const steps = declared.filter((step) => !elsewhere.includes(step));

test("the steps of a round are those that its statements name", () => {
  const named = (step: string) =>
    files.some((text) => !text.includes("export type Step =") && new RegExp(`"${step}"|tandem:${step}[ -]`).test(text));
  expect(declared.filter((step) => !named(step))).toEqual([]);
  expect(steps.length).toBeGreaterThan(15);
});

const schema = `
  create table customer (id int primary key, name text not null, visits int not null default 0);
  create table invoice (id int primary key, customer_id int not null references customer, total numeric(10, 2));
  insert into customer select g, 'customer ' || g from generate_series(1, 20) g`;

/**
 * A loss at each step, C2 and C3 after each. `before`: the server never sees the statement; `after`: it has done it and
 * nobody hears the answer. Nothing is done for the sidecar but, where it was killed, to start it again.
 */
describe.each([
  { loss: "its connection", kill: false, when: "before" },
  { loss: "its connection", kill: false, when: "after" },
  { loss: "the process", kill: true, when: "before" },
  { loss: "the process", kill: true, when: "after" },
] as const)("the applier loses $loss $when", ({ kill, when }) => {
  const opened = new Opened();
  let nodes: Cluster;
  let proxies: NetworkProxy[];
  let at: TandemOptions;
  let running: TandemProcess;
  let next = 1000;
  let written = 0;
  let before = 0;

  beforeAll(async () => {
    nodes = opened.add(await cluster(2));
    for (const { admin } of nodes) await admin.query(schema);
    proxies = [];
    for (const { server } of nodes) proxies.push(opened.add(await startProxy(server.port, server.host)));
    at = await opened.folder(Object.fromEntries(nodes.nodes.map(({ name, url }, i) => [name, proxies[i]!.url(url)])));
    for (const command of ["migrate", "sync"]) {
      const { code, stderr } = await tandem([command], at);
      expect(code, stderr).toBe(0);
    }
    running = opened.add(sidecar(at));
    before = await carried();
  });
  afterAll(() => opened[Symbol.asyncDispose]());

  const newId = () => {
    next += 10;
    return next;
  };

  /** A customer and an invoice on either side. */
  async function write(): Promise<void> {
    for (const [i, { admin }] of nodes.nodes.entries()) {
      const id = newId() + i;
      await admin.query(`insert into customer values (${id}, 'c'); insert into invoice values (${id}, ${id}, 1.5);
        update customer set visits = visits + 1 where id = ${id}`);
      written += 2;
    }
  }

  /** A row whose entry says that it is gone, as after a deletion that overtook an insert. */
  async function unsettle(): Promise<void> {
    const id = newId();
    const { admin } = nodes.local;
    const log = await admin.value("select log_name from tandem.tracked_table where table_name = 'customer'");
    await admin.query(`begin; insert into customer values (${id}, 'c');
      update tandem_log."${log}" set op = 'D' where k1 = ${id}; commit`);
    written += 1;
  }

  /** How a killed sidecar's lease runs out is seen in lease.test.ts; here nobody waits for that. */
  async function startAgain(): Promise<void> {
    for (const { admin } of nodes) await admin.query("delete from tandem.lease");
    running = opened.add(sidecar(at));
  }

  const carried = async () => (await appliedIn(nodes.local)) + (await appliedIn(nodes.external));

  test.each(steps)("%s", async (step) => {
    // One that a test has started ends with it.
    if (running.result) await startAgain();
    // The steps of a new connection come too.
    for (const proxy of proxies) proxy.cut();
    const lost = cutAtStep(proxies, step, when);
    await write();
    if (step === "settle") await unsettle();
    // By the short way goes only what is written after a round of the usual way: one write may be too early.
    while (!(await Promise.race([lost.then(() => true), sleep(1_000, false)]))) await write();
    if (kill) {
      await running.kill();
      await startAgain();
    }
    await write();
    // Each row was written once by one node, and counts once.
    await waitFor(async () => (await carried()) - before === written, {
      deadlineMs: 120_000,
      what: () => running.stderr,
    });
    expect(running.result).toBeUndefined();
  });

  test("and in the end all is at rest", async () => {
    if (running.result) await startAgain();
    const words = () => `${running.stderr}ended: ${running.result?.code ?? running.result?.signal ?? "not"}`;
    expect(await expectRest(nodes.nodes, words)).toBe(written + 20);
    expect((await carried()) - before).toBe(written);
  });
});
