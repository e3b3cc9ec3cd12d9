import { TandemError } from "../base/errors.ts";
import type { Config, TriggerChoice } from "../config/config.ts";
import type { Connection } from "../db/connection.ts";
import { quoteLiteral } from "../db/quote.ts";
import { underInstallLock } from "./lock.ts";
import { eachWithPatience, type Patience, patiently } from "./patience.ts";
import type { TableOutcome } from "./report.ts";
import { type SelectionRow, selectionQuery } from "./selection.ts";

/** Which tables the file and the default rule choose in a node. */
export function selectTables(
  connection: Connection,
  config: Config,
  triggers: TriggerChoice | null = null,
): Promise<SelectionRow[]> {
  return underInstallLock(connection, (tx) => tx.query<SelectionRow>(selectionQuery(config, triggers)));
}

/** The call for one table, where there is one. */
export function callFor({ schema_name, table_name, decision, policy, updated_at }: SelectionRow): string | null {
  const table = `${quoteLiteral(schema_name)}, ${quoteLiteral(table_name)}`;
  if (decision === "untrack") return `tandem.untrack_table(${table})`;
  if (decision !== "track") return null;
  const column = updated_at === null ? "null" : quoteLiteral(updated_at);
  return `tandem.track_table(${table}, ${quoteLiteral(policy)}, ${column})`;
}

/**
 * Closes ways around capture first (a table that is armed anew forgets what it looked like before), then brings the
 * capture of each table up to date. A table that cannot be had in time, or that fails, stops no other.
 */
export async function trackTables(
  connection: Connection,
  config: Config,
  triggers: TriggerChoice | null,
  patience: Patience,
  onTable: (outcome: TableOutcome) => void,
): Promise<TableOutcome[]> {
  await patiently(() => underInstallLock(connection, (tx) => tx.query("select tandem.watch()")), patience);
  const rows = await selectTables(connection, config, triggers);
  const outcomes = new Map<SelectionRow, TableOutcome>();
  const tell = (
    row: SelectionRow,
    outcome: TableOutcome["outcome"],
    reasonCode: string | null,
    reason: string | null,
    changed: readonly string[] = [],
  ) => {
    const { schema_name: schema, table_name: table } = row;
    const told = { schema, table, outcome, reasonCode, reason, triggers: changed };
    outcomes.set(row, told);
    onTable(told);
  };
  for (const row of rows) {
    if (row.decision === "track" || row.decision === "untrack") continue;
    tell(row, row.decision, row.reason_code, row.reason);
  }
  const late = await eachWithPatience(
    rows.filter((row) => callFor(row) !== null),
    async (row) => {
      try {
        const { done, guards } = await underInstallLock(connection, async (tx) => {
          const [answer] = await tx.query(`select ${callFor(row)} as done`);
          const [chosen] = await tx.query("select to_json(tandem.choose_triggers($1, $2, $3)) as triggers", [
            row.schema_name,
            row.table_name,
            row.triggers,
          ]);
          return { done: answer?.done === "t", guards: JSON.parse(chosen?.triggers ?? "[]") as string[] };
        });
        if (row.decision === "untrack") tell(row, "untracked", row.reason_code, row.reason);
        else tell(row, done || guards.length > 0 ? "armed" : "unchanged", null, null, guards);
      } catch (error) {
        if (!belongsToTable(error)) throw error;
        tell(row, "failed", error.code, error.message);
      }
    },
    patience,
  );
  for (const [row, error] of late) tell(row, "failed", error.code, error.message);
  return rows.flatMap((row) => outcomes.get(row) ?? []);
}

/** What says something about one table only: the others are still to be tracked. */
function belongsToTable(error: unknown): error is TandemError {
  return error instanceof TandemError && ["unsupported_table", "permission_denied", "sql_failed"].includes(error.code);
}
