import { describe, expect, test, vi } from "vitest";
import type { Clock } from "../../src/base/time.ts";
import type { Link } from "../../src/link/link.ts";
import type { LinkEvent } from "../../src/link/report.ts";
import { app, type Links, linkedCluster, ways } from "../support/link.ts";
import { expectEqual, openClient, type TestNode } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

vi.setConfig({ testTimeout: 180_000 });

const schema = `create table public.t (id int primary key, v text check (v <> 'bad'));
  create table public.u (id int primary key, v text)`;

/** It stands still: a round goes on until nothing is cut off. */
const clock: Clock = { now: () => 1_000_000, sleep: async () => {} };

/** A row of ten megabytes. */
const wide = (id: number) =>
  `insert into u select ${id}, string_agg(md5(g::text), '') from generate_series(1, 320000) g`;

/** Whether a session of the source is reading for a link now. */
const reading = async ({ admin }: TestNode) =>
  (await admin.value(`select true from pg_stat_activity where datname = current_database() and state <> 'idle'
    and pid <> pg_backend_pid() and query ~ '^/\\* tandem:read'`)) === "t";

/**
 * What was applied, and whether the source was reading meanwhile, one word a batch: where more follows, applying waits until it does.
 * `before` a batch of this number something else may be done.
 */
function watch(link: Link, source: TestNode, before: Readonly<Record<number, () => Promise<unknown>>> = {}): string[] {
  const went: string[] = [];
  const apply = link.target.apply.bind(link.target);
  link.target.apply = async (request) => {
    const more = request.copy ? !request.copy.done : request.cut;
    if (more && request.unsettled !== "park") await waitFor(() => reading(source), { what: "the next batch" });
    await before[went.length]?.();
    went.push((await reading(source)) ? "ahead" : "alone");
    return await apply(request);
  };
  return went;
}

/** Other connections, as a new process would have, bring the rest. */
async function goOnAnew(links: Links): Promise<void> {
  await links.reopen();
  await links.sync();
  await links.expectRest();
}

describe.each(ways)("the next batch is read while one is applied, in $way", ({ options }) => {
  const open = async (more: object = {}) => {
    const linked = await linkedCluster(2, { ...options, schema, clock, readAhead: true, batchRows: 10, ...more });
    await app(linked.nodes.local, "insert into t values (0, 'a')");
    await linked.links.sync();
    return linked;
  };
  const singles = (first: number, last: number, table = "t") =>
    Array.from({ length: last - first + 1 }, (_, i) => `insert into ${table} values (${first + i}, 'v${i}');`);

  test("C1 a backlog of many batches comes in one round, and is what the source has", async () => {
    await using linked = await open();
    const { nodes, links } = linked;
    const link = await links.link("local", "external");
    for (const statement of [...singles(1, 25), ...singles(1, 25, "u"), "update t set v = v || '!' where id % 3 = 0"])
      await app(nodes.local, statement);
    const went = watch(link, nodes.local);
    expect(await link.round()).toMatchObject({ worked: true, reached: true });
    expect(went.length).toBeGreaterThan(4);
    expect(went).toEqual([...went.slice(1).map(() => "ahead"), "alone"]);
    await links.expectRest();
  });

  test("C1 C5 what is written on either side meanwhile comes too, and conflicts are kept", async () => {
    await using linked = await open();
    const { nodes, links } = linked;
    const link = await links.link("local", "external");
    for (const statement of singles(1, 35)) await app(nodes.local, statement);
    const went = watch(link, nodes.local, {
      1: async () => {
        await app(nodes.external, "insert into t values (18, 'theirs'), (100, 'theirs')");
        await app(nodes.local, "update t set v = 'later' where id in (2, 19, 34)");
      },
    });
    await link.round();
    expect(went.slice(0, 3)).toEqual(["ahead", "ahead", "ahead"]);
    await links.sync();
    await links.expectRest();
    expect((await links.conflicts("external")).map((line) => line.replace(/ \S+$/, ""))).toEqual([
      "t 18 insert/insert",
    ]);
  });

  test("C8 where a row is refused it is parked, and the batch that was begun is read anew", async () => {
    await using linked = await open();
    const { nodes, links } = linked;
    await nodes.local.admin.query("alter table public.t drop constraint t_v_check");
    const link = await links.link("local", "external");
    for (const statement of singles(1, 25)) await app(nodes.local, statement);
    await app(nodes.local, "update t set v = 'bad' where id = 3");
    await app(nodes.local, "update t set v = 'good' where id = 12");
    for (const statement of singles(26, 45)) await app(nodes.local, statement);
    const went = watch(link, nodes.local);
    while ((await link.round()).worked);
    expect(went.length).toBeGreaterThanOrEqual(5);
    expect(await links.parked("external")).toEqual(["t 3 refused"]);
    await app(nodes.local, "update t set v = 'fine' where id = 3");
    await links.sync();
    expect(await links.parked("external")).toEqual([]);
    expect((await expectEqual(nodes)).rows).toBe(46);
  });

  test("C1 a source that is lost while it reads ahead costs nothing but the round", async () => {
    await using linked = await open();
    const { nodes, links } = linked;
    const link = await links.link("local", "external");
    for (const statement of singles(1, 35)) await app(nodes.local, statement);
    watch(link, nodes.local, {
      1: () =>
        nodes.local.admin.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query ~ '^/\\* tandem:read'",
        ),
    });
    await expect(link.round()).rejects.toMatchObject({ node: "local" });
    expect(await nodes.external.admin.value("select count(*) from t")).toBe("21");
    await goOnAnew(links);
  });

  test("C1 a target that fails leaves no transaction open at the source", async () => {
    await using linked = await open();
    const { nodes, links } = linked;
    const link = await links.link("local", "external");
    for (const statement of singles(1, 35)) await app(nodes.local, statement);
    watch(link, nodes.local, {
      1: () => {
        throw new Error("stopped here");
      },
    });
    await expect(link.round()).rejects.toThrow("stopped here");
    expect(await reading(nodes.local)).toBe(false);
    await goOnAnew(links);
  });

  test("C1 a target that is lost before it takes what waits in memory leaves no transaction open at the source", async () => {
    await using linked = await open({ batchRows: 3 });
    const { nodes, links } = linked;
    const link = await links.link("local", "external");
    await app(nodes.local, "insert into u values (0, 'a')");
    await links.sync();
    for (let id = 1; id <= 6; id++) await app(nodes.local, wide(id));
    watch(link, nodes.local);
    const stage = link.target.stage.bind(link.target);
    let staged = 0;
    link.target.stage = async (tables, body) => {
      if (++staged === 2)
        await nodes.external.admin.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query ~ 'tandem:apply'",
        );
      return await stage(tables, body);
    };
    await expect(link.round()).rejects.toMatchObject({ node: "external" });
    expect(staged).toBe(2);
    expect(await reading(nodes.local)).toBe(false);
    await goOnAnew(links);
  });

  test("C9 a column that is added while a batch is read ahead is noticed", async () => {
    await using linked = await open();
    const { nodes, links } = linked;
    const link = await links.link("local", "external");
    for (const statement of singles(1, 35)) await app(nodes.local, statement);
    watch(link, nodes.local, {
      1: async () => {
        const other = await openClient(nodes.external.superUrl);
        await other.query("alter table public.t add column n int default 7");
      },
    });
    while (
      await link.round().then(
        ({ worked }) => worked,
        (error) => ["shape_changed", "position_mismatch"].includes(error.code),
      )
    );
    await app(nodes.local, "alter table public.t add column n int default 7");
    await links.sync();
    await links.expectRest();
  });

  test("C1 rows that come to more than what may wait in memory come whole", async () => {
    await using linked = await open({ batchRows: 3 });
    const { nodes, links } = linked;
    const link = await links.link("local", "external");
    await app(nodes.local, "insert into u values (0, 'a')");
    await links.sync();
    for (let id = 1; id <= 6; id++)
      await app(
        nodes.local,
        `insert into u select ${id}, string_agg(md5(g::text), '') from generate_series(1, 320000) g`,
      );
    const went = watch(link, nodes.local);
    await link.round();
    expect(went).toEqual(["ahead", "alone"]);
    await links.expectRest();
  });
});

test("C6 a first copy reads the next range while one is applied, tells how far it is, and goes on where it was stopped", async () => {
  const events: LinkEvent[] = [];
  await using linked = await linkedCluster(2, {
    schema,
    clock,
    readAhead: true,
    onEvent: (event) =>
      event.kind === "copy" && event.total !== null && event.table?.name === "t" && events.push(event),
  });
  const { nodes, links } = linked;
  await nodes.local.admin.query(
    "alter table public.t disable trigger all; insert into public.t select i, 'x' from generate_series(1, 170000) i; alter table public.t enable trigger all",
  );
  let link = await links.link("local", "external");
  const went = watch(link, nodes.local, {
    2: () => {
      throw new Error("stopped here");
    },
  });
  const rounds = async () => {
    while ((await link.round()).worked);
  };
  await expect(rounds()).rejects.toThrow("stopped here");
  expect(went).toEqual(["ahead", "ahead"]);
  expect(await nodes.external.admin.value("select count(*) from public.t")).toBe("100000");
  await links.reopen();
  link = await links.link("local", "external");
  await rounds();
  expect(events.map(({ rows }) => rows)).toEqual([50_000, 100_000, 150_000, 170_000]);
  expect(events.at(-1)?.total).toBe(170_000);
  await links.sync();
  await links.expectRest();
});
