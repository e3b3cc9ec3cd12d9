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
    const old = `create table price_changelog (n bigserial primary key, id int, op text, synced boolean default false);
      create function log_price() returns trigger language plpgsql as $$ begin
        insert into price_changelog (id, op) values (coalesce(new.id, old.id), tg_op); return null; end $$;
      create trigger log_price after insert or update or delete on price for each row execute function log_price()`;
    const at = await place(title.includes("changelog") ? `${price}; ${old}` : price, file);
    await using nodes = at.nodes;
    await nodes.local.admin.query(rows);
    const said = await script(commands ?? "", at);
    if (title === "Backup server") expect(said).toMatch(/1 readable|level 1|readable/);
    else await expectEqual(nodes.nodes);
    // The application goes on.
    for (const { admin } of nodes.nodes) await admin.query("update price set amount = amount + 1 where id = 1");
    if (title === "Leaving Tandem")
      expect(await nodes.local.admin.value("select to_regnamespace('tandem')")).toBeNull();
  });
});
