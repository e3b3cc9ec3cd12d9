import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { type CreateOptions, createBackup } from "../../src/backup/create.ts";
import type { BackupEntry } from "../../src/backup/list.ts";
import { type Manifest, readManifest } from "../../src/backup/manifest.ts";
import type { Config } from "../../src/config/config.ts";
import { tempFolder } from "../support/child.ts";
import { pgDump } from "../support/components.ts";
import { configOf } from "../support/config.ts";
import type { Cluster } from "../support/pg.ts";
import { preparation, valuesOf } from "./apply-values.ts";

/** A configuration of a cluster with a folder of its own, and the pg_dump that the machine has. */
export async function backupConfig(nodes: Cluster, changes: Partial<Config["backup"]> = {}): Promise<Config> {
  const dir = join(await tempFolder(), "backups");
  return configOf(nodes, {
    backup: {
      dir,
      pgBin: dirname(pgDump()),
      compress: true,
      scratch: null,
      include: [],
      includeRoot: "/nonexistent",
      includeSecrets: false,
      timeZone: "UTC",
      store: null,
      encrypt: null,
      jobs: [],
      ...changes,
    },
  });
}

/** A backup of `local`. */
export function backUp(config: Config, options: CreateOptions = {}): Promise<BackupEntry> {
  return createBackup(config, { node: "local", ...options });
}

/** The manifest of a backup. */
export function manifestOf(config: Config, { id }: { id: string }): Promise<Manifest> {
  return readManifest(join(config.backup.dir, id));
}

/** The lines of a table in a backup, in the order of the file. */
export async function linesOf(config: Config, { id }: { id: string }, table: string): Promise<string[]> {
  const found = (await manifestOf(config, { id })).tables.find(({ schema, name }) => `${schema}.${name}` === table);
  if (!found) throw new Error(`the backup has no ${table}`);
  const bytes = await readFile(join(config.backup.dir, id, found.file));
  const text = (found.file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  return text.split("\n").slice(0, -1);
}

/** Everything below a folder of backups, but what says how far they were proven. */
export async function filesIn(config: Config): Promise<string[]> {
  const all = await readdir(config.backup.dir, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = all.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.filter((path) => !/\.proof\.json$|\/\.failed\//.test(path)).sort();
}

/**
 * A folder with a program instead of pg_dump, and the real pg_restore; `real`, `file` and the folder itself, `here`, are there for the script, and
 * `await_gate`, which comes to its end when `openGate` is called.
 */
export async function fakePgDump(script: string): Promise<string> {
  const real = dirname(pgDump());
  const folder = join(await tempFolder(), "bin");
  await mkdir(folder);
  const write = async (name: string, text: string) => {
    await writeFile(join(folder, name), `#!/bin/bash\n${text}\n`);
    await chmod(join(folder, name), 0o755);
  };
  await write(
    "pg_dump",
    `real=${real}/pg_dump; here=$(dirname "$0")
await_gate() { until [ -e "$here/open" ]; do sleep 0.05; done; }
[ "$1" = --version ] && exec "$real" --version
for arg; do case "$arg" in --file=*) file="\${arg#--file=}";; esac; done
${script}`,
  );
  await write("pg_restore", `exec ${real}/pg_restore "$@"`);
  return folder;
}

/** Lets what waits in a `fakePgDump` go on, now and later. */
export async function openGate(folder: string): Promise<void> {
  await writeFile(join(folder, "open"), "");
}

/** A table for each type with every value that is hard to carry, and tables of every shape. */
export function tortureSchema(major: number): string {
  const types = valuesOf(major).map(([type, list], i) => {
    const name = `public."v${i} ${type.replaceAll('"', "")}"`;
    // Servers before 15 do not read this interval.
    const readable = list.filter((value) => major >= 15 || !value.includes("2562047788"));
    const rows = readable.map((value) => `(${value})`).join(", ");
    return `create table ${name} (id bigint generated always as identity primary key, v ${type});
      insert into ${name} (v) values ${rows}; ${type === "public.short_name" ? "" : `insert into ${name} (v) values (null);`}`;
  });
  return `${preparation}\n${types.join("\n")}\n${shapes}`;
}

const shapes = `
create schema "Odd ""schema"", with. dots";
create table "Odd ""schema"", with. dots"."Täble/..\\%" ("select" int primary key, "a""b" text, "ü, x" text);
insert into "Odd ""schema"", with. dots"."Täble/..\\%" values (1, 'x', null), (2, null, '');
create table public.no_columns (); insert into public.no_columns default values; insert into public.no_columns default values;
create table public."two
lines" ("a
b" int primary key, "COPY public.empty (id) FROM stdin;" text); insert into public."two
lines" values (1, e'\\n'), (2, null);
create sequence public."it's
COPY public.empty (id) FROM stdin;";
create table public.empty (id int primary key);
create table public.no_key (a int, b text); insert into public.no_key values (1, 'same'), (1, 'same'), (null, null);
create table public.derived (id int generated by default as identity primary key, a int not null, twice int generated always as (a * 2) stored);
insert into public.derived (a) values (1), (2), (3);
create table public.parted (day date not null, n int not null, note text, primary key (day, n)) partition by range (day);
create table public.parted_old partition of public.parted for values from (minvalue) to ('2024-01-01') partition by list (n);
create table public.parted_old_1 partition of public.parted_old for values in (1);
create table public.parted_old_rest partition of public.parted_old default;
create table public.parted_new partition of public.parted for values from ('2024-01-01') to (maxvalue);
insert into public.parted values ('2020-05-05', 1, 'a'), ('2020-05-05', 2, 'b'), ('2025-05-05', 1, 'c');
create table public.parent (id int primary key, note text); create table public.child (extra text) inherits (public.parent);
insert into public.parent values (1, 'parent'); insert into public.child values (2, 'child', 'x');
create table public."T" (id int primary key); create table public.t (id int primary key); insert into public."T" values (1);
create table public.lines (id int primary key, script text);
insert into public.lines values (1, e'COPY public.empty (id) FROM stdin;\n1\n\\\\.\n');
create sequence public.loose start 41; select nextval('public.loose');`;
