import { describe, expect, test } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf, hostileSettings, testMajor, type TestNode } from "../support/pg.ts";
import { keys, multiranges, preparation, values } from "./apply-values.ts";

const types = Object.entries({ ...values, ...(testMajor() >= 14 ? multiranges : {}) });
const keyTypes = Object.entries(keys);

const schema = [
  preparation,
  ...types.map(([type], i) => `create table public."v ${i}" (id int primary key, v ${type}, w ${arrayOf(type)});`),
  ...keyTypes.map(([type], i) => `create table public."k ${i}" (k ${type} primary key, n int, t text);`),
].join("\n");

function arrayOf(type: string): string {
  return type.endsWith("[]") ? type : `${type}[]`;
}

/** Every value, the value in an array, and NULL. */
function inserts(first: number): string {
  const rows = types.map(([type, list], i) => {
    const cells = list.map((value, j) => {
      const array = type.endsWith("[]") ? value : `array[(${value})::${type}, null]::${type}[]`;
      return `(${first + j}, (${value})::${type}, ${array})`;
    });
    const empty = type === "public.short_name" ? "" : `, (${first + 900}, null, null)`;
    return `insert into public."v ${i}" (id, v, w) values ${cells.join(", ").replaceAll(", null]::public.short_name[]", "]::public.short_name[]")}${empty};`;
  });
  return rows.join("\n");
}

function keyInserts(): string {
  return keyTypes
    .map(([type, list], i) => `insert into public."k ${i}" values ${list.map((value, n) => `((${value})::${type}, ${n}, 'first')`).join(", ")};`)
    .join("\n");
}

const sides = ways.flatMap(({ way, options }) =>
  [[], ["local"], ["external"], ["local", "external"]].map((hostile) => ({
    side: `${way}, hostile settings at ${hostile.join(" and ") || "none"}`,
    hostile,
    options: { ...options, settings: {} },
  })),
);

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

async function makeHostile(node: TestNode): Promise<void> {
  const whom = node.owner ? `role "${node.owner}"` : `database "${node.database}"`;
  for (const [name, value] of Object.entries(worse)) await node.admin.query(`alter ${whom} set ${name} = '${value}'`);
}

/** The application writes with settings of its own, in which the literals of this file mean what they say. */
const sane = `set standard_conforming_strings = on; set array_nulls = on; set xmloption = content; set extra_float_digits = 1;
  set DateStyle = 'ISO'; set IntervalStyle = 'postgres';`;

describe.each(sides)("C3 values: $side", ({ hostile, options }) => {
  test("C3: every type arrives byte for byte, as a value, in arrays and as a key, copied and captured", async () => {
    console.time("m"); await using linked = await linkedCluster(2, { ...options, schema }); console.timeEnd("m");
    const { nodes, links } = linked;
    for (const name of hostile) await makeHostile(nodes.node(name));
    // a first copy of some, the log for the others
    await app(nodes.local, `${sane}${inserts(1)}`);
    const before = await contentOf(nodes.local.superUrl, `public."v 0"`);
    console.time("s"); await links.sync(); console.timeEnd("s");
    await app(nodes.local, `${sane}${inserts(1001)}\n${keyInserts()}`);
    console.time("s"); await links.sync(); console.timeEnd("s");
    expect(before).toHaveLength(3);
    const rows = await links.expectRest();
    const expected = types.reduce((n, [type, list]) => n + 2 * (list.length + (type === "public.short_name" ? 0 : 1)), 0);
    expect(rows).toBe(expected + keyTypes.reduce((n, [, list]) => n + list.length, 0));
    // the other way: every row exchanges its values with the one after it, and goes round
    for (let i = 0; i < types.length; i++) {
      await app(
        nodes.external,
        `update public."v ${i}" t set v = o.v, w = o.w from public."v ${i}" o
         where t.id > 1000 and o.id = coalesce((select min(n.id) from public."v ${i}" n where n.id > t.id), 1001);`,
      );
    }
    for (let i = 0; i < keyTypes.length; i++) await app(nodes.external, `update public."k ${i}" set t = 'second'`);
    const done = await links.sync();
    expect(done["external local"]?.parked).toBe(0);
    expect(done["external local"]?.superseded).toBe(0);
    expect(await links.expectRest()).toBe(rows);
    for (let i = 0; i < keyTypes.length; i++) await app(nodes.external, `delete from public."k ${i}"`);
    for (let i = 0; i < types.length; i++) await app(nodes.local, `delete from public."v ${i}" where id < 1000`);
    console.time("s"); await links.sync(); console.timeEnd("s");
    const left = types.reduce((n, [type, list]) => n + list.length + (type === "public.short_name" ? 0 : 1), 0);
    expect(await links.expectRest()).toBe(left);
  });
});
