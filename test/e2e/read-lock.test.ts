import { expect, test } from "vitest";
import { systemClock } from "../../src/base/time.ts";
import { connect } from "../../src/db/connect.ts";
import { Link } from "../../src/link/link.ts";
import { PostgresSource } from "../../src/postgres/source.ts";
import { PostgresTarget } from "../../src/postgres/target.ts";
import { app, linkedCluster } from "../support/link.ts";
import { contentOf } from "../support/pg.ts";

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
      if (text.includes("tandem:read-lock") && rewritten++ === 0) {
        await app(nodes.local, "alter table public.t alter column v type bigint");
      }
      return await exec(text);
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
