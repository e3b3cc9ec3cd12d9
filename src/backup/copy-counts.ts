import type { Readable } from "node:stream";

const newline = 10;
// A row may be as long as it likes; what begins a COPY is a table's name and its columns.
const longestHead = 200_000;

/**
 * Counts the rows of each COPY in a data script of pg_restore; keys are the JSON of [schema, table]. The script is
 * never held in memory, nor is a line of it.
 */
export async function countCopies(script: Readable): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  let table: string | null = null;
  let head: Buffer[] = [];
  let length = 0;
  // A name may hold line breaks: what has begun within quotes goes on with the next line.
  let begun = "";
  const endLine = () => {
    const line = length <= longestHead && (table === null || length === 2) ? Buffer.concat(head).toString("utf8") : "";
    if (table === null) {
      const statement = begun === "" ? line : `${begun}\n${line}`;
      begun = isOpen(statement) ? statement : "";
      if (begun === "") table = tableOf(statement);
      if (table !== null && !counts.has(table)) counts.set(table, 0);
    } else if (line === "\\.") table = null;
    else counts.set(table, (counts.get(table) ?? 0) + 1);
    head = [];
    length = 0;
  };
  for await (const chunk of script as AsyncIterable<Buffer>) {
    for (let from = 0; from < chunk.length; ) {
      const end = chunk.indexOf(newline, from);
      const piece = chunk.subarray(from, end < 0 ? chunk.length : end);
      if (length + piece.length <= (table === null ? longestHead : 2)) head.push(piece);
      length += piece.length;
      if (end >= 0) endLine();
      from += piece.length + 1;
    }
  }
  return counts;
}

/** Whether a statement ends within a quoted name or text; comments may hold quotes, and statements of this length no names. */
function isOpen(statement: string): boolean {
  if (statement.startsWith("--") || statement.length > longestHead) return false;
  return /["']/.test(statement.replace(/"(?:[^"]|"")*"|'(?:[^']|'')*'/g, ""));
}

const name = `("(?:[^"]|"")+"|[^".\\s]+)`;
const copyHead = new RegExp(`^COPY ${name}\\.${name} .*FROM stdin;$`, "s");

function tableOf(line: string): string | null {
  const [, schema, table] = copyHead.exec(line) ?? [];
  return schema && table ? JSON.stringify([unquote(schema), unquote(table)]) : null;
}

function unquote(identifier: string): string {
  return identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier;
}
