import { describe, expect, test, vi } from "vitest";
import type { Link } from "../../src/link/link.ts";
import { PostgresTarget } from "../../src/postgres/target.ts";
import { sync } from "../../src/sidecar/sync.ts";
import { app, codeOf, type Links, linkedCluster, ways } from "../support/link.ts";
import { sql, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const table = "create table public.t (id int primary key, v text, n int default 0);";

/** Puts an action in front of one call of an end. */
function runBefore<T extends object>(end: T, method: keyof T & string, action: () => Promise<void>): void {
  const original = (end[method] as (...args: unknown[]) => Promise<unknown>).bind(end);
  let done = false;
  Object.assign(end, {
    [method]: async (...args: unknown[]) => {
      if (!done) {
        done = true;
        await action();
      }
      return await original(...args);
    },
  });
}

async function catchUpTolerantly(link: Link): Promise<number> {
  let lost = 0;
  for (;;) {
    try {
      if (!(await link.round()).worked) return lost;
    } catch (error) {
      if ((error as { code?: string }).code !== "position_mismatch") throw error;
      lost++;
    }
  }
}

async function killBackends(node: TestNode, step: string): Promise<void> {
  await waitFor(
    async () =>
      (await node.admin.value(
        `select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '${node.database}' and query like '%tandem:${step}%' and pid <> pg_backend_pid()`,
      )) !== "0",
    { every: 5, what: `a backend at ${step}` },
  );
}

async function expectOnce(nodes: { local: TestNode; external: TestNode }, links: Links, rows: number): Promise<void> {
  expect(await links.expectRest()).toBe(rows);
  expect(await links.conflicts("external")).toEqual([]);
  expect(await links.conflicts("local")).toEqual([]);
  // every version stands in the target's log once
  const twice = await nodes.external.admin.query(
    `select k1, stamp, origin from tandem_log."public.t" group by 1, 2, 3 having count(*) > 1`,
  );
  expect(twice).toEqual([]);
}

for (const { way, options } of ways) {
  describe(`positions in ${way}`, () => {
    test("C2: a confirm that was lost, several times", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await links.sync();
      for (let i = 0; i < 4; i++) {
        await app(nodes.local, `insert into public.t values (${i}, 'a'); update public.t set n = n + 1`);
        const link = await links.link("local", "external");
        Object.assign(link.source, { confirm: () => Promise.reject(new Error("the network is gone")) });
        await expect(links.catchUp("local", "external")).rejects.toThrow("the network is gone");
        await links.reopen();
      }
      expect(await nodes.external.admin.value("select count(*) from public.t")).toBe("4");
      const again = await links.sync();
      expect(again["local external"]?.staged).toBe(0);
      await app(nodes.local, "insert into public.t values (10, 'last')");
      await links.sync();
      await expectOnce(nodes, links, 5);
    });

    test("C2: two appliers of one direction at once", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table, batchRows: 20 });
      const { nodes, links } = linked;
      await links.sync();
      for (let i = 0; i < 30; i++)
        await app(nodes.local, `insert into public.t select i, 'v' from generate_series(${i * 10}, ${i * 10 + 9}) i`);
      await app(nodes.local, "update public.t set n = n + 1");
      const one = await links.another("local", "external");
      const two = await links.another("local", "external");
      try {
        await Promise.all([catchUpTolerantly(one.link), catchUpTolerantly(two.link)]);
      } finally {
        for (const connection of [...one.connections, ...two.connections]) await connection.close();
      }
      await links.sync();
      await expectOnce(nodes, links, 300);
    });

    test("C2: what one applier has staged no other applies", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await links.sync();
      const one = await links.another("local", "external");
      const two = await links.another("local", "external");
      try {
        for (const link of [one.link, two.link]) while ((await link.round()).worked);
        await app(nodes.local, "insert into public.t select i, 'first' from generate_series(1, 10) i");
        // the second one comes between the first one's staging and applying, with more rows
        runBefore(one.link.source, "offerContact", async () => {
          await app(
            nodes.local,
            "insert into public.t select i, 'second' from generate_series(11, 20) i; update public.t set v = 'newer' where id < 5",
          );
          await two.link.round();
        });
        expect(await codeOf(one.link.round())).toBe("position_mismatch");
        await one.link.round();
        expect(await nodes.external.admin.value("select count(*) from public.t")).toBe("20");
        // staged, not yet applied: the first one is refused all the same
        await app(nodes.local, "update public.t set v = 'third'");
        // the usual way, which stages
        for (const { link } of [one, two]) link.forget();
        runBefore(two.link.source, "offerContact", async () => Promise.reject(new Error("stopped here")));
        runBefore(one.link.target, "apply", async () => {
          await expect(two.link.round()).rejects.toThrow("stopped here");
        });
        expect(await codeOf(one.link.round())).toBe("position_mismatch");
      } finally {
        for (const connection of [...one.connections, ...two.connections]) await connection.close();
      }
      await links.sync();
      await expectOnce(nodes, links, 20);
    });

    test("C2: a link that is set back between staging and applying takes nothing that was staged before", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await links.sync();
      const link = await links.link("local", "external");
      const before = await nodes.external.admin.value("select position from tandem.inbound");
      await app(nodes.local, "insert into public.t select i, 'first' from generate_series(1, 10) i");
      await links.sync();
      await app(nodes.local, "insert into public.t select i, 'second' from generate_series(11, 20) i");
      runBefore(link.target, "apply", async () => {
        await nodes.external.admin.query(`update tandem.inbound set position = '${before}'`);
      });
      expect(await codeOf(link.round())).toBe("position_mismatch");
      expect(await nodes.external.admin.value("select position from tandem.inbound")).toBe(before);
      await links.sync();
      await expectOnce(nodes, links, 20);
    });

    test("C2: connections killed between staging and applying, while applying, and while staging", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await links.sync();
      await app(
        nodes.external,
        `create function public.slow() returns trigger language plpgsql as $$ begin if new.id = 7 then perform pg_sleep(120); end if; return null; end $$;
         create trigger slow after insert or update on public.t for each row execute function public.slow(); alter table public.t enable always trigger slow;`,
      );
      await app(nodes.local, "insert into public.t select i, 'a' from generate_series(1, 100) i");
      const terminate = (node: TestNode) =>
        node.admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${node.database}' and application_name like 'tandem%'`,
        );
      for (const node of nodes) {
        const link = await links.link("local", "external");
        runBefore(link.source, "offerContact", async () => void (await terminate(node)));
        expect(await codeOf(links.catchUp("local", "external"))).toBe("connection_lost");
        await links.reopen();
        expect(await nodes.external.admin.value("select count(*) from public.t")).toBe("0");
      }
      const killing = killBackends(nodes.external, "apply");
      expect(await codeOf(links.catchUp("local", "external"))).toBe("connection_lost");
      await killing;
      await links.reopen();
      expect(await nodes.external.admin.value("select count(*) from public.t")).toBe("0");
      await app(nodes.external, "drop trigger slow on public.t");
      await links.sync();
      await expectOnce(nodes, links, 100);
    });

    test("C10: a target that went back to an earlier state, and a source that did, stop the link", async () => {
      for (const side of ["external", "local"] as const) {
        await using linked = await linkedCluster(2, { ...options, schema: table });
        const { nodes, links } = linked;
        await app(nodes.local, "insert into public.t values (1, 'a')");
        await links.sync();
        const saved = side === "external" ? "inbound" : "outbound";
        await nodes.node(side).admin.query(`create table tandem.saved as select * from tandem.${saved}`);
        for (let i = 2; i < 5; i++) {
          await app(nodes.local, `insert into public.t values (${i}, 'b')`);
          await links.sync();
        }
        const back =
          side === "external"
            ? "update tandem.inbound i set position = s.position, token = s.token from tandem.saved s where s.peer_id = i.peer_id"
            : "update tandem.outbound o set token = s.token, pending_tokens = s.pending_tokens from tandem.saved s where s.peer_id = o.peer_id";
        await nodes.node(side).admin.query(back);
        await app(nodes.local, "insert into public.t values (9, 'c')");
        await links.reopen();
        expect(await codeOf(links.catchUp("local", "external"))).toBe("identity_mismatch");
        expect(await nodes.external.admin.value("select count(*) from public.t where id = 9")).toBe("0");
      }
    });

    test("C10: a database that is a copy of the one that was configured is refused before anything is read", async () => {
      for (const side of ["external", "local"] as const) {
        await using linked = await linkedCluster(2, { ...options, schema: table });
        const { nodes, links } = linked;
        await app(nodes.local, "insert into public.t values (1, 'a')");
        await links.sync();
        await links.reopen();
        const node = nodes.node(side);
        await node.admin.close();
        const { database } = node;
        await sql(
          node.server.url,
          `create database "${database}_c" template "${database}"${node.owner ? ` owner "${node.owner}"` : ""}`,
        );
        await sql(node.server.url, `drop database "${database}"`);
        await sql(node.server.url, `alter database "${database}_c" rename to "${database}"`);
        await app(nodes.local, "insert into public.t values (2, 'b')");
        expect(await codeOf(links.catchUp("local", "external"))).toBe("identity_mismatch");
        expect(await codeOf(links.catchUp("external", "local"))).toBe("identity_mismatch");
        expect(await nodes.external.admin.value("select count(*) from public.t where id = 2")).toBe("0");
      }
    });
  });
}

test("C1: a batch whose staged rows went with a crash, unnoticed by its connection, is refused and read anew", async () => {
  await using linked = await linkedCluster(2, { schema: table });
  const { nodes, links } = linked;
  await links.sync();
  await app(nodes.local, "insert into public.t select g, 'x' from generate_series(1, 50) g");
  // What a crash leaves of unlogged tables: nothing.
  const refused = links.roundAround("local", "external", async () => {
    const unlogged = await nodes.external.admin.query(
      "select string_agg(oid::regclass::text, ', ') as tables from pg_class where relpersistence = 'u' and relkind = 'r' and relnamespace in ('tandem'::regnamespace, 'tandem_log'::regnamespace)",
    );
    expect(unlogged[0]?.tables).toContain("tandem.staged");
    await nodes.external.admin.query(`truncate ${unlogged[0]?.tables}`);
  });
  expect(await codeOf(refused)).toBe("position_mismatch");
  await links.sync();
  await expectOnce(nodes, links, 50);
});

test("C1: `sync` comes to its end also where a busy sidecar is faster each time, and what that one carries counts", async () => {
  await using linked = await linkedCluster(2, { schema: table });
  const { nodes, links } = linked;
  await links.sync();
  let written = 0;
  let lost = 0;
  const write = () => app(nodes.local, `insert into public.t values (${++written})`);
  let under = false;
  const { apply } = PostgresTarget.prototype;
  const faster = vi.spyOn(PostgresTarget.prototype, "apply").mockImplementation(async function (
    this: PostgresTarget,
    request,
  ) {
    if (!under && this.name === "external") {
      under = true;
      lost += 1;
      await links.round("local", "external");
      // There is always more to be carried.
      await write();
      under = false;
    }
    return await apply.call(this, request);
  });
  await write();
  const { links: outcomes } = await sync(links.config);
  faster.mockRestore();
  expect(outcomes.map(({ error }) => error)).toEqual([null, null]);
  expect(lost).toBeGreaterThan(1);
  const arrived = Number(await nodes.external.admin.value("select count(*)::text from public.t"));
  expect(arrived).toBeGreaterThanOrEqual(written - 1);
  await links.sync();
  await expectOnce(nodes, links, written);
});
