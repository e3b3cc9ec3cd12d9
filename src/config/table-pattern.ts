import type { TableRule } from "./config.ts";

/** The two halves of a pattern, unquoted. */
export interface TablePattern {
  readonly schema: string;
  readonly table: string;
}

/**
 * Reads `schema.table`. A `*` stands for any run of characters; names are case-sensitive and are not folded, so
 * `public.Perfis` is the table "Perfis". Double quotes are needed only around a name that holds a dot, and switch
 * `*` off. Null when it is not such a pattern.
 */
export function parseTablePattern(text: string): TablePattern | null {
  const match = /^("(?:[^"]|"")+"|[^".\s]+)\.("(?:[^"]|"")+"|[^".\s]+)$/.exec(text.trim());
  return match?.[1] && match[2] ? { schema: match[1], table: match[2] } : null;
}

function matchesName(pattern: string, name: string): boolean {
  if (pattern.startsWith('"')) return pattern.slice(1, -1).replaceAll('""', '"') === name;
  const parts = pattern.split("*").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "su").test(name);
}

/** Whether a table falls under a pattern; both names as the catalog has them. */
export function matchesTable(pattern: string, schema: string, table: string): boolean {
  const parsed = parseTablePattern(pattern);
  return parsed !== null && matchesName(parsed.schema, schema) && matchesName(parsed.table, table);
}

/**
 * The rule that holds for a table: one without `*` before one with it, then the one that stands last. Null when
 * no rule names the table.
 */
export function ruleFor(rules: readonly TableRule[], schema: string, table: string): TableRule | null {
  const fitting = rules.filter((rule) => matchesTable(rule.name, schema, table));
  return fitting.findLast((rule) => !rule.name.includes("*")) ?? fitting.at(-1) ?? null;
}
