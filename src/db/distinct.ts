import { TandemError } from "../base/errors.ts";
import type { Connection } from "./connection.ts";

// Two servers do not begin in the same microsecond; a name and an address say less, for one server has many of them.
const whichDatabase = `select format('%s %s %s', d.oid, extract(epoch from pg_postmaster_start_time()), d.datname) as which
  from pg_database d where d.datname = current_database()`;

/** Throws `same_database` when two of the connections lead to one database, however their URLs are written. */
export async function assertDistinct(connections: readonly Connection[]): Promise<void> {
  const seen = new Map<string, string>();
  for (const connection of connections) {
    const { node } = connection;
    const [row] = await connection.query(whichDatabase);
    const which = row?.which ?? "";
    const other = seen.get(which);
    if (other !== undefined) {
      throw new TandemError("same_database", `node ${node}: is the same database as node ${other}`, { node });
    }
    seen.set(which, node);
  }
}
