import { nodeCheck, warning } from "./check.ts";

/** Sees unlogged tables: a crash empties them, and no trigger is told. Remedy: logged, or excluded. */
export const unlogged = nodeCheck("unlogged", "no tracked table is unlogged", async (node) => {
  const tables = await node.tracked();
  const rows = await node.query("select oid from pg_class where relpersistence = 'u' and oid = any ($1::oid[])", [
    tables.map(({ relid }) => relid),
  ]);
  const found = new Set(rows.map(({ oid }) => oid));
  return tables
    .filter(({ relid }) => found.has(relid))
    .map(({ label: table }) =>
      warning(
        "is UNLOGGED: after a crash it is empty here and not on the other nodes",
        "Run: alter table … set logged; or exclude it.",
        { table },
      ),
    );
});
