import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { describe, expect, test, vi } from "vitest";
import { connectClient } from "../support/client.ts";
import { contentOf } from "../support/content.ts";
import { hour, type SkewedServer, skewedServer } from "../support/faketime.ts";
import { app, type LinkedOptions, type Links, linkedCluster, ways } from "../support/link.ts";
import { type Cluster, type ClusterOptions, testServers } from "../support/pg.ts";
import { seeded, seeds } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";
import { expectNoVersionTwice, expectRest, folderOf, sidecar } from "./support.ts";

// Servers of their own: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 240_000 });

const schema = `
  create table public.t (id int primary key, n int not null default 0, v text);
  create table public.child (id int primary key, t_id int not null references public.t);`;

const minute = hour / 60;

/** One node on a server whose clock is set, the other on one that goes right. */
async function beside(skewed: SkewedServer, options: ClusterOptions & LinkedOptions, node = "local") {
  const servers = [skewed.asTestServer, testServers()[0]!];
  if (node !== "local") servers.reverse();
  return await linkedCluster(2, { schema, ...options, servers });
}

const rows = async (nodes: Cluster, node: string) => contentOf(nodes.node(node).superUrl, "public.t");

/** The values of `v` that lost, on whichever node it was noticed. */
async function losers(nodes: Cluster): Promise<string[]> {
  const images = await Promise.all(
    nodes.nodes.map(({ admin }) =>
      admin.query(
        "select case winner when 'local' then incoming_image else local_image end as image from tandem.conflicts",
      ),
    ),
  );
  return [...new Set(images.flat().map(({ image }) => /v = '([^']*)'/.exec(image ?? "")?.[1] ?? "gone"))].sort();
}

/** What one session wrote to a row, with the stamp that its change was given. */
interface Written {
  id: number;
  n: number;
  stamp: string;
}

/** Counts rows up until it is told to stop, several in a transaction, the same row twice now and then. Tells of each transaction. */
async function countUp(
  url: string,
  seed: number,
  level: string,
  { stopped, committed }: { stopped: () => boolean; committed: () => void },
): Promise<Written[]> {
  const random = seeded(seed);
  const client = await connectClient(url);
  const written: Written[] = [];
  try {
    while (!stopped()) {
      try {
        written.push(...(await transaction(client, level, [random.int(1, 6), 7 + random.int(1, 3)])));
        committed();
      } catch (error) {
        // a serialization failure is the application's to try again
        if ((error as { code?: string }).code !== "40001") throw error;
        await client.query("rollback");
      }
    }
  } finally {
    await client.end();
  }
  return written;
}

async function transaction(client: pg.Client, level: string, ids: number[]): Promise<Written[]> {
  const written: Written[] = [];
  await client.query(`begin isolation level ${level}`);
  for (const id of [...ids, ids.at(-1)!]) {
    const counted = await client.query(`update public.t set n = n + 1 where id = ${id} returning n`);
    const entry = await client.query(
      `select stamp at time zone 'UTC' as stamp from tandem_log."public.t" where k1 = ${id} and xid = pg_current_xact_id() order by stamp desc limit 1`,
    );
    written.push({ id, n: Number(counted.rows[0].n), stamp: entry.rows[0].stamp });
  }
  await client.query("commit");
  return written;
}

/** The clock goes back, and on, in steps, while sessions write and links carry; returns what they wrote. */
async function writeWhileClockSteps(
  nodes: Cluster,
  links: Links,
  skewed: SkewedServer,
  levels: string[],
): Promise<Written[]> {
  let stop = false;
  let transactions = 0;
  const telling = { stopped: () => stop, committed: () => void transactions++ };
  const writers = levels.map((level, i) => countUp(nodes.local.url, i, level, telling));
  try {
    for (const ahead of [hour, hour - 50, minute, 2 * minute, 1, 0]) {
      await skewed.setAhead(ahead);
      const before = transactions;
      for (let i = 0; i < 3; i++) {
        await sleep(50);
        await links.round("local", "external");
      }
      // However slow the machine, by this clock something was written.
      await waitFor(() => transactions > before + levels.length);
    }
  } finally {
    stop = true;
  }
  return (await Promise.all(writers)).flat();
}

for (const { way, options } of ways) {
  describe(way, () => {
    for (const [winner, loser] of [
      ["local", "external"],
      ["external", "local"],
    ] as const) {
      test(`C3 H15: ${winner} an hour ahead: what is written after a change was seen wins, else the later stamp`, async () => {
        const skewed = await skewedServer(hour);
        await using linked = await beside(skewed, { ...options, maxSkewMs: 2 * hour }, winner);
        const { nodes, links } = linked;
        await app(nodes.local, "insert into public.t select i, 0, 'local' from generate_series(1, 6) i");
        await links.sync();
        let n = 0;
        for (const name of ["external", "local", "external", "local"]) {
          await app(nodes.node(name), `update public.t set v = '${name}', n = n + 1`);
          await links.sync();
          n += 1;
          for (const node of nodes) expect(await rows(nodes, node.name)).toContain(`(1,${n},${name})`);
        }
        // a deletion that was seen, and what is put in its place
        await app(nodes.local, "delete from public.t where id = 1");
        await app(nodes.external, "delete from public.t where id = 2");
        await links.sync();
        await app(nodes.external, "insert into public.t values (1, 0, 'again')");
        await app(nodes.local, "insert into public.t values (2, 0, 'again')");
        await links.sync();
        for (const node of nodes)
          expect(await rows(nodes, node.name)).toEqual(expect.arrayContaining(["(1,0,again)", "(2,0,again)"]));
        expect(await losers(nodes)).toEqual([]);
        // neither has seen the other's: the clock that is ahead wins, whoever wrote last, and the other image is kept
        await app(nodes.node(winner), "update public.t set v = 'ahead' where id = 3");
        await app(nodes.node(loser), "update public.t set v = 'behind' where id = 3");
        await links.sync();
        for (const node of nodes) expect(await rows(nodes, node.name)).toContain(`(3,${n},ahead)`);
        expect(await losers(nodes)).toEqual(["behind"]);
        await links.expectRest();
        await expectNoVersionTwice(nodes);
      });
    }

    test("C3: the clock steps back while sessions write: no two changes of a row share a version, none loses", async () => {
      const skewed = await skewedServer(2 * hour);
      await using linked = await beside(skewed, { ...options, maxSkewMs: 3 * hour });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.t select i from generate_series(1, 12) i");
      await links.sync();
      const written = await writeWhileClockSteps(nodes, links, skewed, [
        "read committed",
        "repeatable read",
        "read committed",
      ]);
      expect(written.length).toBeGreaterThan(20);
      await links.sync();
      for (let id = 1; id <= 12; id++) {
        const inOrder = written.filter((each) => each.id === id).sort((a, b) => a.n - b.n);
        const stamps = inOrder.map(({ stamp }) => stamp);
        expect(stamps, `row ${id}`).toEqual([...new Set(stamps)].sort());
        const [row] = await nodes.external.admin.query(`select n from public.t where id = ${id}`);
        expect(Number(row?.n), `row ${id}`).toBe(inOrder.length);
      }
      expect(await losers(nodes)).toEqual([]);
      await links.expectRest();
      await expectNoVersionTwice(nodes);
    });

    test("C3: the same with SERIALIZABLE sessions, whose stamps are settled afterwards", async () => {
      const skewed = await skewedServer(2 * hour);
      await using linked = await beside(skewed, { ...options, maxSkewMs: 3 * hour });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.t select i from generate_series(1, 12) i");
      await links.sync();
      const written = await writeWhileClockSteps(nodes, links, skewed, [
        "serializable",
        "serializable",
        "read committed",
      ]);
      expect(written.length).toBeGreaterThan(5);
      await links.sync();
      const counts = await nodes.external.admin.query("select id, n from public.t order by id");
      expect(counts).toEqual(
        Array.from({ length: 12 }, (_, i) => ({
          id: `${i + 1}`,
          n: `${written.filter(({ id }) => id === i + 1).length}`,
        })),
      );
      expect(await losers(nodes)).toEqual([]);
      await links.expectRest();
    });

    test("C6 D33: what is stamped beyond max_skew waits, stops nothing, and is applied by itself when its time has come", async () => {
      // both databases on one server: its clock is wrong while `local` writes, right afterwards
      const skewed = await skewedServer(0);
      await using linked = await linkedCluster(2, { schema, ...options, servers: [skewed.asTestServer] });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.t values (1, 0, 'old'), (2, 0, 'old'), (3, 0, 'old')");
      await links.sync();
      await skewed.setAhead(hour);
      await app(
        nodes.local,
        "update public.t set v = 'from the future' where id in (1, 2); insert into public.t values (4, 0, 'from the future')",
      );
      await skewed.setAhead(0);
      await app(
        nodes.local,
        "update public.t set v = 'new' where id = 3; insert into public.child values (4, 4), (3, 3)",
      );
      await links.sync();
      expect((await links.parked("external")).sort()).toEqual(["child 4 waits", "t 1 ahead", "t 2 ahead", "t 4 ahead"]);
      expect(await rows(nodes, "external")).toEqual(["(1,0,old)", "(2,0,old)", "(3,0,new)"]);
      // what is written without having seen it is older, and kept
      await app(nodes.external, "update public.t set v = 'meanwhile' where id = 2");
      await links.sync();
      // tried in vain so often that the pause is an hour, it is tried when its time has come all the same
      await nodes.external.admin.query(
        "update tandem.parked_change set attempts = 12, next_try_at = now() where kind = 'ahead'",
      );
      await links.catchUp("local", "external");
      await skewed.setAhead(hour - 4 * minute);
      await links.sync();
      const newest = ['(1,0,"from the future")', '(2,0,"from the future")', "(3,0,new)", '(4,0,"from the future")'];
      expect(await rows(nodes, "external")).toEqual(newest);
      await links.expectRest();
      expect(await losers(nodes)).toEqual(["meanwhile"]);
      // what is written from now on is newer than what was seen, though the clock steps back once more
      await skewed.setAhead(hour - 4.5 * minute);
      await app(nodes.external, "update public.t set v = 'seen', n = 1");
      await links.sync();
      expect(await rows(nodes, "local")).toEqual(["(1,1,seen)", "(2,1,seen)", "(3,1,seen)", "(4,1,seen)"]);
      expect(await losers(nodes)).toEqual(["meanwhile"]);
      await links.expectRest();
      await expectNoVersionTwice(nodes);
    });
  });
}

test("C6: a row that waits does not wait for longer because the target's clock stepped back", async () => {
  const skewed = await skewedServer(hour);
  await using linked = await beside(skewed, { maxSkewMs: 2 * hour });
  const { nodes, links } = linked;
  await nodes.local.admin.query("alter table public.t add check (v <> 'bad')");
  await links.sync();
  await app(nodes.external, "insert into public.t values (1, 0, 'bad'); insert into public.child values (1, 1)");
  await links.sync();
  expect(await links.parked("local")).toEqual(["child 1 waits", "t 1 refused"]);
  await nodes.local.admin.query("alter table public.t drop constraint t_v_check");
  await skewed.setAhead(0);
  await waitFor(
    async () => {
      await links.catchUp("external", "local");
      return (await links.parked("local")).length === 0;
    },
    { deadlineMs: 120_000, what: () => links.parked("local") },
  );
  await links.expectRest();
});

for (const seed of seeds(2)) {
  test(`C3: clocks that step at random between writes: who has seen a row and writes it wins, seed ${seed}`, async () => {
    const random = seeded(seed);
    const servers = [await skewedServer(), await skewedServer()];
    await using linked = await linkedCluster(2, {
      schema,
      servers: servers.map((each) => each.asTestServer),
      maxSkewMs: 5 * hour,
    });
    const { nodes, links } = linked;
    const expected = new Map<number, string>();
    let [writer, reader] = ["local", "external"];
    for (let step = 1; step <= 40; step++) {
      for (const server of servers) if (random.chance(0.5)) await server.setAhead(random.int(0, 2 * hour));
      const id = random.int(1, 5);
      if (random.chance(0.2) && expected.delete(id))
        await app(nodes.node(writer), `delete from public.t where id = ${id}`);
      else {
        const statement = `insert into public.t values (${id}, ${step}, '${writer}') on conflict (id) do update set n = excluded.n, v = excluded.v`;
        await app(nodes.node(writer), statement);
        expected.set(id, `(${id},${step},${writer})`);
      }
      if (random.chance(0.6)) {
        await links.catchUp(writer, reader);
        [writer, reader] = [reader, writer];
      }
    }
    await links.sync();
    for (const node of nodes) expect(await rows(nodes, node.name)).toEqual([...expected.values()].sort());
    expect(await losers(nodes)).toEqual([]);
    await links.expectRest();
    await expectNoVersionTwice(nodes);
  });
}

test("C2 C3: a sidecar goes on by itself while the clock of a node steps on and back", async () => {
  const skewed = await skewedServer();
  await using linked = await beside(skewed, { maxSkewMs: 3 * hour });
  const { nodes, links } = linked;
  await links.sync();
  await links.reopen();
  const urls = Object.fromEntries(nodes.nodes.map(({ name, url }) => [name, url]));
  await using running = sidecar(await folderOf(urls, "{ interval: 100ms, max_skew: 3h }"));
  let id = 0;
  for (const ahead of [0, 2 * hour, hour, 0]) {
    await skewed.setAhead(ahead);
    for (const node of nodes)
      await app(
        node,
        `insert into public.t values (${++id}, 0, '${node.name}'); update public.t set n = n + 1 where v = '${node.name}'`,
      );
    expect(await expectRest(nodes.nodes, () => running.stderr)).toBe(id);
  }
  expect((await running.stop()).code).toBe(0);
});
