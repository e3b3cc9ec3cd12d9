import { describe, expect, test, vi } from "vitest";
import { verify } from "../../src/verify/verify.ts";
import { app, linkedCluster, ways } from "../support/link.ts";

vi.setConfig({ testTimeout: 180_000 });

// To SQL a composite value whose fields are all null "is null", and one with a null field is neither null nor not null; in a key all are values.
const schema = `create type public.pair as (a int, b text);
  create table public.t (id public.pair primary key, v text);
  create table public.part (p int, id public.pair, v text, primary key (id, p)) partition by list (p);
  create table public.part1 partition of public.part for values in (1);
  create table public.child (id int primary key, parent public.pair references public.t on delete cascade);
  insert into public.t values ('(,)', 'copied'), ('(1,)', 'copied'), ('(1,x)', 'copied');
  insert into public.part select 1, id, v from public.t;`;

for (const { way, options } of ways) {
  describe(`keys with null fields, in ${way}`, () => {
    test("C3 C7: rows are copied, change and go in both directions, and refer to each other", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      await links.sync();
      expect(await links.expectRest()).toBe(6);
      await app(
        nodes.local,
        `insert into public.t values ('(2,)', 'new'); insert into public.part values (1, '(2,)', 'new');
         insert into public.child values (1, '(,)'), (2, '(2,)'), (3, '(1,x)'), (4, null);
         update public.t set v = 'local' where id::text = '(,)'; update public.part set v = 'local' where id::text = '(,)'`,
      );
      await links.sync();
      await app(
        nodes.external,
        `update public.t set v = 'external' where id::text in ('(,)', '(1,)'); update public.part set v = 'external' where id::text = '(1,)'`,
      );
      await links.sync();
      const rows = await nodes.local.admin.query("select id::text as id, v from public.t");
      expect(rows.map(({ id, v }) => `${id} ${v}`).sort()).toEqual([
        "(,) external",
        "(1,) external",
        "(1,x) copied",
        "(2,) new",
      ]);
      expect(await links.expectRest()).toBe(8 + 4);
      expect(await links.conflicts("local")).toEqual([]);

      await app(
        nodes.external,
        "delete from public.t where id::text in ('(,)', '(2,)'); delete from public.part where id::text = '(,)'",
      );
      await links.sync();
      expect(await links.expectRest()).toBe(2 + 3 + 2);
      expect(await links.conflicts("local")).toEqual([]);
    });

    test("C5: changes on both sides are a conflict, deletions too, and the loser is kept", async () => {
      await using linked = await linkedCluster(2, { ...options, schema });
      const { nodes, links } = linked;
      await links.sync();
      await app(nodes.local, "update public.t set v = 'loses'; delete from public.part where id::text = '(,)'");
      await app(nodes.external, "update public.t set v = 'wins'; update public.part set v = 'wins'");
      await links.sync();
      expect(await links.expectRest()).toBe(6);
      expect((await links.conflicts("external")).sort()).toEqual([
        'part {"(,)",1} update/delete local',
        "t (,) update/update local",
        "t (1,) update/update local",
        "t (1,x) update/update local",
      ]);
      const kept = await nodes.external.admin.query("select from tandem.conflicts where incoming_image like '%loses%'");
      expect(kept).toHaveLength(3);
      expect((await verify(links.config, {})).identical).toBe(true);
    });
  });
}
