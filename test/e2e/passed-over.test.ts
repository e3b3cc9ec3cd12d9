import { describe, expect, test, vi } from "vitest";
import type { Clock } from "../../src/base/time.ts";
import { app, type Links, linkedCluster, ways } from "../support/link.ts";
import { openClient, type TestNode } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

const schema = "create table public.item (id int primary key, v text)";
const moveOnMs = 30_000;

/** Moved by hand; by less than the few seconds after which catalogs are compared, unless a test says so. */
class Hands implements Clock {
  time = 1_000_000;
  now = () => this.time;
  sleep = async () => {};
}

/** Where a node stands in the log of another. */
async function position(target: TestNode, source: string): Promise<string> {
  const rows = await target.admin.query(
    `select position from tandem.inbound join tandem.peer using (peer_id) where name = '${source}'`,
  );
  return String(rows[0]?.position);
}

async function three(options: object, moveOn: number | undefined, clock: Clock) {
  const linked = await linkedCluster(3, { ...options, schema, clock, ...(moveOn ? { moveOnMs: moveOn } : {}) });
  const { nodes, links } = linked;
  await app(nodes.local, "insert into item values (1, 'first')");
  await links.sync();
  return { ...linked, nodes, links, [Symbol.asyncDispose]: () => linked[Symbol.asyncDispose]() };
}

/** A row of the first node comes to the two others, so that the log of each has something the other hears from elsewhere. */
async function fromElsewhere(node: TestNode, links: Links, id: number, rows = 1): Promise<void> {
  await app(node, `insert into item select i, 'row' from generate_series(${id}, ${id + rows - 1}) i`);
  for (const target of ["external", "n3"]) while ((await links.round("local", target)).worked);
}

describe.each(ways)("what a target hears from others, in $way", ({ options }) => {
  test("C4 C9: is passed over without a write, until the position has stood for a while", async () => {
    const clock = new Hands();
    await using mesh = await three(options, moveOnMs, clock);
    const { nodes, links } = mesh;
    const link = await links.link("external", "n3");
    const stood = await position(nodes.node("n3"), "external");
    const { batches } = link.report;

    await fromElsewhere(nodes.local, links, 2);
    expect(await link.round()).toMatchObject({ worked: false, reached: true });
    await fromElsewhere(nodes.local, links, 3, 500);
    clock.time += moveOnMs - 1;
    expect(await link.round()).toMatchObject({ worked: false, reached: true });
    expect(await position(nodes.node("n3"), "external")).toBe(stood);
    // nobody waits for what is not sent
    expect(await nodes.external.admin.query("select * from tandem.pending")).toEqual([]);

    clock.time += 1;
    while ((await link.round()).worked);
    const moved = await position(nodes.node("n3"), "external");
    expect(moved).not.toBe(stood);
    clock.time += 10 * moveOnMs;
    while ((await link.round()).worked);
    expect(await position(nodes.node("n3"), "external")).toBe(moved);
    expect(link.report.batches).toBe(batches + 1);
  });

  test("C1 C4: a change among it comes at once, and the position with it, by the short way too", async () => {
    const clock = new Hands();
    await using mesh = await three(options, moveOnMs, clock);
    const { nodes, links } = mesh;
    const link = await links.link("external", "n3");
    const there = async () =>
      (await nodes.node("n3").admin.query("select id from item where v like 'own%' order by id")).length;

    for (const woken of [false, true, true]) {
      const before = await position(nodes.node("n3"), "external");
      await fromElsewhere(nodes.local, links, 10_000 + clock.time);
      expect(await link.round(woken)).toMatchObject({ worked: false, reached: true });
      expect(await position(nodes.node("n3"), "external")).toBe(before);
      const had = await there();
      await app(nodes.external, `insert into item values (${-clock.time}, 'own')`);
      await fromElsewhere(nodes.local, links, 20_000_000 + clock.time);
      expect(await link.round(woken)).toMatchObject({ worked: true });
      while ((await link.round()).worked);
      expect(await there()).toBe(had + 1);
      expect(await position(nodes.node("n3"), "external")).not.toBe(before);
      clock.time += 1;
    }
    expect(link.report.small).toBeGreaterThan(0);
    await links.sync();
    await links.expectRest();
  });

  test("C9: takes one look at the source, until catalogs are compared", async () => {
    const clock = new Hands();
    await using mesh = await three(options, moveOnMs, clock);
    const { nodes, links } = mesh;
    const link = await links.link("external", "n3");
    const meet = link.target.meet.bind(link.target);
    let met = 0;
    link.target.meet = async (here) => {
      met++;
      return await meet(here);
    };
    const looked = async (id: number) => {
      await fromElsewhere(nodes.local, links, id);
      const before = met;
      expect(await link.round()).toMatchObject({ worked: false, reached: true });
      return met - before;
    };
    expect(await looked(2)).toBe(1);
    clock.time += 1_000;
    expect(await looked(3)).toBe(0);
    clock.time += 1_000;
    expect(await looked(4)).toBe(0);
    // Nothing new is passed over in the same way.
    expect(await link.round()).toMatchObject({ worked: false, reached: true });
    expect(met).toBe(1);
    clock.time += 13_000;
    while ((await link.round()).worked);
    expect(met).toBeGreaterThan(1);
  });

  test.each([false, true])("C11: the lag of what follows counts from the last look, woken: %s", async (woken) => {
    const clock = new Hands();
    await using mesh = await three(options, moveOnMs, clock);
    const { nodes, links } = mesh;
    const link = await links.link("external", "n3");
    if (woken) {
      // the short way is taken for a table that has been carried
      await app(nodes.external, "insert into item values (-9, 'own')");
      while ((await link.round()).worked);
    }
    const { target } = link;
    const [meet, apply, applySmall] = [target.meet, target.apply, target.applySmall].map((work) =>
      work.bind(target),
    ) as [typeof target.meet, typeof target.apply, typeof target.applySmall];
    let met = 0;
    const since: (number | null)[] = [];
    target.meet = async (here) => {
      const state = await meet(here);
      met = state.clock;
      return state;
    };
    target.apply = async (request) => {
      since.push(request.reach.since);
      return await apply(request);
    };
    target.applySmall = async (request) => {
      since.push(request.reach.since);
      return await applySmall(request);
    };
    await fromElsewhere(nodes.local, links, 2);
    expect(await link.round()).toMatchObject({ worked: false, reached: true });
    const began = met;
    clock.time += 3_000;
    expect(await link.round()).toMatchObject({ worked: false, reached: true });
    expect(met).toBe(began);
    // A round of the usual way asks the target, whose clock has not been moved.
    const ids = woken ? [-1, -2] : [-1];
    for (const id of ids) {
      await app(nodes.external, `insert into item values (${id}, 'own')`);
      expect(await link.round(woken)).toMatchObject({ worked: true });
      expect(since.at(-1)).toBeGreaterThanOrEqual(began + 2_999);
    }
    expect(since.length).toBe(ids.length);
  });

  test("C4: by the short way too it is passed over for so long only", async () => {
    const clock = new Hands();
    await using mesh = await three(options, moveOnMs, clock);
    const { nodes, links } = mesh;
    const link = await links.link("external", "n3");
    await app(nodes.external, "insert into item values (-1, 'own')");
    while ((await link.round(true)).worked);
    const stood = await position(nodes.node("n3"), "external");
    for (let i = 0; i < 3; i++) {
      await fromElsewhere(nodes.local, links, 100 * (i + 1), 1 + 50 * i);
      expect(await link.round(true)).toMatchObject({ worked: false, reached: true });
      clock.time += 1_000;
    }
    expect(await position(nodes.node("n3"), "external")).toBe(stood);
    clock.time += moveOnMs - 3_000;
    expect(await link.round(true)).toMatchObject({ worked: true });
    expect(await position(nodes.node("n3"), "external")).not.toBe(stood);
  });

  test("C1 C4: a transaction that was open while all else was passed over comes at once", async () => {
    await using mesh = await three(options, moveOnMs, new Hands());
    const { nodes, links } = mesh;
    const link = await links.link("external", "n3");
    const late = await openClient(nodes.external.url);
    await late.query("begin; insert into item values (-1, 'own')");
    await fromElsewhere(nodes.local, links, 2);
    expect(await link.round()).toMatchObject({ worked: false });
    await late.query("commit");
    await late.end();
    await fromElsewhere(nodes.local, links, 3);
    expect(await link.round()).toMatchObject({ worked: true });
    await links.sync();
    await links.expectRest();
  });

  test("a link that does not stay moves its position on at once", async () => {
    await using mesh = await three(options, undefined, new Hands());
    const { nodes, links } = mesh;
    const stood = await position(nodes.node("n3"), "external");
    await fromElsewhere(nodes.local, links, 2);
    expect(await links.round("external", "n3")).toMatchObject({ worked: true, reached: true });
    expect(await position(nodes.node("n3"), "external")).not.toBe(stood);
  });

  test("C11: what has been passed over is not lost to an applier that ends before it says so", async () => {
    const clock = new Hands();
    await using mesh = await three(options, moveOnMs, clock);
    const { nodes, links } = mesh;
    await fromElsewhere(nodes.local, links, 2);
    await links.round("external", "n3");
    await links.reopen();
    await app(nodes.external, "insert into item values (-1, 'own')");
    await links.sync();
    await links.expectRest();
  });
});
