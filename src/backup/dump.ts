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
  /** What pg_dump said, for it warns where it did not fail. */
  readonly warnings: readonly string[];
}

/** Has pg_dump write the database, as the snapshot shows it, into the folder, and brings the file to the disk. */
export async function makeDump(
  node: NodeConfig,
  snapshot: Snapshot,
  { programs, folder, signal }: { programs: ClientPrograms; folder: string; signal: AbortSignal },
): Promise<MadeDump> {
  await using login = await loginFor(parseNodeUrl(node.url), programs.major);
  const path = join(folder, dumpName);
  // pg_dump would make it readable for everybody.
  await (await open(path, "wx", privateFile)).close();
  const warnings = await runProgram(
    programs.dump,
    [
      "--format=custom",
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
  return { file: { path: dumpName, ...(await digestFile(path, signal)) }, warnings };
}

/**
 * Reads a dump from its first byte to its last, as a restore would, and compares the rows it holds of each table with
 * what the manifest says. A dump that was cut off is readable up to there and lists all its tables.
 */
export async function checkDump(
  folder: string,
  tables: readonly ManifestTable[],
  { programs, signal }: { programs: ClientPrograms; signal?: AbortSignal | undefined },
): Promise<void> {
  const path = join(folder, dumpName);
  let counts: ReadonlyMap<string, number> = new Map();
  await runProgram(programs.restore, ["--data-only", "--file=-", path], {
    env: programEnvironment(),
    signal,
    read: async (stdout: Readable) => {
      counts = await countCopies(stdout);
    },
  });
  for (const { schema, name, rows, leaves } of tables) {
    const parts = leaves.length > 0 ? leaves : [{ schema, name }];
    const held = parts.map((part) => counts.get(JSON.stringify([part.schema, part.name])));
    const sum = held.reduce((total: number, one) => total + (one ?? 0), 0);
    if (sum === rows && (rows > 0 || !held.includes(undefined))) continue;
    const what = held.includes(undefined) && sum === 0 ? "lacks it" : `holds ${sum.toLocaleString("en")}`;
    throw new TandemError(
      "backup_damaged",
      `${path}: table ${schema}.${name} has ${rows.toLocaleString("en")} rows, and the dump ${what}`,
      { table: `${schema}.${name}` },
    );
  }
}
