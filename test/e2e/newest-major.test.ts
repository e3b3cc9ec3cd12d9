import { expect, test, vi } from "vitest";
import { verify } from "../../src/verify/verify.ts";
import { ownServer } from "../support/copies.ts";
import { fetchMajor } from "../support/fetch-major.ts";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf } from "../support/pg.ts";
import type { TestServer } from "../support/servers.ts";

vi.setConfig({ testTimeout: 600_000 });

/** What only the newest PostgreSQL has is tried on it, whatever major the run tests against. */
const major = 18;

async function newest(): Promise<TestServer> {
  await fetchMajor(major);
  const server = await ownServer({ major });
  return { kind: "embedded", major, url: server.url(), host: server.host, port: server.port };
}

test.each(ways)(
  "C6: a foreign key that is not enforced keeps no row waiting, and no parent from going: $way",
  async ({ options }) => {
    await using linked = await linkedCluster(2, {
      ...options,
      servers: [await newest()],
      schema: `create table public.parent (id int primary key, v text);
        create table public.child (id int primary key, parent int references public.parent on delete cascade not enforced);
        create table public.strict (id int primary key, parent int references public.parent)`,
    });
    const { nodes, links } = linked;
    const { local, external } = nodes;
    await links.sync();
    await app(local, "insert into parent values (1, 'x'), (2, 'y'); insert into child values (1, 7), (2, 1)");
    await links.sync();
    await app(external, "insert into child values (3, 1)");
    await app(local, "delete from parent where id = 1");
    // The one that is enforced beside it still holds.
    await app(external, "insert into strict values (1, 2)");
    await app(local, "delete from parent where id = 2");
    for (let i = 0; i < 3; i++) {
      await links.retryParked();
      await links.sync();
    }
    await links.expectRest();
    for (const { superUrl } of nodes) {
      expect(await contentOf(superUrl, "public.child")).toEqual(["(1,7)", "(2,1)", "(3,1)"]);
      expect(await contentOf(superUrl, "public.parent")).toEqual(["(2,y)"]);
      expect(await contentOf(superUrl, "public.strict")).toEqual(["(1,2)"]);
    }
    // Enforced again, it is heeded again.
    for (const node of nodes) {
      await app(node, "delete from child; alter table child alter constraint child_parent_fkey enforced");
    }
    await links.sync();
    await app(external, "insert into child values (4, 2)");
    await app(local, "delete from strict; delete from parent");
    await links.sync();
    await links.expectRest();
    expect(await contentOf(local.superUrl, "public.child")).toEqual([]);
  },
);

test.each(ways)(
  "C7 C11: WITHOUT OVERLAPS: rows that overlap cannot both exist; a table with no other key is not tracked, nor one of a foreign key with PERIOD: $way",
  async ({ options }) => {
    await using linked = await linkedCluster(2, {
      ...options,
      servers: [await newest()],
      schema: `create table public.stay (id int primary key, room int4range, nights daterange, unique (room, nights without overlaps));
        create table public.keyless (room int4range, nights daterange, primary key (room, nights without overlaps));
        create table public.parent (id int primary key, room int4range, nights daterange, unique (room, nights without overlaps));
        create table public.child (id int primary key, room int4range, nights daterange,
          foreign key (room, period nights) references public.parent (room, period nights))`,
    });
    const { nodes, links } = linked;
    const { local, external } = nodes;
    expect(
      await local.admin.query(
        "select table_name, reason from tandem.table_candidates where reason is not null order by 1",
      ),
    ).toEqual([
      { table_name: "child", reason: "takes part in a foreign key with PERIOD, which is not looked at" },
      { table_name: "keyless", reason: expect.stringMatching(/^has no key but WITHOUT OVERLAPS: give it one/) },
      { table_name: "parent", reason: "takes part in a foreign key with PERIOD, which is not looked at" },
    ]);
    await links.sync();
    await app(
      local,
      "insert into stay values (1, '[1,2)', '[2026-01-01,2026-01-05)'), (3, '[1,2)', '[2026-02-01,2026-02-05)')",
    );
    // The first overlaps and is newer; the second is another room, though rooms are ranges that overlap; the third only touches.
    await app(
      external,
      "insert into stay values (2, '[1,2)', '[2026-01-04,2026-01-08)'), (4, '[1,9)', '[2026-02-01,2026-02-05)'), (5, '[1,2)', '[2026-02-05,2026-02-06)')",
    );
    for (let i = 0; i < 3; i++) {
      await links.retryParked();
      await links.sync();
    }
    await links.expectRest();
    for (const node of nodes) {
      expect(await node.admin.query("select id from stay order by id")).toEqual(
        ["2", "3", "4", "5"].map((id) => ({ id })),
      );
    }
    const [conflict] = await local.admin.query("select key, incoming_values, local_values from tandem.conflict");
    expect(JSON.stringify(conflict)).toContain("2026-01-05");
  },
);

test.each(ways)(
  "C1 C3: a virtual generated column is each node's own, and no difference: $way",
  async ({ options }) => {
    await using linked = await linkedCluster(2, {
      ...options,
      servers: [await newest()],
      schema: `create table public.line (id int primary key, price int, count int, total int generated always as (price * count) virtual,
        code text unique)`,
    });
    const { nodes, links } = linked;
    const { local, external } = nodes;
    await app(
      local,
      "insert into line (id, price, count, code) select i, i, 2, 'c' || i from generate_series(1, 100) i",
    );
    await links.sync();
    await app(external, "update line set price = 1000 where id = 7; delete from line where id = 8");
    await app(local, "update line set code = 'new' where id = 9");
    await app(external, "insert into line (id, price, count, code) values (200, 1, 1, 'new')");
    for (let i = 0; i < 3; i++) await links.sync();
    await links.expectRest();
    for (const node of nodes) {
      expect(await node.admin.query("select id, total from line where id in (7, 8, 9, 200) order by id")).toEqual([
        { id: "7", total: "2000" },
        { id: "9", total: "18" },
        { id: "200", total: "1" },
      ]);
    }
    const report = await verify(links.config);
    expect([report.identical, report.tables.map(({ rows }) => rows)]).toEqual([true, [{ local: 100, external: 100 }]]);
  },
);
