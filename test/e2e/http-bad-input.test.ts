import { writeFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { z } from "zod";
import type { failureDocument } from "../../src/http/failure.ts";
import { spawnTandem, tandem } from "../support/child.ts";
import { waitFor } from "../support/wait.ts";
import { type Answer, ask, folderOf, type Sent, type Served, serve, token, urlOf } from "./http-support.ts";

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

let served: Served;
beforeAll(async () => {
  served = await serve("create table item (id int primary key, name text)");
});
afterAll(async () => {
  await served?.sidecar.stop();
  await served?.nodes[Symbol.asyncDispose]();
});

type Failure = z.infer<typeof failureDocument>;

async function refused(path: string, sent: Sent = {}): Promise<{ status: number; code: string; message: string }> {
  const { status, body } = await ask<Failure>(served.url, path, sent);
  return { status, code: body.error.code, message: body.error.message };
}

/** What comes back for these bytes, where `more` is sent after them, over and over. */
async function raw(bytes: string, more = ""): Promise<string> {
  const { hostname, port } = new URL(served.url);
  return await new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    const drip = setInterval(() => socket.writable && more !== "" && socket.write(more), 500);
    socket.on("close", () => clearInterval(drip));
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    // What is sent to one who has answered and gone resets the connection: what came before that is the answer.
    socket.on("error", () => {}).on("close", () => resolve(text));
  });
}

/** A stream of events, as far as its head. */
function openStream(): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = get(new URL("/api/events", served.url), { agent: false }, (response) => {
      // What is destroyed here ends with an error that nobody needs.
      resolve(response.on("error", () => {}));
    });
    request.on("error", reject);
  });
}

test("without the token, or with a wrong one", async () => {
  const path = "/api/conflicts/some";
  expect(await refused(path)).toMatchObject({ status: 401, code: "unauthorized", message: "the token is missing" });
  for (const wrong of ["x", `${token}x`, token.slice(0, -1), token.toUpperCase(), "", "Bearer", "é".repeat(400)]) {
    const headers = { authorization: `Bearer ${encodeURI(wrong)}` };
    expect(await refused(path, { headers })).toMatchObject({ status: 401, code: "unauthorized" });
  }
  for (const authorization of [`Basic ${token}`, token, "Bearer"]) {
    expect(await refused(path, { headers: { authorization } })).toMatchObject({ status: 401 });
  }
  // What needs none refuses a wrong one all the same: whoever sends it is to learn of it.
  expect(await refused("/api/status", { token: "wrong" })).toMatchObject({ status: 401, code: "unauthorized" });
  expect((await ask(served.url, "/api/status", { token })).status).toBe(200);
});

test("by another name than its own, or through a proxy: as from elsewhere", async () => {
  for (const host of [
    "evil.example",
    "evil.example:7420",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "0.0.0.0",
  ]) {
    for (const path of ["/", "/api/status", "/healthz", "/nothing"]) {
      expect(await refused(path, { headers: { host }, token })).toMatchObject({ status: 421, code: "host_refused" });
    }
  }
  for (const host of ["localhost", "localhost:1", "[::1]:7420", "127.0.0.1"]) {
    expect((await ask(served.url, "/api/status", { headers: { host } })).status).toBe(200);
  }
  const passedOn = { "x-forwarded-for": "203.0.113.7" };
  expect(await refused("/api/status", { headers: passedOn })).toMatchObject({ status: 401 });
  expect((await ask(served.url, "/api/status", { headers: passedOn, token })).status).toBe(200);
});

test("a name of the configuration opens nothing without the token", async () => {
  const at = await folderOf(served.nodes, "", `{ listen: "127.0.0.1:0", token: "${token}", hosts: [tandem.example] }`);
  const sidecar = spawnTandem(["run"], at);
  const url = await urlOf(sidecar);
  const headers = { host: "Tandem.example" };
  expect((await ask(url, "/api/status", { headers })).status).toBe(401);
  expect((await ask(url, "/api/status", { headers, token })).status).toBe(200);
  expect((await ask(url, "/api/status")).status).toBe(200);
  await sidecar.stop();
});

test("an address that others reach: everything needs the token", async () => {
  const at = await folderOf(served.nodes, "", `{ listen: "0.0.0.0:0", token: "${token}" }`);
  const sidecar = spawnTandem(["run"], at);
  const url = (await urlOf(sidecar)).replace("0.0.0.0", "127.0.0.1");
  for (const path of ["/api/status", "/api/links", "/api/pending", "/metrics", "/api/backups", "/api/openapi.json"]) {
    expect((await ask(url, path)).status).toBe(401);
    expect((await ask(url, path, { token, headers: { host: "any.example" } })).status).toBe(200);
  }
  expect((await ask(url, "/healthz")).status).toBe(200);
  await sidecar.stop();
  await writeFile(
    join(at.cwd, "tandem.yaml"),
    `nodes: { a: { url: "postgres://h/d" } }\nhttp: { listen: "0.0.0.0:0" }\n`,
  );
  const { code, stderr } = await tandem(["run"], at);
  expect(code).toBe(2);
  expect(stderr).toContain("http.listen: others can reach this address: it needs http.token");
});

test("without a token in the configuration, what needs it cannot be done", async () => {
  const sidecar = spawnTandem(["run"], await folderOf(served.nodes, "", `{ listen: "127.0.0.1:0" }`));
  const url = await urlOf(sidecar);
  for (const given of [null, "some-token-or-other-123"]) {
    const { status, body } = await ask<Failure>(url, "/api/conflicts/some", { token: given });
    expect([status, body.error.code]).toEqual([403, "token_not_set"]);
  }
  expect((await ask(url, "/api/status")).status).toBe(200);
  await sidecar.stop();
});

test("paths and ids that are not there", async () => {
  for (const path of ["/nothing", "/api", "/api/statuses", "/api/status/", "/api/../etc/passwd"]) {
    expect(await refused(path, { token })).toMatchObject({ status: 404, code: "not_found" });
  }
  expect(await refused("/api/status", { method: "DELETE", token })).toMatchObject({ status: 404 });
  expect(await refused("/api/conflicts/nosuch", { token })).toMatchObject({
    status: 404,
    code: "not_found",
    message: "there is no conflict nosuch",
  });
  expect(await refused(`/api/conflicts/${"x".repeat(150)}`, { token })).toMatchObject({ status: 400 });
  expect(await refused("/api/conflicts/nosuch?node=nowhere", { token })).toMatchObject({ status: 400, code: "usage" });
  expect(await refused(`/api/conflicts/${encodeURIComponent("'; drop table item; --")}`, { token })).toMatchObject({
    status: 404,
  });
  expect(await served.nodes.local.admin.value("select to_regclass('item')::text")).toBe("item");
});

test("queries that mean nothing", async () => {
  for (const query of [
    "limit=0",
    "limit=-1",
    "limit=1.5",
    "limit=x",
    "limit=1001",
    "limit=1e400",
    "limit=1&limit=2",
    "limt=3",
  ]) {
    expect(await refused(`/api/pending?${query}`)).toMatchObject({ status: 400, code: "bad_request" });
  }
  expect((await refused("/api/pending?limit=x")).message).toMatch(/^query\.limit: /);
  expect(await refused("/api/status?strict=yes")).toMatchObject({ status: 400, code: "bad_request" });
  expect(await refused("/api/%E0%A4%A")).toMatchObject({ status: 400, code: "bad_request" });
});

test("what is too large, or not even HTTP", async () => {
  const big = await raw(`GET /api/status HTTP/1.1\r\nHost: localhost\r\nX-Big: ${"x".repeat(100_000)}\r\n\r\n`);
  expect(big).toMatch(/^HTTP\/1\.1 431 .*"code":"too_large"/s);
  expect(await raw(`GET /${"x".repeat(60_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`)).toMatch(/"code":"too_large"/);
  for (const garbage of [
    "\u0000\u0001\u0002\r\n\r\n",
    "GET\r\n\r\n",
    "SSH-2.0-OpenSSH\r\n\r\n",
    "GET / HTTP/9.9\r\n\r\n",
  ]) {
    expect(await raw(garbage)).toMatch(/^HTTP\/1\.1 400 .*"code":"bad_request"/s);
  }
  // HTTP/1.1 demands a host; whoever names none is nobody we know.
  expect(await raw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")).toMatch(/^HTTP\/1\.1 4\d\d .*"error"/s);
});

test("who sends slowly is answered and ended, in the headers as in the body, however steadily the bytes come", async () => {
  const head = `POST /api/sync HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
  const slow = await Promise.all([
    raw("GET /api/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: "),
    raw("GET /api/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", "x"),
    raw(`${head}Content-Length: 60000\r\n\r\n`),
    raw(`${head}Content-Length: 60000\r\n\r\n`, " "),
  ]);
  for (const text of slow) expect(text).toMatch(/^HTTP\/1\.1 408 .*"code":"bad_request".*too slowly/s);
});

test("so many streams and no more; one that ends makes room", async () => {
  const streams = await Promise.all(Array.from({ length: 32 }, () => openStream()));
  expect(streams.map(({ statusCode }) => statusCode)).toEqual(streams.map(() => 200));
  expect(await refused("/api/events")).toMatchObject({ status: 429, code: "too_many_requests" });
  streams.pop()?.destroy();
  const next = await waitFor(async () => {
    const stream = await openStream();
    if (stream.statusCode === 200) return stream;
    stream.destroy();
    return undefined;
  });
  for (const stream of [...streams, next]) stream.destroy();
  expect((await ask(served.url, "/healthz")).status).toBe(200);
});

test("a flood is held back, and told so; the links do not notice", async () => {
  const sidecar = spawnTandem(["run"], await folderOf(served.nodes));
  const url = await urlOf(sidecar);
  const paths = ["/healthz", "/nothing", "/api/status"];
  const held: Answer<Failure>[] = [];
  for (let sent = 0; sent < 5_000 && held.length < 50; sent += 20) {
    const asked = Array.from({ length: 20 }, (_, n) => ask<Failure>(url, paths[n % paths.length] ?? "/"));
    held.push(...(await Promise.all(asked)).filter(({ status }) => status === 429));
  }
  // Each of them is told so; one who asks after a pause is not held back any more.
  expect(held.length).toBeGreaterThanOrEqual(50);
  for (const { body, headers } of held) {
    expect(body.error.code).toBe("too_many_requests");
    expect(Number(headers["retry-after"])).toBeGreaterThan(0);
  }
  await served.nodes.local.admin.query("insert into item values (7, 'seven')");
  await waitFor(
    async () => (await served.nodes.external.admin.value("select name from item where id = 7")) === "seven",
  );
  expect((await sidecar.stop()).code).toBe(0);
});

test("answers carry the headers that keep a browser from harm", async () => {
  const { headers } = await ask(served.url, "/");
  expect(headers["content-security-policy"]).toContain("default-src 'none'");
  expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
  expect(headers["x-content-type-options"]).toBe("nosniff");
  expect(headers["cache-control"]).toBe("no-store");
  expect(headers["access-control-allow-origin"]).toBe(undefined);
  expect(headers["x-powered-by"]).toBe(undefined);
});

test("after all of this it lives, and has told no secret", async () => {
  expect(served.sidecar.result).toBe(undefined);
  expect((await ask(served.url, "/healthz")).status).toBe(200);
  expect(served.sidecar.stderr).not.toContain(token);
  expect(served.sidecar.stderr).not.toMatch(/^\s+at /m);
});
