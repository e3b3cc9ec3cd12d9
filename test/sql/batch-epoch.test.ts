import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { startServer } from "../../src/embedded/server.ts";
import { serverUser } from "../../src/embedded/user.ts";
import { configure, installSql } from "../support/install.ts";
import { openClient, sql, testMajor } from "../support/pg.ts";
import { BatchReader } from "./batch-reader.ts";
import { trackTable } from "./capture-log.ts";

/** pg_resetwal is in no npm package; it must be of the server's own major version. */
function resetwal(): string | undefined {
  const folders = [process.env.PG_BIN_DIR ?? "", `/usr/lib/postgresql/${testMajor()}/bin`];
  return folders.map((folder) => join(folder, "pg_resetwal")).find((path) => existsSync(path));
}

test("C1 H2 batches go on when the transaction counter passes 2^32", async ({ skip }) => {
  const program = resetwal();
  if (!program) return skip(`pg_resetwal ${testMajor()} is not on this machine`);
  await using server = await startServer({ major: testMajor(), settings: { fsync: "off" } });
  const url = server.url();
  await installSql(url);
  await configure(url, "local", ["external"]);
  const before = await openClient(url);
  await before.query("create table t (id int primary key, v text)");
  await trackTable(before, "t");
  const first = new BatchReader(before);
  await before.query("insert into t values (1, 'a')");
  await first.next();
  await before.query("insert into t values (2, 'b')");
  await before.query("update t set v = 'b' where id = 1");
  await before.end();

  const user = serverUser();
  await server.stop("fast", { keep: true });
  await promisify(execFile)(program, ["-e", "1", server.dataDir], {
    timeout: 60_000,
    ...(user ? { uid: user.uid, gid: user.gid } : {}),
  });
  await server.restart();

  const client = await openClient(server.url());
  const reader = new BatchReader(client);
  reader.position = first.position;
  const open = await openClient(server.url());
  await open.query("begin; insert into t values (10, 'open')");
  await client.query("insert into t values (3, 'c')");
  expect((await sql(client, "select pg_current_xact_id() > '4294967296'::xid8 as past"))[0]).toEqual({ past: "t" });
  const keys = (batch: { entries: string[] }) => batch.entries.map((entry) => entry.split(" ")[2]).sort();
  expect(keys(await reader.next(1))).toEqual(["2"]);
  expect(keys(await reader.next(1))).toEqual(["1"]);
  expect(keys(await reader.next())).toEqual(["3"]);
  await open.query("commit");
  expect(keys(await reader.next())).toEqual(["10"]);
  await client.end();
  await open.end();
});
