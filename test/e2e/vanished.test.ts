import { describe, expect, test, vi } from "vitest";
import { app, type Links, linkedCluster, ways } from "../support/link.ts";
import { contentOf, type TestNode } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const partitioned = `create table public.t (id int primary key, v text check (v <> 'never')) partition by range (id);
  create table public.t1 partition of public.t for values from (0) to (100);
  create table public.t2 partition of public.t for values from (100) to (200); create table public.t0 partition of public.t default;`;

/** As if the retention had passed: what everybody has acknowledged is gone from the logs. */
async function pruned(nodes: Iterable<TestNode>): Promise<void> {
  for (const node of nodes) await node.admin.query(`delete from tandem_log."public.t"`);
}

async function settle(links: Links): Promise<void> {
  await links.sync();
  await links.retryParked();
  await links.sync();
}

for (const { way, options } of ways) {
  describe(`rows that vanish unseen, in ${way}`, () => {
    test("C1 C3: a partition that is dropped takes its rows elsewhere, though no log knows them", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: partitioned });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.t select i, 'v' from generate_series(0, 199) i");
      await links.sync();
      await pruned(nodes);
      await app(nodes.external, "insert into public.t values (1000, 'from external')");
      await app(nodes.local, "alter table public.t drop constraint t_v_check");
      await app(nodes.local, "insert into public.t values (1001, 'never')");
      await links.sync();
      expect(await links.parked("external")).toEqual(["t 1001 refused"]);
      // what is written elsewhere meanwhile is new, not gone
      await app(
        nodes.external,
        "insert into public.t select i, 'new' from generate_series(0, 200, 50) i on conflict (id) do update set v = 'changed'",
      );
      await app(nodes.local, "drop table public.t1");
      await settle(links);
      expect(await contentOf(nodes.external.superUrl, "public.t")).toHaveLength(1 + 1 + 100 + 2);
      expect(await contentOf(nodes.external.superUrl, "public.t1")).toEqual(["(0,changed)", "(50,changed)"]);
      await app(nodes.external, "alter table public.t drop constraint t_v_check");
      await settle(links);
      expect(await links.expectRest()).toBe(1 + 1 + 100 + 2 + 1);
      // the other way round, and detached first
      await pruned(nodes);
      await app(
        nodes.external,
        "alter table public.t detach partition public.t2; delete from public.t2 where id < 150; drop table public.t2",
      );
      await settle(links);
      expect(await links.expectRest()).toBe(1 + 2 + 1 + 1);
    });

    test("C3 C6: a row that only waits, parked, is not taken for one that went", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: partitioned });
      const { nodes, links } = linked;
      await links.sync();
      await app(
        nodes.external,
        "alter table public.t drop constraint t_v_check; insert into public.t values (1, 'v'), (101, 'never')",
      );
      await links.sync();
      expect(await links.parked("local")).toEqual(["t 101 refused"]);
      await app(nodes.local, "drop table public.t1");
      await settle(links);
      expect(await contentOf(nodes.external.superUrl, "public.t")).toEqual(["(101,never)"]);
      await app(nodes.local, "alter table public.t drop constraint t_v_check");
      await settle(links);
      expect(await links.expectRest()).toBe(1);
    });

    test("C1 C3: rows deleted while the triggers were off, on three nodes", async () => {
      await using linked = await linkedCluster(3, {
        ...options,
        schema: "create table public.t (id int primary key, v text)",
      });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.t select i, 'v' from generate_series(1, 50) i");
      await app(nodes.node("n3"), "insert into public.t select i, 'v' from generate_series(51, 60) i");
      await links.sync();
      await pruned(nodes);
      await app(
        nodes.local,
        "alter table public.t disable trigger all; delete from public.t where id % 10 = 0; alter table public.t enable trigger all",
      );
      await app(nodes.external, "insert into public.t values (70, 'new')");
      await settle(links);
      expect(await links.expectRest()).toBe(60 - 6 + 1);
    });
  });
}
