import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { ContentHash } from "../../src/backup/content-hash.ts";
import { copyLines, linesQuery } from "../../src/backup/rows.ts";
import { withDatabase } from "../../src/backup/scratch.ts";
import { contentOfTable, hashSettings } from "../../src/backup/table-content.ts";
import { connect } from "../../src/db/connect.ts";
import { pinnedSettings } from "../../src/db/session.ts";
import { cluster, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

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
        for await (const chunk of connection.copyOut(copyLines(linesQuery(table)))) sent.update(chunk as Buffer);
        expect(await contentOfTable(connection, table), `${name} ${helpers}`).toEqual({
          rows: sent.rows,
          hash: sent.hex(),
        });
        await connection.exec("rollback");
      }
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
