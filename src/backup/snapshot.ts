import { TandemError } from "../base/errors.ts";
import type { Connection, Row } from "../db/connection.ts";
import { quoteIdent } from "../db/quote.ts";
import { pinnedSettings } from "../db/session.ts";
import { sqlState } from "../db/sqlstate.ts";
import { type Inventory, readInventory } from "./catalog.ts";
import type { Manifest } from "./manifest.ts";
import { readProviderObjects } from "./provider-objects.ts";

/** One moment of a database, open for reading as long as its connection and transaction last. */
export interface Snapshot {
  readonly connection: Connection;
  /** What `pg_dump --snapshot` takes. */
  readonly exported: string;
  readonly inventory: Inventory;
  readonly facts: Pick<
    Manifest,
    | "server"
    | "snapshot"
    | "changeLog"
    | "sequences"
    | "roles"
    | "notRestored"
    | "extensionSchemas"
    | "providerFunctions"
  >;
}

const attempts = 5;
// Whoever waits for a lock lets those behind him wait too: after so long he lets them go first, and stands in line anew.
const lockWaitMs = 10_000;

/** A name as SQL has it, with its schema. */
export function qualified({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${quoteIdent(schema)}.${quoteIdent(name)}`;
}

/**
 * Opens the moment that the whole backup shows. All tables are locked (ACCESS SHARE) before the snapshot is taken: a
 * table rewritten in between would read as empty, and pg_dump, which locks later, would see another table. Throws
 * `permission_denied` when there is a table that the role may not read, `lock_timeout` when one of them stays locked for five waits.
 */
export async function openSnapshot(connection: Connection): Promise<Snapshot> {
  for (let attempt = 1; ; attempt++) {
    try {
      const snapshot = await tryOnce(connection);
      if (snapshot) return snapshot;
    } catch (error) {
      await rollBack(connection);
      // A table of the list was dropped before it was locked, or is locked for as long as we wait.
      if (!["42P01", "55P03"].includes(sqlState(error) ?? "") || attempt >= attempts) throw error;
      continue;
    }
    await rollBack(connection);
    if (attempt >= attempts) {
      throw new TandemError(
        "lock_timeout",
        `node ${connection.node}: tables come and go; no moment without it was met`,
        {
          node: connection.node,
        },
      );
    }
  }
}

async function rollBack(connection: Connection): Promise<void> {
  if (!connection.broken) await connection.exec("rollback");
}

async function tryOnce(connection: Connection): Promise<Snapshot | null> {
  const listed = await readInventory(connection);
  const unreadable = listed.tables.filter(({ readable }) => !readable);
  if (unreadable.length > 0) {
    const names = unreadable.map(({ schema, name }) => `${schema}.${name}`).join(", ");
    throw new TandemError("permission_denied", `node ${connection.node}: the role may not read ${names}`, {
      node: connection.node,
      hint: "Grant it SELECT on them (and USAGE on their schemas), or use the role that owns them: a backup without them would look whole.",
    });
  }
  await connection.exec(`begin isolation level repeatable read read only;
${pinnedSettings(connection.serverVersion)}
set local synchronize_seqscans = off;
set local max_parallel_workers_per_gather = 0;
set local lock_timeout = ${lockWaitMs}`);
  const locked = [...listed.tables, ...listed.ownTables].map(qualified);
  // LOCK takes no snapshot.
  if (locked.length > 0) await connection.exec(`lock table ${locked.join(", ")} in access share mode`);
  const [row] =
    await connection.query(`select pg_export_snapshot() as exported, pg_current_snapshot()::text as snapshot,
    current_database()::text as database, getdatabaseencoding()::text as encoding`);
  const inventory = await readInventory(connection);
  if (namesOf(inventory) !== namesOf(listed)) return null;
  return {
    connection,
    exported: row?.exported ?? "",
    inventory,
    facts: {
      server: {
        version: connection.serverVersion,
        database: row?.database ?? "",
        encoding: row?.encoding ?? "",
        systemIdentifier: await systemIdentifier(connection),
      },
      snapshot: row?.snapshot ?? "",
      changeLog: await changeLog(connection),
      sequences: await sequences(connection, inventory.leftOutSchemas),
      ...(await readProviderObjects(connection, inventory.leftOutSchemas)),
      roles: (
        await connection.query(
          "select rolname::text as name from pg_roles where rolname not like 'pg\\_%' order by rolname collate \"C\"",
        )
      ).map(({ name }) => name ?? ""),
    },
  };
}

function namesOf({ tables, ownTables }: Inventory): string {
  return JSON.stringify([tables.map(({ oid, schema, name }) => [oid, schema, name]), ownTables]);
}

/** A missing right must not end the transaction that holds the snapshot. */
async function systemIdentifier(connection: Connection): Promise<string | null> {
  const [right] = await connection.query("select has_function_privilege('pg_control_system()', 'execute') as may");
  if (right?.may !== "t") return null;
  const [row] = await connection.query("select system_identifier::text as id from pg_control_system()");
  return row?.id ?? null;
}

/** So that later work (a point-in-time restore) can build on the backup. */
async function changeLog(connection: Connection): Promise<Manifest["changeLog"]> {
  const [there] = await connection.query("select to_regclass('tandem.local_node') is not null as there");
  if (there?.there !== "t") return null;
  const [node] = await connection.query("select name, incarnation::text from tandem.local_node");
  if (!node) return null;
  const logs = await connection.query(`select schema_name as schema, table_name as name, log_name as log
    from tandem.tracked_table where schema_name <> 'tandem' order by schema_name collate "C", table_name collate "C"`);
  const text = (row: Row, key: string) => row[key] ?? "";
  return {
    node: text(node, "name"),
    incarnation: text(node, "incarnation"),
    logs: logs.map((row) => ({
      schema: text(row, "schema"),
      name: text(row, "name"),
      log: `tandem_log.${text(row, "log")}`,
    })),
  };
}

/** Sequences are not part of a snapshot: they may be ahead of the rows, which does no harm. */
async function sequences(connection: Connection, leftOut: readonly string[]): Promise<Manifest["sequences"]> {
  const rows = await connection.query(
    `select n.nspname::text as schema, c.relname::text as name, has_sequence_privilege(c.oid, 'select') as readable
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'S' and c.relpersistence <> 't' and n.nspname not in ('information_schema', 'tandem', 'tandem_log')
       and n.nspname not like 'pg\\_%' and n.nspname <> all ($1)
       and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
     order by n.nspname collate "C", c.relname collate "C"`,
    [leftOut],
  );
  const all = rows.map((row) => ({ schema: row.schema ?? "", name: row.name ?? "", readable: row.readable === "t" }));
  const closed = all.filter(({ readable }) => !readable);
  if (closed.length > 0) {
    throw new TandemError(
      "permission_denied",
      `node ${connection.node}: the role may not read the sequences ${closed.map(({ schema, name }) => `${schema}.${name}`).join(", ")}`,
      { node: connection.node, hint: "Grant it SELECT on them, or use the role that owns them." },
    );
  }
  const found: Manifest["sequences"] = [];
  for (const one of all) {
    const [row] = await connection.query(`select last_value::text as value, is_called from ${qualified(one)}`);
    found.push({ schema: one.schema, name: one.name, lastValue: row?.value ?? "1", isCalled: row?.is_called === "t" });
  }
  return found;
}
