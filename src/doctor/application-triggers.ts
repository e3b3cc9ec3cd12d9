import type { DoctorNode } from "./node.ts";

/** A trigger of the application's on a tracked table or one of its partitions. */
export interface ApplicationTrigger {
  /** The tracked table. */
  readonly schema: string;
  readonly table: string;
  readonly label: string;
  readonly name: string;
  /** `O` fires unless in replica role, `R` only there, `A` always. */
  readonly enabled: "O" | "R" | "A";
  readonly before: boolean;
  readonly perRow: boolean;
  /** Its condition knows of the applier. */
  readonly guarded: boolean;
  /** It may write to tables: its source holds a statement that does, or cannot be read. */
  readonly writes: boolean;
}

const writing =
  /\b(insert\s+into|update\s+\S+\s+(\w+\s+)?set|delete\s+from|merge\s+into|truncate|execute|perform|call|copy)\b/i;

/** Whether a trigger function may write. PERFORM of a notification is none; comments are no statements. */
export function mayWrite(language: string, source: string): boolean {
  if (language !== "plpgsql") return true;
  const statements = source
    .replace(/\/\*[\s\S]*?\*\//g, " ")
    .replace(/--.*$/gm, " ")
    .replace(/\bperform\s+(pg_catalog\.)?(pg_notify|set_config)\b/gi, " ");
  return writing.test(statements);
}

/** The enabled triggers that are neither Tandem's nor internal; a partition's clone counts once, with its parent. */
export async function applicationTriggers(node: DoctorNode): Promise<ApplicationTrigger[]> {
  const tables = await node.tracked();
  const rows = await node.query(
    `select h.root, g.tgname as name, g.tgenabled as enabled, g.tgtype & 2 = 2 as before, g.tgtype & 1 = 1 as per_row,
       pg_get_triggerdef(g.oid) like '%tandem.applying%' as guarded, l.lanname as language, p.prosrc as source
     from (select t as root, t as relid from unnest($1::oid[]) t
       union select t, x.relid from unnest($1::oid[]) t, pg_partition_tree(t) x) h
     join pg_trigger g on g.tgrelid = h.relid
     join pg_proc p on p.oid = g.tgfoid
     join pg_namespace n on n.oid = p.pronamespace
     join pg_language l on l.oid = p.prolang
     where not g.tgisinternal and g.tgparentid = 0 and g.tgenabled <> 'D' and n.nspname not in ('tandem', 'tandem_log')
     order by h.root, g.tgname collate "C"`,
    [tables.map(({ relid }) => relid)],
  );
  const rootOf = (relid: string | null | undefined) => {
    const root = tables.find((table) => table.relid === relid);
    return { schema: root?.schema ?? "", table: root?.name ?? "", label: root?.label ?? "" };
  };
  return rows.map((row) => ({
    ...rootOf(row.root),
    name: row.name ?? "",
    enabled: row.enabled as ApplicationTrigger["enabled"],
    before: row.before === "t",
    perRow: row.per_row === "t",
    guarded: row.guarded === "t",
    writes: mayWrite(row.language ?? "", row.source ?? ""),
  }));
}
