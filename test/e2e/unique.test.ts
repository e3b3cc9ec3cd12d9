import { describe, expect, test } from "vitest";
import { app, type Links, linkedCluster, ways } from "../support/link.ts";
import { contentOf, type TestNode } from "../support/pg.ts";

const customers = `
  create table public.customer (id int primary key, email text not null unique, note text);
  create table public.visit (id int primary key, customer int not null references public.customer);
  create table public.shelf (id int primary key, room int, place int, active bool not null default true, unique (room, place));
  create unique index on public.shelf (lower(room::text || 'x')) where not active;`;

async function settle(links: Links): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await links.retryParked();
    await links.sync();
  }
}

const conflicts = async (nodes: Iterable<TestNode>, columns: string) => {
  const found = [];
  for (const node of nodes)
    found.push(...(await node.admin.query(`select ${columns} from tandem.conflict order by 1`)));
  return found;
};

for (const { way, options } of ways) {
  describe(`two rows that cannot both exist, in ${way}`, () => {
    test.each(["local first", "external first"])(
      "C3 C5: the newer stays on both sides, the older one's image is kept: %s",
      async (order) => {
        await using linked = await linkedCluster(2, { ...options, schema: customers });
        const { nodes, links } = linked;
        await links.sync();
        const [first, second] = order === "local first" ? [nodes.local, nodes.external] : [nodes.external, nodes.local];
        await app(first, "insert into public.customer values (1, 'ana@example.org', 'older')");
        await app(second, "insert into public.customer values (2, 'ana@example.org', 'newer')");
        await settle(links);
        await links.expectRest();
        expect(await contentOf(nodes.local.superUrl, "public.customer")).toEqual(["(ana@example.org,2,newer)"]);
        const kept = await conflicts(
          nodes,
          "kind, key::text as key, coalesce(local_values, incoming_values)::text as image",
        );
        expect(kept.filter((row) => row.kind === "unique" && row.key === "{1}")).toEqual([
          { kind: "unique", key: "{1}", image: "{1,ana@example.org,older}" },
        ]);
      },
    );

    test("C3: a lost change of a value does not take the row away", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: customers });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.customer values (1, 'one', 'n'), (2, 'two', 'n')");
      await links.sync();
      await app(nodes.local, "update public.customer set email = 'three' where id = 1");
      await app(nodes.external, "update public.customer set email = 'three' where id = 2");
      await settle(links);
      await links.expectRest();
      // Customer 1 keeps the address it had before: what it lost is the change, and that is kept.
      expect(await contentOf(nodes.local.superUrl, "public.customer")).toEqual(["(one,1,n)", "(three,2,n)"]);
      expect((await conflicts(nodes, "kind")).length).toBeGreaterThan(0);
    });

    test("C3 C7: a holder that others refer to stays; the other side gives way", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: customers });
      const { nodes, links } = linked;
      await links.sync();
      await app(
        nodes.local,
        "insert into public.customer values (1, 'ana', 'with a visit'); insert into public.visit values (10, 1)",
      );
      await app(nodes.external, "insert into public.customer values (2, 'ana', 'newer, alone')");
      await settle(links);
      await links.expectRest();
      expect(await contentOf(nodes.external.superUrl, "public.customer")).toEqual(['(ana,1,"with a visit")']);
      expect(await contentOf(nodes.external.superUrl, "public.visit")).toEqual(["(1,10)"]);
    });

    test("C3: values swapped and shifted between rows are no conflict", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: customers });
      const { nodes, links } = linked;
      await app(
        nodes.local,
        `insert into public.customer select i, 'mail' || i, null from generate_series(1, 6) i;
        insert into public.shelf (id, room, place) select i, 1, i from generate_series(1, 6) i`,
      );
      await links.sync();
      await app(
        nodes.local,
        `begin; update public.customer set email = 'x' where id = 1; update public.customer set email = 'mail1' where id = 2;
        update public.customer set email = 'mail2' where id = 1; commit;
        begin; update public.shelf set place = place + 100; update public.shelf set place = place - 99; commit`,
      );
      await links.sync();
      await links.expectRest();
      expect(await conflicts(nodes, "kind")).toEqual([]);
    });

    test("C3: composite, partial and expression indexes, several at once", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: customers });
      const { nodes, links } = linked;
      await links.sync();
      await app(nodes.local, "insert into public.shelf values (1, 1, 1, true), (2, 2, 2, false), (3, 3, 3, true)");
      await app(
        nodes.external,
        "insert into public.shelf values (11, 1, 1, true), (12, 2, 5, false), (13, 3, 3, false), (14, null, 1, true), (15, null, 1, true)",
      );
      await settle(links);
      await links.expectRest();
      expect((await contentOf(nodes.local.superUrl, "public.shelf")).length).toBe(5);
    });
  });
}

test("C3 C8: three nodes agree on the same loser", async () => {
  await using linked = await linkedCluster(3, { schema: customers });
  const { nodes, links } = linked;
  await links.sync();
  for (const [i, node] of [...nodes].entries())
    await app(node, `insert into public.customer values (${i}, 'same', '${node.name}')`);
  await settle(links);
  await links.expectRest();
  expect(await contentOf(nodes.local.superUrl, "public.customer")).toEqual(["(same,2,n3)"]);
});

test("C3 C8: a displaced row's tombstone reaches the home whose name it bears", async () => {
  await using linked = await linkedCluster(3, {
    schema: customers,
    pairs: [
      ["local", "external"],
      ["external", "n3"],
    ],
  });
  const { nodes, links } = linked;
  await links.sync();
  await app(nodes.local, "insert into public.customer values (1, 'x', 'older')");
  await links.catchUp("local", "external");
  await app(nodes.node("n3"), "insert into public.customer values (2, 'x', 'newer')");
  await links.catchUp("n3", "external");
  // By the time the home hears of it nothing there stands in the way of its row any more: only the tombstone removes it.
  await app(nodes.external, "update public.customer set email = 'y' where id = 2");
  await settle(links);
  await links.expectRest();
  expect(await contentOf(nodes.local.superUrl, "public.customer")).toEqual(["(y,2,newer)"]);
});

test("C3 C5 C8: a displaced row that was there before Tandem goes at its home too, though nothing there claims its value", async () => {
  await using linked = await linkedCluster(3, {
    pairs: [
      ["local", "external"],
      ["external", "n3"],
    ],
  });
  const { nodes, links } = linked;
  for (const node of nodes) await app(node, customers);
  // Equal on both sides, so that neither node notes a version of it.
  for (const node of [nodes.local, nodes.external])
    await app(node, "insert into public.customer values (1, 'x', 'undated')");
  await links.migrate();
  await links.catchUp("local", "external");
  await links.catchUp("external", "local");
  await app(nodes.node("n3"), "insert into public.customer values (2, 'x', 'newer')");
  await links.catchUp("n3", "external");
  await app(nodes.external, "update public.customer set email = 'y' where id = 2");
  await settle(links);
  await links.expectRest();
  expect(await contentOf(nodes.local.superUrl, "public.customer")).toEqual(["(y,2,newer)"]);
});
