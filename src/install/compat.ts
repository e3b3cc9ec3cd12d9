import { TandemError } from "../base/errors.ts";
import type { Connection } from "../db/connection.ts";
import { sqlState } from "../db/sqlstate.ts";
import { asInstalled, type Installed, type InstalledRow, levelOf, readInstalledSql } from "./installed.ts";
import { type PackageSql, readPackage } from "./package-files.ts";

/** undefined_table, invalid_schema_name, undefined_function: what is asked for is not there. */
const absent = ["42P01", "3F000", "42883"];

/**
 * Stops unless what is installed in the database is exactly what this program brings: `not_installed`,
 * `version_mismatch` (older, or other functions of the same version) or `schema_newer`. One query; outside a transaction, for the query fails
 * where nothing is installed.
 */
export async function checkCompat(connection: Connection): Promise<void> {
  const own = await readPackage();
  assertFits(connection.node, await read(connection), own);
}

async function read(connection: Connection): Promise<Installed | null> {
  try {
    const [row] = await connection.query<InstalledRow>(readInstalledSql);
    return row ? asInstalled(row) : null;
  } catch (error) {
    if (absent.includes(sqlState(error) ?? "")) return null;
    throw error;
  }
}

function assertFits(node: string, installed: Installed | null, own: PackageSql): void {
  const level = levelOf(installed, own);
  if (level === "none") {
    throw new TandemError("not_installed", `node ${node}: Tandem is not installed here`, { node });
  }
  if (level === "newer") throw newer(node, installed, own);
  if (level === "older") {
    const was = installed?.version ?? "unknown";
    throw new TandemError(
      "version_mismatch",
      `node ${node}: installed is version ${was}, this program is ${own.version}${was === own.version ? " with other functions" : ""}`,
      { node },
    );
  }
}

/** An older program must not put its own functions in place of newer ones. */
export function newer(node: string, installed: Installed | null, own: PackageSql): TandemError {
  const was = installed?.version ?? "unknown";
  return new TandemError("schema_newer", `node ${node}: installed is version ${was}, this program is ${own.version}`, {
    node,
  });
}
