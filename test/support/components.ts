import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { TestRunner } from "vitest";
import { testMajor } from "./pg.ts";

/** What some tests need and not every machine has. */
export type Component =
  | "pg_dump"
  | "psql"
  | "pgbench"
  | "pgbouncer"
  | "chromium"
  | "docker"
  | "faketime"
  | "openssl"
  | "age"
  | "curl"
  | "strace"
  | "systemd-analyze"
  | "datasets";

const projectRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

const finders: Record<Component, () => string | undefined> = {
  pg_dump: () => pgProgram("pg_dump"),
  psql: () => pgProgram("psql"),
  pgbench: () => pgProgram("pgbench"),
  pgbouncer: () => onPath("pgbouncer", ["/usr/sbin"]),
  chromium: () => onPath("chromium") ?? onPath("chromium-browser") ?? onPath("google-chrome"),
  docker: () =>
    spawnSync("docker", ["info"], { stdio: "ignore", timeout: 20_000 }).status === 0 ? "docker" : undefined,
  faketime: () => faketimeLibrary(),
  openssl: () => onPath("openssl"),
  age: () => onPath("age"),
  curl: () => onPath("curl"),
  strace: () => onPath("strace"),
  "systemd-analyze": () => onPath("systemd-analyze"),
  datasets: () => existing(datasetsFolder()),
};

const found = new Map<Component, string | undefined>();

/** Where the component is, or undefined; of `faketime` the library. */
export function findComponent(component: Component): string | undefined {
  if (!found.has(component)) found.set(component, finders[component]());
  return found.get(component);
}

/**
 * To be called first in a test: where the component is missing the test is skipped with its name as the reason, shown
 * after the test's title. With CI=true it fails: nothing may go untested there unseen. Returns where the component is.
 */
export function skipUnless(component: Component): string {
  const path = findComponent(component);
  if (path !== undefined) return path;
  return skipBecause(`${component} is not on this machine`);
}

/** For what is no program: skips the test with the reason; with CI=true it fails. */
export function skipBecause(reason: string): never {
  const test = TestRunner.getCurrentTest();
  if (process.env.CI === "true" || !test) throw new Error(reason);
  test.context.skip(reason);
  throw new Error(reason);
}

/** A file of the datasets that lie beside the project, not in it; its test is skipped where they are absent. */
export function dataset(name: string): string {
  const path = join(skipUnless("datasets"), name);
  if (!existsSync(path)) throw new Error(`there is no data set ${name}`);
  return path;
}

/** The path of a `pg_dump` that reads the run's servers; it refuses those newer than itself. */
export function pgDump(): string {
  const path = skipUnless("pg_dump");
  const version = spawnSync(path, ["--version"], { encoding: "utf8", timeout: 20_000 }).stdout;
  const major = Number(/(\d+)/.exec(version)?.[1]);
  return major >= testMajor() ? path : skipBecause(`pg_dump ${major} cannot read PostgreSQL ${testMajor()}`);
}

function datasetsFolder(): string {
  return resolve(projectRoot, "..", "shared", "datasets");
}

/** PG_BIN_DIR, then Debian's folders, the newest version first (a pg_dump reads older servers, not newer ones), then PATH. */
function pgProgram(name: string): string | undefined {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [process.env.PG_BIN_DIR, ...versions.map((version) => join(debian, version, "bin"))];
  return onPath(
    name,
    folders.filter((folder) => folder !== undefined),
    "first",
  );
}

/** To be preloaded; Debian puts it into a folder of its own, below that of the architecture. */
function faketimeLibrary(): string | undefined {
  const name = "libfaketime.so.1";
  const architectures = existsSync("/usr/lib") ? readdirSync("/usr/lib") : [];
  return architectures.map((folder) => join("/usr/lib", folder, "faketime", name)).find((path) => existsSync(path));
}

function onPath(name: string, extra: string[] = [], order: "first" | "last" = "last"): string | undefined {
  const path = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  const folders = order === "first" ? [...extra, ...path] : [...path, ...extra];
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function existing(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}
