import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { openClient } from "../support/pg.ts";

vi.setConfig({ testTimeout: 180_000 });

interface Change {
  table: string;
  /** Of the key before, and what it becomes. */
  type: string;
  becomes: string;
  /** A key of the old type, and one that only the new one holds. */
  old: string;
  beyond: string;
}

const wider: Change[] = [
  { table: "ints", type: "int", becomes: "bigint", old: "5", beyond: "3000000000" },
  { table: "serials", type: "smallserial", becomes: "int", old: "5", beyond: "100000" },
  { table: "short", type: "varchar(3)", becomes: "text", old: "abc", beyond: "abcdefgh" },
  { table: "blanks", type: "char(3)", becomes: "char(8)", old: "abc", beyond: "abcdefgh" },
  { table: "amounts", type: "numeric(4, 2)", becomes: "numeric", old: "1.50", beyond: "12345.678" },
  {
    table: "times",
    type: "timestamp(0)",
    becomes: "timestamp",
    old: "2026-01-01 12:00",
    beyond: "2026-01-01 12:00:00.123456",
  },
  { table: "domains", type: "small", becomes: "int", old: "5", beyond: "70" },
];

const another: Change[] = [
  { table: "numbered", type: "int", becomes: "text", old: "5", beyond: "five" },
  { table: "named", type: "text", becomes: "bytea using convert_to(id, 'UTF8')", old: "\\x", beyond: "\\xff00" },
];

const schemaOf = (changes: Change[]) =>
  `create domain public.small as int check (value < 10);
  ${changes.map(({ table, type }) => `create table public.${table} (id ${type} primary key, v text);`).join("\n")}`;

const insert = ({ table }: Change, key: string, v: string) => `insert into public.${table} values ('${key}', '${v}')`;

for (const { way, options } of ways) {
  describe(`a key's type changes, in ${way}`, () => {
    test("C9: to a wider one: every session writes on at once, and it travels when the other node has it too", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: schemaOf(wider) });
      const { nodes, links } = linked;
      const session = await openClient(nodes.local.url);
      for (const change of wider) await session.query(insert(change, change.old, "old"));
      await links.sync();
      for (const change of wider) {
        const { table, becomes, old, beyond } = change;
        await session.query(`update public.${table} set v = 'pending' where id = '${old}'`);
        await app(nodes.local, `alter table public.${table} alter id type ${becomes}`);
        await app(nodes.local, insert(change, beyond, "new"));
        await session.query(`update public.${table} set v = 'newer' where id = '${beyond}'`);
      }
      await links.sync();
      const held = await nodes.external.admin.query(
        "select table_name from tandem.inbound_table where state = 'held' order by 1",
      );
      expect(held.map((row) => row.table_name)).toEqual(wider.map(({ table }) => table).sort());
      for (const { table, becomes } of wider)
        await app(nodes.external, `alter table public.${table} alter id type ${becomes}`);
      await links.sync();
      for (const { table, beyond } of wider) {
        await app(nodes.external, `update public.${table} set v = 'back' where id = '${beyond}'`);
      }
      await links.sync();
      expect(await links.expectRest()).toBe(2 * wider.length);
      for (const { table, beyond } of wider) await session.query(`delete from public.${table} where id = '${beyond}'`);
      await links.sync();
      expect(await links.expectRest()).toBe(wider.length);
    });

    test("C1: to quite another one: the capture follows with the next look, and the table is compared", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: schemaOf(another) });
      const { nodes, links } = linked;
      for (const change of another) await app(nodes.local, insert(change, change.old, "old"));
      await links.sync();
      for (const { table, becomes, old } of another) {
        await app(nodes.local, `update public.${table} set v = 'pending' where id = '${old}'`);
        for (const node of nodes) await app(node, `alter table public.${table} alter id type ${becomes}`);
      }
      await links.sync();
      for (const change of another) {
        await app(nodes.local, insert(change, change.beyond, "new"));
        await app(nodes.external, `update public.${change.table} set v = v || ' seen'`);
      }
      await links.sync();
      expect(await links.expectRest()).toBe(2 * another.length);
    });
  });
}

test("C9: a session that wrote to a partitioned table before writes on after the next look", async () => {
  await using linked = await linkedCluster(2, {
    schema: `create table public.t (part int, id int, v text, primary key (part, id)) partition by list (part);
      create table public.t1 partition of public.t for values in (1)`,
  });
  const { nodes, links } = linked;
  const session = await openClient(nodes.local.url);
  await session.query("insert into public.t values (1, 5, 'old')");
  await links.sync();
  for (const node of nodes) await app(node, "alter table public.t alter id type bigint");
  await links.sync();
  await session.query("insert into public.t values (1, 3000000000, 'new')");
  await links.sync();
  expect(await links.expectRest()).toBe(2);
});

test("C9: a domain may be given a constraint that only keys of the past break", async () => {
  await using linked = await linkedCluster(2, {
    schema: "create domain public.even as int; create table public.t (id public.even primary key)",
  });
  const { nodes, links } = linked;
  await app(nodes.local, "insert into public.t values (1), (2)");
  await links.sync();
  await app(nodes.local, "delete from public.t where id = 1");
  await links.sync();
  await app(nodes.local, "insert into public.t values (4)");
  await links.sync();
  await app(nodes.local, "alter domain public.even add check (value % 2 = 0)");
});
