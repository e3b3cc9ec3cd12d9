import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { describe, expect, test, vi } from "vitest";
import { app, type Links, linkedCluster, ways } from "../support/link.ts";
import { openClient, sql, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const table =
  "create table public.t (id int primary key, v text, n int default 0, u int unique); create table public.c (id int primary key, t int references public.t on delete cascade, v text);";
const rows = "insert into public.t select i, 'v', 0, i from generate_series(1, 20) i;";

/** The applier keeps its locks in one row's trigger, for as long as the gate is shut. */
const slow = `
  create function public.slow() returns trigger language plpgsql as $$ begin
    while new.v = 'slow' and not pg_try_advisory_xact_lock(42) loop perform pg_sleep(0.01); end loop; return null; end $$;
  create trigger slow after insert or update on public.t for each row execute function public.slow(); alter table public.t enable always trigger slow;`;

/** The same, after all rows are written and checked. */
const slowAtTheEnd = slow
  .replace("create trigger", "create constraint trigger")
  .replace("on public.t for", "on public.t deferrable initially deferred for");

/** The applier waits before the first row of a statement is written, after the statement has begun. */
const slowToBegin = `
  create function public.slow_to_begin() returns trigger language plpgsql as $$ begin
    while coalesce(current_setting('tandem.applying', true), '') <> '' and not pg_try_advisory_xact_lock(42) loop perform pg_sleep(0.01); end loop; return null; end $$;
  create trigger slow_to_begin before update on public.t for each statement execute function public.slow_to_begin();
  alter table public.t enable always trigger slow_to_begin;`;

/** Shuts the gate of the slow trigger until it is opened. */
async function shutGate(node: TestNode): Promise<{ open(): Promise<unknown> }> {
  const holder = await openClient(node.superUrl);
  await holder.query("select pg_advisory_lock(42)");
  return { open: () => holder.query("select pg_advisory_unlock(42)") };
}

async function applying(node: TestNode): Promise<void> {
  await waitFor(
    async () =>
      (await node.admin.value(
        `select count(*) from pg_stat_activity where datname = '${node.database}' and wait_event = 'PgSleep'`,
      )) !== "0",
    { every: 10, what: "the applier in the slow trigger" },
  );
}

/** Waits until the session with this process id has waited for a lock for so long. */
async function waiting(node: TestNode, pid: string, ms: number): Promise<void> {
  let since: number | null = null;
  await waitFor(
    async () => {
      const type = await node.admin.value("select wait_event_type from pg_stat_activity where pid = $1", [pid]);
      since = type === "Lock" ? (since ?? Date.now()) : null;
      return since !== null && Date.now() - since > ms;
    },
    { every: 20, what: `session ${pid} to wait for a lock for ${ms} ms` },
  );
}

async function pidOf(client: pg.Client): Promise<string> {
  return (await sql(client, "select pg_backend_pid()::text as pid"))[0]?.pid ?? "";
}

/** Whether an applier waits for a lock here. */
const applierWaits =
  "select true from pg_stat_activity where datname = current_database() and query like '%tandem:apply%' and wait_event_type = 'Lock'";

/** Whether somebody waits for an applier that waits itself. */
const waitsBehindWaiter = `select a.query from pg_stat_activity w, lateral unnest(pg_blocking_pids(w.pid)) b (pid) join pg_stat_activity a on a.pid = b.pid
  where w.datname = current_database() and w.wait_event_type = 'Lock' and a.wait_event_type = 'Lock' and a.query like '%tandem:apply%'`;

/** A round from n3 to local, told that there is something, or not. */
const shortOrUsual = {
  short: async (links: Links) => await (await links.link("n3", "local")).round(true),
  usual: async (links: Links) => await links.round("n3", "local"),
};

for (const { way, options } of ways) {
  describe(`locks in ${way}`, () => {
    test("C9 C6: a row that the application holds waits; all others are applied and stay free", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await app(nodes.local, rows);
      await links.sync();
      const holder = await openClient(nodes.external.url);
      await holder.query(
        "begin; select from public.t where id = 5 for update; select from public.t where id = 6 for share",
      );
      await app(
        nodes.local,
        "update public.t set v = 'w' where id <> 7; delete from public.t where id = 7; insert into public.t values (100, 'new', 0, 100)",
      );
      const other = await openClient(nodes.external.url);
      // Far below the time that the other rows are held for.
      await other.query("set lock_timeout = '20s'");
      const watcher = await openClient(nodes.external.superUrl);
      const blocked: unknown[] = [];
      let over = false;
      const busy = (async () => {
        while (!over) {
          await other.query("select from public.t where id not in (5, 6) for update");
          await sleep(10);
        }
      })();
      const watching = (async () => {
        while (!over) blocked.push(...(await sql(watcher, waitsBehindWaiter)));
      })();
      try {
        await links.catchUp("local", "external");
      } finally {
        over = true;
        await Promise.all([busy, watching]);
      }
      expect(blocked).toEqual([]);
      expect(await links.parked("external")).toEqual(["t 5 busy", "t 6 busy"]);
      expect(await nodes.external.admin.value("select count(*) from public.t where v = 'w'")).toBe("17");
      await holder.query("commit");
      await links.retryParked();
      await links.sync();
      expect(await links.expectRest()).toBe(20);
    });

    test("C9: of a table for which somebody waits no row is locked, and other tables flow", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await app(nodes.local, rows);
      await links.sync();
      // Whoever waits for the table is ended when deadlock_timeout has passed while the applier has a row that another one wants, and waits behind.
      const holder = await openClient(nodes.external.url);
      await holder.query("begin; update public.t set n = 1 where id = 20");
      const locker = await openClient(nodes.external.url);
      const lockerPid = await pidOf(locker);
      const locked = locker.query("begin; lock table public.t in share row exclusive mode; commit");
      await waiting(nodes.external, lockerPid, 0);
      await app(nodes.local, "update public.t set v = 'w' where id < 3; insert into public.c values (1, 5, 'new')");
      await links.catchUp("local", "external");
      expect(await links.parked("external")).toEqual(["t 1 busy", "t 2 busy"]);
      expect(
        await nodes.external.admin.value("select string_agg(distinct reason, ', ') from tandem.parked_change"),
      ).toBe("the table is locked by another session");
      expect(await nodes.external.admin.value("select v from public.c where id = 1")).toBe("new");
      await holder.query("commit");
      await locked;
      await links.retryParked();
      await links.sync();
      expect(await links.expectRest()).toBe(21);
    });

    test("C9: a row that is free at times only is applied alone", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await app(nodes.local, rows);
      await links.sync();
      const holder = await openClient(nodes.external.url);
      const watcher = await openClient(nodes.external.superUrl);
      const waits = async () => (await sql(watcher, applierWaits)).length > 0;
      let [held, over] = [false, false];
      // Held whenever the applier comes, and let go once it waits: who never waits never finds it free.
      const hot = (async () => {
        while (!over) {
          await holder.query("begin; update public.t set n = n where id = 5");
          held = true;
          while (!over && !(await waits())) await sleep(2);
          held = false;
          await holder.query("rollback");
          while (!over && (await waits())) await sleep(2);
        }
      })();
      try {
        for (let i = 0; i < 10; i++) {
          await waitFor(() => held, { every: 2 });
          await app(nodes.local, "update public.t set n = n + 1 where id = 5");
          await links.catchUp("local", "external");
          expect(await nodes.external.admin.value("select n from public.t where id = 5")).toBe(String(i + 1));
        }
      } finally {
        over = true;
        await hot;
      }
      expect(await links.expectRest()).toBe(20);
    });

    test("C9: a row that was put off is tried alone, too, when its time has come", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await app(nodes.local, rows);
      await links.sync();
      const holder = await openClient(nodes.external.url);
      await holder.query("begin; update public.t set n = n where id = 5");
      await app(nodes.local, "update public.t set n = 7 where id = 5");
      await links.catchUp("local", "external");
      expect(await links.parked("external")).toEqual(["t 5 busy"]);
      let over = false;
      const rounds = (async () => {
        while (!over) {
          await links.retryParked();
          await links.round("local", "external");
        }
      })();
      await waitFor(() => nodes.external.admin.value(applierWaits), { every: 10 });
      over = true;
      await holder.query("rollback");
      await rounds;
      await links.retryParked();
      await links.sync();
      expect(await nodes.external.admin.value("select n from public.t where id = 5")).toBe("7");
      await links.expectRest();
    });

    test("C9: children of a parent that is being updated are inserted without waiting", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await app(nodes.local, rows);
      await links.sync();
      await app(nodes.external, slow);
      const gate = await shutGate(nodes.external);
      await app(nodes.local, "update public.t set v = case when id = 20 then 'slow' else 'w' end where id > 5");
      const client = await openClient(nodes.external.url);
      const round = links.catchUp("local", "external");
      await applying(nodes.external);
      // The applier does not go on before this is done.
      await client.query("set lock_timeout = '20s'");
      await client.query("insert into public.c values (1, 10, 'child')");
      await gate.open();
      await round;
      await links.sync();
      await links.expectRest();
    });

    test.each([
      ["1 then 2", 1, 2],
      ["2 then 1", 2, 1],
    ])("C9: the application is never a deadlock's victim: %s", async (_, first, second) => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await app(nodes.local, rows);
      await links.sync();
      await app(nodes.external, slow);
      const gate = await shutGate(nodes.external);
      const client = await openClient(nodes.external.url);
      const pid = await pidOf(client);
      await client.query(`begin; update public.t set n = 100 where id = ${first}`);
      await app(nodes.local, "update public.t set v = 'w' where id <= 3; update public.t set v = 'slow' where id = 4");
      const round = links.catchUp("local", "external");
      await applying(nodes.external);
      // waits for the applier longer than deadlock_timeout; it must end by the applier's commit
      const update = client.query(`update public.t set n = 100 where id = ${second}`);
      await waiting(nodes.external, pid, 1_500);
      await gate.open();
      await update;
      await client.query("commit");
      await round;
      await links.sync();
      await links.retryParked();
      await links.sync();
      await links.expectRest();
    });

    test("C9 C6: a key, a unique value or a parent that an open transaction is about to take", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await app(nodes.local, rows);
      await links.sync();
      const client = await openClient(nodes.external.url);
      await client.query(
        "begin; insert into public.t values (50, 'theirs', 0, 50), (51, 'theirs', 0, 61); delete from public.t where id = 20",
      );
      await app(
        nodes.local,
        `insert into public.t select i, 'ours', 0, i from generate_series(40, 50) i; insert into public.t values (60, 'ours', 0, 61);
         insert into public.c values (1, 20, 'child of a row that goes'), (2, 1, 'child')`,
      );
      // It comes to an end though the transaction is open.
      await links.round("local", "external");
      expect(await nodes.external.admin.value("select count(*) from public.t where v = 'ours'")).toBe("10");
      expect((await links.parked("external")).sort()).toEqual(["c 1 busy", "t 50 busy", "t 60 busy"]);
      await client.query("rollback");
      await links.retryParked();
      await links.sync();
      expect(await links.expectRest()).toBe(34);
    });

    test("C2 C3: a row that one link is about to insert, and another one says is gone, is gone everywhere", async () => {
      await using linked = await linkedCluster(3, { ...options, schema: table + slowAtTheEnd });
      const { nodes, links } = linked;
      const { local, external } = nodes;
      const n3 = nodes.node("n3");
      await links.sync();
      // The one inserts a row, the other has heard of it and deletes it; neither has reached the third, which applies both at once.
      for (const [short, way] of Object.entries(shortOrUsual)) {
        const id = short === "short" ? 7 : 8;
        await app(n3, `insert into public.t values (${id}, 'v', 0, ${id})`);
        await links.catchUp("n3", "external");
        await app(external, `delete from public.t where id = ${id}`);
        await app(n3, `insert into public.t values (${id + 100}, 'slow', 0, ${id + 100})`);
        const gate = await shutGate(local);
        const inserting = way(links);
        await applying(local);
        const deleting = links.round("external", "local");
        await waitFor(
          async () =>
            (await local.admin.value(applierWaits)) === "t" ||
            (await local.admin.value(`select 1 from tandem_log."entries public.t" where k1 = ${id} and op = 'D'`)) ===
              "1",
          { what: "the deletion to be applied, or to wait" },
        );
        await gate.open();
        await Promise.all([inserting, deleting]);
        await links.sync();
        for (const node of nodes) {
          expect(await node.admin.value(`select count(*) from public.t where id = ${id}`)).toBe("0");
          expect(await node.admin.value(`select count(*) from public.t where id = ${id + 100}`)).toBe("1");
        }
      }
      await links.expectRest();
    });

    test("C5 C7 C9: a row of a large set that the application holds, or changes just before it is written, is decided like any other", async () => {
      const schema = `create table public.t (id int primary key, v text, n int default 0); ${slowToBegin}`;
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      const { local, external } = nodes;
      await app(local, "insert into public.t select i, 'v', 0 from generate_series(1, 20000) i");
      await links.sync();
      // Held: all others are written, it waits, and its change, which is older, is kept.
      const holder = await openClient(external.url);
      await holder.query("begin; update public.t set v = 'held' where id = 5");
      await app(local, "update public.t set n = 1 where id <= 15000");
      await links.catchUp("local", "external");
      expect(await external.admin.value("select count(*) from public.t where n = 1")).toBe("14999");
      expect(await links.parked("external")).toEqual(["t 5 busy"]);
      await holder.query("commit");
      await links.retryParked();
      await links.sync();
      expect(await external.admin.value("select v || n from public.t where id = 5")).toBe("v1");
      // Held where it is as staged already: it waits all the same.
      await holder.query("begin; update public.t set v = 'held too' where id = 9");
      await app(local, "update public.t set v = case when id = 9 then v else 'w' end where id <= 15000");
      await links.catchUp("local", "external");
      expect(await external.admin.value("select count(*) from public.t where v = 'w'")).toBe("14999");
      expect(await links.parked("external")).toEqual(["t 9 busy"]);
      await holder.query("commit");
      await links.retryParked();
      await links.sync();
      for (const node of nodes) expect(await node.admin.value("select v || n from public.t where id = 9")).toBe("v1");
      // Changed meanwhile: newer, so it stays, and what it replaces is kept.
      await app(local, "update public.t set n = 2 where id <= 15000");
      const gate = await shutGate(external);
      const round = links.catchUp("local", "external");
      await applying(external);
      await app(external, "update public.t set v = 'meanwhile' where id = 7");
      await gate.open();
      await round;
      await links.sync();
      expect(await local.admin.value("select v || n from public.t where id = 7")).toBe("meanwhile1");
      expect(await local.admin.value("select count(*) from public.t where n = 2")).toBe("14999");
      const images = `select string_agg(case winner when 'local' then incoming_image else local_image end, ' ' order by key) from tandem.conflicts`;
      const kept = `${await local.admin.value(images)} ${await external.admin.value(images)}`;
      expect(kept).toContain("'held'");
      expect(kept).toContain("'held too'");
      expect(kept).toMatch(/id = '?7.*n = '?2/);
      await links.expectRest();
    });

    test("C9: a key that appears between deciding and inserting is decided like any other", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await links.sync();
      // the application's row commits while the applier's insert waits for it, a few milliseconds long
      for (let i = 0; i < 20; i++) {
        await app(nodes.local, `insert into public.t values (${i}, 'ours', ${i}, ${i})`);
        const client = await openClient(nodes.external.url);
        await client.query(`begin; insert into public.t values (${i}, 'theirs', ${i}, ${i})`);
        const round = links.catchUp("local", "external");
        await sleep(i);
        await client.query("commit");
        await client.end();
        await round;
      }
      await links.retryParked();
      await links.sync();
      expect(await links.expectRest()).toBe(20);
      expect(await nodes.local.admin.value("select count(*) from public.t where v = 'theirs'")).toBe("20");
    });
  });
}
