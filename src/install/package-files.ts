import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** A file that comes with the program, by its path from the package's top: `sql/capture/stamp.sql`. */
export interface PackageFile {
  readonly path: string;
  readonly text: string;
  readonly sha256: string;
}

/** A migration, its two halves without the comment lines that node-pg-migrate splits at. */
export interface PackageMigration extends PackageFile {
  /** As in tandem.migrations: the file's name without its ending. */
  readonly name: string;
  readonly up: string;
}

/** What this program installs. */
export interface PackageSql {
  readonly version: string;
  readonly migrations: readonly PackageMigration[];
  /** The files of sql/ in the order of sql/install.sql. */
  readonly files: readonly PackageFile[];
}

// Both src/install and dist/install lie two folders below the package's top.
const top = new URL("../../", import.meta.url);

/** The folder that node-pg-migrate reads. */
export const migrationsFolder: string = fileURLToPath(new URL("migrations", top));

let loaded: Promise<PackageSql> | undefined;

/** Reads the files once per process, so that what is compared and what is installed are the same. */
export function readPackage(): Promise<PackageSql> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<PackageSql> {
  const { version } = JSON.parse(await readFile(new URL("package.json", top), "utf8")) as { version: string };
  const names = (await readdir(migrationsFolder)).filter((name) => name.endsWith(".sql")).sort();
  const install = await readFile(new URL("sql/install.sql", top), "utf8");
  const listed = [...install.matchAll(/^\\ir\s+(\S+)/gm)].map((match) => `sql/${match[1]}`);
  return {
    version,
    migrations: await Promise.all(names.map(async (name) => asMigration(await readOne(`migrations/${name}`)))),
    files: await Promise.all(listed.map(readOne)),
  };
}

async function readOne(path: string): Promise<PackageFile> {
  const text = await readFile(new URL(path, top), "utf8");
  return { path, text, sha256: createHash("sha256").update(text).digest("hex") };
}

function asMigration(file: PackageFile): PackageMigration {
  const [head = "", up] = file.text.split(/^-- Up Migration\n/m);
  const [body = ""] = (up ?? head).split(/^-- Down Migration\n/m);
  return { ...file, name: file.path.replace(/^migrations\/|\.sql$/g, ""), up: `${body.trim()}\n` };
}
