import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, test, vi } from "vitest";
import type { BackupEntry } from "../../src/backup/list.ts";
import { readManifest } from "../../src/backup/manifest.ts";
import { projectRoot, tempFolder } from "../support/child.ts";
import { pgDump, skipUnless } from "../support/components.ts";
import { type Cluster, cluster } from "../support/pg.ts";

vi.setConfig({ testTimeout: 300_000 });

async function folderOf(nodes: Cluster) {
  const cwd = await tempFolder();
  const text = `nodes: { local: { url: "\${DATABASE_URL}" } }\nbackup: { dir: backups, pg_bin: ${dirname(pgDump())} }\n`;
  await writeFile(join(cwd, "tandem.yaml"), text);
  return { cwd, env: { DATABASE_URL: nodes.local.url } };
}

interface Call {
  readonly name: string;
  readonly paths: readonly string[];
}

/** What a trace of strace says that was done, in the order in which it was done. */
function callsIn(trace: string): Call[] {
  const begun = new Map<string, string>();
  return trace.split("\n").flatMap((line) => {
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (rest.endsWith("<unfinished ...>")) {
      begun.set(thread, rest.slice(0, -"<unfinished ...>".length));
      return [];
    }
    const whole = rest.startsWith("<...") ? `${begun.get(thread)}${rest.replace(/^<\.\.\. \w+ resumed>/, "")}` : rest;
    const [, name = "", args = "", result = ""] = /^(\w+)\((.*)\) += (-?\w+)/.exec(whole) ?? [];
    if (name === "" || result.startsWith("-")) return [];
    const paths = /^rename/.test(name)
      ? [...args.matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? "")
      : [/^\d+<([^>]*)>/.exec(args)?.[1] ?? ""];
    return [{ name: /write/.test(name) ? "write" : /rename/.test(name) ? "rename" : name, paths }];
  });
}

test("B2 every byte is on the disk before the name that says so: write, fsync, rename, fsync of the folder (thing 14)", async () => {
  const strace = skipUnless("strace");
  await using nodes = await cluster(1);
  await nodes.local.admin.query(`create table item (id int primary key, name text);
    insert into item select g, md5(g::text) from generate_series(1, 5000) g; create table other (id int primary key)`);
  const at = await folderOf(nodes);
  const log = join(at.cwd, "trace");
  const traced = "trace=write,writev,pwrite64,pwritev,rename,renameat,renameat2,fsync,fdatasync";
  const command = [process.execPath, join(projectRoot, "dist", "cli", "main.js"), "backup", "create", "--json"];
  const { stdout } = await promisify(execFile)(strace, ["-f", "-y", "-s", "0", "-o", log, "-e", traced, ...command], {
    cwd: at.cwd,
    env: { PATH: process.env.PATH, ...at.env },
    timeout: 240_000,
  });
  const { id } = JSON.parse(stdout) as BackupEntry;
  const backups = join(at.cwd, "backups");
  const [partial, sealed] = [join(backups, ".tmp", `${id}.partial`), join(backups, id)];
  const calls = callsIn(await readFile(log, "utf8"));
  const last = (name: string, path: string) => {
    const found = calls.findLastIndex((call) => call.name === name && call.paths.at(-1) === path);
    expect(found, `${name} ${path}`).toBeGreaterThanOrEqual(0);
    return found;
  };
  const named = last("rename", sealed);
  expect(calls[named]?.paths[0]).toBe(partial);
  const { files } = await readManifest(sealed);
  expect(files.map(({ path }) => path)).toHaveLength(3);
  for (const { path } of files) {
    expect(last("fsync", join(partial, path)), path).toBeGreaterThan(last("write", join(partial, path)));
    expect(last("fsync", join(partial, path)), path).toBeLessThan(named);
  }
  const manifest = last("rename", join(partial, "manifest.json"));
  const unnamed = calls[manifest]?.paths[0] ?? "";
  const order = [
    ...[last("fsync", join(partial, "json")), last("write", unnamed), last("fsync", unnamed), manifest],
    ...[last("fsync", partial), named, last("fsync", backups)],
  ];
  // The folder is synced once more for the proof, which comes after all of it.
  const afterSeal = calls.findIndex(({ name, paths }, i) => i > named && name === "fsync" && paths[0] === backups);
  order.splice(-1, 1, afterSeal, last("rename", join(backups, `${id}.proof.json`)));
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  for (const { paths } of files.map(({ path }) => ({ paths: join(sealed, path) }))) {
    expect(calls.filter(({ name, paths: [path] }) => name === "write" && path === paths)).toEqual([]);
  }
});
