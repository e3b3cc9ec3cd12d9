import { execFile } from "node:child_process";
import { access, constants, readdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { TandemError } from "../base/errors.ts";
import type { Environment } from "../config/environment.ts";

/** pg_dump and pg_restore of one version. */
export interface ClientPrograms {
  readonly major: number;
  /** As the program itself says it. */
  readonly version: string;
  readonly dump: string;
  readonly restore: string;
}

/** Where programs are looked for. */
export interface ProgramSearch {
  /** Only this folder. */
  readonly folder?: string | null | undefined;
  readonly env: Environment;
}

const debian = "/usr/lib/postgresql";

async function foldersOf({ folder, env }: ProgramSearch): Promise<string[]> {
  if (folder) return [folder];
  const versions = await readdir(debian).catch(() => []);
  const path = (env.PATH ?? "").split(delimiter).filter(Boolean);
  const folders = [env.PG_BIN_DIR, ...versions.map((version) => join(debian, version, "bin")), ...path];
  return [...new Set(folders.filter((each) => each !== undefined && each !== ""))] as string[];
}

async function lookInto(folder: string): Promise<ClientPrograms | null> {
  const [dump, restore] = [join(folder, "pg_dump"), join(folder, "pg_restore")];
  try {
    await Promise.all([access(dump, constants.X_OK), access(restore, constants.X_OK)]);
    const { stdout } = await promisify(execFile)(dump, ["--version"], { timeout: 30_000, env: { LC_ALL: "C" } });
    const version = stdout.trim();
    const major = Number(/(\d+)/.exec(version)?.[1]);
    return Number.isSafeInteger(major) ? { major, version, dump, restore } : null;
  } catch {
    return null;
  }
}

/** Every version that is found, the smallest first; of one version the place that is looked at first. */
export async function findPrograms(search: ProgramSearch): Promise<ClientPrograms[]> {
  const found = await Promise.all((await foldersOf(search)).map(lookInto));
  const versions = new Map<number, ClientPrograms>();
  for (const one of found) if (one && !versions.has(one.major)) versions.set(one.major, one);
  return [...versions.values()].sort((a, b) => a.major - b.major);
}

/**
 * The smallest version that fits: a pg_dump reads servers of its own version and older ones, and what it writes is
 * meant for its own version and later. Throws `no_client_program`, naming what was found.
 */
export async function choosePrograms(major: number, search: ProgramSearch): Promise<ClientPrograms> {
  const found = await findPrograms(search);
  const fitting = found.find((one) => one.major >= major);
  if (fitting) return fitting;
  const seen = found.map(({ version }) => version).join(", ") || "none at all";
  throw new TandemError("no_client_program", `pg_dump and pg_restore ${major} or later are needed; found: ${seen}`, {
    hint: `Install the PostgreSQL ${major} client programs (Debian: postgresql-client-${major}), or name their folder by --pg-bin or PG_BIN_DIR.`,
  });
}
