import { describe, expect, test } from "vitest";
import { connect } from "../../src/db/connect.ts";
import { checkCompat } from "../../src/install/compat.ts";
import { migrate } from "../../src/install/migrate.ts";
import type { MigrateEvent } from "../../src/install/report.ts";
import { migrationScript } from "../../src/install/script.ts";
import { configOf } from "../support/config.ts";
import { cluster, openClient, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { dumpSchema, fingerprint, runScript, sampleSchema } from "./install-support.ts";

/**
 * An older release, as this one would find it: views with other columns, functions with another result and other
 * parameter names, changelog views that depend on one of them, a function and a view that are no more, other checksums.
 */
const older = `
  drop view tandem.status;
  create view tandem.status as select 'old'::text as state, 1 as peers;
  drop function tandem.history(text, text);
  create function tandem.history(p_relation text, p_id text) returns integer language sql as 'select 1';
  drop function tandem.synced(xid8, integer) cascade;
  create function tandem.synced(p_transaction xid8, p_peer integer) returns boolean language sql stable as 'select true';
  select tandem.make_changelog_view(table_id) from tandem.tracked_table;
  create function tandem.old_helper(integer) returns integer language sql as 'select 1';
  comment on function tandem.old_helper(integer) is 'No more.';
  create view tandem.old_view as select tandem.old_helper(1) as one;
  comment on view tandem.old_view is 'No more.';
  create or replace function tandem.version() returns text language sql immutable as $$ select '0.0.9' $$;
  update tandem.sql_file set sha256 = 'of the release before' where path ~ '^sql/';`;

async function check(node: TestNode): Promise<string> {
  await using connection = await connect(node, "test");
  return await checkCompat(connection).then(
    () => "fits",
    (error: { code: string }) => error.code,
  );
}

test.each(["migrate", "the script"])(
  "%s brings an older release up: the schema is that of a fresh one, and rights stay",
  async (way) => {
    await using nodes = await cluster(2);
    for (const node of nodes) await node.admin.query(sampleSchema);
    const config = configOf(nodes);
    await migrate(config);
    const { admin } = nodes.local;
    const reader = `"${nodes.local.database}_reader"`;
    await admin.query(`create role ${reader}; grant usage on schema tandem to ${reader}`);
    await admin.query("insert into public.perfis (nome) values ('Ana')");
    const fresh = await dumpSchema(nodes.local.url, "-x");
    await admin.query(older);
    await admin.query(
      `grant select on tandem.status, tandem.perfis_changelog to ${reader}; grant execute on function tandem.history(text, text) to ${reader}`,
    );
    expect(await check(nodes.local)).toBe("version_mismatch");

    if (way === "migrate") await migrate(config, { node: "local" });
    else await runScript(nodes.local.url, await migrationScript(config, "local"));
    expect(await dumpSchema(nodes.local.url, "-x")).toBe(fresh);
    expect(await check(nodes.local)).toBe("fits");
    expect(await admin.value("select op from tandem.perfis_changelog where not synced")).toBe("I");
    const rights = `select has_table_privilege(r, 'tandem.status', 'select') as status, has_table_privilege(r, 'tandem.perfis_changelog', 'select') as changelog,
    has_function_privilege(r, 'tandem.history(text,text)', 'execute') as history from (values ($1)) x (r)`;
    expect(await admin.query(rights, [reader.slice(1, -1)])).toEqual([{ status: "t", changelog: "t", history: "t" }]);
    const unchanged = await fingerprint(admin);
    expect((await migrate(config, { node: "local" })).nodes[0]?.changed).toBe(false);
    expect(await fingerprint(admin)).toBe(unchanged);
    await admin.query(`drop owned by ${reader}; drop role ${reader}`);
  },
);

test("who reads a view while it is replaced holds the upgrade up, and is not cut off", async () => {
  await using nodes = await cluster(2);
  const config = configOf(nodes);
  await migrate(config, { node: "local" });
  await nodes.local.admin.query("update tandem.sql_file set sha256 = 'of the release before' where path ~ '^sql/'");
  const reader = await openClient(nodes.local.url);
  await reader.query("begin; select * from tandem.status");
  const events: MigrateEvent[] = [];
  const onProgress = (event: MigrateEvent) => void events.push(event);
  const running = migrate(config, { node: "local", onProgress });
  await waitFor(() => events.some(({ kind }) => kind === "waiting"));
  await reader.query("select * from tandem.status; commit");
  expect((await running).nodes[0]?.sqlInstalled).toBe(true);
  expect(events.map(({ kind }) => kind)).toContain("functions");
});

test("a view of the application's on one whose columns change is named, and nothing changes", async () => {
  await using nodes = await cluster(2);
  const config = configOf(nodes);
  await migrate(config, { node: "local" });
  const { admin } = nodes.local;
  await admin.query(older);
  await admin.query("create view public.painel as select state from tandem.status");
  const before = await dumpSchema(nodes.local.url);
  await expect(migrate(config, { node: "local" })).rejects.toThrow(
    /view public\.painel depends on what sql\/\S+ changes/,
  );
  expect(await dumpSchema(nodes.local.url)).toBe(before);
});

describe("what is installed is compared before anything is touched", () => {
  test("nothing, half, the same, newer by migration, newer by version", async () => {
    await using nodes = await cluster(1);
    const { local } = nodes;
    expect(await check(local)).toBe("not_installed");
    await local.admin.query("create schema tandem; create table tandem.migrations (name text)");
    expect(await check(local)).toBe("not_installed");
    await local.admin.query("drop schema tandem cascade");
    await migrate(configOf(nodes));
    expect(await check(local)).toBe("fits");
    await local.admin.query("begin; insert into tandem.migrations (name, run_on) values ('0999_later', now()); commit");
    expect(await check(local)).toBe("schema_newer");
    await local.admin.query("delete from tandem.migrations where name = '0999_later'");
    await local.admin.query(
      "create or replace function tandem.version() returns text language sql immutable as $$ select '99.0.0' $$",
    );
    expect(await check(local)).toBe("schema_newer");
    const before = await fingerprint(local.admin);
    await expect(migrate(configOf(nodes))).rejects.toMatchObject({ code: "schema_newer", node: "local" });
    expect(await fingerprint(local.admin)).toBe(before);
  });

  test("a migration that was changed after it had been applied", async () => {
    await using nodes = await cluster(1);
    await migrate(configOf(nodes));
    await nodes.local.admin.query("update tandem.sql_file set sha256 = 'another' where path ~ '^migrations/'");
    await expect(migrate(configOf(nodes))).rejects.toMatchObject({ code: "install_changed", node: "local" });
  });

  test("the two URLs of one database are noticed before anything is written", async () => {
    await using nodes = await cluster(1);
    const twice = configOf([nodes.local, { name: "external", url: nodes.local.url.replace("127.0.0.1", "localhost") }]);
    await expect(migrate(twice)).rejects.toThrow("node external: is the same database as node local");
    expect(await nodes.local.admin.value("select to_regnamespace('tandem') is null")).toBe("t");
  });
});
