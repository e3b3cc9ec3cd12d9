import { describe, expect, test, vi } from "vitest";
import { app, type Links, linkedCluster, ways } from "../support/link.ts";
import { contentOf } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const family = (action: string) => `
  create table public.parent (id int primary key, v text);
  create table public.child (id int primary key, parent int default 1 references public.parent ${action}, v text);`;

/** Rounds and retries until nothing moves: what was parked is tried again at once. */
async function settle(links: Links): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await links.retryParked();
    await links.sync();
  }
}

for (const { way, options } of ways) {
  describe(`foreign keys in ${way}`, () => {
    test("C7: rows need no order within a batch", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `
          create table public.z_parent (id int primary key, v text);
          create table public.a_child (id int primary key, p int references public.z_parent);
          create table public.a_grandchild (id int primary key, c int not null references public.a_child on delete cascade);
          create table public.tree (id int primary key, up int references public.tree);
          create table public.egg (id int primary key, hen int not null);
          create table public.hen (id int primary key, egg int not null references public.egg deferrable initially deferred);
          alter table public.egg add foreign key (hen) references public.hen deferrable initially deferred;`,
      });
      const { nodes, links } = linked;
      await links.sync();
      await app(
        nodes.local,
        `begin; insert into public.z_parent select i, 'v' from generate_series(1, 50) i; insert into public.a_child select i, i from generate_series(1, 50) i;
         insert into public.a_grandchild select i, i from generate_series(1, 50) i;
         insert into public.tree select i, null from generate_series(1, 50) i; update public.tree set up = 51 - id;
         insert into public.egg select i, i from generate_series(1, 20) i; insert into public.hen select i, 21 - i from generate_series(1, 20) i; commit;`,
      );
      expect((await links.sync())["local external"]).toMatchObject({ staged: 240, applied: 240, parked: 0 });
      expect(await links.expectRest()).toBe(240);
      await app(
        nodes.external,
        `begin; delete from public.a_grandchild where id <= 10; update public.a_child set p = null where id <= 10;
         delete from public.z_parent where id <= 10;
         update public.tree set up = id + 1 where id < 50; update public.tree set up = 1 where id = 50;
         delete from public.hen where id <= 5; delete from public.egg where hen <= 5; update public.hen set egg = 20 where egg <= 5; delete from public.egg where id <= 5;
         update public.egg set hen = 20 where hen <= 5; commit;`,
      );
      await app(
        nodes.external,
        `delete from public.a_grandchild where id = 11; update public.a_child set p = 12 where id between 11 and 20;
         begin; insert into public.z_parent values (1000, 'new'); update public.a_child set p = 1000 where id = 30; delete from public.z_parent where id = 30; commit;`,
      );
      await links.sync();
      await links.expectRest();
    });

    test("C7: actions that the source carried out arrive as its changes", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `${family("on delete cascade on update cascade")}
          create table public.note (id int primary key, child int references public.child on delete set null on update cascade);
          create table public.fall (id int primary key, child int default 1 references public.child on delete set default on update cascade);`,
      });
      const { nodes, links } = linked;
      await app(
        nodes.local,
        `insert into public.parent select i, 'v' from generate_series(1, 20) i; insert into public.child select i, i, 'c' from generate_series(1, 20) i;
         insert into public.note select i, i from generate_series(1, 20) i; insert into public.fall select i, i from generate_series(1, 20) i;`,
      );
      await links.sync();
      await app(
        nodes.local,
        "delete from public.parent where id in (5, 6, 7); update public.parent set id = id + 100 where id in (10, 11)",
      );
      await links.sync();
      expect(await links.conflicts("external")).toEqual([]);
      await links.expectRest();
      await app(
        nodes.external,
        "update public.parent set id = 300 where id = 12; update public.child set id = 400 where id = 13; delete from public.parent where id = 110",
      );
      await links.sync();
      expect(await links.conflicts("local")).toEqual([]);
      await links.expectRest();
    });

    test.each(["cascade", "set null", "set default", "restrict", "no action"])(
      "C7 C3: a child written here, its parent deleted there: %s",
      async (action) => {
        for (const first of ["local", "external"] as const) {
          await using linked = await linkedCluster(2, { ...options, schema: family(`on delete ${action}`) });
          const { nodes, links } = linked;
          await app(nodes.local, "insert into public.parent values (1, 'default'), (2, 'goes'), (3, 'stays')");
          await app(nodes.local, "insert into public.child values (30, 3, 'old')");
          await links.sync();
          await app(nodes.local, "delete from public.parent where id = 2");
          await app(nodes.external, "insert into public.child values (20, 2, 'new'), (21, 3, 'other')");
          const other = first === "local" ? "external" : "local";
          await links.catchUp(first, other);
          await links.catchUp(other, first);
          await settle(links);
          await links.expectRest();
          const children = await contentOf(nodes.local.superUrl, "public.child");
          const parents = await contentOf(nodes.local.superUrl, "public.parent");
          const expected: Record<string, [string[], number]> = {
            cascade: [["(21,3,other)", "(30,3,old)"], 2],
            "set null": [["(20,,new)", "(21,3,other)", "(30,3,old)"], 2],
            "set default": [["(20,1,new)", "(21,3,other)", "(30,3,old)"], 2],
            restrict: [["(20,2,new)", "(21,3,other)", "(30,3,old)"], 3],
            "no action": [["(20,2,new)", "(21,3,other)", "(30,3,old)"], 3],
          };
          expect({ first, children, parents: parents.length }).toEqual({
            first,
            children: expected[action]?.[0],
            parents: expected[action]?.[1],
          });
          // C5: the image of a child that went or was changed is kept
          if (action === "cascade" || action === "set null") {
            const images = await nodes.external.admin.query(
              "select local_image from tandem.conflicts where \"table\" = 'child'",
            );
            const there = await nodes.local.admin.query("select incoming_image from tandem.conflicts");
            expect(JSON.stringify([images, there])).toContain("new");
          }
        }
      },
    );

    test("C7: a row there that refers to a row whose key was changed here follows or keeps it", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: family("on update cascade") });
      const { nodes, links } = linked;
      await app(
        nodes.local,
        "insert into public.parent values (1, 'a'), (2, 'b'); insert into public.child values (10, 1, 'x'), (20, 2, 'y')",
      );
      await links.sync();
      await app(nodes.local, "update public.parent set id = 5 where id = 1");
      await app(
        nodes.external,
        "update public.child set v = 'written' where id = 10; update public.child set v = 'also' where id = 20",
      );
      await links.sync();
      await settle(links);
      await links.expectRest();
    });

    test("C6 C7: a child without its parent waits, and goes when the parent comes", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: family("") });
      const { nodes, links } = linked;
      await links.sync();
      await app(nodes.external, "alter table public.parent add constraint named check (v <> 'bad')");
      await app(
        nodes.local,
        `insert into public.parent select i, 'v' from generate_series(1, 10) i; insert into public.parent values (99, 'bad');
         insert into public.child select i, i, 'c' from generate_series(1, 10) i; insert into public.child values (990, 99, 'waits'), (991, 99, 'waits too')`,
      );
      const done = await links.sync();
      expect(done["local external"]?.applied).toBe(20);
      expect(await links.parked("external")).toEqual(["child 990 waits", "child 991 waits", "parent 99 refused"]);
      await app(nodes.local, "update public.parent set v = 'good' where id = 99");
      await links.sync();
      await settle(links);
      expect(await links.parked("external")).toEqual([]);
      expect(await links.expectRest()).toBe(23);
    });

    test("C7: a parent whose deletion a local child forbids is kept, with what it refers to itself", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `create table public.a (id int primary key); create table public.b (id int primary key, a int references public.a);
          create table public.c (id int primary key, b int references public.b);`,
      });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.a values (1), (2); insert into public.b values (1, 1), (2, 2)");
      await links.sync();
      await app(nodes.local, "delete from public.b; delete from public.a");
      await app(nodes.external, "insert into public.c values (1, 1)");
      await links.sync();
      await settle(links);
      await links.expectRest();
      expect(await contentOf(nodes.local.superUrl, "public.a")).toEqual(["(1)"]);
      expect(await contentOf(nodes.local.superUrl, "public.b")).toEqual(["(1,1)"]);
      expect(await contentOf(nodes.local.superUrl, "public.c")).toEqual(["(1,1)"]);
    });
  });
}
