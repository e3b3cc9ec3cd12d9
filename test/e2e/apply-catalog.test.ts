import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf, openClient } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

for (const { way, options } of ways) {
  describe(`what the catalogs say, in ${way}`, () => {
    test("C6: columns and tables renamed at the other end of a foreign key, while plans are kept", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `create table public.parent (id int primary key, code text unique);
          create table public.child (id int primary key, code text references public.parent (code) on delete cascade);`,
      });
      const { nodes, links } = linked;
      await app(
        nodes.local,
        "insert into public.parent select i, 'c' || i from generate_series(1, 5) i; insert into public.child values (1, 'c1'), (2, 'c2')",
      );
      await links.sync();
      // both plans are made and kept
      await app(
        nodes.local,
        "insert into public.child values (3, 'c3'); update public.parent set id = 50 where id = 5",
      );
      await app(nodes.external, "insert into public.child values (4, 'c4')");
      await app(nodes.local, "delete from public.parent where code = 'c4'");
      await links.sync();
      for (const node of nodes) await app(node, "alter table public.parent rename code to label");
      await app(nodes.local, "insert into public.child values (5, 'c1'), (6, 'c5')");
      await links.sync();
      for (const node of nodes) await app(node, "alter table public.child rename code to mother");
      await app(nodes.external, "insert into public.child values (7, 'c2')");
      await app(nodes.local, "delete from public.parent where label = 'c2'");
      await links.sync();
      expect(await links.expectRest()).toBe(3 + 4);
      expect(await contentOf(nodes.external.superUrl, "public.child")).toEqual([
        "(1,c1)",
        "(3,c3)",
        "(5,c1)",
        "(6,c5)",
      ]);
    });

    test("C3 C7: SET NULL and SET DEFAULT of some columns of a foreign key leave the others", async ({ skip }) => {
      await using linked = await linkedCluster(2, { ...options });
      const { nodes, links } = linked;
      if (Number(await nodes.local.admin.value("select current_setting('server_version_num')")) < 150_000) {
        skip("PostgreSQL 15 brought the list of columns");
      }
      for (const node of nodes) {
        await app(
          node,
          `create table public.parent (tenant int, id int, primary key (tenant, id));
           create table public.nulled (id int primary key, tenant int not null, parent int, foreign key (tenant, parent) references public.parent on delete set null (parent));
           create table public.defaulted (id int primary key, tenant int not null, parent int default 0, foreign key (tenant, parent) references public.parent on delete set default (parent));
           create table public.kept (id int primary key, tenant int not null, parent int default 77, foreign key (tenant, parent) references public.parent on delete set default (parent));`,
        );
      }
      await links.migrate();
      await app(
        nodes.local,
        "insert into public.parent select t, i from generate_series(1, 2) t, generate_series(0, 4) i",
      );
      await links.sync();
      await app(
        nodes.external,
        "insert into public.nulled values (1, 1, 1), (2, 2, 1); insert into public.defaulted values (1, 1, 2), (2, 2, 2); insert into public.kept values (1, 1, 3)",
      );
      await app(nodes.local, "delete from public.parent where tenant = 1 and id in (1, 2, 3)");
      await links.sync();
      expect(await links.expectRest()).toBe(8 + 2 + 2 + 1);
      expect(await contentOf(nodes.local.superUrl, "public.nulled")).toEqual(["(1,,1)", "(2,1,2)"]);
      expect(await contentOf(nodes.local.superUrl, "public.defaulted")).toEqual(["(1,0,1)", "(2,2,2)"]);
      expect(await contentOf(nodes.local.superUrl, "public.kept")).toEqual(["(1,3,1)"]);
    });

    test("C3: tables whose names differ only in where a dot stands", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `create schema "a.b"; create schema a;
          create table "a.b".c (id int primary key, v text); create table a."b.c" (id int primary key, v text);`,
      });
      const { nodes, links } = linked;
      await app(nodes.local, `insert into "a.b".c values (1, 'one'); insert into a."b.c" values (2, 'two')`);
      await links.sync();
      await app(
        nodes.external,
        `update "a.b".c set v = 'ONE'; delete from a."b.c"; insert into a."b.c" values (3, 'three')`,
      );
      await links.sync();
      expect(await links.expectRest()).toBe(2);
      expect(await contentOf(nodes.local.superUrl, `"a.b".c`)).toEqual(["(1,ONE)"]);
      expect(await contentOf(nodes.local.superUrl, `a."b.c"`)).toEqual(["(3,three)"]);
      const history = (name: string) =>
        nodes.local.admin.query(`select op from tandem.history('${name}', '2') order by changed_at`);
      expect(await history(`a."b.c"`)).toEqual([{ op: "I" }, { op: "D" }]);
      expect(await history(`"a.b".c`)).toEqual([]);
    });

    test("C6: a unique value that a deletion of a set that fails sets free is taken at once, with what refers to the row", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `create table public.t (id int primary key, u text unique); create table public.c (id int primary key, t int references public.t);`,
      });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.t values (9, 'taken')");
      await links.sync();
      await app(nodes.external, "alter table public.t add constraint good check (u <> 'bad')");
      // Locks may be held for as long as a slow machine takes, so that one call does all.
      await nodes.external.admin.query(`do $$ begin
        execute replace(pg_get_functiondef('tandem.apply_batch(jsonb)'::regprocedure), '200 milliseconds', '1 minute'); end $$`);
      await app(
        nodes.local,
        "delete from public.t where id = 9; insert into public.t values (1, 'taken'), (2, 'bad'), (3, 'fine'); insert into public.c values (1, 1), (2, 2)",
      );
      await links.round("local", "external");
      expect(await links.parked("external")).toEqual(["c 2 waits", "t 2 refused"]);
      expect(await contentOf(nodes.external.superUrl, "public.t")).toEqual(["(1,taken)", "(3,fine)"]);
      await app(nodes.external, "alter table public.t drop constraint good");
      await links.retryParked();
      await links.sync();
      await links.retryParked();
      await links.sync();
      expect(await links.expectRest()).toBe(5);
    });

    test("C1 C3: what a SERIALIZABLE transaction writes after the clock stepped back arrives", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: "create table public.t (id int primary key, v text)",
      });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.t select i, 'first' from generate_series(1, 3) i");
      // as if the clock had been two minutes ahead
      await nodes.local.admin.query(`update tandem_log."public.t" set stamp = stamp + interval '2 minutes'`);
      await links.sync();
      const client = await openClient(nodes.local.url);
      await client.query(
        "begin isolation level serializable; update public.t set v = 'second' where id = 1; delete from public.t where id = 2; commit",
      );
      await client.query("begin isolation level serializable; insert into public.t values (2, 'third'); commit");
      await links.sync();
      expect(await contentOf(nodes.external.superUrl, "public.t")).toEqual(["(1,second)", "(2,third)", "(3,first)"]);
      expect([...(await links.conflicts("local")), ...(await links.conflicts("external"))]).toEqual([]);
      expect(await links.expectRest()).toBe(3);
    });
  });
}
