import { alwaysTriggers } from "./always-triggers.ts";
import { backupFolder, backupPrograms, backupRows } from "./backups.ts";
import { capture } from "./capture.ts";
import { changelogs } from "./changelogs.ts";
import type { Check } from "./check.ts";
import { clock } from "./clock.ts";
import { connections } from "./connections.ts";
import { encoding } from "./encoding.ts";
import { encryption } from "./encryption.ts";
import { exclusion } from "./exclusion.ts";
import { foreignKeys } from "./foreign-keys.ts";
import { installed } from "./installed.ts";
import { interleave } from "./interleave.ts";
import { kept } from "./kept.ts";
import { key } from "./key.ts";
import { leftOut } from "./left-out.ts";
import { leftProbe } from "./left-probe.ts";
import { lockTable } from "./lock-table.ts";
import { longTransactions } from "./long-transactions.ts";
import { otherReplication } from "./other-replication.ts";
import { patterns } from "./patterns.ts";
import { pooled } from "./pooled.ts";
import { prepared } from "./prepared.ts";
import { provider } from "./provider.ts";
import { reachable } from "./reachable.ts";
import { rights } from "./rights.ts";
import { rowSecurity } from "./row-security.ts";
import { rules } from "./rules.ts";
import { sameDatabase } from "./same-database.ts";
import { schema } from "./schema.ts";
import { sequences } from "./sequences.ts";
import { server } from "./server.ts";
import { timeLimits } from "./time-limits.ts";
import { triggers } from "./triggers.ts";
import { unlogged } from "./unlogged.ts";
import { wraparound } from "./wraparound.ts";
import { writable } from "./writable.ts";

/** Every check, in the order in which findings are told: the way to the server, the server, the tables, Tandem itself. */
export const checks: readonly Check[] = [
  reachable,
  server,
  sameDatabase,
  pooled,
  provider,
  encryption,
  writable,
  rights,
  clock,
  encoding,
  connections,
  lockTable,
  wraparound,
  longTransactions,
  prepared,
  timeLimits,
  otherReplication,
  patterns,
  key,
  leftOut,
  changelogs,
  rowSecurity,
  schema,
  unlogged,
  exclusion,
  foreignKeys,
  rules,
  triggers,
  alwaysTriggers,
  sequences,
  interleave,
  installed,
  capture,
  kept,
  leftProbe,
  backupPrograms,
  backupRows,
  backupFolder,
];
