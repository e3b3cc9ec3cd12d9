import { describe, expect, test, vi } from "vitest";
import { document, sections } from "../support/docs.ts";
import { expectEqual } from "../support/pg.ts";
import { place, script } from "./docs-support.ts";

vi.setConfig({ testTimeout: 300_000 });

const price = "create table price (id int primary key, amount numeric, updated_at timestamptz not null default now())";
const rows = "insert into price select g, g from generate_series(1, 30) g";

describe("docs/operations.md", () => {
  const recipes = sections(document("docs/operations.md")).filter(({ level }) => level === 2);

  test("has the recipes", () => {
    expect(recipes).toHaveLength(7);
    for (const { blocks } of recipes) expect(blocks.map(({ language }) => language)).toEqual(["yaml", "sh"]);
  });

  test.each(recipes.map(({ title, blocks }) => [title, blocks] as const))("%s", async (title, blocks) => {
    const [file, commands] = blocks.map(({ text }) => text);
    const old = "create table price_changelog (id int primary key, op text, synced boolean)";
    const at = await place(title.includes("changelog") ? `${price}; ${old}` : price, file);
    await using nodes = at.nodes;
    await nodes.local.admin.query(rows);
    const said = await script(commands ?? "", at);
    if (title === "Backup server") expect(said).toMatch(/1 readable|level 1|readable/);
    else await expectEqual(nodes.nodes);
    if (title === "Leaving Tandem")
      expect(await nodes.local.admin.value("select to_regnamespace('tandem')")).toBeNull();
  });
});
