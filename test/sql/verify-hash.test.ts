import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectRoot } from "../support/child.ts";
import { configure, installSql } from "../support/install.ts";
import { cluster, sql, type TestNode } from "../support/pg.ts";

/** The schema and the functions that verify stands on, their texts in ASCII: all that a database of another encoding needs. */
async function installForHashes(url: string): Promise<void> {
  const read = async (path: string) => (await readFile(join(projectRoot, path), "utf8")).replace(/[^\0-\x7f]/g, "?");
  const migration = (await read("migrations/0001_tables.sql")).split("-- Down Migration")[0] ?? "";
  const files = ["admin/naming", "capture/candidates", "apply/stage", "verify/hash", "verify/scan"];
  const functions = await Promise.all(files.map((file) => read(`sql/${file}.sql`)));
  await sql(url, `begin; set local check_function_bodies = off;\n${migration}\n${functions.join("\n")}\ncommit`);
}

async function track(node: TestNode, statements: string, table: string): Promise<void> {
  await sql(node.url, statements);
  await installSql(node.url);
  await configure(node.url, node.name, [node.name === "local" ? "external" : "local"]);
  await sql(node.url, "select tandem.track_table('public', $1)", [table]);
}

interface Spec {
  columns: string[];
  typed?: string[];
  portable?: boolean;
}

/** Sums over all buckets of pieces of `step` blocks (0: in one piece), as rows, sum and sum. */
async function sums(node: TestNode, { columns, typed = [], portable = false }: Spec, step = 0): Promise<string> {
  const spec = `jsonb_build_object('id', t.table_id, 'columns', $1::text[], 'typed', $2::text[], 'portable', $3::boolean)`;
  const pieces = `(select e ->> 'relation' as relation, b as first, case when $4 > 0 and b + $4 < (e ->> 'blocks')::int then b + $4 end as past
      from jsonb_array_elements(tandem.verify_extent(t.table_id)) e,
        generate_series(0, case when $4 > 0 then greatest((e ->> 'blocks')::int - 1, 0) else 0 end, greatest($4, 1)) b) p`;
  const [row] = await sql(
    node.url,
    `select concat_ws(' ', sum(split_part(l, ',', 2)::numeric), sum(split_part(l, ',', 3)::numeric) % (2::numeric ^ 64), sum(split_part(l, ',', 4)::numeric) % (2::numeric ^ 64)) as sums
     from tandem.tracked_table t, lateral ${pieces}, lateral unnest(string_to_array(tandem.verify_buckets(${spec}, p.relation, p.first, p.past, 16), ';')) l`,
    [columns, typed, portable, step],
  );
  return row?.sums ?? "";
}

test("pieces of any size, of a table and of its partitions, add up to the same sums", async () => {
  await using nodes = await cluster(2);
  const rows = "insert into p select i % 7, 'k' || i, repeat('x', i % 50) from generate_series(1, 5000) i";
  const plain = 'create table p ("A b" int, k text, v text, primary key ("A b", k));';
  const cut = `create table p ("A b" int, k text, v text, primary key ("A b", k)) partition by list ("A b");
    create table "p one" partition of p for values in (0, 1, 2); create table p_more partition of p default partition by hash (k);
    create table p_more_0 partition of p_more for values with (modulus 2, remainder 0);
    create table p_more_1 partition of p_more for values with (modulus 2, remainder 1);`;
  await track(nodes.local, plain + rows, "p");
  await track(nodes.external, `${cut}${rows} order by i desc`, "p");
  const spec = { columns: ["A b", "k", "v"], typed: ["A b", "k"] };
  const whole = await sums(nodes.local, spec);
  expect(whole).toMatch(/^5000 /);
  for (const step of [1, 7, 1000]) {
    expect(await sums(nodes.local, spec, step)).toBe(whole);
    expect(await sums(nodes.external, spec, step)).toBe(whole);
  }
  await sql(nodes.external.url, "update p set v = v || ' ' where k = 'k17'");
  expect(await sums(nodes.external, spec)).not.toBe(whole);
});

test("a table of many columns is hashed too, and each of its values counts", async () => {
  await using nodes = await cluster(2);
  const names = Array.from({ length: 300 }, (_, i) => `c${i}`);
  const table = `create table wide (id int primary key, ${names.map((name) => `${name} text`).join(", ")}); insert into wide (id, c5) values (1, ''), (2, null);`;
  await track(nodes.local, table, "wide");
  await track(nodes.external, table, "wide");
  const spec = { columns: ["id", ...names], typed: ["id", ...names] };
  const before = await sums(nodes.local, spec);
  expect(await sums(nodes.external, spec)).toBe(before);
  await sql(nodes.external.url, "update wide set c299 = '' where id = 1");
  expect(await sums(nodes.external, spec)).not.toBe(before);
  const some = { columns: ["id", ...names.slice(0, 62)], typed: names.slice(0, 62) };
  expect(await sums(nodes.external, some)).toBe(await sums(nodes.local, some));
  await sql(nodes.external.url, "update wide set c61 = '' where id = 1");
  expect(await sums(nodes.external, some)).not.toBe(await sums(nodes.local, some));
});

test("null is told from empty and from a row of nulls, whichever column has it", async () => {
  await using nodes = await cluster(2);
  const table = "create type pair as (a int, b int); create table n (id int primary key, v text, w text, p pair);";
  await track(nodes.local, table, "n");
  await track(nodes.external, table, "n");
  const spec = { columns: ["id", "v", "w", "p"], typed: ["id", "v", "w"] };
  const rows = ["null, '', null", "'', null, null", "'', '', null", "null, null, null", "null, '', row(null, null)"];
  const seen = [];
  for (const [i, row] of rows.entries()) {
    const node = i % 2 === 0 ? nodes.local : nodes.external;
    await sql(node.url, `truncate n; insert into n values (1, ${row})`);
    seen.push(await sums(node, spec));
  }
  expect(new Set(seen).size).toBe(rows.length);
});

test("databases of other encodings compare what is written, in UTF-8", async () => {
  await using nodes = await cluster(1);
  const latin: TestNode = { ...nodes.local, name: "external", database: `${nodes.local.database}_latin` };
  const url = (database: string) => nodes.local.url.replace(nodes.local.database, database);
  latin.url = url(latin.database);
  await sql(
    nodes.local.server.url,
    `create database "${latin.database}" encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0`,
  );
  try {
    const text = "create table w (id int primary key, v text); insert into w values (1, 'é'), (2, 'ß');";
    for (const { url: each } of [nodes.local, latin]) {
      await sql(each, text);
      await installForHashes(each);
      await sql(
        each,
        `insert into tandem.tracked_table (schema_name, table_name, relid, log_name, entries_name, changelog_view, key_columns, key_types, key_operators, partitioned)
         select 'public', 'w', 'w'::regclass, 'l', 'e', 'v', k.key_columns, k.key_types, k.key_operators, false from tandem.table_key('w'::regclass) k`,
      );
    }
    const spec = { columns: ["id", "v"], typed: ["id", "v"] };
    expect(await sums(latin, spec)).not.toBe(await sums(nodes.local, spec));
    expect(await sums(latin, { ...spec, portable: true })).toBe(await sums(nodes.local, { ...spec, portable: true }));
  } finally {
    await sql(nodes.local.server.url, `drop database "${latin.database}" with (force)`);
  }
});
