import { nodeOf, says, sinceOf, unsaid } from "./alerts.ts";
import type { Format } from "./format.ts";
import type { Alert, BackupOverview, Problem, Status } from "./types.ts";
import type { Words } from "./words/en.ts";

/** A sentence of the page's head: green, amber, or neither. */
export interface Sentence {
  readonly tone: "good" | "amber" | "note";
  readonly text: string;
  /** In small print below it. */
  readonly small: string;
  /** What the sidecar itself says of it, in English. */
  readonly original: string;
  /** That people are told of it; empty: they are not. */
  readonly told: string;
  /** Where on the page more of it stands. */
  readonly place: Place | null;
}

/** A part of the page that a sentence may point to. */
export type Place = "links" | "parked" | "backups" | "activity";

const places: Partial<Record<Problem["kind"], Place>> = {
  parked: "parked",
  dropped: "activity",
  failing: "activity",
  paused: "links",
  not_met: "links",
  copying: "links",
  stale: "links",
  backup_failed: "backups",
  backup_stale: "backups",
  backup_unproven: "backups",
};

/** What sentences are made of. */
export interface SentenceContext {
  readonly words: Words;
  readonly format: Format;
  /** Milliseconds since 1970, by the sidecar's clock. */
  readonly now: number;
}

const good = (text: string, small = ""): Sentence => ({
  tone: "good",
  text,
  small,
  original: "",
  told: "",
  place: null,
});

/** What the sentences are about. */
export interface Heard {
  readonly status: Status;
  /** What people are told of at this moment. */
  readonly alerts: readonly Alert[];
  readonly overview: BackupOverview | null;
}

/**
 * How all is, in sentences, what needs a look first. They are the sidecar's own judgement: amber is what `/api/status` calls
 * a problem or people are told of, each said once, and never less.
 */
export function sentencesOf({ status, alerts, overview }: Heard, context: SentenceContext): Sentence[] {
  const ofBackups = (problem: Problem) => problem.kind.startsWith("backup_");
  const sentenceOf = (problem: Problem) => ({
    ...ofProblem(problem, context),
    told: toldOf(
      alerts.filter((alert) => says(problem, alert)),
      context,
    ),
  });
  const amber = [
    ...status.problems.filter((problem) => !ofBackups(problem)).map(sentenceOf),
    ...unsaid(alerts, status.problems).map((alert) => ofAlert(alert, context)),
  ];
  const amberBackups = status.problems.filter(ofBackups).map(sentenceOf);
  const waiting = ofPending(status, alerts, context);
  return [
    ...amber,
    ...amberBackups,
    ...waiting,
    ...(amber.length === 0 && waiting.length === 0 ? [ofNodes(status, context)] : []),
    ...ofConflicts(status, context),
    ...(overview ? ofOverview(overview, amberBackups.length === 0, context) : []),
  ];
}

function ofProblem(problem: Problem, { words }: SentenceContext): Sentence {
  const own = words.problem(problem);
  const remedy = words.remedy(problem);
  return {
    tone: "amber",
    text: own ?? problem.message,
    small: remedy ?? (own === null ? problem.remedy : ""),
    original: own === null ? "" : remedy === null ? `${problem.message}. ${problem.remedy}` : problem.message,
    told: "",
    place: places[problem.kind] ?? null,
  };
}

function ofAlert(alert: Alert, context: SentenceContext): Sentence {
  const { message, remedy } = alert;
  const own = context.words.alert(alert);
  const [small, original] = own === null ? [remedy, ""] : ["", `${message}. ${remedy}`];
  return { tone: "amber", text: own ?? message, small, original, told: toldOf([alert], context), place: null };
}

function toldOf(alerts: readonly Alert[], { words, format, now }: SentenceContext): string {
  const since = sinceOf(alerts);
  return since === null ? "" : words.sentence.told(format.moment(since, now));
}

/** Changes that wait are well, unless they have waited for so long that people are told. */
function ofPending({ links, problems }: Status, alerts: readonly Alert[], context: SentenceContext): Sentence[] {
  const { words, format } = context;
  const late = alerts.filter((alert) => alert.rule === "lag" && !problems.some((problem) => says(problem, alert)));
  const targets = [...new Set(links.filter(({ pending }) => pending).map(({ target }) => target))];
  return targets.map((target) => {
    const waiting = links.filter((link) => link.target === target && link.pending);
    const count = waiting.reduce((sum, { pending }) => sum + (pending ?? 0), 0);
    const oldest = Math.max(...waiting.map(({ oldestPendingMs }) => oldestPendingMs ?? 0));
    const told = toldOf(
      late.filter((alert) => nodeOf(alert) === target),
      context,
    );
    const sentence = good(words.sentence.waiting(count, format.number(count), target, format.duration(oldest)));
    return told === "" ? sentence : { ...sentence, tone: "amber", told };
  });
}

function ofNodes({ verified, nodes }: Status, { words, format, now }: SentenceContext): Sentence {
  if (nodes.length < 2) return good(words.sentence.alone(nodes[0]?.node ?? ""));
  if (!verified?.identical) return good(words.sentence.caughtUp, words.sentence.notCompared);
  const { asOf, tables, rows } = verified;
  return good(
    words.sentence.identical(format.moment(asOf, now)),
    words.sentence.compared(tables, format.number(tables), rows, format.number(rows)),
  );
}

function ofConflicts({ links }: Status, { words, format }: SentenceContext): Sentence[] {
  // Both nodes of a pair note the same conflict.
  const pairs = new Map<string, number>();
  for (const { source, target, conflicts24h } of links) {
    const pair = [source, target].sort().join(" ");
    pairs.set(pair, Math.max(pairs.get(pair) ?? 0, conflicts24h ?? 0));
  }
  const count = [...pairs.values()].reduce((sum, each) => sum + each, 0);
  if (count === 0) return [];
  return [good(words.sentence.conflicts(count, format.number(count)), words.sentence.conflictsSmall)];
}

function ofOverview(
  { last, proven, jobs }: BackupOverview,
  well: boolean,
  { words, format, now }: SentenceContext,
): Sentence[] {
  const { sentence } = words;
  if (last === null) {
    const note: Sentence = {
      tone: "note",
      text: sentence.noBackup,
      small: sentence.noBackupSmall,
      original: "",
      told: "",
      place: null,
    };
    return well ? [note] : [];
  }
  const provenAt = [proven?.provenAt, ...jobs.map((job) => job.provenAt)].filter((at) => typeof at === "string").sort();
  const newest = provenAt.at(-1);
  const proof = newest ? sentence.proven(format.ago(newest, now)) : sentence.unproven;
  const next = jobs
    .map(({ nextRunAt }) => nextRunAt)
    .filter((at) => at !== null)
    .sort()[0];
  const small = next ? sentence.nextBackup(format.moment(next, now)) : "";
  const text = sentence.backup(format.ago(last.finishedAt ?? last.startedAt, now)) + proof;
  return [{ tone: well && newest ? "good" : "note", text, small, original: "", told: "", place: null }];
}
