import { access, constants, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { readInventory } from "../backup/catalog.ts";
import { choosePrograms } from "../backup/client-programs.ts";
import { listBackups } from "../backup/list.ts";
import { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import { type Check, nodeCheck, type Observation, problem, warning } from "./check.ts";
import type { DoctorNode } from "./node.ts";

const hasJob = (config: Config, node: DoctorNode) => config.backup.jobs.some((job) => job.node === node.name);

/** Sees that no pg_dump fits the server of a node that is backed up: its backups would lack a half. Remedy: the programs. */
export const backupPrograms = nodeCheck(
  "backup-programs",
  "pg_dump fits every server that is backed up",
  async (node, { config }) => {
    if (!hasJob(config, node)) return [];
    const major = Math.floor(node.connection.serverVersion / 10_000);
    try {
      await choosePrograms(major, { folder: config.backup.pgBin, env: process.env });
      return [];
    } catch (error) {
      if (!(error instanceof TandemError)) throw error;
      return [problem(`${error.message}: backups are degraded`, error.hint)];
    }
  },
);

/** Sees tables whose rows a backup could not read, or not all of them. Remedy: a GRANT, another role. */
export const backupRows = nodeCheck(
  "backup-rows",
  "a backup can read every row",
  async (node, { config }): Promise<Observation[]> => {
    if (!hasJob(config, node)) return [];
    const { tables } = await node.look(readInventory);
    const rows = await node.query(
      `select distinct h.root as oid from (select t as root, t as relid from unnest($1::oid[]) t
         union select t, p.relid from unnest($1::oid[]) t, pg_partition_tree(t) p) h where row_security_active(h.relid)`,
      [tables.map(({ oid }) => oid)],
    );
    const hidden = new Set(rows.map(({ oid }) => oid));
    return tables.flatMap(({ oid, schema, name, readable }) => {
      const table = `${schema}.${name}`;
      const role = node.facts.role;
      if (!readable)
        return [problem(`role ${role} may not read it: every backup fails`, "Grant SELECT on it.", { table })];
      if (!hidden.has(oid)) return [];
      const words = `row-level security may hide rows from role ${role}: every backup fails`;
      return [problem(words, "Use the role that owns it, without FORCE, or one with BYPASSRLS.", { table })];
    });
  },
);

/** Sees a folder that takes no backup, or a disk that has no room for two more. Remedy: another folder, more room. */
export const backupFolder: Check = {
  id: "backup-folder",
  title: "the folder of the backups takes them",
  run: async ({ config }) =>
    config.backup.jobs.length === 0
      ? []
      : (await lookAtFolder(config.backup.dir)).map((seen) => ({ check: "backup-folder", ...seen })),
};

async function lookAtFolder(dir: string): Promise<Observation[]> {
  const remedy = "Name another folder as `backup.dir`, or give the user that runs Tandem the right to write there.";
  // Before the first backup there is none; it is made in the one above.
  for (let folder = dir; ; folder = dirname(folder)) {
    try {
      const { bavail, bsize } = await statfs(folder);
      await access(folder, constants.W_OK | constants.X_OK);
      return await room(dir, bavail * bsize);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" && dirname(folder) !== folder) continue;
      return [problem(`no backup can be written to ${dir} (${code ?? "it cannot be read"})`, remedy)];
    }
  }
}

async function room(dir: string, free: number): Promise<Observation[]> {
  const newest = (await listBackups(dir)).backups.at(-1)?.bytes ?? 0;
  if (free >= 2 * newest && free >= leastFree) return [];
  const words = `the disk of ${dir} has ${megabytes(free)} free; the newest backup has ${megabytes(newest)}`;
  return [warning(words, "Make room, or keep fewer backups (`keep_last`, `tandem backup prune`).")];
}

const leastFree = 50_000_000;

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6).toLocaleString("en")} MB`;
}
