import { describe, expect, test, vi } from "vitest";
import { brokenByQuery } from "../support/constraints.ts";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

/** How the foreign key acts, who hears of the other first, and what is left: the one who hears later acts on what it has. */
const crossings = [
  ["cascade", "local", "external", []],
  ["cascade", "external", "local", []],
  ["set null", "local", "external", ['(1,"Ana here",)', "(2,Rui,)"]],
  ["set null", "external", "local", ["(1,Ana,)", '(2,"Rui there",)']],
  ["no action", "local", "external", ['(1,"Ana here",2)', '(2,"Rui there",1)']],
] as const;

describe.each(ways)("what becomes of one row decides about others, in $way", ({ options }) => {
  test("C3 C7: a rejected value forbids a deletion, which rejects another value, all in one round", async () => {
    await using linked = await linkedCluster(2, {
      ...options,
      schema: `create table public.team (id int primary key, name text unique);
        create table public.player (id int primary key, shirt text unique, team int not null references public.team);`,
    });
    const { nodes, links } = linked;
    await app(nodes.local, "insert into team values (1, 'red'), (2, 'blue'); insert into player values (1, 'ten', 1)");
    await links.sync();
    await app(
      nodes.local,
      `begin; update player set shirt = 'nine', team = 2; delete from team where id = 1; insert into team values (3, 'red'); commit`,
    );
    await app(nodes.external, "insert into player values (2, 'nine', 2)");
    await links.round("local", "external");
    // The newer holder of the shirt keeps player 1 as it was, that one team 1, and that one the name that team 3 claims.
    expect(await links.parked("external")).toEqual(["team 3 waits"]);
    expect(await contentOf(nodes.external.superUrl, "public.team")).toEqual(["(1,red)", "(2,blue)"]);
    await links.sync();
    await links.retryParked();
    await links.sync();
    await links.expectRest();
    expect(await contentOf(nodes.local.superUrl, "public.team")).toEqual(["(1,red)", "(2,blue)"]);
    expect(await contentOf(nodes.local.superUrl, "public.player")).toEqual(["(1,ten,1)", "(2,nine,2)"]);
    for (const node of nodes) expect(await brokenByQuery(node)).toEqual([]);
  });

  test.each(["restrict", "cascade"])(
    "C3 C7: a row whose new parent waits counts with its old one, which then waits to be deleted: ON DELETE %s",
    async (action) => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `create table public.team (id int primary key);
          create table public.player (id int primary key, team int references public.team on delete ${action});`,
      });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into team values (1); insert into player values (1, 1)");
      await links.sync();
      await app(nodes.local, "alter table team add column motto text");
      await app(
        nodes.local,
        "begin; insert into team values (2, 'no place'); update player set team = 2; delete from team where id = 1; commit",
      );
      await links.sync();
      expect(await links.parked("external")).toEqual(["player 1 waits", "team 1 waits", "team 2 unplaced"]);
      expect(await contentOf(nodes.external.superUrl, "public.player")).toEqual(["(1,1)"]);
      await app(nodes.external, "alter table team add column motto text");
      await links.retryParked();
      await links.sync();
      await links.expectRest();
      // One writer: all is as it left it, and nothing of it was a conflict.
      expect(await contentOf(nodes.local.superUrl, "public.team")).toEqual(['(2,"no place")']);
      expect(await contentOf(nodes.local.superUrl, "public.player")).toEqual(["(1,2)"]);
      for (const node of nodes) expect(await links.conflicts(node.name)).toEqual([]);
    },
  );

  test.each(crossings)(
    "C3 C5 C7: two rows, each merged into the other on one side: their deletions do not wait for each other: ON DELETE %s, %s first",
    async (action, first, other, left) => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `create table public.team (id int primary key);
          create table public.player (id int primary key, team int references public.team on delete ${action}, name text);`,
      });
      const { nodes, links } = linked;
      const merge = (from: number, into: number, word: string) =>
        `begin; update player set team = ${into}, name = name || ' ${word}' where team = ${from};
         delete from team where id = ${from}; commit`;
      await app(
        nodes.local,
        "insert into team values (1), (2); insert into player values (1, 1, 'Ana'), (2, 2, 'Rui')",
      );
      await links.sync();
      await app(nodes.local, merge(1, 2, "here"));
      await app(nodes.external, merge(2, 1, "there"));
      for (let i = 0; i < 3; i++) {
        await links.catchUp(first, other);
        await links.catchUp(other, first);
        await links.retryParked();
      }
      await links.sync();
      await links.expectRest();
      const teams = action === "no action" ? ["(1)", "(2)"] : [];
      expect(await contentOf(nodes.local.superUrl, "public.team")).toEqual(teams);
      expect(await contentOf(nodes.local.superUrl, "public.player")).toEqual(left);
      for (const node of nodes) expect(await brokenByQuery(node)).toEqual([]);
      // Whatever was written is there, or kept.
      const images = "select concat(local_image, incoming_image) as image from tandem.conflicts";
      const kept = await Promise.all(nodes.nodes.map(({ admin }) => admin.query(images)));
      const found = [...left, ...kept.flat().map(({ image }) => image)].join("\n");
      for (const name of ["Ana here", "Rui there"]) expect(found).toContain(name);
    },
  );
});
