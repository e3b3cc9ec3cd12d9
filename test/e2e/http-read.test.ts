import { describe, expect, test, vi } from "vitest";
import type { StatusReport } from "../../src/sidecar/status.ts";
import { AlertServer } from "../support/alert-server.ts";
import { spawnTandem, tandem } from "../support/child.ts";
import { afterTest, cluster, sql } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { ask, folderOf, type Served, serve, token, urlOf } from "./http-support.ts";

vi.setConfig({ testTimeout: 240_000 });

const table = "create table item (id int primary key, name text)";

async function served(more = ""): Promise<Served> {
  const all = await serve(table, more);
  afterTest(async () => {
    await all.nodes[Symbol.asyncDispose]();
  });
  return all;
}

/** The value of a series, as Prometheus would read it; undefined where there is none. */
function metric(text: string, series: string): number | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

describe("C11 what a running sidecar shows", () => {
  test("is what the databases hold, and what the commands show", async () => {
    const begun = Date.now();
    const hook = await AlertServer.open();
    const target = `{ name: hook, webhook: "${hook.url("/hook")}", secret: a-secret-of-the-webhook-81 }`;
    const { nodes, url, cwd, sidecar } = await served(
      `alerts: { every: 1s, rules: { parked: 1s }, targets: [${target}] }\n`,
    );
    const status = await ask<StatusReport>(url, "/api/status");
    expect(status.status).toBe(200);
    expect(status.body.well).toBe(true);
    const printed = JSON.parse((await tandem(["status", "--json"], { cwd })).stdout) as StatusReport;
    expect(status.body.nodes.map(({ node, sidecar: at }) => [node, at?.label])).toEqual(
      printed.nodes.map(({ node, sidecar: at }) => [node, at?.label]),
    );
    expect(Object.keys(status.body)).toEqual(Object.keys(printed));

    // One row that external refuses, so that something is parked and what is not well is shown.
    await nodes.external.admin.query("alter table item add check (name <> 'refused')");
    await nodes.local.admin.query("insert into item values (1, 'a'), (2, 'refused')");
    const parked = await waitFor(async () => {
      const { body } = await ask<{ rows: { id: number; node: string; peer: string; key: string }[] }>(
        url,
        "/api/parked",
      );
      return body.rows.length > 0 && body.rows;
    });
    expect(parked).toMatchObject([{ node: "external", peer: "local", table: "item", key: "2", kind: "refused" }]);
    const [seen] = await nodes.external.admin.query("select id from tandem.parked");
    expect(parked[0]?.id).toBe(Number(seen?.id));
    await waitFor(async () => (await ask<StatusReport>(url, "/api/status")).body.well === false);
    expect((await ask(url, "/api/status?strict=1")).status).toBe(503);

    // What is parked has arrived: it is not pending, as soon as the source has been told.
    await waitFor(async () => (await ask<{ rows: unknown[] }>(url, "/api/pending?limit=1")).body.rows.length === 0);
    const counts = await waitFor(async () => {
      const { body } = await ask<{ tables: unknown[] }>(url, "/api/counts");
      return JSON.stringify(body).includes('"rows":2') && body;
    });
    expect(counts.tables).toEqual([
      { table: "item", nodes: { local: { rows: 2, exact: true }, external: { rows: 1, exact: true } }, same: false },
    ]);
    const { body: links } = await ask<{ links: { id: string; here: { state: string } }[] }>(url, "/api/links");
    expect(links.links.map(({ id }) => id)).toEqual(["local:external", "external:local"]);
    expect(["idle", "working"]).toContain(links.links[0]?.here.state);
    expect((await ask(url, "/readyz")).body).toEqual({ ready: true, links: { well: 2, waiting: 0 } });
    expect((await ask(url, "/healthz")).body).toEqual({ status: "ok" });

    const told = await waitFor(async () => {
      const { body } = await ask<{ alerts: { rule: string; subject: string }[] }>(url, "/api/alerts");
      return body.alerts.length > 0 && body;
    });
    expect(told).toMatchObject({ alerts: [{ rule: "parked", subject: "local:external" }], unanswered: [] });
    await waitFor(() => hook.events("/hook").includes("fired parked local:external"));

    // The answer under these two is shared for a moment: it may be older than what was seen above.
    const metrics = await waitFor(async () => {
      const answer = await ask(url, "/metrics");
      const said = (series: string) => metric(answer.text, series);
      const firing = said('tandem_alerts_firing{rule="parked"}') === 1;
      return firing && said('tandem_link_pending_changes{source="local",target="external"}') === 0 && answer;
    });
    expect(metric(metrics.text, 'tandem_alerts_firing{rule="lag"}')).toBe(0);
    expect(metrics.headers["content-type"]).toMatch(/^text\/plain/);
    expect(metric(metrics.text, 'tandem_link_parked_rows{source="local",target="external"}')).toBe(1);
    expect(metric(metrics.text, 'tandem_node_up{node="local"}')).toBe(1);
    expect(metric(metrics.text, 'tandem_problems{kind="parked"}')).toBe(1);
    expect(metric(metrics.text, "tandem_well")).toBe(0);
    const applied = metric(metrics.text, 'tandem_link_applied_timestamp_seconds{source="local",target="external"}');
    expect(applied).toBeGreaterThan(begun / 1_000);
    expect(applied).toBeLessThan(Date.now() / 1_000 + 1);
    const lag = metric(metrics.text, 'tandem_link_lag_seconds{source="local",target="external"}');
    expect(lag).toBeGreaterThanOrEqual(0);
    // What is over is told no more.
    await nodes.local.admin.query("update item set name = 'b' where id = 2");
    await waitFor(async () => {
      const [{ body }, { text }] = await Promise.all([ask<typeof told>(url, "/api/alerts"), ask(url, "/metrics")]);
      return body.alerts.length === 0 && metric(text, 'tandem_alerts_firing{rule="parked"}') === 0;
    });
    // Nobody makes series by asking for what is not there.
    for (let i = 0; i < 5; i++) await ask(url, `/nothing/${i}`);
    const after = (await ask(url, "/metrics")).text;
    expect(metric(after, 'tandem_http_requests_total{method="GET",route="other",status="404"}')).toBe(5);
    expect(after).not.toContain("/nothing");
    expect(sidecar.result).toBe(undefined);
    expect((await sidecar.stop()).code).toBe(0);
  });

  test("row images only with the token, on this machine too", async () => {
    const { nodes, url } = await served();
    await nodes.local.admin.query("insert into item values (1, 'first')");
    await waitFor(async () => (await nodes.external.admin.value("select name from item")) === "first");
    // Both change it before either has heard of the other: an open transaction here, so that the links cannot be faster.
    await nodes.local.admin.query("begin; update item set name = 'from local' where id = 1");
    await nodes.external.admin.query("update item set name = 'from external' where id = 1");
    await nodes.local.admin.query("commit");
    interface Row {
      id: string;
      winner: { origin: string; image?: string };
      loser: { image?: string };
    }
    const without = await waitFor(async () => {
      const { body } = await ask<{ images: boolean; rows: Row[] }>(url, "/api/conflicts");
      return body.rows.length > 0 && body;
    });
    expect(without.images).toBe(false);
    expect(JSON.stringify(without)).not.toContain("from ");
    const id = without.rows[0]?.id;
    expect((await ask(url, `/api/conflicts/${id}`)).status).toBe(401);
    const { body: having } = await ask<{ images: boolean; rows: Row[] }>(url, "/api/conflicts", { token });
    expect(having.images).toBe(true);
    expect([having.rows[0]?.winner.image, having.rows[0]?.loser.image].sort()).toEqual([
      expect.stringContaining("from external"),
      expect.stringContaining("from local"),
    ]);
    const { body: one } = await ask<{ differences: { column: string }[] }>(url, `/api/conflicts/${id}`, { token });
    expect(one.differences.map(({ column }) => column)).toEqual(["name"]);
  });

  test("a document describes every path but those that are older names", async () => {
    const { url } = await served();
    const { body } = await ask<{ openapi: string; paths: Record<string, Record<string, { summary: string }>> }>(
      url,
      "/api/openapi.json",
    );
    expect(body.openapi).toBe("3.1.0");
    const { endpoints } = await import("../../src/http/endpoints.ts");
    const told = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const having = endpoints.flatMap(({ method, path, answer }) =>
      answer === null ? [] : [`${method} ${path.replace(/:(\w+)/g, "{$1}")}`],
    );
    expect(told.sort()).toEqual(having.sort());
    const { body: index } = await ask<{ paths: string[] }>(url, "/");
    expect(index.paths).toContain("/api/status");
    expect((await ask(url, "/backup")).body).toEqual((await ask(url, "/api/backup/status")).body);
  });

  test("a node that is out of reach is said, and the rest is shown", async () => {
    const { nodes, url } = await served();
    const { server, database } = nodes.external;
    await sql(server.url, `alter database "${database}" allow_connections false`);
    await sql(server.url, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database}'`);
    const gone = await waitFor(async () => {
      const { body } = await ask<StatusReport>(url, "/api/status");
      return body.nodes.some(({ answered }) => !answered) && body;
    });
    expect(gone.nodes.map(({ node, answered }) => [node, answered])).toEqual([
      ["local", true],
      ["external", false],
    ]);
    const { text } = await ask(url, "/metrics");
    expect(metric(text, 'tandem_node_up{node="external"}')).toBe(0);
    expect(metric(text, 'tandem_link_parked_rows{source="local",target="external"}')).toBe(undefined);
    await waitFor(async () => (await ask(url, "/readyz")).status === 503);
    expect((await ask(url, "/healthz")).status).toBe(200);
  });
});

describe("two sidecars", () => {
  test("the one that stands by answers too; a port that is taken is told once, and nothing else is harmed", async () => {
    await using nodes = await cluster(2);
    for (const { admin } of nodes) await admin.query(table);
    const first = await folderOf(nodes);
    for (const command of ["migrate", "sync"]) expect((await tandem([command], first)).code).toBe(0);
    const one = spawnTandem(["run"], first);
    const url = await urlOf(one);
    for (const { name } of nodes) await one.waitForLine(new RegExp(`"node":"${name}".*works on the links`));
    const other = spawnTandem(["run"], await folderOf(nodes));
    const standby = await urlOf(other);
    const ready = await waitFor(async () => {
      const answer = await ask<{ ready: boolean }>(standby, "/readyz");
      return answer.body.ready && answer;
    });
    expect(ready.status).toBe(200);
    const label = async (base: string) =>
      (await ask<StatusReport>(base, "/api/status")).body.nodes.map(({ sidecar }) => sidecar?.label.split(" ").at(-1));
    expect(await label(standby)).toEqual([`${one.pid}`, `${one.pid}`]);
    expect(
      metric(
        (await ask(standby, "/metrics")).text,
        'tandem_sidecar_link_state{source="local",target="external",state="standby"}',
      ),
    ).toBe(1);

    // A third one that wants the first one's port.
    const third = spawnTandem(["run"], await folderOf(nodes, "", `{ listen: "${new URL(url).host}" }`));
    const warned = JSON.parse(await third.waitForLine("http_listen")) as { level: string; msg: string };
    expect(warned.level).toBe("warn");
    expect(warned.msg).toMatch(
      /^http_listen: cannot listen on 127\.0\.0\.1:\d+: another program has the port\. Remedy: /,
    );
    for (const { name } of nodes) await third.waitForLine(new RegExp(`"node":"${name}".*stands by`));
    await one.kill();
    // The port is free again, and so are the links, for one of the two.
    const freed = new URL(await urlOf(third));
    expect(freed.host).toBe(new URL(url).host);
    await nodes.local.admin.query("insert into item values (1, 'after')");
    await waitFor(async () => (await nodes.external.admin.value("select name from item")) === "after");
    expect(third.stderr.split("\n").filter((line) => line.includes("http_listen"))).toHaveLength(1);
    for (const each of [other, third]) expect((await each.stop()).code).toBe(0);
  });

  test("off: nothing listens", async () => {
    await using nodes = await cluster(2);
    for (const { admin } of nodes) await admin.query(table);
    const at = await folderOf(nodes, "", "{ listen: off }");
    expect((await tandem(["migrate"], at)).code).toBe(0);
    const sidecar = spawnTandem(["run"], at);
    await sidecar.waitForLine("caught up");
    const { code, stderr } = await sidecar.stop();
    expect(code).toBe(0);
    expect(stderr).not.toContain("HTTP");
  });
});
