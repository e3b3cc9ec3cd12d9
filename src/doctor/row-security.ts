import { errorCodes } from "../base/error-codes.ts";
import { nodeCheck, problem } from "./check.ts";

/**
 * Sees tables of which policies may hide rows from this role, by the server's own answer: FORCE, ownership and BYPASSRLS
 * are in it. Remedy: another role, no FORCE, or to exclude the table.
 */
export const rowSecurity = nodeCheck(
  "row-security",
  "no row is hidden from the role by row-level security",
  async (node) => {
    const tables = await node.tracked();
    const rows = await node.query(
      `select distinct h.root as relid from (
       select t as root, t as relid from unnest($1::oid[]) t
       union select t, p.relid from unnest($1::oid[]) t, pg_partition_tree(t) p
     ) h where row_security_active(h.relid)`,
      [tables.map(({ relid }) => relid)],
    );
    const hidden = new Set(rows.map(({ relid }) => relid));
    return tables
      .filter(({ relid }) => hidden.has(relid))
      .map(({ label: table }) =>
        problem(
          `row-level security may hide rows from role ${node.facts.role}; hidden rows would look deleted`,
          errorCodes.rls_hides_rows.hint,
          { table },
        ),
      );
  },
);
