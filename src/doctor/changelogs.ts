import { nodeCheck, warning } from "./check.ts";

/**
 * Sees change logs made by hand: tables named …_changelog, and tables with a `synced` flag. What fills and reads them would move
 * the same rows a second time. Remedy: to end the old synchronisation; Tandem's views have the same columns.
 */
export const changelogs = nodeCheck("changelogs", "there is no hand-made change log", async (node) => {
  const rows = await node.query(
    `select format('%s.%s', n.nspname, c.relname) as label, c.relname like '%\\_changelog' as named
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and not c.relispartition and n.nspname not in ('tandem', 'tandem_log', 'information_schema')
       and n.nspname not like 'pg\\_%'
       and (c.relname like '%\\_changelog' or exists (select from pg_attribute a
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attname in ('synced', 'synced_at', 'is_synced', 'sincronizado')))
     order by 1`,
  );
  return rows.map(({ label: table, named }) =>
    warning(
      named === "t" ? "looks like a hand-made change log" : "has a column that says whether a row is synchronised",
      "End the old synchronisation and drop its triggers before `tandem run`; tandem.<table>_changelog shows what is synced.",
      { table: table ?? undefined },
    ),
  );
});
