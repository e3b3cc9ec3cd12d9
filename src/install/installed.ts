import type { Connection } from "../db/connection.ts";
import type { PackageSql } from "./package-files.ts";

/** What a database says of what is installed in it. */
export interface Installed {
  /** Names of the migrations applied. */
  readonly migrations: readonly string[];
  /** Checksums by path, of migrations and of the files of sql/. */
  readonly files: ReadonlyMap<string, string>;
  /** Null before sql/ was ever installed. */
  readonly version: string | null;
}

/** What is installed, seen from this program. */
export type Level = "none" | "older" | "same" | "newer";

const base = `(select coalesce(json_agg(m.name order by m.name), '[]') from tandem.migrations m) as migrations,
  (select coalesce(json_object_agg(f.path, f.sha256), '{}') from tandem.sql_file f) as files`;

/** One statement; fails where Tandem is not, or only half, installed. */
export const readInstalledSql = `select ${base}, tandem.version() as version`;

/** The answer to `readInstalledSql`. */
export interface InstalledRow {
  readonly migrations: string;
  readonly files: string;
  readonly version: string | null;
}

/** Reads that answer. */
export function asInstalled({ migrations, files, version }: InstalledRow): Installed {
  const sums = JSON.parse(files) as Record<string, string>;
  return { migrations: JSON.parse(migrations) as string[], files: new Map(Object.entries(sums)), version };
}

/** The same for use within a transaction, where no statement may fail. Null: nothing is installed. */
export async function readInstalled(tx: Connection): Promise<Installed | null> {
  const [there] = await tx.query(
    `select to_regclass('tandem.migrations') is not null and to_regclass('tandem.sql_file') is not null as tables,
       to_regprocedure('tandem.version()') is not null as functions`,
  );
  if (there?.tables !== "t") return null;
  const sql = there.functions === "t" ? readInstalledSql : `select ${base}, null as version`;
  const [row] = await tx.query<InstalledRow>(sql);
  return row ? asInstalled(row) : null;
}

/** Compares what is installed with what this program brings. Of one version, differing files count as older. */
export function levelOf(installed: Installed | null, own: PackageSql): Level {
  if (installed === null) return "none";
  const names = own.migrations.map(({ name }) => name);
  if (installed.migrations.some((name) => !names.includes(name))) return "newer";
  if (installed.version !== null && compareVersions(installed.version, own.version) > 0) return "newer";
  const files = [...own.files, ...own.migrations];
  const same =
    installed.migrations.length === names.length &&
    installed.files.size === files.length &&
    files.every(({ path, sha256 }) => installed.files.get(path) === sha256);
  return same ? "same" : "older";
}

/** By the numbers of `1.10.2`; of two with the same numbers, a prerelease (`1.10.2-beta.1`) comes first. */
export function compareVersions(a: string, b: string): number {
  const parts = (version: string) => (version.split("-")[0] ?? "").split(".").map(Number);
  const [left, right] = [parts(a), parts(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return Number(b.includes("-")) - Number(a.includes("-"));
}
