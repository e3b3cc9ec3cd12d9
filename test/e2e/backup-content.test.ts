import { randomBytes } from "node:crypto";
import type { Readable } from "node:stream";
import { expect, test } from "vitest";
import { readInventory } from "../../src/backup/catalog.ts";
import { ContentHash } from "../../src/backup/content-hash.ts";
import { jsonLines } from "../../src/backup/copy-text.ts";
import { copyLines, copyText, linesQuery } from "../../src/backup/rows.ts";
import { withDatabase } from "../../src/backup/scratch.ts";
import { contentOfTable, hashSettings } from "../../src/backup/table-content.ts";
import { connect } from "../../src/db/connect.ts";
import { pinnedSettings } from "../../src/db/session.ts";
import { cluster, hostileSettings, type TestNode, testMajor } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { tortureSchema } from "./backup-support.ts";

const columnsOf = (names: string[]) =>
  names.map((name) => ({ name, type: "text", notNull: false, identity: "" as const }));

/** A database of another encoding on the node's server, dropped in the end. */
async function otherDatabase({ admin, superUrl }: TestNode, encoding: string) {
  const name = `content_${randomBytes(6).toString("hex")}`;
  await admin.query(`create database ${name} template template0 encoding '${encoding}' lc_collate 'C' lc_ctype 'C'`);
  return {
    url: withDatabase(superUrl, name),
    [Symbol.asyncDispose]: async () => void (await admin.query(`drop database ${name} with (force)`)),
  };
}

test.each(["UTF8", "LATIN1"])(
  "B3 a %s server's own hash of a table is that of the lines it sends, with and without helpers",
  async (encoding) => {
    await using nodes = await cluster(1);
    await using database = await otherDatabase(nodes.local, encoding);
    await using connection = await connect({ name: "local", url: database.url }, "test");
    await connection.exec(`set search_path = public, pg_catalog; create table item (id int primary key, "na""me" text, more bytea, at timestamptz);
    create table empty (id int); create table bare ();
    insert into item select g, case g % 3 when 0 then null when 1 then 'é "\\' || e'\\n\\t\\u0001' else repeat('x', g) end,
      decode(md5(g::text), 'hex'), now() from generate_series(1, 3000) g;
    insert into bare select from generate_series(1, 3); analyze`);
    const begin = `begin read only; ${pinnedSettings(connection.serverVersion)}; ${hashSettings(connection.serverVersion)};`;
    const shapes: Array<[string, string[]]> = [
      ["item", ["id", 'na"me', "more", "at"]],
      ["empty", ["id"]],
      ["bare", []],
    ];
    for (const [name, columns] of shapes) {
      for (const helpers of [0, 2]) {
        const table = { schema: "public", name, columns: columnsOf(columns), partitioned: false };
        await connection.exec(
          `${begin} set local max_parallel_workers_per_gather = ${helpers}; set local min_parallel_table_scan_size = 0; set local parallel_setup_cost = 0`,
        );
        const sent = new ContentHash();
        for await (const chunk of connection.copyOut(copyText(table)).compose(jsonLines(columns)))
          sent.update(chunk as Buffer);
        expect(await contentOfTable(connection, table), `${name} ${helpers}`).toEqual({
          rows: sent.rows,
          hash: sent.hex(),
        });
        await connection.exec("rollback");
      }
    }
  },
);

/** What a stream gives, whole. */
async function whole(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("latin1");
}

test.each(["UTF8", "LATIN1"])(
  "B3 the lines of JSON that are made here are those that a %s server would make, for every type and character",
  async (encoding) => {
    await using nodes = await cluster(1, { settings: hostileSettings });
    await using database = await otherDatabase(nodes.local, encoding);
    const url = encoding === "LATIN1" ? database.url : nodes.local.superUrl;
    if (encoding === "UTF8") await nodes.local.admin.query(tortureSchema(testMajor()));
    await using connection = await connect({ name: "local", url }, "test");
    const last = encoding === "LATIN1" ? 255 : 70_000;
    await connection.exec(`create table public.characters (id int primary key, "é\\ ""\u0001\n\u007f" text, b text);
      insert into public.characters select g, chr(g), 'x' || chr(g) || 'y' from generate_series(1, ${last}) g
        where g not between 55296 and 57343 and (${last} > 255 or g not between 128 and 159);
      insert into public.characters values (-1, '', null), (-2, '\\N', '\\.'), (-3, '\\', '\\t'), (-4, null, null), (-5, 'null', 'N')`);
    const { tables } = await readInventory(connection);
    expect(tables.length).toBeGreaterThan(encoding === "UTF8" ? 50 : 0);
    for (const table of tables) {
      await connection.exec(`begin read only; ${pinnedSettings(connection.serverVersion)}`);
      const made = jsonLines(table.columns.map(({ name }) => name));
      const here = await whole(connection.copyOut(copyText(table)).compose(made));
      expect(here, table.name).toBe(await whole(connection.copyOut(copyLines(linesQuery(table)))));
      await connection.exec("commit");
    }
  },
);

test("B5 a server that hashes a table stops when the client is gone", async (context) => {
  await using nodes = await cluster(1);
  const { admin, superUrl } = nodes.local;
  await admin.query("create view item as select g as id from generate_series(1, 100000000) g");
  const connection = await connect({ name: "local", url: superUrl }, "hash that is left alone");
  if (connection.serverVersion < 140_000) return context.skip("older than 14");
  const running = () =>
    admin.value(
      "select count(*) from pg_stat_activity where application_name like '%left alone' and query like 'select count(*) as rows, %'",
    );
  await connection.exec(
    `begin read only; ${pinnedSettings(connection.serverVersion)}; ${hashSettings(connection.serverVersion)}`,
  );
  const table = { schema: "public", name: "item", columns: columnsOf(["id"]), partitioned: false };
  const failed = expect(contentOfTable(connection, table)).rejects.toMatchObject({ code: "connection_lost" });
  await waitFor(async () => Number(await running()) > 0, { what: "the hash to begin" });
  connection.destroy();
  await failed;
  await waitFor(async () => Number(await running()) === 0, { what: "the server to stop" });
});
