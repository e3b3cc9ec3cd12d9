import type { Connection } from "../db/connection.ts";
import { nodeCheck, type Observation, warning } from "./check.ts";
import type { DoctorNode } from "./node.ts";

const meaning = "changes are only polled for, and backups, which need one session, cannot be made this way";

/**
 * Sees a transaction pooler between us and the server: by the URL, or by the backend that changes between transactions.
 * Remedy: the provider's direct URL.
 */
export const pooled = nodeCheck(
  "pooled",
  "every URL is a direct one",
  async (node, { signal }): Promise<Observation[]> => {
    const { host, port } = node.address;
    const remedy = /\.pooler\.supabase\.com$/.test(host)
      ? `Use port 5432 (session mode) or the direct host in place of port ${port}.`
      : "Use the direct URL of the provider (Neon: the host without `-pooler`).";
    if (node.address.pooled) return [warning(`the URL leads through a pooler (${host}:${port}): ${meaning}`, remedy)];
    if (!(await changesBackend(node, signal))) return [];
    return [warning(`a pooler gives every transaction another session (${host}:${port}): ${meaning}`, remedy)];
  },
);

const pooledWaitMs = 3_000;

/**
 * A pooler gives an idle client's session to whoever comes next. So somebody comes and holds it in a transaction;
 * meanwhile we get another one, or, where the pool has but one, none.
 */
async function changesBackend(node: DoctorNode, signal: AbortSignal | undefined): Promise<boolean> {
  await using other = await node.connectAgain(signal);
  const before = await backend(node.connection);
  await other.exec("begin isolation level read committed read only");
  await backend(other);
  const after = backend(node.connection);
  // Awaited below; should the other connection fail first, it must not end the process.
  after.catch(() => {});
  try {
    const waited = await Promise.race([after, patience(pooledWaitMs)]);
    return waited !== before;
  } finally {
    await other.exec("rollback");
    await after;
  }
}

async function backend(connection: Connection): Promise<string | null> {
  const [row] = await connection.query("select pg_backend_pid()::text as pid");
  return row?.pid ?? null;
}

function patience(ms: number): Promise<null> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(null), ms).unref();
  });
}
