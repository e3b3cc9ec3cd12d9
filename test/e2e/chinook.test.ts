import { readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { spawnTandem, tandem, tempFolder } from "../support/child.ts";
import { dataset } from "../support/components.ts";
import { type Cluster, cluster, expectEqual, hostileSettings, openClient, sql, type TestNode } from "../support/pg.ts";
import { type Random, seeded } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";

const fewMinutes = 240_000;

/** Chinook in `local`, its schema alone in `external`; the role of the cluster owns everything. */
async function chinook(owner: boolean): Promise<Cluster> {
  const script = await readFile(dataset("chinook/chinook.sql"), "utf8");
  const nodes = await cluster(2, owner ? { owner: true, settings: hostileSettings } : {});
  await sql(nodes.local.url, script);
  await sql(nodes.external.url, script.replace(/^INSERT INTO[\s\S]*?;\s*$/gm, ""));
  return nodes;
}

async function commands(nodes: Cluster) {
  const cwd = await tempFolder();
  const env = { DATABASE_URL: nodes.local.url, EXTERNAL_DB_URL: nodes.external.url };
  return {
    env: { cwd, env, timeoutMs: fewMinutes },
    run: async (...args: string[]) => {
      const result = await tandem(args, { cwd, env, timeoutMs: fewMinutes });
      expect(`${result.stderr}${result.stdout}`, "output of a command").not.toMatch(/tandem@|^\s+at .*\.js:/m);
      return result;
    },
  };
}

const count = async (node: TestNode, text: string) => Number(await node.admin.value(text));

interface SyncDocument {
  links: {
    parked: number;
    tables: {
      staged: number;
      applied: number;
      equal?: number;
      adopted?: number;
      superseded: number;
      parked: number;
      undecided: number;
    }[];
  }[];
}

/** applied + adopted + superseded + parked + undecided = staged, for every link and table. */
function expectAccounted(stdout: string): number {
  const document = JSON.parse(stdout) as SyncDocument;
  let staged = 0;
  for (const table of document.links.flatMap((link) => link.tables)) {
    expect(
      table.applied + (table.adopted ?? table.equal ?? 0) + table.superseded + table.parked + table.undecided,
    ).toBe(table.staged);
    staged += table.staged;
  }
  return staged;
}

describe.each([
  ["as superuser", false],
  ["as an ordinary owner with hostile settings", true],
])("Chinook %s", (_, owner) => {
  test(
    "C1 C2 C3 C8: migrate and sync, changes on both sides of every table, sync again, and nothing more moves",
    async () => {
      await using nodes = await chinook(owner);
      const { run } = await commands(nodes);
      const migrated = await run("migrate");
      expect(migrated.code, migrated.stderr).toBe(0);
      const first = await run("sync", "--json");
      expect(first.code, first.stderr).toBe(0);
      expect(expectAccounted(first.stdout)).toBeGreaterThanOrEqual(15_607);
      expect(await expectEqual(nodes)).toEqual({ tables: 11, rows: 15_607 });

      await sql(nodes.local.url, changes("local"));
      await sql(nodes.external.url, changes("external"));
      const captured =
        (await count(nodes.local, "select count(*) from tandem.pending")) +
        (await count(nodes.external, "select count(*) from tandem.pending"));
      expect(captured).toBeGreaterThan(1000);
      const second = await run("sync", "--json");
      expect(second.code, second.stderr + second.stdout).toBe(0);
      expect(expectAccounted(second.stdout)).toBeGreaterThan(1000);
      await expectEqual(nodes);
      for (const node of nodes) {
        expect(await count(node, "select count(*) from tandem.pending")).toBe(0);
        expect(await count(node, "select count(*) from tandem.parked")).toBe(0);
        // What happened on either side is there, and the truncated table is empty.
        expect(await count(node, "select count(*) from genre where name like 'from %'")).toBeGreaterThan(0);
        expect(await count(node, "select count(*) from track where genre_id = 1001")).toBeGreaterThan(100);
        expect(await count(node, "select count(*) from invoice_line")).toBe(0);
      }

      const entries = await Promise.all([...nodes].map((node) => logEntries(node)));
      const third = await run("sync", "--json");
      expect(third.code).toBe(0);
      expect(expectAccounted(third.stdout)).toBe(0);
      expect(await Promise.all([...nodes].map((node) => logEntries(node)))).toEqual(entries);
      // The next number of a sequence is free on both sides.
      for (const node of nodes) await sql(node.url, "insert into artist (name) values ('after all')");
    },
    fewMinutes,
  );
});

async function logEntries(node: TestNode): Promise<number> {
  const rows = await node.admin.query("select entries_name from tandem.tracked_table order by 1");
  let sum = 0;
  for (const row of rows) sum += await count(node, `select count(*) from tandem_log."${row.entries_name}"`);
  return sum;
}

/** Insert by sequence, update, delete, key update, cascade, truncate: something in each of the eleven tables. */
function changes(side: "local" | "external"): string {
  const [low, high] = side === "local" ? [0, 10] : [10, 20];
  const both = `
    insert into artist (name) select 'from ${side} ' || i from generate_series(1, 5) i;
    insert into genre (name) values ('from ${side}');
    insert into media_type (name) values ('from ${side}');
    insert into playlist (name) values ('from ${side}');
    insert into employee (last_name, first_name, reports_to) values ('${side}', 'New', 1);
    update employee set title = 'Boss of ${side}', reports_to = null where employee_id = ${side === "local" ? 1 : 2};
    insert into customer (first_name, last_name, email, support_rep_id) values ('${side}', 'Customer', '${side}@example.org', 3);
    update customer set company = '${side}' where customer_id > ${low} and customer_id <= ${high};
    insert into album (title, artist_id) values ('from ${side}', 1);
    update track set unit_price = unit_price + 1 where track_id % 20 > ${low} and track_id % 20 <= ${high};
    insert into track (name, media_type_id, milliseconds, unit_price) values ('from ${side}', 1, 1, 0.99);
    update invoice set billing_city = '${side}' where customer_id > ${low} and customer_id <= ${high};
    delete from playlist_track where playlist_id = ${side === "local" ? 5 : 8};
    insert into playlist_track (playlist_id, track_id) select 18, track_id from track where track_id > ${low * 10} and track_id <= ${high * 10} on conflict do nothing;`;
  if (side === "external") return `${both} update playlist set name = 'both, here' where playlist_id = 1;`;
  return `${both}
    update playlist set name = 'both, there' where playlist_id = 1;
    insert into genre (genre_id, name) select 1001, name || '!' from genre where genre_id = 1;
    update track set genre_id = 1001 where genre_id = 1;
    delete from genre where genre_id = 1;
    truncate invoice_line;`;
}

describe("Chinook while people write", () => {
  test("C1 C2 C3 C8: a minute of writers on both sides, kill -9 of the sidecar in the middle: at rest and equal after they stop", async () => {
    const minutes = await Promise.allSettled([writtenForAMinute(false), writtenForAMinute(true)]);
    for (const minute of minutes) if (minute.status === "rejected") throw minute.reason;
  }, 900_000);
});

/** The minute is how long people write; what comes after it is waited for by condition. */
async function writtenForAMinute(owner: boolean): Promise<void> {
  await using nodes = await chinook(owner);
  const { run, env } = await commands(nodes);
  expect((await run("migrate")).code).toBe(0);
  let sidecar = spawnTandem(["run"], env);
  await waitFor(async () => (await count(nodes.external, "select count(*) from track")) === 3503, {
    deadlineMs: 240_000,
    what: () => `the first copy: ${sidecar.stderr.slice(-2000)}`,
  });

  const stop = new AbortController();
  const writers = [...nodes, ...nodes].map((node, i) => write(node, seeded(41 + i), stop.signal));
  const until = Date.now() + 60_000;
  try {
    for (let kills = 0; kills < 4 || Date.now() < until; kills++) {
      const [from, to] = kills % 2 === 0 ? [nodes.local, nodes.external] : [nodes.external, nodes.local];
      const before = await count(to, "select sum(rows_applied) from tandem.inbound");
      await waitFor(async () => (await count(to, "select sum(rows_applied) from tandem.inbound")) > before, {
        deadlineMs: 240_000,
        what: () => `rows from ${from.name} in ${to.name}: ${sidecar.stderr.slice(-2000)}`,
      });
      await setTimeout(Math.min(12_000, Math.max(0, until - Date.now())));
      sidecar.kill("SIGKILL");
      await sidecar.ended(30_000);
      sidecar = spawnTandem(["run"], env);
    }
  } finally {
    stop.abort();
  }
  const written = (await Promise.all(writers)).reduce((a, b) => a + b);
  expect(written).toBeGreaterThan(500);

  await waitFor(
    async () => {
      const waiting = await Promise.all([...nodes].map((node) => count(node, unfinished)));
      return waiting.every((n) => n === 0);
    },
    { deadlineMs: 240_000, what: () => `rest: ${sidecar.stderr.slice(-2000)}` },
  );
  await sidecar.stop();
  const last = await run("sync", "--json");
  expect(last.code, last.stdout + last.stderr).toBe(0);
  expect(expectAccounted(last.stdout)).toBe(0);
  const { rows } = await expectEqual(nodes);
  expect(rows).toBeGreaterThan(15_000);
  for (const node of nodes) expect(await count(node, unfinished)).toBe(0);
}

const unfinished = `select (select count(*) from tandem.pending) + (select count(*) from tandem.parked)
  + (select count(*) from tandem.inbound_table where state <> 'flow')`;

/** Writes as an application would, in small transactions with a moment in between, until it is told to stop; returns how many were committed. */
async function write(node: TestNode, random: Random, signal: AbortSignal): Promise<number> {
  const client = await openClient(node.url);
  let committed = 0;
  while (!signal.aborted) {
    const id = random.int(1, 3503);
    const invoice = random.int(1, 412);
    const statement = random.pick([
      `update track set unit_price = unit_price + 0.01, name = left(name, 100) || '.' where track_id = ${id}`,
      `update customer set company = '${node.name} ${committed}' where customer_id = ${random.int(1, 59)}`,
      `insert into playlist_track values (${random.int(1, 18)}, ${id}) on conflict do nothing`,
      `delete from playlist_track where playlist_id = ${random.int(1, 18)} and track_id = ${id}`,
      `begin; update invoice set total = total + 1 where invoice_id = ${invoice}; update invoice_line set quantity = quantity + 1 where invoice_line_id = ${random.int(1, 2240)}; commit`,
      `insert into artist (artist_id, name) values (${node.name === "local" ? 1000 : 500_000} + ${committed * 10 + random.int(1, 9)}, '${node.name} ${committed}') on conflict do nothing`,
      `delete from invoice_line where invoice_id = ${invoice} and track_id % 7 = 0`,
      `update employee set reports_to = ${random.int(1, 2)}, title = '${node.name}' where employee_id = ${random.int(3, 8)}`,
      `begin; update album set title = left(title, 100) || '+' where album_id = ${random.int(1, 347)}; rollback`,
    ]);
    await client.query(statement);
    committed++;
    await setTimeout(random.int(1, 20));
  }
  return committed;
}
