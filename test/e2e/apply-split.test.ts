import { describe, expect, test } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import type { TestNode } from "../support/pg.ts";

const table = "create table public.t (id int primary key, v int); create table public.c (id int primary key, t int not null references public.t);";

/** Transaction ids used in a database's server since: each savepoint that has written takes one. */
async function nextId(node: TestNode): Promise<number> {
  return Number(await node.admin.value("select pg_snapshot_xmax(pg_current_snapshot())"));
}

for (const { way, options } of ways) {
  describe(`sets that fail in ${way}`, () => {
    test("C6: one bad row among 20,000 costs one search by halves", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await links.sync();
      await app(nodes.external, "alter table public.t add constraint good check (v <> 13)");
      await app(nodes.local, "insert into public.t select i, case when i = 12345 then 13 else 1 end from generate_series(1, 20000) i");
      const before = await nextId(nodes.external);
      await links.catchUp("local", "external");
      const used = (await nextId(nodes.external)) - before;
      expect(await links.parked("external")).toEqual(["t 12345 refused"]);
      expect(await nodes.external.admin.value("select count(*) from public.t")).toBe("19999");
      // 15 halvings, each with two tries, and what the rounds themselves use
      expect(used).toBeLessThan(150);
    });

    test("C6 C7: 200 bad rows among 20,000, cut by the lock-time budget, each commit consistent", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await links.sync();
      await app(nodes.external, "alter table public.t add constraint good check (v <> 13)");
      await app(
        nodes.local,
        `insert into public.t select i, case when i % 100 = 0 then 13 else 1 end from generate_series(1, 20000) i;
         insert into public.c select i, i from generate_series(1, 20000) i where i % 50 = 0`,
      );
      const link = await links.link("local", "external");
      const apply = link.target.apply.bind(link.target);
      let incomplete = 0;
      let before = Number(await nodes.external.admin.value("select count(*) from public.t"));
      Object.assign(link.target, {
        apply: async (request: Parameters<typeof apply>[0]) => {
          const result = await apply(request);
          if (!result.complete) incomplete++;
          const [row] = await nodes.external.admin.query(
            "select count(*) as rows, (select count(*) from public.c c where not exists (select from public.t t where t.id = c.t)) as orphans from public.t",
          );
          expect(row?.orphans).toBe("0");
          expect(Number(row?.rows)).toBeGreaterThanOrEqual(before);
          before = Number(row?.rows);
          return result;
        },
      });
      const done = await links.catchUp("local", "external");
      expect(incomplete).toBeGreaterThan(0);
      expect(done).toMatchObject({ undecided: 0 });
      expect(await nodes.external.admin.value("select count(*) from public.t")).toBe("19800");
      expect(await nodes.external.admin.value("select count(*) from public.c")).toBe("200");
      const kinds = await nodes.external.admin.query('select "table", kind, count(*) as n from tandem.parked group by 1, 2 order by 1');
      expect(kinds).toEqual([{ table: "c", kind: "waits", n: "200" }, { table: "t", kind: "refused", n: "200" }]);
      await app(nodes.external, "alter table public.t drop constraint good");
      await links.retryParked();
      await links.sync();
      await links.retryParked();
      await links.sync();
      expect(await links.expectRest()).toBe(20_400);
    });
  });
}
