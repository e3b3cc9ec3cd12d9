import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import type { TestNode } from "../support/pg.ts";

// Several databases and thousands of rows: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 240_000 });

const schema =
  "create table public.t (id bigint primary key, v text, n int); create table public.c (id int primary key, t bigint references public.t on delete cascade);";

/** How many entries of a node's log are in blocks, and how many it has. */
async function held({ admin }: TestNode): Promise<string | null | undefined> {
  return await admin.value(`select concat_ws(' of ', (select coalesce(sum(rows), 0) from tandem_log."blocks public.t"),
    (select count(*) from tandem_log."entries public.t"))`);
}

/** Entries that a log has twice. */
const twice = `select k1 from tandem_log."entries public.t" group by k1, stamp, origin having count(*) > 1`;

for (const { way, options } of ways) {
  describe(`many rows of one statement, ${way}`, () => {
    test("C1 C2 C3 C8: come across and stay blocks until single keys are looked for; then each entry is there once", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      const { local, external } = nodes;
      await links.sync();
      await app(local, "insert into public.t select g, 'a', 0 from generate_series(1, 20000) g");
      await links.catchUp("local", "external");
      expect(await held(local)).toBe("19900 of 20000");
      expect(await held(external)).toBe("20000 of 20000");
      // A row, and many, that both have changed since; what is newer stays, whoever wrote it.
      await app(
        external,
        "update public.t set v = 'there' where id between 100 and 2000; update public.t set v = 'one' where id = 7",
      );
      await app(
        local,
        "update public.t set v = 'here', n = 1 where id > 1000; delete from public.t where id between 3000 and 5000",
      );
      await links.sync();
      expect(
        await local.admin.value("select count(*) || ' ' || count(*) filter (where v = 'here') from public.t"),
      ).toBe("17999 16999");
      expect(
        await local.admin.value("select string_agg(v, ' ' order by id) from public.t where id in (7, 100, 1500)"),
      ).toBe("one there here");
      expect(await external.admin.value("select count(*) from tandem.conflict")).toBe("1000");
      for (const node of nodes) expect(await node.admin.query(twice)).toEqual([]);
      await app(
        local,
        "update public.t set n = n + 1 where id = 1; update public.t set id = id + 100000 where id > 15000",
      );
      await links.sync();
      for (const node of nodes) expect(await node.admin.query(twice)).toEqual([]);
      await links.expectRest();
      // With nothing to do for longer they are written out.
      await links.sync();
      await links.sync();
      for (const node of nodes) expect(await held(node)).toMatch(/^0 of /);
      await links.expectRest();
    });

    test("C5 C7 C9: what the application writes many of where a batch is applied is met as any other, small batches too", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      const { local, external } = nodes;
      await app(local, "insert into public.t select g, 'a', 0 from generate_series(1, 50) g");
      await links.sync();
      await app(
        external,
        "insert into public.t select g, 'there', 0 from generate_series(40000, 43000) g; insert into public.c values (1, 41000)",
      );
      // Two rows that both have, one of the block, and a parent whose child only the other side has.
      await app(local, "insert into public.t values (41500, 'here', 1); update public.t set v = 'b' where id = 3");
      await links.sync();
      expect(await external.admin.value("select v from public.t where id = 41500")).toBe("here");
      expect(await external.admin.value("select v from public.t where id = 3")).toBe("b");
      await app(local, "delete from public.t where id = 41000");
      await app(external, "insert into public.t select g, 'more', 0 from generate_series(50000, 52000) g");
      await links.sync();
      expect(await external.admin.value("select count(*) from public.c")).toBe("0");
      // Where they come between staging and applying, no row is locked while they are gone through.
      await app(local, "update public.t set v = 'c' where id = 5; update public.t set v = 'here' where id = 51000");
      await links.roundAround("local", "external", () =>
        app(
          external,
          "insert into public.t select g, 'between', 0 from generate_series(60000, 62000) g; update public.t set v = 'later' where id = 51000",
        ),
      );
      expect(
        await external.admin.value("select string_agg(v, ' ' order by id) from public.t where id in (5, 51000)"),
      ).toBe("c later");
      await links.sync();
      for (const node of nodes) expect(await node.admin.query(twice)).toEqual([]);
      await links.expectRest();
    });
  });
}
