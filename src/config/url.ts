import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import type { Environment } from "./environment.ts";
import { type ChannelBinding, choice, parseSsl, type SslConfig } from "./ssl.ts";
import { nearest } from "./suggest.ts";
import { splitUrl, urlFault } from "./url-syntax.ts";

/** Where and how to connect; made of a URL. It holds the password: never log it. */
export interface ConnectionTarget {
  /** A name, an address, or the folder of a unix socket (then it begins with `/`). */
  readonly host: string;
  /** The address to use instead of looking up `host`; certificates are still checked against `host`. */
  readonly hostAddress: string | null;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | null;
  readonly ssl: SslConfig;
  readonly channelBinding: ChannelBinding;
  readonly options: string | null;
  readonly applicationName: string | null;
  /** Null: not said; 0: without limit. */
  readonly connectTimeoutMs: number | null;
  /** `tcp_user_timeout`: how long the network may be silent before the server is asked whether it works; null: not said. */
  readonly userTimeoutMs: number | null;
  /** The URL leads, by all appearance, through a pooler that may change the session between transactions. */
  readonly pooled: boolean;
}

/** Parameters of libpq that matter for safety and that are not built: to leave them out silently would betray. */
const refused = ["require_auth", "service", "sslcrldir"] as const;

const safetyParameters = [
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "sslpassword",
  "sslcrl",
  "sslnegotiation",
  "ssl_min_protocol_version",
  "channel_binding",
] as const;

/** What providers and other libraries add is ignored; a misspelt safety parameter must not be. */
function checkParameters(parameters: ReadonlyMap<string, string>): void {
  for (const [name, value] of parameters) {
    if (value !== "" && refused.some((word) => word === name)) {
      throw urlFault(`the URL parameter ${name} is not supported; take it out`);
    }
    if (safetyParameters.some((word) => word === name) || !/^(ssl.|channel)/.test(name)) continue;
    const meant = nearest(name, safetyParameters);
    if (meant !== null) throw urlFault(`unknown URL parameter "${name}", did you mean "${meant}"?`);
  }
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65535)
    throw urlFault("the port of the URL is not a number from 1 to 65535");
  return port;
}

/** libpq's own default is a folder fixed when it is built; these two are the ones in use, then TCP. */
function defaultHost(port: number): string {
  const folders = ["/var/run/postgresql", "/tmp"];
  return folders.find((folder) => existsSync(`${folder}/.s.PGSQL.${port}`)) ?? "localhost";
}

function parseTimeout(text: string | undefined): number | null {
  if (!text) return null;
  if (!/^-?\d+$/.test(text)) throw urlFault("connect_timeout of the URL is a number of seconds");
  return Math.max(0, Number(text)) * 1000;
}

function parseUserTimeout(text: string | undefined): number | null {
  if (!text || text === "0") return null;
  if (!/^\d+$/.test(text)) throw urlFault("tcp_user_timeout of the URL is a number of milliseconds");
  return Number(text);
}

function looksPooled(host: string, port: number, parameters: ReadonlyMap<string, string>): boolean {
  const bouncer = parameters.get("pgbouncer") === "true";
  return bouncer || /^[^.]*-pooler\./.test(host) || (/\.pooler\.supabase\.com$/.test(host) && port === 6543);
}

/**
 * Reads a URL as pasted from a provider, with libpq's meaning. Only `USER` of the environment counts, as the name of
 * the role where the URL has none; the `PG…` variables do not, for they would apply to every node alike.
 */
export function parseNodeUrl(url: string, env: Environment = process.env): ConnectionTarget {
  const { parameters, ...parts } = splitUrl(url);
  checkParameters(parameters);
  const parameter = (name: string) => parameters.get(name) || null;
  const port = parsePort(parameter("port") ?? parts.port ?? "5432");
  const host = parameter("host") ?? parts.host ?? parameter("hostaddr") ?? defaultHost(port);
  if (host.includes(",")) throw urlFault("the URL names several hosts; Tandem needs the one of the primary");
  const user = parameter("user") ?? parts.user ?? env.USER ?? userInfo().username;
  return {
    host,
    hostAddress: parameter("hostaddr"),
    port,
    database: parameter("dbname") ?? parts.database ?? user,
    user,
    password: parameter("password") ?? parts.password ?? null,
    ssl: parseSsl(parameters),
    channelBinding: choice(parameters, "channel_binding", ["disable", "prefer", "require"] as const) ?? "prefer",
    options: parameter("options"),
    applicationName: parameter("application_name"),
    connectTimeoutMs: parseTimeout(parameters.get("connect_timeout")),
    userTimeoutMs: parseUserTimeout(parameters.get("tcp_user_timeout")),
    pooled: looksPooled(host, port, parameters),
  };
}

/**
 * Equal for two URLs that plainly lead to one database. A pooler's host counts as the one behind it. Different
 * names of one server are not seen here; the system identifier tells them once connected.
 */
export function databaseAddress(target: ConnectionTarget): string {
  const host = target.host.toLowerCase().replace(/^([^.]*)-pooler\./, "$1.");
  return `${host}:${target.port}/${target.database}`;
}

/**
 * Hides the password of every URL in a text, also of URLs that cannot be parsed: up to the last `@` before a
 * blank, since a password may hold an `@` that should have been encoded.
 */
export function redactUrl(text: string): string {
  return text
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/?#]*):[^\s"]*@/gi, "$1:***@")
    .replace(/([?&](?:ssl)?password=)[^&\s"]*/gi, "$1***");
}
