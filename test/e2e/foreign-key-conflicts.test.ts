import { describe, expect, test, vi } from "vitest";
import { brokenByQuery } from "../support/constraints.ts";
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
import { app, linkedCluster, ways } from "../support/link.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 240_000 });

describe.each(shapes)("conflicts of foreign keys in $way", ({ options, clause }) => {
  test("C7 C3 C5: a referenced value changes here, and is referred to there: ON UPDATE, each action", async () => {
    await using linked = await linkedCluster(2, {
      ...options,
      schema: forEach(
        (name, action) => `
            create table public.parent_${name} (id int primary key, code text unique);
            create table public.child_${name} (id int primary key,
              code text default 'default' references public.parent_${name} (code) on update ${action} ${clause});
            insert into public.parent_${name} values (1, 'default');`,
      ),
    });
    const { nodes, links } = linked;
    for (const [i, order] of orders.entries()) {
      const id = 100 + i * 100;
      const [old, changed] = [`old${id}`, `new${id}`];
      const referring = (name: string, child: number) =>
        `insert into public.child_${name} values (${child}, '${old}');`;
      await app(
        nodes.local,
        forEach(
          (name, action) => `insert into public.parent_${name} values (${id}, '${old}');
              ${forbids(action) ? "" : referring(name, id + 1)}`,
        ),
      );
      await links.sync();
      await app(
        nodes.local,
        forEach((name) => `update public.parent_${name} set code = '${changed}' where id = ${id};`),
      );
      await app(
        nodes.external,
        forEach((name) => referring(name, id + 2)),
      );
      await comeToRest(nodes, links, order);
      const after: Record<Action, string> = {
        "no action": `${old}: ${id + 2} ${old}`,
        restrict: `${old}: ${id + 2} ${old}`,
        cascade: `${changed}: ${id + 1} ${changed}, ${id + 2} ${changed}`,
        "set null": `${changed}: ${id + 1} null, ${id + 2} null`,
        "set default": `${changed}: ${id + 1} default, ${id + 2} default`,
      };
      for (const action of actions) {
        const name = suffix(action);
        const rows = await linesOf(
          nodes,
          `select p.code || ': ' || string_agg(concat_ws(' ', c.id, coalesce(c.code, 'null')), ', ' order by c.id)
             from public.parent_${name} p join public.child_${name} c on c.id between p.id and p.id + 99 where p.id = ${id} group by p.id`,
        );
        expect({ action, order, rows }).toEqual({ action, order, rows: [after[action]] });
        const lost = forbids(action) ? [`parent_${name}`, changed] : [`child_${name}`, old];
        expect(await keptImages(nodes, lost[0]!)).toContain(lost[1]);
      }
    }
  });

  test("C7 C3 C5: self-references: what is deleted here, at any depth, gets a child there: ON DELETE, each action", async () => {
    await using linked = await linkedCluster(2, {
      ...options,
      schema: forEach(
        (name, action) => `create table public.tree_${name} (id int primary key,
              up int default 1 references public.tree_${name} on delete ${action} ${clause});
            insert into public.tree_${name} values (1, null);`,
      ),
    });
    const { nodes, links } = linked;
    for (const [i, order] of orders.entries()) {
      const id = 100 + i * 100;
      const insert = (name: string, ...rows: [number, number | null][]) =>
        `insert into public.tree_${name} values ${rows.map(([key, up]) => `(${id + key}, ${up === null ? null : id + up})`)};`;
      await app(
        nodes.local,
        forEach((name) => insert(name, [2, null], [3, null], [30, 3], [4, 4], [5, null], [6, null])),
      );
      await links.sync();
      await app(
        nodes.local,
        forEach(
          (name) => `delete from public.tree_${name} where id in (${id + 2}, ${id + 30}, ${id + 4});
              delete from public.tree_${name} where id = ${id + 3};
              update public.tree_${name} set up = ${id + 6} where id = ${id + 5};`,
        ),
      );
      await app(
        nodes.external,
        forEach(
          (name) => `${insert(name, [20, 2], [21, 20], [22, 30], [23, 4])}
              update public.tree_${name} set up = ${id + 5} where id = ${id + 6};`,
        ),
      );
      await comeToRest(nodes, links, order);
      // a ring that both made together stays in each
      const stays = "2- 3- 4>4 5>6 6>5 20>2 21>20 22>30 23>4 30>3";
      const after: Record<Action, string> = {
        "no action": stays,
        restrict: stays,
        cascade: "5>6 6>5",
        "set null": "5>6 6>5 20- 21>20 22- 23-",
        "set default": "5>6 6>5 20>1 21>20 22>1 23>1",
      };
      for (const action of actions) {
        const rows = await linesOf(
          nodes,
          `select string_agg((id - ${id}) || coalesce('>' || case when up = 1 then 1 else up - ${id} end, '-'), ' ' order by id)
             from public.tree_${suffix(action)} where id > ${id}`,
        );
        expect({ action, order, rows }).toEqual({ action, order, rows: [after[action]] });
      }
      expect(await keptImages(nodes, "tree_cascade")).toContain(`${id + 22}`);
    }
  });

  test("C7 C3 C5: tables that refer to each other: a pair goes here, and is referred to there: each action", async () => {
    await using linked = await linkedCluster(2, {
      ...options,
      schema: forEach(
        (name, action) => `
            create table public.egg_${name} (id int primary key, hen int default 1);
            create table public.hen_${name} (id int primary key, egg int default 1 references public.egg_${name} on delete ${action} ${clause});
            alter table public.egg_${name} add foreign key (hen) references public.hen_${name} on delete ${action} ${clause};
            insert into public.egg_${name} values (1, null); insert into public.hen_${name} values (1, 1); update public.egg_${name} set hen = 1;`,
      ),
    });
    const { nodes, links } = linked;
    for (const [i, order] of orders.entries()) {
      const id = 100 + i * 100;
      await app(
        nodes.local,
        forEach(
          (
            name,
          ) => `begin; insert into public.egg_${name} values (${id}, null); insert into public.hen_${name} values (${id}, ${id});
              update public.egg_${name} set hen = ${id} where id = ${id}; commit;`,
        ),
      );
      await links.sync();
      await app(
        nodes.local,
        forEach(
          (
            name,
          ) => `begin; update public.egg_${name} set hen = null where id = ${id}; delete from public.hen_${name} where id = ${id};
              delete from public.egg_${name} where id = ${id}; commit;`,
        ),
      );
      await app(
        nodes.external,
        forEach(
          (
            name,
          ) => `begin; insert into public.egg_${name} values (${id + 20}, ${id}); insert into public.hen_${name} values (${id + 21}, ${id + 20});
              insert into public.hen_${name} values (${id + 22}, ${id}); commit;`,
        ),
      );
      await comeToRest(nodes, links, order);
      const stays = ["egg 0>0", "egg 20>0", "hen 0>0", "hen 21>20", "hen 22>0"];
      const after: Record<Action, string[]> = {
        "no action": stays,
        restrict: stays,
        cascade: [],
        "set null": ["egg 20-", "hen 21>20", "hen 22-"],
        "set default": ["egg 20>1", "hen 21>20", "hen 22>1"],
      };
      for (const action of actions) {
        const name = suffix(action);
        const one = (table: string, refers: string) =>
          `select '${table} ' || (id - ${id}) || coalesce('>' || case when ${refers} = 1 then 1 else ${refers} - ${id} end, '-') as line
             from public.${table}_${name} where id >= ${id}`;
        const rows = await linesOf(nodes, `${one("egg", "hen")} union all ${one("hen", "egg")} order by line`);
        expect({ action, order, rows }).toEqual({ action, order, rows: after[action] });
      }
      expect(await keptImages(nodes, "hen_cascade")).toContain(`${id + 21}`);
    }
  });
});

describe.each(ways)("values that rows refer to, in $way", ({ options }) => {
  const schema = `
    create table public.country (id int primary key, code text unique);
    create table public.city (id int primary key, country text references public.country (code) on update restrict);
    create table public.shop (id int primary key, country text references public.country (code) on update cascade);
    create table public.till (id int primary key, shop int references public.shop);`;

  test("C7: rows refer to the old value here and to the new one there: both stay, for a person, until one side gives way", async () => {
    await using linked = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = linked;
    await app(nodes.local, "insert into public.country values (1, 'old')");
    await links.sync();
    await app(
      nodes.local,
      "update public.country set code = 'new'; insert into public.city values (10, 'new'); insert into public.shop values (10, 'new')",
    );
    await app(nodes.external, "insert into public.city values (20, 'old'); insert into public.shop values (20, 'old')");
    for (let i = 0; i < 3; i++) {
      await links.retryParked();
      await links.sync();
    }
    for (const node of nodes) expect(await brokenByQuery(node)).toEqual([]);
    const waiting = [...(await links.parked("local")), ...(await links.parked("external"))];
    expect(waiting.filter((line) => line.startsWith("country"))).toEqual(["country 1 waits"]);
    await app(nodes.external, "delete from public.city where id = 20");
    await comeToRest(nodes, links, ["external", "local"]);
    expect(
      await linesOf(nodes, "select id, country from public.city union all select * from public.shop order by 1, 2"),
    ).toEqual(["10 new", "10 new", "20 new"]);
  });

  test("C3: what a single writer did with rows that refer to a value stands, however the batches are cut", async () => {
    await using linked = await linkedCluster(2, { ...options, schema, batchRows: 1 });
    const { nodes, links } = linked;
    await app(
      nodes.local,
      "insert into public.country values (1, 'a'), (2, 'b'); insert into public.city values (1, 'a'); insert into public.shop values (1, 'a'), (2, 'a'), (3, 'a')",
    );
    await links.sync();
    await app(nodes.local, "update public.city set country = 'b'");
    await app(nodes.local, "update public.shop set country = null where id = 1");
    await app(nodes.local, "update public.country set code = 'c' where id = 1");
    await app(nodes.local, "delete from public.shop where id = 2");
    await app(nodes.local, "update public.shop set country = 'b' where id = 3");
    await links.sync();
    await links.expectRest();
    expect([await links.conflicts("local"), await links.conflicts("external")]).toEqual([[], []]);
    expect(await linesOf(nodes, "select id, country from public.shop order by id")).toEqual(["1 ", "3 b"]);
  });

  test("C6 C7: a parent of a third node arrives later than its child", async () => {
    await using linked = await linkedCluster(3, { ...options, schema });
    const { nodes, links } = linked;
    await links.sync();
    await app(nodes.local, "insert into public.country values (1, 'a'), (2, 'b')");
    await links.catchUp("local", "external");
    await app(
      nodes.external,
      `insert into public.city values (1, 'a'); insert into public.shop values (2, 'b'), (3, null); insert into public.till values (3, 3);
       update public.shop set country = 'a' where id = 3`,
    );
    await links.catchUp("external", "n3");
    // a parent is asked for by its key; by another value it is not, and its child waits
    expect(await links.parked("n3")).toEqual(["city 1 waits", "shop 2 waits", "shop 3 waits", "till 3 waits"]);
    expect(await brokenByQuery(nodes.node("n3"))).toEqual([]);
    await app(nodes.local, "update public.country set code = 'c' where id = 2");
    await links.catchUp("local", "n3");
    await comeToRest(nodes, links, ["external", "local"]);
    expect(await linesOf(nodes, "select id, country from public.shop order by id")).toEqual(["2 c", "3 a"]);
  });
});
