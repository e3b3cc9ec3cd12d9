import { expect, test } from "vitest";
import { openClient } from "../support/pg.ts";
import { type Captured, capturedNode } from "./capture-log.ts";

async function partitioned(): Promise<Captured & { watched(): Promise<string[]> }> {
  const node = await capturedNode(["external"]);
  await node.run(`create table t (id int primary key, v text) partition by range (id);
    create table t1 partition of t for values from (0) to (10); create table t2 partition of t for values from (10) to (20)`);
  await node.track("t");
  await node.run("insert into t values (1, 'a'), (2, 'b'), (11, 'c')");
  return { ...node, watched: () => node.logged("t", "select tandem.watch()") };
}

async function ordinary(columns = "id int primary key, v text"): Promise<Captured & { watched(): Promise<string[]> }> {
  const node = await capturedNode(["external"]);
  await node.run(`create table t (${columns})`);
  await node.track("t");
  await node.run("insert into t (id, v) overriding system value select g, 'a' from generate_series(1, 3) g");
  return { ...node, watched: () => node.logged("t", "select tandem.watch()") };
}

const triggers =
  "select count(*) filter (where tgenabled = 'A') || ' of ' || count(*) from pg_trigger where tgname like 'tandem%'";

test("C8 nothing is done, and no table is locked, when nothing has changed", async () => {
  const { node, run, value, watched } = await partitioned();
  expect(await watched()).toEqual([]);
  const other = await openClient(node.superUrl);
  await other.query("begin; lock table t in row exclusive mode");
  await run("set lock_timeout = '2s'");
  expect(await value("select tandem.watch()")).toBe("0");
  expect(
    await value(
      "select count(*) from pg_locks where pid = pg_backend_pid() and mode like '%Exclusive%' and relation = 't'::regclass",
    ),
  ).toBe("0");
});

test("C1 a partition that is created: its writes are captured at once, its TRUNCATE from the next watch on", async () => {
  const { run, value, logged, watched, expectAgreement } = await partitioned();
  await run(
    "create table t3 partition of t for values from (20) to (30) partition by list (id); create table t31 partition of t3 default",
  );
  expect(
    await logged(
      "t",
      "insert into t values (21, 'x'); update t31 set v = 'y'; insert into t31 values (22, 'z'); delete from t where id = 22",
    ),
  ).toEqual(["I 21", "U 21", "I 22", "D 22"]);
  expect(await watched()).toEqual(["I 21"]);
  expect(await logged("t", "truncate t31")).toEqual(["D 21"]);
  await run("insert into t values (23, 'x')");
  expect(await logged("t", "truncate t3")).toEqual(["D 23"]);
  await expectAgreement();
  expect(await value("select tandem.watch()")).toBe("0");
  // truncated before it was seen: the log knows the keys
  await run(
    "create table t4 partition of t for values from (40) to (50); insert into t values (41, 'x'), (42, 'y'); truncate t4; insert into t values (42, 'z')",
  );
  expect((await watched()).sort()).toEqual(["D 41", "I 42"]);
  await expectAgreement();
});

test("C1 a table with rows that is attached", async () => {
  const { run, watched, logged, expectAgreement } = await partitioned();
  await run(
    `create table "T %s" (v text, id int not null primary key); insert into "T %s" values ('x', 31), ('y', 32); alter table t attach partition "T %s" for values from (30) to (40)`,
  );
  expect(await logged("t", "update t set v = 'z' where id = 31")).toEqual(["U 31"]);
  expect((await watched()).sort()).toEqual(["I 31", "I 32"]);
  expect((await logged("t", `truncate "T %s"`)).sort()).toEqual(["D 31", "D 32"]);
  await expectAgreement();
});

test("C1 a partition that is detached: its rows become deletions, what is written to it is no longer captured", async () => {
  const { run, value, watched, logged, expectAgreement } = await partitioned();
  await run("alter table t detach partition t1");
  expect((await watched()).sort()).toEqual(["D 1", "D 2"]);
  await expectAgreement();
  expect(await logged("t", "insert into t1 values (3, 'x'); truncate t1")).toEqual([]);
  expect(await value("select count(*) from pg_trigger where tgrelid = 't1'::regclass and not tgisinternal")).toBe("0");
  // rows that went into another partition meanwhile are not deleted
  await run(
    "insert into t2 values (12, 'x'); alter table t detach partition t2; create table t0 partition of t for values from (10) to (20); insert into t values (11, 'again')",
  );
  expect((await watched()).sort()).toEqual(["D 12", "I 11"]);
  await expectAgreement();
});

test("C1 a detached one that changed before the watch, or was away for one transaction only", async () => {
  const { run, watched, expectAgreement } = await partitioned();
  await run("alter table t detach partition t1; delete from t1 where id = 1; insert into t1 values (5, 'x')");
  expect((await watched()).sort()).toEqual(["D 1", "D 2", "D 5"]);
  await run("alter table t attach partition t1 for values from (0) to (10)");
  await watched();
  await expectAgreement();
  await run(
    "begin; alter table t detach partition t1; delete from t1 where id = 2; insert into t1 values (6, 'y'); alter table t attach partition t1 for values from (0) to (10); commit",
  );
  expect((await watched()).sort()).toEqual(["D 2", "I 5", "I 6"]);
  await expectAgreement();
});

test("C1 a partition that is dropped: what the log knows of it becomes deletions", async () => {
  const { run, value, watched, expectAgreement } = await partitioned();
  await run("drop table t1");
  expect((await watched()).sort()).toEqual(["D 1", "D 2"]);
  await expectAgreement();
  await run("drop table t2; create table t2 partition of t for values from (10) to (20)");
  expect(await watched()).toEqual(["D 11"]);
  await expectAgreement();
  expect(await value("select tandem.watch()")).toBe("0");
});

for (const [what, undo] of [
  ["disabled and enabled, so no longer ALWAYS", "alter table t enable trigger all"],
  ["disabled and left so", "select 1"],
  ["enabled for replica role only", "alter table t enable replica trigger tandem_update"],
] as const) {
  test(`C1 C11 capture triggers ${what}: armed again, and all keys are compared`, async () => {
    const { run, value, watched, logged, expectAgreement } = await ordinary();
    await run(
      `alter table t disable trigger all; update t set v = 'unseen' where id = 1; delete from t where id = 2; insert into t values (9, 'unseen'); ${undo}`,
    );
    expect((await watched()).sort()).toEqual(["D 2", "U 1", "U 3", "U 9"]);
    expect(await value(triggers)).toBe("4 of 4");
    expect(
      await logged(
        "t",
        "set session_replication_role = replica; update t set v = 'x' where id = 1; reset session_replication_role",
      ),
    ).toEqual(["U 1"]);
    expect(await watched()).toEqual([]);
    await expectAgreement();
  });
}

test("C1 C11 one capture trigger dropped, of an ordinary table and of a partitioned one, of a leaf, or bent to another function", async () => {
  const { run, value, watched, logged, expectAgreement } = await ordinary();
  for (const name of ["tandem_insert", "tandem_update", "tandem_delete", "tandem_truncate"]) {
    await run(`drop trigger ${name} on t`);
    expect((await watched()).sort(), name).toEqual(["U 1", "U 2", "U 3"]);
  }
  await run(
    `create function nothing() returns trigger language plpgsql as 'begin return null; end'; drop trigger tandem_update on t; create trigger tandem_update after update on t for each statement execute function nothing(); alter table t enable always trigger tandem_update`,
  );
  expect(await watched()).toHaveLength(3);
  expect(await logged("t", "update t set v = 'x' where id = 1")).toEqual(["U 1"]);
  await expectAgreement();

  const p = await partitioned();
  for (const drop of [
    "drop trigger tandem_row on t",
    "drop trigger tandem_truncate on t",
    "drop trigger tandem_truncate on t1",
    "alter table t2 disable trigger tandem_row",
    "alter table t disable trigger all",
  ]) {
    await p.run(drop);
    expect((await p.watched()).sort(), drop).toEqual(["U 1", "U 11", "U 2"]);
    expect(await p.value("select tandem.watch()")).toBe("0");
  }
  expect(await value(triggers)).toBe("4 of 4");
  expect(
    await p.logged("t", "set session_replication_role = replica; update t set v = 'x'; reset session_replication_role"),
  ).toHaveLength(3);
  await p.expectAgreement();
});

test("C1 C11 a capture trigger that was dropped and made again, and one that migrate finds missing", async () => {
  const { run, track, value, watched, logged, expectAgreement } = await ordinary();
  const all = ["U 1", "U 2", "U 3"];
  const definition = await value(
    "select pg_get_triggerdef(oid) from pg_trigger where tgrelid = 't'::regclass and tgname = 'tandem_update'",
  );
  await run(
    `drop trigger tandem_update on t; update t set v = 'unseen'; ${definition}; alter table t enable always trigger tandem_update`,
  );
  expect((await watched()).sort()).toEqual(all);
  await run("drop trigger tandem_update on t; update t set v = 'unseen again'");
  expect((await logged("t", "select tandem.track_table('public', 't')")).sort()).toEqual(all);
  await run("alter table t disable trigger all");
  expect((await logged("t", "select tandem.track_table('public', 't')")).sort()).toEqual(all);
  await track("t");
  expect(await watched()).toEqual([]);
  await expectAgreement();
});

for (const columns of [
  "id int primary key, v text",
  "id serial primary key, v text, made timestamptz default now()",
  "id int primary key generated always as identity, v text",
]) {
  test(`C3 a column added to (${columns}): logged again only where the default may differ`, async () => {
    const { watched, run, value } = await ordinary(columns);
    const all = ["U 1", "U 2", "U 3"];
    const after = async (change: string) => {
      await run(`alter table t ${change}`);
      const entries = (await watched()).sort();
      expect(await value("select tandem.watch()")).toBe("0");
      return entries;
    };
    expect(await after("add column a int")).toEqual([]);
    expect(await after("add column b int not null default 5, add column b2 text default 'x'")).toEqual([]);
    expect(await after("add column c float8 default random()")).toEqual(all);
    expect(await after("add column d int")).toEqual([]);
    expect(await after("add column e timestamptz default now()")).toEqual(all);
    expect(await after("add column f bigserial")).toEqual(all);
    expect(await after("add column g int generated by default as identity")).toEqual(all);
    expect(await after("add column h int generated always as (a * 2) stored")).toEqual([]);
    expect(await after("add column i uuid default gen_random_uuid(), drop column a cascade")).toEqual(all);
    expect(await after("rename column b to bb")).toEqual([]);
    expect(await after("drop column c")).toEqual([]);
  });
}

test("C3 a column added to a partitioned table", async () => {
  const { watched, run } = await partitioned();
  await run("alter table t add column a int default 7");
  expect(await watched()).toEqual([]);
  await run("alter table t add column b float8 default random()");
  expect((await watched()).sort()).toEqual(["U 1", "U 11", "U 2"]);
});

test("C1 a tracked table that is dropped is left alone; others are still watched", async () => {
  const { run, track, value } = await partitioned();
  await run("create table u (id int primary key); insert into u values (1)");
  await track("u");
  await run("drop table t; alter table u disable trigger all");
  expect(await value("select tandem.watch()")).toBe("1");
  expect(await value("select tandem.untrack_table('public', 't')")).toBe("t");
});

test("C9 tracked and untracked, a table is as it was, partitions detached meanwhile too", async () => {
  const { run, value, track } = await partitioned();
  await run(
    "create table u (id int primary key, v text); create function keep() returns trigger language plpgsql as 'begin return new; end'; create trigger keep before update on u for each row execute function keep()",
  );
  await track("u");
  await run(
    "alter table t detach partition t1; select tandem.untrack_table('public', 't'), tandem.untrack_table('public', 'u')",
  );
  expect(await value("select string_agg(tgname, ',') from pg_trigger where not tgisinternal")).toBe("keep");
  expect(
    await value("select count(*) from pg_class where relnamespace = 'tandem_log'::regnamespace and relkind = 'r'"),
  ).toBe("0");
  expect(await value("select count(*) from pg_proc where pronamespace = 'tandem_log'::regnamespace")).toBe("0");
});
