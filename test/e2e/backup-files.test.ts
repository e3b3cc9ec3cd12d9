import { execFile } from "node:child_process";
import {
  appendFile,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { digestFile } from "../../src/backup/files.ts";
import { type Included, type IncludeOptions, writeIncluded } from "../../src/backup/include.ts";
import { sealManifest } from "../../src/backup/manifest.ts";
import { restoreFiles } from "../../src/backup/restore-files.ts";
import { verifyBackup } from "../../src/backup/verify.ts";
import type { Config } from "../../src/config/config.ts";
import { tempFolder } from "../support/child.ts";
import { codeOf } from "../support/link.ts";
import { cluster } from "../support/pg.ts";
import { waitFor } from "../support/wait.ts";
import { backUp, backupConfig, manifestOf } from "./backup-support.ts";
import { run, runJson } from "./cli-runner.ts";

vi.setConfig({ testTimeout: 180_000 });

/** Paths below a folder with what is there: a mode and a content, a link's target, a slash for a folder. */
async function treeOf(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder, { recursive: true });
  const all = names.map(async (name) => {
    const path = join(folder, name);
    const found = await lstat(path);
    if (found.isSymbolicLink()) return [name, `-> ${await readlink(path)}`];
    if (found.isDirectory()) return [name, "/"];
    return [name, `${(found.mode & 0o777).toString(8)} ${(await readFile(path)).toString("latin1")}`];
  });
  return Object.fromEntries(await Promise.all(all));
}

/** Every character that a name may have, in a path longer than the oldest form of the archive takes. */
const odd = `sp ace "q" 'q' \\ * ? ; $(x) \`y\` \n\t ü 漢 \u{1f600} -`;
const long = "x".repeat(150);

let root: string;
beforeEach(async () => {
  root = join(await tempFolder(), "app");
  await mkdir(join(root, "uploads", odd, long, long), { recursive: true });
  await mkdir(join(root, "uploads", "empty"));
  await writeFile(join(root, "uploads", odd, long, long, odd), "deep");
  await writeFile(join(root, "uploads", "big.bin"), Buffer.alloc(3_000_001, 7), { mode: 0o640 });
  await writeFile(join(root, "uploads", "nothing"), "");
  await symlink("big.bin", join(root, "uploads", "link"));
  await symlink("/etc/passwd", join(root, "uploads", "outside"));
  for (const name of [".env", ".env.production", "server.KEY", ".env.example"]) {
    await writeFile(join(root, "uploads", name), "TOKEN=x");
  }
  await writeFile(join(root, "logo.svg"), "<svg/>");
});

async function made(nodes: Awaited<ReturnType<typeof cluster>>, changes: Partial<Config["backup"]> = {}) {
  await nodes.local.admin.query("create table item (id int primary key)");
  const included = { include: ["uploads", "logo.svg"], includeRoot: root, ...changes };
  const config = await backupConfig(nodes, { scratch: nodes.local.superUrl, ...included });
  return { config, entry: await backUp(config) };
}

describe("files beside the database", () => {
  test("B1 go into the backup whole, whatever they are called; secrets stay out and are named", async () => {
    await using nodes = await cluster(1);
    const { config, entry } = await made(nodes);
    expect(entry.warnings).toEqual([]);
    expect(entry.leftOut.map(({ name }) => name).sort()).toEqual([
      "uploads/.env",
      "uploads/.env.production",
      "uploads/server.KEY",
    ]);
    expect((await manifestOf(config, entry)).included).toMatchObject({ paths: ["uploads", "logo.svg"] });
    expect(await verifyBackup(config, entry.id)).toMatchObject({ reached: 3, error: null });
    // B6: the tar of any system opens it.
    const elsewhere = await tempFolder();
    await promisify(execFile)("tar", ["-xzf", join(config.backup.dir, entry.id, "files.tar.gz"), "-C", elsewhere]);
    const secrets = ["uploads/.env", "uploads/.env.production", "uploads/server.KEY"];
    const without = Object.entries(await treeOf(root)).filter(([name]) => !secrets.includes(name));
    expect(await treeOf(elsewhere)).toEqual(Object.fromEntries(without));

    const all = await backUp({ ...config, backup: { ...config.backup, includeSecrets: true } });
    expect(all.leftOut).toEqual([]);
    const to = join(elsewhere, "to");
    expect(await restoreFiles(config, all.id, { to })).toMatchObject({ replaced: 0, kept: null, to });
    expect(await treeOf(to)).toEqual(await treeOf(root));
  });

  test("B5 come back into their place: what was changed is kept, what is new stays, nothing is done twice", async () => {
    await using nodes = await cluster(1);
    const { config, entry } = await made(nodes);
    const before = await treeOf(root);
    const disk = await tempFolder();
    await promisify(execFile)("sh", [
      "-c",
      `rm "$1"/uploads/link && mv "$1"/uploads "$2"/u && ln -s "$2"/u "$1"/uploads`,
      "sh",
      root,
      disk,
    ]);
    await writeFile(join(root, "uploads", "big.bin"), "changed");
    await writeFile(join(root, "uploads", "new"), "new");
    const dry = await restoreFiles(config, "latest", { dryRun: true });
    expect(dry).toMatchObject({ created: 1, replaced: 1, kept: null });
    expect(await readFile(join(root, "uploads", "big.bin"), "utf8")).toBe("changed");
    const done = await restoreFiles(config, entry.id);
    expect(done).toMatchObject({ created: 1, replaced: 1 });
    expect(await readFile(join(done.kept ?? "", "uploads", "big.bin"), "utf8")).toBe("changed");
    const after = await treeOf(join(root, "uploads"));
    expect(after).toMatchObject({ new: expect.stringMatching(/new$/), link: "-> big.bin" });
    const names = Object.entries(before).flatMap(([name, what]) =>
      name.startsWith("uploads/") ? [[name.slice(8), what]] : [],
    );
    expect(after).toMatchObject(Object.fromEntries(names));
    expect(await restoreFiles(config, entry.id)).toMatchObject({ created: 0, replaced: 0, kept: null });
  });

  test("B1 what is not there, or cannot be kept: an error, or left out by name", async () => {
    await using nodes = await cluster(1);
    const { config } = await made(nodes);
    const gone = { ...config, backup: { ...config.backup, include: ["uploads", "static"] } };
    await expect(backUp(gone)).rejects.toMatchObject({
      code: "backup_storage",
      message: expect.stringMatching(/^static.* is not there/),
    });
    await promisify(execFile)("sh", [
      "-c",
      `mkfifo "$1/uploads/pipe"; touch "$1/uploads/$(printf 'l\\374ge')"`,
      "sh",
      root,
    ]);
    const { leftOut } = await backUp(config);
    expect(leftOut).toContainEqual({ name: "uploads/pipe", reason: "is no file, folder or link" });
    expect(leftOut).toContainEqual({ name: "uploads/lüge", reason: "has a name that is no UTF-8" });
    // The backups themselves do not go into it.
    const within = {
      ...config,
      backup: { ...config.backup, include: ["uploads"], dir: join(root, "uploads", "backups") },
    };
    const inner = await backUp(within);
    const to = await tempFolder();
    await restoreFiles(within, inner.id, { to });
    expect(Object.keys(await treeOf(to)).filter((name) => name.includes("backups"))).toEqual([]);
  });

  test("B1 files that grow and shrink while they are read: the archive stays whole, and says so", async () => {
    const paths = Array.from({ length: 40 }, (_, i) => join(root, "uploads", `moving ${i}`));
    for (const path of paths) await writeFile(path, Buffer.alloc(2_000_000, 1));
    let folder = "";
    let busy = true;
    const change = async () => {
      for (let n = 0; busy; n++) {
        const path = paths[n % paths.length] ?? "";
        if (n % 2) await appendFile(path, "more");
        else await truncate(path, 1_000_000 - n);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const changing = change();
    const archive = async (): Promise<Included> => {
      folder = await tempFolder();
      const options: IncludeOptions = { root, paths: ["uploads"], secrets: false, except: folder };
      return await writeIncluded(folder, options);
    };
    // Whether one is changed just while it is read is chance.
    const caught = async () => {
      const made = await archive();
      return made.warnings.length > 0 && made;
    };
    const { included, warnings } = await waitFor(caught).finally(() => {
      busy = false;
    });
    await changing;
    expect(warnings[0]).toMatch(/^uploads\/moving \d+ changed while it was read$/);
    const { stdout } = await promisify(execFile)("tar", ["-tzf", join(folder, "files.tar.gz")], { maxBuffer: 1 << 24 });
    expect(stdout.trim().split("\n")).toHaveLength(included.entries);
  });
});

describe("an archive that is not to be trusted", () => {
  const attacks: [string, Parameters<ReturnType<typeof pack>["entry"]>[0][], RegExp][] = [
    ["a path upwards", [{ name: "uploads/../../evil" }], /no path within it/],
    ["an absolute path", [{ name: "/tmp/evil" }], /no path within it/],
    ["a path beside what was included", [{ name: "other/evil" }], /not asked for/],
    ["a device", [{ name: "uploads/evil", type: "character-device" }], /no file, folder or link/],
    ["a hard link", [{ name: "uploads/evil", type: "link", linkname: "/etc/passwd" }], /no file, folder or link/],
  ];
  async function forged(config: Config, id: string, headers: (typeof attacks)[number][1]): Promise<void> {
    const folder = join(config.backup.dir, id);
    const tar = pack();
    for (const header of headers) {
      if (header.type === undefined) tar.entry(header, "evil");
      else tar.entry(header);
    }
    tar.finalize();
    const handle = await open(join(folder, "files.tar.gz"), "w");
    const { pipeline } = await import("node:stream/promises");
    await pipeline(tar, createGzip(), handle.createWriteStream());
    const manifest = await manifestOf(config, { id });
    for (const file of manifest.files) Object.assign(file, await digestFile(join(folder, file.path)));
    await writeFile(join(folder, "manifest.json"), sealManifest(manifest));
  }

  test.each(attacks)("B5 %s is refused before anything is written", async (_, headers, words) => {
    await using nodes = await cluster(1);
    const { config, entry } = await made(nodes);
    await forged(config, entry.id, [{ name: "uploads/first" }, ...headers]);
    const before = await treeOf(join(root, ".."));
    await expect(restoreFiles(config, entry.id)).rejects.toMatchObject({
      code: "restore_refused",
      message: expect.stringMatching(words),
    });
    expect(await treeOf(join(root, ".."))).toEqual(before);
  });

  test("B5 a link in the way is not written through, of the archive or of the folder", async () => {
    await using nodes = await cluster(1);
    const { config, entry } = await made(nodes);
    const outside = await tempFolder();
    await forged(config, entry.id, [
      { name: "uploads/out", type: "symlink", linkname: outside },
      { name: "uploads/out/evil" },
    ]);
    const to = join(await tempFolder(), "to");
    await expect(restoreFiles(config, entry.id, { to })).rejects.toMatchObject({ code: "backup_storage" });
    expect(await readdir(outside)).toEqual([]);
    await symlink(outside, join(root, "uploads", "out"));
    expect(await codeOf(restoreFiles(config, entry.id))).toBe("restore_refused");
    expect(await readdir(outside)).toEqual([]);
  });
});

test("B5 the command puts files back, and asks", async () => {
  await using nodes = await cluster(1);
  await nodes.local.admin.query("create table item (id int primary key)");
  const text = `nodes: { local: { url: "\${DATABASE_URL}" } }\nbackup: { include: [uploads, logo.svg] }\n`;
  await writeFile(join(root, "tandem.yaml"), text);
  const at = { cwd: root, env: { DATABASE_URL: nodes.local.url } };
  expect(await run(["backup", "create"], at)).toMatchObject({
    stdout: expect.stringContaining("uploads/.env is there to hold secrets"),
  });
  await writeFile(join(root, "logo.svg"), "other");
  expect(await run(["restore", "latest", "--files"], at)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--yes"),
  });
  expect((await run(["restore", "latest", "--files", "--mode", "merge"], at)).code).toBe(2);
  expect((await run(["restore", "latest", "--to", "x"], at)).code).toBe(2);
  expect(await runJson(["restore", "latest", "--files", "--yes"], at)).toMatchObject({
    code: 0,
    document: { replaced: 1, created: 0 },
  });
  expect(await readFile(join(root, "logo.svg"), "utf8")).toBe("<svg/>");
  expect(await run(["restore", "latest", "--files", "--to", "copy"], at)).toMatchObject({ code: 0 });
  expect(await readFile(join(root, "copy", "logo.svg"), "utf8")).toBe("<svg/>");
});
