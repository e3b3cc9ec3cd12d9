import { errorCodes } from "../base/error-codes.ts";
import { netCheck, type Observation, ok, problem } from "./check.ts";
import type { NodeFacts } from "./facts.ts";

/**
 * Sees two URLs of one database, also by other names of one server. A branch or copy of the storage has the same system
 * identifier and database oid; the microsecond at which the server began tells it from the original.
 * Remedy: a database of its own for each node.
 */
export const sameDatabase = netCheck("same-database", "every node is a database of its own", async ({ nodes }) =>
  nodes.flatMap((a, index) => nodes.slice(index + 1).flatMap((b) => seen(a, b))),
);

interface Named {
  readonly name: string;
  readonly facts: NodeFacts;
}

function seen(a: Named, b: Named): Observation[] {
  const [one, other] = [a.facts, b.facts];
  if (one.databaseOid !== other.databaseOid || one.systemIdentifier !== other.systemIdentifier) return [];
  const link = `${a.name}, ${b.name}`;
  if (one.startedAt === other.startedAt) {
    return [problem(`both URLs lead to the same database (${one.database})`, errorCodes.same_database.hint, { link })];
  }
  return one.systemIdentifier === null ? [] : [ok("one is a copy or branch of the other's storage", { link })];
}
