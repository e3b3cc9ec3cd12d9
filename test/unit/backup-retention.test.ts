import { describe, expect, test } from "vitest";
import { decide, type Kept, type Policy, periodOf, safetyLabel } from "../../src/backup/retention.ts";
import { type Random, seeded } from "../support/seed.ts";

const day = 86_400_000;
const now = Date.parse("2026-06-15T12:00:00Z");
const none: Policy = { keepLast: null, keepDays: null, keepDaily: null, keepWeekly: null, keepMonthly: null };

function backup(at: number, changes: Partial<Kept> = {}): Kept {
  const id = new Date(at).toISOString().replace(/[:.]/g, "-");
  return {
    id,
    node: "local",
    job: "a",
    label: null,
    state: "complete",
    level: 1,
    pinned: false,
    inUse: false,
    at,
    ...changes,
  };
}

function kept(backups: readonly Kept[], policy: Partial<Policy>, at = now): string[] {
  const decisions = decide(backups, { policies: new Map([["a", { ...none, ...policy }]]), now: at });
  return decisions.filter(({ keep }) => keep).map(({ id }) => id);
}

function randomHistory(random: Random): { backups: Kept[]; policies: Map<string, Policy>; timeZone: string } {
  const backups = new Map<number, Kept>();
  for (let n = random.int(0, 40); n > 0; n--) {
    const at = now - Math.floor(random.next() * random.pick([2, 40, 400]) * day) + (random.chance(0.05) ? 3 * day : 0);
    const job = random.pick(["a", "b", "gone", null]);
    backups.set(
      at,
      backup(at, {
        node: random.pick(["local", "external"]),
        job,
        label: job === null && random.chance(0.5) ? safetyLabel : null,
        state: random.pick(["complete", "complete", "complete", "degraded", "damaged"]),
        level: random.pick([0, 1, 1, 2, 3]),
        pinned: random.chance(0.05),
        inUse: random.chance(0.05),
      }),
    );
  }
  const rule = (most: number) => (random.chance(0.4) ? random.int(1, most) : null);
  const policy = (): Policy => ({
    keepLast: rule(5),
    keepDays: rule(40),
    keepDaily: rule(8),
    keepWeekly: rule(5),
    keepMonthly: rule(4),
  });
  const timeZone = random.pick(["UTC", "America/Sao_Paulo", "Pacific/Auckland"]);
  return {
    backups: [...backups.values()],
    policies: new Map([
      ["a", policy()],
      ["b", policy()],
    ]),
    timeZone,
  };
}

const known = new Map<string, string>();

/** As `periodOf`, once for each moment: calendars are slow. */
function periodAt(at: number, period: "day" | "week" | "month", timeZone: string): string {
  const key = `${at} ${period} ${timeZone}`;
  const name = known.get(key) ?? periodOf(at, period, timeZone);
  known.set(key, name);
  return name;
}

/** What the words of B4 ask for, one backup at a time, without the order of the product's own code. */
function mustStay(one: Kept, all: readonly Kept[], policies: ReadonlyMap<string, Policy>, timeZone: string): boolean {
  if (one.state === "damaged" || one.pinned || one.inUse || one.at > now) return true;
  const newer = (list: readonly Kept[]) => list.filter(({ at }) => at > one.at);
  const good = all.filter(({ state }) => state !== "damaged");
  if (newer(good.filter(({ node, at }) => node === one.node && at <= now)).length === 0) return true;
  const isSafety = ({ job, label }: Kept) => job === null && label === safetyLabel;
  const group = good.filter(
    ({ node, job, ...rest }) =>
      node === one.node && job === one.job && isSafety({ ...rest, node, job }) === isSafety(one),
  );
  if (newer(group).length === 0) return true;
  if (one.state === "complete" && newer(group.filter(({ state }) => state === "complete")).length === 0) return true;
  if (one.level >= 2 && newer(group.filter(({ level }) => level >= 2)).length === 0) return true;
  const policy = isSafety(one) ? { ...none, keepDays: 30 } : policies.get(one.job ?? "");
  if (!policy || Object.values(policy).every((rule) => rule === null)) return true;
  const past = group.filter(({ at }) => at <= now);
  const last = Math.max(...past.map(({ at }) => at));
  if (policy.keepLast !== null && newer(past).length < policy.keepLast) return true;
  if (policy.keepDays !== null && one.at >= last - policy.keepDays * day) return true;
  return (["day", "week", "month"] as const).some((period, i) => {
    const count = [policy.keepDaily, policy.keepWeekly, policy.keepMonthly][i];
    if (count == null) return false;
    const of = ({ at }: Kept) => periodAt(at, period, timeZone);
    const later = new Set(newer(past).map(of));
    return !later.has(of(one)) && later.size < count;
  });
}

describe("retention", () => {
  test("B4 10,000 random histories: what must stay stays and nothing else, again and again (thing 20)", () => {
    const first = Number(process.env.SEED ?? 1);
    let removed = 0;
    for (let seed = first; seed < first + 10_000; seed++) {
      const { backups, policies, timeZone } = randomHistory(seeded(seed));
      known.clear();
      const rules = { policies, now, timeZone };
      const decisions = decide(backups, rules);
      const wrong = backups.filter(
        (one, i) => decisions[i]?.id !== one.id || decisions[i]?.keep !== mustStay(one, backups, policies, timeZone),
      );
      expect(wrong, `seed ${seed}`).toEqual([]);
      expect(
        decisions.every(({ reasons }) => reasons.length > 0),
        `seed ${seed}`,
      ).toBe(true);
      const left = backups.filter((_, i) => decisions[i]?.keep);
      expect(
        decide(left, rules).filter(({ keep }) => !keep),
        `seed ${seed}, a second time`,
      ).toEqual([]);
      removed += backups.length - left.length;
    }
    expect(removed).toBeGreaterThan(10_000);
  }, 300_000);

  test("B4 while backups fail for a month, none grows too old (thing 21)", () => {
    const backups = [40, 39, 38, 37, 31, 30].map((days) => backup(now - days * day));
    expect(kept(backups, { keepDays: 7 })).toEqual(backups.slice(3).map(({ id }) => id));
  });

  test("B4 damaged ones are not counted among the last (thing 22)", () => {
    const backups = [9, 8, 7, 6, 5, 4].map((days) =>
      backup(now - days * day, { state: days < 6 ? "damaged" : "complete" }),
    );
    expect(kept(backups, { keepLast: 3 })).toEqual(backups.slice(1).map(({ id }) => id));
  });

  test("B4 the newest proven one stays, however old", () => {
    const backups = [90, 60, 3, 2, 1].map((days) => backup(now - days * day, { level: days === 60 ? 3 : 1 }));
    expect(kept(backups, { keepLast: 1 })).toEqual([backups[1]!.id, backups[4]!.id]);
  });

  test("B4 days begin where the people are", () => {
    const evening = Date.parse("2026-03-01T01:30:00Z");
    expect(periodOf(evening, "day", "UTC")).toBe("2026-03-01");
    expect(periodOf(evening, "day", "America/Sao_Paulo")).toBe("2026-02-28");
    expect(periodOf(evening, "month", "America/Sao_Paulo")).toBe("2026-02");
    expect(periodOf(evening, "week", "UTC")).toBe("2026-02-23");
    expect(periodOf(Date.parse("2026-03-02T00:00:00Z"), "week", "UTC")).toBe("2026-03-02");
  });
});
