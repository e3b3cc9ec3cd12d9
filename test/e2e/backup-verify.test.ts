import { copyFile, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test, vi } from "vitest";
import { digestFile } from "../../src/backup/files.ts";
import { listBackups } from "../../src/backup/list.ts";
import { sealManifest } from "../../src/backup/manifest.ts";
import { type Level, verifyBackup } from "../../src/backup/verify.ts";
import type { Config } from "../../src/config/config.ts";
import { ownServer } from "../support/copies.ts";
import { cluster, hostileSettings, testMajor } from "../support/pg.ts";
import { backUp, backupConfig, filesIn, linesOf, manifestOf, tortureSchema } from "./backup-support.ts";

vi.setConfig({ testTimeout: 180_000 });

const shop = `create table customer (id int generated always as identity primary key, mail text not null unique);
  create table sale (id int primary key, customer int not null references customer, twice int generated always as (id * 2) stored);
  insert into customer (mail) select 'm' || g from generate_series(1, 500) g; insert into sale (id, customer) select g, g from generate_series(1, 500) g`;

async function levelIn(config: Config, id: string): Promise<number | string> {
  const entry = (await listBackups(config.backup.dir)).backups.find((one) => one.id === id);
  return entry?.state === "damaged" ? "damaged" : (entry?.level ?? "missing");
}

/** Writes a manifest that fits what the files are by now: what a seal cannot tell. */
async function sealAnew(config: Config, id: string): Promise<void> {
  const folder = join(config.backup.dir, id);
  const manifest = await manifestOf(config, { id });
  for (const file of manifest.files) Object.assign(file, await digestFile(join(folder, file.path)));
  await writeFile(join(folder, "manifest.json"), sealManifest(manifest));
}

describe("a backup is proven", () => {
  test("B3 both formats restored and equal in content, for every type and shape (thing 11)", async () => {
    await using nodes = await cluster(1, { settings: hostileSettings });
    await nodes.local.admin.query(tortureSchema(testMajor()));
    const config = await backupConfig(nodes);
    const { id } = await backUp(config);
    const before = await filesIn(config);
    expect(await verifyBackup(config, "latest")).toMatchObject({ id, asked: 3, reached: 3, error: null });
    expect(await levelIn(config, id)).toBe(3);
    expect(await filesIn(config)).toEqual(before);
  });

  test("B3 on a server that is given, with roles, policies and triggers; nothing stays there", async () => {
    // Servers of its own: on those of the run other tests make such databases as well.
    const servers = await Promise.all([ownServer(), ownServer()]);
    await using nodes = await cluster(2, {
      servers: servers.map((server) => {
        const { host, port, major, logFile } = server;
        return { kind: "embedded" as const, url: server.url(), host, port, major, logFile };
      }),
    });
    const { local, external } = nodes;
    await local.admin.query(`${shop}; create role "${local.database}_r"; alter table sale enable row level security; create policy p on sale to "${local.database}_r" using (true);
      create function no() returns trigger language plpgsql as $$ begin raise 'triggers must not fire'; end $$;
      create trigger t before insert on sale for each row execute function no()`);
    const config = await backupConfig(nodes, { scratch: local.superUrl });
    const { id } = await backUp(config);
    const databases = "select count(*) from pg_database where datname like 'tandem\\_scratch%'";
    try {
      expect(await verifyBackup(config, id, { level: 2 })).toMatchObject({ reached: 2, error: null });
      expect(await levelIn(config, id)).toBe(2);
      // An own server makes the roles; a given one has them or not.
      expect(await verifyBackup({ ...config, backup: { ...config.backup, scratch: null } }, id)).toMatchObject({
        reached: 3,
      });
    } finally {
      await local.admin.query(`drop policy p on sale; drop role "${local.database}_r"`);
    }
    expect(await local.admin.value(databases)).toBe("0");
    const failed = await verifyBackup(config, id, { scratch: external.superUrl });
    expect(failed).toMatchObject({ reached: 1, error: { code: "program_failed" } });
    expect(failed.error?.message).toMatch(/role ".*" does not exist/);
    // What was proven once was true of the same bytes.
    expect(await levelIn(config, id)).toBe(3);
    expect(await external.admin.value(databases)).toBe("0");
  });

  test("B3 without a dump nothing above level 1, and it says why", async () => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(shop);
    const config = await backupConfig(nodes, { pgBin: "/nonexistent" });
    const { id } = await backUp(config);
    expect(await verifyBackup(config, id)).toMatchObject({ reached: 1, error: { code: "no_client_program" } });
    expect(await levelIn(config, id)).toBe(1);
  });
});

describe("damage is found, and the file is named (thing 27)", () => {
  const jsonFile = "json/public.sale.ndjson.gz";
  const flip = async (path: string) => {
    const bytes = await readFile(path);
    bytes[Math.floor(bytes.length / 2)]! ^= 4;
    await writeFile(path, bytes);
  };
  test.each<[string, Level, string, RegExp, (folder: string, other: string) => Promise<void>]>([
    ["a bit of the dump", 0, "", /database\.dump was changed/, (folder) => flip(join(folder, "database.dump"))],
    ["a bit of a JSON file", 0, "", /sale\.ndjson\.gz was changed/, (folder) => flip(join(folder, jsonFile))],
    [
      "a dump cut off",
      0,
      "",
      /database\.dump has 100 bytes instead of/,
      (folder) => truncate(join(folder, "database.dump"), 100),
    ],
    ["a file gone", 0, "", /sale\.ndjson\.gz is missing/, (folder) => rm(join(folder, jsonFile))],
    [
      "a file of another backup",
      0,
      "",
      /sale\.ndjson\.gz (was changed|has)/,
      (folder, other) => copyFile(join(other, jsonFile), join(folder, jsonFile)),
    ],
    [
      "the manifest of another backup",
      0,
      "",
      /manifest\.json is that of backup/,
      (folder, other) => copyFile(join(other, "manifest.json"), join(folder, "manifest.json")),
    ],
    [
      "the manifest edited",
      0,
      "",
      /manifest\.json was changed/,
      async (folder) =>
        writeFile(
          join(folder, "manifest.json"),
          (await readFile(join(folder, "manifest.json"), "utf8")).replace('"rows": 500', '"rows": 400'),
        ),
    ],
    ["the manifest gone", 0, "", /manifest\.json cannot be read/, (folder) => rm(join(folder, "manifest.json"))],
    [
      "rows lost before it was sealed",
      1,
      "seal",
      /sale\.ndjson\.gz holds other rows/,
      (folder) => writeFile(join(folder, jsonFile), gzipSync('{"id":"1","customer":"1"}\n')),
    ],
    [
      "a value changed before it was sealed",
      1,
      "seal",
      /sale\.ndjson\.gz holds other rows/,
      async (folder) => {
        const { gunzipSync } = await import("node:zlib");
        const text = gunzipSync(await readFile(join(folder, jsonFile))).toString("utf8");
        await writeFile(join(folder, jsonFile), gzipSync(text.replace('"7"', '"8"')));
      },
    ],
    [
      "a dump cut off before it was sealed",
      1,
      "seal",
      /database\.dump cannot be read/,
      async (folder) =>
        truncate(
          join(folder, "database.dump"),
          Math.floor((await readFile(join(folder, "database.dump"))).length * 0.9),
        ),
    ],
    [
      "no dump at all before it was sealed",
      1,
      "seal",
      /database\.dump cannot be read/,
      (folder) => truncate(join(folder, "database.dump"), 0),
    ],
    [
      "a dump of another moment",
      3,
      "seal",
      /restored from database\.dump, public\.customer has other values/,
      (folder, other) => copyFile(join(other, "database.dump"), join(folder, "database.dump")),
    ],
  ])("B3 %s: below level %s", async (_, level, seal, words, damage) => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(shop);
    const config = await backupConfig(nodes);
    const { id } = await backUp(config);
    await nodes.local.admin.query(
      "update customer set mail = 'changed' where id = 7; update sale set customer = 9 where id = 8",
    );
    const other = await backUp(config);
    await damage(join(config.backup.dir, id), join(config.backup.dir, other.id));
    if (seal) await sealAnew(config, id);
    const proof = await verifyBackup(config, id, { level });
    expect(proof.error).toMatchObject({ code: "backup_damaged", message: expect.stringMatching(words) });
    expect(proof.reached).toBe(level === 0 ? null : level - 1);
    expect(await levelIn(config, id)).toBe("damaged");
    expect(await levelIn(config, other.id)).toBe(1);
  });

  test("B3 a damaged backup is not the latest one", async () => {
    await using nodes = await cluster(1);
    await nodes.local.admin.query(shop);
    const config = await backupConfig(nodes);
    const good = await backUp(config);
    const bad = await backUp(config);
    await rename(join(config.backup.dir, bad.id, "manifest.json"), join(config.backup.dir, bad.id, "manifest.old"));
    expect(await verifyBackup(config, "latest", { level: 0 })).toMatchObject({ id: good.id, reached: 0 });
    expect(await linesOf(config, good, "public.sale")).toHaveLength(500);
  });
});
