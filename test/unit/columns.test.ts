import { describe, expect, test } from "vitest";
import type { TableShape } from "../../src/base/exchange.ts";
import { chooseCopyFormat } from "../../src/link/columns.ts";

/** A table whose key is `id`, with a value of some type. */
function shape(keyType: string, type: string): TableShape {
  const column = (name: string, of: string) => ({ name, type: of, valueClass: of, generated: false });
  return {
    schema: "public",
    name: "t",
    id: 1,
    exists: true,
    key: ["id"],
    exactKey: ["id"],
    columns: [column("id", keyType), column("v", type)],
    mark: "",
    estimate: 0,
  };
}

const formatOf = (source: [string, string], target = source) =>
  chooseCopyFormat(shape(...source), shape(...target), ["v"]);

describe("rows travel", () => {
  test.each([
    "text",
    "character varying(20)",
    "numeric(12,3)",
    "timestamp(0) with time zone",
    "jsonb",
    "uuid",
    "bytea",
  ])("in binary where both ends have %s", (type) => {
    expect(formatOf(["integer", type])).toBe("binary");
  });

  test.each(["interval", "integer[]", "public.mood", "money", "time with time zone", "public.text"])(
    "as text where both ends have %s, whose binary form is not the same everywhere",
    (type) => {
      expect(formatOf(["integer", type])).toBe("text");
      expect(formatOf([type, "text"])).toBe("text");
    },
  );

  test("as text where the ends differ, in a value or in the key", () => {
    expect(formatOf(["integer", "integer"], ["integer", "bigint"])).toBe("text");
    expect(formatOf(["integer", "text"], ["bigint", "text"])).toBe("text");
    expect(formatOf(["integer", "character varying(8)"], ["integer", "character varying(20)"])).toBe("binary");
  });
});
