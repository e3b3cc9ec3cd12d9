import { describe, expect, it } from "vitest";
import { type ErrorEntry, errorCodes } from "../../src/base/error-codes.ts";
import { renderErrorManual } from "../../src/base/error-manual.ts";
import { errorLine, exitCodeOf, TandemError } from "../../src/base/errors.ts";
import { registerSecret, scrub } from "../../src/base/scrub.ts";
import { ConfigError } from "../../src/config/config-error.ts";

describe("the list of errors", () => {
  it("is the manual", async () => {
    await expect(renderErrorManual()).toMatchFileSnapshot("../../docs/errors.md");
  });

  it("has whole sentences for every code", () => {
    for (const [code, entry] of Object.entries<ErrorEntry>(errorCodes)) {
      expect(code).toMatch(/^[a-z][a-z_]*$/);
      expect(entry.summary).toMatch(/^[A-Z].*\.$/);
      expect(entry.hint).toMatch(/^[A-Z].*\.$/);
    }
  });

  it("keeps exit code 2 for usage and configuration", () => {
    const two = Object.entries<ErrorEntry>(errorCodes).filter(([, { exit }]) => exit === 2);
    expect(two.map(([code]) => code).sort()).toEqual(["config_invalid", "not_found", "same_database", "usage"]);
  });
});

describe("errorLine", () => {
  it("is one line with code and remedy, without cause and stack", () => {
    const error = new TandemError("cannot_connect", "node local: refused\n  at once.", { cause: new Error("inner") });
    expect(errorLine(error)).toBe(
      `cannot_connect: node local: refused at once. Remedy: ${errorCodes.cannot_connect.hint}`,
    );
    expect(exitCodeOf(error)).toBe(1);
  });

  it("takes a remedy of its own", () => {
    const error = new TandemError("usage", "no such node", { hint: "Name one of local, external." });
    expect(errorLine(error)).toBe("usage: no such node. Remedy: Name one of local, external.");
    expect(error.exitCode).toBe(2);
  });

  it("knows a configuration error by its shape, one fault a line", () => {
    const error = new ConfigError([
      { place: "tandem.yaml:1:2", path: "sync", message: 'unknown key "x"' },
      { place: "tandem.yaml:3:4", path: "http", message: "must be a text" },
    ]);
    expect(errorLine(error).split("\n")).toEqual([
      "config_invalid: 2 faults",
      'tandem.yaml:1:2 sync: unknown key "x"',
      "tandem.yaml:3:4 http: must be a text",
      expect.stringMatching(/^Remedy: /),
    ]);
    expect(exitCodeOf(error)).toBe(2);
  });

  it("calls what is not ours internal", () => {
    expect(errorLine(new TypeError("x is undefined"))).toMatch(/^internal: x is undefined\. Remedy: /);
    expect(errorLine("thrown text")).toMatch(/^internal: thrown text\. Remedy: /);
    expect(errorLine(Object.assign(new Error("no"), { code: "ENOENT" }))).toMatch(/^internal: no\. /);
    expect(exitCodeOf(undefined)).toBe(1);
  });

  it("puts what it concerns into JSON", () => {
    const error = new TandemError("table_held", "missing", { link: "a>b", table: "public.t", node: "b" });
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: "table_held",
      message: "missing",
      hint: errorCodes.table_held.hint,
      link: "a>b",
      table: "public.t",
      node: "b",
    });
  });
});

describe("scrub", () => {
  it.each([
    ["to postgres://ann:s3cret@h:5432/db failed", "to postgres://ann:***@h:5432/db failed"],
    ["postgresql://ann:p@ss:w/rd@h/db?x=y", "postgresql://ann:***@h/db?x=y"],
    ["postgres://:s3cret@h/db", "postgres://:***@h/db"],
    ['"postgres://u:a@h/d","b@c"', '"postgres://u:***@h/d","b@c"'],
    ["host=h password=s3cret user=u", "host=h password=*** user=u"],
    ["password='a b' x", "password=*** x"],
    ["?user=u&password=s3cret&port=1", "?user=u&password=***&port=1"],
    ['{"password":"s3cret"}', '{"password":***}'],
    ['password authentication failed for user "u"', 'password authentication failed for user "u"'],
    ["postgres://u@h/db", "postgres://u@h/db"],
  ])("%s", (dirty, clean) => {
    expect(scrub(dirty)).toBe(clean);
  });

  it("hides registered secrets, as they are and encoded, but no ordinary words", () => {
    registerSecret("korrekt/pferd");
    registerSecret("postgres");
    registerSecret("ab");
    registerSecret(null);
    expect(scrub("korrekt/pferd korrekt%2Fpferd postgres ab")).toBe("*** *** postgres ab");
    expect(new TandemError("internal", "saw korrekt/pferd").message).toBe("saw ***");
  });
});
