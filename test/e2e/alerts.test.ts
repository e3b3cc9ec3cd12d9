import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { systemClock } from "../../src/base/time.ts";
import type { AlertRules, BackupJob, Config } from "../../src/config/config.ts";
import { migrate } from "../../src/install/migrate.ts";
import { AlertLoop } from "../../src/sidecar/alert-loop.ts";
import type { FiringAlert } from "../../src/sidecar/alert-store.ts";
import { runSidecar } from "../../src/sidecar/sidecar.ts";
import { sync } from "../../src/sidecar/sync.ts";
import { AlertServer } from "../support/alert-server.ts";
import { tempFolder } from "../support/child.ts";
import { configOf } from "../support/config.ts";
import { type Cluster, cluster, sql, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

vi.setConfig({ testTimeout: 300_000 });

const secret = "a-secret-of-the-webhook-81";
const off = configOf([]).alerts.rules;

/** Looks often and tells at once. */
function watched(nodes: Cluster, server: AlertServer, rules: Partial<AlertRules> = {}, more = "/hook"): Config {
  const targets = [{ name: "hook", kind: "webhook" as const, url: server.url(more), secret }];
  return configOf(nodes, {
    sync: { intervalMs: 100 },
    alerts: { everyMs: 200, repeatMs: null, rules: { ...off, parkedMs: 0, ...rules }, targets },
  });
}

/** Two nodes of which the other refuses some rows. */
async function pair(): Promise<Cluster> {
  const nodes = await cluster(2);
  await nodes.local.admin.query("create table item (id bigint primary key, qty int)");
  await nodes.external.admin.query("create table item (id bigint primary key, qty int check (qty < 100))");
  const config = configOf(nodes);
  await migrate(config);
  await sync(config);
  return nodes;
}

/** A sidecar of this process. */
function start(config: Config) {
  const end = new AbortController();
  const work = runSidecar(config, { signal: end.signal });
  const stop = async () => {
    end.abort();
    await work;
  };
  return { stop, [Symbol.asyncDispose]: stop };
}

/** The alerts alone of a sidecar whose leases the test gives and takes; `looks` counts how often it has looked. */
function alertsOf(config: Config, held: boolean) {
  const end = new AbortController();
  const self = { held, looks: 0, firing: null as readonly FiringAlert[] | null };
  const loop = new AlertLoop(config, {
    sender: "test",
    clock: {
      now: () => systemClock.now(),
      sleep: (ms, signal) => {
        self.looks++;
        return systemClock.sleep(ms, signal);
      },
    },
    logger: silentLogger,
    signal: end.signal,
    holds: () => self.held,
    onFiring: (firing) => {
      self.firing = firing;
    },
  });
  const work = loop.run();
  const dispose = async () => {
    end.abort();
    await work;
  };
  return Object.assign(self, { [Symbol.asyncDispose]: dispose });
}

const bothDown = ["fired link_down external", "fired link_down local"];
const bothBack = ["cleared link_down external", "cleared link_down local"];

const here =
  (nodes: Cluster, table = "item") =>
  async () =>
    Number((await nodes.external.admin.query(`select count(*)::text as n from ${table}`))[0]?.n);

/** What is kept for who comes after, in one node. */
async function kept(nodes: Cluster, node: string): Promise<string[]> {
  const rows = await nodes
    .node(node)
    .admin.query(
      "select concat_ws(' ', state, rule, subject, case when told ->> 'hook' = event::text then 'told' else 'owed' end) as line from tandem.alert order by 1",
    );
  return rows.map(({ line }) => line ?? "");
}

/** Waits until both nodes keep this: each is written by itself, and a look or a stop may come between. */
async function keptOnBoth(nodes: Cluster, line: string): Promise<void> {
  for (const { name } of nodes)
    await waitFor(async () => (await kept(nodes, name)).includes(line), {
      deadlineMs: 120_000,
      what: async () => `${line} in ${name}, which keeps ${(await kept(nodes, name)).join(", ")}`,
    });
}

/** Lets a node's database answer nobody. */
async function away({ server, database }: TestNode): Promise<void> {
  await sql(server.url, `alter database "${database}" allow_connections false`);
  await sql(
    server.url,
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database}' and application_name like 'tandem%'`,
  );
}

async function back({ server, database }: TestNode): Promise<void> {
  await sql(server.url, `alter database "${database}" allow_connections true`);
}

describe("C11 what a person must look at is told", () => {
  test("once, not again by who is started anew, and when it is over; what could not be told before is told then", async () => {
    await using nodes = await pair();
    const server = await AlertServer.open();
    const config = watched(nodes, server);
    {
      await using _ = start(config);
      await nodes.local.admin.query("insert into item values (1, 500), (2, 5)");
      await keptOnBoth(nodes, "firing parked local:external told");
      expect(await kept(nodes, "local")).toEqual(["firing parked local:external told"]);
    }
    expect(server.events("/hook")).toEqual(["fired parked local:external"]);
    server.answer = { status: 503, text: "later" };
    {
      await using _ = start(config);
      await nodes.local.admin.query("update item set qty = 1 where id = 1");
      await keptOnBoth(nodes, "cleared parked local:external owed");
      await waitFor(() => server.received.length >= 2);
    }
    server.answer = { status: 200, text: "" };
    await using _ = start(config);
    await keptOnBoth(nodes, "cleared parked local:external told");
    // however often it is tried, it is one event
    const ids = server.received.map(({ headers }) => headers["tandem-event"]);
    const told = server.events("/hook").map((event, i) => `${event} ${ids.indexOf(ids[i])}`);
    expect(told.slice(0, 3)).toEqual([
      "fired parked local:external 0",
      "cleared parked local:external 1",
      "cleared parked local:external 1",
    ]);
    expect(new Set(ids).size).toBe(2);
  });

  test("of two sidecars one tells, and when it is gone the other goes on where it was", async () => {
    await using nodes = await pair();
    const server = await AlertServer.open();
    const first = start(watched(nodes, server, {}, "/first"));
    const leased = async () => (await nodes.local.admin.query("select from tandem.sidecar where working")).length > 0;
    await waitFor(leased);
    await using _ = start(watched(nodes, server, {}, "/second"));
    await nodes.local.admin.query("insert into item values (1, 500)");
    await keptOnBoth(nodes, "firing parked local:external told");
    await first.stop();
    await nodes.local.admin.query("update item set qty = 1 where id = 1");
    await keptOnBoth(nodes, "cleared parked local:external told");
    expect(server.events("/first")).toEqual(["fired parked local:external"]);
    expect(server.events("/second")).toEqual(["cleared parked local:external"]);
  });

  test("a node that is away is told though it cannot be asked what was told; what only it knows is not said to be over", async () => {
    await using nodes = await pair();
    const told = await AlertServer.open();
    await using _ = start(watched(nodes, told, { linkDownMs: 500 }));
    await nodes.local.admin.query("insert into item values (1, 500)");
    await keptOnBoth(nodes, "firing parked local:external told");
    await away(nodes.external);
    await waitFor(async () => (await kept(nodes, "local")).includes("firing link_down external told"));
    expect(await kept(nodes, "local")).toEqual(["firing link_down external told", "firing parked local:external told"]);
    await back(nodes.external);
    await waitFor(() => told.events("/hook").includes("cleared link_down external"), { deadlineMs: 120_000 });
    const events = told.events("/hook");
    expect(events.slice(0, 3)).toEqual([
      "fired parked local:external",
      "fired link_down external",
      "cleared link_down external",
    ]);
    // A link that has not tried again yet by then may be told of; what was known before is not.
    expect(events.slice(3).filter((event) => event.includes("parked"))).toEqual([]);
  });

  test("what was told while no node could keep it is told as over, also where nobody held a lease in between", async () => {
    await using nodes = await pair();
    const told = await AlertServer.open();
    const end = new AbortController();
    let [held, asked] = [true, 0];
    let looked: readonly string[] = [];
    const loop = new AlertLoop(watched(nodes, told, { linkDownMs: 0 }), {
      sender: "test",
      clock: systemClock,
      logger: silentLogger,
      signal: end.signal,
      holds: () => {
        asked++;
        return held;
      },
      onFiring: (alerts) => {
        looked = alerts?.map(({ rule, subject }) => `${rule} ${subject}`) ?? [];
      },
    });
    const work = loop.run();
    try {
      await waitFor(() => asked > 0);
      // Nor may a save succeed that was under way when they came back.
      for (const { admin } of nodes) await admin.query("alter function tandem.keep_alerts rename to keep_nothing");
      for (const node of nodes) await away(node);
      const fired = ["fired link_down external", "fired link_down local"];
      await waitFor(() => fired.every((event) => told.events("/hook").includes(event)));
      await waitFor(() => looked.toSorted().join() === "link_down external,link_down local");
      [held, asked] = [false, 0];
      for (const node of nodes) await back(node);
      // Both answer, and neither knows of anybody who works on it.
      await waitFor(() => asked >= 4);
      expect(told.events("/hook").toSorted()).toEqual(fired);
      expect(looked.toSorted()).toEqual(["link_down external", "link_down local"]);
      for (const { superUrl } of nodes) await sql(superUrl, "alter function tandem.keep_nothing rename to keep_alerts");
      held = true;
      const cleared = ["cleared link_down external", "cleared link_down local"];
      await waitFor(() => cleared.every((event) => told.events("/hook").includes(event)));
      expect(told.events("/hook").toSorted()).toEqual([...cleared, ...fired]);
      expect(looked).toEqual([]);
    } finally {
      end.abort();
      await work;
    }
  });

  test("what one sidecar told while all nodes were away is said to be over by the one that goes on", async () => {
    await using nodes = await pair();
    const told = await AlertServer.open();
    await using first = alertsOf(watched(nodes, told, { linkDownMs: 0 }, "/first"), true);
    for (const node of nodes) await away(node);
    await waitFor(() => told.events("/first").length >= 2, { what: () => told.events("/first") });
    first.held = false;
    for (const node of nodes) await back(node);
    const lease = "select tandem.hold_lease(gen_random_uuid(), 'second', interval '1 hour')";
    for (const { name } of nodes) await nodes.node(name).admin.query(lease);
    await using _ = alertsOf(watched(nodes, told, { linkDownMs: 0 }, "/second"), true);
    await waitFor(() => told.events("/second").length >= 2, { what: () => told.events("/second") });
    expect(told.events("/first").toSorted()).toEqual(bothDown);
    expect(told.events("/second").toSorted()).toEqual(bothBack);
    await waitFor(() => first.firing === null);
    await keptOnBoth(nodes, "cleared link_down external told");
  });

  test("that nothing can be seen is told too, and when it is over", async () => {
    await using nodes = await pair();
    const server = await AlertServer.open();
    const dir = join(await tempFolder(), "backups");
    const base = watched(nodes, server);
    const job: BackupJob = {
      ...{ name: "daily", node: "local", schedule: "0 3 * * *", afterChange: null, proveEveryMs: null, include: null },
      ...{ keepLast: 3, keepDays: null, keepDaily: null, keepWeekly: null, keepMonthly: null },
    };
    // A file where the folder of the backups should be.
    await writeFile(dir, "");
    const config = { ...base, backup: { ...base.backup, dir, jobs: [job] } };
    await using _ = alertsOf(config, true);
    await waitFor(() => server.events("/hook").includes("fired watch_failed"));
    await rm(dir);
    await waitFor(() => server.events("/hook").includes("cleared watch_failed"));
  });

  test("targets that are silent or gone do not hold up the links", async () => {
    await using nodes = await pair();
    const server = await AlertServer.open();
    server.answer = "silent";
    const base = watched(nodes, server);
    const gone = { name: "gone", kind: "slack" as const, url: "http://127.0.0.1:1/x" };
    const config = { ...base, alerts: { ...base.alerts, targets: [...base.alerts.targets, gone] } };
    await using sidecar = start(config);
    await nodes.local.admin.query("insert into item values (1, 500)");
    await waitFor(() => server.received.length > 0);
    for (let id = 2; id <= 20; id++) {
      await nodes.local.admin.query(`insert into item values (${id}, 1)`);
      await waitFor(async () => (await here(nodes)()) === id - 1);
    }
    await sidecar.stop();
    expect(await kept(nodes, "local")).toEqual(["firing parked local:external owed"]);
  });

  test("conflicts of an hour, and a log that grows for a silent peer; also where databases may sleep between two looks", async () => {
    await using nodes = await pair();
    const server = await AlertServer.open();
    const config = watched(nodes, server, { conflictsPerHour: 2, logGrowingMs: 3_600_000 });
    await nodes.local.admin.query("insert into item select i, 1 from generate_series(1, 3) i");
    await sync(config);
    await nodes.local.admin.query("update item set qty = 2");
    await nodes.external.admin.query("update item set qty = 3");
    await sync(config);
    const peer = await nodes.local.admin.query(
      "insert into tandem.peer (name, incarnation, configured) values ('gone', gen_random_uuid(), false) returning peer_id::text as id",
    );
    await nodes.local.admin.query(
      `insert into tandem.outbound (peer_id, acknowledged, acknowledged_at) values (${peer[0]?.id}, '1:1:', now() - interval '2 hours')`,
    );
    await using _ = start({ ...config, sync: { ...config.sync, intervalMs: 600_000 } });
    await waitFor(() => server.events("/hook").some((one) => one === "fired log_growing local:gone"), {
      what: () => server.events("/hook"),
    });
    expect(server.events("/hook")).toContain("fired conflicts local:external");
  });
});
