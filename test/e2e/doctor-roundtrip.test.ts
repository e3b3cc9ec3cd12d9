import { expect, test } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { doctor } from "../../src/doctor/doctor.ts";
import { leftProbe } from "../../src/doctor/left-probe.ts";
import { roundtrip } from "../../src/doctor/roundtrip.ts";
import { counts } from "../../src/sidecar/counts.ts";
import { runSidecar } from "../../src/sidecar/sidecar.ts";
import { status } from "../../src/sidecar/status.ts";
import { verify } from "../../src/verify/verify.ts";
import { spawnTandem } from "../support/child.ts";
import { app, codeOf, linkedCluster, ways } from "../support/link.ts";
import { afterTest, openClient, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { said } from "./doctor-config.ts";
import { folderOf } from "./http-support.ts";

const schema = "create table public.t (id int primary key)";

/** All that Tandem holds of its own in a database, tables it makes as it goes along included. */
async function traces({ admin }: TestNode): Promise<string[]> {
  const rows = await admin.query(`select concat(relname, ' ', relkind) as it from pg_class
      where relnamespace in ('tandem'::regnamespace, 'tandem_log'::regnamespace) and relname like '%probe%'
    union all select 'function ' || proname from pg_proc where pronamespace = 'tandem_log'::regnamespace and proname like '%probe%'
    union all select 'tracked ' || table_name from tandem.tracked_table where table_name <> 't'
    union all select 'inbound ' || table_name from tandem.inbound_table where table_name <> 't'
    union all select 'held ' || table_name from tandem.outbound_held union all select 'parked ' || table_name from tandem.parked_change
    union all select 'conflict ' || table_name from tandem.conflict`);
  return rows.map(({ it }) => it ?? "");
}

/** A sidecar of this process, which works on all links. */
async function running(config: Config): Promise<AsyncDisposable & { stop(): Promise<void> }> {
  const end = new AbortController();
  const sidecar = runSidecar(config, { signal: end.signal });
  const stop = () => {
    end.abort();
    return sidecar;
  };
  afterTest(stop);
  await waitFor(async () => (await status(config)).nodes.every((node) => node.sidecar !== null));
  return { stop, [Symbol.asyncDispose]: stop };
}

for (const { way, options } of ways) {
  test(`C1, C8: a probe goes through capture and apply into every other node and leaves nothing behind, ${way}`, async () => {
    await using linked = await linkedCluster(3, { ...options, schema });
    const { nodes, links } = linked;
    await links.sync();
    {
      await using _ = await running(links.config);
      const report = await doctor(links.config, { checks: [roundtrip] });
      const timed = report.findings.filter(({ tookMs }) => tookMs !== undefined);
      const names = [...nodes].map(({ name }) => name);
      expect(timed.map(({ link }) => link).toSorted()).toEqual(
        names.flatMap((from) => names.filter((to) => to !== from).map((to) => `${from}, ${to}`)).toSorted(),
      );
      for (const { severity, tookMs } of timed) expect([severity, tookMs! > 0]).toEqual(["ok", true]);
      expect(report.exitCode).toBe(0);
      await waitFor(async () => (await status(links.config)).problems.length === 0);
    }
    for (const node of nodes) expect(await traces(node)).toEqual([]);
    expect((await status(links.config)).problems).toEqual([]);
    expect(await links.expectRest()).toBe(0);
  });
}

test("without a sidecar nothing is written, and it says what to start", async () => {
  await using linked = await linkedCluster(2, { schema });
  const { nodes, links } = linked;
  await links.sync();
  expect(await said(roundtrip, links.config)).toEqual([
    "problem local: no sidecar works on the links into this node: a row written elsewhere would not arrive",
    "problem external: no sidecar works on the links into this node: a row written elsewhere would not arrive",
  ]);
  for (const node of nodes) expect(await traces(node)).toEqual([]);
});

test("a link that rests is named at once; the others are timed, and nothing is left behind", async () => {
  await using linked = await linkedCluster(2, { schema });
  const { nodes, links } = linked;
  await links.sync();
  const sidecar = await running(links.config);
  await nodes.external.admin.query("select tandem.pause_link('local', 'a test')");
  const lines = await said(roundtrip, links.config);
  await sidecar.stop();
  expect(lines.map((line) => line.replace(/\d+ ms/, "N ms"))).toEqual([
    "problem local, external: the link from local to external is paused: nothing comes over it",
    "ok external, local: a row written in external was in local after N ms",
  ]);
  for (const node of nodes) expect(await traces(node)).toEqual([]);
});

test("in a mesh nobody is waited for over a link that rests, since nobody forwards what has a link of its own", async () => {
  await using linked = await linkedCluster(3, { schema });
  const { nodes, links } = linked;
  await links.sync();
  const sidecar = await running(links.config);
  await nodes.external.admin.query("select tandem.pause_link('local', 'a test')");
  const lines = await said(roundtrip, links.config);
  await sidecar.stop();
  const trip = (from: string, to: string) => `ok ${from}, ${to}: a row written in ${from} was in ${to} after N ms`;
  expect(lines.map((line) => line.replace(/\d+ ms/, "N ms")).toSorted()).toEqual(
    [
      "problem local, external: the link from local to external is paused: nothing comes over it",
      trip("local", "n3"),
      trip("external", "local"),
      trip("external", "n3"),
      trip("n3", "local"),
      trip("n3", "external"),
    ].toSorted(),
  );
  for (const node of nodes) expect(await traces(node)).toEqual([]);
});

test("Ctrl-C while a row is awaited ends with one line, and takes the probe away", async () => {
  await using linked = await linkedCluster(2, { schema });
  const { nodes, links } = linked;
  await links.sync();
  const sidecar = await running(links.config);
  // Nothing comes into external: what the doctor sends never arrives.
  const holder = await openClient(nodes.external.superUrl);
  await holder.query("begin; lock table tandem.staged in share mode");
  const measuring = spawnTandem(["doctor", "--roundtrip"], await folderOf(nodes));
  for (const { admin } of nodes) {
    await waitFor(async () => (await admin.query("select to_regclass('tandem.probe') as it"))[0]?.it !== null, {
      deadlineMs: 60_000,
    });
  }
  // While it measures, what is there was not left behind.
  expect(await said(leftProbe, links.config)).toEqual(["ok: no round trip has left its probe behind"]);
  const { code, stdout, stderr } = await measuring.stop();
  expect({ code, stdout, lines: stderr.trim().split("\n").length }).toEqual({ code: 1, stdout: "", lines: 1 });
  expect(stderr).toContain("stopped by a signal");
  await holder.query("commit");
  await sidecar.stop();
  for (const node of nodes) expect(await traces(node)).toEqual([]);
});

test("C11: what a killed doctor left is on no list of the application's tables, flows, and goes with the next round trip", async () => {
  await using linked = await linkedCluster(2, { schema });
  const { nodes, links } = linked;
  await links.sync();
  for (const { admin } of nodes) await admin.query("select tandem.open_probe()");
  const message = "a round trip that was killed has left its table tandem.probe behind";
  expect(await said(leftProbe, links.config)).toEqual([`warning local: ${message}`, `warning external: ${message}`]);
  const [found] = (await doctor(links.config)).findings.filter(({ check }) => check === leftProbe.id);
  expect(found?.remedy).toContain("tandem doctor --roundtrip");
  await nodes.local.admin.query("insert into tandem.probe values ('local')");
  await links.sync();
  expect((await nodes.external.admin.query("select node from tandem.probe")).length).toBe(1);
  const { problems, leftOut, nodes: seen } = await status(links.config);
  expect({ problems, leftOut, tables: seen.map(({ tables }) => tables) }).toEqual({
    problems: [],
    leftOut: [],
    tables: [1, 1],
  });
  expect((await verify(links.config)).tables.map(({ name }) => name)).toEqual(["t"]);
  expect((await counts(links.config)).tables.map(({ table }) => table)).toEqual(["t"]);
  await links.migrate();
  await nodes.local.admin.query("select tandem.close_probe()");
  await links.sync();
  expect(await traces(nodes.local)).toEqual([]);
  await nodes.external.admin.query("select tandem.close_probe()");
  expect(await traces(nodes.external)).toEqual([]);
  expect(await said(leftProbe, links.config)).toEqual(["ok: no round trip has left its probe behind"]);
});

test("C6: a log that goes while a link looks into it is no failure; one that is missing is", async () => {
  await using linked = await linkedCluster(2, { schema: `${schema}; create table public.u (id int primary key)` });
  const { nodes, links } = linked;
  const { local } = nodes;
  await links.sync();
  await app(local, "create table public.other ()");
  const client = await openClient(local.superUrl);
  await client.query("begin");
  await client.query("select tandem.untrack_table('public', 'u')");
  const round = codeOf(links.round("local", "external"));
  await waitFor(async () => {
    const waiting = await local.admin.query(
      "select from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())",
    );
    return waiting.length > 0;
  });
  await client.query("commit");
  expect(await round).toBe("shape_changed");
  expect(await codeOf(links.round("local", "external"))).toBe("none");
  await local.admin.query('drop table tandem_log."public.t" cascade');
  expect(await codeOf(links.round("local", "external"))).toBe("sql_failed");
});
