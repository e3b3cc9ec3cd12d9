import { expect, test, vi } from "vitest";
import { brokenByQuery } from "../support/constraints.ts";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf } from "../support/pg.ts";

vi.setConfig({ testTimeout: 180_000 });

test.each(ways)(
  "C3 C5 C7: unique and referring values of generated columns are looked at like any other: $way",
  async ({ options }) => {
    await using linked = await linkedCluster(2, {
      ...options,
      schema: `create table public.member (id int primary key, mail text, "low mail" text generated always as (lower(mail)) stored unique,
          len int generated always as (length(mail)) stored, code varchar(3) collate "C" generated always as (left(mail, 3)) stored);
        create unique index on public.member (("low mail" || len)) where len > 3;
        create table public.parent (id int primary key);
        create table public.child (id int primary key, v int, parent int generated always as (v / 10) stored references public.parent on delete cascade)`,
    });
    const { nodes, links } = linked;
    const { local, external } = nodes;
    await app(
      local,
      "insert into member (id, mail) values (1, 'A'), (2, 'B'); insert into parent values (1), (2), (3); insert into child values (1, 10)",
    );
    await links.sync();
    await app(local, "update member set mail = 'x' where id = 1; insert into member (id, mail) values (10, 'newer')");
    await app(
      external,
      "update member set mail = 'X' where id = 2; insert into member (id, mail) values (11, 'NEWER')",
    );
    // A child's parent goes, and one comes with the deletion.
    await app(local, "delete from parent where id = 2; insert into child values (3, 30)");
    await app(external, "insert into child values (2, 25); delete from parent where id = 3");
    for (let i = 0; i < 4; i++) {
      await links.retryParked();
      await links.sync();
    }
    await links.expectRest();
    for (const node of nodes) {
      expect(await brokenByQuery(node)).toEqual([]);
      expect(await node.admin.query("select id, mail, code from member order by id")).toEqual([
        { id: "1", mail: "A", code: "A" },
        { id: "2", mail: "X", code: "X" },
        { id: "11", mail: "NEWER", code: "NEW" },
      ]);
    }
    for (const table of ["parent", "child"]) {
      expect(await contentOf(external.superUrl, `public.${table}`)).toEqual(
        await contentOf(local.superUrl, `public.${table}`),
      );
    }
    // What lost is kept.
    const kept = await Promise.all(
      [local, external].map(({ admin }) =>
        admin.query("select local_values, incoming_values from tandem.conflict where table_name = 'member'"),
      ),
    );
    for (const image of ["{1,x}", "{10,newer,"]) expect(JSON.stringify(kept)).toContain(image);
    // Values that change places within a transaction.
    await app(
      local,
      "update member set mail = 'z' where id = 1; update member set mail = 'a' where id = 2; update member set mail = 'x' where id = 1",
    );
    await links.sync();
    await links.expectRest();
    expect(await external.admin.query("select id, mail from member where id < 3 order by id")).toEqual([
      { id: "1", mail: "x" },
      { id: "2", mail: "a" },
    ]);
  },
);

test.each(ways)("C3 C6: a key that is generated follows from what it is generated from: $way", async ({ options }) => {
  await using linked = await linkedCluster(2, {
    ...options,
    schema: `create table public.item (a int not null, id int generated always as (a * 2) stored primary key, v text,
      low text generated always as (lower(v)) stored unique)`,
  });
  const { nodes, links } = linked;
  const { local, external } = nodes;
  // More rows than are looked at one by one.
  await app(local, "insert into item (a, v) select i, 'V' || i from generate_series(1, 700) i");
  await links.sync();
  await app(local, "update item set v = 'z' where id = 2; insert into item (a, v) values (1000, 'new')");
  await app(
    external,
    "update item set a = 2000 where id = 4; insert into item (a, v) values (1001, 'NEW'); delete from item where id = 6",
  );
  for (let i = 0; i < 3; i++) {
    await links.retryParked();
    await links.sync();
  }
  await links.expectRest();
  for (const { admin } of nodes) {
    expect(await admin.query("select id, v from item where id < 8 or id > 1400 order by id")).toEqual([
      { id: "2", v: "z" },
      { id: "2002", v: "NEW" },
      { id: "4000", v: "V2" },
    ]);
    expect(await admin.value("select count(*) from item")).toBe("700");
  }
});
