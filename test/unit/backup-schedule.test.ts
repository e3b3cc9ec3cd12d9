import { expect, test } from "vitest";
import { dueAt, isStale, nextRun, passedOver } from "../../src/backup/schedule.ts";
import type { BackupJob } from "../../src/config/config.ts";

const job: BackupJob = {
  ...{ name: "a", node: "local", schedule: "30 2 * * *", afterChange: null },
  ...{
    keepLast: null,
    keepDays: null,
    keepDaily: null,
    keepWeekly: null,
    keepMonthly: null,
    proveEveryMs: null,
    include: null,
  },
};
const at = (text: string) => Date.parse(text);

test.each([
  ["Europe/Berlin", 2026],
  ["America/New_York", 2026],
  ["America/Sao_Paulo", 2026],
  ["Pacific/Auckland", 2026],
])("B4 a daily backup at 02:30 comes once a day in %s, also when the clock changes (thing 17)", (zone, year) => {
  const dayOf = new Intl.DateTimeFormat("en-CA", { timeZone: zone });
  const days: string[] = [];
  for (let time = at(`${year}-01-01T12:00:00Z`); days.length < 365; ) {
    const next = nextRun("30 2 * * *", zone, time);
    expect(next).toBeGreaterThan(time);
    time = next ?? Number.NaN;
    days.push(dayOf.format(time));
  }
  expect(new Set(days).size).toBe(365);
  const gaps = days.slice(1).map((day, i) => (at(day) - at(days[i] ?? "")) / 86_400_000);
  expect(gaps.filter((gap) => gap !== 1)).toEqual([]);
});

test("the first is due at once, a missed one once, however often it was missed (thing 16)", () => {
  expect(dueAt(job, "UTC", { succeededAt: null, failedAt: null })).toBe(0);
  const past = { succeededAt: at("2026-01-01T02:30:00Z"), failedAt: null };
  expect(dueAt(job, "UTC", past)).toBe(at("2026-01-02T02:30:00Z"));
  const made = { succeededAt: at("2026-01-09T10:00:00Z"), failedAt: null };
  expect(dueAt(job, "UTC", made)).toBe(at("2026-01-10T02:30:00Z"));
  expect(dueAt(job, "UTC", { ...past, failedAt: at("2026-01-09T10:00:00Z") })).toBe(at("2026-01-10T02:30:00Z"));
  expect(dueAt({ ...job, schedule: null }, "UTC", past)).toBeNull();
  expect(dueAt({ ...job, schedule: "0 0 30 2 *" }, "UTC", past)).toBeNull();
});

test("a backup is overdue when two times of its schedule have passed (thing 34)", () => {
  const made = at("2026-01-01T02:31:00Z");
  expect(isStale(job, "UTC", made, at("2026-01-03T02:29:00Z"))).toBe(false);
  expect(isStale(job, "UTC", made, at("2026-01-03T02:31:00Z"))).toBe(true);
  expect(isStale({ ...job, schedule: null }, "UTC", made, at("2027-01-01T00:00:00Z"))).toBe(false);
});

test("times that came while a backup took longer, or the machine slept, are counted (thing 16)", () => {
  const last = at("2026-01-01T02:00:00Z");
  const count = (now: string, schedule = "*/5 * * * *") => passedOver(schedule, "UTC", last, at(now));
  expect([count("2026-01-01T02:04:00Z"), count("2026-01-01T02:05:00Z"), count("2026-01-01T02:09:59Z")]).toEqual([
    0, 0, 0,
  ]);
  expect([count("2026-01-01T02:10:00Z"), count("2026-01-01T03:00:00Z")]).toEqual([1, 11]);
  expect(count("2030-01-01T00:00:00Z")).toBe(1_000);
  expect(count("2030-01-01T00:00:00Z", "0 0 30 2 *")).toBe(0);
});
