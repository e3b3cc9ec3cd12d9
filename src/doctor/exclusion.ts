import { nodeCheck, warning } from "./check.ts";

/** Sees EXCLUDE constraints: one row may be in the way of several, and no rule picks the same one on all nodes. */
export const exclusion = nodeCheck("exclusion", "no table has an EXCLUDE constraint", async (node) => {
  const tables = await node.tracked();
  const rows = await node.query(
    "select conrelid as relid, conname as name from pg_constraint where contype = 'x' and conrelid = any ($1::oid[]) order by 1, 2",
    [tables.map(({ relid }) => relid)],
  );
  return rows.map(({ relid, name }) =>
    warning(
      `EXCLUDE constraint "${name}": rows of two nodes that exclude each other stay parked`,
      "Let one node alone write what may collide, or look at `tandem parked` for what waits.",
      { table: tables.find((each) => each.relid === relid)?.label },
    ),
  );
});
