// Letters of every script stay; what some file system or shell takes for something else does not.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are among them
const unsafe = /[\u0000-\u0020\u007f%./\\:*?"<>|$`'&;]/g;
const longest = 200;

function encode(name: string): string {
  return name.replace(unsafe, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}

/**
 * A file's name for each table, `json/<schema>.<table>.ndjson.gz`: different ones for different tables, also where
 * the file system takes `A` and `a` for one.
 */
export function rowFiles(
  tables: readonly { readonly schema: string; readonly name: string }[],
  compress: boolean,
): string[] {
  const taken = new Set<string>();
  return tables.map(({ schema, name }) => {
    const full = `${encode(schema)}.${encode(name)}`;
    const stem =
      Buffer.byteLength(full) <= longest
        ? full
        : Buffer.from(full)
            .subarray(0, longest)
            .toString("latin1")
            .replace(/[^\w.%-]/g, "_");
    let unique = stem;
    for (let n = 2; taken.has(unique.toLowerCase()); n++) unique = `${stem}~${n}`;
    taken.add(unique.toLowerCase());
    return `json/${unique}.ndjson${compress ? ".gz" : ""}`;
  });
}
