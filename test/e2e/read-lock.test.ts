import type { Client } from "pg";
import { expect, test, vi } from "vitest";
import { systemClock } from "../../src/base/time.ts";
import { connect } from "../../src/db/connect.ts";
import type { Connection } from "../../src/db/connection.ts";
import { Link } from "../../src/link/link.ts";
import { PostgresSource } from "../../src/postgres/source.ts";
import { PostgresTarget } from "../../src/postgres/target.ts";
import { app, linkedCluster } from "../support/link.ts";
import { type Cluster, contentOf, openClient } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

vi.setConfig({ testTimeout: 120_000 });

test.each(["the first copy", "a batch"])(
  "C3: a table rewritten by ALTER TABLE just before %s locks it is not read as empty",
  async (what) => {
    await using linked = await linkedCluster(2, { schema: "create table public.t (id int primary key, v int)" });
    const { nodes, links } = linked;
    await app(nodes.local, "insert into public.t select i, i from generate_series(1, 100) i");
    // Rows that were there before Tandem was have no entry that a batch could bring them by.
    for (const node of nodes) await node.admin.query(`delete from tandem_log."public.t"`);
    if (what === "a batch") await links.sync();
    if (what === "a batch") await app(nodes.local, "update public.t set v = v + 1");

    await using from = await connect({ name: "local", url: nodes.local.url }, "test");
    await using to = await connect({ name: "external", url: nodes.external.url }, "test");
    const exec = from.exec.bind(from);
    let rewritten = 0;
    // The moment that matters: the reading transaction has begun, and its first lock has not been asked for.
    from.exec = async (text) => {
      const lock = text.indexOf("/* tandem:read-lock");
      if (lock < 0 || rewritten++ > 0) return await exec(text);
      // One message holds all of it: it is sent as two, with the rewriting in between.
      const begun = await exec(text.slice(0, lock));
      await app(nodes.local, "alter table public.t alter column v type bigint");
      return [...begun, ...(await exec(text.slice(lock)))];
    };
    const link = new Link(new PostgresSource(from, "external"), new PostgresTarget(to, "local"), {
      clock: systemClock,
      batchRows: 100_000,
    });
    while ((await link.round()).worked);
    expect(rewritten).toBeGreaterThan(0);
    expect([...link.report.tables.values()].map(({ deleted }) => deleted)).toEqual([0]);
    await links.sync();
    expect((await contentOf(nodes.external.superUrl, "public.t")).length).toBe(100);
    expect(await contentOf(nodes.external.superUrl, "public.t")).toEqual(
      await contentOf(nodes.local.superUrl, "public.t"),
    );
  },
);

const family = `create table public.a (id int primary key);
  create table public.b (id int primary key references public.a);
  create table public.c (id int primary key references public.b);`;

interface Reading extends AsyncDisposable {
  readonly source: Connection;
  readonly link: Link;
}

/** The link from local to external, met and at rest. */
async function reading(nodes: Cluster, lockTimeout: number): Promise<Reading> {
  const source = await connect({ name: "local", url: nodes.local.url }, "test");
  const to = await connect({ name: "external", url: nodes.external.url }, "test");
  const options = { clock: systemClock, batchRows: 100_000 };
  const link = new Link(new PostgresSource(source, "external", lockTimeout), new PostgresTarget(to, "local"), options);
  while ((await link.round()).worked);
  return {
    source,
    link,
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await to[Symbol.asyncDispose]();
    },
  };
}

test("C9: reading that waits for tables holds none of them: whoever wants another one has it at once", async () => {
  await using linked = await linkedCluster(2, { schema: family });
  const { nodes, links } = linked;
  await links.sync();
  await using read = await reading(nodes, 600_000);
  await app(nodes.local, "insert into public.a values (1)");
  const held = new Map<string, Client>();
  for (const table of ["b", "c"]) {
    const holder = await openClient(nodes.local.url);
    await holder.query(`begin; lock table public.${table} in access exclusive mode`);
    held.set(table, holder);
  }
  const limits: (string | null | undefined)[] = [];
  const query = read.source.query.bind(read.source);
  read.source.query = async (text) => {
    if (text.includes("tandem:read-end")) limits.push((await query("show statement_timeout"))[0]?.statement_timeout);
    return await query(text);
  };

  const round = read.link.round();
  const other = await openClient(nodes.local.url);
  while (held.size > 0) {
    const waited = await waitFor(
      async () => {
        const [row] = await nodes.local.admin.query(`select relation::regclass::text as name from pg_locks l
          join pg_stat_activity a using (pid) where a.application_name like 'tandem/%' and a.datname = current_database()
          and not l.granted`);
        const table = row?.name?.replace(/^public\./, "") ?? "";
        return held.has(table) ? table : null;
      },
      { every: 10, what: `reading that waits for one of ${[...held.keys()]}` },
    );
    const free = ["a", "b", "c"].filter((table) => !held.has(table)).map((table) => `public.${table}`);
    await other.query(`begin; lock table ${free.join(", ")} in access exclusive mode nowait; rollback`);
    await held.get(waited)?.query("commit");
    held.delete(waited);
  }
  expect((await round).worked).toBe(true);
  expect([...new Set(limits)]).toEqual(["0"]);
  expect(await contentOf(nodes.external.superUrl, "public.a")).toEqual(["(1)"]);
});

test("C9: reading waits for all its tables together no longer than for one, and begins anew", async () => {
  await using linked = await linkedCluster(2, { schema: family });
  const { nodes, links } = linked;
  await links.sync();
  await using read = await reading(nodes, 500);
  await app(nodes.local, "insert into public.a values (1)");
  const holder = await openClient(nodes.local.url);
  await holder.query("begin; lock table public.b in access exclusive mode");
  const exec = read.source.exec.bind(read.source);
  let tries = 0;
  read.source.exec = async (text) => {
    if (text.includes("tandem:read-lock")) {
      tries++;
      // free while each is waited for, and taken before all are locked
      if (tries === 2) await holder.query("commit");
      if (tries === 3) await holder.query("begin; lock table public.c in access exclusive mode");
    }
    return await exec(text);
  };
  const message = expect.stringContaining("not to be locked together in 500 ms");
  await expect(read.link.round()).rejects.toMatchObject({ code: "lock_timeout", message });
  expect(tries).toBe(3);
  await holder.query("commit");
  await links.sync();
  await links.expectRest();
});
