import type { z } from "zod";
import type { ConfigFault } from "./config-error.ts";
import { type FileValue, fileSchema, knownKeys } from "./schema.ts";
import { dotted, type KeyPath } from "./source-map.ts";
import { didYouMean } from "./suggest.ts";

/** Says where things stand; a file, or the environment alone. */
export interface Places {
  placeOf(path: KeyPath): string;
  placeOfKey(path: KeyPath, key: string): string;
}

/** A checked value, or all that is wrong with it. */
export type Shaped = { readonly value: FileValue; readonly faults: [] } | { readonly faults: ConfigFault[] };

const typeNames: Readonly<Record<string, string>> = {
  string: "a text",
  object: "a mapping of keys to values",
  record: "a mapping of keys to values",
  array: "a list",
  tuple: "a pair, [a, b]",
};

/** zod's own sentences may quote what was given, which can be a password; these never do. */
function sentence(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "invalid_type") {
    const expected = typeNames[issue.expected] ?? `a ${issue.expected}`;
    return issue.input === undefined ? `is missing; it must be ${expected}` : `must be ${expected}`;
  }
  if (issue.code === "invalid_value") return `must be one of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "too_small" || issue.code === "too_big") return "has a wrong number of values";
  return undefined;
}

function faultsOf(issue: z.core.$ZodIssue, places: Places): ConfigFault[] {
  const path = issue.path.map((key) => (typeof key === "number" ? key : String(key)));
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      place: places.placeOfKey(path, key),
      path: dotted([...path, key]),
      message: `unknown key "${key}"${didYouMean(key, knownKeys(path))}`,
    }));
  }
  if (issue.code === "invalid_key") {
    const key = String(path.at(-1));
    const message = issue.issues[0]?.message ?? issue.message;
    return [{ place: places.placeOfKey(path.slice(0, -1), key), path: dotted(path), message: `the name ${message}` }];
  }
  return [{ place: places.placeOf(path), path: dotted(path), message: issue.message }];
}

/** `sync:` with nothing below it means the same as no `sync`; a node with nothing below it does not. */
function withoutEmpty(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value ?? {};
  const entries = Object.entries(value).filter(([, inner]) => inner !== null);
  const sections = ["sync", "http", "backup", "alerts"];
  return Object.fromEntries(entries.map(([key, inner]) => [key, sections.includes(key) ? withoutEmpty(inner) : inner]));
}

/** Checks the shape of a whole file at once. */
export function checkShape(value: unknown, places: Places): Shaped {
  const result = fileSchema.safeParse(withoutEmpty(value), { error: sentence });
  if (result.success) return { value: result.data, faults: [] };
  return { faults: result.error.issues.flatMap((issue) => faultsOf(issue, places)) };
}
