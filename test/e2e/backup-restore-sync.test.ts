import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test, vi } from "vitest";
import { createBackup } from "../../src/backup/create.ts";
import { restoreBackup } from "../../src/backup/restore.ts";
import { restoreNewDatabase } from "../../src/backup/restore-new.ts";
import type { Config } from "../../src/config/config.ts";
import { verify } from "../../src/verify/verify.ts";
import { pgDump } from "../support/components.ts";
import { app, codeOf, linkedCluster, ways } from "../support/link.ts";
import { afterTest, contentOf, expectEqual, sql } from "../support/pg.ts";

vi.setConfig({ testTimeout: 240_000 });

const schema = `create table region (id int primary key, name text unique);
  create table customer (id int primary key, region int not null references region on delete cascade, mail text not null unique);
  create function touch() returns trigger language plpgsql as $$ begin new.mail := new.mail || '!'; return new; end $$;
  create trigger touch before update on customer for each row execute function touch()`;

const rows = `insert into region select g, 'region ' || g from generate_series(1, 4) g;
  insert into customer select g, 1 + g % 4, 'm' || g from generate_series(1, 200) g`;

/** Changed on one side, deleted on the other, exchanged, new. */
const local = `update customer set region = 2 where id <= 20; delete from customer where id between 30 and 40; insert into region values (9, 'nine');
  insert into customer values (900, 9, 'new'); update region set name = 'x' where id = 2; update region set name = 'region 2' where id = 3; update region set name = 'region 3' where id = 2`;
const external =
  "delete from customer where id between 50 and 60; update customer set mail = 'other' || id where id between 70 and 80";

async function withBackups(config: Config): Promise<Config> {
  const dir = await mkdtemp(join(tmpdir(), "tandem-backups-"));
  afterTest(() => rm(dir, { recursive: true }));
  return { ...config, backup: { ...config.backup, dir, pgBin: dirname(pgDump()) } };
}

test.each(ways)(
  "B5 restored rows travel, and all nodes come to rest as they were backed up (thing 32), $way",
  async ({ options }) => {
    await using cluster = await linkedCluster(2, { ...options, schema });
    const { nodes, links } = cluster;
    const config = await withBackups(links.config);
    await app(nodes.local, rows);
    await links.sync();
    await links.expectRest();
    const before = await contentOf(nodes.local.superUrl, "public.customer");
    const { id } = await createBackup(config, { node: "local" });
    await app(nodes.local, local);
    await app(nodes.external, external);
    await links.sync();
    await links.expectRest();
    const done = await restoreBackup(config, id, { mode: "exact" });
    expect(done.tables.every(({ inserted, updated, deleted }) => inserted + updated + deleted > 0)).toBe(true);
    expect(await contentOf(nodes.local.superUrl, "public.customer")).toEqual(before);
    await links.sync();
    await links.expectRest();
    expect(await contentOf(nodes.external.superUrl, "public.customer")).toEqual(before);
    expect(await contentOf(nodes.external.superUrl, "public.region")).toEqual(
      await contentOf(nodes.local.superUrl, "public.region"),
    );
    // What is written afterwards flows as ever: the triggers of capture are on.
    await app(nodes.local, "update customer set mail = 'after' where id = 1; delete from customer where id = 2");
    await links.sync();
    await links.expectRest();
    expect((await verify(config)).identical).toBe(true);
  },
);

test("B5 local only: nothing travels, verify shows the difference, later changes flow (thing 32)", async () => {
  await using cluster = await linkedCluster(2, { schema });
  const { nodes, links } = cluster;
  const config = await withBackups(links.config);
  await app(nodes.local, rows);
  await links.sync();
  const { id } = await createBackup(config, { node: "local" });
  await app(
    nodes.local,
    "delete from customer where id = 30; update region set name = 'other' where id = 1; insert into region values (9, 'nine')",
  );
  await links.sync();
  await links.expectRest();
  const there = await contentOf(nodes.external.superUrl, "public.region");
  await restoreBackup(config, id, { mode: "exact", localOnly: true });
  expect(await links.sync()).toMatchObject({ "local external": { staged: 0 }, "external local": { staged: 0 } });
  expect(await contentOf(nodes.external.superUrl, "public.region")).toEqual(there);
  const report = await verify(config);
  expect(report.totals.reasons).toEqual({ diverged: 3, pending: 0, parked: 0, held: 0 });
  await app(nodes.local, "update region set name = 'again' where id = 1");
  await links.sync();
  expect(await contentOf(nodes.external.superUrl, "public.region")).toContain("(1,again)");
});

test("B5 a new database is made of a backup, equal to it, and Tandem does not take it for the old one (C10)", async () => {
  await using cluster = await linkedCluster(2, { schema });
  const { nodes, links } = cluster;
  const config = await withBackups(links.config);
  await app(nodes.local, rows);
  await links.sync();
  const { id } = await createBackup(config, { node: "local" });
  const database = `${nodes.local.database}_new`;
  const made = await restoreNewDatabase(config, id, database);
  const url = nodes.local.superUrl.replace(/\/[^/]*$/, `/${database}`);
  try {
    expect(made).toMatchObject({ id, node: "local", database, tables: 2, rows: 204 });
    expect(
      await expectEqual([nodes.local, { name: "new", superUrl: url }], ["public.region", "public.customer"]),
    ).toEqual({ tables: 2, rows: 204 });
    await expect(sql(url, "select tandem.check_identity()")).rejects.toThrow();
    expect(await codeOf(restoreNewDatabase(config, id, database))).toBe("usage");
  } finally {
    await sql(nodes.local.server.url, `drop database "${database}" with (force)`);
  }
});
