import { execFileSync } from "node:child_process";
import { describe, expect, test, vi } from "vitest";
import { status } from "../../src/sidecar/status.ts";
import { sync } from "../../src/sidecar/sync.ts";
import { projectRoot } from "../support/child.ts";
import { app, codeOf, type Links, linkedCluster, ways } from "../support/link.ts";
import { contentOf, type TestNode } from "../support/pg.ts";

// Several databases and many rounds: patience for slow machines, not a measure.
vi.setConfig({ testTimeout: 180_000 });

/** Runs SQL in a session of another process; nothing of this one goes on before it is done. */
function runAtOnce(url: string, statement: string): void {
  const program = `import pg from "pg";
    const client = new pg.Client(process.argv[1]);
    await client.connect();
    await client.query(process.argv[2]);
    await client.end();`;
  execFileSync(process.execPath, ["--input-type=module", "-e", program, url, statement], {
    cwd: projectRoot,
    timeout: 60_000,
  });
}

const types = `create type public.size as enum ('s', 'm'); create type public.other_size as enum ('s', 'm');
  create domain public.short as varchar(5); create domain public.cents as numeric(9,2);`;

/** Types of one column here and there between which a value could be rounded, padded or written another way. */
const changing: readonly (readonly [string, string])[] = [
  ["numeric", "numeric(6,2)"],
  ["numeric(8,3)", "numeric(8,2)"],
  ["public.cents", "numeric"],
  ["numeric[]", "numeric(6,2)[]"],
  ["integer", "numeric"],
  ["double precision", "real"],
  ["double precision", "numeric"],
  ["timestamp without time zone", "date"],
  ["timestamp with time zone", "timestamp without time zone"],
  ["timestamp without time zone", "timestamp(0) without time zone"],
  ["time without time zone", "time(0) without time zone"],
  ["interval", "interval day"],
  ["interval", "interval(0)"],
  ["text", "character(5)"],
  ["character(3)", "character(5)"],
  ["text", "name"],
  ["character varying(5)[]", "text[]"],
  ["text", "uuid"],
  ["text", "bytea"],
  ["json", "jsonb"],
  ["public.size", "public.other_size"],
  ["public.pair", "public.pair"],
  ["public.spans", "public.spans"],
];

/** Types between which a value passes unchanged, or is refused. */
const alike: readonly (readonly [string, string])[] = [
  ["bigint", "smallint"],
  ["integer[]", "bigint[]"],
  ["numeric(20,2)", "numeric(4,2)"],
  ["text", "varchar(5)"],
  ["varchar", "public.short"],
  ["public.cents", "numeric(4,2)"],
  ["varchar[]", "text[]"],
  ["public.size", "public.size"],
];

const local = ([here]: readonly [string, string]): string => here;
const external = ([, there]: readonly [string, string]): string => there;

function tables(column: (pair: readonly [string, string]) => string): string {
  const all = [...changing.map((pair) => ["c", pair] as const), ...alike.map((pair) => ["a", pair] as const)];
  return all
    .map(([kind, pair], i) => `create table public.${kind}${i} (id int primary key, "The value" ${column(pair)});`)
    .join("\n");
}

async function heldIn(node: TestNode): Promise<string[]> {
  const rows = await node.admin.query(
    "select table_name || ': ' || reason as line from tandem.inbound_table where state = 'held' order by 1",
  );
  return rows.map(({ line }) => line ?? "");
}

/** Nothing may be lost on the way: what is held travels once the types are equal. */
async function settle(links: Links): Promise<void> {
  await links.sync();
  await links.retryParked();
  await links.sync();
}

for (const { way, options } of ways) {
  describe(`tables that are held in ${way}`, () => {
    test("C3 C11: a column of a type that could change values holds the table, both ways; one that only refuses does not", async () => {
      await using linked = await linkedCluster(2, { ...options });
      const { nodes, links } = linked;
      await app(
        nodes.local,
        `${types} create type public.pair as (a int, b numeric); create type public.spans as range (subtype = numeric); ${tables(local)}`,
      );
      await app(
        nodes.external,
        `${types} create type public.pair as (a int, b numeric(6,2)); create type public.spans as range (subtype = float8); ${tables(external)}`,
      );
      await links.migrate();
      await links.sync();
      for (const [node, here, there] of [
        [nodes.external, local, external],
        [nodes.local, external, local],
      ] as const) {
        const held = await heldIn(node);
        expect(held).toHaveLength(changing.length);
        for (const [i, pair] of changing.entries()) {
          if (here(pair) === there(pair)) continue;
          const plain = (type: string) => type.replace("public.", "");
          const line = held.find((one) => one.startsWith(`c${i}: `))?.replaceAll("public.", "");
          expect(line).toBe(
            `c${i}: column "The value" is ${plain(here(pair))} at the source, ${plain(there(pair))} here`,
          );
        }
        expect(held.filter((line) => /numeric of scale 2|spans\(double precision\)/.test(line))).toHaveLength(2);
      }
    });

    test("C1 C3: a type changed on one side and then on the other: writes go on, nothing is rounded or lost", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `create table public.price (id int primary key, amount numeric, day timestamp);
          create table public.other (id int primary key, v text);`,
      });
      const { nodes, links } = linked;
      await app(
        nodes.local,
        "insert into public.price select i, i + 0.125, '2024-05-05 12:34:56.789' from generate_series(1, 50) i; insert into public.other values (1, 'a')",
      );
      await links.sync();
      const change = "alter table public.price alter amount type numeric(12,4), alter day type timestamp(0)";
      await app(nodes.external, "update public.price set amount = 7.0625 where id = 7");
      await app(nodes.local, change);
      // one as the other goes on
      const writes = (side: string, from: number) =>
        `insert into public.price select i, i + 0.1111111, '2024-05-05 12:34:56.789' from generate_series(${from}, ${from + 9}) i;
         update public.price set amount = amount + 0.03125 where id = ${from % 50}; delete from public.price where id = ${(from % 50) + 1};
         insert into public.other values (${from}, '${side}');`;
      await app(nodes.local, writes("local", 110));
      await app(nodes.external, writes("external", 220));
      await links.sync();
      // what a held table waits with is pending, and prune leaves it
      const pending = (node: TestNode) =>
        node.admin.query(`select "table", count(*) as n from tandem.pending group by 1`);
      expect(await pending(nodes.local)).toEqual([{ table: "price", n: "12" }]);
      expect(await pending(nodes.external)).toEqual([{ table: "price", n: "13" }]);
      expect(await nodes.local.admin.value("select count(*) from tandem.price_changelog where not synced")).toBe("12");
      expect(await nodes.local.admin.value("select count(*) from tandem.other_changelog where not synced")).toBe("0");
      expect(await heldIn(nodes.local)).toEqual([
        "price: column amount is numeric at the source, numeric(12,4) here; column day is timestamp without time zone at the source, timestamp(0) without time zone here",
      ]);
      expect(await heldIn(nodes.external)).toHaveLength(1);
      expect(await contentOf(nodes.external.superUrl, "public.other")).toEqual([
        "(1,a)",
        "(110,local)",
        "(220,external)",
      ]);
      await app(nodes.local, writes("local", 330));
      await app(nodes.external, writes("external", 440));
      await links.sync();
      await app(nodes.external, change);
      await app(nodes.external, "update public.price set amount = 1.00005 where id = 45");
      await settle(links);
      expect(await heldIn(nodes.local)).toEqual([]);
      expect(await links.expectRest()).toBe(50 + 40 - 4 + 5);
      expect(
        await nodes.local.admin.query("select id, amount from public.price where id in (7, 45, 110, 440) order by id"),
      ).toEqual([
        { id: "7", amount: "7.0625" },
        { id: "45", amount: "1.0001" },
        { id: "110", amount: "110.1111" },
        { id: "440", amount: "440.1111" },
      ]);
      expect(await links.conflicts("local")).toEqual([]);
      expect(await links.conflicts("external")).toEqual([]);
    });

    test("C11: sync and status tell the column and both types", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: "create table public.t (id int primary key, n numeric); create table public.u (id int primary key)",
      });
      const { nodes, links } = linked;
      expect((await sync(links.config)).well).toBe(true);
      await app(nodes.external, "alter table public.t alter n type numeric(6,2)");
      await app(nodes.local, "insert into public.t values (1, 1.005); insert into public.u values (1)");
      const report = await sync(links.config);
      expect(report.well).toBe(false);
      expect(report.links.map(({ held }) => held)).toEqual([
        [{ table: "public.t", reason: "column n is numeric at the source, numeric(6,2) here" }],
        [{ table: "public.t", reason: "column n is numeric(6,2) at the source, numeric here" }],
      ]);
      expect(await contentOf(nodes.external.superUrl, "public.u")).toEqual(["(1)"]);
      const { well, sentence, links: states } = await status(links.config);
      expect({ well, held: states.map(({ tablesHeld }) => tablesHeld) }).toEqual({ well: false, held: [1, 1] });
      expect(sentence).toContain("column n is numeric at the source, numeric(6,2) here");
      await app(nodes.external, "alter table public.t alter n type numeric");
      expect((await sync(links.config)).well).toBe(true);
      const after = await status(links.config);
      expect(after.well).toBe(true);
      expect(after.links.every(({ caughtUpMs }) => caughtUpMs !== null && caughtUpMs < 900_000)).toBe(true);
      expect(await links.expectRest()).toBe(2);
      // a node that cannot be asked: what its peer has from it grows old
      await nodes.external.admin.query("update tandem.inbound set caught_up_at = caught_up_at - interval '3 days'");
      const lost = { ...links.config, nodes: links.config.nodes.map((node) => ({ ...node })) };
      const [gone] = lost.nodes;
      Object.assign(gone!, { url: gone!.url.replace(/:\d+\//, ":1/") });
      const { problems } = await status(lost);
      expect(problems.map(({ kind, message }) => `${kind}: ${message}`)).toContainEqual(
        expect.stringMatching(/^stale: external last had everything from local 3 days ago/),
      );
    });

    test("C3: a type that changes while a batch is under way is seen before anything is written", async () => {
      const alter: { now: (() => unknown) | null } = { now: null };
      let altered: unknown;
      await using linked = await linkedCluster(2, {
        ...options,
        schema: "create table public.t (id int primary key, n numeric)",
        onEvent: ({ kind }) => {
          if (kind === "batch" && alter.now) altered = alter.now();
          alter.now = null;
        },
      });
      const { nodes, links } = linked;
      await links.sync();
      for (const node of [nodes.external, nodes.local]) {
        await app(nodes.local, "insert into public.t select coalesce(max(id), 0) + 1, 1.005 from public.t");
        const narrow = "alter table public.t alter n type numeric(6,2)";
        // At the target it is to be done before the batch goes on; at the source it waits for the batch's own lock.
        alter.now = () => (node === nodes.external ? runAtOnce(node.url, narrow) : app(node, narrow));
        const link = await links.link("local", "external");
        const seen = await codeOf(
          (async () => {
            while ((await link.round()).worked) await altered;
          })(),
        );
        await altered;
        expect(node === nodes.external ? seen : "shape_changed").toBe("shape_changed");
        await links.catchUp("local", "external");
        expect(await contentOf(nodes.external.superUrl, "public.t")).not.toContain("(2,1.01)");
        await app(node, "alter table public.t alter n type numeric");
        await links.sync();
      }
    });

    test("C3 C6: what depends on a held table waits for it; no deletion is undone, none goes too far", async () => {
      await using linked = await linkedCluster(2, {
        ...options,
        schema: `create table public.parent (id int primary key, v text);
          create table public.strict (id int primary key, parent int references public.parent, n numeric);
          create table public.loose (id int primary key, parent int references public.parent on delete cascade, n numeric);
          create table public.top (id int primary key, n numeric);
          create table public.under (id int primary key, top int references public.top);
          create table public.person (id int primary key, email text unique);
          create table public.badge (id int primary key, person int references public.person, n numeric);`,
      });
      const { nodes, links } = linked;
      await app(
        nodes.local,
        `insert into public.parent select i, 'v' from generate_series(1, 6) i;
         insert into public.strict values (1, 1, 0), (2, 2, 0); insert into public.loose values (1, 3, 0), (2, 4, 0);
         insert into public.top values (1, 0); insert into public.under values (1, 1);
         insert into public.person values (1, 'a@x'), (2, 'b@x'); insert into public.badge values (1, 1, 0);`,
      );
      await links.sync();
      const tables = ["strict", "loose", "top", "badge"];
      for (const table of tables) await app(nodes.external, `alter table public.${table} alter n type numeric(6,2)`);
      await app(
        nodes.local,
        `delete from public.strict where id = 1; delete from public.parent where id = 1;
         delete from public.parent where id = 3; update public.loose set parent = 5 where id = 2; delete from public.parent where id = 4;
         insert into public.top values (2, 1.005); insert into public.under values (2, 2), (3, 1); update public.parent set v = 'w' where id = 6;
         delete from public.badge; delete from public.person where id = 1; update public.person set email = 'a@x' where id = 2;`,
      );
      await links.sync();
      expect(await links.parked("external")).toEqual([
        ...["parent 1 waits", "parent 3 waits", "parent 4 waits"],
        ...["person 1 waits", "person 2 waits", "under 2 waits"],
      ]);
      expect(await contentOf(nodes.external.superUrl, "public.loose")).toEqual(["(1,0.00,3)", "(2,0.00,4)"]);
      expect(await nodes.external.admin.value("select v from public.parent where id = 6")).toBe("w");
      for (const table of tables) {
        await app(nodes.external, `alter table public.${table} alter n type numeric using trim_scale(n)`);
      }
      await settle(links);
      await settle(links);
      expect(await contentOf(nodes.local.superUrl, "public.parent")).toEqual(["(2,v)", "(5,v)", "(6,w)"]);
      expect(await contentOf(nodes.external.superUrl, "public.loose")).toEqual(["(2,0,5)"]);
      expect(await contentOf(nodes.local.superUrl, "public.person")).toEqual(["(a@x,2)"]);
      expect(await links.expectRest()).toBe(3 + 1 + 1 + 2 + 3 + 1);
      expect([...(await links.conflicts("local")), ...(await links.conflicts("external"))]).toEqual([]);
    });
  });
}
