import type pg from "pg";
import { TandemError } from "../base/errors.ts";
import { registerSecret } from "../base/scrub.ts";
import type { NodeConfig } from "../config/config.ts";
import { ConfigError } from "../config/config-error.ts";
import { type ConnectionTarget, parseNodeUrl } from "../config/url.ts";
import { Connection, type ConnectionFacts, type Row } from "./connection.ts";
import { endClient, processIdOf } from "./driver.ts";
import { logIn } from "./login.ts";
import { quoteLiteral } from "./quote.ts";
import { greeting, sessionSettings } from "./session.ts";
import type { Looked } from "./silence.ts";
import { classify, messageOf, sqlState } from "./sqlstate.ts";
import { type TlsAttempt, tlsAttempts } from "./tls.ts";

/** How long, and until when, `connect` tries. */
export interface ConnectOptions {
  readonly signal?: AbortSignal | undefined;
  /** Stronger than `connect_timeout` of the URL; 10 s when neither says anything. */
  readonly connectTimeoutMs?: number | undefined;
}

const defaultTimeoutMs = 10_000;
const oldestServer = 130000;
const silentMs = 15_000;

/**
 * Opens a session; the settings that everything else relies on are pinned in it, unless a pooler shares it: there each
 * transaction pins its own. `purpose` is seen in pg_stat_activity as
 * `tandem/<purpose>`. Throws a TandemError that names node and host, and never the password.
 */
export async function connect(node: NodeConfig, purpose: string, options: ConnectOptions = {}): Promise<Connection> {
  const target = targetOf(node);
  registerSecret(target.password);
  try {
    const { client, encryption, answer, attempt } = await tryAll(target, purpose, options);
    const connection = new Connection(client, {
      node: node.name,
      encryption,
      ...answer,
      silentMs: target.userTimeoutMs ?? silentMs,
      look: (processId, sql) => lookAt(target, attempt, processId, sql),
    });
    const { serverVersion } = connection;
    if (serverVersion >= oldestServer) return connection;
    await connection.close();
    throw new TandemError("unsupported_server", `the server is of version ${Math.floor(serverVersion / 10000)}`);
  } catch (error) {
    throw explain(error, node, target);
  }
}

function targetOf(node: NodeConfig): ConnectionTarget {
  try {
    return parseNodeUrl(node.url);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new TandemError("config_invalid", `node ${node.name}: ${error.message}`, { cause: error, node: node.name });
  }
}

/**
 * The settings are pinned for the session where it is our own. A pooler gives its clients process ids that it has made
 * up, and the session goes to somebody else after each transaction.
 */
async function openSession(client: pg.Client): Promise<Pick<ConnectionFacts, "serverVersion" | "pooled" | "standby">> {
  const results = (await client.query(greeting())) as unknown as pg.QueryResult<Row>[];
  const answer = results.find(({ rows }) => rows.length > 0)?.rows[0];
  const pooled = Number(answer?.pid) !== processIdOf(client);
  if (!pooled) await client.query(sessionSettings());
  return { serverVersion: Number(answer?.version ?? 0), pooled, standby: answer?.standby === "t" };
}

/** Whether the server works on a statement, and is not itself waiting for us; behind a pooler the statement's text tells. */
async function lookAt(
  target: ConnectionTarget,
  attempt: TlsAttempt,
  processId: number | null,
  sql: string,
): Promise<Looked> {
  const which = processId === null ? `left(query, 200) = ${quoteLiteral(sql.slice(0, 200))}` : `pid = ${processId}`;
  const query = `select 1 from pg_catalog.pg_stat_activity where datname = pg_catalog.current_database()
    and state = 'active' and wait_event_type is distinct from 'Client' and pid <> pg_catalog.pg_backend_pid() and ${which}`;
  try {
    const timeoutMs = defaultTimeoutMs;
    const session = await logIn(target, attempt, {
      timeoutMs,
      purpose: "look",
      first: (client) => client.query(query),
    });
    await endClient(session.client);
    return session.answer.rowCount === 0 ? "gone" : "works";
  } catch (error) {
    const { code } = classify(error);
    return code === "cannot_connect" || code === "connection_lost" ? "gone" : "unknown";
  }
}

async function tryAll(target: ConnectionTarget, purpose: string, options: ConnectOptions) {
  const timeoutMs = options.connectTimeoutMs ?? target.connectTimeoutMs ?? defaultTimeoutMs;
  const failures: unknown[] = [];
  for (const attempt of await tlsAttempts(target)) {
    try {
      const first = openSession;
      return { ...(await logIn(target, attempt, { timeoutMs, signal: options.signal, purpose, first })), attempt };
    } catch (error) {
      failures.push(error);
      if (!mayFallBack(attempt, error)) break;
    }
  }
  throw moreTelling(failures);
}

/**
 * libpq takes the other of two ways when TLS did not come about or the server does not admit this login this way.
 * Unlike libpq not after a wrong password: the answer would be the same, and the password would go out unencrypted.
 */
function mayFallBack(attempt: TlsAttempt, error: unknown): boolean {
  if (sqlState(error) === "28000") return true;
  return attempt !== false && !(error instanceof TandemError) && classify(error).code === "tls_failed";
}

/** Of two failed ways, the one where the server spoke about the login and not about the way. */
function moreTelling(failures: readonly unknown[]): unknown {
  const told = failures.findLast((error) => sqlState(error) !== undefined && !refusesTheWay(error));
  return told ?? failures.findLast((error) => sqlState(error) !== undefined) ?? failures.at(-1);
}

/** `no pg_hba.conf entry`, `pg_hba.conf rejects`: the name of the file is the same in every language. */
function refusesTheWay(error: unknown): boolean {
  return sqlState(error) === "28000" && messageOf(error).includes("pg_hba.conf");
}

function explain(error: unknown, node: NodeConfig, target: ConnectionTarget): TandemError {
  const { code } = classify(error);
  const where = target.host.startsWith("/")
    ? `${target.host}/.s.PGSQL.${target.port}`
    : `${target.host}:${target.port}`;
  const hint = error instanceof TandemError ? error.hint : hintFor(error, target);
  // Before there is a session, what has no code of its own means that none came about.
  const known = code === "internal" || code === "sql_failed" || code === "connection_lost" ? "cannot_connect" : code;
  return new TandemError(known, `node ${node.name} (${where}, database ${target.database}): ${messageOf(error)}`, {
    cause: error,
    node: node.name,
    hint,
  });
}

function hintFor(error: unknown, target: ConnectionTarget): string | undefined {
  if (refusesTheWay(error)) {
    return "The server admits no such login from here: check user, database and sslmode of the URL, and its allow list (pg_hba.conf).";
  }
  if (target.password === null && classify(error).code === "wrong_password") {
    return "The URL has no password: write postgresql://USER:PASSWORD@HOST/DATABASE.";
  }
  return undefined;
}
