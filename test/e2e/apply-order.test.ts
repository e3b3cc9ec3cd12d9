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

  test("C6 H15: a row stamped further ahead than max_skew waits, and stops nothing; what is written here after it wins", async () => {
    await using linked = await linkedCluster(2, { ...options, schema: table, maxSkewMs: 60_000 });
    const { nodes, links } = linked;
    await app(nodes.local, "insert into public.t values (1, 'old'), (2, 'old')");
    await links.sync();
    // as if the clock of local had been an hour ahead, and then half a minute
    const stampAhead = (id: number, by: string) =>
      nodes.local.admin.query(
        `update tandem_log."public.t" set stamp = date_trunc('second', stamp) + interval '${by}' where k1 = ${id} and origin = 'local' and op = 'U'`,
      );
    await app(nodes.local, "update public.t set v = 'an hour ahead' where id = 1");
    await stampAhead(1, "1 hour");
    await app(
      nodes.local,
      "update public.t set v = 'half a minute ahead' where id = 2; insert into public.t values (3, 'new')",
    );
    await stampAhead(2, "30 seconds");
    await links.sync();
    expect(await links.parked("external")).toEqual(["t 1 ahead"]);
    expect(await contentOf(nodes.external.superUrl, "public.t")).toEqual([
      "(1,old)",
      '(2,"half a minute ahead")',
      "(3,new)",
    ]);
    await app(nodes.external, "update public.t set v = 'after it was seen' where id = 2");
    await links.sync();
    expect(await contentOf(nodes.local.superUrl, "public.t")).toContain('(2,"after it was seen")');
    expect(await links.conflicts("local")).toEqual([]);
  });
});
