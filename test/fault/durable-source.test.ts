import { expect, test, vi } from "vitest";
import type { SmallApply } from "../../src/base/exchange.ts";
import { systemClock } from "../../src/base/time.ts";
import { connect } from "../../src/db/connect.ts";
import { Link } from "../../src/link/link.ts";
import { PostgresSource } from "../../src/postgres/source.ts";
import { PostgresTarget } from "../../src/postgres/target.ts";
import { connectClient } from "../support/client.ts";
import { sql } from "../support/pg.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import { waitFor } from "../support/wait.ts";
import { synced, twoServers } from "./servers.ts";

vi.setConfig({ testTimeout: 300_000 });

test("C1 C2: what a crash of the source undoes was never sent, though its commit was not waited for: the short way", async () => {
  // What was committed stays in memory.
  await using all = await twoServers("create table t (id int primary key)", { settings: { wal_writer_delay: "10s" } });
  const { servers, opened } = all;
  const [source, target] = servers;
  await synced(opened, { local: source.url(), external: target.url() });
  await using from = await connect({ name: "local", url: source.url() }, "test");
  await using to = await connect({ name: "external", url: target.url() }, "test");
  const link = new Link(new PostgresSource(from, "external"), new PostgresTarget(to, "local"), {
    clock: systemClock,
    batchRows: 100_000,
  });
  await sql(source.url(), "insert into t values (1)");
  while ((await link.round()).worked);
  const client = await connectClient(source.url());
  client.on("error", () => {});

  // The application commits between any two transactions of the message.
  const exec = from.exec.bind(from);
  let id = 1;
  let unhurried = false;
  from.exec = async (text) => {
    if (!text.includes("tandem:small-read")) return await exec(text);
    const answers = [];
    for (const transaction of text.split(/(?<=\bcommit\b);?/).filter((part) => part.trim() !== "")) {
      if (answers.length > 0) {
        await client.query(`insert into t values (${++id})`);
        const { rows } = await client.query("select pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn() as waits");
        unhurried ||= rows[0].waits === "t";
      }
      answers.push(...(await exec(transaction)));
    }
    return answers;
  };
  let sent: string[] = [];
  link.target.applySmall = async ({ batch }: SmallApply) => {
    sent = batch.tables.flatMap(({ rows }) => rows).map((row) => /^\(\d+,(\d+),/.exec(row)?.[1] ?? row);
    await source.kill();
    throw new Error("the source is gone");
  };
  await client.query(`insert into t values (${++id})`);
  await expect(link.round(true)).rejects.toThrow("the source is gone");
  await client.end().catch(() => {});
  await source.restart();
  const kept = (await sql(source.url(), "select id from t")).map(({ id }) => id ?? "");
  expect(sent.length).toBeGreaterThan(1);
  expect(sent.filter((id) => !kept.includes(id))).toEqual([]);
  // Else nothing could have been undone, and this would have shown nothing.
  expect(unhurried).toBe(true);
});

test("C1 C2: behind a pooler nothing is lost to a transaction id that is given anew after a crash of the source", async () => {
  await using all = await twoServers("create table t (id int primary key)", { settings: { wal_writer_delay: "10s" } });
  const { servers, opened } = all;
  const [source, target] = servers;
  await synced(opened, { local: source.url(), external: target.url() });
  const bouncer = opened.add(await startPgBouncer(source.url()));
  await using from = await connect({ name: "local", url: bouncer.url }, "test");
  await using to = await connect({ name: "external", url: target.url() }, "test");
  expect(from.pooled).toBe(true);
  const link = new Link(new PostgresSource(from, "external"), new PostgresTarget(to, "local"), {
    clock: systemClock,
    batchRows: 100_000,
  });
  await sql(source.url(), "insert into t values (1)");
  while ((await link.round()).worked);

  let id = 1;
  for (const woken of [false, true]) {
    let again = false;
    // What it wrote comes to the disk with whatever is committed durably after it: mostly nothing is before the crash, but autovacuum may be about.
    for (let attempt = 0; attempt < 10 && !again; attempt++) {
      const client = await connectClient(source.url());
      client.on("error", () => {});
      await client.query("begin; insert into t values (0)");
      const { rows } = await client.query("select pg_current_xact_id()::text as xid");
      await client.query("rollback");
      expect(await link.round(woken)).toMatchObject({ worked: false, reached: true });
      await source.kill();
      await client.end().catch(() => {});
      await source.restart();
      const insert = `insert into t values (${++id}) returning pg_current_xact_id()::text as xid`;
      const [written] = await sql(source.url(), insert);
      again = written?.xid === rows[0].xid;
      await waitFor(async () => {
        await link.round().catch(() => {});
        expect(from.broken).toBe(false);
        return (await sql(target.url(), `select from t where id = ${id}`)).length === 1;
      });
      while ((await link.round()).worked);
    }
    // Else this would have shown nothing.
    expect(again).toBe(true);
  }
});
