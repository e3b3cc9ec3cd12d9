import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { alwaysTriggers } from "../../src/doctor/always-triggers.ts";
import { mayWrite } from "../../src/doctor/application-triggers.ts";
import { capture } from "../../src/doctor/capture.ts";
import type { Check } from "../../src/doctor/check.ts";
import { checks } from "../../src/doctor/checks.ts";
import { type DoctorReport, doctor } from "../../src/doctor/doctor.ts";
import { installed } from "../../src/doctor/installed.ts";
import { renderDoctor } from "../../src/doctor/render.ts";
import { rules } from "../../src/doctor/rules.ts";
import { candidatesQuery } from "../../src/doctor/tables.ts";
import { triggers } from "../../src/doctor/triggers.ts";
import { migrate } from "../../src/install/migrate.ts";
import { projectRoot } from "../support/child.ts";
import { configOf } from "../support/config.ts";
import { type Cluster, cluster, sql } from "../support/pg.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import { faults, rule, said } from "./doctor-config.ts";

/** Owners' databases with the same statements in each. */
async function owned(count: number, text: string): Promise<Cluster> {
  const nodes = await cluster(count, { owner: true });
  for (const { url } of nodes) await sql(url, text);
  return nodes;
}

const touch = `create table good (id int primary key, name text, updated_at timestamptz);
  create function touch() returns trigger language plpgsql as $$ begin new.updated_at := now(); return new; end $$;
  create function count_up() returns trigger language plpgsql as $$ begin update good set name = 'x' where id = 0; return null; end $$;
  create function tell() returns trigger language plpgsql as $$ begin perform pg_notify('c', ''); return null; end $$;`;

describe("triggers", () => {
  it("fires for a name after ~tandem_last and for triggers that write, where the role may not switch them off", async () => {
    const { local } = await owned(
      1,
      `${touch} create trigger touch before update on good for each row execute function touch();
       create trigger "~~late" before update on good for each row execute function touch();
       create trigger counter after insert on good for each row execute function count_up();
       create trigger told after insert on good for each row execute function tell()`,
    );
    expect(await said(triggers, configOf([local]))).toEqual([
      `problem local public.good: BEFORE trigger "~~late" sorts after "~tandem_last" and would change applied rows`,
      `warning local public.good: trigger "counter" fires during apply and may write: its writes come twice, here and with the source's own`,
      `ok local public.good: BEFORE trigger "touch" fires during apply; "~tandem_last" puts the row back`,
    ]);
  });

  it("is silent for a guarded or disabled trigger, and where the role may switch them off", async () => {
    const { local } = await owned(
      1,
      `${touch} create trigger counter after insert on good for each row execute function count_up();
       create trigger guarded after insert on good for each row when (current_setting('tandem.applying', true) is null) execute function count_up()`,
    );
    const asSuperuser = configOf([{ name: "local", url: local.superUrl }]);
    expect(await faults(triggers, asSuperuser)).toEqual([]);
    await sql(local.url, "alter table good disable trigger counter");
    expect(await faults(triggers, configOf([local]))).toEqual([]);
  });

  it("counts a partition's clone once", async () => {
    const { local } = await owned(
      1,
      `${touch} create table parts (id int primary key) partition by range (id); create table p1 partition of parts for values from (0) to (9);
       create trigger counter after insert on parts for each row execute function count_up()`,
    );
    expect(await faults(triggers, configOf([local]))).toMatchObject([{ severity: "warning", table: "public.parts" }]);
  });

  it("reads statements, not comments and notifications", () => {
    expect(
      mayWrite(
        "plpgsql",
        "begin new.a := 1; -- update t set a = 1\n/* insert into t */ perform pg_notify('a', ''); return new; end",
      ),
    ).toBe(false);
    for (const source of [
      "insert  into t values (1);",
      "UPDATE t SET a = 1;",
      "execute format('x');",
      "perform f();",
    ]) {
      expect(mayWrite("plpgsql", source)).toBe(true);
    }
    expect(mayWrite("c", "trigger_of_an_extension")).toBe(true);
  });
});

describe("always-triggers", () => {
  const text = `${touch} create trigger counter after insert on good for each row execute function count_up()`;

  it("fires for ENABLE ALWAYS and REPLICA where the role may set the replica role", async () => {
    const { local } = await owned(
      1,
      `${text}; alter table good enable always trigger counter;
      create trigger second after insert on good for each row execute function count_up(); alter table good enable replica trigger second`,
    );
    const config = configOf([{ name: "local", url: local.superUrl }]);
    expect((await faults(alwaysTriggers, config)).map(({ message }) => message)).toEqual([
      'trigger "counter" is ENABLE ALWAYS and fires during apply',
      'trigger "second" is ENABLE REPLICA and fires during apply',
    ]);
  });

  it("is silent for ordinary ones, and for Tandem's own", async () => {
    const nodes = await owned(2, text);
    await migrate(configOf(nodes));
    const config = configOf([...nodes].map(({ name, superUrl }) => ({ name, url: superUrl })));
    expect(await faults(alwaysTriggers, config)).toEqual([]);
  });
});

describe("rules", () => {
  const text = "create table good (id int primary key); create rule keep as on delete to good do instead nothing";

  it("fires: a problem where the applier's writes are rewritten too", async () => {
    const { local } = await owned(1, text);
    expect(await faults(rules, configOf([local]))).toMatchObject([{ severity: "problem", table: "public.good" }]);
    expect(await faults(rules, configOf([{ name: "local", url: local.superUrl }]))).toMatchObject([
      { severity: "warning" },
    ]);
  });

  it("is silent for tables without one, whatever views there are", async () => {
    const { local } = await owned(1, "create table good (id int primary key); create view v as select * from good");
    expect(await faults(rules, configOf([local]))).toEqual([]);
  });
});

describe("installed", () => {
  it("fires before, on one side only, for another node's database, and for other functions", async () => {
    const nodes = await owned(2, "create table good (id int primary key)");
    const config = configOf(nodes);
    expect(await faults(installed, config)).toMatchObject([
      { severity: "warning", message: "Tandem is not installed yet" },
    ]);
    await migrate(config, { node: "local" });
    expect(await faults(installed, config)).toMatchObject([
      { severity: "problem", node: "external", remedy: "Run `tandem migrate`." },
    ]);
    await migrate(config);
    const exchanged = configOf([
      { name: "external", url: nodes.local.url },
      { name: "local", url: nodes.external.url },
    ]);
    expect(await faults(installed, exchanged)).toMatchObject([
      { severity: "problem", node: "external", message: 'this database is node "local"' },
      { severity: "problem", node: "local" },
    ]);
    await nodes.external.admin.query(
      "update tandem.sql_file set sha256 = 'other' where path = 'sql/capture/watch.sql'",
    );
    await nodes.local.admin.query("update tandem.local_node set system_identifier = '42'");
    expect(await faults(installed, config)).toMatchObject([
      { severity: "problem", node: "local", remedy: expect.stringContaining("tandem rejoin") },
      { severity: "problem", node: "external", message: expect.stringContaining("with other functions") },
    ]);
  });

  it("is silent after migrate", async () => {
    const nodes = await owned(2, "create table good (id int primary key)");
    await migrate(configOf(nodes));
    expect(await faults(installed, configOf(nodes))).toEqual([]);
  });
});

describe("capture", () => {
  it("fires for triggers that were dropped or are not ALWAYS, and for tables that came later or are gone", async () => {
    const nodes = await owned(
      1,
      "create table a (id int primary key); create table b (id int primary key); create table c (id int primary key)",
    );
    const { local } = nodes;
    await migrate(configOf(nodes));
    await sql(
      local.url,
      "drop trigger tandem_update on a; alter table b disable trigger tandem_insert; alter table b enable trigger tandem_insert",
    );
    await sql(local.url, "drop table c; create table d (id int primary key)");
    const found = (await faults(capture, configOf(nodes))).map(({ severity, table }) => `${severity} ${table}`);
    expect(found).toEqual(["problem public.a", "problem public.b", "warning public.c", "warning public.d"]);
    expect(await faults(capture, configOf(nodes, { exclude: ["public.[abcd]", "public.*"] }))).toMatchObject([
      { table: "public.a", severity: "problem" },
      { table: "public.b", severity: "problem" },
      { table: "public.a", message: "is still captured, but is excluded in the configuration" },
      { table: "public.b" },
      { table: "public.c" },
    ]);
  });

  it("is silent after migrate, and before it", async () => {
    const nodes = await owned(1, "create table a (id int primary key)");
    expect(await faults(capture, configOf(nodes))).toEqual([]);
    await migrate(configOf(nodes));
    expect(await faults(capture, configOf(nodes))).toEqual([]);
  });
});

describe("doctor", () => {
  it("finds nothing wrong with two ordinary databases, before and after migrate, and changes nothing", async () => {
    const nodes = await owned(
      2,
      `create table customer (id uuid primary key, email text unique); create table item (id uuid primary key, customer_id uuid references customer)`,
    );
    const objects =
      "select count(*)::text || ' ' || (select count(*) from pg_namespace) || ' ' || (select count(*) from pg_proc) from pg_class";
    const before = await nodes.local.admin.value(objects);
    const fresh = await doctor(configOf(nodes));
    expect(fresh.findings.filter(({ severity }) => severity !== "ok")).toMatchObject([
      { check: "installed", severity: "warning" },
    ]);
    expect(await nodes.local.admin.value(objects)).toBe(before);
    await migrate(configOf(nodes));
    const report = await doctor(configOf(nodes));
    expect(report).toMatchObject({ exitCode: 0, problems: 0, warnings: 0 });
    expect(new Set(report.findings.map(({ check }) => check))).toEqual(new Set(checks.map(({ id }) => id)));
    expect(report.nodes.map(({ name }) => name)).toEqual(["local", "external"]);
    expect(renderDoctor(report)).toMatch(/\nAll is well in 2 nodes\.\n$/);
  });

  it("goes on with the other nodes when one cannot be reached, and when one is lost in the middle", async () => {
    const nodes = await owned(2, "create table notes (body text)");
    const gone = { name: "n3", url: "postgresql://u:p@127.0.0.1:9/d" };
    const report = await doctor(configOf([...nodes, gone]));
    expect(report.exitCode).toBe(1);
    expect(report.nodes[2]).toEqual({ name: "n3", serverVersion: null });
    expect(report.findings.filter(({ check }) => check === "key").map(({ node }) => node)).toEqual([
      "local",
      "external",
    ]);
    expect(renderDoctor(report)).toContain("Not looked at: n3.");
    const killer: Check = {
      id: "killer",
      title: "",
      run: async () => {
        await nodes.local.admin.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'tandem/doctor'",
        );
        return [];
      },
    };
    const lost = await doctor(configOf(nodes), { checks: [killer, ...checks.filter(({ id }) => id === "key")] });
    expect(lost.findings.filter(({ check }) => check === "key")).toMatchObject([
      { severity: "problem", node: "local", message: expect.stringContaining("could not be checked") },
      { severity: "warning", node: "external", table: "public.notes" },
    ]);
  });

  it("makes a failing check a finding, and stops only by its signal", async () => {
    const nodes = await owned(1, "");
    const broken: Check = { id: "broken", title: "", run: () => Promise.reject(new Error("no good")) };
    expect(await faults(broken, configOf(nodes))).toMatchObject([
      { severity: "warning", message: "could not be checked: no good" },
    ]);
    const stop = new AbortController();
    const slow: Check = {
      id: "slow",
      title: "",
      run: async ({ nodes: [node] }) => {
        setTimeout(() => stop.abort(), 50);
        await node?.query("select pg_sleep(2)");
        return [];
      },
    };
    await expect(doctor(configOf(nodes), { checks: [slow], signal: stop.signal })).rejects.toMatchObject({
      code: "stopped",
    });
  });

  it("works through a pooler in transaction mode and leaves its sessions as they were", async () => {
    const nodes = await owned(2, "create table good (id serial primary key)");
    const bouncer = await startPgBouncer(nodes.local.url);
    const config = configOf([{ name: "local", url: bouncer.url }, nodes.external]);
    const report = await doctor(config);
    expect(report.findings.filter(({ severity }) => severity !== "ok").map(({ check }) => check)).toEqual([
      "pooled",
      "interleave",
      "installed",
    ]);
  });

  it("prints no control character, whatever the catalog holds", async () => {
    const { local } = await owned(1, 'create table "evil\n\u001b[2J" (id int)');
    const report = await doctor(configOf([local]));
    const text = renderDoctor(report);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
    expect(text).not.toMatch(/\u001b|evil\n/);
    expect(text).toMatch(/evil/);
  });

  it("decides as tandem.table_candidates does, and as migrate does", async () => {
    const nodes = await owned(
      1,
      `create table a (id int primary key); create table "B c" (x text collate "C" not null unique, y int); create table nokey (x int);
      create table a_changelog (id int primary key); create table parent (id int primary key); create table child () inherits (parent);
      create table parts (id int primary key) partition by range (id); create schema auth; create table auth.users (id int primary key);
      create table knex_migrations (id int primary key)`,
    );
    const { local } = nodes;
    const config = configOf(nodes, {
      tables: [rule("public.*"), rule("public.a_changelog"), rule("auth.users")],
      exclude: ["*.parts"],
    });
    const { tables } = (await migrate(config)).nodes[0]!;
    const own = candidatesQuery(await readFile(join(projectRoot, "sql/capture/candidates.sql"), "utf8"));
    const columns = "schema_name, table_name, relid, partitioned, key_columns, reason_code, reason";
    const differ = `(select ${columns} from (${own}) q except select ${columns} from tandem.table_candidates)
      union all (select ${columns} from tandem.table_candidates except select ${columns} from (${own}) q)`;
    expect(await sql(local.url, differ)).toEqual([]);
    expect(tables.filter(({ outcome }) => outcome === "armed").map(({ table }) => table)).toEqual([
      "users",
      "B c",
      "a",
      "a_changelog",
    ]);
    expect(await faults(capture, config)).toEqual([]);
    await sql(local.url, "drop schema tandem_log cascade; drop schema tandem cascade");
    const asked: Check = {
      id: "asked",
      title: "",
      run: async ({ nodes: [node] }) =>
        (await node!.tracked()).map(({ label }) => ({
          check: "asked",
          severity: "ok" as const,
          message: label,
          remedy: null,
        })),
    };
    expect((await said(asked, config)).slice(1)).toEqual([
      "ok: auth.users",
      "ok: public.B c",
      "ok: public.a",
      "ok: public.a_changelog",
    ]);
  });
});

describe("renderDoctor", () => {
  const report: DoctorReport = {
    findings: [
      {
        check: "key",
        severity: "problem",
        node: "local",
        table: "public.t",
        message: "has no key.",
        remedy: "Give it one.",
      },
      { check: "clock", severity: "warning", link: "a, b", message: "the clock of a is ahead", remedy: "Set it." },
      { check: "server", severity: "ok", message: "every server is new enough", remedy: null },
    ],
    nodes: [{ name: "local", serverVersion: 150000 }],
    problems: 1,
    warnings: 1,
    exitCode: 1,
  };

  it("writes a line a finding and a sentence", () => {
    expect(renderDoctor(report)).toBe(`problem  key: local public.t: has no key. Remedy: Give it one.
warning  clock: a, b: the clock of a is ahead. Remedy: Set it.
ok       server: every server is new enough

1 problem and 1 warning in 1 node: Tandem does not work rightly until the problems are mended.
`);
  });

  it("colours the words only when asked", () => {
    const text = renderDoctor(report, { color: true });
    expect(text).toContain("\u001b[31mproblem\u001b[39m  key");
    expect(text).toContain("\u001b[33mwarning\u001b[39m  clock");
    expect(text).toContain("\u001b[32mok     \u001b[39m  server");
  });
});
