import { jobStates } from "../backup/job-state.ts";
import type { BackupEntry } from "../backup/list.ts";
import { askedStore, knownStore, type StoreState } from "../backup/store-state.ts";
import { TandemError } from "../base/errors.ts";
import { systemClock } from "../base/time.ts";
import { assertSeveral } from "../config/alone.ts";
import type { Config } from "../config/config.ts";
import type { SelectionRow } from "../install/selection.ts";
import { askNodes } from "./ask-nodes.ts";
import { backupProblems, storeProblems } from "./backup-problems.ts";
import type { Kept } from "./kept.ts";
import { type LinkStatus, linkStatus } from "./link-status.ts";
import { type FiringTrigger, labelOf, readNode, type SidecarAnswer } from "./node-status.ts";
import { findProblems, isUntracked, type Problem } from "./problems.ts";
import { newestVerification, type Verification } from "./verification.ts";
import { count, duration, instant, listing } from "./words.ts";

/** A table that is not kept the same, and why; no problem where the file, or the default rule, says so. */
export interface LeftOut {
  readonly node: string;
  readonly table: string;
  readonly reason: string;
  readonly problem: boolean;
}

/** One node of the configuration. */
export interface NodeStatus {
  readonly node: string;
  readonly answered: boolean;
  readonly tables: number | null;
  /** Who works on the links into it; null: no sidecar, or the node could not be asked. */
  readonly sidecar: SidecarAnswer | null;
}

/** How all is. */
export interface StatusReport {
  /** One sentence for a person. */
  readonly sentence: string;
  /** False when there is anything that a person must look at. Changes that wait are well. */
  readonly well: boolean;
  readonly problems: readonly Problem[];
  readonly nodes: readonly NodeStatus[];
  readonly links: readonly LinkStatus[];
  readonly leftOut: readonly LeftOut[];
  /** Triggers that fire for what is applied, though nobody chose so: what they write comes twice. Well, but worth knowing. */
  readonly triggers: readonly (FiringTrigger & { readonly node: string })[];
  /** What a node keeps for a peer that is silent, or that the configuration names no longer. */
  readonly kept: readonly (Kept & { readonly node: string })[];
  /** What the newest comparison of all nodes has shown; null before the first. */
  readonly verified: Verification | null;
  /** One for each backup job; of the folder on this machine. */
  readonly backups: readonly BackupStatus[];
  /** The store of the backups, as far as the folder on this machine knows; null: there is none. */
  readonly store: StoreState | null;
}

/** How a backup job is doing. */
export interface BackupStatus {
  readonly job: string;
  readonly node: string;
  /** Name and level of the newest good backup. */
  readonly last: string | null;
  readonly level: number | null;
  /** The newest one that was restored for a try, or more. */
  readonly proven: string | null;
  /** When one of its backups was proven (level 3) last. */
  readonly provenAt: string | null;
  /** Why the last proof failed, if it did. */
  readonly proofFailure: string | null;
  /** Why the last try failed, if it did. */
  readonly failure: string | null;
  readonly stale: boolean;
  /** Where copies of its newest good backup are. Only in the folder, or in a store on its disk: well, but lost with that disk. */
  readonly places: BackupEntry["places"];
}

/** What `status` may be told. */
export interface StatusOptions {
  readonly signal?: AbortSignal | undefined;
  /** Look into the store of the backups, too; else it is what the folder knows of it, which a running sidecar sees to. */
  readonly askStore?: boolean | undefined;
}

/** Asks all nodes how they are. What cannot be asked is said, never guessed: status does not say well when it is not. */
export async function status(config: Config, options: StatusOptions = {}): Promise<StatusReport> {
  if (config.backup.jobs.length === 0) assertSeveral(config);
  // While the nodes are asked; the jobs go by what it notes.
  const looked = options.askStore ? askedStore(config, options) : knownStore(config);
  looked.catch(() => {});
  const result = await askNodes(config, (connection) => readNode(connection, config), options);
  const answers = new Map(result.answers.map(({ node, answer }) => [node, answer]));
  const links = config.links.map(({ source, target }) => linkStatus(source, target, answers));
  const verified = newestVerification([...answers.values()].map((answer) => answer.verified));
  const store = await looked;
  const { jobs, unseen } = await jobsSeen(config);
  const problems = [
    ...findProblems(config, answers, result.unanswered, links),
    ...unseen,
    ...backupProblems(jobs),
    ...storeProblems(store, config.nodes[0]?.name ?? ""),
  ];
  return {
    sentence: sentenceOf(config, problems, links, verified),
    well: problems.length === 0,
    problems,
    nodes: config.nodes.map(({ name }) => {
      const answer = answers.get(name);
      const tables = answer?.selection.filter((row) => row.tracked === "t").length ?? null;
      return { node: name, answered: answer !== undefined, tables, sidecar: answer?.sidecar ?? null };
    }),
    links,
    triggers: [...answers].flatMap(([node, answer]) => answer.triggers.map((trigger) => ({ node, ...trigger }))),
    kept: [...answers].flatMap(([node, answer]) => answer.kept.map((each) => ({ node, ...each }))),
    leftOut: [...answers].flatMap(([node, { selection }]) =>
      selection.filter(isLeftOut).map((row) => ({
        node,
        table: labelOf(row.schema_name, row.table_name),
        reason: row.reason ?? "is not tracked yet",
        problem: isUntracked(row),
      })),
    ),
    verified,
    backups: jobs.map(({ job, node, last, proven, provenAt, proofFailure, failure, stale }) => ({
      ...{ job, node, last: last?.id ?? null, level: last?.level ?? null, proven: proven?.id ?? null },
      ...{ provenAt, proofFailure: proofFailure?.message ?? null, failure: failure?.message ?? null, stale },
      places: last?.places ?? [],
    })),
    store,
  };
}

function isLeftOut({ decision, tracked }: SelectionRow): boolean {
  return decision !== "track" || tracked === "f";
}

function sentenceOf(
  config: Config,
  problems: readonly Problem[],
  links: readonly LinkStatus[],
  verified: Verification | null,
): string {
  const [first] = problems;
  if (first) {
    const more = problems.length > 1 ? ` (and ${count(problems.length - 1, "more problem")})` : "";
    return `${first.message}${more}.`;
  }
  const waiting = links.filter((link) => link.pending);
  if (waiting.length > 0) return pendingSentence(waiting);
  const names = config.nodes.map(({ name }) => name);
  if (names.length < 2) return `All well: ${names[0]} is the only node.`;
  const proved = verified?.identical ? `; all nodes identical as of ${instant(verified.asOf)}` : "";
  return `All well: ${listing(names)} have everything from each other${proved}.`;
}

function pendingSentence(links: readonly LinkStatus[]): string {
  const targets = new Map<string, number>();
  for (const { target, pending } of links) targets.set(target, (targets.get(target) ?? 0) + (pending ?? 0));
  const [[firstTarget, firstCount] = ["", 0], ...others] = [...targets];
  const parts = [
    `${count(firstCount, "change")} ${firstCount === 1 ? "waits" : "wait"} for ${firstTarget}`,
    ...others.map(([target, n]) => `${n.toLocaleString("en")} for ${target}`),
  ];
  const age = duration(Math.max(...links.map((link) => link.oldestPendingMs ?? 0)));
  const alone = others.length === 0 && firstCount === 1;
  return `${listing(parts)}, ${alone ? "" : "the oldest "}for ${age}.`;
}

/** How the jobs are doing; a folder that cannot be read hides them, and nothing else. */
async function jobsSeen(
  config: Config,
): Promise<{ readonly jobs: Awaited<ReturnType<typeof jobStates>>; readonly unseen: readonly Problem[] }> {
  try {
    return { jobs: await jobStates(config, systemClock.now()), unseen: [] };
  } catch (error) {
    if (!(error instanceof TandemError) || error.code !== "backup_storage") throw error;
    const node = config.backup.jobs[0]?.node ?? "";
    const message = `The backups cannot be seen: ${error.message.replace(/[.\s]+$/, "")}`;
    return { jobs: [], unseen: [{ kind: "backup_failed", node, table: null, message, remedy: error.hint }] };
  }
}
