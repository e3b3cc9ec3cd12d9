import { expect, test } from "vitest";
import { linkedCluster } from "../support/link.ts";
import { waitFor } from "../support/wait.ts";

// Autovacuum holds a lock that TRUNCATE waits for longer than the applier does: the next large batch would fail, and begin anew.
test("C9: autovacuum leaves a link's staging table alone", { timeout: 180_000 }, async () => {
  await using linked = await linkedCluster(2, { schema: "create table public.t (id int primary key, v text)" });
  const { nodes, links } = linked;
  await nodes.local.admin.query("insert into public.t select i, repeat('x', 100) from generate_series(1, 20000) i");
  await links.sync();
  const { admin } = nodes.external;
  const stage =
    "select c.oid from pg_class c where c.relnamespace = 'tandem_log'::regnamespace and c.relname like 'stage %t'";
  expect(await admin.value(`select count(*) from tandem_log."stage 1 public.t"`)).toBe("20000");
  // Made later, so its turn comes after the staging table's.
  await admin.query("create table public.later (id int); insert into public.later select generate_series(1, 20000)");
  const counted = (table: string) =>
    `select sum(autovacuum_count) > 0 from pg_stat_all_tables where relid in (${table})`;
  await waitFor(async () => (await admin.value(counted("'public.later'::regclass"))) === "t", {
    deadlineMs: 150_000,
    what: "an autovacuum of a table that was made later",
  });
  const parts = `select y.oid from (${stage}) x, lateral (values (x.oid), ((select c.reltoastrelid from pg_class c where c.oid = x.oid))) y (oid)`;
  expect(await admin.value(counted(parts))).toBe("f");
});
