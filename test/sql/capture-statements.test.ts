import { describe, expect, test } from "vitest";
import { openClient, testMajor } from "../support/pg.ts";
import { type Captured, capturedNode } from "./capture-log.ts";
import { copyFrom } from "./copy-in.ts";

/** Each statement is run on an ordinary and on a partitioned table, which are captured in different ways. */
const shapes = {
  ordinary: "create table t (id int primary key, v text)",
  partitioned: `create table t (id int primary key, v text) partition by range (id);
    create table t_low partition of t for values from (0) to (10); create table t_high partition of t default partition by list (id);
    create table t_high_10 partition of t_high for values in (10, 11, 12); create table t_high_rest partition of t_high default`,
};

async function prepared(shape: keyof typeof shapes): Promise<Captured> {
  const node = await capturedNode();
  await node.run(shapes[shape]);
  await node.track("t");
  return node;
}

for (const shape of Object.keys(shapes) as (keyof typeof shapes)[]) {
  describe(`${shape} table`, () => {
    test("C1 INSERT … ON CONFLICT logs what was written and nothing else", async () => {
      const { run, logged, expectAgreement } = await prepared(shape);
      await run("insert into t values (1, 'a'), (2, 'b')");
      expect(await logged("t", "insert into t values (1, 'x'), (3, 'c') on conflict do nothing")).toEqual(["I 3"]);
      expect(await logged("t", "insert into t values (1, 'x') on conflict (id) do nothing")).toEqual([]);
      const mixed = await logged(
        "t",
        "insert into t values (1, 'x'), (4, 'd') on conflict (id) do update set v = excluded.v",
      );
      expect(mixed.sort()).toEqual(["I 4", "U 1"]);
      expect(
        await logged("t", "insert into t values (1, 'x') on conflict (id) do update set v = 'y' where t.v = 'never'"),
      ).toEqual([]);
      await expectAgreement();
    });

    test("C1 an update by ON CONFLICT that moves the key, which the same statement inserts again", async () => {
      const { run, logged, expectAgreement } = await prepared(shape);
      await run("insert into t values (1, 'a')");
      await logged("t", "insert into t values (1, 'x'), (1, 'y') on conflict (id) do update set id = t.id + 4");
      await expectAgreement();
    });

    test("C1 MERGE with all its actions", async ({ skip }) => {
      if (testMajor() < 15) skip("MERGE came with PostgreSQL 15");
      const { run, logged, expectAgreement } = await prepared(shape);
      await run("insert into t values (1, 'a'), (2, 'b'), (3, 'c')");
      const entries = await logged(
        "t",
        `merge into t using (values (1), (2), (3), (14)) s (id) on t.id = s.id
         when matched and s.id = 1 then delete when matched and s.id = 2 then update set v = 'x'
         when matched and s.id = 3 then do nothing when not matched then insert values (s.id, 'new')`,
      );
      expect(entries.sort()).toEqual(["D 1", "I 14", "U 2"]);
      await expectAgreement();
      expect(
        await logged("t", "merge into t using (values (99)) s (id) on t.id = s.id when matched then delete"),
      ).toEqual([]);
    });

    test("C1 COPY", async () => {
      const { client, logged, expectAgreement } = await prepared(shape);
      expect(await logged("t", "select 1")).toEqual([]);
      await copyFrom(client, "copy t from stdin", "1\ta\n12\tb\n300\tc\n");
      expect(await logged("t", "update t set v = 'x'")).toHaveLength(3);
      await expectAgreement();
    });

    test("C1 data-modifying CTEs, also a delete and an insert of one key in one statement", async () => {
      const { run, logged, expectAgreement } = await prepared(shape);
      await run("insert into t values (1, 'a'), (2, 'b'), (3, 'c'), (12, 'l')");
      expect(
        await logged(
          "t",
          "with d as (delete from t where id = 1 returning id) insert into t select id, 'again' from d",
        ),
      ).toEqual(["D 1", "I 1"]);
      await expectAgreement();
      const all = await logged(
        "t",
        `with i as (insert into t values (4, 'd') returning id), u as (update t set v = 'x' where id = 2 returning id),
         d as (delete from t where id = 3 returning id) select * from i, u, d`,
      );
      expect(all.sort()).toEqual(["D 3", "I 4", "U 2"]);
      await expectAgreement();
      await logged(
        "t",
        "with u as (update t set id = 20 where id = 12 returning id) insert into t select 12, 'new' from u",
      );
      await expectAgreement();
      await logged(
        "t",
        "with d as (delete from t returning *), i as (insert into t select * from d returning id) select count(*) from i",
      );
      await expectAgreement();
    });

    test("C1 key updates: to a new key, to a key set free before, and of many rows at once", async () => {
      const { run, logged, expectAgreement } = await prepared(shape);
      await run("insert into t select g, 'a' from generate_series(1, 5) g");
      expect((await logged("t", "update t set id = 6 where id = 5")).map((e) => e.slice(2))).toEqual(["5", "6"]);
      await expectAgreement();
      await logged("t", "update t set id = 5 where id = 6");
      await expectAgreement();
      expect(await logged("t", "update t set id = id + 100")).toHaveLength(10);
      await expectAgreement();
      // back into keys that the log has seen go
      await logged("t", "update t set id = id - 100");
      await expectAgreement();
      // the keys overlap: 1..5 become 5..9 by way of 5, which goes first
      await run("delete from t; insert into t values (5, 'a'), (4, 'b'), (3, 'c'), (2, 'd'), (1, 'e')");
      await logged("t", "update t set id = id + 1");
      await expectAgreement();
    });

    test("C1 two rows swap their keys in three steps, in one transaction and one by one", async () => {
      const { run, expectAgreement } = await prepared(shape);
      await run("insert into t values (1, 'a'), (12, 'b')");
      for (const around of [(s: string) => `begin; ${s}; commit`, (s: string) => s]) {
        await run(
          around(
            "update t set id = 99 where id = 1; update t set id = 1 where id = 12; update t set id = 12 where id = 99",
          ),
        );
        await expectAgreement();
      }
    });

    test("C1 what changes nothing: no row, equal values, a savepoint rolled back, a transaction rolled back", async () => {
      const { run, logged, expectAgreement } = await prepared(shape);
      await run("insert into t values (1, 'a')");
      expect(
        await logged(
          "t",
          "update t set v = 'x' where id = 99; delete from t where id = 99; insert into t select 1, 'b' where false",
        ),
      ).toEqual([]);
      expect(await logged("t", "update t set v = v, id = id")).toEqual(["U 1"]);
      expect(await logged("t", "begin; insert into t values (2, 'b'); rollback")).toEqual([]);
      const kept = await logged(
        "t",
        `begin; savepoint a; insert into t values (2, 'b'); delete from t where id = 1; rollback to a; savepoint b;
         insert into t values (12, 'c'); release b; update t set v = 'z' where id = 12; savepoint c; delete from t; rollback to c; commit`,
      );
      expect(kept).toEqual(["I 12", "U 12"]);
      await expectAgreement();
    });

    test("C1 the xid of an entry is the whole transaction's, also within savepoints", async () => {
      const { run, value } = await prepared(shape);
      await run(
        "begin; insert into t values (1, 'a'); savepoint a; insert into t values (2, 'b'); savepoint b; insert into t values (12, 'c'); commit",
      );
      expect(await value(`select count(distinct xid) from tandem_log."public.t"`)).toBe("1");
    });

    test("C1 TRUNCATE, plain and with RESTART IDENTITY, of an empty table, rolled back", async () => {
      const { run, logged, expectAgreement } = await prepared(shape);
      expect(await logged("t", "truncate t")).toEqual([]);
      await run("insert into t values (1, 'a'), (12, 'b'), (300, 'c')");
      expect(await logged("t", "begin; truncate t; rollback")).toEqual([]);
      expect([...new Set(await logged("t", "truncate t restart identity"))].sort()).toEqual(["D 1", "D 12", "D 300"]);
      await expectAgreement();
      await run("begin; insert into t values (1, 'a'); truncate t; insert into t values (1, 'b'); commit");
      await expectAgreement();
    });

    test("C1 H16 one key inserted, updated, deleted and inserted again in one transaction", async () => {
      const { logged, expectAgreement } = await prepared(shape);
      const entries = await logged(
        "t",
        "begin; insert into t values (1, 'a'); update t set v = 'b'; delete from t; insert into t values (1, 'c'); update t set v = 'd'; delete from t; insert into t values (1, 'e'); commit",
      );
      expect(entries).toEqual(["I 1", "U 1", "D 1", "I 1", "U 1", "D 1", "I 1"]);
      await expectAgreement();
    });
  });
}

test("C1 C7 foreign keys with ON DELETE CASCADE, SET NULL, SET DEFAULT and ON UPDATE CASCADE", async () => {
  const { run, track, logged, expectAgreement } = await capturedNode();
  await run(`create table p (id int primary key); create table c (id int primary key, p int references p on delete cascade on update cascade);
    create table g (c int primary key references c on delete cascade on update cascade);
    create table n (id int primary key, p int references p on delete set null on update set null);
    create table d (id int primary key, p int default 1 references p on delete set default on update cascade);
    create table k (p int primary key references p on update cascade on delete cascade)`);
  await track("p", "c", "g", "n", "d", "k");
  await run(
    "insert into p values (1), (2), (3); insert into c values (10, 2), (11, 3); insert into g values (10), (11); insert into n values (20, 2), (21, 3); insert into d values (30, 2); insert into k values (2), (3)",
  );
  await expectAgreement();
  await run("delete from p where id = 2");
  await expectAgreement();
  expect(await logged("k", "update p set id = 33 where id = 3")).toEqual(["D 3", "U 33"]);
  await expectAgreement();
  expect(await logged("n", "insert into n values (22, 33); delete from p where id = 33")).toEqual(["I 22", "U 22"]);
  expect(await logged("g", "select 1")).toEqual([]);
  await expectAgreement();
});

test("C1 a row that moves between partitions keeps its key or changes it", async () => {
  const { run, track, logged, expectAgreement } = await capturedNode();
  await run(`create table t (id int, part text, v text, primary key (id, part)) partition by list (part);
    create table ta partition of t for values in ('a'); create table tb partition of t for values in ('b');
    create table m (id int primary key, v text) partition by range (id); create table m1 partition of m for values from (1) to (5); create table m2 partition of m for values from (5) to (9)`);
  await track("t", "m");
  await run("insert into t values (1, 'a', 'x'), (2, 'b', 'y'); insert into m values (1, 'x')");
  expect(await logged("t", "update t set part = 'b' where id = 1")).toEqual(["D (1,a)", "I (1,b)"]);
  expect(await logged("m", "update m set id = 6")).toEqual(["D 1", "I 6"]);
  expect(await logged("m", "update m set id = 7")).toEqual(["D 6", "U 7"]);
  expect(await logged("m", "update m2 set v = 'leaf'; insert into m1 values (2, 'leaf'); delete from only m1")).toEqual(
    ["U 7", "I 2", "D 2"],
  );
  await expectAgreement();
});

test("C1 H21 TRUNCATE of a leaf, of what lies between, of a parent with a partition that came since, CASCADE", async () => {
  const { run, track, logged, expectAgreement } = await capturedNode();
  await run(`create table t (id int primary key, v text) partition by range (id);
    create table t1 partition of t for values from (0) to (10); create table t2 partition of t for values from (10) to (30) partition by range (id);
    create table t21 partition of t2 for values from (10) to (20);
    create table c (id int primary key, t int references t); create table q (id int primary key, c int references c)`);
  await track("t", "c", "q");
  const fill = "insert into t values (1, 'a'), (2, 'a'), (11, 'b')";
  await run(fill);
  expect((await logged("t", "truncate t1 cascade")).sort()).toEqual(["D 1", "D 2"]);
  await expectAgreement();
  expect(await logged("t", "truncate t2 cascade")).toContain("D 11");
  await expectAgreement();
  // partitions that Tandem has not seen yet
  await run(
    "create table t22 partition of t2 for values from (20) to (25); create table t3 partition of t for values from (30) to (40)",
  );
  await run(`${fill}, (21, 'c'), (31, 'd')`);
  expect(await logged("t", "truncate t2 cascade")).toContain("D 21");
  await expectAgreement();
  await run("insert into t values (21, 'c'); insert into c values (1, 1), (2, 31); insert into q values (1, 1)");
  expect([...new Set(await logged("t", "truncate t cascade"))].sort()).toEqual(["D 1", "D 2", "D 21", "D 31"]);
  await expectAgreement();
});

test("C1 H21 TRUNCATE … CASCADE of ordinary tables, several in one statement", async () => {
  const { run, track, logged, expectAgreement } = await capturedNode();
  await run(
    `create table p (id int primary key generated always as identity); create table c (id int primary key, p int references p); create table other (id int primary key)`,
  );
  await track("p", "c", "other");
  await run(
    "insert into p default values; insert into p default values; insert into c values (5, 1); insert into other values (7)",
  );
  expect(await logged("c", "truncate p, other restart identity cascade")).toEqual(["D 5"]);
  await expectAgreement();
});

test("C1 application triggers and rules that write are captured, at any depth", async () => {
  const { run, track, logged, expectAgreement } = await capturedNode();
  await run(`create table t (id int primary key, v text, updated_at timestamptz); create table audit (id serial primary key, what text); create table counter (id int primary key, n int);
    insert into counter values (1, 0);
    create function touch() returns trigger language plpgsql as 'begin new.updated_at := now(); return new; end';
    create function note() returns trigger language plpgsql as 'begin insert into audit (what) values (tg_op); update counter set n = n + 1; return null; end';
    create trigger touch before insert or update on t for each row execute function touch();
    create trigger note after insert or update or delete on t for each row execute function note()`);
  await track("t", "audit", "counter");
  await run("update counter set n = 0");
  expect(await logged("audit", "insert into t values (1, 'a'), (2, 'b'); delete from t where id = 1")).toHaveLength(3);
  await expectAgreement();
});

test("C1 a BEFORE trigger that changes the key, and one that refuses rows", async () => {
  const { run, track, logged, expectAgreement } = await capturedNode();
  await run(`create table t (id int primary key, v text);
    create function shift() returns trigger language plpgsql as 'begin if new.v = ''no'' then return null; end if; new.id := new.id + 100; return new; end';
    create trigger shift before insert or update on t for each row execute function shift()`);
  await track("t");
  expect(await logged("t", "insert into t values (1, 'a'), (2, 'no')")).toEqual(["I 101"]);
  expect(await logged("t", "update t set v = 'b'")).toEqual(["D 101", "U 201"]);
  expect(await logged("t", "update t set v = 'no'")).toEqual([]);
  await expectAgreement();
});

test("C1 where the last entry and the row disagree, tandem.settle makes them agree", async () => {
  const { run, track, value, expectAgreement } = await capturedNode();
  await run("create table t (id int primary key, v text)");
  await track("t");
  // the insert is complete, and has its turn to be captured, while the delete it reads from is not
  await run("insert into t values (1, 'a'), (2, 'b'), (3, 'c')");
  await run("with d as (delete from t returning *) insert into t select * from d limit 1");
  const table = await value("select table_id from tandem.tracked_table");
  await run(`select tandem.settle(${table}, jsonb_agg(jsonb_build_array(id::text))) from t`);
  await expectAgreement();
  await run(`create function gone() returns trigger language plpgsql as 'begin delete from t where id = new.id; return null; end';
    create trigger gone after insert on t for each row execute function gone(); insert into t values (9, 'x')`);
  await run(`select tandem.settle(${table}, '[["9"]]')`);
  await expectAgreement();
});

test("C9 tandem.settle leaves rows that the application has locked, so that neither ends the other by a deadlock", async () => {
  const { node, run, track, value, expectAgreement } = await capturedNode();
  await run("create table t (id int primary key, v text); insert into t values (3, 'a'), (9, 'b')");
  await track("t");
  const table = await value("select table_id from tandem.tracked_table");
  const application = await openClient(node.superUrl);
  await application.query("begin; update t set v = 'x' where id = 3");
  await run("begin");
  // it holds 9 from here on, which the application wants next
  expect(await value(`select tandem.settle(${table}, '[["9"], ["3"]]')::text`)).toBe('[["3"]]');
  const wanted = application.query("update t set v = 'y' where id = 9; commit");
  await run("commit");
  await wanted;
  await application.query("begin; update t set v = 'z' where id = 3");
  expect(await value(`select tandem.settle(${table}, '[["3"]]', true)::text`)).toBe('[["3"]]');
  await expect(run(`select tandem.settle(${table}, '[["3"], ["9"]]', true)`)).rejects.toThrow(/one row only/);
  await application.query("commit");
  await application.end();
  expect(await value(`select tandem.settle(${table}, '[["3"]]', true)::text`)).toBe("[]");
  await expectAgreement();
});

test("C1 C9 a key column that is renamed: the capture follows at the next watch", async () => {
  const { run, track, value, logged, expectAgreement } = await capturedNode();
  await run(
    `create table t (id int primary key, v text); create table p (a int, b int, primary key (a, b)) partition by list (b); create table p1 partition of p default`,
  );
  await track("t", "p");
  await run(
    "insert into t values (1, 'a'); insert into p values (1, 1); alter table t rename id to ident; alter table p rename b to part",
  );
  expect(await value("select tandem.watch()")).toBe("2");
  expect(await logged("t", "insert into t values (2, 'b'); update t set ident = 3 where ident = 2")).toEqual([
    "I 2",
    "D 2",
    "U 3",
  ]);
  expect(await logged("p", "update p set part = 2")).toEqual(["D (1,1)", "U (1,2)"]);
  expect(await value("select string_agg(ident::text, ',' order by changed_at, op) from tandem.t_changelog")).toBe(
    "1,2,2,3",
  );
  await expectAgreement();
  expect(await value("select bool_or(tandem.track_table(schema_name, table_name)) from tandem.tracked_table")).toBe(
    "f",
  );
});

test("C1 a table that is renamed or made again under its name, then tracked again", async () => {
  const { run, track, value, logged, expectAgreement } = await capturedNode();
  await run("create table a (id int primary key, v text)");
  await track("a");
  await run("insert into a values (1, 'x'); alter table a rename to b");
  await track("b");
  expect(await value("select string_agg(table_name, ',') from tandem.tracked_table")).toBe("b");
  expect(await logged("b", "insert into b values (2, 'y')")).toEqual(["I 2"]);
  await run("drop table b; create table b (id int primary key, v text, more int); insert into b values (3, 'z')");
  expect(await value("select tandem.watch()")).toBe("0");
  expect((await logged("b", "select tandem.track_table('public', 'b')")).sort()).toEqual(["D 2", "I 3"]);
  await expectAgreement();
});

test("C1 C9 many writers at once: every row has its entries and no version is given twice", async () => {
  const { node, run, track, expectAgreement, value } = await capturedNode();
  await run(`${shapes.ordinary}; create table p (id int primary key, v int) partition by hash (id);
    create table p0 partition of p for values with (modulus 2, remainder 0); create table p1 partition of p for values with (modulus 2, remainder 1)`);
  await track("t", "p");
  const writers = await Promise.all(Array.from({ length: 6 }, () => openClient(node.superUrl)));
  await Promise.all(
    writers.map(async (client, w) => {
      for (let i = 0; i < 60; i++) {
        const id = (i * 7 + w) % 12;
        // one table after the other, one key at a time: nothing deadlocks
        await client.query(`insert into t values (${id}, '${w}') on conflict (id) do update set v = excluded.v`);
        await client.query(`insert into p values (${id}, ${w}) on conflict (id) do update set v = excluded.v`);
        if (i % 5 === 0) await client.query(`delete from t where id = ${id}`);
        if (i % 7 === 0) await client.query(`delete from p where id = ${id}`);
      }
    }),
  );
  await expectAgreement();
  expect(Number(await value(`select count(*) from tandem_log."public.t"`))).toBeGreaterThan(360);
});
