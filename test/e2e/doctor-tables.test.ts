import { describe, expect, it } from "vitest";
import { changelogs } from "../../src/doctor/changelogs.ts";
import { exclusion } from "../../src/doctor/exclusion.ts";
import { key } from "../../src/doctor/key.ts";
import { leftOut } from "../../src/doctor/left-out.ts";
import { otherReplication } from "../../src/doctor/other-replication.ts";
import { patterns } from "../../src/doctor/patterns.ts";
import { rights } from "../../src/doctor/rights.ts";
import { rowSecurity } from "../../src/doctor/row-security.ts";
import { unlogged } from "../../src/doctor/unlogged.ts";
import { migrate } from "../../src/install/migrate.ts";
import { configOf } from "../support/config.ts";
import { type ClusterOptions, cluster, openClient, sql, type TestNode } from "../support/pg.ts";
import { faults, rule, said } from "./doctor-config.ts";

/** One database of an ordinary owner, with what the owner made. */
async function owned(text: string, options: ClusterOptions = {}): Promise<TestNode> {
  const { local } = await cluster(1, { owner: true, ...options });
  await sql(local.url, text);
  return local;
}

const plain = "create table good (id bigint generated always as identity primary key, name text)";

describe("key", () => {
  it("fires for a table without a key, the more when the configuration names it", async () => {
    const node = await owned(`${plain}; create table notes (body text); create table loose (id int unique)`);
    const expected = (severity: string, table: string) => ({ check: "key", severity, node: "local", table });
    expect(await faults(key, configOf([node]))).toMatchObject([
      expected("warning", "public.loose"),
      expected("warning", "public.notes"),
    ]);
    const named = configOf([node], { tables: [rule("public.*"), rule("public.notes")] });
    expect(await faults(key, named)).toMatchObject([
      expected("problem", "public.notes"),
      expected("warning", "public.loose"),
    ]);
  });

  it("is silent for a primary key, for a unique not-null index, and for what is excluded", async () => {
    const node = await owned(
      `${plain}; create table alt (a int not null, b text not null, unique (a, b)); create table notes (body text)`,
    );
    expect(await faults(key, configOf([node], { exclude: ["public.notes"] }))).toEqual([]);
  });
});

describe("left-out", () => {
  it("fires for tables of others and for inheritance", async () => {
    const node = await owned(
      `${plain}; create table parent (id int primary key); create table child () inherits (parent)`,
    );
    await node.admin.query("create table theirs (id int primary key)");
    const config = configOf([node], { tables: [rule("public.*"), rule("public.theirs")] });
    expect(await faults(leftOut, config)).toMatchObject([
      {
        severity: "problem",
        table: "public.theirs",
        message: expect.stringMatching(/^the configuration names this table, but it is .*owned by/),
      },
      { severity: "warning", table: "public.child", message: expect.stringContaining("INHERITS") },
      { severity: "warning", table: "public.parent", remedy: expect.stringContaining("partitioning") },
    ]);
  });

  it("says in one line what is left out by rule", async () => {
    const node =
      await owned(`${plain}; create table knex_migrations (id int primary key); create table session (id int primary key);
      create schema auth; create table auth.users (id int primary key)`);
    expect(await said(leftOut, configOf([node], { exclude: ["public.session"] }))).toEqual([
      "ok: no table is left out",
      "ok local: left out, of the provider: auth.users",
      "ok local: left out, bookkeeping of migration tools: public.knex_migrations",
      "ok local: left out, excluded by the configuration: public.session",
    ]);
    expect((await said(leftOut, configOf([node], { tables: [rule("public.g*")] })))[1]).toMatch(
      /not among the tables.*public\.session/,
    );
  });

  it("is silent where every table is tracked", async () => {
    expect(await said(leftOut, configOf([await owned(plain)]))).toEqual(["ok: no table is left out"]);
  });
});

describe("patterns", () => {
  it("fires for patterns without a table, and for a column that is not there", async () => {
    const node = await owned(plain);
    const tables = [rule("public.Good"), rule("shop.*"), rule("public.good", "changed_at")];
    expect(await faults(patterns, configOf([node], { tables, exclude: ["public.gone"] }))).toMatchObject([
      { severity: "problem", message: "tables: public.Good is in no node" },
      {
        severity: "problem",
        node: "local",
        table: "public.good",
        message: "has no column changed_at, which the configuration names as updated_at",
      },
      { severity: "warning", message: "tables: shop.* matches no table of any node" },
      { severity: "warning", message: "exclude: public.gone matches no table of any node" },
    ]);
  });

  it("is silent when each pattern matches in some node", async () => {
    const node = await owned(plain);
    const tables = [rule("public.*"), rule("public.good", "name")];
    expect(await faults(patterns, configOf([node], { tables, exclude: ["*.good"] }))).toEqual([]);
  });
});

describe("rights", () => {
  it("fires where no schema may be created", async () => {
    const { local } = await cluster(1);
    const role = `${local.database}_r`.slice(0, 63);
    await local.admin.query(`create role "${role}" login password 'tandem'`);
    const url = new URL(local.url);
    [url.username, url.password] = [role, "tandem"];
    const found = await faults(rights, configOf([{ name: "local", url: url.href }]));
    await local.admin.query(`drop role "${role}"`);
    expect(found).toMatchObject([
      {
        severity: "problem",
        message: expect.stringContaining("may not create a schema"),
        remedy: expect.stringContaining("grant create on database"),
      },
    ]);
  });

  it("fires for a table and a sequence that the owner may not use", async () => {
    const node = await owned(`${plain}; create table numbered (id int primary key);
      revoke trigger on good from current_user; revoke update on sequence good_id_seq from current_user`);
    expect(await faults(rights, configOf([node]))).toMatchObject([
      { severity: "problem", table: "public.good", message: expect.stringContaining("create triggers") },
      { severity: "problem", message: expect.stringContaining("may not set sequence public.good_id_seq") },
    ]);
  });

  it("fires where the server refuses a trigger or a sequence by a rule of its own, which no privilege shows", async () => {
    const node = await owned(plain);
    await node.admin.query(`create function forbid() returns event_trigger language plpgsql as $$
      begin raise insufficient_privilege using message = 'not on this server: ' || tg_tag; end $$`);
    for (const [tag, expected] of [
      [
        "CREATE TRIGGER",
        { table: "public.good", message: "no trigger can be created here: not on this server: CREATE TRIGGER" },
      ],
      [
        "ALTER SEQUENCE",
        {
          message: expect.stringMatching(
            /^sequence public.good_id_seq cannot be set \(not on this server: ALTER SEQUENCE\)/,
          ),
        },
      ],
    ] as const) {
      await node.admin.query(
        `create event trigger forbid on ddl_command_end when tag in ('${tag}') execute function forbid()`,
      );
      for (const url of [node.url, node.superUrl]) {
        const found = await faults(rights, configOf([{ name: "local", url }]));
        expect(found).toMatchObject([{ severity: "problem", ...expected }]);
      }
      await node.admin.query("drop event trigger forbid");
    }
  });

  it("fires for a sequence that may be set but not read", async () => {
    const node = await owned(plain);
    await node.admin.query(`create sequence theirs; grant update, usage on sequence theirs to "${node.owner}";
      alter table good alter name set default nextval('theirs')`);
    const found = await faults(rights, configOf([node]));
    expect(found).toMatchObject([
      { severity: "problem", message: expect.stringContaining("may not set sequence public.theirs") },
    ]);
    await node.admin.query(`grant select on sequence theirs to "${node.owner}"`);
    expect(await faults(rights, configOf([node]))).toEqual([]);
  });

  it("tries nothing on what is in use, says so, and lets the application go on", async () => {
    const node = await owned(`${plain}; create table "Other table" (id serial primary key)`);
    const writer = await openClient(node.url);
    await writer.query("begin");
    await writer.query("insert into good (name) values ('a')");
    for (const url of [node.url, node.superUrl]) {
      const lines = await said(rights, configOf([{ name: "local", url }]));
      expect(lines.slice(1, 3)).toEqual([
        "ok local: not tried, only judged by privileges, for others use it at this moment: triggers on public.good",
        "ok local: not tried, only judged by privileges, for others use it at this moment: setting public.good_id_seq",
      ]);
      expect(await faults(rights, configOf([{ name: "local", url }]))).toEqual([]);
    }
    await writer.query("insert into good (name) values ('b')");
    await writer.query("commit");
    expect((await node.admin.query("select id from good order by id")).map(({ id }) => id)).toEqual(["1", "2"]);
  });

  it("leaves tables and sequences as they were, also those that somebody draws from meanwhile", async () => {
    const node =
      await owned(`${plain}; create table down (id int primary key default 0); create sequence d increment -3 start 7 minvalue -100 maxvalue 50 owned by down.id;
      alter table down alter id set default nextval('d'); insert into down default values;
      create table parts (id int primary key, note text) partition by range (id); create table parts_1 partition of parts for values from (0) to (9)`);
    const state = () =>
      node.admin.query(`select c.relname, c.relfilenode, c.relhastriggers, q.seqincrement, (select count(*) from pg_trigger t where t.tgrelid = c.oid) as triggers,
        pg_sequence_last_value(q.seqrelid) as last from pg_class c left join pg_sequence q on q.seqrelid = c.oid
        where c.relnamespace = 'public'::regnamespace order by 1`);
    const before = await state();
    for (const url of [node.url, node.superUrl])
      expect(await faults(rights, configOf([{ name: "local", url }]))).toEqual([]);
    expect(await state()).toEqual(before);
    const drawn: string[] = [];
    let looking = true;
    const drawing = (async () => {
      const client = await openClient(node.url);
      while (looking) drawn.push(String((await client.query("select nextval('good_id_seq')")).rows[0].nextval));
    })();
    for (let i = 0; i < 5; i++) await said(rights, configOf([node]));
    looking = false;
    await drawing;
    expect(drawn).toEqual(drawn.map((_, i) => String(i + 1)));
    expect(drawn.length).toBeGreaterThan(0);
  });

  it("fires for a role that may not use what another one installed", async () => {
    const node = await owned(plain);
    await migrate(configOf([{ name: "local", url: node.superUrl }]));
    const found = await faults(rights, configOf([node]));
    expect(found).toMatchObject([
      { severity: "problem", message: expect.stringContaining("may not use schema tandem") },
    ]);
  });

  it("is silent for an owner, says what becomes of triggers, and leaves nothing behind", async () => {
    const node = await owned(plain);
    const lines = await said(rights, configOf([node]));
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(/^ok local: the role may not set session_replication_role/);
    expect((await said(rights, configOf([{ name: "local", url: node.superUrl }])))[1]).toMatch(/stay silent/);
    expect(await node.admin.query("select from pg_namespace where nspname like 'tandem%'")).toEqual([]);
  });
});

describe("row-security", () => {
  it("fires for FORCE on the owner, and for a partition", async () => {
    const node =
      await owned(`${plain}; alter table good enable row level security; alter table good force row level security;
      create table parts (id int primary key) partition by range (id); create table parts_1 partition of parts for values from (0) to (9);
      alter table parts_1 enable row level security; alter table parts_1 force row level security`);
    expect(await faults(rowSecurity, configOf([node]))).toMatchObject([
      { severity: "problem", table: "public.good" },
      { severity: "problem", table: "public.parts" },
    ]);
  });

  it("is silent for an owner without FORCE, and for a role with BYPASSRLS", async () => {
    const node = await owned(`${plain}; alter table good enable row level security`);
    expect(await faults(rowSecurity, configOf([node]))).toEqual([]);
    await sql(node.url, "alter table good force row level security");
    await node.admin.query(`alter role "${node.owner}" bypassrls`);
    expect(await faults(rowSecurity, configOf([node]))).toEqual([]);
  });
});

describe("changelogs", () => {
  it("fires for a table named so and for a flag of synchronisation", async () => {
    const node = await owned(`${plain}; create table good_changelog (id bigserial primary key, op text, synced boolean);
      create table visits (id int primary key, synced boolean not null default false)`);
    expect(await faults(changelogs, configOf([node]))).toMatchObject([
      { severity: "warning", table: "public.good_changelog", message: "looks like a hand-made change log" },
      { severity: "warning", table: "public.visits", message: expect.stringContaining("synchronised") },
    ]);
  });

  it("is silent otherwise", async () => {
    expect(await faults(changelogs, configOf([await owned(plain)]))).toEqual([]);
  });
});

describe("other-replication", () => {
  it("fires for an enabled subscription of this database and for objects of other products", async () => {
    const { local, external } = await cluster(2);
    const connection = "host=127.0.0.1 port=1 dbname=none";
    await local.admin.query(
      `create subscription s_${local.database.slice(-12)} connection '${connection}' publication p with (connect = false)`,
    );
    const on = `s_${local.database.slice(-12)}`;
    try {
      expect(await faults(otherReplication, configOf([local, external]))).toEqual([]);
      await local.admin.query(`alter subscription ${on} enable`);
      expect(await faults(otherReplication, configOf([local, external]))).toMatchObject([
        { severity: "problem", node: "local", message: expect.stringContaining(on) },
      ]);
    } finally {
      await local.admin.query(`alter subscription ${on} disable`);
      await local.admin.query(`alter subscription ${on} set (slot_name = none)`);
      await local.admin.query(`drop subscription ${on}`);
    }
    await external.admin.query(
      "create schema bucardo; create table sym_node (id text primary key); create table sym_trigger (id text primary key)",
    );
    expect(await faults(otherReplication, configOf([local, external]))).toMatchObject([
      {
        severity: "warning",
        node: "external",
        message: expect.stringContaining("SymmetricDS (table public.sym_node, table public.sym_trigger)"),
      },
      { severity: "warning", node: "external", message: expect.stringContaining("bucardo (schema bucardo)") },
    ]);
  });

  it("is silent where Tandem is alone", async () => {
    expect(await faults(otherReplication, configOf([await owned(plain)]))).toEqual([]);
  });
});

describe("unlogged and exclusion", () => {
  it("fire for such tables", async () => {
    const node = await owned(
      "create unlogged table cache (id int primary key); create table bookings (id int primary key, during int4range, exclude using gist (during with &&))",
    );
    expect(await faults(unlogged, configOf([node]))).toMatchObject([{ severity: "warning", table: "public.cache" }]);
    expect(await faults(exclusion, configOf([node]))).toMatchObject([
      { severity: "warning", table: "public.bookings", message: expect.stringContaining("bookings_during_excl") },
    ]);
  });

  it("are silent for ordinary ones", async () => {
    const node = await owned(plain);
    expect([...(await faults(unlogged, configOf([node]))), ...(await faults(exclusion, configOf([node])))]).toEqual([]);
  });
});
