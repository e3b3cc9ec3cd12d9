import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { migrate } from "../../src/install/migrate.ts";
import type { MigrateEvent, MigrateReport } from "../../src/install/report.ts";
import { pgDump, skipUnless } from "../support/components.ts";
import { configOf } from "../support/config.ts";
import { cluster, openClient, sql, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { fingerprint, run, sampleSchema } from "./install-support.ts";

const two =
  "create table public.perfis (id serial primary key, nome text); create table public.visitas (id serial primary key, nome text)";

/** `public.perfis armed` of the first node in a report. */
function outcomes({ nodes }: MigrateReport): string[] {
  return (nodes[0]?.tables ?? []).map(({ schema, table, outcome, reasonCode }) =>
    [`${schema}.${table}`, outcome, reasonCode].filter(Boolean).join(" "),
  );
}

function triggersOf({ admin }: TestNode, table: string): Promise<string | null | undefined> {
  return admin.value("select count(*) from pg_trigger where tgrelid = $1::regclass and tgname ~ '^tandem_'", [table]);
}

test.each(["past", "interleave"] as const)("a second time it writes nothing (sequences: %s)", async (sequences) => {
  await using nodes = await cluster(2);
  for (const node of nodes) await node.admin.query(sampleSchema);
  const config = configOf(nodes, { sync: { sequences } });
  const first = await migrate(config);
  expect(first.nodes.map(({ changed }) => changed)).toEqual([true, true]);
  const before = await Promise.all(nodes.nodes.map(({ admin }) => fingerprint(admin)));
  const second = await migrate(config);
  expect(second.nodes.map(({ changed }) => changed)).toEqual([false, false]);
  expect(await Promise.all(nodes.nodes.map(({ admin }) => fingerprint(admin)))).toEqual(before);
});

test("twenty at once all succeed, and leave one set of rows", { timeout: 240_000 }, async () => {
  await using nodes = await cluster(2);
  for (const node of nodes) await node.admin.query(sampleSchema);
  const reports = await Promise.all(Array.from({ length: 20 }, () => migrate(configOf(nodes))));
  expect(reports.filter(({ problems }) => problems)).toEqual([]);
  expect(reports.filter(({ nodes: [local] }) => (local?.migrations.length ?? 0) > 0)).toHaveLength(1);
  const rows = `select (select count(*) from tandem.migrations) as migrations, (select count(*) from tandem.peer) as peers,
    (select count(*) from tandem.local_node) as node, (select string_agg(table_name, ',' order by table_name collate "C") from tandem.tracked_table) as tables`;
  for (const { admin } of nodes) {
    expect(await admin.query(rows)).toEqual([
      { migrations: "1", peers: "1", node: "1", tables: "Pedido Ítem,medidas,perfis,visitas" },
    ]);
  }
});

test("each node knows its peers, and from whom they receive", async () => {
  await using nodes = await cluster(3);
  const chain = {
    ...configOf(nodes),
    links: [
      { source: "local", target: "external" },
      { source: "external", target: "local" },
      { source: "external", target: "n3" },
    ],
  };
  await migrate(chain);
  const peers = `select p.name, p.receives_from::text as receives_from, i.peer_id is not null as sends, o.peer_id is not null as receives
    from tandem.peer p left join tandem.inbound i using (peer_id) left join tandem.outbound o using (peer_id) order by p.name`;
  expect(await nodes.external.admin.query(peers)).toEqual([
    { name: "local", receives_from: "{external}", sends: "t", receives: "t" },
    { name: "n3", receives_from: "{external}", sends: "f", receives: "t" },
  ]);
  expect(await nodes.node("n3").admin.query(peers)).toEqual([
    { name: "external", receives_from: "{local}", sends: "t", receives: "f" },
  ]);
  const without = { ...chain, links: chain.links.filter(({ target }) => target !== "n3") };
  expect((await migrate(without)).nodes.map(({ changed }) => changed)).toEqual([false, true, true]);
  const configured = "select string_agg(name, ',') from tandem.peer where configured";
  expect(await nodes.external.admin.value(configured)).toBe("local");
});

describe("which tables", () => {
  const many = `create schema auth; create schema crm;
    create table public.perfis (id integer primary key);
    create table public.perfis_changelog (id integer primary key);
    create table public.sem_chave (v integer);
    create table public.pgmigrations (id integer primary key);
    create table auth.users (id integer primary key);
    create table crm."a_b%\\" (id integer primary key);
    create table crm."aXb%\\" (id integer primary key);
    create table crm."x.y" (id integer primary key)`;

  test("by default: those with a key that are the application's; the others are named with the reason", async () => {
    await using nodes = await cluster(2);
    await nodes.local.admin.query(many);
    const report = await migrate(configOf(nodes), { node: "local" });
    expect(outcomes(report)).toEqual([
      "auth.users left_out provider",
      "crm.aXb%\\ armed",
      "crm.a_b%\\ armed",
      "crm.x.y armed",
      "public.perfis armed",
      "public.perfis_changelog left_out changelog",
      "public.pgmigrations left_out bookkeeping",
      "public.sem_chave left_out no_key",
    ]);
    expect(report.problems).toBe(false);
  });

  test("a name says more than a pattern, and more than the default rule, but makes no key", async () => {
    await using nodes = await cluster(2);
    await nodes.local.admin.query(many);
    await nodes.local.admin.query("create table public.feito_changelog (id integer primary key)");
    const tables = [
      { name: "auth.users" },
      { name: "public.*", conflict: "newest" as const, updatedAt: "quando" },
      { name: "public.perfis", conflict: "prefer: local" as const },
      { name: "public.perfis_changelog", updatedAt: "quando" },
      { name: "public.feito_changelog" },
      { name: "public.sem_chave" },
      { name: "public.ausente" },
      { name: 'crm."a_b%\\"' },
      { name: 'crm."x.y"' },
    ];
    const report = await migrate(configOf(nodes, { tables, exclude: ["public.pg*"] }), { node: "local" });
    expect(outcomes(report)).toEqual([
      "auth.users armed",
      "crm.aXb%\\ left_out not_listed",
      "crm.a_b%\\ armed",
      "crm.x.y armed",
      "public.ausente missing missing",
      "public.feito_changelog armed",
      "public.perfis armed",
      "public.perfis_changelog failed no_column",
      "public.pgmigrations left_out excluded",
      "public.sem_chave failed no_key",
    ]);
    expect(report.problems).toBe(true);
    const rule = "select conflict_policy, updated_at_column from tandem.tracked_table where table_name = 'perfis'";
    expect(await nodes.local.admin.query(rule)).toEqual([
      { conflict_policy: "prefer: local", updated_at_column: null },
    ]);
  });

  test("capture ends where a rule excludes a table, and only there", async () => {
    await using nodes = await cluster(2);
    await nodes.local.admin.query(two);
    await nodes.local.admin.query("create table public.auditoria_changelog (id integer primary key)");
    const everything = [{ name: "public.*" }, { name: "public.auditoria_changelog" }];
    await migrate(configOf(nodes, { tables: everything }), { node: "local" });
    const excluded = await migrate(configOf(nodes, { exclude: ["public.visitas"] }), { node: "local" });
    expect(outcomes(excluded)).toEqual([
      "public.auditoria_changelog kept changelog",
      "public.perfis unchanged",
      "public.visitas untracked excluded",
    ]);
    expect(await triggersOf(nodes.local, "public.visitas")).toBe("0");
    await nodes.local.admin.query("drop table public.perfis");
    const gone = await migrate(configOf(nodes, { tables: [{ name: "public.perfis" }] }), { node: "local" });
    expect(outcomes(gone)).toEqual([
      "public.auditoria_changelog untracked not_listed",
      "public.perfis gone missing",
      "public.visitas left_out not_listed",
    ]);
  });

  test("what went around capture since the last time enters the log", async () => {
    await using nodes = await cluster(2);
    await nodes.local.admin.query(two);
    await migrate(configOf(nodes), { node: "local" });
    const { admin } = nodes.local;
    await admin.query(
      "alter table public.perfis disable trigger tandem_insert; insert into public.perfis (nome) values ('Ana')",
    );
    await admin.query("alter table public.perfis add column nota text");
    expect(await admin.value("select count(*) from tandem.perfis_changelog")).toBe("0");
    await migrate(configOf(nodes), { node: "local" });
    expect(await admin.value("select count(*) from tandem.perfis_changelog")).toBe("1");
  });
});

describe("C9: live traffic", () => {
  test("a long transaction holds up its table only; who writes to it is not stuck behind the waiting lock", async () => {
    await using nodes = await cluster(2);
    const { local } = nodes;
    await local.admin.query(two);
    const holder = await openClient(local.url);
    await holder.query("begin; insert into public.perfis (nome) values ('Ana')");
    const writer = await openClient(local.url);
    await writer.query("set statement_timeout = '30s'");
    const events: MigrateEvent[] = [];
    let settled = false;
    const running = migrate(configOf(nodes), { node: "local", onProgress: (event) => void events.push(event) });
    void running.finally(() => {
      settled = true;
    });

    const queued = `select from pg_locks where relation = 'public.perfis'::regclass and not granted`;
    await waitFor(async () => (await local.admin.query(queued)).length > 0 || null);
    // Behind the waiting request at first: it goes on although the holder does not end.
    await writer.query("insert into public.perfis (nome) values ('Bia')");
    await waitFor(async () => events.some(({ kind }) => kind === "waiting") || null);
    expect(await triggersOf(local, "public.visitas")).toBe("4");
    expect(await triggersOf(local, "public.perfis")).toBe("0");
    expect(settled).toBe(false);

    await holder.query("commit");
    expect(outcomes(await running)).toEqual(["public.perfis armed", "public.visitas armed"]);
    expect(events.flatMap((event) => (event.kind === "table" ? [event.table.table] : []))).toEqual([
      "visitas",
      "perfis",
    ]);
  });

  test("a table that is never free is named, and the others are captured", async () => {
    await using nodes = await cluster(2);
    const { local } = nodes;
    await local.admin.query(two);
    const holder = await openClient(local.url);
    await holder.query("begin; lock table public.perfis in row exclusive mode");
    const report = await migrate(configOf(nodes), { node: "local", patienceMs: 1 });
    expect(outcomes(report)).toEqual(["public.perfis failed lock_timeout", "public.visitas armed"]);
    expect(report.problems).toBe(true);
    await holder.query("rollback");
    expect(outcomes(await migrate(configOf(nodes), { node: "local" }))).toEqual([
      "public.perfis armed",
      "public.visitas unchanged",
    ]);
  });

  test("a signal ends the waiting, and the next run goes on from there", async () => {
    await using nodes = await cluster(2);
    const { local } = nodes;
    await local.admin.query(two);
    const holder = await openClient(local.url);
    await holder.query("begin; lock table public.perfis in row exclusive mode");
    const stop = new AbortController();
    const onProgress = ({ kind }: MigrateEvent) => void (kind === "waiting" && stop.abort());
    const stopped = migrate(configOf(nodes), { node: "local", signal: stop.signal, onProgress });
    await expect(stopped).rejects.toMatchObject({ code: "stopped" });
    await holder.query("rollback");
    expect((await migrate(configOf(nodes), { node: "local" })).problems).toBe(false);
  });
});

describe("nothing half done", () => {
  test("a migration that fails leaves nothing of the ones before, and no bookkeeping", async () => {
    await using nodes = await cluster(2);
    const { admin } = nodes.local;
    await admin.query("create schema tandem; create table tandem.sql_file (minha integer)");
    await expect(migrate(configOf(nodes))).rejects.toThrow(/relation "sql_file" already exists/);
    expect(await admin.query("select relname from pg_class where relnamespace = 'tandem'::regnamespace")).toEqual([
      { relname: "sql_file" },
    ]);
    expect(await admin.value("select to_regnamespace('tandem_log')")).toBeNull();
  });

  test("one node that cannot be reached: no other is touched", async () => {
    await using nodes = await cluster(1);
    const config = configOf([nodes.local, { name: "external", url: "postgresql://nobody@127.0.0.1:1/nothing" }]);
    await expect(migrate(config)).rejects.toMatchObject({ code: "cannot_connect", node: "external" });
    expect(await nodes.local.admin.value("select to_regnamespace('tandem')")).toBeNull();
  });

  test("a node that the configuration does not have is wrong usage", async () => {
    await using nodes = await cluster(1);
    await expect(migrate(configOf(nodes), { node: "lcoal" })).rejects.toMatchObject({ code: "usage", exitCode: 2 });
  });
});

test("the far side empty of tables: the line that is printed brings the schema over, and shows no password", async () => {
  const [pg_dump, psql] = [pgDump(), skipUnless("psql")];
  await using nodes = await cluster(2, { owner: true });
  const { local, external } = nodes;
  await local.admin.query(`set role "${local.owner}"; ${sampleSchema}; reset role`);
  const url = (node: TestNode) => node.url.replace(":tandem@", ":s3cr3t-w0rd@");
  for (const { admin, owner } of nodes) await admin.query(`alter role "${owner}" password 's3cr3t-w0rd'`);
  const config = configOf([local, external].map((node) => ({ name: node.name, url: url(node) })));
  const env = { DATABASE_URL: url(local), EXTERNAL_DB_URL: url(external) };

  const plain = await migrate(config, { env: {} });
  expect(JSON.stringify(plain)).not.toContain("s3cr3t-w0rd");
  expect(plain.schemaCopies[0]?.command).toContain(`postgresql://${local.owner}@`);
  const { schemaCopies } = await migrate(config, { env });
  expect(schemaCopies).toMatchObject([{ from: "local", to: "external" }]);
  const [{ command = "" } = {}] = schemaCopies;
  expect(command).toContain('"$DATABASE_URL" | ');

  await run("sh", ["-c", command], {
    env: { ...env, PATH: [dirname(pg_dump), dirname(psql), process.env.PATH].join(":") },
  });
  const again = await migrate(config, { env });
  expect(again.schemaCopies).toEqual([]);
  const armed = again.nodes.map(
    ({ tables }) => tables.filter(({ outcome }) => outcome === "armed" || outcome === "unchanged").length,
  );
  expect(armed).toEqual([4, 4]);
  await sql(url(external), "insert into public.perfis (nome) values ('Ana')");
  expect(await external.admin.value("select count(*) from tandem.perfis_changelog")).toBe("1");
});
