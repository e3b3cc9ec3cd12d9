import { startServer } from "../../src/embedded/server.ts";
import { fetchMajor } from "./fetch-major.ts";

/** A server of the run, as the workers see it. */
export interface TestServer {
  kind: "embedded" | "testcontainers" | "url";
  major: number;
  /** Of the superuser, database `postgres`. */
  url: string;
  host: string;
  port: number;
  logFile?: string;
}

/** The servers of a run and how to be rid of them. */
export interface TestServers {
  servers: TestServer[];
  stop(): Promise<void>;
}

/** Nothing here outlives the run, so nothing needs to survive a crash of the machine. */
export const testSettings = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_connections: "200",
  max_wal_size: "2GB",
  shared_buffers: "64MB",
  autovacuum_naptime: "10s",
  log_line_prefix: "%m [%p] %d %a: ",
  log_min_messages: "warning",
  log_min_error_statement: "error",
  log_lock_waits: "on",
};

/**
 * TANDEM_TEST_PG chooses: `embedded` (default), `testcontainers` (a Docker engine must be at hand), `auto` (testcontainers where one is,
 * else embedded), or URLs parted by blanks.
 */
export async function startTestServers(count: number, chosen = process.env.TANDEM_TEST_PG): Promise<TestServers> {
  const choice = chosen || "embedded";
  const major = Number(process.env.TANDEM_TEST_PG_VERSION || 15);
  if (choice === "embedded") return startEmbedded(count, major);
  if (choice === "testcontainers") return startContainers(count, major);
  if (choice === "auto") return (await hasEngine()) ? startContainers(count, major) : startEmbedded(count, major);
  if (/^postgres(ql)?:\/\//.test(choice)) return useUrls(choice.split(/\s+/).filter(Boolean));
  throw new Error(`TANDEM_TEST_PG is neither embedded, testcontainers, auto nor a URL: ${choice}`);
}

/** Whether a Docker engine answers. */
export async function hasEngine(): Promise<boolean> {
  const { getContainerRuntimeClient } = await import("testcontainers");
  return getContainerRuntimeClient().then(
    () => true,
    () => false,
  );
}

async function startEmbedded(count: number, major: number): Promise<TestServers> {
  await fetchMajor(major);
  const started = await Promise.all(
    Array.from({ length: count }, () => startServer({ major, settings: testSettings })),
  );
  return {
    servers: started.map(({ host, port, logFile, url }, i) => ({
      kind: "embedded",
      major,
      url: url.call(started[i]),
      host,
      port,
      logFile,
    })),
    stop: async () => {
      await Promise.all(started.map((server) => server.stop("immediate")));
    },
  };
}

async function startContainers(count: number, major: number): Promise<TestServers> {
  const { GenericContainer, Wait } = await import("testcontainers");
  const flags = Object.entries(testSettings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const attempts = await Promise.allSettled(
    Array.from({ length: count }, () =>
      new GenericContainer(`postgres:${major}`)
        .withEnvironment({ POSTGRES_PASSWORD: "tandem", POSTGRES_INITDB_ARGS: "--locale=C --encoding=UTF8" })
        .withCommand(["postgres", ...flags])
        .withExposedPorts(5432)
        // the image starts the server twice: first for its own preparations, on a socket only
        .withWaitStrategy(Wait.forAll([Wait.forLogMessage(/ready to accept connections/, 2), Wait.forListeningPorts()]))
        .withStartupTimeout(120_000)
        .start(),
    ),
  );
  const started = attempts.flatMap((attempt) => (attempt.status === "fulfilled" ? [attempt.value] : []));
  const stop = async () => {
    await Promise.all(started.map((container) => container.stop()));
  };
  // One that did start is not to outlive one that did not.
  for (const attempt of attempts)
    if (attempt.status === "rejected") await stop().then(() => Promise.reject(attempt.reason));
  return {
    servers: started.map((container) => {
      const [host, port] = [container.getHost(), container.getMappedPort(5432)];
      return {
        kind: "testcontainers",
        major,
        host,
        port,
        url: `postgresql://postgres:tandem@${host}:${port}/postgres`,
      };
    }),
    stop,
  };
}

async function useUrls(urls: string[]): Promise<TestServers> {
  const { sql } = await import("./client.ts");
  const servers = await Promise.all(
    urls.map(async (url): Promise<TestServer> => {
      const [row] = await sql(url, `select current_setting('server_version_num')::int / 10000 as major`);
      const { hostname, port } = new URL(url);
      return { kind: "url", major: Number(row?.major), url, host: hostname, port: Number(port || 5432) };
    }),
  );
  return { servers, stop: async () => {} };
}
