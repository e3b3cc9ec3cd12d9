import { describe, expect, test } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf, openClient } from "../support/pg.ts";

const table = "create table public.t (id int primary key, v text)";

describe.each(ways)("order in $way", ({ options }) => {
  test("C3 H8: an update that arrives before the insert it rests on brings the whole row", async () => {
    await using linked = await linkedCluster(3, { ...options, schema: table });
    const { nodes, links } = linked;
    await links.sync();
    await app(nodes.local, "insert into public.t values (1, 'inserted')");
    await links.catchUp("local", "external");
    await app(nodes.external, "update public.t set v = 'updated'");
    await links.catchUp("external", "n3");
    expect(await contentOf(nodes.node("n3").superUrl, "public.t")).toEqual(["(1,updated)"]);
    await app(nodes.node("n3"), "update public.t set v = 'again'");
    await links.catchUp("n3", "local");
    await links.sync();
    await links.expectRest();
    expect(await contentOf(nodes.local.superUrl, "public.t")).toEqual(["(1,again)"]);
    for (const { name } of nodes) expect({ [name]: await links.conflicts(name) }).toEqual({ [name]: [] });
  });

  test("C3 H14: what is written last wins, not what began last: a transaction is open for long, and commits last or first", async () => {
    await using linked = await linkedCluster(2, { ...options, schema: table });
    const { nodes, links } = linked;
    await app(nodes.local, "insert into public.t values (1, 'old'), (2, 'old')");
    await links.sync();
    const long = await openClient(nodes.local.url);
    await long.query("begin");
    await long.query("select now()");
    await app(nodes.external, "update public.t set v = 'between' where id = 1");
    await long.query("update public.t set v = 'begun first and written last' where id = 1");
    await long.query("update public.t set v = 'written first' where id = 2");
    await app(nodes.external, "update public.t set v = 'begun later and written last' where id = 2");
    await links.sync();
    await long.query("commit");
    // what the open transaction held locked waits for its next try
    await links.retryParked();
    await links.sync();
    await links.expectRest();
    expect(await contentOf(nodes.external.superUrl, "public.t")).toEqual([
      '(1,"begun first and written last")',
      '(2,"begun later and written last")',
    ]);
    const met = [...(await links.conflicts("local")), ...(await links.conflicts("external"))];
    expect([...new Set(met.map((line) => line.split(" ")[1]))].sort()).toEqual(["1", "2"]);
  });
});
