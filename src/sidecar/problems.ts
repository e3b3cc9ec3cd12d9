import type { TandemError } from "../base/errors.ts";
import type { Config } from "../config/config.ts";
import type { SelectionRow } from "../install/selection.ts";
import type { Unanswered } from "./ask-nodes.ts";
import { describeKept } from "./kept.ts";
import type { LinkStatus } from "./link-status.ts";
import { labelOf, type NodeAnswer } from "./node-status.ts";
import { newestVerification, type Verification } from "./verification.ts";
import { count, duration, instant, listing } from "./words.ts";

/** What can be wrong, the gravest first: the first one found is the sentence that `status` begins with. */
export const problemKinds = [
  "unreachable",
  "not_installed",
  "wrong_version",
  "identity",
  "unreadable",
  "not_configured",
  "undecided",
  "parked",
  "dropped",
  "diverged",
  "held",
  "failing",
  "paused",
  "not_met",
  "copying",
  "stale",
  "kept",
  "untracked",
  "nothing_tracked",
  "backup_failed",
  "backup_stale",
  "backup_unproven",
  "backup_not_stored",
] as const;

/** Something a person must look at. */
export interface Problem {
  readonly kind: (typeof problemKinds)[number];
  readonly node: string;
  readonly table: string | null;
  /** A sentence without its full stop. */
  readonly message: string;
  readonly remedy: string;
}

// With `interval: 15m` a change may well wait that long; beyond a quarter of an hour and three intervals nobody carries it.
const staleFromMs = 900_000;

/** What kinds the errors of a node are; all others mean that it could not be asked. */
const kindsByCode: Partial<Record<TandemError["code"], Problem["kind"]>> = {
  not_installed: "not_installed",
  version_mismatch: "wrong_version",
  schema_newer: "wrong_version",
  identity_mismatch: "identity",
  in_recovery: "identity",
  permission_denied: "unreadable",
  sql_failed: "unreadable",
  lock_timeout: "unreadable",
  internal: "unreadable",
};

/** All that is wrong, the gravest first. */
export function findProblems(
  config: Config,
  answers: ReadonlyMap<string, NodeAnswer>,
  unanswered: readonly Unanswered[],
  links: readonly LinkStatus[],
): Problem[] {
  const problems = [
    ...unanswered.map(({ node, error }) => ofError(node, error)),
    ...[...answers].flatMap(([node, answer]) => ofNode(node, answer)),
    ...links.flatMap((link) => ofLink(link, answers, config)),
    ...ofVerification(newestVerification([...answers.values()].map(({ verified }) => verified))),
  ];
  const tracked = [...answers.values()].some(({ selection }) => selection.some((row) => row.tracked === "t"));
  const first = config.nodes[0]?.name ?? "";
  if (!tracked && unanswered.length === 0 && problems.length === 0) {
    problems.push({
      kind: "nothing_tracked",
      node: first,
      table: null,
      message: "No table is kept the same",
      remedy: "Create the tables, then run `tandem migrate`.",
    });
  }
  return problems.sort((a, b) => problemKinds.indexOf(a.kind) - problemKinds.indexOf(b.kind));
}

function ofError(node: string, error: TandemError): Problem {
  const kind = kindsByCode[error.code] ?? "unreachable";
  const message = error.message.replace(/[.\s]+$/, "").replace(/^node /, "Node ");
  return { kind, node, table: null, message, remedy: error.hint };
}

function ofNode(node: string, answer: NodeAnswer): Problem[] {
  const problems = answer.identity ? [ofError(node, answer.identity)] : [];
  if (!answer.identity && answer.name !== node) {
    problems.push({
      kind: "identity",
      node,
      table: null,
      message: `The database of node ${node} was migrated as node ${answer.name}`,
      remedy: "Correct the URLs: they may have been exchanged.",
    });
  }
  const kept = answer.kept.map((each): Problem => {
    const { message, remedy } = describeKept(each);
    return { kind: "kept", node, table: null, message: `Node ${node} ${message}`, remedy };
  });
  return [...problems, ...answer.selection.filter(isUntracked).map((row) => untracked(node, row)), ...kept];
}

/** Whether a table that should travel does not, though nobody said so in the file. */
export function isUntracked({ decision, tracked, reason_code }: SelectionRow): boolean {
  if (decision === "track") return tracked === "f";
  if (decision === "left_out") return ["no_key", "inheritance", "period", "not_owner"].includes(reason_code ?? "");
  return decision !== "untrack";
}

function untracked(node: string, { schema_name, table_name, reason, reason_code, decision }: SelectionRow): Problem {
  const table = labelOf(schema_name, table_name);
  const pattern = `${schema_name}.${table_name}`;
  const remedies: Record<string, string> = {
    no_key: `Give it a primary key and run \`tandem migrate\`, or exclude ${pattern}.`,
    missing: `Create it there, or take it out of \`tables\`.`,
  };
  const yet = decision === "track";
  return {
    kind: "untracked",
    node,
    table,
    message: `Table ${table} of ${node} is not kept the same: it ${yet ? "is not tracked yet" : reason?.replace(/: give it .*$/, "")}`,
    remedy: yet ? "Run `tandem migrate`." : (remedies[reason_code ?? ""] ?? `Change that, or exclude ${pattern}.`),
  };
}

/** Rows that nothing under way makes equal; what waits, is parked or held has its own problem, or is none. */
function ofVerification(last: Verification | null): Problem[] {
  if (last === null || last.diverged === 0) return [];
  const rows = count(last.diverged, "row");
  return [
    {
      kind: "diverged",
      node: last.nodes[0] ?? "",
      table: null,
      message: `${rows} of ${listing(last.nodes)} ${last.diverged === 1 ? "differs" : "differ"}, as of ${instant(last.asOf)}`,
      remedy: "`tandem verify` names them, `tandem verify --repair` mends them.",
    },
  ];
}

function ofLink(link: LinkStatus, answers: ReadonlyMap<string, NodeAnswer>, config: Config): Problem[] {
  const { source, target } = link;
  const here = answers.get(target);
  const problems: Problem[] = [];
  const add = (kind: Problem["kind"], message: string, remedy: string, table: string | null = null) =>
    problems.push({ kind, node: target, table, message, remedy });
  if (answers.has(source) && link.pending === null) {
    add("not_configured", `Node ${source} does not know node ${target}`, "Run `tandem migrate`.");
  } else if (here && link.parked === null) {
    add("not_configured", `Node ${target} does not know node ${source}`, "Run `tandem migrate`.");
  }
  if (link.parked) {
    add(
      "parked",
      `${count(link.parked, "row")} from ${source} ${link.parked === 1 ? "is" : "are"} parked in ${target}`,
      "`tandem parked` shows why; what no longer stands in the way is tried again by itself.",
    );
  }
  if (link.dropped) {
    add(
      "dropped",
      `${count(link.dropped, "row")} from ${source} ${link.dropped === 1 ? "was" : "were"} dropped in ${target}, and ${link.dropped === 1 ? "differs" : "differ"} until changed again`,
      "`tandem parked --history` shows why; the next change of such a row, in either node, makes both equal.",
    );
  }
  if (link.lastError)
    add("failing", `${source} → ${target} failed: ${link.lastError}`, "`tandem sync` tries it again.");
  if (link.pausedAt) {
    add(
      "paused",
      `${source} → ${target} is paused since ${instant(link.pausedAt)}, by ${link.pausedBy}`,
      `\`select tandem.resume_link('${source}')\` in ${target}, or POST /api/links/${source}:${target}/resume, lets it work again.`,
    );
  }
  for (const { peer, table, state, reason } of here?.waiting ?? []) {
    if (peer !== source) continue;
    if (state === "held") {
      add(
        "held",
        `Table ${table} is held on its way from ${source} to ${target}: ${reason}`,
        "Bring it to the same shape on both sides, or exclude it.",
        table,
      );
    }
    if (state === "copy" && reason !== null) {
      add(
        "undecided",
        `Table ${table} waits for a decision, ${source} → ${target}: ${reason}`,
        "Set `sync.seed` to the node that shall win, or name its `updated_at` column.",
        table,
      );
    }
  }
  const copying =
    here?.waiting.filter(({ peer, state, reason }) => peer === source && state === "copy" && reason === null) ?? [];
  if (here && link.met === false) {
    add("not_met", `${target} has received nothing from ${source} yet`, "Run `tandem sync`, or `tandem run`.");
  } else if (copying.length > 0) {
    add(
      "copying",
      `${count(copying.length, "table")} from ${source} ${copying.length === 1 ? "is" : "are"} not wholly copied to ${target}`,
      "`tandem sync`, or `tandem run`, goes on where it stopped.",
    );
  }
  const { oldestPendingMs: waiting, caughtUpMs: since } = link;
  const tooLong = Math.max(staleFromMs, 3 * config.sync.intervalMs);
  // Where the source cannot be asked what waits, the target knows only when it last had everything.
  if (link.pending === null && since !== null && since > tooLong) {
    add("stale", `${target} last had everything from ${source} ${duration(since)} ago`, "Is `tandem run` running?");
  }
  if (waiting !== null && waiting > tooLong && link.met !== false) {
    add(
      "stale",
      `${count(link.pending ?? 0, "change")} of ${source} ${link.pending === 1 ? "waits" : "wait"} for ${target}, the oldest for ${duration(waiting)}`,
      "Is `tandem run` running?",
    );
  }
  return problems;
}
