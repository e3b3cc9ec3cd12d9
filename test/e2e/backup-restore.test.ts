import { execFileSync } from "node:child_process";
import { describe, expect, test, vi } from "vitest";
import { listBackups } from "../../src/backup/list.ts";
import { type BackupRestoreReport, type RestoreOptions, restoreBackup } from "../../src/backup/restore.ts";
import { restoreNewDatabase } from "../../src/backup/restore-new.ts";
import { safetyLabel } from "../../src/backup/retention.ts";
import type { Config } from "../../src/config/config.ts";
import { skipUnless } from "../support/components.ts";
import { codeOf } from "../support/link.ts";
import { type Cluster, cluster, contentOf, hostileSettings, sql, testMajor } from "../support/pg.ts";
import { backUp, backupConfig, filesIn, manifestOf, tortureSchema } from "./backup-support.ts";

vi.setConfig({ testTimeout: 180_000 });

const shop = `
  create table region (id int primary key, name text not null unique);
  create table customer (id int generated always as identity primary key, region int not null references region on delete cascade on update cascade,
    mail text not null, referrer int references customer, updated_at timestamptz not null default '2020-01-01', unique (mail));
  create unique index on customer (lower(mail)) where mail <> '';
  create table sale (id bigserial primary key, customer int not null references customer on delete cascade, total numeric not null, twice numeric generated always as (total * 2) stored);
  create table line (id bigint primary key, sale bigint not null references sale on delete restrict, note text);
  create table part (id bigint primary key, line bigint references line on delete set null);
  create table chicken (id int primary key, egg int); create table egg (id int primary key, chicken int references chicken);
  alter table chicken add foreign key (egg) references egg;
  create table loose (a int, b text);
  create table audit (what text);
  create function touch() returns trigger language plpgsql as $$ begin new.updated_at := now(); return new; end $$;
  create trigger touch before insert or update on customer for each row execute function touch();
  create function note() returns trigger language plpgsql as $$ begin insert into public.audit values (tg_table_name || tg_op); return null; end $$;
  create trigger note after insert or update or delete on sale for each row execute function note();`;

const rows = `alter table customer disable trigger touch; alter table sale disable trigger note;
  insert into region select g, 'region ' || g from generate_series(1, 5) g;
  insert into customer (region, mail, referrer) select 1 + g % 5, 'mail' || g, nullif(g - 1, 0) from generate_series(1, 100) g;
  insert into sale (customer, total) select 1 + g % 100, g from generate_series(1, 300) g;
  insert into line select g, g, 'x' from generate_series(1, 300) g; insert into part select g, g from generate_series(1, 300) g;
  begin; insert into chicken select g, null from generate_series(1, 10) g; insert into egg select g, g from generate_series(1, 10) g; update chicken set egg = id; commit;
  insert into loose values (1, 'x'), (1, 'x'), (1, 'x'), (null, null), (2, 'y');
  alter table customer enable trigger touch; alter table sale enable trigger note;`;

/** Rows added, changed and deleted, values exchanged, references turned round. */
const afterwards = `
  alter table customer disable trigger touch;
  update customer set mail = 'tmp' where id = 2; update customer set mail = 'mail2' where id = 3; update customer set mail = 'mail3' where id = 2;
  update customer set referrer = 50 where id = 10; update customer set region = 5 where region = 1;
  alter table customer enable trigger touch;
  delete from part where id < 20; delete from line where id < 20; delete from sale where id < 10; delete from region where id = 1;
  insert into region values (77, 'new'); insert into customer (region, mail) values (77, 'new one'); insert into sale (customer, total) values (101, 5), (1, 6);
  update sale set total = total + 0.50 where id between 100 and 120; update line set note = 'changed' where id = 200;
  update chicken set egg = 11 - id; insert into egg values (11, 1); delete from loose where a = 2; delete from loose where ctid = (select min(ctid) from loose); insert into loose values (3, 'new');`;

const names = ["region", "customer", "sale", "line", "part", "chicken", "egg", "loose"].map((name) => `public.${name}`);

async function contents(nodes: Cluster, node = "local", tables = names): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {};
  for (const table of tables) all[table] = await contentOf(nodes.node(node).superUrl, table);
  return all;
}

function restore(config: Config, options: RestoreOptions, id = "latest"): Promise<BackupRestoreReport> {
  return restoreBackup(config, id, options);
}

async function prepared(nodes: Cluster): Promise<{ config: Config; id: string; before: Record<string, string[]> }> {
  await sql(nodes.local.url, shop);
  await sql(nodes.local.url, rows);
  const config = await backupConfig(nodes);
  const before = await contents(nodes);
  const { id } = await backUp(config);
  await sql(nodes.local.url, `delete from audit; ${afterwards}; delete from audit`);
  return { config, id, before };
}

const constraints = (nodes: Cluster) =>
  nodes.local.admin.query("select conname, pg_get_constraintdef(oid), convalidated from pg_constraint order by 1, 2");

const counted = ({ tables }: BackupRestoreReport) =>
  tables.map(({ name, inserted, updated, deleted, extra }) => [name, inserted, updated, deleted, extra]);

test("B5 where all is as in the backup nothing is written and nothing kept safe; only sequences move on", async () => {
  await using nodes = await cluster(1);
  await sql(nodes.local.url, `${shop}; ${rows}`);
  const config = await backupConfig(nodes);
  const { id } = await backUp(config);
  const { admin } = nodes.local;
  const places = () =>
    admin.query("select ctid::text, xmin::text from sale union all select ctid::text, xmin::text from loose");
  const before = await places();
  await admin.query("select setval('sale_id_seq', 1)");
  for (const mode of ["merge", "exact"] as const) {
    const done = await restore(config, { mode }, id);
    expect(done).toMatchObject({
      safety: null,
      tables: expect.arrayContaining([expect.objectContaining({ name: "sale", unchanged: 300 })]),
    });
    expect(done.sequences).toEqual(mode === "merge" ? [{ name: "public.sale_id_seq", from: "1", to: "300" }] : []);
  }
  expect(await places()).toEqual(before);
  expect(await filesIn(config)).toEqual((await filesIn(config)).filter((path) => path.includes(id)));
});

test("B5 a table that was as in the backup at first, and is changed before the lock, is restored as well", async () => {
  const psql = skipUnless("psql");
  await using nodes = await cluster(1);
  const { config, id, before } = await prepared(nodes);
  await sql(
    nodes.local.url,
    "create table late (id int primary key, name text); insert into late values (1, 'as it was')",
  );
  const other = await backUp(config);
  await sql(nodes.local.url, "update loose set b = 'z'");
  const onProgress = (step: string) => {
    if (step.startsWith("backup of")) execFileSync(psql, [nodes.local.url, "-qc", "update late set name = 'changed'"]);
  };
  const done = await restore(config, { mode: "exact", onProgress }, other.id);
  expect(done.tables.find(({ name }) => name === "late")).toMatchObject({ updated: 1, unchanged: 0 });
  expect(await contentOf(nodes.local.superUrl, "public.late")).toEqual(['(1,"as it was")']);
  await restore(config, { mode: "exact" }, id);
  expect(await contents(nodes)).toEqual(before);
});

describe.each([
  ["a superuser", {}],
  ["an ordinary owner with strange settings", { owner: true, settings: hostileSettings }],
])("by %s", (_, options) => {
  test.each(["json", "dump"] as const)(
    "B5 exact, from %s: every row is as it was, in every form of foreign key (thing 30)",
    async (from) => {
      await using nodes = await cluster(1, options);
      const { config, id, before } = await prepared(nodes);
      const bound = await constraints(nodes);
      const dry = await restore(config, { mode: "exact", from, dryRun: true }, id);
      expect(await contents(nodes)).not.toEqual(before);
      const done = await restore(config, { mode: "exact", from }, id);
      expect(counted(done)).toEqual(counted(dry));
      expect(await contents(nodes)).toEqual(before);
      const sums = Object.fromEntries(counted(done).map(([name, ...numbers]) => [name, numbers]));
      expect(sums).toMatchObject({ region: [1, 0, 1, 0], egg: [0, 0, 1, 0], loose: [2, 0, 1, 0], part: [19, 0, 0, 0] });
      // Triggers of the application neither falsified rows nor wrote others, and are on again.
      expect(await nodes.local.admin.value("select count(*) from audit")).toBe("0");
      expect(
        await nodes.local.admin.value("select count(*) from pg_trigger where not tgisinternal and tgenabled = 'O'"),
      ).toBe("2");
      expect(await constraints(nodes)).toEqual(bound);
      // The safety backup holds what was there before, and leads back.
      const [safety] = (await listBackups(config.backup.dir)).backups.filter(({ label }) => label === safetyLabel);
      expect(done.safety).toBe(safety?.id);
      // Nothing is to do a second time.
      expect(
        counted(await restore(config, { mode: "exact" }, id))
          .flatMap(([, ...numbers]) => numbers)
          .every((n) => n === 0),
      ).toBe(true);
    },
  );

  test("B5 merge keeps what the backup does not have; the counts are those of its dry run (thing 30)", async () => {
    await using nodes = await cluster(1, options);
    const { config, id, before } = await prepared(nodes);
    // The new customer stands in nobody's way.
    const now = await contents(nodes);
    const dry = await restore(config, { mode: "merge", dryRun: true }, id);
    const done = await restore(config, { mode: "merge" }, id);
    expect(counted(done)).toEqual(counted(dry));
    const after = await contents(nodes);
    for (const table of names) expect(after[table]).toEqual(expect.arrayContaining(before[table] ?? []));
    const own = (rows: string[], others: string[]) => rows.filter((row) => !others.includes(row));
    expect(own(after["public.region"] ?? [], before["public.region"] ?? [])).toEqual(["(77,new)"]);
    expect(own(after["public.loose"] ?? [], before["public.loose"] ?? [])).toEqual(["(3,new)"]);
    expect(after["public.sale"]?.length).toBe((before["public.sale"]?.length ?? 0) + 2);
    expect(after["public.loose"]?.length).toBe(6);
    expect(now).not.toEqual(after);
  });

  test("B5 writing goes on after a restore: no number is drawn twice, none goes back (thing 31)", async () => {
    await using nodes = await cluster(1, options);
    const { config, id } = await prepared(nodes);
    const { admin, url } = nodes.local;
    await admin.query(
      "select setval('sale_id_seq', 5000); alter table customer alter id restart with 1; alter sequence customer_id_seq increment by 7",
    );
    const done = await restore(config, { mode: "merge" }, id);
    expect(done.sequences).toEqual([{ name: "public.customer_id_seq", from: "1", to: "106" }]);
    await sql(
      url,
      "insert into customer (region, mail) values (2, 'after one'), (2, 'after two'); insert into sale (customer, total) values (1, 1)",
    );
    expect(await admin.value("select array_agg(id order by id) from customer where mail like 'after%'")).toBe(
      "{113,120}",
    );
    expect(await admin.value("select max(id) from sale")).toBe("5001");
  });
});

describe("a restore that cannot be done changes nothing", () => {
  /** Content, triggers and constraints stay; only the safety backup may be new. */
  async function expectRefused(
    nodes: Cluster,
    config: Config,
    options: RestoreOptions,
    code: string,
    words: RegExp,
    id: string,
  ): Promise<void> {
    const state = async () => ({
      rows: await contents(nodes),
      triggers: await nodes.local.admin.query(
        "select tgrelid::regclass::text, tgname, tgenabled from pg_trigger where not tgisinternal order by 1, 2",
      ),
      constraints: await constraints(nodes),
    });
    const before = await state();
    const error = await restore(config, options, id).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code });
    expect(String(error)).toMatch(words);
    expect(await state()).toEqual(before);
  }

  test("B5 a constraint, a lost connection, a signal (thing 29)", async () => {
    const psql = skipUnless("psql");
    await using nodes = await cluster(1);
    const { config, id } = await prepared(nodes);
    const { admin, superUrl } = nodes.local;
    await admin.query("alter table line add constraint only_changed check (note = 'changed' or id > 19) not valid");
    await expectRefused(nodes, config, { mode: "exact" }, "sql_failed", /only_changed/, id);
    await admin.query("alter table line drop constraint only_changed");
    const kill =
      "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name like 'tandem/restore%' and pid <> pg_backend_pid()";
    // Nothing of this process goes on before it is done.
    const cut = (step: string) => {
      if (step === "public.part") execFileSync(psql, [superUrl, "-qc", kill]);
    };
    await expectRefused(nodes, config, { mode: "exact", onProgress: cut }, "connection_lost", /./, id);
    const stop = new AbortController();
    const cancel = (step: string) => {
      if (step === "public.part") stop.abort();
    };
    await expectRefused(
      nodes,
      config,
      { mode: "exact", onProgress: cancel, signal: stop.signal },
      "stopped",
      /nothing was changed/,
      id,
    );
    expect((await restore(config, { mode: "exact" }, id)).mode).toBe("exact");
  });

  test("B5 the tables have another shape by now: all of it is told before anything is written (thing 33)", async () => {
    await using nodes = await cluster(1);
    const { config, id } = await prepared(nodes);
    const made = await filesIn(config);
    await nodes.local.admin.query(
      "alter table line drop column note; alter table egg alter chicken type bigint; drop table part; alter table region add column extra text",
    );
    const error = await restore(config, { mode: "merge" }, id).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "restore_refused" });
    for (const words of [
      "public.part is not there",
      "public.line: column note is not there",
      "public.egg: column chicken is bigint and was integer",
    ]) {
      expect(String(error)).toContain(words);
    }
    expect(await filesIn(config)).toEqual(made);
    // A column that came since is no hindrance.
    expect(counted(await restore(config, { mode: "merge", tables: ["region"] }, id))).toEqual([["region", 1, 0, 0, 1]]);
  });

  test("B5 a unique value that a new row has taken; rows of other tables that would go along", async () => {
    await using nodes = await cluster(1);
    const { config, id } = await prepared(nodes);
    const { admin } = nodes.local;
    await admin.query("insert into region values (78, 'region 1')");
    await expectRefused(nodes, config, { mode: "merge" }, "sql_failed", /duplicate key/, id);
    await expectRefused(
      nodes,
      config,
      { mode: "exact", tables: ["region"] },
      "restore_refused",
      /rows of public\.customer with them .*restore that table too/,
      id,
    );
    expect(await codeOf(restore(config, { mode: "exact", tables: ["nowhere"] }, id))).toBe("usage");
  });

  test("B5 a damaged backup, and one whose rows are not those of the manifest", async () => {
    await using nodes = await cluster(1);
    const { config, id } = await prepared(nodes);
    const { writeFile } = await import("node:fs/promises");
    const file = (await manifestOf(config, { id })).tables.find(({ name }) => name === "sale")?.file ?? "";
    await writeFile(`${config.backup.dir}/${id}/${file}`, "x");
    await expectRefused(nodes, config, { mode: "exact" }, "backup_damaged", /sale\.ndjson\.gz has 1 bytes/, id);
    // What is not damaged still comes back: other tables, and a whole database from the other half.
    expect(counted(await restore(config, { mode: "merge", tables: ["region"] }, id))).toEqual([["region", 1, 0, 0, 1]]);
    const database = `${nodes.local.database}_whole`;
    try {
      await restoreNewDatabase(config, id, database);
    } finally {
      await nodes.local.admin.query(`drop database if exists "${database}" with (force)`);
    }
    await writeFile(`${config.backup.dir}/${id}/database.dump`, "x");
    expect(await codeOf(restoreNewDatabase(config, id, database))).toBe("backup_damaged");
  });
});

test("B5 export, restore, export is the same byte for byte, for every type and shape (thing 11)", async () => {
  await using nodes = await cluster(1, { settings: hostileSettings });
  const { admin } = nodes.local;
  await admin.query(tortureSchema(testMajor()));
  const config = await backupConfig(nodes);
  const first = await backUp(config);
  const tables = (await manifestOf(config, first)).tables;
  for (const { schema, name } of tables)
    await admin.query(
      (await admin.value("select format('delete from %I.%I', $1::text, $2::text)", [schema, name])) ?? "",
    );
  const done = await restore(config, { mode: "exact" }, first.id);
  expect(done.tables.reduce((sum, { inserted }) => sum + inserted, 0)).toBe(first.rows);
  const second = await backUp(config);
  const files = async (id: string) =>
    (await manifestOf(config, { id })).files.filter(({ path }) => path.startsWith("json/"));
  expect(await files(second.id)).toEqual(await files(first.id));
});
