import { describe, expect, it } from "vitest";
import { TandemError } from "../../src/base/errors.ts";
import { quoteIdent, quoteLiteral } from "../../src/db/quote.ts";
import { classify, messageOf, sqlState, tandemStates, toTandemError } from "../../src/db/sqlstate.ts";

function serverError(code: string, fields: object = {}): Error {
  return Object.assign(new Error("from the server"), { code, severity: "ERROR", ...fields });
}

function systemError(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code });
}

describe("classify", () => {
  it.each([
    ["28P01", "wrong_password", false],
    ["28000", "wrong_password", false],
    ["3D000", "database_missing", false],
    ["42501", "permission_denied", false],
    ["42P01", "sql_failed", false],
    ["25006", "read_only", false],
    ["57P03", "server_starting", true],
    ["57P01", "connection_lost", true],
    ["08006", "connection_lost", true],
    ["40001", "serialization", true],
    ["40P01", "serialization", true],
    ["55P03", "lock_timeout", true],
    ["53300", "too_many_connections", true],
    ["53100", "server_resources", true],
    ["TD003", "position_mismatch", true],
    ["TD002", "identity_mismatch", false],
  ])("SQLSTATE %s is %s", (state, code, retryable) => {
    expect(classify(serverError(state))).toEqual({ code, retryable });
  });

  it.each([
    ["ECONNREFUSED", "cannot_connect", true],
    ["ENOTFOUND", "cannot_connect", true],
    ["EHOSTUNREACH", "cannot_connect", true],
    ["ECONNRESET", "connection_lost", true],
    ["EPIPE", "connection_lost", true],
    ["ETIMEDOUT", "connection_lost", true],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "tls_failed", false],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "tls_failed", false],
    ["CERT_HAS_EXPIRED", "tls_failed", false],
    ["EISDIR", "internal", false],
  ])("%s is %s", (system, code, retryable) => {
    expect(classify(systemError(system))).toEqual({ code, retryable });
  });

  it("tells hidden rows from a missing right without reading a translated message", () => {
    expect(classify(serverError("42501", { routine: "check_enable_rls" })).code).toBe("rls_hides_rows");
  });

  it("does not take a system error of five letters for a SQLSTATE", () => {
    expect(classify(systemError("EPERM"))).toEqual({ code: "internal", retryable: false });
  });

  it("looks into what Node makes of several addresses", () => {
    const error = new AggregateError([systemError("ECONNREFUSED"), systemError("ECONNREFUSED")], "");
    expect(classify(error).code).toBe("cannot_connect");
    expect(messageOf(error)).toBe("connect ECONNREFUSED");
  });

  it("leaves our own errors as they are, and finds the state behind them", () => {
    const error = toTandemError(serverError("23505"), "local");
    expect(error).toMatchObject({ code: "sql_failed", node: "local", message: "node local: from the server" });
    expect(toTandemError(error, "other")).toBe(error);
    expect(sqlState(new TandemError("internal", "outer", { cause: error }))).toBe("23505");
    expect(sqlState(systemError("EPERM"))).toBeUndefined();
  });

  it("has states of class TD only, as SQLSTATE must be written", () => {
    for (const state of Object.keys(tandemStates)) expect(state).toMatch(/^TD[0-9A-Z]{3}$/);
  });
});

describe("quoting", () => {
  it("of names and constants", () => {
    expect(quoteIdent('select "x"')).toBe('"select ""x"""');
    expect(quoteLiteral("it's")).toBe("'it''s'");
    expect(quoteLiteral("a\\'b")).toBe(" E'a\\\\''b'");
    expect(() => quoteIdent("a\0b")).toThrow(RangeError);
    expect(() => quoteLiteral("a\0b")).toThrow(RangeError);
  });
});
