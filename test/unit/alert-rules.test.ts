import { expect, test } from "vitest";
import type { AlertFacts } from "../../src/sidecar/alert-facts.ts";
import { conditionsOf, isUnknown } from "../../src/sidecar/alert-rules.ts";
import type { LinkStatus } from "../../src/sidecar/link-status.ts";
import type { Problem } from "../../src/sidecar/problems.ts";
import { configOf } from "../support/config.ts";

const minute = 60_000;
const config = configOf([
  { name: "a", url: "postgresql://h/a" },
  { name: "b", url: "postgresql://h/b" },
]);

const wellLink = {
  source: "a",
  target: "b",
  pending: 0,
  oldestPendingMs: null,
  clockSkewMs: 20,
  lastError: null,
  pausedBy: null,
};

interface Made {
  readonly links?: readonly Partial<LinkStatus>[];
  readonly problems?: readonly Pick<Problem, "kind" | "node">[];
  readonly peer?: { conflicts?: number; parked?: number; parkedMs?: number };
  readonly bytes?: readonly number[];
  readonly disk?: AlertFacts["disk"];
}

/** What is told where only this is not well. */
function told({ links = [{}], problems = [], peer = {}, bytes = [], disk = null }: Made, changed = config): string[] {
  const facts = {
    report: {
      problems: problems.map((one) => ({ table: "t", message: "m", remedy: "r", ...one })),
      links: links.map((link) => ({ ...wellLink, ...link })),
    },
    peers: new Map([["b", [{ peer: "a", conflicts: 0, parked: 0, parkedMs: 0, ...peer }]]]),
    kept: new Map(),
    unanswered: new Set(problems.filter(({ kind }) => kind === "unreachable").map(({ node }) => node)),
    jobs:
      bytes.length === 0 ? [] : [{ state: { job: "daily", node: "a", last: {}, failure: null, stale: false }, bytes }],
    disk,
  } as unknown as AlertFacts;
  return conditionsOf(changed, facts).map(({ rule, subject }) => `${rule} ${subject}`.trim());
}

const gigabytes = (freeBytes: number, totalBytes: number) => ({
  freeBytes: freeBytes * 1e9,
  totalBytes: totalBytes * 1e9,
});

test.each<[string, Made, Made]>([
  ["link_down b", { problems: [{ kind: "unreachable", node: "b" }] }, { problems: [{ kind: "untracked", node: "b" }] }],
  ["link_down a:b", { links: [{ lastError: "no" }] }, { links: [{ lastError: null }] }],
  [
    "lag a:b",
    { links: [{ pending: 1, oldestPendingMs: 16 * minute }] },
    { links: [{ pending: 9, oldestPendingMs: 14 * minute }] },
  ],
  ["clock_skew a:b", { links: [{ clockSkewMs: -61_000 }] }, { links: [{ clockSkewMs: 59_000 }] }],
  ["parked a:b", { peer: { parked: 1, parkedMs: 6 * minute } }, { peer: { parked: 9, parkedMs: 4 * minute } }],
  ["conflicts a:b", { peer: { conflicts: 101 } }, { peer: { conflicts: 100 } }],
  ["held b t", { problems: [{ kind: "held", node: "b" }] }, { problems: [{ kind: "copying", node: "b" }] }],
  ["diverged", { problems: [{ kind: "diverged", node: "a" }] }, { problems: [{ kind: "dropped", node: "a" }] }],
  ["backup_not_stored", { problems: [{ kind: "backup_not_stored", node: "a" }] }, {}],
  ["shrunk daily", { bytes: [100, 104, 102, 49] }, { bytes: [100, 104, 102, 60] }],
  ["disk_low", { disk: gigabytes(9, 100) }, { disk: gigabytes(11, 100) }],
  ["disk_low", { disk: gigabytes(11, 100), bytes: [6e9] }, { disk: gigabytes(13, 100), bytes: [6e9] }],
])("%s is told from its limit on, and not before", (alert, over, under) => {
  expect(told(over)).toEqual([alert]);
  expect(told(under)).toEqual([]);
});

test("a link is not told of before it has tried again: a node may be back since its last failure", () => {
  const soon = { ...config, alerts: { ...config.alerts, rules: { ...config.alerts.rules, linkDownMs: 500 } } };
  const report = { problems: [], links: [{ ...wellLink, lastError: "no" }] };
  const none = { peers: new Map(), kept: new Map(), unanswered: new Set(), jobs: [], disk: null };
  const afterMs = (rules: typeof config) =>
    conditionsOf(rules, { report, ...none } as unknown as AlertFacts).map((one) => one.afterMs);
  expect(afterMs(soon)).toEqual([20_000]);
  expect(afterMs(config)).toEqual([config.alerts.rules.linkDownMs]);
});

test("what is off is not told", () => {
  const rules = { ...config.alerts.rules, linkDownMs: null, lagMs: null, shrunkPercent: null, diskLowPercent: null };
  const off = { ...config, alerts: { ...config.alerts, rules } };
  const made: Made = {
    links: [{ lastError: "no", pending: 1, oldestPendingMs: 60 * minute }],
    bytes: [100, 104, 102, 1],
    disk: gigabytes(1, 100),
  };
  expect(told(made)).toHaveLength(4);
  expect(told(made, off)).toEqual([]);
});

test("a change may wait for two intervals; too few backups say nothing of what is usual; a link has no word where its node is down", () => {
  const slow = { ...config, sync: { ...config.sync, intervalMs: 30 * minute } };
  expect(told({ links: [{ pending: 1, oldestPendingMs: 59 * minute }] }, slow)).toEqual([]);
  expect(told({ links: [{ pending: 1, oldestPendingMs: 61 * minute }] }, slow)).toEqual(["lag a:b"]);
  expect(told({ bytes: [100, 104, 1] })).toEqual([]);
  expect(told({ problems: [{ kind: "unreachable", node: "b" }], links: [{ lastError: "no" }] })).toEqual([
    "link_down b",
  ]);
});

test("of what is known by whom", () => {
  const down = new Set(["b"]);
  const unknown = ["parked a:b", "lag b:a", "held b t", "link_down b", "diverged "].map((text) => {
    const [rule = "", ...rest] = text.split(" ");
    return isUnknown({ rule: rule as "parked", subject: rest.join(" ") }, down);
  });
  expect(unknown).toEqual([true, true, true, true, true]);
  expect(isUnknown({ rule: "parked", subject: "a:c" }, down)).toBe(false);
  expect(isUnknown({ rule: "backup_stale", subject: "b" }, down)).toBe(false);
});
