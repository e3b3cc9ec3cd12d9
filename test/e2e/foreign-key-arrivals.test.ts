import { describe, expect, test, vi } from "vitest";
import {
  type Action,
  actions,
  comeToRest,
  forbids,
  forEach,
  keptImages,
  linesOf,
  orders,
  shapes,
  suffix,
} from "../support/foreign-key-actions.ts";
import { app, linkedCluster } from "../support/link.ts";
import { contentOf } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 240_000 });

describe.each(shapes)(
  "rows that a foreign key's action takes as soon as they have come, in $way",
  ({ options, clause }) => {
    test("C7 C3 C5: a row comes together with a deletion that takes what it refers to: ON DELETE, each action", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: forEach(
          (name, action) => `
            create table public.top_${name} (id int primary key);
            create table public.mid_${name} (id int primary key, top int references public.top_${name} on delete cascade ${clause});
            create table public.low_${name} (id int primary key, note text,
              mid int default 1 references public.mid_${name} on delete ${action} ${clause});
            create table public.leaf_${name} (id int primary key, low int references public.low_${name} on delete cascade ${clause});
            insert into public.top_${name} values (1); insert into public.mid_${name} values (1, 1);`,
        ),
      });
      const { nodes, links } = linked;
      for (const [i, order] of orders.entries()) {
        const id = 100 + i * 100;
        await app(
          nodes.local,
          forEach(
            (name) => `insert into public.top_${name} values (${id}), (${id + 1});
              insert into public.mid_${name} values (${id}, ${id + 1});
              insert into public.low_${name} values (${id}, 'before', ${id}), (${id + 4}, 'apart', ${id});`,
          ),
        );
        await links.sync();
        await app(
          nodes.local,
          forEach(
            (name) => `delete from public.top_${name} where id = ${id};
              update public.low_${name} set note = 'changed${id}' where id = ${id};
              insert into public.low_${name} values (${id + 1}, 'new${id}', ${id});
              insert into public.leaf_${name} values (${id + 2}, ${id + 1});`,
          ),
        );
        await app(
          nodes.external,
          forEach((name) => `update public.mid_${name} set top = ${id} where id = ${id};`),
        );
        await comeToRest(nodes, links, order);
        const stays = `top ${id}, top ${id + 1}, mid ${id} ${id}, low ${id} ${id}, low ${id + 1} ${id}, low ${id + 4} ${id}, leaf ${id + 2}`;
        const moved = (to: string) =>
          `top ${id + 1}, low ${id} ${to}, low ${id + 1} ${to}, low ${id + 4} ${to}, leaf ${id + 2}`;
        const after: Record<Action, string> = {
          "no action": stays,
          restrict: stays,
          cascade: `top ${id + 1}`,
          "set null": moved("null"),
          "set default": moved("1"),
        };
        for (const action of actions) {
          const name = suffix(action);
          const rows = await linesOf(
            nodes,
            `select string_agg(line, ', ' order by i, id) from (
               select 1 as i, id, 'top ' || id as line from public.top_${name}
               union all select 2, id, 'mid ' || id || ' ' || top from public.mid_${name}
               union all select 3, id, concat_ws(' ', 'low', id, coalesce(mid::text, 'null')) from public.low_${name}
               union all select 4, id, 'leaf ' || id from public.leaf_${name}) x where id between ${id} and ${id + 99}`,
          );
          expect({ action, order, rows }).toEqual({ action, order, rows: [after[action]] });
          if (forbids(action)) continue;
          const kept = await keptImages(nodes, `low_${name}`);
          for (const note of [`changed${id}`, `new${id}`, "apart"])
            expect({ action, order, kept }).toMatchObject({ kept: expect.stringContaining(note) });
        }
        expect(await keptImages(nodes, "leaf_cascade")).toContain(`${id + 2}`);
      }
    });

    test("C7 C3 C5: a row comes together with a change that moves what it refers to: ON UPDATE, each action", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: forEach(
          (name, action) => `
            create table public.top_${name} (id int primary key, code text unique);
            create table public.mid_${name} (id int primary key, code text unique references public.top_${name} (code) on update cascade ${clause});
            create table public.low_${name} (id int primary key, note text,
              code text default 'default' references public.mid_${name} (code) on update ${action} ${clause});
            insert into public.top_${name} values (1, 'default'); insert into public.mid_${name} values (1, 'default');`,
        ),
      });
      const { nodes, links } = linked;
      for (const [i, order] of orders.entries()) {
        const id = 100 + i * 100;
        await app(
          nodes.local,
          forEach(
            (name) => `insert into public.top_${name} values (${id}, 'old${id}'), (${id + 1}, 'other${id}');
              insert into public.mid_${name} values (${id}, 'other${id}');
              insert into public.low_${name} values (${id}, 'before', 'other${id}');`,
          ),
        );
        await links.sync();
        await app(
          nodes.local,
          forEach(
            (name) => `update public.top_${name} set code = 'new${id}' where id = ${id};
              update public.low_${name} set note = 'changed${id}' where id = ${id};
              insert into public.low_${name} values (${id + 1}, 'added${id}', 'other${id}');`,
          ),
        );
        await app(
          nodes.external,
          forEach(
            (name) =>
              `delete from public.low_${name} where id = ${id}; update public.mid_${name} set code = 'old${id}' where id = ${id};`,
          ),
        );
        await comeToRest(nodes, links, order);
        for (const action of actions) {
          const name = suffix(action);
          const rows = await linesOf(
            nodes,
            `select string_agg(line, ', ' order by i, id) from (
               select 1 as i, id, 'top ' || id || ' ' || code as line from public.top_${name}
               union all select 2, id, 'mid ' || id || ' ' || code from public.mid_${name}
               union all select 3, id, concat_ws(' ', 'low', id, note, coalesce(code, 'null')) from public.low_${name}) x where id between ${id} and ${id + 99}`,
          );
          const stays = `top ${id} new${id}, top ${id + 1} other${id}, mid ${id} other${id}, low ${id + 1} added${id} other${id}`;
          const moved = (to: string) =>
            `top ${id} new${id}, top ${id + 1} other${id}, mid ${id} new${id}, low ${id + 1} added${id} ${to}`;
          const after: Record<Action, string> = {
            "no action": stays,
            restrict: stays,
            cascade: moved(`new${id}`),
            "set null": moved("null"),
            "set default": moved("default"),
          };
          expect({ action, order, rows }).toEqual({ action, order, rows: [after[action]] });
          const lost = forbids(action)
            ? [`mid_${name}`, `code = 'old${id}'`]
            : [`low_${name}`, `note = 'added${id}', code = 'other${id}'`];
          expect(await keptImages(nodes, lost[0]!)).toContain(lost[1]);
          expect(await keptImages(nodes, `low_${name}`)).toContain(`changed${id}`);
        }
      }
    });

    test("C3 C5: a key is written here as it is there, equal but not identical, while rows refer to it: ON UPDATE, each action", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: forEach(
          (name, action) => `
            create table public.parent_${name} (id numeric primary key, note text, up numeric references public.parent_${name} on update ${action} ${clause});
            create table public.child_${name} (id int primary key, parent numeric default 1 references public.parent_${name} on update ${action} ${clause});
            insert into public.parent_${name} values (1, null, 1);`,
        ),
      });
      const { nodes, links } = linked;
      await links.sync();
      for (const [i, order] of orders.entries()) {
        const id = 100 + i * 100;
        const write = (key: string, note: string, child: number) =>
          `begin; ${forEach(
            (
              name,
            ) => `insert into public.parent_${name} values (${key}, '${note}', ${key}), (${child}, 'of ${note}', ${key});
              insert into public.child_${name} values (${child}, ${key});`,
          )} commit;`;
        await app(nodes.external, write(`${id}.50`, "older", id + 1));
        await app(nodes.local, write(`${id}.5`, "newer", id + 2));
        await comeToRest(nodes, links, order);
        for (const action of actions) {
          const name = suffix(action);
          const rows = await linesOf(
            nodes,
            `select p.id, p.note, p.up = p.id, (select string_agg(c.id::text, ' ' order by c.id) from public.child_${name} c where c.parent = p.id),
               (select count(*) from public.parent_${name} o where o.up = p.id) from public.parent_${name} p where p.id = ${id}.5`,
          );
          expect({ action, order, rows }).toEqual({
            action,
            order,
            rows: [`${id}.5 newer t ${id + 1} ${id + 2} 3`],
          });
        }
      }
      expect(await nodes.external.admin.query("select * from tandem.conflict where kind like 'referring/%'")).toEqual(
        [],
      );
      // What let go of its parent meanwhile was not changed.
      expect(
        await nodes.external.admin.query(
          `select k1, op from tandem_log."public.child_set_null" where received_from is null order by k1`,
        ),
      ).toEqual([
        { k1: "101", op: "I" },
        { k1: "201", op: "I" },
      ]);
    });

    test.each(orders)("C2 C7: a default goes together with what it would stand in for, %s first", async (...order) => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `create table public.parent (id numeric primary key, note text);
          create table public.child (id int primary key, note text, parent numeric default 1 references public.parent on delete set default ${clause});
          insert into public.parent values (1.00, 'default'), (2, 'other'), (3, 'third');
          insert into public.child values (7, 'old', 2);`,
      });
      const { nodes, links } = linked;
      await links.sync();
      await app(
        nodes.external,
        "begin; delete from child; delete from parent; insert into parent values (2.5, 'new'); commit",
      );
      await app(nodes.local, "update child set note = 'newer'");
      await comeToRest(nodes, links, order);
      for (const { superUrl } of nodes) {
        expect(await contentOf(superUrl, "public.child")).toEqual(["(7,newer,1)"]);
        expect(await contentOf(superUrl, "public.parent")).toEqual(["(1.00,default)", "(2.5,new)"]);
      }
    });

    test("C6: where what refers to such a key may not be null, an ordinary owner's row waits for a person, and all else flows", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `create table public.parent (id numeric primary key, note text);
          create table public.child (id int primary key, parent numeric not null default 1 references public.parent on update set default ${clause});
          insert into public.parent values (1, null);`,
      });
      const { nodes, links } = linked;
      await links.sync();
      await app(
        nodes.external,
        "insert into public.parent values (2.50, 'older'); insert into public.child values (1, 2.50);",
      );
      await app(nodes.local, "insert into public.parent values (2.5, 'newer'), (3, 'another');");
      await links.catchUp("local", "external");
      await links.retryParked();
      const parked = await nodes.external.admin.query("select key, reason from tandem.parked");
      const reason =
        "its key is written otherwise here, and rows that refer to it may not be null meanwhile (child_parent_fkey)";
      expect(parked).toEqual(options.owner ? [{ key: "2.5", reason }] : []);
      expect(await nodes.external.admin.query("select id, note from public.parent where id > 1 order by id")).toEqual([
        options.owner ? { id: "2.50", note: "older" } : { id: "2.5", note: "newer" },
        { id: "3", note: "another" },
      ]);
      expect(await nodes.external.admin.value("select parent from public.child")).toBe("2.50");
    });

    if (options.owner)
      test("C3 C5: what a foreign key that only the target has makes of a row as soon as it has come is a change of the target's", async () => {
        await using linked = await linkedCluster(2, {
          ...options,
          schema:
            "create table public.parent (id int primary key); create table public.child (id int primary key, parent int);",
        });
        const { nodes, links } = linked;
        await app(
          nodes.external,
          `alter table public.child add foreign key (parent) references public.parent on delete set null ${clause}`,
        );
        await app(nodes.local, "insert into public.parent values (1), (2)");
        await links.sync();
        await app(
          nodes.local,
          "begin; delete from public.parent where id = 1; insert into public.child values (1, 1), (2, 2); commit;",
        );
        await links.sync();
        await links.expectRest();
        expect(await linesOf(nodes, "select * from public.child order by id")).toEqual(["1 ", "2 2"]);
        expect(await keptImages(nodes, "child")).toBe("id = '1', parent = '1'");
      });

    test("C5: a row loses to a newer one that goes with what that refers to, all changes with one stamp: both images are kept", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `create table public.parent (id int primary key);
          create table public.child (id int primary key, note text, parent int references public.parent on delete cascade ${clause});`,
      });
      const { nodes, links } = linked;
      for (const [i, order] of orders.entries()) {
        const id = 100 + i * 100;
        await app(nodes.local, `insert into public.parent values (${id}), (${id + 1})`);
        await links.sync();
        // As where the clock is behind: whatever is written there next bears the stamp after the floor.
        await nodes.local.admin.query(
          `select setval('tandem_log."floor external"', tandem.to_us(clock_timestamp() + interval '${100 * (i + 1)} seconds'))`,
        );
        await app(nodes.local, `insert into public.parent values (${id + 2})`);
        await links.catchUp("local", "external");
        await app(
          nodes.local,
          `delete from public.parent where id = ${id}; insert into public.child values (${id}, 'of local ${id}', ${id + 1});`,
        );
        await app(nodes.external, `insert into public.child values (${id}, 'of external ${id}', ${id})`);
        await comeToRest(nodes, links, order);

        expect(await linesOf(nodes, `select * from public.child where id = ${id}`)).toEqual([]);
        const kept = await keptImages(nodes, "child");
        for (const node of ["local", "external"])
          expect({ order, kept }).toMatchObject({ kept: expect.stringContaining(`of ${node} ${id}`) });
        const ids = await nodes.external.admin.query("select id from tandem.conflicts");
        expect(new Set(ids.map((row) => row.id)).size, "names of conflicts").toBe(ids.length);
      }
    });
  },
);
