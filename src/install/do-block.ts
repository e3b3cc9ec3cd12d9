import { quoteLiteral } from "../db/quote.ts";

const fileTag = "$tandem_file$";
const blockTag = "$tandem_install$";

/** A file's text as a constant of SQL. A text that holds the tag would end it early. */
export function quoteFile(text: string): string {
  if (text.includes(fileTag) || text.includes(blockTag)) throw new RangeError(`a file of sql/ holds ${fileTag}`);
  return `${fileTag}\n${text.trim()}\n${fileTag}`;
}

/** A `do` block. Settings that it changes are put back, for it may run inside somebody else's transaction. */
export function doBlock(declarations: string, body: string): string {
  return `do ${blockTag}
declare
  v_search_path constant text := current_setting('search_path');
${declarations}
begin
  perform set_config('search_path', 'pg_catalog, pg_temp', true);
${body}
  perform set_config('search_path', v_search_path, true);
end ${blockTag};`;
}

/** `array['a', 'b']` of SQL. */
export function textArray(values: readonly string[]): string {
  return `array[${values.map(quoteLiteral).join(", ")}]::text[]`;
}
