import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { jsonLines } from "../../src/backup/copy-text.ts";

async function lines(columns: string[], ...chunks: string[]): Promise<string> {
  const parts = Readable.from(chunks.map((chunk) => Buffer.from(chunk))).compose(jsonLines(columns));
  return Buffer.concat(await parts.toArray()).toString();
}

const text = '1\t\\N\t"a\\\\b\\t\\n\\r\\b\\f\\v\u0001é\u2028"\n\\N\t\t\\\\N\n\\\\.\tN\t\\N\n';
const wanted = [
  '{"id":"1","a \\"b\\"":null,"c":"\\"a\\\\b\\t\\n\\r\\b\\f\\u000b\\u0001é\u2028\\""}',
  '{"id":null,"a \\"b\\"":"","c":"\\\\N"}',
  '{"id":"\\\\.","a \\"b\\"":"N","c":null}',
  "",
].join("\n");
const columns = ["id", 'a "b"', "c"];

test("B3 text of COPY becomes lines of JSON, wherever it is cut", async () => {
  expect(await lines(columns, text)).toBe(wanted);
  const bytes = Buffer.from(text);
  for (let cut = 1; cut < bytes.length; cut++) {
    const chunks = [bytes.subarray(0, cut), bytes.subarray(cut)];
    const made = Buffer.concat(await Readable.from(chunks).compose(jsonLines(columns)).toArray());
    expect(made.toString(), `cut at ${cut}`).toBe(wanted);
  }
});

test("B3 rows without columns, without rows, with long names and long values", async () => {
  expect(await lines([], "\n\n")).toBe("{}\n{}\n");
  expect(await lines(["a"])).toBe("");
  const long = "\u0001".repeat(300);
  const value = 'x"'.repeat(150_000);
  const made = await lines([long, "b"], `${value}\t${value}\n`.repeat(3));
  const row = JSON.parse(made.split("\n")[2] ?? "");
  expect(row).toEqual({ [long]: value, b: value });
});

test.each([
  ["a column too few", ["a", "b"], "1\n"],
  ["a column too many", ["a"], "1\t2\n"],
  ["a value where there is no column", [], "x\n"],
  ["a null with more behind it", ["a"], "\\Nx\n"],
  ["an escape that COPY does not write", ["a"], "x\\x41\n"],
  ["a line that has no end", ["a"], "1\n2"],
  ["an escape that has no end", ["a"], "1\n2\\"],
  ["a null that has no end", ["a", "b"], "1\t\\N"],
])("B1 %s is an error, not a line", async (_what, names, sent) => {
  await expect(lines(names as string[], sent as string)).rejects.toThrow(/other text than COPY writes|has no end/);
});
