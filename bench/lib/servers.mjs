import pg from "pg";
import { startServer } from "../../dist/embedded/server.js";

// As a server in use has them: every commit is durable. Logical decoding is on for all peers alike.
const settings = {
  wal_level: "logical",
  shared_buffers: "512MB",
  max_wal_size: "8GB",
  checkpoint_timeout: "1h",
  max_connections: "200",
  max_replication_slots: "20",
  max_wal_senders: "20",
  max_logical_replication_workers: "10",
  max_worker_processes: "20",
  work_mem: "16MB",
  // The launcher starts a subscription's worker this long after its last start at the earliest: 5 s by default, which are no work.
  wal_retrieve_retry_interval: "100ms",
};

/** Two servers of their own for one run of the bench, named as the nodes are, started by `start`; `end` removes them. */
export async function startServers(start = startServer) {
  const [local, external] = await Promise.all([start({ settings }), start({ settings })]);
  const clients = [];
  const endings = [];
  const servers = { local, external };
  return {
    url: (node, database) => servers[node].url(database),
    /** A session that lives until the end of the run. */
    async client(node, database) {
      const client = new pg.Client({ connectionString: servers[node].url(database) });
      client.on("error", () => {});
      await client.connect();
      clients.push(client);
      return client;
    },
    /** What is to be ended before the servers are, also where a measure fails. */
    atEnd(action) {
      endings.push(action);
    },
    async end() {
      for (const action of endings) await action();
      await Promise.allSettled(clients.map((client) => client.end()));
      await Promise.all([local.stop("immediate"), external.stop("immediate")]);
    },
  };
}
