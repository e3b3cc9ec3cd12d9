import { describe, expect, test } from "vitest";
import { cluster, openClient, sql } from "../support/pg.ts";
import { startProxy } from "../support/proxy.ts";
import { waitFor } from "../support/wait.ts";

describe("proxy", () => {
  test("passes everything on", async () => {
    const c = await cluster(1);
    const proxy = await startProxy(c.local.server.port);
    const [row] = await sql(
      proxy.url(c.local.url),
      "select length(repeat('x', 1000000)) as n, repeat('é', 300000) as t",
    );
    expect(row?.n).toBe("1000000");
    expect(row?.t).toHaveLength(300_000);
    await waitFor(() => proxy.connections.length === 0);
    expect(proxy.accepted).toBe(1);
  });

  test("passes an error on that ends the connection", async () => {
    const c = await cluster(1);
    const proxy = await startProxy(c.local.server.port);
    const client = await openClient(proxy.url(c.local.url));
    await expect(client.query("select pg_terminate_backend(pg_backend_pid())")).rejects.toMatchObject({
      code: "57P01",
    });
  });

  test("cuts before the server has the statement", async () => {
    const c = await cluster(1);
    await c.local.admin.query("create table public.t (a int)");
    const proxy = await startProxy(c.local.server.port);
    const client = await openClient(proxy.url(c.local.url));
    const cut = proxy.cutAt("apply");
    await client.query("/* tandem:apply-not */ insert into public.t values (0)");
    await expect(client.query("/* tandem:apply */ insert into public.t values (1)")).rejects.toThrow();
    await cut;
    expect(await c.local.admin.value("select string_agg(a::text, ',') from public.t")).toBe("0");
  });

  test.each([
    ["simple", []],
    ["extended", [2]],
  ])("cuts after the server has the statement: %s", async (_, params) => {
    const c = await cluster(1);
    await c.local.admin.query("create table public.t (a int)");
    const proxy = await startProxy(c.local.server.port);
    const client = await openClient(proxy.url(c.local.url));
    const cut = proxy.cutAt("apply", { when: "after" });
    const insert = `/* tandem:apply */ insert into public.t values (${params.length ? "$1" : "2"})`;
    await expect(sql(client, insert, params)).rejects.toThrow();
    await cut;
    await waitFor(async () => (await c.local.admin.value("select a from public.t")) === "2");
  });

  test("stalls and resumes, and loses a side without a word", async () => {
    const c = await cluster(1);
    const proxy = await startProxy(c.local.server.port);
    const client = await openClient(proxy.url(c.local.url));
    proxy.stall();
    let answered = false;
    const answer = client.query("select 1 as a").then(({ rows }) => {
      answered = true;
      return rows;
    });
    await c.local.admin.query("select pg_sleep(0.3)");
    expect(answered).toBe(false);
    proxy.resume();
    expect(await answer).toEqual([{ a: "1" }]);
    proxy.halfOpen();
    client.query("select 2").catch(() => {});
    await waitFor(
      async () =>
        (await c.local.admin.value(
          "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'test'",
        )) === "0",
    );
    expect(proxy.connections).toHaveLength(1);
    expect(await sql(proxy.url(c.local.url), "select 3 as a")).toEqual([{ a: "3" }]);
  });

  test("is down and up again on the same port", async () => {
    const c = await cluster(1);
    const proxy = await startProxy(c.local.server.port);
    proxy.delay(5);
    const url = proxy.url(c.local.url);
    await sql(url, "select 1");
    await proxy.down();
    await expect(sql(url, "select 1")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await proxy.up();
    expect(await sql(url, "select 1 as a")).toEqual([{ a: "1" }]);
  });
});
