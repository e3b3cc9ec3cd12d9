import { describe, expect, test } from "vitest";
import { openClient } from "../support/pg.ts";
import { seeded, seeds } from "../support/seed.ts";
import { type Captured, capturedNode } from "./capture-log.ts";

const tables = `create table t (id int primary key, v text);
  create table p (id int primary key, v text) partition by range (id); create table p1 partition of p for values from (0) to (10); create table p2 partition of p default`;

async function prepared(peers: string[] = ["external"]): Promise<Captured> {
  const node = await capturedNode(peers);
  await node.run(tables);
  await node.track("t", "p");
  return node;
}

/** Stamps of key 1 in the order in which one session wrote them, in microseconds since 1970. */
const stamps = async ({ run }: Captured, table = "t") =>
  (
    await run(`select (extract(epoch from date_trunc('second', stamp))::bigint * 1000000 + extract(microseconds from stamp)::bigint % 1000000)::text as us
      from tandem_log."public.${table}" where k1 = 1 order by ctid`)
  ).map(({ us }) => BigInt(us!));

const expectIncreasing = (list: bigint[]) => {
  for (let i = 1; i < list.length; i++) expect(list[i]! > list[i - 1]!, `${list[i - 1]} then ${list[i]}`).toBe(true);
};

for (const table of ["t", "p"]) {
  describe(table === "t" ? "ordinary table" : "partitioned table", () => {
    test("C3 captured stamps are even and strictly increase for a key, in one transaction and in many", async () => {
      const node = await prepared();
      await node.run(
        `begin; insert into ${table} values (1, 'a'); ${`update ${table} set v = 'b';`.repeat(20)} delete from ${table}; insert into ${table} values (1, 'b'); commit`,
      );
      for (let i = 0; i < 20; i++) await node.run(`update ${table} set v = '${i}'`);
      const list = await stamps(node, table);
      expect(list).toHaveLength(43);
      expectIncreasing(list);
      expect(list.every((us) => us % 2n === 0n)).toBe(true);
    });

    test("C3 while the clock is behind the floor, each change is newer than the one before", async () => {
      const node = await prepared();
      await node.run(
        "select tandem.raise_floor(peer_id, date_trunc('second', clock_timestamp()) + interval '1 day') from tandem.inbound",
      );
      await node.run(`insert into ${table} values (1, 'a')`);
      await node.run(`begin; update ${table} set v = 'b'; update ${table} set v = 'c'; commit`);
      await node.run(`update ${table} set v = 'd'`);
      await node.run(
        `update ${table} set id = 2; update ${table} set id = 1; truncate ${table}; insert into ${table} values (1, 'e')`,
      );
      const list = await stamps(node, table);
      expect(list.length).toBeGreaterThanOrEqual(8);
      expectIncreasing(list);
      expect(list.every((us) => us % 2n === 0n)).toBe(true);
      expect(
        await node.value(`select min(stamp) > now() + interval '23 hours' from tandem_log."public.${table}"`),
      ).toBe("t");
    });

    test("C3 after an entry from the future, of this node or of another, odd or even, what is written is newer", async () => {
      const node = await prepared();
      await node.run(`insert into ${table} values (1, 'a')`);
      for (const [origin, parity] of [
        ["local", 0],
        ["external", 0],
        ["external", 1],
        ["", 1],
      ] as const) {
        await node.run(`insert into tandem_log."public.${table}" (xid, stamp, k1, received_from, op, origin)
          select pg_current_xact_id(), max(date_trunc('second', stamp)) + interval '1 day' + ${parity} * interval '1 us', 1, ${origin === "external" ? 1 : "null"}, 'U', '${origin}' from tandem_log."public.${table}"`);
        await node.run(
          `update ${table} set v = 'b'; begin; update ${table} set v = 'c'; update ${table} set v = 'd'; commit`,
        );
      }
      const list = await stamps(node, table);
      expectIncreasing(list);
      // the greatest even stamp above an odd one is one away, above an even one two
      expect(
        list
          .slice(1)
          .map((us, i) => Number(us - list[i]!))
          .filter((n) => n < 10),
      ).toEqual([2, 2, 2, 2, 2, 2, 1, 2, 2, 1, 2, 2]);
    });
  });
}

test("C3 the clock steps back: the newest entry of the key decides, also for each row of one statement", async () => {
  const node = await prepared();
  await node.run("insert into t select g, 'a' from generate_series(1, 3) g");
  await node.run(`update tandem_log."public.t" set stamp = stamp + k1 * interval '1 hour'`);
  await node.run("update t set v = 'b'; delete from t");
  expect(
    await node.run(
      `select k1, count(*) as n, count(distinct stamp) as stamps, max(stamp) - min(stamp) as apart from tandem_log."public.t" group by k1 order by k1`,
    ),
  ).toEqual([1, 2, 3].map((k) => ({ k1: `${k}`, n: "3", stamps: "3", apart: "00:00:00.000004" })));
  await node.expectAgreement();
});

for (const [key, of] of [
  ["int", "g"],
  ["text", "'key ' || g"],
  ["uuid", "md5(g::text)::uuid"],
  ["timestamp", "timestamp '2026-01-01' + g * interval '1 hour'"],
] as const) {
  test(`C3 the clock steps back under a statement of many rows: each is newer than its own newest entry, key ${key}`, async () => {
    const node = await capturedNode(["external"]);
    await node.run(`create table t (id ${key}, part int, v text, primary key (id, part))`);
    await node.track("t");
    // What comes later lies further behind: a vacuum in between would make room in front.
    await node.run(`alter table tandem_log."public.t" set (autovacuum_enabled = off)`);
    await node.run(`insert into t select ${of}, 1, 'a' from generate_series(1, 300) g`);
    const ahead = (rows: string) =>
      node.run(`update tandem_log."public.t" set stamp = stamp + interval '1 day' where (k1, k2) in (select id, part from t where ${rows})
        and ctid in (select distinct on (k1, k2) ctid from tandem_log."public.t" order by k1, k2, ctid desc)`);
    const write = async (statement: string, entries: number) => {
      const before = await node.value(`select ctid from tandem_log."public.t" order by ctid desc limit 1`);
      await node.run(statement);
      const written =
        await node.run(`select count(*) as n, count(*) filter (where w.stamp <= o.stamp) as back from tandem_log."public.t" w
        join (select distinct on (k1, k2) k1, k2, stamp from tandem_log."public.t" where ctid <= '${before}' order by k1, k2, ctid desc) o using (k1, k2) where w.ctid > '${before}'`);
      expect(written, statement).toEqual([{ n: `${entries}`, back: "0" }]);
    };
    for (const rows of ["true", "id = (select id from t order by id offset 150 limit 1)", "false"]) {
      await ahead(rows);
      await write("update t set v = v || 'b'", 300);
      await ahead(rows);
      await write(
        `begin; delete from t; insert into t select ${of}, 1, 'a' from generate_series(1, 300) g; commit`,
        600,
      );
    }
    // more entries between the least and the greatest than the look reads
    await node.run(`insert into t select ${of}, p, 'a' from generate_series(1, 300) g, generate_series(2, 40) p`);
    await ahead("part = 1");
    await write("update t set v = 'c' where part = 1", 300);
    await node.expectAgreement();
  });
}

test("C9 from its hundredth row on a statement looks once, not once a row", async () => {
  const node = await prepared();
  await node.run("insert into t select g, 'a' from generate_series(1, 1000) g; begin");
  const looks = () =>
    node.value(
      "select idx_scan from pg_stat_xact_user_tables where schemaname = 'tandem_log' and relname = 'public.t'",
    );
  let before = Number(await looks());
  for (const [statement, most] of [
    ["insert into t select g, 'a' from generate_series(1001, 2000) g", 101],
    ["update t set v = 'b'", 101],
    ["update t set v = 'c' where id = 7", 1],
  ] as const) {
    await node.run(statement);
    const now = Number(await looks());
    expect(now - before, statement).toBe(most);
    before = now;
  }
  await node.run("commit");
});

for (const table of ["t", "p"]) {
  test(`C9 the key's newest entry is looked up by index, also by a plan made while the log was tiny: table ${table}`, async () => {
    const node = await prepared();
    // the plan of this session is made on a log of one page that the planner knows well
    await node.run(`insert into ${table} values (1, 'a')`);
    await node.run(`vacuum analyze tandem_log."public.${table}"`);
    for (let i = 0; i < 10; i++) await node.run(`update ${table} set v = 'b' where id = 1`);
    await node.run(`begin; insert into ${table} select g, 'a' from generate_series(2, 2000) g`);
    for (let i = 0; i < 50; i++)
      await node.run(
        `update ${table} set v = 'c' where id = ${i * 7 + 1}; delete from ${table} where id = ${i * 7 + 2}; insert into ${table} values (${i * 7 + 2}, 'again')`,
      );
    const read = await node.value(
      `select coalesce(sum(seq_tup_read), 0) from pg_stat_xact_user_tables where schemaname = 'tandem_log' and relname = 'public.${table}'`,
    );
    await node.run("commit");
    expect(read).toBe("0");
    await node.expectAgreement();
  });
}

test("C3 an older REPEATABLE READ transaction sees a floor that was raised after its snapshot", async () => {
  const node = await prepared();
  const old = await openClient(node.node.superUrl);
  await old.query("begin isolation level repeatable read; select count(*) from t");
  await node.run("select tandem.raise_floor(peer_id, clock_timestamp() + interval '2 days') from tandem.inbound");
  await old.query("insert into t values (1, 'a'); insert into p values (1, 'a'); commit");
  expect(
    await node.value(
      `select bool_and(stamp > now() + interval '47 hours') from (select stamp from tandem_log."public.t" union all select stamp from tandem_log."public.p") x`,
    ),
  ).toBe("t");
});

test("C3 a floor raised stays raised when its transaction is rolled back, and is never lowered", async () => {
  const node = await prepared();
  await node.run(
    "begin; select tandem.raise_floor(peer_id, clock_timestamp() + interval '2 days') from tandem.inbound; rollback",
  );
  await node.run("select tandem.raise_floor(peer_id, clock_timestamp() + interval '1 day') from tandem.inbound");
  await node.run("select tandem.raise_floor(peer_id, '0001-01-01 00:00:00+00') from tandem.inbound");
  expect(await node.value("select tandem.next_stamp() > now() + interval '47 hours'")).toBe("t");
});

test("C3 of several incoming links the greatest floor counts; a link that comes or goes changes nothing for the others", async () => {
  const node = await prepared(["a", "b-2", "c_3"]);
  const raise = (name: string, days: number) =>
    node.run(
      `select tandem.raise_floor(i.peer_id, clock_timestamp() + interval '${days} days') from tandem.inbound i join tandem.peer using (peer_id) where name = '${name}'`,
    );
  const ahead = async () =>
    Math.round(Number(await node.value("select extract(epoch from tandem.next_stamp() - now()) / 86400")));
  expect(await ahead()).toBe(0);
  await raise("a", 1);
  expect(await ahead()).toBe(1);
  await raise("c_3", 3);
  await raise("b-2", 2);
  expect(await ahead()).toBe(3);
  await node.run(
    `select tandem.configure_node('local', '[{"name": "d", "sends": true, "receives": true, "receives_from": []}]')`,
  );
  expect(await ahead()).toBe(3);
  await raise("d", 5);
  expect(await ahead()).toBe(5);
  await node.run("insert into t values (1, 'a')");
  expect(await node.value(`select stamp > now() + interval '4 days' from tandem_log."public.t"`)).toBe("t");
});

test("C3 a node without incoming links stamps by its clock", async () => {
  const node = await capturedNode([]);
  await node.run(tables);
  await node.track("t");
  await node.run("insert into t values (1, 'a')");
  expect(
    await node.value(
      `select stamp between now() - interval '1 minute' and now() + interval '1 minute' from tandem_log."public.t"`,
    ),
  ).toBe("t");
});

test("C3 tandem.after: one after an odd stamp, two after an even one", async () => {
  const node = await capturedNode();
  const after = (stamp: string) => node.value(`set TimeZone = 'UTC'; select tandem.after('${stamp}')`);
  expect(await after("2026-01-01 00:00:00.000001+00")).toBe("2026-01-01 00:00:00.000002+00");
  expect(await after("2026-01-01 00:00:00.000002+00")).toBe("2026-01-01 00:00:00.000004+00");
  expect(await after("2026-01-01 00:00:59.999999+00")).toBe("2026-01-01 00:01:00+00");
  expect(await after("2026-01-01 00:00:59.999998+00")).toBe("2026-01-01 00:01:00+00");
  expect(await after("0001-01-01 00:00:00+00")).toBe("0001-01-01 00:00:00.000002+00");
  expect(await after("1969-12-31 23:59:59.999999+00")).toBe("1970-01-01 00:00:00+00");
  expect(await node.value("select tandem.after(null)")).toBeNull();
});

for (const seed of seeds(3)) {
  test(`C3 to_us and from_us are each other's inverse, in any time zone, and after() keeps to both, seed ${seed}`, async () => {
    const node = await capturedNode();
    const random = seeded(seed);
    // 1684 to 2255, in microseconds
    const list = Array.from(
      { length: 3000 },
      () =>
        (BigInt(Math.floor((random.next() - 0.5) * 18_000_000_000)) * 1_000_000n) / 2n + BigInt(random.int(0, 999_999)),
    );
    for (const zone of ["UTC", "Pacific/Auckland", "America/Sao_Paulo", "Europe/Amsterdam"]) {
      await node.run(`set TimeZone = '${zone}'`);
      const [row] = await node.run(
        `select count(*) filter (where tandem.to_us(tandem.from_us(us)) <> us) as there_and_back,
           count(*) filter (where tandem.from_us(us) <> timestamptz '1970-01-01 00:00:00+00' + (us / 1000000) * interval '1 second' + (us % 1000000) * interval '1 microsecond') as wrong,
           count(*) filter (where tandem.to_us(tandem.after(tandem.from_us(us))) <> us + case when us % 2 = 0 then 2 else 1 end) as after
         from unnest('{${list.join(",")}}'::bigint[]) us`,
      );
      expect(row, zone).toEqual({ there_and_back: "0", wrong: "0", after: "0" });
    }
  });
}
