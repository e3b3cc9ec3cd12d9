import type { AlertRecord } from "../alert/board.ts";
import type { AlertRule, Condition } from "../alert/event.ts";
import type { AlertRules, Config } from "../config/config.ts";
import type { AlertFacts, JobFacts } from "./alert-facts.ts";
import { backupProblems } from "./backup-problems.ts";
import { describeKept } from "./kept.ts";
import { longestPauseMs } from "./link-loop.ts";
import type { LinkStatus } from "./link-status.ts";
import type { Problem } from "./problems.ts";
import { count, duration } from "./words.ts";

/** Problems of a node by which no link of it works. */
const downKinds: readonly Problem["kind"][] = [
  ...(["unreachable", "not_installed", "wrong_version", "identity", "unreadable", "not_configured"] as const),
];

/** What a person is to be told of, by the rules of the configuration. */
export function conditionsOf(config: Config, facts: AlertFacts): Condition[] {
  const { rules } = config.alerts;
  return [
    ...linksDown(rules, facts),
    ...facts.report.links.flatMap((link) => [...late(config, link), ...skewed(rules, link)]),
    ...[...facts.peers].flatMap(([node, peers]) => peers.flatMap((peer) => ofPeer(rules, node, peer))),
    ...[...facts.kept].flatMap(([node, kept]) =>
      rules.logGrowingMs === null ? [] : kept.map((one) => growing(node, one)),
    ),
    ...ofProblems(rules, facts),
    ...facts.jobs.flatMap((job) => ofJob(rules, job)),
    ...lowDisk(rules, facts),
  ];
}

/** Whether what an alert is about cannot be known while these nodes do not answer. */
export function isUnknown(
  { rule, subject }: Pick<AlertRecord, "rule" | "subject">,
  unanswered: ReadonlySet<string>,
): boolean {
  if (rule === "diverged") return unanswered.size > 0;
  if (rule.startsWith("backup_") || ["shrunk", "disk_low", "watch_failed"].includes(rule)) return false;
  return subject.split(/[: ]/).some((node) => unanswered.has(node));
}

function condition(
  rule: AlertRule,
  subject: string,
  said: { message: string; remedy: string },
  afterMs = 0,
): Condition {
  return { rule, subject, message: said.message, remedy: said.remedy, afterMs };
}

/** What a sidecar that has just been started will mend by itself is told when it is seen once more. */
const seenTwice = 1;

const linkOf = ({ source, target }: Pick<LinkStatus, "source" | "target">) => `${source}:${target}`;

// When a node is back, its links try again after so long at most, and a round may take a moment: till then the failure is an old one.
const triedAgainMs = longestPauseMs + 5_000;

/** One for each node; a link of which a node is down has no word of its own. */
function linksDown({ linkDownMs: afterMs }: AlertRules, { report, unanswered }: AlertFacts): Condition[] {
  if (afterMs === null) return [];
  const nodes = new Map<string, Problem>();
  for (const problem of report.problems) {
    if (downKinds.includes(problem.kind) && !nodes.has(problem.node)) nodes.set(problem.node, problem);
  }
  const isDown = (node: string) => nodes.has(node) || unanswered.has(node);
  const failing = report.links.filter(
    ({ lastError, source, target }) => lastError && !isDown(source) && !isDown(target),
  );
  return [
    ...[...nodes].map(([node, problem]) => condition("link_down", node, problem, afterMs)),
    ...failing.map((link) => {
      const message = `${link.source} → ${link.target} does not work: ${link.lastError}`;
      return condition(
        "link_down",
        linkOf(link),
        { message, remedy: "`tandem status` shows how it goes on." },
        Math.max(afterMs, triedAgainMs),
      );
    }),
  ];
}

function late({ alerts, sync }: Config, link: LinkStatus): Condition[] {
  const { source, target, pending, oldestPendingMs: ms, pausedBy } = link;
  const { lagMs } = alerts.rules;
  // A change may well wait for the next round.
  if (lagMs === null || ms === null || ms <= Math.max(lagMs, 2 * sync.intervalMs)) return [];
  const rest = pausedBy === null ? "" : `; the link is paused by ${pausedBy}`;
  const message = `${count(pending ?? 0, "change")} of ${source} not in ${target} yet, the oldest for ${duration(ms)}${rest}`;
  const remedy = "`tandem status` and `tandem pending` show what waits.";
  return [condition("lag", linkOf(link), { message, remedy }, seenTwice)];
}

function skewed({ clockSkewMs: most }: AlertRules, link: LinkStatus): Condition[] {
  const { source, target, clockSkewMs: skew } = link;
  if (most === null || skew === null || Math.abs(skew) <= most) return [];
  const [ahead, behind] = skew > 0 ? [target, source] : [source, target];
  const message = `The clock of ${ahead} is ${duration(Math.abs(skew))} ahead of that of ${behind}`;
  const remedy = "Set the clock of the server that is wrong (NTP, chrony).";
  return [condition("clock_skew", [source, target].sort().join(":"), { message, remedy })];
}

function ofPeer(
  { parkedMs: longest, conflictsPerHour: most }: AlertRules,
  node: string,
  { peer, conflicts, parked, parkedMs }: { peer: string; conflicts: number; parked: number; parkedMs: number },
): Condition[] {
  const subject = `${peer}:${node}`;
  const found: Condition[] = [];
  if (longest !== null && parked > 0 && parkedMs > longest) {
    const message = `${count(parked, "row")} from ${peer} parked in ${node}, the oldest for ${duration(parkedMs)}`;
    found.push(condition("parked", subject, { message, remedy: "`tandem parked` shows why." }));
  }
  if (most !== null && conflicts > most) {
    const message = `${count(conflicts, "conflict")} between ${peer} and ${node} within an hour, decided in ${node}`;
    found.push(condition("conflicts", subject, { message, remedy: "`tandem conflicts` shows how they were decided." }));
  }
  return found;
}

function growing(node: string, kept: Parameters<typeof describeKept>[0]): Condition {
  const { message, remedy } = describeKept(kept);
  return condition("log_growing", `${node}:${kept.peer}`, { message: `Node ${node} ${message}`, remedy }, seenTwice);
}

function ofProblems({ held, diverged, backupNotStored }: AlertRules, { report }: AlertFacts): Condition[] {
  return report.problems.flatMap((problem) => {
    const { kind, node, table } = problem;
    if (held && (kind === "held" || kind === "undecided")) return [condition("held", `${node} ${table}`, problem)];
    if (diverged && kind === "diverged") return [condition("diverged", "", problem)];
    return backupNotStored && kind === "backup_not_stored" ? [condition(kind, "", problem)] : [];
  });
}

function ofJob(rules: AlertRules, { state, bytes }: JobFacts): Condition[] {
  const on = {
    backup_failed: rules.backupFailed,
    backup_stale: rules.backupStale,
    backup_unproven: rules.backupUnproven,
  };
  const found = backupProblems([state]).flatMap((problem) => {
    const { kind } = problem;
    const told = kind === "backup_failed" || kind === "backup_stale" || kind === "backup_unproven";
    return told && on[kind] ? [condition(kind, state.job, problem, kind === "backup_failed" ? 0 : seenTwice)] : [];
  });
  return [...found, ...shrunk(rules, state.job, bytes)];
}

// Fewer say nothing of what is usual.
const fewest = 3;

function shrunk({ shrunkPercent: least }: AlertRules, job: string, bytes: readonly number[]): Condition[] {
  const newest = bytes.at(-1);
  const before = bytes.slice(0, -1).toSorted((a, b) => a - b);
  const median = before[Math.floor(before.length / 2)];
  if (least === null || newest === undefined || median === undefined || before.length < fewest) return [];
  const percent = Math.floor((100 * newest) / Math.max(1, median));
  if (percent >= least) return [];
  const message = `The newest backup of job ${job} has ${percent} % of what is usual (${bytesText(newest)}, not ${bytesText(median)})`;
  const remedy = "See if rows are missing: `tandem backup list`, and compare the tables.";
  return [condition("shrunk", job, { message, remedy })];
}

function lowDisk({ diskLowPercent: least }: AlertRules, { disk, jobs }: AlertFacts): Condition[] {
  if (least === null || disk === null) return [];
  const percent = Math.floor((100 * disk.freeBytes) / Math.max(1, disk.totalBytes));
  const next = Math.max(0, ...jobs.map(({ bytes }) => bytes.at(-1) ?? 0));
  if (percent >= least && disk.freeBytes >= 2 * next) return [];
  const message = `The disk of the backups has ${bytesText(disk.freeBytes)} free (${percent} %)`;
  const remedy = "Make room, or keep fewer backups (`tandem backup prune`).";
  return [condition("disk_low", "", { message, remedy })];
}

function bytesText(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${(bytes / 1_000 ** step).toFixed(step === 0 ? 0 : 1)} ${units[step]}`;
}
