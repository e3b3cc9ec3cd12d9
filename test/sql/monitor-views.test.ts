import { describe, expect, onTestFinished, test } from "vitest";
import { openClient } from "../support/pg.ts";
import { type Captured, capturedNode } from "./capture-log.ts";

const twoPeers = [
  { name: "external", receivesFrom: ["local"] },
  { name: "third", receivesFrom: ["local", "external"] },
];

async function prepared(
  peers: Parameters<typeof capturedNode>[0] = ["external"],
): Promise<Captured & { acknowledge(peer: string): Promise<void>; receive(peer: string, key: string): Promise<void> }> {
  const node = await capturedNode(peers);
  await node.run(
    `create schema crm; create table perfis (id int primary key, nome text); create table crm.perfis (a int, "B b" text, primary key (a, "B b"))`,
  );
  await node.track("perfis", "crm.perfis");
  const acknowledge = async (peer: string) => {
    await node.run(
      `update tandem.outbound o set acknowledged = pg_current_snapshot(), acknowledged_at = now() from tandem.peer p where p.peer_id = o.peer_id and p.name = '${peer}'`,
    );
  };
  const receive = async (peer: string, key: string) => {
    await node.run(`insert into tandem_log."public.perfis" (xid, stamp, k1, received_from, op, origin)
      select pg_current_xact_id(), '2026-01-02 03:04:05.000007+00', ${key}, p.peer_id, 'U', p.name from tandem.peer p where p.name = '${peer}'`);
  };
  return { ...node, acknowledge, receive };
}

const columnsOf = (view: string) =>
  `select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) from pg_attribute where attrelid = '${view}'::regclass and attnum > 0 and not attisdropped`;

describe("tandem.pending", () => {
  test("C11 its columns are peer, table, op, key, changed_at", async () => {
    const { value } = await prepared();
    expect(await value(columnsOf("tandem.pending"))).toBe(
      `peer text, "table" text, op text, key text, changed_at timestamp with time zone`.replaceAll('"', ""),
    );
  });

  test("C11 one row per change and peer, until that peer has acknowledged it", async () => {
    const { run, acknowledge } = await prepared(twoPeers);
    await run(`insert into perfis values (1, 'a'); insert into crm.perfis values (2, 'x y')`);
    const pending = () => run(`select peer, "table", op, key from tandem.pending order by 1, 2, 3, 4`);
    const both = (peer: string) => [
      { peer, table: "crm.perfis", op: "I", key: '{2,"x y"}' },
      { peer, table: "perfis", op: "I", key: "1" },
    ];
    expect(await pending()).toEqual([...both("external"), ...both("third")]);
    await acknowledge("external");
    expect(await pending()).toEqual(both("third"));
    await run("delete from perfis");
    await acknowledge("third");
    expect(await pending()).toEqual([{ peer: "external", table: "perfis", op: "D", key: "1" }]);
  });

  test("C8 C11 what came from a peer is not pending for it, nor for one that hears it directly", async () => {
    const { receive, run, acknowledge } = await prepared(twoPeers);
    await acknowledge("external");
    await acknowledge("third");
    await receive("external", "7");
    expect(await run("select peer from tandem.pending")).toEqual([]);
    await receive("third", "8");
    expect(await run("select peer, key from tandem.pending")).toEqual([{ peer: "external", key: "8" }]);
    expect(await run("select id, synced from tandem.perfis_changelog order by id")).toEqual([
      { id: "7", synced: "t" },
      { id: "8", synced: "f" },
    ]);
  });

  test("C1 C11 a transaction that was open when the peer acknowledged is pending once it commits", async () => {
    const { node, run, acknowledge } = await prepared();
    const slow = await openClient(node.superUrl);
    await slow.query("begin; insert into perfis values (1, 'slow')");
    await run("insert into perfis values (2, 'quick')");
    await acknowledge("external");
    expect(await run("select key from tandem.pending")).toEqual([]);
    await slow.query("commit");
    expect(await run("select key from tandem.pending")).toEqual([{ key: "1" }]);
    expect(await run("select id, synced from tandem.perfis_changelog order by id")).toEqual([
      { id: "1", synced: "f" },
      { id: "2", synced: "t" },
    ]);
  });

  test("C11 a peer that is no longer configured holds nothing up", async () => {
    const { run } = await prepared();
    await run("insert into perfis values (1, 'a'); select tandem.configure_node('local', '[]')");
    expect(await run("select * from tandem.pending")).toEqual([]);
    expect(await run("select * from tandem.status")).toEqual([]);
    expect(await run("select synced from tandem.perfis_changelog")).toEqual([{ synced: "t" }]);
  });
});

describe("tandem.<table>_changelog", () => {
  test("C11 op, the key by its own names, changed_at, origin, synced", async () => {
    const { value, run } = await prepared();
    expect(await value(columnsOf("tandem.perfis_changelog"))).toBe(
      "op text, id bigint, changed_at timestamp with time zone, origin text, synced boolean",
    );
    expect(await value(columnsOf("tandem.crm_perfis_changelog"))).toBe(
      "op text, a bigint, B b text, changed_at timestamp with time zone, origin text, synced boolean",
    );
    await run("insert into perfis values (1, 'a'); update perfis set nome = 'b'; delete from perfis");
    expect(
      await run(
        "select op, id, origin, synced, changed_at between now() - interval '1 minute' and clock_timestamp() as now from tandem.perfis_changelog order by changed_at",
      ),
    ).toEqual(["I", "U", "D"].map((op) => ({ op, id: "1", origin: "local", synced: "f", now: "t" })));
  });

  test("C11 a key that a peer has parked is not synced, though its position was acknowledged", async () => {
    const { run, acknowledge, value } = await prepared();
    await run("insert into perfis values (1, 'a'), (2, 'b'); insert into crm.perfis values (1, 'x')");
    await acknowledge("external");
    await run(
      `insert into tandem.outbound_parked select peer_id, 'public', 'perfis', '{1}' from tandem.peer; insert into tandem.outbound_parked select peer_id, 'crm', 'perfis', '{1,x}' from tandem.peer`,
    );
    expect(await run("select id from tandem.perfis_changelog where not synced")).toEqual([{ id: "1" }]);
    expect(await run("select a from tandem.crm_perfis_changelog where not synced")).toEqual([{ a: "1" }]);
    expect(await value("select parked_there from tandem.status")).toBe("2");
  });

  test("C11 a role that may read the view, and nothing else of Tandem's, reads it", async () => {
    const { run } = await prepared();
    await run(
      "insert into perfis values (1, 'a'); create role looker_of_test; grant usage on schema tandem to looker_of_test; grant select on tandem.perfis_changelog to looker_of_test",
    );
    try {
      expect(await run("set role looker_of_test; select id, op, synced from tandem.perfis_changelog")).toEqual([
        { id: "1", op: "I", synced: "f" },
      ]);
    } finally {
      await run("reset role; drop owned by looker_of_test; drop role looker_of_test");
    }
  });

  test("C11 two tables whose views would have one name both have one, and keep it", async () => {
    const { run, track, value } = await prepared();
    await run("create table crm_perfis (id int primary key); insert into crm_perfis values (5)");
    await track("crm_perfis");
    const views = "select string_agg(changelog_view, ' ' order by table_id) from tandem.tracked_table";
    const names = (await value(views))!.split(" ");
    expect(names.slice(0, 2)).toEqual(["perfis_changelog", "crm_perfis_changelog"]);
    expect(names[2]).toMatch(/^crm_perfis_changelog\.[0-9a-f]{8}$/);
    await run("insert into crm_perfis values (6); insert into crm.perfis values (7, 'x')");
    expect(await run(`select id from tandem."${names[2]}"`)).toEqual([{ id: "6" }]);
    expect(await run("select a from tandem.crm_perfis_changelog")).toEqual([{ a: "7" }]);
    await track("crm_perfis", "crm.perfis");
    expect(await value(views)).toBe(names.join(" "));
  });

  test("C11 key columns that are named as the view's own, and long names", async () => {
    const { run, track, value } = await prepared();
    const long = "t".repeat(60);
    await run(
      `create table o (op int, key_op int, synced int, origin int, changed_at int, primary key (op, key_op, synced, origin, changed_at)); create schema "${long}"; create table "${long}"."${long}" (id int primary key)`,
    );
    await track("o", `"${long}"."${long}"`);
    await run(`insert into o values (1, 2, 3, 4, 5); insert into "${long}"."${long}" values (9)`);
    expect(
      await run(
        "select op, key_key_op, key_op, key_synced, key_origin, key_changed_at, origin from tandem.o_changelog",
      ),
    ).toEqual([
      { op: "I", key_key_op: "1", key_op: "2", key_synced: "3", key_origin: "4", key_changed_at: "5", origin: "local" },
    ]);
    const name = await value(`select changelog_view from tandem.tracked_table where table_name = '${long}'`);
    expect(Buffer.byteLength(name!)).toBeLessThanOrEqual(63);
    expect(await run(`select id from tandem."${name}"`)).toEqual([{ id: "9" }]);
  });
});

describe("tandem.history", () => {
  test("C11 what happened to a row, newest first, from whom, of tables in public and elsewhere", async () => {
    const { run, receive } = await prepared(twoPeers);
    await receive("third", "42");
    await run("insert into perfis values (42, 'a'), (43, 'b'); insert into crm.perfis values (1, 'x')");
    await run("delete from perfis where id = 42; update crm.perfis set \"B b\" = 'y'");
    expect(await run("select op, origin, received_from from tandem.history('perfis', '42')")).toEqual([
      { op: "D", origin: "local", received_from: null },
      { op: "I", origin: "local", received_from: null },
      { op: "U", origin: "third", received_from: "third" },
    ]);
    expect(await run("select op from tandem.history('public.perfis', '43')")).toEqual([{ op: "I" }]);
    expect(await run("select op from tandem.history('crm.perfis', '{1,x}')")).toEqual([{ op: "D" }, { op: "I" }]);
    expect(await run("select op from tandem.history('perfis', 'nobody')")).toEqual([]);
    expect(await run("select op from tandem.history('nowhere', '1')")).toEqual([]);
  });
});

describe("a dashboard's role", () => {
  test("C11 sees all with USAGE on the schema and SELECT on the views, and nothing with less", async () => {
    const { run, node, value } = await prepared();
    const views = (
      await run(`select c.relname as view from pg_class c where c.relnamespace = 'tandem'::regnamespace and c.relkind = 'v'
      and c.relname <> 'table_candidates' order by 1`)
    ).map(({ view }) => view);
    await run("insert into perfis values (1, 'a'); insert into crm.perfis values (1, 'x')");
    await run(`insert into tandem.parked_change (peer_id, schema_name, table_name, key, kind, reason)
      select peer_id, 'public', 'perfis', '{9}', 'refused', 'no' from tandem.peer`);
    const role = `dashboard_${node.database}`.slice(0, 60);
    await run(`create role "${role}" login password 'p'; create role "${role}_1" noinherit login password 'p'`);
    onTestFinished(async () => {
      await run(`drop owned by "${role}", "${role}_1"; drop role "${role}", "${role}_1"`);
    });
    await run(`grant usage on schema tandem to "${role}", "${role}_1"; grant "${role}" to "${role}_1"`);
    const login = async (name: string) => {
      const url = new URL(node.superUrl);
      Object.assign(url, { username: name, password: "p" });
      return await openClient(url.href);
    };
    const one = await login(role);
    await expect(one.query("select * from tandem.unsynced(1)")).rejects.toThrow(/permission denied/);
    await expect(one.query("select * from tandem.pending")).rejects.toThrow(/permission denied/);
    await run(`grant select on ${views.map((view) => `tandem.${view}`).join(", ")} to "${role}"`);
    const other = await login(`${role}_1`);
    await expect(other.query("select * from tandem.unsynced(1)")).rejects.toThrow(/permission denied/);
    await other.query(`set role "${role}"`);
    for (const client of [one, other]) {
      const counts = [];
      for (const view of views)
        counts.push(`${view} ${(await client.query(`select * from tandem.${view}`)).rows.length}`);
      expect(counts).toEqual(
        expect.arrayContaining(["pending 2", "status 1", "parked 1", "nodes 2", "perfis_changelog 1"]),
      );
      expect(counts.length).toBeGreaterThan(7);
      const { rows } = await client.query("select pending::int, parked::int from tandem.status");
      expect(rows).toEqual([{ pending: "2", parked: "1" }]);
      await expect(client.query("select * from tandem.tracked_table")).rejects.toThrow(/permission denied/);
    }
    expect(await value("select count(*) from tandem.pending")).toBe("2");
  });
});

describe("tandem.status, nodes, parked, conflicts", () => {
  test("C11 status has a row per peer, with what waits each way and the last error", async () => {
    const { run, value, acknowledge } = await prepared(twoPeers);
    await run("insert into perfis values (1, 'a'); insert into perfis values (2, 'b')");
    await acknowledge("third");
    await run(`insert into tandem.parked_change (peer_id, schema_name, table_name, key, kind, reason) select peer_id, 'public', 'perfis', '{9}', 'refused', 'no' from tandem.peer where name = 'third';
      insert into tandem.inbound_table (peer_id, schema_name, table_name, state, position, reason) select peer_id, 'public', 'perfis', 'held', '1:1:', 'columns differ' from tandem.peer where name = 'external';
      update tandem.inbound i set last_error = 'oh', last_error_at = now() from tandem.peer p where p.peer_id = i.peer_id and name = 'external'`);
    expect(
      await run(
        "select peer, pending, oldest_pending is not null as oldest, parked, conflicts_24h, tables_copying, tables_held, met, last_error, parked_there from tandem.status order by peer",
      ),
    ).toEqual([
      {
        peer: "external",
        pending: "2",
        oldest: "t",
        parked: "0",
        conflicts_24h: "0",
        tables_copying: "0",
        tables_held: "1",
        met: "f",
        last_error: "oh",
        parked_there: "0",
      },
      {
        peer: "third",
        pending: "0",
        oldest: "f",
        parked: "1",
        conflicts_24h: "0",
        tables_copying: "0",
        tables_held: "0",
        met: "f",
        last_error: null,
        parked_there: "0",
      },
    ]);
    expect(
      await value(
        "select oldest_pending = (select min(changed_at) from tandem.perfis_changelog) from tandem.status where peer = 'external'",
      ),
    ).toBe("t");
    expect(
      await run(
        "select name, here, incarnation is not null as known, acknowledged_at is not null as acknowledged from tandem.nodes order by name",
      ),
    ).toEqual([
      { name: "external", here: "f", known: "f", acknowledged: "f" },
      { name: "local", here: "t", known: "t", acknowledged: "f" },
      { name: "third", here: "f", known: "f", acknowledged: "t" },
    ]);
    expect(await run(`select peer, "table", key, kind, reason, sqlstate, attempts from tandem.parked`)).toEqual([
      { peer: "third", table: "perfis", key: "9", kind: "refused", reason: "no", sqlstate: null, attempts: "1" },
    ]);
  });

  test("C5 conflicts show who won and who lost, both images, and a row that was gone", async () => {
    const { run } = await prepared();
    const conflict = (
      winner: string,
      localValues: string,
      incomingValues: string,
    ) => `insert into tandem.conflict (peer_id, schema_name, table_name, key, kind, rule, winner, local_stamp, local_origin, incoming_stamp, incoming_origin, local_columns, local_values, incoming_columns, incoming_values)
      select peer_id, 'crm', 'perfis', '{1,x}', 'update/update', 'newest', '${winner}', '2026-01-01 00:00:0${winner.length % 7}Z', 'local', '2026-01-02 00:00Z', 'external', ${localValues}, ${incomingValues} from tandem.peer`;
    await run(conflict("incoming", `'{id,"A b"}', '{1,"it''s"}'`, `'{id,"A b"}', '{1,NULL}'`));
    await run(conflict("local", `'{id}', '{1}'`, "null, null"));
    expect(
      await run(
        `select peer, "table", key, kind, rule, winner, winner_origin, loser_origin, local_image, incoming_image from tandem.conflicts order by id`,
      ),
    ).toEqual([
      {
        peer: "external",
        table: "crm.perfis",
        key: "{1,x}",
        kind: "update/update",
        rule: "newest",
        winner: "incoming",
        winner_origin: "external",
        loser_origin: "local",
        local_image: `id = '1', "A b" = 'it''s'`,
        incoming_image: `id = '1', "A b" = null`,
      },
      {
        peer: "external",
        table: "crm.perfis",
        key: "{1,x}",
        kind: "update/update",
        rule: "newest",
        winner: "local",
        winner_origin: "local",
        loser_origin: "external",
        local_image: "id = '1'",
        incoming_image: null,
      },
    ]);
    expect(await run("select conflicts_24h from tandem.status")).toEqual([{ conflicts_24h: "2" }]);
  });
});
