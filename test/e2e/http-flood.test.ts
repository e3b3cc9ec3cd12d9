import { get } from "node:http";
import { connect, type Socket } from "node:net";
import { expect, test, vi } from "vitest";
import type { z } from "zod";
import type { statusReport } from "../../src/http/answers.ts";
import { afterTest } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { ask, serve } from "./http-support.ts";

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const mb = 1024 * 1024;
const many = 220;

test("200 MB of status asked for by readers who do not read: memory stays bounded, rounds go on, and they are let go", async () => {
  // Tables without a key, each of which the status names twice.
  const { nodes, url, sidecar } = await serve(`create table item (id int primary key, name text);
    do $$ begin for i in 1 .. 1500 loop execute format('create table %I (x int)', 'left_out_' || i || repeat('_', 40)); end loop; end $$`);
  const { local, external } = nodes;
  const status = async () => await ask<z.infer<typeof statusReport>>(url, "/api/status");
  const size = Buffer.byteLength((await status()).text);
  expect(size * many).toBeGreaterThan(200 * mb);
  const before = await memoryOf(url);
  const readers: Socket[] = [];
  afterTest(async () => {
    for (const reader of readers) reader.destroy();
  });
  for (let i = 0; i < many; i++) readers.push(await slowReader(url));
  let most = 0;
  for (let row = 1; row <= 5; row++) {
    await local.admin.query("insert into item values ($1, 'under way')", [row]);
    await waitFor(async () => (await external.admin.value("select count(*)::text from item")) === String(row));
    most = Math.max(most, await memoryOf(url));
    expect((await status()).body.nodes.length).toBe(2);
  }
  expect(most - before).toBeLessThan(120 * mb);
  // Whoever does not read is let go: there is room for more than there would be beside them.
  await waitFor(async () => (await answered(url, 200)) === 200, { deadlineMs: 120_000, every: 4_000 });
  await local.admin.query("insert into item values (6, 'after it')");
  await waitFor(async () => (await external.admin.value("select count(*)::text from item")) === "6");
  expect(sidecar.result).toBe(undefined);
});

test("an address that sends far too much is cut off unread, and told so; another address is answered, and rounds go on", async () => {
  const { nodes, url, sidecar } = await serve("create table item (id int primary key, name text)");
  const begun = performance.now();
  const garbage = [
    "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n",
    'POST /api/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{"',
  ];
  const all = Array.from({ length: 60 }, (_, i) => sendAll(url, (garbage[i % garbage.length] ?? "").repeat(100)));
  const answers = (await Promise.all(all)).join("");
  expect(answers).toMatch(/HTTP\/1\.1 429 [^{]*Retry-After: \d[^{]*\{"error":\{"code":"too_many_requests"/);
  const elsewhere = await from("127.0.0.2", `${url}/metrics`);
  expect(elsewhere.status).toBe(200);
  const counted = [...elsewhere.text.matchAll(/^tandem_http_requests_total\{.* (\d+)$/gm)];
  const read = counted.reduce((sum, [, n]) => sum + Number(n), 0);
  // Of 6,000: what an address may send at once, and what it may send in so many seconds.
  expect(read).toBeLessThan(320 + (60 * (performance.now() - begun)) / 1_000);
  expect(Number(/^tandem_http_refused_total (\d+)$/m.exec(elsewhere.text)?.[1])).toBeGreaterThan(0);
  await nodes.local.admin.query("insert into item values (1, 'after it')");
  await waitFor(async () => (await nodes.external.admin.value("select count(*)::text from item")) === "1");
  expect(sidecar.result).toBe(undefined);
  // Nobody is remembered for ever.
  await waitFor(async () => (await ask(url, "/healthz")).status === 200);
});

/** Sends a text on a connection of its own; what came until it ended. */
async function sendAll(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname });
  let got = "";
  socket.setEncoding("latin1").on("data", (part: string) => {
    got += part;
  });
  socket.on("error", () => {});
  socket.write(text);
  // Where it was let in, the last answer is followed by nothing.
  socket.setTimeout(5_000, () => socket.destroy());
  await new Promise((resolve) => socket.once("close", resolve));
  return got;
}

/** Asks from an address of this machine that is not the usual one. */
async function from(localAddress: string, url: string): Promise<{ status: number; text: string }> {
  return await new Promise((resolve, reject) => {
    get(url, { localAddress, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("error", reject).on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    }).on("error", reject);
  });
}

/** A connection that asks for the status and never reads what comes. */
async function slowReader(url: string): Promise<Socket> {
  const socket = await asking(url, "/api/status");
  socket.pause();
  return socket;
}

/** A connection that has asked for a path. */
async function asking(url: string, path: string): Promise<Socket> {
  const { hostname, port, host } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname });
  // One that is refused, or cut, ends with an error that nobody needs.
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  return socket;
}

/** How many of so many connections, open at the same time, get an answer. */
async function answered(url: string, count: number): Promise<number> {
  const sockets = await Promise.all(Array.from({ length: count }, () => asking(url, "/healthz")));
  const got = await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<boolean>((resolve) => {
          socket.once("data", () => resolve(true)).once("close", () => resolve(false));
          if (socket.destroyed) resolve(false);
        }),
    ),
  );
  for (const socket of sockets) socket.destroy();
  return got.filter(Boolean).length;
}

/** Resident memory of the sidecar, in bytes, as its metrics tell it. */
async function memoryOf(url: string): Promise<number> {
  const { text } = await ask(url, "/metrics");
  return Number(/^tandem_sidecar_memory_bytes (\S+)$/m.exec(text)?.[1]);
}
