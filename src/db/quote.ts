/** A name for SQL text. Always quoted: whether a word is reserved depends on the server's version. */
export function quoteIdent(name: string): string {
  if (name.includes("\0")) throw new RangeError("a name cannot hold a zero byte");
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text constant for SQL, right under either setting of standard_conforming_strings. Prefer parameters. */
export function quoteLiteral(text: string): string {
  if (text.includes("\0")) throw new RangeError("a text cannot hold a zero byte");
  const body = text.replaceAll("'", "''");
  return body.includes("\\") ? ` E'${body.replaceAll("\\", "\\\\")}'` : `'${body}'`;
}
