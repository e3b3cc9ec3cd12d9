import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { TandemError } from "../base/errors.ts";
import type { NodeConfig } from "../config/config.ts";
import { parseNodeUrl } from "../config/url.ts";
import { quoteIdent } from "../db/quote.ts";
import type { ClientPrograms } from "./client-programs.ts";
import { loginFor, programEnvironment, serviceName } from "./conninfo.ts";
import { countCopies } from "./copy-counts.ts";
import { digestFile, privateFile, syncFile } from "./files.ts";
import { dumpName, type ManifestFile, type ManifestTable } from "./manifest.ts";
import { runProgram } from "./run-program.ts";
import type { Snapshot } from "./snapshot.ts";

/** What a dump came to. */
export interface MadeDump {
  readonly file: ManifestFile;
  /** What it holds, as it was read back from the disk. */
  readonly counts: DumpCounts;
  /** What pg_dump said, for it warns where it did not fail. */
  readonly warnings: readonly string[];
}

/** How a dump is made. */
export interface MakeDumpOptions {
  readonly programs: ClientPrograms;
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly onWritten: (bytes: number) => void;
}

/**
 * Has pg_dump write the database, as the snapshot shows it, into the folder, brings the file to the disk, and reads it back: as soon as it
 * is there, for the other half may take longer.
 */
export async function makeDump(
  node: NodeConfig,
  snapshot: Snapshot,
  { programs, folder, signal, onWritten }: MakeDumpOptions,
): Promise<MadeDump> {
  await using login = await loginFor(parseNodeUrl(node.url), programs.major);
  const path = join(folder, dumpName);
  // pg_dump would make it readable for everybody.
  await (await open(path, "wx", privateFile)).close();
  const warnings = await runProgram(
    programs.dump,
    [
      "--format=custom",
      // The default, 6, takes three times the time of all else that pg_dump does, for files a tenth smaller at best.
      "--compress=1",
      `--file=${path}`,
      `--snapshot=${snapshot.exported}`,
      "--no-password",
      // A DDL that came between our locks and pg_dump's own waits for us, and pg_dump for the DDL: one of them must give way.
      "--lock-wait-timeout=5000",
      ...snapshot.inventory.leftOutSchemas.map((schema) => `--exclude-schema=${quoteIdent(schema)}`),
      `--dbname=service=${serviceName}`,
    ],
    { env: login.env, signal },
  );
  await syncFile(path);
  const digest = await digestFile(path, signal);
  onWritten(digest.bytes);
  return { file: { path: dumpName, ...digest }, warnings, counts: await countDump(folder, { programs, signal }) };
}

/** The rows that a dump holds, by table. */
export type DumpCounts = ReadonlyMap<string, number>;

/**
 * Reads a dump from its first byte to its last, as a restore would, and counts its rows. A dump that was cut off is readable up to there
 * and lists all its tables.
 */
export async function countDump(
  folder: string,
  { programs, signal }: { programs: ClientPrograms; signal?: AbortSignal | undefined },
): Promise<DumpCounts> {
  let counts: DumpCounts = new Map();
  await runProgram(programs.restore, ["--data-only", "--file=-", join(folder, dumpName)], {
    env: programEnvironment(),
    signal,
    read: async (stdout: Readable) => {
      counts = await countCopies(stdout);
    },
  });
  return counts;
}

/** Throws `backup_damaged` where a dump holds other numbers of rows than the manifest says. */
export function compareCounts(folder: string, tables: readonly ManifestTable[], counts: DumpCounts): void {
  for (const { schema, name, rows, leaves } of tables) {
    const parts = leaves.length > 0 ? leaves : [{ schema, name }];
    const held = parts.map((part) => counts.get(JSON.stringify([part.schema, part.name])));
    const sum = held.reduce((total: number, one) => total + (one ?? 0), 0);
    if (sum === rows && (rows > 0 || !held.includes(undefined))) continue;
    const what = held.includes(undefined) && sum === 0 ? "lacks it" : `holds ${sum.toLocaleString("en")}`;
    throw new TandemError(
      "backup_damaged",
      `${join(folder, dumpName)}: table ${schema}.${name} has ${rows.toLocaleString("en")} rows, and the dump ${what}`,
      { table: `${schema}.${name}` },
    );
  }
}
