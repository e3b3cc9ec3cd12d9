import { join } from "node:path";
import { TandemError } from "../base/errors.ts";
import { parseNodeUrl } from "../config/url.ts";
import { connect } from "../db/connect.ts";
import type { Connection } from "../db/connection.ts";
import { quoteIdent } from "../db/quote.ts";
import { pinnedSettings } from "../db/session.ts";
import { inTransaction } from "../db/transaction.ts";
import { sessionsAtOnce } from "./analyze.ts";
import type { ClientPrograms } from "./client-programs.ts";
import { loginFor, serviceName } from "./conninfo.ts";
import { copyIn, readLines, rowsQuery } from "./load-rows.ts";
import { dumpName, type Manifest, type ManifestTable } from "./manifest.ts";
import { restoreList } from "./restore-list.ts";
import { runProgram } from "./run-program.ts";
import { qualified } from "./snapshot.ts";
import { contentOfTable, hashSettings } from "./table-content.ts";

/** A backup that is tried in an empty database. */
export interface Trial {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly programs: ClientPrograms;
  readonly url: string;
  readonly signal?: AbortSignal | undefined;
  readonly onTable?: ((table: string) => void) | undefined;
}

/**
 * Restores the dump, or a section of it. What connects to other servers, and who owns what, is left out, and so is what the manifest
 * says an empty database cannot take.
 */
export async function restoreDump(trial: Trial, section?: "pre-data" | "post-data"): Promise<void> {
  const { folder, programs, url, signal, manifest } = trial;
  if (section !== "post-data") await makeProvided(trial);
  const dump = join(folder, dumpName);
  const list = await restoreList(programs.restore, dump, manifest, signal);
  await using login = await loginFor(parseNodeUrl(url), programs.major);
  const flags = ["--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions", "--no-security-labels"];
  await runProgram(
    programs.restore,
    [
      ...flags,
      "--exit-on-error",
      `--jobs=${sessionsAtOnce}`,
      ...(section ? [`--section=${section}`] : []),
      ...(list === null ? [] : [`--use-list=${await login.file("list", list)}`]),
      `--dbname=service=${serviceName}`,
      dump,
    ],
    { env: login.env, signal },
  );
}

/** Makes what the dump needs of a provider's schemas, which it leaves out: the schemas of extensions, and functions that tables call. */
async function makeProvided({ manifest, url, signal }: Trial): Promise<void> {
  const { extensionSchemas, providerFunctions } = manifest;
  const schemas = new Set([...extensionSchemas, ...providerFunctions.map(({ schema }) => schema)]);
  if (schemas.size === 0) return;
  await using connection = await connect({ name: "scratch", url }, "scratch", { signal });
  for (const schema of schemas) await connection.exec(`create schema if not exists ${quoteIdent(schema)}`);
  // What they do may need what is not there; to make them does not.
  await connection.exec("set check_function_bodies = off");
  for (const { definition } of providerFunctions) await connection.exec(definition);
}

/** Restores the rows from the JSON half; definitions, which only the dump has, come from there. */
export async function restoreJson(trial: Trial): Promise<void> {
  const { folder, manifest, url, signal, onTable } = trial;
  await restoreDump(trial, "pre-data");
  await using connection = await connect({ name: "scratch", url }, "scratch", { signal });
  for (const table of manifest.tables) {
    onTable?.(`${table.schema}.${table.name}`);
    await loadTable(connection, folder, table, signal);
  }
  await restoreDump(trial, "post-data");
}

async function loadTable(
  connection: Connection,
  folder: string,
  table: ManifestTable,
  signal?: AbortSignal,
): Promise<void> {
  await connection.exec("create temporary table tandem_lines (n bigint generated always as identity, line text)");
  await copyIn(connection, readLines(folder, table.file), "pg_temp.tandem_lines (line)", signal);
  const names = table.columns.map(({ name }) => quoteIdent(name)).join(", ");
  const into = `insert into ${qualified(table)} ${names === "" ? "" : `(${names}) overriding system value`}`;
  await connection.exec(`${into} ${rowsQuery(table.columns, "pg_temp.tandem_lines")}; drop table pg_temp.tandem_lines`);
}

/** Throws `backup_damaged` naming the first table whose rows are not those of the manifest. */
export async function compareContent(trial: Trial, format: string): Promise<void> {
  await compareTables(trial, format, async (connection, table) => {
    const { rows, hash } = await contentOfTable(connection, { ...table, partitioned: table.leaves.length > 0 });
    return { rows, same: hash === table.hash };
  });
}

/** As `compareContent`, by the numbers of rows alone: for what was proven to come out right before. */
export async function compareRowCounts(trial: Trial, format: string): Promise<void> {
  await compareTables(trial, format, async (connection, table) => {
    const only = table.leaves.length > 0 ? "" : "only ";
    const [row] = await connection.query(`select count(*) as rows from ${only}${qualified(table)}`);
    return { rows: Number(row?.rows), same: true };
  });
}

type Look = (
  connection: Connection,
  table: ManifestTable,
) => Promise<{ readonly rows: number; readonly same: boolean }>;

async function compareTables({ manifest, url, signal, onTable }: Trial, format: string, look: Look): Promise<void> {
  await using connection = await connect({ name: "scratch", url }, "scratch", { signal });
  const stop = () => connection.destroy(new TandemError("stopped", "the comparison was stopped"));
  signal?.addEventListener("abort", stop, { once: true });
  const settings = `${pinnedSettings(connection.serverVersion)}\n${hashSettings(connection.serverVersion)}`;
  try {
    await inTransaction(connection, `begin isolation level read committed read only;\n${settings}`, async (tx) => {
      for (const table of manifest.tables) {
        const name = `${table.schema}.${table.name}`;
        onTable?.(name);
        const { rows, same } = await look(tx, table);
        if (rows === table.rows && same) continue;
        const [found, told] = [rows, table.rows].map((count) => count.toLocaleString("en"));
        const how = rows === table.rows ? "other values" : `${found} rows instead of ${told}`;
        throw new TandemError("backup_damaged", `backup ${manifest.id}: restored from ${format}, ${name} has ${how}`, {
          table: name,
        });
      }
    });
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
