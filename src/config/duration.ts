const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Milliseconds of a text such as `500ms`, `1s`, `5m`, `1h` or `7d`. A number without unit is refused: seconds
 * and milliseconds are too easily taken for each other.
 */
export function parseDuration(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*$/.exec(text);
  const factor = units[match?.[2] ?? ""];
  if (!match || factor === undefined) throw new Error("write a number and its unit: 500ms, 1s, 5m, 1h or 7d");
  return Math.round(Number(match[1]) * factor);
}
