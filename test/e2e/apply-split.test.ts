import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 600_000 });

const table =
  "create table public.t (id int primary key, v int); create table public.c (id int primary key, t int not null references public.t);";

for (const { way, options } of ways) {
  describe(`sets that fail in ${way}`, () => {
    test("C6: one bad row among 20,000 costs one search by halves", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await links.sync();
      // a check that counts: what a sequence has given is not taken back with the savepoint
      await app(
        nodes.external,
        `create schema counting; create sequence counting.tries;
         create function counting.good(v int) returns boolean language plpgsql as $$ begin perform nextval('counting.tries'); return v <> 13; end $$;
         alter table public.t add constraint good check (counting.good(v))`,
      );
      await app(
        nodes.local,
        "insert into public.t select i, case when i = 12345 then 13 else 1 end from generate_series(1, 20000) i",
      );
      await links.round("local", "external");
      expect(await links.parked("external")).toEqual(["t 12345 refused"]);
      expect(await nodes.external.admin.value("select count(*) from public.t")).toBe("19999");
      // each row with the whole set, and then with as many of its halves as fail
      expect(Number(await nodes.external.admin.value("select nextval('counting.tries')"))).toBeLessThan(5 * 20_000);
      await app(nodes.local, "update public.t set v = 1 where id = 12345");
      await links.sync();
      expect(await links.expectRest()).toBe(20_000);
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
      const kinds = await nodes.external.admin.query(
        'select "table", kind, count(*) as n from tandem.parked group by 1, 2 order by 1',
      );
      expect(kinds).toEqual([
        { table: "c", kind: "waits", n: "200" },
        { table: "t", kind: "refused", n: "200" },
      ]);
      await app(nodes.external, "alter table public.t drop constraint good");
      await links.retryParked();
      await links.sync();
      await links.retryParked();
      await links.sync();
      expect(await links.expectRest()).toBe(20_400);
    });

    test("C2 C6: a machine too slow for the lock-time budget still comes to an end", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await app(
        nodes.local,
        "insert into public.t select i, i from generate_series(1, 400) i; insert into public.c select i, i from generate_series(1, 400) i",
      );
      await links.sync();
      await app(nodes.external, "alter table public.t add constraint good check (v <> -300)");
      // however little a call does, its time is over
      await nodes.external.admin.query(
        `alter function tandem.apply_split(jsonb, boolean, timestamptz, bigint) rename to apply_split_in_time;
         create function tandem.apply_split(jsonb, boolean, timestamptz, bigint) returns jsonb language sql
         as $$ select tandem.apply_split_in_time($1, $2, '-infinity', $4) $$`,
      );
      await app(
        nodes.local,
        `delete from public.c where id % 2 = 1; delete from public.t where id % 2 = 1;
         update public.t set v = -id; insert into public.c select -i, 2 * i from generate_series(1, 200) i`,
      );
      const link = await links.link("local", "external");
      const apply = link.target.apply.bind(link.target);
      let pieces = 0;
      Object.assign(link.target, {
        apply: (request: Parameters<typeof apply>[0]) => {
          if (++pieces > 100) throw new Error("the batch does not come to an end");
          return apply(request);
        },
      });
      await links.catchUp("local", "external");
      expect(pieces).toBeGreaterThan(5);
      expect(await links.parked("external")).toEqual(["t 300 refused"]);
      await app(nodes.external, "alter table public.t drop constraint good");
      await links.retryParked();
      await links.sync();
      expect(await links.expectRest()).toBe(600);
    });
  });
}
