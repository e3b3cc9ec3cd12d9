import { quoteLiteral } from "../db/quote.ts";

const fileTag = "$tandem_file$";
const blockTag = "$tandem_install$";

/** A file's text as a constant of SQL. A text that holds the tag would end it early. */
export function quoteFile(text: string): string {
  if (text.includes(fileTag) || text.includes(blockTag)) throw new RangeError(`a file of sql/ holds ${fileTag}`);
  return `${fileTag}\n${text.trim()}\n${fileTag}`;
}

/** Puts back what `doBlock` set; a body that returns early ends with it. */
export const putBack = `  perform set_config('jit', v_jit, true);
  perform set_config('search_path', v_search_path, true);`;

/**
 * A `do` block. Settings that it changes are put back, for it may run inside somebody else's transaction. Its catalog
 * queries run once: compiling them (jit) took fifteen times as long as running them.
 */
export function doBlock(declarations: string, body: string): string {
  return `do ${blockTag}
declare
  v_search_path constant text := current_setting('search_path');
  v_jit constant text := current_setting('jit');
${declarations}
begin
  perform set_config('search_path', 'pg_catalog, pg_temp', true);
  perform set_config('jit', 'off', true);
${body}
${putBack}
end ${blockTag};`;
}

/** `array['a', 'b']` of SQL. */
export function textArray(values: readonly string[]): string {
  return `array[${values.map(quoteLiteral).join(", ")}]::text[]`;
}
