import { availableParallelism } from "node:os";
import { TandemError } from "../base/errors.ts";
import type { NodeConfig } from "../config/config.ts";
import { connect } from "../db/connect.ts";
import type { Connection } from "../db/connection.ts";

/** How many sessions fill tables, build indexes or read beside each other; servers of providers allow few. */
export const sessionsAtOnce = Math.min(4, availableParallelism());

/** Largest first, so that none is begun when all others are done. What is a part of another table is seen to with that. */
const tablesQuery = `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm', 'p') and not c.relispartition and c.relpersistence <> 't'
    and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%' and pg_has_role(c.relowner, 'usage')
  order by c.relkind = 'p' desc, pg_relation_size(c.oid) desc`;

/** As ANALYZE of a whole database, but for the catalogs, by several sessions: a database that was just filled has no statistics to plan by. */
export async function analyzeDatabase(node: NodeConfig, purpose: string, signal?: AbortSignal): Promise<void> {
  await using first = await connect(node, purpose, { signal });
  const tables = (await first.query(tablesQuery)).map(({ name }) => name ?? "");
  const more = Math.min(sessionsAtOnce, tables.length) - 1;
  const beside = async () => {
    await using session = await connect(node, purpose, { signal });
    await analyzeEach(session, tables, signal);
  };
  const all = [analyzeEach(first, tables, signal), ...Array.from({ length: Math.max(0, more) }, beside)];
  const failed = (await Promise.allSettled(all)).find((one) => one.status === "rejected");
  if (failed) throw failed.reason;
}

/** Takes one table after the other from a list that others take from, too. */
async function analyzeEach(session: Connection, tables: string[], signal: AbortSignal | undefined): Promise<void> {
  const stop = () => session.destroy(new TandemError("stopped", "the restore was stopped"));
  signal?.addEventListener("abort", stop, { once: true });
  try {
    for (let table = tables.shift(); table !== undefined; table = tables.shift())
      await session.exec(`analyze ${table}`);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
