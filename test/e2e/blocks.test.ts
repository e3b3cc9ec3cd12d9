import { describe, expect, test, vi } from "vitest";
import { verify } from "../../src/verify/verify.ts";
import { app, linkedCluster, ways } from "../support/link.ts";
import type { ClusterOptions, TestNode } from "../support/pg.ts";

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

/** Two nodes with 20,000 rows that one statement of the first has inserted. */
async function filled(options: ClusterOptions) {
  const linked = await linkedCluster(2, { ...options, schema });
  const { nodes, links } = linked;
  await links.sync();
  await app(nodes.local, "insert into public.t select g, 'a', 0 from generate_series(1, 20000) g");
  await links.catchUp("local", "external");
  return linked;
}

for (const { way, options } of ways) {
  describe(`many rows of one statement, ${way}`, () => {
    test("C1 C2 C3 C8: come across and stay blocks until single keys are looked for; then each entry is there once", async () => {
      await using linked = await filled(options);
      const { nodes, links } = linked;
      const { local, external } = nodes;
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

    test("C2 C3 C5: where all that is here is known to the source and older, a set is written as a whole, and blocks stay", async () => {
      await using linked = await filled(options);
      const { nodes, links } = linked;
      const { local, external } = nodes;
      expect(await held(external)).toBe("20000 of 20000");
      // Rows that are changed, that are equal already, and that are new.
      await app(
        local,
        "update public.t set n = n where id <= 3000; update public.t set n = 1 where id between 3001 and 15000; insert into public.t select g, 'new', 0 from generate_series(20001, 25000) g",
      );
      const { adopted, applied } = await links.catchUp("local", "external");
      expect([adopted, applied]).toEqual([3000, 17000]);
      expect(await external.admin.value("select sum(n) || ' ' || count(*) from public.t")).toBe("12000 25000");
      expect(await external.admin.value("select count(*) from tandem.conflict")).toBe("0");
      expect(await held(external)).toBe("40000 of 40000");
      // One row that the source has not heard of, and that is newer than some: then each row is asked about.
      await app(external, "update public.t set v = 'mine' where id = 42");
      await app(local, "update public.t set n = 2 where id <= 18000");
      await links.sync();
      for (const node of nodes)
        expect(await node.admin.value("select concat_ws(' ', v, n) from public.t where id = 42")).toBe("a 2");
      expect(
        await external.admin.value("select string_agg(concat_ws(' ', kind, key[1]), ', ') from tandem.conflict"),
      ).toBe("update/update 42");
      for (const node of nodes) expect(await node.admin.query(twice)).toEqual([]);
      await links.expectRest();
    });

    test("C5 C7: rows that a trigger drops from such a set are parked, the others written", async () => {
      await using linked = await filled(options);
      const { nodes, links } = linked;
      const { local, external } = nodes;
      await app(
        external,
        `create function public.refuse() returns trigger language plpgsql as 'begin return case when new.id % 1000 = 7 then null else new end; end';
         create trigger refuse before insert on public.t for each row execute function public.refuse(); alter table public.t enable always trigger refuse`,
      );
      expect(await held(external)).toBe("20000 of 20000");
      for (const first of [20001, 60001]) {
        await app(local, `insert into public.t select g, 'new', 0 from generate_series(${first}, ${first + 19999}) g`);
        await app(local, "update public.t set n = n + 1 where id <= 10000");
        await links.catchUp("local", "external");
      }
      expect(await external.admin.value("select count(*) || ' ' || sum(n) from public.t")).toBe("59960 20000");
      expect(await external.admin.value("select count(*) from tandem.parked_change")).toBe("40");
      // What a trigger looks for, row by row, has an index.
      const indexed =
        "select count(*) from pg_indexes where tablename like 'stage % public.t' and indexname like 'keys %'";
      expect(await external.admin.value(indexed)).toBe("1");
      await app(external, "drop trigger refuse on public.t");
      await external.admin.query("update tandem.parked_change set next_try_at = '-infinity'");
      await links.sync();
      expect(await external.admin.value("select count(*) || ' ' || sum(n) from public.t")).toBe("60000 20000");
      await links.expectRest();
    });

    test("C1 C10: rows that went unseen are asked for, and rows that differ are looked at, where entries lie many in a row", async () => {
      await using linked = await filled(options);
      const { nodes, links } = linked;
      const { local, external } = nodes;
      await app(
        external,
        "alter table public.t disable trigger user; delete from public.t where id % 4000 = 0; alter table public.t enable trigger user",
      );
      await links.sync();
      for (const node of nodes) expect(await node.admin.value("select count(*) from public.t")).toBe("19995");
      await app(local, "update public.t set n = n + 1");
      await links.catchUp("local", "external");
      expect(await held(external)).toMatch(/^[1-9]/);
      await external.admin.query(
        "set session_replication_role = replica; update public.t set v = 'damaged' where id % 10 = 1; reset session_replication_role",
      );
      const { tables } = await verify(links.config);
      expect(tables.find(({ name }) => name === "t")).toMatchObject({ differing: 2000 });
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
      // Children that only this side has, in blocks, of a parent that goes: their images are kept.
      await app(external, "insert into public.c select g, 42000 from generate_series(1, 3000) g");
      await app(local, "delete from public.t where id = 42000");
      await links.catchUp("local", "external");
      expect(await external.admin.value("select count(*) from public.c")).toBe("0");
      expect(await external.admin.value("select count(*) from tandem.conflict where table_name = 'c'")).toBe("3000");
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
