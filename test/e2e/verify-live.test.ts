import { describe, expect, test, vi } from "vitest";
import { type Clock, systemClock } from "../../src/base/time.ts";
import type { TableVerifyReport, VerifyReport } from "../../src/verify/report.ts";
import { verify } from "../../src/verify/verify.ts";
import { cluster, openClient, sql, type TestNode } from "../support/pg.ts";
import { seeded } from "../support/seed.ts";
import { behindTriggers, prepare, runLinks, sync, syncParked } from "./verify-support.ts";

// several databases each, and servers that are shared with other tests
vi.setConfig({ testTimeout: 300_000 });

/** A clock whose pauses take no time, for what would only be waited for. */
function hastyClock(): Clock {
  let ahead = 0;
  return {
    now: () => Date.now() + ahead,
    sleep: async (ms) => {
      ahead += ms;
    },
  };
}

function tableOf(report: VerifyReport, name: string): TableVerifyReport {
  const table = report.tables.find((one) => one.name === name);
  if (!table) throw new Error(`the report has no table ${name}`);
  return table;
}

const summary = (table: TableVerifyReport) =>
  table.keys.map(({ key, reason, lacking, groups }) =>
    [key.join("|"), reason, lacking.join(), groups.map((group) => group.join("+")).join(" ")].join(" ").trim(),
  );

const items = `create table item (id bigint primary key, name text, n int not null default 0);
  create table hot (id int primary key, n bigint not null default 0);`;

/** Changes of every kind, on rows of its own and on rows that others change too, until the signal ends them. */
async function write(node: TestNode, from: number, signal: AbortSignal, seed: number): Promise<number> {
  const client = await openClient(node.url);
  const random = seeded(seed);
  let count = 0;
  let next = from;
  while (!signal.aborted) {
    const mine = random.int(from, next);
    const any = random.int(1, 2000);
    await client.query(
      random.pick([
        `insert into item select i, 'new', 0 from generate_series(${next + 1}, ${next + 5}) i`,
        `update item set n = n + 1, name = name || '.' where id between ${any} and ${any + 3}`,
        `delete from item where id = ${mine}`,
        `update item set id = id + 500000000 where id = ${mine}`,
        "update hot set n = n + 1 where id = 1",
        `begin; update item set n = n + 1 where id = ${any}; delete from item where id = ${mine}; commit`,
      ]),
    );
    next += 5;
    count++;
    await systemClock.sleep(random.int(0, 4));
  }
  await client.end();
  return count;
}

describe("verify while writes go on", () => {
  test("C3 with writers on all nodes and running links, verify after verify finds no difference; one that is made is found", async () => {
    await using nodes = await cluster(2);
    const config = await prepare(nodes, items);
    await sql(
      nodes.local.url,
      "insert into item select i, 'old', 0 from generate_series(1, 3000) i; insert into hot values (1), (2)",
    );
    await sync(config);
    const end = new AbortController();
    const links = runLinks(config, end.signal);
    const writers = nodes.nodes.map((node, i) => write(node, 1_000_000 * (i + 1), end.signal, i + 1));
    let candidates = 0;
    try {
      for (let i = 0; i < 30; i++) {
        const report = await verify(config, {
          rangeRows: 1_000,
          // On a slow machine links that move need longer: what is still pending after that is no false difference.
          patienceMs: 30_000,
          onProgress: (event) => {
            if (event.kind === "settle") candidates += event.keys;
          },
        });
        expect(report.tables.flatMap((table) => table.keys)).toEqual([]);
        expect(report.identical).toBe(true);
      }
      await nodes.external.admin.query("update hot set n = n where id = 2");
      await sql(
        nodes.external.url,
        behindTriggers(
          "item",
          "delete from item where id between 2900 and 2909; update item set name = 'x' where id = 2950",
        ),
      );
      const report = await verify(config, { patienceMs: 30_000 });
      expect(tableOf(report, "item").keys.map(({ key, reason }) => `${key} ${reason}`)).toEqual([
        ...Array.from({ length: 10 }, (_, i) => `${2900 + i} diverged`),
        "2950 diverged",
      ]);
    } finally {
      end.abort();
      await links;
      const written = await Promise.all(writers);
      expect(Math.min(...written)).toBeGreaterThan(20);
    }
    expect(candidates).toBeGreaterThan(0);
    await syncParked(config, nodes);
    expect(tableOf(await verify(config), "hot").equal).toBe(true);
  });

  test("with no applier a change is pending, not diverged; a row changed behind the triggers is diverged beside it", async () => {
    await using nodes = await cluster(3);
    const config = await prepare(nodes, items);
    await sql(nodes.local.url, "insert into item select i, 'old', 0 from generate_series(1, 50) i");
    await sync(config);
    await sql(
      nodes.local.url,
      "update item set n = 1 where id in (1, 2); delete from item where id = 3; insert into item values (100, 'new', 0)",
    );
    await sql(nodes.external.url, "update item set n = 2 where id = 2");
    await sql(nodes.external.url, behindTriggers("item", "update item set n = 9 where id = 7"));
    const report = await verify(config, { clock: hastyClock() });
    const table = tableOf(report, "item");
    expect(summary(table)).toEqual([
      "1 pending  local external+n3",
      "100 pending external,n3 local",
      "2 pending  local external n3",
      "3 pending local external+n3",
      "7 diverged  local+n3 external",
    ]);
    expect(table.keys[0]?.detail).toBe(
      "external has not applied the change of local yet; n3 has not applied the change of local yet",
    );
    expect(table.reasons).toEqual({ diverged: 1, pending: 4, parked: 0, held: 0 });
    expect(table.groups).toEqual([["local"], ["external"], ["n3"]]);
    expect(report.identical).toBe(false);
    await sync(config);
    expect(summary(tableOf(await verify(config), "item"))).toEqual(["7 diverged  local+n3 external"]);
  });

  test("before the first copy is done what differs is pending", async () => {
    await using nodes = await cluster(2);
    const config = await prepare(nodes, items);
    await sql(nodes.local.url, "insert into item values (1, 'a', 1)");
    const table = tableOf(await verify(config, { clock: hastyClock() }), "item");
    expect(table.keys.map(({ reason, detail }) => `${reason}: ${detail}`)).toEqual([
      "pending: the first copy from external to local is not done; the first copy from local to external is not done",
    ]);
  });

  test("a parked change is told with its reason, and so is a table that is held", async () => {
    await using nodes = await cluster(2);
    const config = await prepare(nodes, items);
    await sync(config);
    await sql(nodes.external.url, "alter table item add check (n < 100)");
    await sql(nodes.local.url, "insert into item values (1, 'fits', 1), (2, 'does not', 100)");
    await sync(config);
    const item = tableOf(await verify(config, { clock: hastyClock() }), "item");
    expect(
      item.keys.map(({ key, reason, lacking, detail }) => [
        key[0],
        reason,
        lacking.join(),
        /could not apply the change from local: .*check/.test(detail ?? ""),
      ]),
    ).toEqual([["2", "parked", "external", true]]);
    await nodes.external.admin.query(
      `update tandem.inbound_table b set state = 'held', reason = 'as the test wants', position = i.position from tandem.inbound i where i.peer_id = b.peer_id and b.table_name = 'hot'`,
    );
    await sql(nodes.local.url, "insert into hot values (1)");
    const hot = tableOf(await verify(config), "hot");
    expect(hot.keys.map(({ reason, detail }) => `${reason}: ${detail}`)).toEqual([
      "held: local → external: as the test wants",
    ]);
  });

  test("a table that ALTER TABLE rewrites, or whose columns change, while it is read: nothing false", async () => {
    await using nodes = await cluster(2);
    const config = await prepare(nodes, items);
    await sql(nodes.local.url, "insert into item select i, 'old', 0 from generate_series(1, 6000) i");
    await sync(config);
    const changes = [
      "alter table item alter column n type bigint",
      "vacuum full item",
      "alter table item add column extra text",
      "alter table item rename column extra to other",
      "alter table item drop column other",
      "cluster item using item_pkey",
    ];
    for (const change of changes) {
      let done: Promise<unknown> | undefined;
      const report = await verify(config, {
        tables: ["item"],
        rangeRows: 500,
        onProgress: (event) => {
          if (event.kind === "read" && event.rows > 2_000)
            done ??= Promise.all(nodes.nodes.map(({ admin }) => admin.query(change)));
        },
      });
      await done;
      const table = tableOf(report, "item");
      expect([change, table.differing, table.rows.local, table.rows.external, table.compared]).toEqual([
        change,
        0,
        6000,
        6000,
        true,
      ]);
    }
  });

  test("a table that somebody locks is waited for, and a signal ends the wait", async () => {
    await using nodes = await cluster(2);
    const config = await prepare(nodes, items);
    await sync(config);
    const holder = await openClient(nodes.external.url);
    await holder.query("begin; lock table item in access exclusive mode");
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 500);
    await expect(verify(config, { signal: stop.signal })).rejects.toMatchObject({ code: "stopped" });
    const pending = verify(config, { tables: ["item"] });
    await systemClock.sleep(300);
    await holder.query("rollback");
    expect((await pending).identical).toBe(true);
  });

  test("a connection that is ended while it reads is opened anew", async () => {
    await using nodes = await cluster(2);
    const config = await prepare(nodes, items);
    await sql(nodes.local.url, "insert into item select i, 'old', 0 from generate_series(1, 3000) i");
    await sync(config);
    const kill = (node: TestNode) =>
      node.admin.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tandem/verify' and datname = current_database()",
      );
    let killed = 0;
    let done: Promise<unknown> = Promise.resolve();
    const report = await verify(config, {
      rangeRows: 300,
      onProgress: (event) => {
        if (event.kind === "read" && killed++ < 3) done = done.then(() => kill(nodes.external));
      },
    });
    await done;
    expect(killed).toBeGreaterThan(2);
    expect(report.identical).toBe(true);
  });
});
