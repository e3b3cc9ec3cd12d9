import { describe, expect, test, vi } from "vitest";
import { brokenByQuery } from "../support/constraints.ts";
import { app, type Links, linkedCluster, ways } from "../support/link.ts";
import { type Cluster, contentOf, testMajor } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const schema = `
  create table public.member (id int primary key, mail text unique, phone text unique, card text);
  create table public.seat (id int primary key, room int, place int, unique (room, place) deferrable initially deferred);
  create table public.loan (id int primary key, member int not null references public.member);`;

async function settle(nodes: Cluster, links: Links): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await links.retryParked();
    await links.sync();
  }
  await links.expectRest();
  for (const node of nodes) expect(await brokenByQuery(node)).toEqual([]);
}

describe.each(ways)("unique values in $way", ({ options }) => {
  test("C3 C7: values of an expression that takes the key as an integer, and nothing longer", async () => {
    const table = `create table public.e (id int primary key, code text); create unique index on public.e (lpad(code, id % 7 + 1));`;
    await using linked = await linkedCluster(2, { ...options, schema: table });
    const { nodes, links } = linked;
    // A first copy, a batch of the usual way, and a claim: 21 and 28 both give a single z.
    await app(nodes.local, "insert into public.e select i, chr(64 + i) from generate_series(7, 13) i");
    await links.sync();
    await app(nodes.local, "insert into public.e select i, chr(96 + i) from generate_series(14, 20) i");
    await links.sync();
    await links.expectRest();
    await app(nodes.local, "insert into public.e values (21, 'z')");
    await app(nodes.external, "insert into public.e values (28, 'zz')");
    await settle(nodes, links);
    for (const node of nodes) {
      const rows = await node.admin.query("select id, code from public.e where id > 20");
      expect(rows).toEqual([{ id: "28", code: "zz" }]);
    }
  });

  test("C3 C7: one row displaces the holders of several of its values; where one of them is newer, none", async () => {
    await using linked = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = linked;
    await links.sync();
    await app(nodes.local, "insert into member values (1, 'a', '1'), (2, 'b', '2'), (5, 'e', '5')");
    await app(nodes.external, "insert into member values (3, 'a', '2'), (4, 'e', '6')");
    await app(nodes.local, "insert into member values (6, 'f', '6')");
    await settle(nodes, links);
    // 3 is newer than 1 and 2; 4 is newer than 5, but older than 6, and so goes itself; whether 5 went before is a matter of order.
    const members = await contentOf(nodes.local.superUrl, "public.member");
    expect(members).toEqual(expect.arrayContaining(["(,3,a,2)", "(,6,f,6)"]));
    expect(members.filter((row) => /^\(,[124],/.test(row))).toEqual([]);
  });

  test("C3 C7: two rows of one statement, claimed by two rows of another, do not vanish together", async () => {
    await using linked = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = linked;
    await links.sync();
    await app(nodes.local, "insert into member values (1, 'a', '1'), (2, 'b', '2')");
    await app(nodes.external, "insert into member values (11, 'a', '2'), (12, 'b', '1')");
    await settle(nodes, links);
    expect(await contentOf(nodes.local.superUrl, "public.member")).toEqual(["(,11,a,2)", "(,12,b,1)"]);
  });

  test("C3 C7: values of a deferrable constraint, swapped on one side and claimed on the other", async () => {
    await using linked = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = linked;
    await app(nodes.local, "insert into seat select i, 1, i from generate_series(1, 6) i");
    await links.sync();
    await app(nodes.local, "begin; update seat set place = 7 - place; commit");
    await links.sync();
    expect(await links.conflicts("external")).toEqual([]);
    await app(nodes.local, "begin; update seat set place = place + 1; insert into seat values (7, 1, 1); commit");
    await app(nodes.external, "insert into seat values (8, 1, 7)");
    await settle(nodes, links);
    const places = await contentOf(nodes.external.superUrl, "public.seat");
    expect(places).toContain("(8,7,1)");
  });

  test("C3: values that both sides swap among the same rows", async () => {
    await using linked = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = linked;
    await app(nodes.local, "insert into member values (1, 'a', '1'), (2, 'b', '2'), (3, 'c', '3')");
    await links.sync();
    const swap = (
      one: number,
      other: number,
    ) => `begin; create temporary table was on commit drop as select id, mail from member;
      update member set mail = null where id in (${one}, ${other});
      update member m set mail = w.mail from was w where (m.id, w.id) in ((${one}, ${other}), (${other}, ${one})); commit`;
    await app(nodes.local, swap(1, 2));
    await app(nodes.external, swap(2, 3));
    await settle(nodes, links);
    expect((await contentOf(nodes.local.superUrl, "public.member")).length).toBeGreaterThanOrEqual(2);
  });

  test("C3 C7: of a pair, only the row that nobody refers to goes, whichever is the newer and however often", async () => {
    await using linked = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = linked;
    await links.sync();
    await app(nodes.local, "insert into member values (1, 'a'); insert into loan values (1, 1)");
    await app(nodes.external, "insert into member values (2, 'a'); insert into loan values (2, 2)");
    for (let i = 0; i < 3; i++) {
      await links.retryParked();
      await links.sync();
    }
    // Both are referred to: for a person. Who takes one of them away ends it.
    expect((await links.parked("local")).length).toBeGreaterThan(0);
    await app(nodes.external, "delete from loan where id = 2; update member set phone = 'newer' where id = 2");
    await settle(nodes, links);
    expect(await contentOf(nodes.external.superUrl, "public.member")).toEqual(["(,1,a,)"]);
    expect(await contentOf(nodes.external.superUrl, "public.loan")).toEqual(["(1,1)"]);
  });

  test("C3 C7: a row falls back once for each time its holder is there: one that comes back is another", async () => {
    await using linked = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = linked;
    // Referred to on both sides: where the pair were still known, both rows would stay, parked, for a person.
    await app(nodes.local, "insert into member values (1, 'own'); insert into loan values (1, 1)");
    await links.sync();
    for (const mail of ["wanted", "again"]) {
      await app(nodes.external, `insert into member values (10, '${mail}'); insert into loan values (10, 10)`);
      await app(nodes.local, `update member set mail = '${mail}' where id = 1`);
      await links.catchUp("local", "external");
      expect(await links.parked("external")).toEqual([]);
      await settle(nodes, links);
      expect(await contentOf(nodes.local.superUrl, "public.member")).toEqual(["(,1,own,)", `(,10,${mail},)`]);
      await app(nodes.external, "delete from loan where id = 10; delete from member where id = 10");
      await links.sync();
      // A batch of this table, by which the other node sees that the holder is gone.
      await app(nodes.local, "insert into member values (2, 'other'); delete from member where id = 2");
      await links.sync();
    }
  });

  test("C3: a preferred node's value that loses to a unique index does not go round for ever", async () => {
    await using linked = await linkedCluster(2, {
      ...options,
      schema,
      tables: [
        { name: "public.member", conflict: "prefer: local", updatedAt: null },
        { name: "public.loan", conflict: "newest", updatedAt: null },
      ],
    });
    const { nodes, links } = linked;
    await app(nodes.local, "insert into member values (1, 'a'), (2, 'b'); insert into loan values (1, 1), (2, 2)");
    await links.sync();
    await app(nodes.local, "update member set mail = 'x' where id = 1");
    await app(nodes.external, "update member set mail = 'x' where id = 2");
    await settle(nodes, links);
    expect((await contentOf(nodes.local.superUrl, "public.member")).length).toBe(2);
  });
});

test.skipIf(testMajor() < 15).each(ways)(
  "C3 C7: NULLS NOT DISTINCT: two rows without a value cannot both exist: $way",
  async ({ options }) => {
    await using linked = await linkedCluster(2, {
      ...options,
      schema: "create table public.one (id int primary key, v text, unique nulls not distinct (v))",
    });
    const { nodes, links } = linked;
    await links.sync();
    await app(nodes.local, "insert into one values (1, null)");
    await app(nodes.external, "insert into one values (2, null)");
    await settle(nodes, links);
    expect(await contentOf(nodes.local.superUrl, "public.one")).toEqual(["(2,)"]);
  },
);
