import { expect, test } from "vitest";
import { systemClock } from "../../src/base/time.ts";
import { status } from "../../src/sidecar/status.ts";
import { app, linkedCluster } from "../support/link.ts";
import type { TestNode } from "../support/pg.ts";

const schema = "create table public.t (id int primary key)";

/** A node's clock now, in milliseconds since 1970. */
async function clockOf({ admin }: TestNode): Promise<number> {
  const [row] = await admin.query("select extract(epoch from clock_timestamp()) * 1000 as ms");
  return Number(row?.ms);
}

/** What a node says of the link into it. */
async function inbound({ admin }: TestNode): Promise<{ caughtUp: number; lag: number }> {
  const [row] = await admin.query(
    "select extract(epoch from caught_up_at) * 1000 as caught_up, extract(epoch from lag) * 1000 as lag from tandem.status",
  );
  return { caughtUp: Number(row?.caught_up), lag: Number(row?.lag) };
}

/** So that the next look is noted, though one was a moment ago. */
async function growOld({ admin }: TestNode): Promise<void> {
  await admin.query("update tandem.inbound set caught_up_at = caught_up_at - interval '1 hour'");
}

test("C11: a link never claims to have what was committed after its batch was read", async () => {
  await using linked = await linkedCluster(2, { schema });
  const { nodes, links } = linked;
  await links.sync();
  await app(nodes.local, "insert into public.t values (1)");
  let committed = 0;
  await links.roundAround("local", "external", async () => {
    committed = await clockOf(nodes.external);
    await app(nodes.local, "insert into public.t values (2)");
  });
  expect(await app(nodes.external, "select id from public.t")).toHaveLength(1);
  expect((await inbound(nodes.external)).caughtUp).toBeLessThan(committed);
});

test("C11: nor what was committed after it looked and found nothing", async () => {
  await using linked = await linkedCluster(2, { schema });
  const { nodes, links } = linked;
  await links.sync();
  await links.reopen();
  const { target } = await links.link("local", "external");
  const note = target.noteCaughtUp.bind(target);
  let committed = 0;
  target.noteCaughtUp = async (reach) => {
    committed = await clockOf(nodes.external);
    await app(nodes.local, "insert into public.t values (1)");
    await note(reach);
  };
  await growOld(nodes.external);
  const before = (await inbound(nodes.external)).caughtUp;
  await links.round("local", "external");
  const { caughtUp } = await inbound(nodes.external);
  expect(caughtUp).toBeGreaterThan(before);
  expect(caughtUp).toBeLessThan(committed);
});

test("C11: of a batch that was cut nothing is claimed before the rest has come", async () => {
  await using linked = await linkedCluster(2, { schema, batchRows: 1 });
  const { nodes, links } = linked;
  await links.sync();
  await growOld(nodes.external);
  const before = await inbound(nodes.external);
  for (const id of [1, 2]) await app(nodes.local, `insert into public.t values (${id})`);
  expect(await links.round("local", "external")).toMatchObject({ worked: true, reached: false });
  expect(await inbound(nodes.external)).toEqual(before);
  await links.sync();
  expect((await inbound(nodes.external)).caughtUp).toBeGreaterThan(before.caughtUp);
});

for (const [how, aheadMs] of [
  ["", 0],
  [", also where the clock of the applier is wrong", 7_200_000],
] as const) {
  test(`C11: the lag is no less than a change was under way, and no more than since the look before${how}`, async () => {
    const clock = { ...systemClock, now: () => Date.now() + aheadMs };
    await using linked = await linkedCluster(2, { schema, clock });
    const { nodes, links } = linked;
    const { external } = nodes;
    await links.sync();
    await links.reopen();
    await growOld(external);
    await links.round("local", "external");
    const before = await inbound(external);
    await app(nodes.local, "insert into public.t values (1)");
    const committed = await clockOf(external);
    await external.admin.query("select pg_sleep(0.2)");
    const begun = await clockOf(external);
    await links.round("local", "external");
    const { lag, caughtUp } = await inbound(external);
    const arrived = await clockOf(external);
    expect(before.caughtUp).toBeLessThan(committed);
    expect(lag).toBeGreaterThanOrEqual(begun - before.caughtUp);
    expect(lag).toBeLessThanOrEqual(arrived - before.caughtUp);
    expect(caughtUp).toBeLessThan(arrived);
    const shown = (await status(links.config)).links.find(({ target }) => target === "external");
    expect(Math.abs((shown?.lagMs ?? 0) - lag)).toBeLessThan(1);
  });
}
