import type { ErrorCode } from "../base/error-codes.ts";
import { TandemError } from "../base/errors.ts";
import { mendsItself } from "../base/retry.ts";

/** What an error of the driver, the network or the server means to us. */
export interface Classified {
  readonly code: ErrorCode;
  /** Whether the same call may succeed without anybody doing anything. */
  readonly retryable: boolean;
}

/** SQLSTATEs that Tandem's own SQL raises; class TD belongs to no standard and to no server. */
export const tandemStates: Readonly<Record<string, ErrorCode>> = {
  TD001: "not_installed",
  TD002: "identity_mismatch",
  TD003: "position_mismatch",
  TD004: "in_recovery",
  TD010: "unsupported_table",
  TD011: "unsupported_table",
  TD012: "shape_changed",
  TD013: "serialization",
  TD014: "serialization",
  TD020: "usage",
  TD021: "conflict_not_restored",
};

const states: Readonly<Record<string, ErrorCode>> = {
  "25006": "read_only",
  "28000": "wrong_password",
  "28P01": "wrong_password",
  "3D000": "database_missing",
  "40001": "serialization",
  "40P01": "serialization",
  "42501": "permission_denied",
  "53300": "too_many_connections",
  "55P03": "lock_timeout",
  "57014": "statement_cancelled",
  "57P01": "connection_lost",
  "57P02": "connection_lost",
  "57P03": "server_starting",
  "57P05": "connection_lost",
  // A transaction or an idle session outlived a limit of the server, which closes the connection.
  "25P03": "connection_lost",
  "25P04": "connection_lost",
};

const stateClasses: Readonly<Record<string, ErrorCode>> = { "08": "connection_lost", "53": "server_resources" };

const systemErrors: Readonly<Record<string, ErrorCode>> = {
  ECONNRESET: "connection_lost",
  EPIPE: "connection_lost",
  ETIMEDOUT: "connection_lost",
  ECONNABORTED: "connection_lost",
  ENETRESET: "connection_lost",
  ERR_STREAM_DESTROYED: "connection_lost",
  ERR_STREAM_PREMATURE_CLOSE: "connection_lost",
  ECONNREFUSED: "cannot_connect",
  ENOTFOUND: "cannot_connect",
  EAI_AGAIN: "cannot_connect",
  EHOSTUNREACH: "cannot_connect",
  ENETUNREACH: "cannot_connect",
  EHOSTDOWN: "cannot_connect",
  // The file of a unix socket is missing, or may not be used.
  ENOENT: "cannot_connect",
  EACCES: "cannot_connect",
};

const tlsCode =
  /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|EPROTO|PATH_LENGTH_)/;

// The driver gives these no code; they are compared with its 8.23 in test/e2e/tls.test.ts.
const driverMessages: ReadonlyArray<readonly [RegExp, ErrorCode]> = [
  [/^The server does not support SSL connections|^SASL channel binding:/, "tls_failed"],
  [/^SASL: SCRAM-SERVER-FIRST-MESSAGE: client password|^SASL: .*server signature/, "wrong_password"],
  [/^There was an error establishing an SSL connection|^timeout expired/, "cannot_connect"],
  [/^Connection terminated|^Client (was closed|has encountered)|^Client has already been/, "connection_lost"],
];

function fieldOf(error: unknown, field: string): string | undefined {
  const value = typeof error === "object" && error !== null ? (error as Record<string, unknown>)[field] : undefined;
  return typeof value === "string" ? value : undefined;
}

/** The SQLSTATE of an error of the server, also where it is the cause of one of ours. */
export function sqlState(error: unknown): string | undefined {
  for (let inner = error; inner instanceof Error; inner = inner.cause) {
    const code = fieldOf(inner, "code");
    if (code && /^[0-9A-Z]{5}$/.test(code) && fieldOf(inner, "severity")) return code;
  }
  return undefined;
}

function codeOf(error: unknown): ErrorCode | null {
  if (error instanceof TandemError) return error.code;
  const state = sqlState(error);
  if (state) {
    // The state is the one of any missing right; the message is translated by the server, the routine is not.
    if (fieldOf(error, "routine") === "check_enable_rls") return "rls_hides_rows";
    return tandemStates[state] ?? states[state] ?? stateClasses[state.slice(0, 2)] ?? "sql_failed";
  }
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  const code = fieldOf(error, "code") ?? "";
  if (systemErrors[code]) return systemErrors[code];
  if (tlsCode.test(code)) return "tls_failed";
  const message = fieldOf(error, "message") ?? "";
  return driverMessages.find(([pattern]) => pattern.test(message))?.[1] ?? null;
}

/** The one place where errors from outside get their code. An unknown one is `internal`, and is not tried again. */
export function classify(error: unknown): Classified {
  const code = codeOf(error) ?? "internal";
  return { code, retryable: mendsItself(new TandemError(code, "")) };
}

/** What the error says, also where Node packs the refusals of several addresses into one without a text. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") {
    return [...new Set(error.errors.map(messageOf))].join("; ");
  }
  return error instanceof Error ? error.message || error.name : String(error);
}

/** The error with a code and the node's name; one that has a code already passes as it is. */
export function toTandemError(error: unknown, node: string): TandemError {
  if (error instanceof TandemError) return error;
  const { code } = classify(error);
  return new TandemError(code, `node ${node}: ${messageOf(error)}`, { cause: error, node });
}
