import type { Config } from "../config/config.ts";
import { quoteLiteral } from "../db/quote.ts";
import { doBlock, quoteFile, textArray } from "./do-block.ts";
import { installLock } from "./lock.ts";
import { configureNodeCall } from "./node-settings.ts";
import type { PackageMigration, PackageSql } from "./package-files.ts";
import { commentOnMigrations } from "./run-migrations.ts";
import { sqlBlock, writeSums } from "./sql-block.ts";

/**
 * All that `migrate` does in a node before it comes to the tables, as SQL for one transaction: the bookkeeping as
 * node-pg-migrate makes it, the migrations not yet run, sql/ and the node.
 */
export function installBlocks(config: Config, node: string, own: PackageSql): string {
  return [
    migrationsBlock(own.migrations),
    `-- Functions and views: each file of sql/ as it is, those that cannot be replaced in place are dropped first.\n${sqlBlock(own.files)}`,
    writeSums(own.migrations),
    `-- This database as a node, and its peers.\n${doBlock("", `  perform ${configureNodeCall(config, node)};`)}`,
  ].join("\n\n");
}

function migrationsBlock(migrations: readonly PackageMigration[]): string {
  const names = textArray(migrations.map(({ name }) => name));
  const body = `  perform pg_advisory_xact_lock(${installLock});
  if to_regnamespace('tandem') is null then
    create schema tandem;
  end if;
  if to_regclass('tandem.migrations') is null then
    create table tandem.migrations (id serial primary key, name varchar(255) not null, run_on timestamp not null);
    ${commentOnMigrations};
  end if;
  if exists (select from tandem.migrations where name <> all (${names})) then
    raise exception 'a newer version of Tandem is installed here';
  end if;
${migrations.map(runOnce).join("\n")}`;
  return `-- Tandem's own tables.\n${doBlock("", body)}`;
}

function runOnce({ name, up }: PackageMigration): string {
  return `  if not exists (select from tandem.migrations where name = ${quoteLiteral(name)}) then
    execute ${quoteFile(up)};
    insert into tandem.migrations (name, run_on) values (${quoteLiteral(name)}, now());
  end if;`;
}
