const months = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec";
const weekdays = "sun|mon|tue|wed|thu|fri|sat";

interface Field {
  readonly min: number;
  readonly max: number;
  readonly names: readonly string[];
}

const fields: readonly Field[] = [
  { min: 0, max: 59, names: [] },
  { min: 0, max: 23, names: [] },
  { min: 1, max: 31, names: [] },
  { min: 1, max: 12, names: months.split("|") },
  // Both 0 and 7 are Sunday.
  { min: 0, max: 7, names: weekdays.split("|") },
];

function isValue(text: string, { min, max, names }: Field): boolean {
  if (names.includes(text.toLowerCase())) return true;
  return /^\d{1,2}$/.test(text) && Number(text) >= min && Number(text) <= max;
}

function isPart(text: string, field: Field): boolean {
  const match = /^([^/]+)(?:\/(\d{1,2}))?$/.exec(text);
  const range = match?.[1];
  if (range === undefined || match?.[2] === "0" || match?.[2] === "00") return false;
  return range === "*" || (range.split("-").length <= 2 && range.split("-").every((value) => isValue(value, field)));
}

/** Whether a text has the five fields of cron, each within its range; what it means is the scheduler's. */
export function isCronSchedule(text: string): boolean {
  const parts = text.trim().split(/\s+/);
  return (
    parts.length === fields.length &&
    fields.every((field, index) => (parts[index] ?? "").split(",").every((part) => isPart(part, field)))
  );
}
