/** `1 row`, `3 rows`, `12,345 rows`; the plural is given where it is not made by an s. */
export function count(n: number, one: string, many = `${one}s`): string {
  return n === 1 ? `1 ${one}` : `${n.toLocaleString("en")} ${many}`;
}

/** A moment in ISO 8601 as people read it, to the minute: `2026-11-22 12:03 UTC`. */
export function instant(iso: string): string {
  return `${iso.slice(0, 16).replace("T", " ")} UTC`;
}

const units = [
  [86_400_000, "day"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
] as const;

/** A time in the largest unit of which there are at least two: `4 s`, `90 min`, `3 days`. */
export function duration(ms: number): string {
  const [size, name] = units.find(([unit]) => ms >= 2 * unit) ?? [1_000, "s"];
  const n = Math.max(0, Math.floor(ms / size));
  return name === "day" ? count(n, name) : `${n} ${name}`;
}

/** `a`, `a and b`, `a, b and c`. */
export function listing(words: readonly string[]): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} and ${last}`;
}
