import { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import type { Connection } from "../db/connection.ts";
import { readPackage } from "../install/package-files.ts";
import { type Decision, selectionQuery } from "../install/selection.ts";

/** A table of one node, or one that the configuration names and the node lacks. */
export interface DoctorTable {
  /** Empty where the table is not there. */
  readonly relid: string;
  readonly schema: string;
  readonly name: string;
  /** As the configuration names it: `public.perfis`. */
  readonly label: string;
  readonly key: readonly string[];
  /** What `tandem migrate` would do. */
  readonly decision: Decision;
  /** Captured already. */
  readonly tracked: boolean;
  readonly reasonCode: string | null;
  /** In words that go on after the table's name; empty where there is none. */
  readonly reason: string;
}

const candidatesPath = "sql/capture/candidates.sql";

/**
 * The query behind tandem.table_candidates, taken out of the file that installs it, so that there is one rule and
 * that it also holds where Tandem is not installed and the role may create nothing.
 */
export function candidatesQuery(file: string): string {
  const key = /function tandem\.table_key\(p_relid oid\)[\s\S]*?as \$\$([\s\S]*?)\$\$;/.exec(file)?.[1];
  const view = /^create or replace view tandem\.table_candidates as\n([\s\S]*?);$/m.exec(file)?.[1];
  const call = "left join lateral tandem.table_key(c.oid) k on true";
  if (key === undefined || !view?.includes(call)) {
    throw new TandemError("internal", `${candidatesPath} does not have the form that the doctor reads`);
  }
  // The function's parameter becomes a column of that name, which its body finds further out.
  return view.replace(
    call,
    () => `cross join lateral (select c.oid as p_relid) parameter
    left join lateral (${key}) k (index_oid, key_columns, key_types, key_operators) on true`,
  );
}

/** `migrate`'s own query, with what it reads of Tandem's objects put in their place. */
function chosenQuery(candidates: string, config: Config, installed: boolean): string {
  const tracked = installed
    ? "select table_id, schema_name, table_name from tandem.tracked_table"
    : "select 0 as table_id, ''::text as schema_name, ''::text as table_name where false";
  const selection = selectionQuery(config)
    .replaceAll("tandem.table_candidates", "doctor_candidates")
    .replaceAll("tandem.tracked_table", "doctor_tracked");
  return `with doctor_candidates as materialized (${candidates}), doctor_tracked as materialized (${tracked})
    select s.*, c.relid, to_json(c.key_columns) as key
    from (${selection}) s left join doctor_candidates c using (schema_name, table_name)
    order by s.schema_name collate "C", s.table_name collate "C"`;
}

/** Every ordinary table of the database, with what `migrate` would make of it. */
export async function chosenTables(tx: Connection, config: Config, installed: boolean): Promise<DoctorTable[]> {
  const { files } = await readPackage();
  const candidates = candidatesQuery(files.find(({ path }) => path === candidatesPath)?.text ?? "");
  const rows = await tx.query(chosenQuery(candidates, config, installed));
  return rows.map((row) => ({
    relid: row.relid ?? "",
    schema: row.schema_name ?? "",
    name: row.table_name ?? "",
    label: `${row.schema_name}.${row.table_name}`,
    key: (JSON.parse(row.key ?? "null") ?? []) as string[],
    decision: row.decision as Decision,
    tracked: row.tracked === "t",
    reasonCode: row.reason_code ?? null,
    reason: row.reason ?? "",
  }));
}
