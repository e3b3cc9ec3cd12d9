import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { openClient, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const table =
  "create table public.t (id int primary key, v text, n int default 0, u int unique); create table public.c (id int primary key, t int references public.t on delete cascade, v text);";
const rows = "insert into public.t select i, 'v', 0, i from generate_series(1, 20) i;";

/** The applier keeps its locks as long as one row's trigger sleeps. */
const slow = (seconds: number) => `
  create function public.slow() returns trigger language plpgsql as $$ begin if new.v = 'slow' then perform pg_sleep(${seconds}); end if; return null; end $$;
  create trigger slow after insert or update on public.t for each row execute function public.slow(); alter table public.t enable always trigger slow;`;

async function applying(node: TestNode): Promise<void> {
  await waitFor(
    async () =>
      (await node.admin.value(
        `select count(*) from pg_stat_activity where datname = '${node.database}' and query like '%tandem:apply%' and wait_event = 'PgSleep'`,
      )) !== "0",
    { every: 10, what: "the applier in the slow trigger" },
  );
}

/** How long a statement took, in milliseconds. */
async function timed(client: pg.Client, text: string): Promise<number> {
  const start = performance.now();
  await client.query(text);
  return performance.now() - start;
}

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
      await other.query("set lock_timeout = '400ms'");
      let over = false;
      const busy = (async () => {
        while (!over) {
          await other.query("select from public.t where id not in (5, 6) for update");
          await sleep(10);
        }
      })();
      await links.catchUp("local", "external");
      over = true;
      await busy;
      expect(await links.parked("external")).toEqual(["t 5 busy", "t 6 busy"]);
      expect(await nodes.external.admin.value("select count(*) from public.t where v = 'w'")).toBe("17");
      await holder.query("commit");
      await links.retryParked();
      await links.sync();
      expect(await links.expectRest()).toBe(20);
    });

    test("C9: a row that is free at times only is applied alone", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await app(nodes.local, rows);
      await links.sync();
      const holder = await openClient(nodes.external.url);
      let over = false;
      const hot = (async () => {
        while (!over)
          await holder.query("begin; update public.t set n = n where id = 5; select pg_sleep(0.05); rollback");
      })();
      for (let i = 0; i < 10; i++) {
        await app(nodes.local, "update public.t set n = n + 1 where id = 5");
        await links.catchUp("local", "external");
        expect(await nodes.external.admin.value("select n from public.t where id = 5")).toBe(String(i + 1));
      }
      over = true;
      await hot;
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
      const waiting =
        "select true from pg_stat_activity where datname = current_database() and query like '%tandem:apply%' and wait_event_type = 'Lock'";
      await waitFor(() => nodes.external.admin.value(waiting), { every: 10 });
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
      await app(nodes.external, slow(1.5));
      await app(nodes.local, "update public.t set v = case when id = 20 then 'slow' else 'w' end where id > 5");
      const client = await openClient(nodes.external.url);
      const round = links.catchUp("local", "external");
      await applying(nodes.external);
      await client.query("set lock_timeout = '700ms'");
      expect(await timed(client, "insert into public.c values (1, 10, 'child')")).toBeLessThan(700);
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
      await app(nodes.external, slow(1.6));
      const client = await openClient(nodes.external.url);
      await client.query(`begin; update public.t set n = 100 where id = ${first}`);
      await app(nodes.local, "update public.t set v = 'w' where id <= 3; update public.t set v = 'slow' where id = 4");
      const round = links.catchUp("local", "external");
      await applying(nodes.external);
      // waits for the applier longer than deadlock_timeout; it must end by the applier's commit
      await client.query(`update public.t set n = 100 where id = ${second}`);
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
      const start = performance.now();
      await links.round("local", "external");
      expect(performance.now() - start).toBeLessThan(20_000);
      expect(await nodes.external.admin.value("select count(*) from public.t where v = 'ours'")).toBe("10");
      expect((await links.parked("external")).sort()).toEqual(["c 1 busy", "t 50 busy", "t 60 busy"]);
      await client.query("rollback");
      await links.retryParked();
      await links.sync();
      expect(await links.expectRest()).toBe(34);
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
