import { expect, test, vi } from "vitest";
import { app, linkedCluster } from "../support/link.ts";
import { openClient } from "../support/pg.ts";

vi.setConfig({ testTimeout: 180_000 });

/** Types in which equal keys may be written differently: how one node writes a key and how the other does. */
const keys = [
  { type: "interval", one: "1 mon", other: "30 days" },
  { type: "numeric", one: "1", other: "1.00" },
  { type: "float8", one: "0", other: "-0" },
  { type: "char(4)", one: "a", other: "a  " },
  { type: "inexact", one: "2.0", other: "2" },
] as const;

const schema = `create domain public.inexact as numeric;
  ${keys.map(({ type }, i) => `create table public.t${i} (id ${type} primary key, v text);`).join("\n")}`;

test("C5 a row that is parked is not taken for known there because its key is written differently", async () => {
  await using linked = await linkedCluster(2, { schema });
  const { nodes, links } = linked;
  await links.sync();
  for (const [i, { one }] of keys.entries())
    await app(nodes.external, `insert into public.t${i} values ('${one}', 'older')`);
  const open = await openClient(nodes.local.url);
  try {
    await open.query("begin");
    for (const [i, { other }] of keys.entries())
      await open.query(`insert into public.t${i} values ('${other}', 'newer')`);
    await links.catchUp("external", "local");
    expect(await links.parked("local")).toEqual(keys.map(({ one }, i) => `t${i} ${one} busy`));
    await open.query("commit");
  } finally {
    await open.end();
  }
  await links.catchUp("local", "external");
  await links.retryParked();
  await links.sync();
  await links.expectRest();
  for (const [i, { type }] of keys.entries()) {
    const rows = await nodes.external.admin.query(`select v from public.t${i}`);
    expect({ type, rows }).toEqual({ type, rows: [{ v: "newer" }] });
    const kept = await nodes.external.admin.value(
      `select count(*) from tandem.conflicts where "table" = 't${i}' and winner = 'incoming' and local_image like '%older%'`,
    );
    expect({ type, kept }).toEqual({ type, kept: "1" });
  }
});
