import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { describe, expect, test } from "vitest";
import { openClient, sql } from "../support/pg.ts";
import { type Random, seeded, seeds } from "../support/seed.ts";
import { BatchReader } from "./batch-reader.ts";
import { type Captured, capturedNode } from "./capture-log.ts";

interface Prepared extends Captured {
  reader: BatchReader;
  /** Each statement in a transaction of its own. */
  each(...statements: string[]): Promise<void>;
}

async function prepared(): Promise<Prepared> {
  const node = await capturedNode(["external"]);
  await node.run("create table t (id bigint primary key, v text); create table u (id bigint primary key, v text)");
  await node.track("t", "u");
  const each = async (...statements: string[]) => {
    for (const statement of statements) await node.run(statement);
  };
  return { ...node, each, reader: new BatchReader(await openClient(node.node.superUrl)) };
}

type Moment = "before from" | "between" | "after to";
const moments: Moment[] = ["before from", "between", "after to"];

/** One transaction: when it takes its snapshot, when its id, when it ends and how. */
interface Cell {
  begins: Moment;
  takesId: Moment;
  ends: Moment;
  how: "commit" | "abort" | "with savepoints";
}

const cells: Cell[] = [];
for (const [b, begins] of moments.entries())
  for (const [t, takesId] of moments.entries())
    for (const [e, ends] of moments.entries())
      for (const how of ["commit", "abort", "with savepoints"] as const)
        if (b <= t && t <= e) cells.push({ begins, takesId, ends, how });

const words = ({ begins, takesId, ends, how }: Cell) =>
  `begins ${begins}, takes its id ${takesId}, ends ${ends}: ${how}`;

describe("C1 H1 every order of begin, id and commit around two snapshots", () => {
  /** All cells go through the same three batches at once, each in its own connection, in an order of its own. */
  for (const seed of seeds(3)) {
    test(`C1 H1 ${cells.length} cells, each entry in the batch in which its transaction ended, and in no other, seed ${seed}`, async () => {
      const { node, run, reader } = await prepared();
      const random = seeded(seed);
      const clients = new Map<Cell, pg.Client>();
      for (const cell of cells) clients.set(cell, await openClient(node.superUrl));
      const step = async (moment: Moment) => {
        const todo = (["begins", "takesId", "ends"] as const).flatMap((what) =>
          random.shuffle(cells.filter((cell) => cell[what] === moment)).map((cell) => ({ what, cell })),
        );
        for (const { what, cell } of todo) {
          const client = clients.get(cell)!;
          const id = cells.indexOf(cell) * 10;
          if (what === "begins") await client.query("begin isolation level repeatable read; select 1 from t");
          else if (what === "takesId")
            await client.query(
              cell.how === "with savepoints"
                ? `savepoint a; insert into t values (${id}); savepoint b; insert into u values (${id}); rollback to b`
                : `insert into t values (${id})`,
            );
          else {
            if (cell.how === "with savepoints")
              await client.query(
                `savepoint c; insert into t values (${id + 1}); release c; rollback to a; insert into u values (${id + 2}); savepoint d; insert into t values (${id + 3}); insert into u values (${id + 4}); rollback to d; insert into t values (${id + 5})`,
              );
            else await client.query(`insert into u values (${id + 1})`);
            await client.query(cell.how === "abort" ? "rollback" : "commit");
          }
        }
      };
      const delivered: string[][] = [];
      for (const moment of moments) {
        await step(moment);
        delivered.push((await reader.next()).entries.map((entry) => entry.replace(/^(\w) \d+ (\d+) .*/, "$1$2")));
      }
      for (const [i, cell] of cells.entries()) {
        const expected =
          cell.how === "abort"
            ? []
            : cell.how === "commit"
              ? [`t${i * 10}`, `u${i * 10 + 1}`]
              : [`t${i * 10 + 5}`, `u${i * 10 + 2}`];
        const found = delivered.map((batch) =>
          batch.filter((entry) => Math.floor(Number(entry.slice(1)) / 10) === i).sort(),
        );
        const at = moments.indexOf(cell.ends);
        expect(found, words(cell)).toEqual(moments.map((_, m) => (m === at ? expected : [])));
      }
      expect((await reader.next()).entries).toEqual([]);
      expect(await run("select count(*) from tandem.tables_with_entries(pg_current_snapshot())")).toEqual([
        { count: "0" },
      ]);
    });
  }

  test("C1 a transaction open for long delays only its own rows, and tables_with_entries still sees them", async () => {
    const { node, run, reader, value } = await prepared();
    const slow = await openClient(node.superUrl);
    await slow.query("begin; insert into u values (1)");
    for (let i = 0; i < 5; i++) {
      await run(`insert into t values (${i})`);
      expect((await reader.next()).entries).toHaveLength(1);
    }
    expect(await value(`select count(*) from tandem.tables_with_entries('${reader.position}')`)).toBe("0");
    await slow.query("commit");
    expect(
      await value(
        `select string_agg(table_name, ',') from tandem.tables_with_entries('${reader.position}') x join tandem.tracked_table on table_id = x`,
      ),
    ).toBe("u");
    expect((await reader.next()).entries.map((e) => e.replace(/\d{3,}/, "xid"))).toEqual(["u xid 1 I"]);
  });
});

describe("C1 a backlog is cut between transactions, never within one", () => {
  const sizes = async (reader: BatchReader, limit: number) =>
    (await reader.drain(limit)).map(({ entries }) => entries.length);

  test("C1 C4 behind xmax(from): as many whole transactions as fit, one larger than the limit alone", async () => {
    const { run, reader } = await prepared();
    await reader.next();
    for (const n of [2, 3, 1, 9, 1, 1, 4])
      await run(
        `begin; insert into t select g from generate_series((select coalesce(max(id), 0) + 1 from t), (select coalesce(max(id), 0) from t) + ${n}) g; commit`,
      );
    expect(await sizes(reader, 5)).toEqual([5, 1, 9, 2, 4]);
  });

  test("C1 C4 one transaction over several tables counts as a whole and is not cut between them", async () => {
    const { each, reader } = await prepared();
    await reader.next();
    await each(
      "insert into t select generate_series(1, 3); insert into u select generate_series(1, 3)",
      "insert into t values (100)",
    );
    await each("insert into u values (100); insert into t values (101)", "insert into u values (102)");
    expect(await sizes(reader, 4)).toEqual([6, 4]);
    const updates = [
      "update t set v = 'x' where id = 100",
      "update u set v = 'x' where id = 100",
      "update t set v = 'y' where id = 100",
    ];
    await each(...updates);
    expect(await sizes(reader, 1)).toEqual([1, 1, 1]);
    await each(...updates);
    expect(await sizes(reader, 2)).toEqual([2, 1]);
    await each(...updates);
    expect(await sizes(reader, 3)).toEqual([3]);
  });

  test("C1 C4 among those that were open at from: whole transactions, oldest id first, whatever their order in the log", async () => {
    const { node, each, reader } = await prepared();
    const writers = await Promise.all(Array.from({ length: 6 }, () => openClient(node.superUrl)));
    for (const [i, client] of writers.entries()) await client.query(`begin; insert into t values (${i * 1000})`);
    // a snapshot lists those in progress only below the last id that has finished
    await each("insert into t values (8000)");
    await reader.next();
    expect(reader.position.split(":")[2]!.split(",").length).toBeGreaterThanOrEqual(6);
    // the later the id the sooner the rows; 3 has many more than the limit, 5 stays open
    for (const [i, client] of [...writers.entries()].reverse())
      await client.query(
        `insert into ${i % 2 ? "t" : "u"} select generate_series(${i * 1000 + 1}, ${i * 1000 + (i === 3 ? 50 : i)})`,
      );
    for (const client of writers.slice(0, 5)) await client.query("commit");
    await each("insert into t values (9001)", "insert into t values (9002)");
    // 0 (1 + 1, for 0 to 1 gives one row less), 1 and 2; 3 alone; 4 with the first of those behind; the last
    expect(await sizes(reader, 6)).toEqual([6, 51, 6, 1]);
    await writers[5]!.query("commit");
    expect((await reader.drain(6)).map((batch) => batch.entries.length)).toEqual([6]);
  });

  test("C1 a limit spent on those that were open at from still moves on by one transaction behind it", async () => {
    const { node, each, reader } = await prepared();
    const open = await openClient(node.superUrl);
    await open.query("begin; insert into t values (1), (2), (3)");
    await each("insert into t values (8000)");
    await reader.next();
    await open.query("commit");
    await each("insert into t values (4)", "insert into t values (5)", "insert into t values (6)");
    expect(await sizes(reader, 3)).toEqual([4, 2]);
  });

  test("C1 tables that are left out are not counted, and none at all ends at the snapshot", async () => {
    const { run, value } = await prepared();
    await run("insert into t select generate_series(1, 100); insert into u values (1)");
    const [u] = await run("select table_id from tandem.tracked_table where table_name = 'u'");
    expect(await value(`select cut from tandem.batch_end('1:1:', '{${u!.table_id}}', 10)`)).toBe("f");
    expect(
      await run(
        `begin; select position_to::text = pg_current_snapshot()::text as now, cut from tandem.batch_end('1:1:', '{}', 10); rollback`,
      ).then(() =>
        value(`select position_to::text = pg_current_snapshot()::text from tandem.batch_end('1:1:', '{}', 10)`),
      ),
    ).toBe("t");
  });

  test("C9 the bounds are found by index, not by reading the log", async () => {
    const { run, value } = await prepared();
    await run("insert into t select generate_series(1, 20000)");
    await run("select tandem.write_out(table_id) from tandem.tracked_table");
    await run("analyze");
    for (let i = 0; i < 3; i++) await run(`update t set v = '${i}' where id = ${i + 1}`);
    const from = await value("select pg_current_snapshot()");
    await run("update t set v = 'x' where id = 9");
    const condition = await value(`select tandem.between('${from}', pg_current_snapshot())`);
    const plan = (await run(`explain select from tandem_log."public.t" l where ${condition}`))
      .map((row) => Object.values(row)[0])
      .join("\n");
    expect(plan).not.toMatch(/Seq Scan/);
  });
});

for (const seed of seeds(3)) {
  test(`C1 C2 H1 many writers, random limits: consecutive batches bring each committed entry exactly once, seed ${seed}`, async () => {
    const { node, run, reader } = await prepared();
    const random = seeded(seed);
    let writing = 6;
    const write = async (client: pg.Client, own: Random, w: number) => {
      for (let n = 0; n < 15; n++) {
        const id = () => w * 1_000_000 + n * 1000 + own.int(0, 999);
        const insert = () =>
          `insert into ${own.pick(["t", "u"])} select generate_series(${id()}, ${id()} + ${own.pick([0, 0, 1, 2, 3, own.int(0, 30)])}) on conflict (id) do update set v = 'again';`;
        await client.query("begin");
        for (let i = own.int(1, 4); i > 0; i--) {
          if (own.chance(0.3))
            await client.query(`savepoint a; ${insert()} rollback to a; savepoint b; ${insert()} release b`);
          await client.query(insert());
          if (own.chance(0.2)) await sleep(own.int(0, own.chance(0.2) ? 120 : 15));
        }
        await client.query(own.chance(0.15) ? "rollback" : "commit");
      }
      writing--;
    };
    const clients = await Promise.all(Array.from({ length: 6 }, () => openClient(node.superUrl)));
    const done = Promise.all(clients.map((client, w) => write(client, random.fork(), w)));
    const batches = [];
    let cuts = 0;
    while (writing > 0) {
      const batch = await reader.next(random.pick([1, 2, 5, 20, 100, 100_000]));
      if (batch.cut) cuts++;
      batches.push(batch);
      if (random.chance(0.1)) await sleep(random.int(0, 30));
    }
    await done;
    batches.push(...(await reader.drain(50)));

    const delivered = batches.flatMap(({ entries }) => entries).sort();
    const there = await sql(
      node.superUrl,
      `select 't ' || concat_ws(' ', xid, k1, op) as e from tandem_log."entries public.t" union all select 'u ' || concat_ws(' ', xid, k1, op) from tandem_log."entries public.u"`,
    );
    expect(delivered).toEqual(there.map(({ e }) => e!).sort());
    // whole transactions: an id is in one batch only
    const batchOf = new Map<string, number>();
    for (const [i, { entries }] of batches.entries())
      for (const entry of entries) {
        const xid = entry.split(" ")[1]!;
        expect(batchOf.get(xid) ?? i).toBe(i);
        batchOf.set(xid, i);
      }
    expect(cuts).toBeGreaterThan(0);
    expect(await run('select count(*) > 0 as some from tandem_log."public.t"')).toEqual([{ some: "t" }]);
  });
}
