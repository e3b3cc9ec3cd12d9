import { expect, test, vi } from "vitest";
import { tandem } from "../support/child.ts";
import { blocksOf, document } from "../support/docs.ts";
import { expectEqual } from "../support/pg.ts";
import { place, script } from "./docs-support.ts";

vi.setConfig({ testTimeout: 300_000 });

const price = "create table price (id int primary key, amount numeric, updated_at timestamptz not null default now())";
const perfis = "create table perfis (id int primary key, nome text, updated_at timestamptz default now())";

// README.pt-BR.md has the same code: test/unit/docs.test.ts.
test("the commands of README.md bring two databases together", async () => {
  const [demo = "", tests = "", use = ""] = blocksOf(document("README.md"), "sh");
  // What they do has tests of its own: test/e2e/demo.test.ts, and this run.
  expect([demo, tests]).toEqual(["npm ci && npm run demo\n", "npm ci && npm test\n"]);
  const at = await place(perfis);
  await using nodes = at.nodes;
  await nodes.local.admin.query("insert into perfis select g, 'nome ' || g from generate_series(1, 50) g");
  const commands = use
    .replace(/^export .*$/gm, "")
    .replace(/^npx tandem doctor/m, "npx tandem doctor || true")
    // Until somebody stops it.
    .replace("npx tandem run", "timeout --preserve-status --signal INT 20 npx tandem run");
  expect(commands).toContain("timeout");
  await script(commands, at);
  expect((await tandem(["sync"], at)).code).toBe(0);
  await expectEqual(nodes.nodes);
  for (const sql of blocksOf(document("README.md"), "sql")) await nodes.local.admin.query(sql);
});

test("the commands of docs/running.md and the first ones of docs/backups.md do what they say", async () => {
  const job = '{ name: daily, node: local, schedule: "0 3 * * *", keep_days: 30 }';
  const nodesOf = 'nodes:\n  local: { url: "$'.concat(
    '{DATABASE_URL}" }\n  external: { url: "$',
    '{EXTERNAL_DB_URL}" }\n',
  );
  const at = await place(perfis, `${nodesOf}backup: { dir: kept, jobs: [${job}] }\n`);
  await using nodes = at.nodes;
  const { admin, database } = nodes.local;
  await admin.query("insert into perfis select g, 'nome ' || g from generate_series(1, 50) g");
  await script("tandem migrate; tandem sync; tandem backup create; tandem verify", at);
  const [status = ""] = blocksOf(document("docs/running.md"), "sh");
  await script(status, at);

  const [make = "", restore = ""] = blocksOf(document("docs/backups.md"), "sh");
  expect([make, restore].join("")).toMatch(/backup create[\s\S]*restore latest/);
  const copy = `${database.slice(0, 50)}_copy`;
  try {
    await admin.query("update perfis set nome = 'changed' where id = 1");
    await script(make + restore.replaceAll(/\bID\b/g, "latest").replace("shop_copy", copy), at);
    expect(await admin.value("select nome from perfis where id = 1")).toBe("changed");
  } finally {
    await admin.query(`drop database if exists "${copy}"`);
  }
});

test("docs/sql.md names every view with its columns, functions that are there, and statements that work", async () => {
  const at = await place(price);
  await using nodes = at.nodes;
  const { admin } = nodes.local;
  expect((await tandem(["migrate"], at)).code).toBe(0);
  expect((await tandem(["sync"], at)).code).toBe(0);
  const text = document("docs/sql.md");
  const table = (pattern: RegExp) =>
    [...text.matchAll(pattern)].map(([, name = "", columns = ""]) => `${name}: ${columns}`);
  const there = await admin.query(
    `select format('tandem.%s: %s', c.relname, string_agg(format('\`%s\`', a.attname), ', ' order by a.attnum)) as line
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'tandem'::regnamespace and c.relkind = 'v' and c.relname <> 'price_changelog'
     group by c.oid, c.relname order by c.relname`,
  );
  expect(table(/^\| `(tandem\.\w+)` \| .*? \| ((?:`\w+`(?:, )?)+) \|$/gm).sort()).toEqual(
    there.map(({ line }) => line),
  );
  const log = await admin.query(
    "select attname from pg_attribute where attrelid = 'tandem.price_changelog'::regclass and attnum > 0 order by attnum",
  );
  expect(log.map(({ attname }) => attname)).toEqual(["op", "id", "changed_at", "origin", "synced"]);
  const functions = [...text.matchAll(/^\| `(tandem\.\w+\([^)]*\))` \|/gm)].map(([, name = ""]) => name);
  expect(functions.length).toBeGreaterThanOrEqual(5);
  for (const name of functions)
    expect(await admin.value("select to_regprocedure($1)::text", [name]), name).not.toBeNull();

  const role = `${nodes.local.database.slice(0, 50)}_r`;
  await admin.query(`create role "${role}"`);
  try {
    for (const sql of blocksOf(text, "sql")) await admin.query(sql.replaceAll("to reader", `to "${role}"`));
    await admin.query(`set role "${role}"; select * from tandem.pending; reset role`);
  } finally {
    await admin.query(`reset role; drop owned by "${role}"; drop role "${role}"`);
  }
});
