import { describe, expect, test, vi } from "vitest";
import { app, linkedCluster, ways } from "../support/link.ts";
import { contentOf, openClient } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 300_000 });

const table = "create table public.t (id int primary key, v text);";
const dated = "create table public.t (id int primary key, v text, updated_at timestamptz);";

for (const { way, options } of ways) {
  describe(`a first meeting in ${way}`, () => {
    test("C3: one side full", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `${table} create table public.c (id bigserial primary key, t int not null references public.t, v text);`,
      });
      const { nodes, links } = linked;
      await nodes.local.admin.query(
        "insert into public.t select i, 'v' || i from generate_series(1, 2000) i; insert into public.c (t, v) select i, 'c' from generate_series(1, 2000) i",
      );
      const done = await links.sync();
      expect(done["local external"]).toMatchObject({ applied: 4000, adopted: 0, parked: 0 });
      expect(done["external local"]?.applied).toBe(0);
      expect(await links.expectRest()).toBe(4000);
      expect(await links.conflicts("external")).toEqual([]);
      await app(nodes.external, "insert into public.c (t, v) values (1, 'by sequence')");
      await links.sync();
      expect(await links.expectRest()).toBe(4001);
    });

    test("C3: rows that were there before Tandem, in key order of every kind, copied in ranges", async () => {
      await using linked = await linkedCluster(2, { ...options });
      const { nodes, links } = linked;
      const schema = `${table} create type public.mood as enum ('a', 'b', 'c'); create table public.m (m public.mood, n numeric, "K" text, primary key (m, n, "K"));`;
      for (const node of nodes) await app(node, schema);
      await app(nodes.local, "insert into public.t select i, 'v' from generate_series(1, 60000) i");
      await app(
        nodes.local,
        "insert into public.m select m, n, 'K''' || n from unnest(enum_range(null::public.mood)) m, generate_series(1, 5000) n",
      );
      await links.migrate();
      await links.sync();
      expect(await links.expectRest()).toBe(75_000);
    });

    test("C3: both sides full and equal: adopted, nothing written, no conflict", async () => {
      await using linked = await linkedCluster(2, { ...options });
      const { nodes, links } = linked;
      for (const node of nodes) {
        await app(
          node,
          `${dated} insert into public.t select i, 'v' || i, '2024-01-01' from generate_series(1, 1000) i`,
        );
        await app(
          node,
          `create table public.u (id int primary key, v numeric, j json); insert into public.u select i, i / 7.0, '{"a" : 1}' from generate_series(1, 1000) i`,
        );
      }
      await links.migrate();
      const before = await nodes.external.admin.query(
        "select ctid, xmin from public.t union all select ctid, xmin from public.u",
      );
      const done = await links.sync();
      expect(done["local external"]).toMatchObject({ applied: 0, undecided: 0, parked: 0 });
      expect(
        await nodes.external.admin.query("select ctid, xmin from public.t union all select ctid, xmin from public.u"),
      ).toEqual(before);
      expect(await links.conflicts("external")).toEqual([]);
      expect(await links.conflicts("local")).toEqual([]);
      expect(await links.expectRest()).toBe(2000);
    });

    test("C3 C5: both sides with different rows: the newer by updated_at stays, the other is kept aside", async () => {
      await using linked = await linkedCluster(2, { ...options });
      const { nodes, links } = linked;
      await app(
        nodes.local,
        `${dated} insert into public.t values (1, 'same', '2024-01-01'), (2, 'older', '2024-01-01'), (3, 'newer', '2024-03-01'), (4, 'only local', null)`,
      );
      await app(
        nodes.external,
        `${dated} insert into public.t values (1, 'same', '2024-01-01'), (2, 'newer', '2024-02-01'), (3, 'older', '2024-01-01'), (5, 'only external', '2024-01-01')`,
      );
      await links.migrate();
      await links.sync();
      expect(await links.expectRest()).toBe(5);
      expect((await contentOf(nodes.local.superUrl, "public.t")).filter((row) => row.includes("older"))).toEqual([]);
      const images = await nodes.external.admin.query(
        "select local_image, incoming_image, winner from tandem.conflicts order by key",
      );
      expect(images).toHaveLength(2);
      expect(images.map(({ winner }) => winner)).toEqual(["local", "incoming"]);
      expect(images[0]?.incoming_image).toContain("older");
      expect(images[1]?.local_image).toContain("older");
    });

    test("C3: times of the future count as now", async () => {
      await using linked = await linkedCluster(2, { ...options });
      const { nodes, links } = linked;
      await app(
        nodes.local,
        `${dated} insert into public.t values (1, 'future', '2200-01-01'), (2, 'future', 'infinity')`,
      );
      await app(
        nodes.external,
        `${dated} insert into public.t values (1, 'past', '2024-01-01'), (2, 'past', '-infinity')`,
      );
      await links.migrate();
      await links.sync();
      expect(await links.parked("external")).toEqual([]);
      expect(await links.expectRest()).toBe(2);
      await app(nodes.external, "update public.t set v = 'later' where id = 1");
      await links.sync();
      expect(await nodes.local.admin.value("select v from public.t where id = 1")).toBe("later");
      expect(await links.expectRest()).toBe(2);
    });

    test.each(["local", "external"])(
      "C5: rows that differ without a time are refused with their number until %s is the seed",
      async (seed) => {
        await using linked = await linkedCluster(2, { ...options });
        const { nodes, links } = linked;
        await app(nodes.local, `${table} insert into public.t select i, 'local' from generate_series(1, 10) i`);
        await app(
          nodes.external,
          `${table} insert into public.t select i, case when i > 6 then 'local' else 'external' end from generate_series(1, 12) i`,
        );
        for (const node of nodes)
          await app(node, "create table public.other (id int primary key); insert into public.other values (1)");
        await links.migrate();
        await links.sync();
        const states = await nodes.external.admin.query(
          "select table_name, state, reason from tandem.inbound_table order by 1",
        );
        expect(states).toEqual([
          { table_name: "other", state: "flow", reason: null },
          { table_name: "t", state: "copy", reason: "6 rows differ and nothing says which is newer" },
        ]);
        expect(
          (await nodes.local.admin.query("select reason from tandem.inbound_table where table_name = 't'"))[0]?.reason,
        ).toBe("6 rows differ and nothing says which is newer");
        expect(await nodes.local.admin.value("select count(*) from public.t where v <> 'local'")).toBe("0");
        // all else flows meanwhile
        await app(nodes.local, "insert into public.other values (2)");
        await links.sync();
        expect(await nodes.external.admin.value("select count(*) from public.other")).toBe("2");
        for (const node of nodes) await node.admin.query(`update tandem.local_node set seed = '${seed}'`);
        await links.reopen();
        await links.sync();
        expect(await links.expectRest()).toBe(14);
        expect(await nodes.local.admin.value("select count(*) from public.t where v = 'external'")).toBe(
          seed === "local" ? "0" : "6",
        );
        const loser = seed === "local" ? "external" : "local";
        const kept = await nodes
          .node(loser)
          .admin.query("select local_image from tandem.conflicts where rule = 'seed' and winner = 'incoming'");
        expect(kept).toHaveLength(6);
        expect(kept[0]?.local_image).toContain(loser);
      },
    );

    test("C2: interrupted in the middle it goes on where it stopped", async () => {
      await using linked = await linkedCluster(2, { ...options });
      const { nodes, links } = linked;
      for (const node of nodes) await app(node, table);
      await app(nodes.local, "insert into public.t select i, 'v' from generate_series(1, 160000) i");
      await links.migrate();
      for (let copied = 0; copied === 0; ) {
        await links.round("local", "external");
        copied = Number(
          await nodes.external.admin.value("select coalesce(max(rows_copied), 0) from tandem.inbound_table"),
        );
      }
      expect(await nodes.external.admin.value("select count(*) from public.t")).toBe("50000");
      await links.reopen();
      await app(
        nodes.local,
        "delete from public.t where id in (10, 159999); update public.t set v = 'w' where id in (20, 150000); insert into public.t values (0, 'zero'), (-1, 'minus')",
      );
      await app(
        nodes.external,
        "update public.t set v = 'external' where id = 30; delete from public.t where id = 40; insert into public.t values (500000, 'new')",
      );
      const rest = await links.sync();
      expect(rest["local external"]?.staged).toBeLessThan(111_000);
      expect(await links.expectRest()).toBe(160_000);
    });

    test("C1: what is written meanwhile, in open transactions too, arrives", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.t select i, 'v' from generate_series(1, 1000) i");
      const open = await openClient(nodes.local.url);
      await open.query(
        "begin; insert into public.t values (5000, 'open'); update public.t set v = 'open' where id = 1; delete from public.t where id = 2",
      );
      await links.round("local", "external");
      await links.round("local", "external");
      await app(
        nodes.local,
        "update public.t set v = 'meanwhile' where id between 10 and 20; delete from public.t where id = 30",
      );
      await links.round("local", "external");
      await open.query("commit");
      await links.sync();
      expect(await links.expectRest()).toBe(999);
    });

    test("C3: three nodes with rows of their own", async () => {
      await using linked = await linkedCluster(3, { ...options });
      const { nodes, links } = linked;
      for (const [i, node] of nodes.nodes.entries()) {
        await app(
          node,
          `${dated} insert into public.t select n, '${node.name}', timestamptz '2024-01-01' + ((n * ${i + 3}) % 7) * interval '1 day' from generate_series(${i * 5}, ${i * 5 + 20}) n`,
        );
      }
      await links.migrate();
      await links.sync();
      expect(await links.expectRest()).toBe(31);
    });

    test("C3: a table that is tracked later", async () => {
      await using linked = await linkedCluster(2, { ...options, schema: table });
      const { nodes, links } = linked;
      await app(nodes.local, "insert into public.t values (1, 'a')");
      await links.sync();
      for (const node of nodes) await app(node, "create table public.late (id int primary key, v text)");
      await app(nodes.external, "insert into public.late select i, 'v' from generate_series(1, 100) i");
      await links.migrate();
      await app(nodes.local, "insert into public.late values (1000, 'local')");
      await links.sync();
      expect(await links.expectRest()).toBe(102);
    });

    test("C1 C6: a table that is held, missing or keyed otherwise, is released without losing a write", async () => {
      await using linked = await linkedCluster(2, { ...options });
      const { nodes, links } = linked;
      await app(
        nodes.local,
        `${table} create table public.missing (id int primary key, v text); create table public.other_key (id int primary key, code text not null unique)`,
      );
      await app(nodes.external, `${table} create table public.other_key (id int, code text primary key)`);
      await links.migrate();
      await app(
        nodes.local,
        "insert into public.missing values (1, 'a'), (2, 'b'); insert into public.other_key values (1, 'x'); insert into public.t values (1, 't')",
      );
      await links.sync();
      const held = await nodes.external.admin.query(
        "select table_name, state, reason from tandem.inbound_table where state <> 'flow' order by 1",
      );
      expect(held).toEqual([
        { table_name: "missing", state: "held", reason: "there is no such table here" },
        { table_name: "other_key", state: "held", reason: "its key differs: (id) at the source, (code) here" },
      ]);
      expect(await nodes.external.admin.value("select v from public.t")).toBe("t");
      await app(
        nodes.local,
        "update public.missing set v = 'A' where id = 1; delete from public.missing where id = 2; insert into public.t values (2, 'u')",
      );
      await links.sync();
      await app(nodes.external, "create table public.missing (id int primary key, v text)");
      await app(
        nodes.external,
        "drop table public.other_key; create table public.other_key (id int primary key, code text not null unique)",
      );
      await links.migrate();
      await links.sync();
      expect(await links.expectRest()).toBe(4);
      // held again after it had flowed: dropped there, later made again
      await app(nodes.external, "alter table public.missing rename to gone_for_a_while");
      await app(
        nodes.local,
        "insert into public.missing values (3, 'c'); update public.missing set v = 'AA' where id = 1; insert into public.t values (3, 'v')",
      );
      await links.catchUp("local", "external");
      expect(
        await nodes.external.admin.value("select state from tandem.inbound_table where table_name = 'missing'"),
      ).toBe("held");
      expect(await nodes.external.admin.value("select count(*) from public.t")).toBe("3");
      // its entries are pending and stay, however old; those of others go
      expect(await nodes.local.admin.query('select "table", op, key from tandem.pending order by key')).toEqual([
        { table: "missing", op: "U", key: "1" },
        { table: "missing", op: "I", key: "3" },
      ]);
      await nodes.local.admin.query("update tandem.local_node set retention = '0'");
      // Nothing goes while a transaction is open that began before it, in whatever database of the server: that of another test, too.
      let [written, pruned] = [0, 0];
      await waitFor(
        async () => {
          for (let i = 0; i < 4; i++, written++) {
            await app(nodes.local, `insert into public.t values (${4 + written}, 'v')`);
            await app(nodes.external, `insert into public.t values (${100_000 + written}, 'v')`);
            await links.sync();
          }
          pruned += Number(await nodes.local.admin.value("select tandem.prune()"));
          return pruned > 3;
        },
        { deadlineMs: 120_000, what: () => `more than ${pruned} entries to be pruned` },
      );
      expect(await nodes.local.admin.value("select count(*) from tandem.pending")).toBe("2");
      await app(nodes.external, "alter table public.gone_for_a_while rename to missing");
      await links.migrate();
      await links.sync();
      expect(await links.expectRest()).toBe(6 + 2 * written);
    });
  });
}
