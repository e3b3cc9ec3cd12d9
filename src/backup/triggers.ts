import type { Connection } from "../db/connection.ts";
import { quoteIdent } from "../db/quote.ts";

interface Trigger {
  readonly relation: string;
  readonly name: string;
  /** As `tgenabled` has it. */
  readonly state: string;
}

const enableAs: Readonly<Record<string, string>> = { O: "enable", A: "enable always", R: "enable replica" };

/**
 * Switches off, until this transaction ends or `switchOn`, the triggers of tables and their partitions that are the
 * application's: they would change restored rows, or write others because of them. Tandem's own, which capture, stay on
 * unless `captureToo`. Constraints are looked at all the same.
 */
export async function switchOff(
  connection: Connection,
  oids: readonly string[],
  captureToo: boolean,
): Promise<readonly Trigger[]> {
  const rows = await connection.query(
    `select format('%I.%I', n.nspname, c.relname) as relation, g.tgname::text as name, g.tgenabled::text as state
     from (select o::oid as root from unnest($1::text[]) o) r
     cross join lateral (select r.root as oid union select p.relid from pg_partition_tree(r.root) p) t
     join pg_class c on c.oid = t.oid join pg_namespace n on n.oid = c.relnamespace
     join pg_trigger g on g.tgrelid = c.oid and not g.tgisinternal and g.tgenabled <> 'D'
     join pg_proc f on f.oid = g.tgfoid join pg_namespace fn on fn.oid = f.pronamespace
     where $2::boolean or fn.nspname not in ('tandem', 'tandem_log')
     order by 1, 2`,
    [oids as string[], captureToo],
  );
  const triggers = rows.map((row) => ({ relation: row.relation ?? "", name: row.name ?? "", state: row.state ?? "" }));
  for (const { relation, name } of triggers) {
    await connection.exec(`alter table only ${relation} disable trigger ${quoteIdent(name)}`);
  }
  return triggers;
}

/** Puts triggers back to the state they were in. */
export async function switchOn(connection: Connection, triggers: readonly Trigger[]): Promise<void> {
  for (const { relation, name, state } of triggers) {
    await connection.exec(`alter table only ${relation} ${enableAs[state] ?? "enable"} trigger ${quoteIdent(name)}`);
  }
}
