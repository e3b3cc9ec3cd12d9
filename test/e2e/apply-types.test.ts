import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { hostileSettings, openClient, type TestNode, testMajor } from "../support/pg.ts";
import { keys, preparation, valuesOf } from "./apply-values.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const groupsOf = <T>(list: T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));

const valueGroups = groupsOf(valuesOf(testMajor()), 24);
const keyGroups = groupsOf(Object.entries(keys), 4);
const isArray = (type: string) => type.endsWith("[]");

const schema = [
  preparation,
  ...valueGroups.map((types, g) => {
    const columns = types.map(([type], i) => `v${i} ${type}, w${i} ${isArray(type) ? type : `${type}[]`}`);
    return `create table public."v ${g}" (id int primary key, ${columns.join(", ")});`;
  }),
  ...keyGroups.map((types, g) => {
    const columns = types.map(([type], i) => `k${i} ${type}`);
    return `create table public."k ${g}" (n int, ${columns.join(", ")}, t text, primary key (${columns.map((_, i) => `k${i}`)}));`;
  }),
].join("\n");

/** A row for each value of the richest type, the others repeat theirs; each value alone and in an array with a null. */
function inserts(first: number): string {
  return valueGroups
    .map((types, g) => {
      const rows = Array.from({ length: rowsOf(types) }, (_, n) => {
        const cells = types.map(([type, list]) => {
          const value = `(${list[n % list.length]})::${type}`;
          const elements = type === "public.short_name" ? value : `${value}, null`;
          return isArray(type) ? `${value}, ${value}` : `${value}, array[${elements}]::${type}[]`;
        });
        return `(${first + n}, ${cells.join(", ")})`;
      });
      return `insert into public."v ${g}" values ${rows.join(",\n")};`;
    })
    .join("\n");
}

const rowsOf = (types: [string, string[]][]): number => Math.max(...types.map(([, list]) => list.length));

function keyInserts(): string {
  return keyGroups
    .map((types, g) => {
      const rows = Array.from({ length: rowsOf(types) }, (_, n) => {
        const cells = types.map(([type, list]) => `(${list[n % list.length]})::${type}`);
        return `(${n}, ${cells.join(", ")}, 'first')`;
      });
      return `insert into public."k ${g}" values ${rows.join(", ")};`;
    })
    .join("\n");
}

const worse: Record<string, string> = {
  ...hostileSettings,
  IntervalStyle: "sql_standard",
  xmlbinary: "hex",
  xmloption: "document",
  array_nulls: "off",
  standard_conforming_strings: "off",
  quote_all_identifiers: "on",
  escape_string_warning: "off",
  search_path: "nowhere",
};

/** The built-in types whose binary form is the same in all versions. */
const alone =
  /^(bool|int[248]|float[48]|numeric|text|varchar|char\(\d|bpchar|bytea|jsonb?$|uuid|date|time$|timestamp|timestamptz)(\(|\d|,|\)|$)/;

async function makeHostile(node: TestNode): Promise<void> {
  const whom = node.owner ? `role "${node.owner}"` : `database "${node.database}"`;
  for (const [name, value] of Object.entries(worse)) await node.admin.query(`alter ${whom} set ${name} = '${value}'`);
}

/** The application writes with settings of its own, in which the literals of this file mean what they say. */
async function write(node: TestNode, text: string): Promise<void> {
  const client = await openClient(node.url);
  await client.query(`set standard_conforming_strings = on; set array_nulls = on; set xmloption = content;
    set extra_float_digits = 1; set DateStyle = 'ISO'; set IntervalStyle = 'postgres';`);
  await client.query(text);
  await client.end();
}

for (const { way, options } of ways) {
  describe(`values in ${way}`, () => {
    test.each([
      ["neither side", []],
      ["the source", ["local"]],
      ["the target", ["external"]],
      ["both sides", ["local", "external"]],
    ])("C3: every type arrives byte for byte with hostile settings on %s", async (_, hostile) => {
      await using linked = await linkedCluster(2, { ...options, settings: {}, schema });
      const { nodes, links } = linked;
      for (const name of hostile) await makeHostile(nodes.node(name));
      const count = valueGroups.reduce((sum, types) => sum + rowsOf(types), 0);
      // some by a first copy, the others by the log
      await write(nodes.local, inserts(1));
      await links.sync();
      await write(nodes.local, inserts(1001));
      const captured = await links.sync();
      expect(captured["local external"]).toMatchObject({ staged: count, applied: count });
      expect(await links.expectRest()).toBe(2 * count);
      // the other way: every row takes the values of the next one
      for (const [g, types] of valueGroups.entries()) {
        const set = types.map((_, i) => `v${i} = o.v${i}, w${i} = o.w${i}`);
        await app(
          nodes.external,
          `update public."v ${g}" t set ${set.join(", ")} from public."v ${g}" o
           where t.id > 1000 and o.id = coalesce((select min(n.id) from public."v ${g}" n where n.id > t.id), 1001)`,
        );
      }
      const back = await links.sync();
      expect(back["external local"]).toMatchObject({ staged: count, applied: count });
      await app(nodes.external, valueGroups.map((_, g) => `delete from public."v ${g}" where id < 1000;`).join("\n"));
      await links.sync();
      expect(await links.expectRest()).toBe(count);
    });

    test("C3: rows keyed by every type are found, changed and deleted", async () => {
      await using linked = await linkedCluster(2, { ...options, settings: {}, schema });
      const { nodes, links } = linked;
      const count = keyGroups.reduce((sum, types) => sum + rowsOf(types), 0);
      await makeHostile(nodes.external);
      await links.sync();
      await write(nodes.local, keyInserts());
      expect((await links.sync())["local external"]).toMatchObject({ staged: count, applied: count });
      expect(await links.expectRest()).toBe(count);
      await app(nodes.external, keyGroups.map((_, g) => `update public."k ${g}" set t = 'second';`).join("\n"));
      expect((await links.sync())["external local"]).toMatchObject({ staged: count, applied: count });
      expect(await links.expectRest()).toBe(count);
      await app(nodes.local, keyGroups.map((_, g) => `delete from public."k ${g}" where n > 0;`).join("\n"));
      await links.sync();
      expect(await links.expectRest()).toBe(keyGroups.length);
    });

    test("C3: a table whose columns are all of types that travel in binary, and an integer key: byte for byte, and none is staged as text", async () => {
      const types = valuesOf(testMajor()).filter(([type]) => alone.test(type));
      const schema = types
        .map(([type], i) => `create table public."b ${i}" (id int primary key, v ${type});`)
        .join("\n");
      const insert = (first: number) =>
        types
          .map(([type, list], i) => {
            const rows = list.map((value, n) => `(${first + n}, (${value})::${type})`);
            return `insert into public."b ${i}" values ${rows.join(", ")}, (${first + list.length}, null);`;
          })
          .join("\n");
      const count = types.reduce((sum, [, list]) => sum + list.length + 1, 0);
      await using linked = await linkedCluster(2, { ...options, settings: {}, schema });
      const { nodes, links } = linked;
      for (const node of nodes) await makeHostile(node);
      await write(nodes.local, insert(1));
      await links.sync();
      await write(nodes.local, insert(1001));
      expect((await links.sync())["local external"]).toMatchObject({ staged: count, applied: count });
      expect(await links.expectRest()).toBe(2 * count);
      const asText = await nodes.external.admin.query(
        `select c.relname, t.typname from pg_class c join pg_namespace n on n.oid = c.relnamespace
         join pg_attribute a on a.attrelid = c.oid and a.attname = 'c1' join pg_type t on t.oid = a.atttypid
         join pg_class o on o.relname = substring(c.relname from 'public.(.*)') and o.relkind = 'r'
         join pg_attribute v on v.attrelid = o.oid and v.attname = 'v'
         where n.nspname = 'tandem_log' and c.relname like 'stage %.b %' and c.relkind = 'r' and a.atttypid <> v.atttypid`,
      );
      expect(asText).toEqual([]);
      expect(
        await nodes.external.admin.value(
          `select count(*) from pg_class where relname like 'stage %.b %' and relkind = 'r'`,
        ),
      ).toBe(String(types.length));
    });

    test("C3: keys that are equal and not the same bytes travel as they are", async () => {
      const tables = `create table public.n (k numeric primary key, v int); create table public.f (k float8 primary key);
        create table public.c (k bpchar primary key); create table public.i (k interval primary key);`;
      await using linked = await linkedCluster(2, { ...options, schema: tables });
      const { nodes, links } = linked;
      await links.sync();
      await app(
        nodes.local,
        `insert into public.n values (1.0, 1), (0, 2); insert into public.f values ('-0'); insert into public.c values ('a  ');
         insert into public.i values ('1 day');`,
      );
      await links.sync();
      expect(await links.expectRest()).toBe(5);
      await app(
        nodes.external,
        `update public.n set k = 1.00 where v = 1; update public.f set k = 0; update public.c set k = 'a';
         update public.i set k = '24:00:00';`,
      );
      expect((await links.sync())["external local"]).toMatchObject({ staged: 4, applied: 4 });
      expect(await links.expectRest()).toBe(5);
      const [row] = await nodes.local.admin.query(
        `select (select k::text from public.n where v = 1) as n, (select k::text from public.f) as f, (select k::text from public.i) as i`,
      );
      expect(row).toEqual({ n: "1.00", f: "0", i: "24:00:00" });
    });
  });
}
