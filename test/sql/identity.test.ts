import { expect, test } from "vitest";
import { startServer } from "../../src/embedded/server.ts";
import { configure, installSql } from "../support/install.ts";
import { openClient, sql, testMajor } from "../support/pg.ts";

test("C10 a node knows itself while transactions older than its making are still open", async () => {
  // Its own server: any other transaction that ends in between would hide the hazard.
  await using server = await startServer({ major: testMajor(), settings: { fsync: "off", autovacuum: "off" } });
  const url = server.url();
  await installSql(url);
  await configure(url, "local", ["external"]);
  const older = await openClient(url);
  const own = await openClient(url);
  await own.query("begin");
  await older.query("begin; select pg_current_xact_id()");
  const [before] = await sql(
    own,
    "select pg_current_xact_id()::text as own, pg_snapshot_xmax(pg_current_snapshot())::text as xmax",
  );
  expect(Number(before?.own)).toBeGreaterThan(Number(before?.xmax));
  await own.query(`select tandem.rejoin_node('local', '[]', '{}', '{}'), tandem.check_identity('local')`);
  await own.query("commit");
  await older.query("commit");
  await sql(own, "select tandem.check_identity('local')");
  await Promise.all([older.end(), own.end()]);
});
