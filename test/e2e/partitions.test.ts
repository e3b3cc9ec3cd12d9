import { expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf } from "../support/pg.ts";

vi.setConfig({ testTimeout: 180_000 });

test.each(ways)(
  "C1 C3 H22: a table partitioned otherwise on each side; rows move between partitions, which are attached, detached and dropped, in $way",
  async ({ options }) => {
    await using linked = await linkedCluster(2, options);
    const { nodes, links } = linked;
    const columns = "(id int, day int, v text, primary key (id, day))";
    await app(
      nodes.local,
      `create table public.t ${columns} partition by range (day);
       create table public.early partition of public.t for values from (0) to (10);
       create table public.late partition of public.t for values from (10) to (20);`,
    );
    await app(
      nodes.external,
      `create table public.t ${columns} partition by hash (id);
       create table public.even partition of public.t for values with (modulus 2, remainder 0);
       create table public.odd partition of public.t for values with (modulus 2, remainder 1) partition by range (day);
       create table public.odd_all partition of public.odd default;`,
    );
    await links.migrate();
    await app(nodes.local, "insert into public.t select i, i, 'local' from generate_series(1, 15) i");
    await links.sync();
    await app(
      nodes.external,
      "insert into public.t select i, i - 20, 'external' from generate_series(25, 30) i; update public.t set id = id + 101 where id <= 3",
    );
    await links.sync();
    await app(
      nodes.local,
      "update public.t set day = day + 10, v = 'moved' where day < 5; delete from public.t where id = 9",
    );
    await links.sync();
    expect(await contentOf(nodes.external.superUrl, "public.t")).toEqual(
      await contentOf(nodes.local.superUrl, "public.t"),
    );

    await app(
      nodes.local,
      `create table public.next ${columns}; insert into public.next values (50, 25, 'attached'), (51, 26, 'attached');
       alter table public.t attach partition public.next for values from (20) to (30);
       update public.t set v = 'as before' where id = 50`,
    );
    await links.sync();
    await app(nodes.external, "update public.t set v = 'seen' where id = 51");
    await links.sync();
    const { length: rows } = await contentOf(nodes.local.superUrl, "public.t");
    const { length: inEarly } = await contentOf(nodes.local.superUrl, "public.early");
    expect(inEarly).toBeGreaterThan(3);
    await app(nodes.local, "alter table public.t detach partition public.early");
    await links.sync();
    expect(await contentOf(nodes.external.superUrl, "public.t")).toHaveLength(rows - inEarly);
    await app(nodes.local, "drop table public.early; drop table public.next");
    await links.sync();
    expect(await contentOf(nodes.local.superUrl, "public.t")).toEqual(
      await contentOf(nodes.external.superUrl, "public.t"),
    );
    expect(await contentOf(nodes.local.superUrl, "public.t")).toHaveLength(rows - inEarly - 2);
    for (const { name } of nodes) expect(await links.parked(name)).toEqual([]);
  },
);
