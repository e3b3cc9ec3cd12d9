import type { TableName } from "../base/exchange.ts";
import type { Connection, Row } from "../db/connection.ts";
import { quoteLiteral } from "../db/quote.ts";
import { pinnedSettings } from "../db/session.ts";
import { execWhole } from "../db/transaction.ts";

/** The steps of a round, as the statements name them: a stopped or cut session says where it stood. */
export type Step =
  | "source-state"
  | "watch"
  | "describe"
  | "contact"
  | "probe"
  | "read-begin"
  | "read-lock"
  | "read-end"
  | "read-rows"
  | "settle"
  | "confirm"
  | "small-open"
  | "small-begin"
  | "small-read"
  | "small-offer"
  | "small-apply"
  | "wake"
  | "meet"
  | "target-state"
  | "reconcile"
  | "stage-begin"
  | "stage-prepare"
  | "stage-rows"
  | "stage-misfits"
  | "closure"
  | "apply"
  | "preview"
  | "note"
  | "beat"
  | "tidy"
  | "lease"
  | "prune";

/**
 * How long a transaction may wait for its applier between two statements. An applier that sleeps, or is gone unnoticed,
 * must not hold a link, or back the cleaning up of dead rows, for ever.
 */
export const longestPause = "5min";

/** Puts the step's name in front of a statement, where logs and `pg_stat_activity` show it. */
export function step(name: Step, sql: string): string {
  return `/* tandem:${name} */ ${sql}`;
}

/**
 * Every round runs the same statements of Tandem's functions on its own small tables: planning them anew each time costs more
 * than running them. What reads or writes the application's rows is put together anew and planned for what is there.
 */
export const keepPlans = "set local plan_cache_mode = force_generic_plan;";

/** A list of texts as a literal of SQL. */
export function textArray(values: readonly string[] | null): string {
  return values === null ? "null::text[]" : `array[${values.map(quoteLiteral).join(", ")}]::text[]`;
}

/** Schema and name of a table as a row of literals. */
export function nameLiteral({ schema, name }: TableName): string {
  return `(${quoteLiteral(schema)}, ${quoteLiteral(name)})`;
}

/** A JSON document as a literal of SQL. */
export function jsonLiteral(value: unknown): string {
  return `${quoteLiteral(JSON.stringify(value))}::jsonb`;
}

/** Begins a transaction that writes what the other end will rely on: it must outlive a crash, whatever the role has set. */
export function beginDurable(serverVersion: number): string {
  return `${begin(serverVersion)}
select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off';`;
}

/** Begins one whose commit is not waited for, for a durable one follows at once, or it does not matter. */
export function beginUnhurried(serverVersion: number): string {
  return `${begin(serverVersion)}
set local synchronous_commit = off;`;
}

function begin(serverVersion: number): string {
  return `begin isolation level read committed read write;
${pinnedSettings(serverVersion)}
${keepPlans}`;
}

/**
 * Runs one statement in a transaction of its own, in one message, with the settings pinned: through a transaction
 * pooler nothing that was set before holds. Returns the statement's rows.
 */
export async function call(connection: Connection, name: Step, statement: string): Promise<readonly Row[]> {
  const answers = await execWhole(
    connection,
    `${beginDurable(connection.serverVersion)}\n${step(name, statement)};\ncommit`,
  );
  return answers.at(-2)?.rows ?? [];
}

/** Runs a statement with one value, which is a JSON document, and parses it. */
export async function callJson<T>(connection: Connection, name: Step, expression: string): Promise<T> {
  const [row] = await call(connection, name, `select (${expression})::text as answer`);
  return JSON.parse(row?.answer ?? "null") as T;
}
