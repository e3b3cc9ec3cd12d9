import { describe, expect, test, vi } from "vitest";
import { type RepairReport, repair } from "../../src/sidecar/repair.ts";
import { runSidecar } from "../../src/sidecar/sidecar.ts";
import type { VerifyReport } from "../../src/verify/report.ts";
import { verify } from "../../src/verify/verify.ts";
import { type Cluster, cluster, expectEqual, openClient, sql, type TestNode } from "../support/pg.ts";
import { type Random, seeded } from "../support/seed.ts";
import { behindTriggers, prepare, sync, syncParked } from "./verify-support.ts";

// several databases each, and servers that are shared with other tests
vi.setConfig({ testTimeout: 300_000 });

const shop = `create table customer (id bigint primary key, name text not null, note text, at timestamptz);
  create table "Odd Table" ("Key A" int, "key b" text, v numeric, primary key ("Key A", "key b"));
  create table part (id int, region text, amount numeric, primary key (id, region)) partition by list (region);
  create table part_n partition of part for values in ('n');
  create table part_rest partition of part default;`;
const item = "create table item (id bigint primary key, name text, n int not null default 0);";
const rows = `insert into customer select i, 'name ' || i, null, now() from generate_series(1, 3000) i;
  insert into "Odd Table" select i, 'b' || i, i * 1.10 from generate_series(1, 3000) i;
  insert into part select i, case when i % 2 = 0 then 'n' else 's' end, i from generate_series(1, 3000) i;`;

/** `table key`, as a report and a test name a damaged row. */
const named = (report: VerifyReport) =>
  report.tables.flatMap((table) =>
    table.keys.map(({ key, reason }) => `${table.name} ${key.join(",")}${reason === "diverged" ? "" : ` ${reason}`}`),
  );

const asRepaired = ({ schema, name, mended }: VerifyReport["tables"][number]) =>
  mended.filter(({ winner }) => winner !== null).map((key) => ({ schema, name, ...key }));

const decided = ({ mended, left }: Pick<RepairReport, "mended" | "left">) => ({
  mended: mended
    .map(({ key, winner, why, changes }) =>
      [key.join(","), winner, why, ...changes.map(({ node, change }) => `${change} in ${node}`)].join(" "),
    )
    .sort(),
  left: left.map(({ key, why }) => `${key.join(",")} ${why}`).sort(),
});

const tables = [
  {
    name: "customer",
    values: (id: number) => `(id, name) values (${id}, 'out of nowhere')`,
    change: "note = 'scratched'",
    where: "id",
    key: (id: number) => `${id}`,
  },
  {
    name: '"Odd Table"',
    values: (id: number) => `values (${id}, 'b${id}', 7)`,
    change: "v = v * 1.00",
    where: '"Key A"',
    key: (id: number) => `${id},b${id}`,
  },
  {
    name: "part",
    values: (id: number) => `values (${id}, '${id % 2 === 0 ? "n" : "s"}', 7)`,
    change: "amount = amount + 1",
    where: "id",
    key: (id: number) => `${id},${id % 2 === 0 ? "n" : "s"}`,
  },
] as const;

/** One row changed, deleted or put in, in one of the tables; with its key as a report names it. */
function damage(random: Random, n: number): { table: string; statement: string; key: string } {
  const table = random.pick(tables);
  const kind = random.pick(["change", "delete", "insert"] as const);
  const id = kind === "insert" ? n + 10_000 : n;
  const statement = {
    change: `update ${table.name} set ${table.change} where ${table.where} = ${id}`,
    delete: `delete from ${table.name} where ${table.where} = ${id}`,
    insert: `insert into ${table.name} ${table.values(id)}`,
  }[kind];
  return { table: table.name, statement, key: `${table.name.replaceAll('"', "")} ${table.key(id)}` };
}

/** Images of all rows, as a conflict keeps them. */
async function images(node: TestNode): Promise<string[]> {
  const found = await node.admin.query(
    `set DateStyle = 'ISO, YMD'; set TimeZone = 'UTC'; select 'customer ' || array[id::text, name, note, at::text]::text as line from customer
     union all select 'Odd Table ' || array["Key A"::text, "key b", v::text]::text from "Odd Table"
     union all select 'part ' || array[id::text, region, amount::text]::text from part`,
  );
  return found.map(({ line }) => line ?? "");
}

/** The images that conflicts have kept, on any node. */
async function kept(nodes: Cluster): Promise<Set<string | null | undefined>> {
  const query =
    "select table_name || ' ' || local_values::text as line from tandem.conflict where local_values is not null";
  const found = await Promise.all(nodes.nodes.map(({ admin }) => admin.query(query)));
  return new Set(found.flat().map(({ line }) => line));
}

/** As behindTriggers; a partitioned table's leaves have clones of its triggers. */
function behind(table: string, statements: string): string {
  if (table !== "part") return behindTriggers(table, statements);
  const again = ["part", "part_n", "part_rest"].flatMap((name) =>
    ["tandem_row", "tandem_truncate"].map((trigger) => `alter table ${name} enable always trigger ${trigger};`),
  );
  return `begin; alter table part disable trigger user; ${statements}; ${again.join(" ")} commit`;
}

describe("C3 C5 verify --repair", () => {
  test("1,000 rows damaged behind the triggers' back on random nodes: verify names exactly these, --repair mends them, and every image that went is kept", async () => {
    await using nodes = await cluster(2);
    const config = await prepare(nodes, shop);
    await sql(nodes.local.url, rows);
    await sync(config);
    const random = seeded(17);
    const damaged = random
      .shuffle(Array.from({ length: 3000 }, (_, i) => i + 1))
      .slice(0, 1000)
      .map((n) => ({ ...damage(random, n), node: random.pick(nodes.nodes) }));
    for (const node of nodes) {
      for (const table of tables.map(({ name }) => name)) {
        const statements = damaged
          .filter((one) => one.node === node && one.table === table)
          .map((one) => one.statement);
        await node.admin.query(behind(table, statements.join(";\n")));
      }
    }
    const found = await verify(config);
    expect(named(found).sort()).toEqual(damaged.map(({ key }) => key).sort());
    const before = new Set((await Promise.all(nodes.nodes.map(images))).flat());
    const report = await repair(config, { prefer: "local" });
    expect(report.left).toEqual([]);
    expect(report.mended.length).toBe(1000);
    expect(report.well).toBe(true);
    await expectEqual(nodes);
    const after = new Set(await images(nodes.local));
    const conflicts = await kept(nodes);
    expect([...before].filter((image) => !after.has(image) && !conflicts.has(image))).toEqual([]);
    expect(conflicts.size).toBeGreaterThan(300);
    expect((await verify(config)).identical).toBe(true);
  });

  test("what no version decides is left and told, until --prefer names a node; a dry run writes nothing", async () => {
    await using nodes = await cluster(2);
    const config = await prepare(nodes, item);
    await sql(
      nodes.local.url,
      "insert into item select i, 'old', 0 from generate_series(1, 10) i; delete from item where id = 10",
    );
    await sync(config);
    const { local, external } = nodes;
    // same version, other image
    await local.admin.query(behindTriggers("item", "update item set name = 'here' where id = 1"));
    await external.admin.query(behindTriggers("item", "update item set name = 'there' where id = 2"));
    // the entry says that the row is there, or gone
    await external.admin.query(behindTriggers("item", "delete from item where id = 3"));
    await local.admin.query(behindTriggers("item", "insert into item values (10, 'again', 0)"));
    // no entry at all, on one side only and on both
    await local.admin.query(behindTriggers("item", "insert into item values (20, 'new', 0)"));
    await local.admin.query(behindTriggers("item", "insert into item values (21, 'one', 0)"));
    await external.admin.query(behindTriggers("item", "insert into item values (21, 'other', 0)"));
    // an entry on one side only, the other one's pruned
    await external.admin.query('delete from tandem_log."public.item" where k1 = 4');
    await external.admin.query(behindTriggers("item", "update item set name = 'lost' where id = 4"));

    const plan = await repair(config, { dryRun: true });
    expect(decided({ mended: plan.before.tables.flatMap(asRepaired), left: plan.left })).toEqual({
      mended: [
        "10 external newest delete in local",
        "3 local newest insert in external",
        "4 local newest update in external",
      ],
      left: [
        "1 nodes hold different rows of one version",
        "2 nodes hold different rows of one version",
        "20 no node knows when it was written",
        "21 no node knows when it was written",
      ],
    });
    expect(plan.well).toBe(false);
    expect(await external.admin.query("select * from item where id = 3")).toEqual([]);
    expect(await local.admin.query("select * from tandem.pending")).toEqual([]);
    expect(await kept(nodes)).toEqual(new Set());

    const first = await repair(config);
    expect(first.mended.length).toBe(3);
    expect(first.left.length).toBe(4);
    expect(first.well).toBe(false);
    const second = await repair(config, { prefer: "external" });
    expect(decided(second)).toEqual({
      mended: [
        "1 external preferred update in local",
        "2 external preferred update in local",
        "20 external preferred delete in local",
        "21 external preferred update in local",
      ],
      left: [],
    });
    expect(second.well).toBe(true);
    await expectEqual(nodes);
    expect(await kept(nodes)).toEqual(
      new Set([
        "item {10,again,0}",
        "item {4,lost,0}",
        "item {1,here,0}",
        "item {2,old,0}",
        "item {20,new,0}",
        "item {21,one,0}",
      ]),
    );
  });

  test("a chain of three: a row damaged at one end is mended from the other, its image kept where it lay", async () => {
    await using nodes = await cluster(3);
    const chain = [
      ["local", "external"],
      ["external", "n3"],
    ].flatMap(([one = "", other = ""]) => [
      { source: one, target: other },
      { source: other, target: one },
    ]);
    const config = await prepare(nodes, item, { links: chain });
    await sql(nodes.local.url, "insert into item select i, 'old', 0 from generate_series(1, 5) i");
    await sync(config);
    const end = nodes.node("n3");
    await end.admin.query(
      behindTriggers(
        "item",
        "update item set name = 'other' where id = 1; delete from item where id = 2; insert into item values (9, 'nowhere', 0)",
      ),
    );
    const report = await repair(config, { prefer: "local" });
    expect(decided(report)).toEqual({
      mended: ["1 local preferred update in n3", "2 local newest insert in n3", "9 local preferred delete in n3"],
      left: [],
    });
    expect(report.well).toBe(true);
    await expectEqual(nodes);
    expect(await end.admin.query("select key::text, rule, local_values::text from tandem.conflict order by 1")).toEqual(
      [
        { key: "{1}", rule: "repair", local_values: "{1,other,0}" },
        { key: "{9}", rule: "repair", local_values: "{9,nowhere,0}" },
      ],
    );
  });

  test("beside a running sidecar and writers on all nodes: only what is damaged is mended, and no write is lost", async () => {
    await using nodes = await cluster(2);
    const config = await prepare(nodes, item);
    await sql(nodes.local.url, "insert into item select i, 'old', 0 from generate_series(1, 400) i");
    await sync(config);
    const end = new AbortController();
    const sidecar = runSidecar(config, { signal: end.signal });
    const counts = nodes.nodes.map(async ({ url }, i) => {
      const client = await openClient(url);
      let n = 0;
      for (; !end.signal.aborted; n++) {
        await client.query(`update item set n = n + 1 where id = ${1 + ((n * 7 + i) % 300)}`);
        await client.query(`insert into item values (${1_000_000 * (i + 1) + n}, 'new', 0)`);
      }
      await client.end();
      return n;
    });
    try {
      await sql(
        nodes.external.superUrl,
        behindTriggers(
          "item",
          "update item set name = 'x' where id between 301 and 350; delete from item where id > 390 and id <= 400",
        ),
      );
      const report = await repair(config, { prefer: "local" });
      expect(report.mended.map(({ key }) => Number(key[0])).sort((a, b) => a - b)).toEqual([
        ...Array.from({ length: 50 }, (_, i) => 301 + i),
        ...Array.from({ length: 10 }, (_, i) => 391 + i),
      ]);
      expect(report.left).toEqual([]);
      expect(report.after.totals.reasons.diverged).toBe(0);
    } finally {
      end.abort();
      await sidecar;
    }
    const written = (await Promise.all(counts)).reduce((sum, n) => sum + n, 0);
    await syncParked(config, nodes);
    await expectEqual(nodes);
    expect(await nodes.local.admin.value("select count(*) from item where name = 'new'")).toBe(String(written));
    expect(await nodes.local.admin.value("select count(*) from item where name = 'x'")).toBe("0");
  });

  test("a node that is away, or that nobody knows, is said before anything is written", async () => {
    await using nodes = await cluster(2);
    const config = await prepare(nodes, item);
    await sync(config);
    await expect(repair(config, { prefer: "nobody" })).rejects.toMatchObject({ code: "usage" });
    const away = { name: "away", url: "postgresql://nobody@127.0.0.1:1/none" };
    await expect(repair({ ...config, nodes: [...config.nodes, away] })).rejects.toMatchObject({
      code: "cannot_connect",
      message: expect.stringContaining("nothing is mended while a node is away"),
    });
  });
});
