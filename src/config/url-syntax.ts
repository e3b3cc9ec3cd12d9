import { ConfigError } from "./config-error.ts";

/** A URL taken apart as libpq does it, decoded, not yet interpreted. Absent parts are missing, not empty. */
export interface UrlParts {
  readonly host?: string;
  readonly port?: string;
  readonly database?: string;
  readonly user?: string;
  readonly password?: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** A fault of a URL; `message` never repeats a part of it that may be secret. */
export function urlFault(message: string): ConfigError {
  return new ConfigError([{ place: "", path: "", message }]);
}

const encodeAdvice =
  "user or password of the URL holds a special character that must be encoded: @ is %40, / is %2F, ? is %3F";

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw urlFault(`the ${part} of the URL has a % that is not followed by two hex digits; write a plain % as %25`);
  }
}

function optional<K extends string>(key: K, text: string | undefined): Partial<Record<K, string>> {
  return text ? ({ [key]: decode(text, key) } as Record<K, string>) : {};
}

function parseParameters(query: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    const at = pair.indexOf("=");
    if (at < 0 && pair.includes("@")) throw urlFault(encodeAdvice);
    if (at < 0) throw urlFault("a parameter of the URL has no value; write name=value, joined by &");
    // libpq knows no "+" for a blank, and the last of two wins.
    parameters.set(decode(pair.slice(0, at), "query"), decode(pair.slice(at + 1), "query"));
  }
  return parameters;
}

/**
 * Splits by hand, as libpq: the URL class of the platform refuses `postgresql:///db` with a user and takes `#`
 * for the beginning of a fragment, while both occur in pasted URLs.
 */
export function splitUrl(url: string): UrlParts {
  const match = /^postgres(?:ql)?:\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/is.exec(url.trim());
  if (!match) throw urlFault("not a PostgreSQL URL; it looks like postgresql://user:password@host:5432/database");
  const [, authority = "", database, query = ""] = match;
  const at = authority.indexOf("@");
  const credentials = at < 0 ? "" : authority.slice(0, at);
  const address = authority.slice(at + 1);
  if (address.includes("@") || database?.includes("@")) {
    throw urlFault(encodeAdvice);
  }
  if (address.includes(",")) throw urlFault("the URL names several hosts; Tandem needs the one of the primary");
  const place = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(address);
  if (!place) throw urlFault("the host of the URL cannot be read; an IPv6 address stands in brackets, [::1]");
  const colon = credentials.indexOf(":");
  return {
    ...optional("host", place[1]?.replace(/^\[(.*)\]$/s, "$1")),
    ...optional("port", place[2]),
    ...optional("database", database),
    ...optional("user", colon < 0 ? credentials : credentials.slice(0, colon)),
    ...optional("password", colon < 0 ? undefined : credentials.slice(colon + 1)),
    parameters: parseParameters(query),
  };
}
