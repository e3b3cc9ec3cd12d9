import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, test, vi } from "vitest";
import { projectRoot } from "../support/child.ts";
import { pgDump, skipUnless } from "../support/components.ts";
import { cluster, expectEqual } from "../support/pg.ts";
import { backUp, backupConfig } from "./backup-support.ts";

vi.setConfig({ testTimeout: 120_000 });

/** The commands of the manual that hold a word. */
async function commands(word: string): Promise<string> {
  const manual = await readFile(join(projectRoot, "docs", "backups.md"), "utf8");
  const blocks = [...manual.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map((match) => match[1] ?? "");
  const found = blocks.filter((block) => block.includes(word));
  expect(found).toHaveLength(1);
  return found[0] ?? "";
}

test("B6 everything comes back by pg_restore, gzip and psql alone, as the manual says", async () => {
  const programs = `${dirname(pgDump())}:${dirname(skipUnless("psql"))}:${process.env.PATH}`;
  await using nodes = await cluster(3);
  const [full, empty, tables] = nodes.nodes as [
    (typeof nodes)["local"],
    (typeof nodes)["local"],
    (typeof nodes)["local"],
  ];
  const shape =
    "create table public.item (id int generated always as identity primary key, name text not null unique, len int generated always as (length(name)) stored)";
  await full.admin.query(`${shape}; create table public.part (id int primary key, item int not null references item);
    insert into item (name) select e'it''s "' || g || e'" \\\\ \\n\\t ü' from generate_series(1, 3000) g; insert into part select g, g from generate_series(1, 3000) g`);
  await tables.admin.query(shape);
  const config = await backupConfig(nodes);
  const { id } = await backUp(config);
  const env = { PATH: programs, BACKUP: join(config.backup.dir, id), EMPTY: empty.url, TABLES: tables.url };
  const shell = (script: string) =>
    promisify(execFile)("bash", ["-euo", "pipefail", "-c", script], { env, timeout: 60_000 });
  await shell(await commands("pg_restore"));
  expect(await expectEqual([full, empty])).toEqual({ tables: 2, rows: 6000 });
  await shell(await commands("gzip -dc"));
  expect(await expectEqual([full, tables], ["public.item"])).toEqual({ tables: 1, rows: 3000 });
});
