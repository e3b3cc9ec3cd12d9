/** A backup as retention sees it. */
export interface Kept {
  readonly id: string;
  readonly node: string | null;
  readonly job: string | null;
  readonly label: string | null;
  readonly state: "complete" | "degraded" | "damaged";
  readonly level: 0 | 1 | 2 | 3;
  readonly pinned: boolean;
  readonly inUse: boolean;
  /** Whether it is in the store; not said: there is none. */
  readonly stored?: boolean;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What a job keeps: whatever any of its rules keeps. Null: no such rule; no rule at all keeps everything. */
export interface Policy {
  readonly keepLast: number | null;
  readonly keepDays: number | null;
  readonly keepDaily: number | null;
  readonly keepWeekly: number | null;
  readonly keepMonthly: number | null;
}

/** What is to become of a backup, and why. */
export interface Decision {
  readonly id: string;
  readonly keep: boolean;
  readonly reasons: readonly string[];
}

/** What retention goes by. */
export interface RetentionRules {
  /** By the name of the job. */
  readonly policies: ReadonlyMap<string, Policy>;
  readonly now: number;
  /** Where days, weeks and months begin; UTC unless given. */
  readonly timeZone?: string | undefined;
}

/** The label of the backup that is made before a restore. */
export const safetyLabel = "before-restore";
const none: Policy = { keepLast: null, keepDays: null, keepDaily: null, keepWeekly: null, keepMonthly: null };
const safety: Policy = { ...none, keepDays: 30 };
const dayMs = 86_400_000;

/**
 * Decides what stays. A group is the backups of one job (or the safety backups) of one node: its rules count nothing
 * else. Whatever the rules say there stay: what is damaged (a person decides), pinned, in use or dated in the future, of a group its newest
 * good one, its newest whole one, its newest proven one, its newest one in the store and, of a node, the newest good one of all.
 */
export function decide(backups: readonly Kept[], rules: RetentionRules): Decision[] {
  const reasons = new Map<string, string[]>(backups.map(({ id }) => [id, protections(id, backups, rules)]));
  const groups = new Map<string, Kept[]>();
  for (const one of backups) {
    if (one.state === "damaged") continue;
    const key = JSON.stringify([one.node, one.job, one.job === null && one.label === safetyLabel]);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const add = (found: readonly (readonly [string, string])[]) => {
    for (const [id, reason] of found) reasons.get(id)?.push(reason);
  };
  for (const group of groups.values()) {
    const sorted = newestFirst(group);
    add(floors(sorted, "of its job"));
    add(ruled(sorted, rules));
  }
  const nodes = new Set(backups.map(({ node }) => node));
  for (const node of nodes) {
    const good = newestFirst(
      backups.filter((one) => one.node === node && one.state !== "damaged" && one.at <= rules.now),
    );
    if (good[0]) add([[good[0].id, "newest good of its node"]]);
  }
  return backups.map(({ id }) => {
    const why = reasons.get(id) ?? [];
    return why.length > 0 ? { id, keep: true, reasons: why } : { id, keep: false, reasons: ["no rule keeps it"] };
  });
}

function newestFirst(backups: readonly Kept[]): Kept[] {
  return backups.toSorted((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1));
}

function protections(id: string, backups: readonly Kept[], { now }: RetentionRules): string[] {
  const one = backups.find((backup) => backup.id === id);
  if (!one) return [];
  const facts: [boolean, string][] = [
    [one.state === "damaged", "damaged: for a person to look at"],
    [one.pinned, "pinned"],
    [one.inUse, "in use"],
    [one.at > now, "dated in the future"],
  ];
  return facts.flatMap(([holds, reason]) => (holds ? [reason] : []));
}

function floors(sorted: readonly Kept[], of: string): [string, string][] {
  const found: [Kept | undefined, string][] = [
    [sorted[0], `newest good ${of}`],
    [sorted.find(({ state }) => state === "complete"), `newest whole ${of}`],
    [sorted.find(({ level }) => level >= 2), `newest proven ${of}`],
    [sorted.find(({ stored }) => stored), `newest in the store ${of}`],
  ];
  return found.flatMap(([one, reason]) => (one ? [[one.id, reason] as [string, string]] : []));
}

function ruled(sorted: readonly Kept[], { policies, now, timeZone = "UTC" }: RetentionRules): [string, string][] {
  const [first] = sorted;
  if (!first) return [];
  const own = first.job === null ? (first.label === safetyLabel ? safety : null) : policies.get(first.job);
  if (!own) {
    const why = first.job === null ? "belongs to no job" : `job ${first.job} is not configured`;
    return sorted.map(({ id }) => [id, why]);
  }
  if (Object.values(own).every((rule) => rule === null))
    return sorted.map(({ id }) => [id, `job ${first.job} keeps all`]);
  // What has no place in time yet must not push out what has.
  const past = sorted.filter(({ at }) => at <= now);
  // Age counts from the last success: while backups fail, none grows too old.
  const newest = past[0]?.at ?? now;
  const kept: [string, string][] = [];
  if (own.keepLast !== null)
    for (const { id } of past.slice(0, own.keepLast)) kept.push([id, `among the last ${own.keepLast}`]);
  if (own.keepDays !== null) {
    for (const { id, at } of past)
      if (newest - at <= own.keepDays * dayMs) kept.push([id, `not older than ${own.keepDays} days`]);
  }
  const periods = [
    ["day", own.keepDaily],
    ["week", own.keepWeekly],
    ["month", own.keepMonthly],
  ] as const;
  for (const [period, count] of periods) {
    if (count === null) continue;
    const firsts = new Map<string, string>();
    for (const { id, at } of past) {
      const name = periodOf(at, period, timeZone);
      if (!firsts.has(name)) firsts.set(name, id);
    }
    for (const [name, id] of [...firsts].slice(0, count)) kept.push([id, `last of ${period} ${name}`]);
  }
  return kept;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** `2026-03-29`, the Monday of its week, or `2026-03`, as calendars in the time zone have it. */
export function periodOf(at: number, period: "day" | "week" | "month", timeZone: string): string {
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
    formats.set(timeZone, format);
  }
  const day = format.format(at);
  if (period === "day") return day;
  if (period === "month") return day.slice(0, 7);
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  return date.toISOString().slice(0, 10);
}
