import { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import type { Connection } from "../db/connection.ts";
import { newer } from "./compat.ts";
import { levelOf, readInstalled } from "./installed.ts";
import { underInstallLock } from "./lock.ts";
import { configureNodeCall } from "./node-settings.ts";
import type { PackageSql } from "./package-files.ts";
import { commentOnMigrations, runMigrations } from "./run-migrations.ts";
import { sqlBlock, writeSums } from "./sql-block.ts";

/** What the installation of one node did. */
export interface InstallOutcome {
  readonly migrations: readonly string[];
  readonly sqlInstalled: boolean;
  readonly configured: boolean;
}

/**
 * Migrations, all of sql/ and the node's identity in one transaction under one lock: an interruption leaves nothing
 * half done. Where all is as this program brings it nothing is written. `identify` is the expression that gives the
 * database its identity and says whether that changed anything.
 */
export function installNode(
  connection: Connection,
  config: Config,
  own: PackageSql,
  identify = configureNodeCall(config, connection.node),
): Promise<InstallOutcome> {
  return underInstallLock(connection, async (tx) => {
    const installed = await readInstalled(tx);
    const level = levelOf(installed, own);
    if (level === "newer") throw newer(tx.node, installed, own);
    for (const { path, sha256 } of own.migrations) {
      const applied = installed?.files.get(path);
      if (applied !== undefined && applied !== sha256) {
        throw new TandemError("install_changed", `node ${tx.node}: ${path} is not the file that was applied here`, {
          node: tx.node,
        });
      }
    }
    const migrations = level === "same" ? [] : await runMigrations(tx);
    if (level !== "same") {
      await tx.exec(`${commentOnMigrations};\n${sqlBlock(own.files)}\n${writeSums(own.migrations)}`);
    }
    const [row] = await tx.query(`select ${identify} as changed`);
    return { migrations, sqlInstalled: level !== "same", configured: row?.changed === "t" };
  });
}
