import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { backupFolder, backupPrograms, backupRows } from "../../src/doctor/backups.ts";
import { connections, connectionsWith } from "../../src/doctor/connections.ts";
import { foreignKeys } from "../../src/doctor/foreign-keys.ts";
import { lockTable, lockTableFrom } from "../../src/doctor/lock-table.ts";
import { provider, providerOf } from "../../src/doctor/provider.ts";
import { wraparound, wraparoundFrom } from "../../src/doctor/wraparound.ts";
import { tempFolder } from "../support/child.ts";
import { configOf } from "../support/config.ts";
import { cluster, sql } from "../support/pg.ts";
import { faults, said } from "./doctor-config.ts";

describe("foreign-keys", () => {
  it("fires for a key to a table that is left out, and not for one among tracked tables", async () => {
    const nodes = await cluster(2, { owner: true });
    for (const { url } of nodes) {
      await sql(
        url,
        `create schema auth; create table auth.users (id int primary key); create table team (id int primary key) partition by range (id);
         create table team_1 partition of team for values from (0) to (9);
         create table profile (id int primary key references auth.users, team_id int references team, boss int references profile)`,
      );
    }
    const found = await faults(foreignKeys, configOf(nodes));
    expect(
      found.map(({ severity, node, table, message }) => `${severity} ${node} ${table} ${message.slice(0, 48)}`),
    ).toEqual([
      "warning local public.profile foreign key profile_id_fkey refers to auth.users",
      "warning external public.profile foreign key profile_id_fkey refers to auth.users",
    ]);
    // a node alone keeps nothing the same
    expect(await faults(foreignKeys, configOf([nodes.local]))).toEqual([]);
  });
});

describe("connections", () => {
  it("fires where the role is admitted too seldom, and not where there is room", async () => {
    const nodes = await cluster(2, { owner: true });
    expect(await faults(connections, configOf(nodes))).toEqual([]);
    const { owner, admin } = nodes.external;
    await admin.query(`alter role "${owner}" connection limit 4`);
    const [finding, ...others] = await faults(connections, configOf(nodes));
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ severity: "warning", node: "external" });
    expect(finding?.message).toBe(`role ${owner} admits 4 sessions, of which 0 are taken; Tandem needs up to 5`);
    await admin.query(`alter role "${owner}" connection limit 5`);
    expect(await faults(connections, configOf(nodes))).toEqual([]);
    await admin.query(`alter database "${nodes.external.database}" connection limit 4`);
    expect(await faults(connections, configOf(nodes))).toMatchObject([
      { message: expect.stringContaining("database") },
    ]);
  });

  it("counts what the server keeps for others", async () => {
    const { local } = await cluster(1, { owner: true });
    const most = Number(await local.admin.value("show max_connections"));
    expect(await faults(connectionsWith(most), configOf([local]))).toMatchObject([
      { message: expect.stringMatching(/^the server admits \d+ sessions/) },
    ]);
  });
});

describe("wraparound and lock-table", () => {
  it("fire from their limits on", async () => {
    const { local } = await cluster(1, { owner: true });
    await sql(local.url, "create table t (id int primary key)");
    const config = configOf([local]);
    expect(await faults(wraparoundFrom(0), config)).toMatchObject([{ severity: "problem" }]);
    expect(await faults(wraparound, config)).toEqual([]);
    expect(await faults(lockTableFrom(0), config)).toMatchObject([
      { severity: "warning", message: expect.stringContaining("there are 2 tables and indexes") },
    ]);
    expect(await faults(lockTable, config)).toEqual([]);
  });
});

describe("provider", () => {
  it("knows Neon, Supabase, Render and RDS by the host", () => {
    const hosts = [
      "ep-cool-1.eu-central-1.aws.neon.tech",
      "db.abc.supabase.co",
      "aws-0-eu.pooler.supabase.com",
      "dpg-x.oregon-postgres.render.com",
      "shop.abc.eu-west-1.rds.amazonaws.com",
      "neon.tech.example.com",
      "localhost",
    ];
    expect(hosts.map(providerOf)).toEqual(["Neon", "Supabase", "Supabase", "Render", "Amazon RDS", null, null]);
  });

  it("says that a database at Neon is kept awake, unless the interval lets it sleep", async () => {
    const { local } = await cluster(1);
    const url = new URL(local.url);
    url.searchParams.set("hostaddr", url.hostname);
    url.hostname = "ep-cool-1.eu-central-1.aws.neon.tech";
    const at = { name: "local", url: url.href };
    expect((await said(provider, configOf([at])))[1]).toMatch(/^ok local: .*at Neon.*asked every 1 s it never does/);
    expect((await said(provider, configOf([at], { sync: { intervalMs: 900_000 } })))[1]).toBe(
      "ok local: the database is at Neon",
    );
    expect(await said(provider, configOf([local]))).toEqual(["ok: what the providers do is known"]);
  });
});

/** A configuration with a job for node local. */
async function withJob(
  nodes: Parameters<typeof configOf>[0],
  changes: Partial<Config["backup"]> = {},
): Promise<Config> {
  const config = configOf(nodes);
  const job = {
    ...{ name: "daily", node: "local", schedule: "0 3 * * *", afterChange: null, keepLast: 3, keepDays: null },
    ...{ keepDaily: null, keepWeekly: null, keepMonthly: null, proveEveryMs: null, include: null },
  };
  return { ...config, backup: { ...config.backup, dir: join(await tempFolder(), "backups"), jobs: [job], ...changes } };
}

describe("backups", () => {
  it("backup-programs fires where no pg_dump fits, and only for nodes that are backed up", async () => {
    const nodes = await cluster(2);
    const pgBin = await tempFolder();
    expect(await faults(backupPrograms, await withJob(nodes, { pgBin }))).toMatchObject([
      {
        severity: "problem",
        node: "local",
        message: expect.stringMatching(/pg_dump and pg_restore \d+ or later.*none at all.*degraded/),
      },
    ]);
    const program = `#!/bin/sh\necho "pg_dump (PostgreSQL) 99.1"\n`;
    for (const name of ["pg_dump", "pg_restore"]) await writeFile(join(pgBin, name), program, { mode: 0o755 });
    expect(await faults(backupPrograms, await withJob(nodes, { pgBin }))).toEqual([]);
  });

  it("backup-rows fires for tables that cannot be read, wholly or in part, though they are not tracked", async () => {
    const { local } = await cluster(1, { owner: true });
    await sql(
      local.url,
      "create table open_to_all (id int primary key); create table own (id int); create view v as select 1 as one",
    );
    expect(await faults(backupRows, await withJob([local]))).toEqual([]);
    await local.admin.query("create table of_another (id int)");
    await sql(local.url, "alter table own enable row level security; alter table own force row level security");
    const found = await faults(backupRows, await withJob([local]));
    expect(found.map(({ severity, table, message }) => `${severity} ${table} ${message.split(" ")[0]}`)).toEqual([
      "problem public.of_another role",
      "problem public.own row-level",
    ]);
    expect(await faults(backupRows, configOf([local]))).toEqual([]);
  });

  it("backup-folder fires where nothing can be written, and not for a folder that is yet to be made", async () => {
    const nodes = await cluster(1);
    expect(await faults(backupFolder, await withJob(nodes))).toEqual([]);
    const file = join(await tempFolder(), "a-file");
    await writeFile(file, "");
    expect(await faults(backupFolder, await withJob(nodes, { dir: join(file, "backups") }))).toMatchObject([
      { severity: "problem", message: expect.stringContaining("ENOTDIR") },
    ]);
    expect(await faults(backupFolder, configOf(nodes))).toEqual([]);
  });
});
