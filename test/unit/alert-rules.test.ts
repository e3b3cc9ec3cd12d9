import { expect, test } from "vitest";
import { alertRules } from "../../src/alert/event.ts";
import type { JobState } from "../../src/backup/job-state.ts";
import type { AlertRules } from "../../src/config/config.ts";
import type { AlertFacts } from "../../src/sidecar/alert-facts.ts";
import { conditionsOf, isUnknown } from "../../src/sidecar/alert-rules.ts";
import type { Kept } from "../../src/sidecar/kept.ts";
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
  /** Of the job of these bytes, or of one that has none. */
  readonly job?: Partial<JobState>;
  readonly kept?: readonly Kept[];
  readonly disk?: AlertFacts["disk"];
}

/** What is told where only this is not well. */
function told(made: Made, changed = config): string[] {
  const { links = [{}], problems = [], peer = {}, bytes = [], job, kept = [], disk = null } = made;
  const facts = {
    report: {
      problems: problems.map((one) => ({ table: "t", message: "m", remedy: "r", ...one })),
      links: links.map((link) => ({ ...wellLink, ...link })),
    },
    peers: new Map([["b", [{ peer: "a", conflicts: 0, parked: 0, parkedMs: 0, ...peer }]]]),
    kept: new Map([["b", kept]]),
    unanswered: new Set(problems.filter(({ kind }) => kind === "unreachable").map(({ node }) => node)),
    jobs:
      bytes.length === 0 && job === undefined
        ? []
        : [{ state: { job: "daily", node: "a", last: {}, failure: null, stale: false, ...job }, bytes }],
    disk,
  } as unknown as AlertFacts;
  return conditionsOf(changed, facts).map(({ rule, subject }) => `${rule} ${subject}`.trim());
}

const gigabytes = (freeBytes: number, totalBytes: number) => ({
  freeBytes: freeBytes * 1e9,
  totalBytes: totalBytes * 1e9,
});

const failure = {
  ...{ id: "x", what: "backup" as const, node: "a", job: "daily", code: "backup_storage", message: "no space" },
  ...{ startedAt: "2026-11-28T03:00:00Z", failedAt: "2026-11-28T03:00:01Z" },
};

const limits: [string, Made, Made][] = [
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
  ["log_growing b:a", { kept: [{ peer: "a", changes: 9, silentMs: 8 * 24 * 60 * minute, why: "silent" }] }, {}],
  ["backup_failed daily", { job: { failure } }, { job: {} }],
  ["backup_stale daily", { job: { stale: true } }, { job: { stale: false } }],
  ["backup_stale daily", { job: { last: null } }, { job: {} }],
  ["backup_unproven daily", { job: { unproven: true, provenAt: null } }, { job: { unproven: false, provenAt: null } }],
  ["backup_unproven daily", { job: { proofFailure: failure } }, { job: { proofFailure: null } }],
  ["held b t", { problems: [{ kind: "held", node: "b" }] }, { problems: [{ kind: "copying", node: "b" }] }],
  ["diverged", { problems: [{ kind: "diverged", node: "a" }] }, { problems: [{ kind: "dropped", node: "a" }] }],
  ["backup_not_stored", { problems: [{ kind: "backup_not_stored", node: "a" }] }, {}],
  ["shrunk daily", { bytes: [100, 104, 102, 49] }, { bytes: [100, 104, 102, 60] }],
  ["disk_low", { disk: gigabytes(9, 100) }, { disk: gigabytes(11, 100) }],
  ["disk_low", { disk: gigabytes(11, 100), bytes: [6e9] }, { disk: gigabytes(13, 100), bytes: [6e9] }],
];

test.each(limits)("%s is told from its limit on, and not before", (alert, over, under) => {
  expect(told(over)).toEqual([alert]);
  expect(told(under)).toEqual([]);
});

test("every rule has its limit here, but for the one that says that nothing can be seen (test/e2e/alerts.test.ts)", () => {
  const seen = new Set(limits.map(([alert]) => alert.split(" ")[0]));
  expect(alertRules.filter((rule) => !seen.has(rule))).toEqual(["watch_failed"]);
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

test.each(limits)("%s is not told where it is off", (alert, over) => {
  const rules = Object.fromEntries(
    Object.entries(config.alerts.rules).map(([rule, limit]) => [rule, typeof limit === "boolean" ? false : null]),
  ) as unknown as AlertRules;
  const off = { ...config, alerts: { ...config.alerts, rules } };
  expect([told(over), told(over, off)]).toEqual([[alert], []]);
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
