import { errorLine, TandemError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import { quoteLiteral } from "../db/quote.ts";
import type { LinkEvent } from "../link/report.ts";
import { askNodes, writing } from "./ask-nodes.ts";
import type { LinkActivity } from "./link-loop.ts";

/** Something that happened, as it is kept in a node. */
export interface Happening {
  readonly at: string;
  readonly kind: (typeof happeningKinds)[number];
  /** The link, or of what happened to one node only its name as target. */
  readonly source: string | null;
  readonly target: string;
  readonly message: string;
  /** Which sidecar, or who asked for it. */
  readonly actor: string;
}

/** What is kept: of links, of sidecars, of backups, of what people asked for. */
export const happeningKinds = [
  "sidecar_took_over",
  "link_failed",
  "link_recovered",
  "link_paused",
  "link_resumed",
  "backup_made",
  "backup_failed",
  "action_done",
  "action_failed",
] as const;

interface Moved {
  readonly source: string;
  readonly minute: string;
  readonly rows: number;
  /** Milliseconds since the target last had everything, at most. */
  readonly behind: number;
}

interface Kept {
  readonly activity: readonly Happening[];
  readonly moved: readonly Moved[];
}

/** What the history needs of the sidecar. */
export interface HistoryOptions {
  readonly actor: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted when nothing more will happen: what is not kept yet is kept then, once. */
  readonly signal: AbortSignal;
}

const keepEveryMs = 10_000;
const afterFailureMs = 30_000;
const lastTryMs = 3_000;
// While a node is out of reach; what happened first says more than what followed from it.
const mostWaiting = 1_000;
const minuteMs = 60_000;

/**
 * Keeps what happens, and how much moves, in the nodes it concerns, so that it outlives this process. An idle system writes
 * nothing. What a node cannot take now waits in memory, in bounds: history is for people, nothing decides by it.
 */
export class History {
  readonly #config: Config;
  readonly #options: HistoryOptions;
  readonly #waiting = new Map<string, Happening[]>();
  readonly #minutes = new Map<string, Moved & { readonly target: string }>();
  readonly #failing = new Set<string>();
  readonly #caughtUpAt = new Map<string, number>();

  constructor(config: Config, options: HistoryOptions) {
    this.#config = config;
    this.#options = options;
  }

  /** Takes note of something that happened. */
  note(what: Pick<Happening, "kind" | "source" | "target" | "message">): void {
    const { clock, actor } = this.#options;
    const list = this.#waiting.get(what.target) ?? [];
    if (list.length < mostWaiting) list.push({ at: new Date(clock.now()).toISOString(), actor, ...what });
    this.#waiting.set(what.target, list);
  }

  /** Takes note of what a link tells of itself. */
  watch({ source, target, state, error, caughtUpAt }: LinkActivity): void {
    const link = `${source} ${target}`;
    if (caughtUpAt !== null) this.#caughtUpAt.set(link, caughtUpAt);
    if (state === "failing" && !this.#failing.has(link)) {
      this.#failing.add(link);
      this.note({ kind: "link_failed", source, target, message: error ?? "" });
    } else if (state === "idle" && this.#failing.delete(link)) {
      this.note({ kind: "link_recovered", source, target, message: "works again" });
    }
  }

  /** Adds the rows of a batch to those of the minute. */
  moved({ source, target, rows }: LinkEvent): void {
    const now = this.#options.clock.now();
    const minute = new Date(Math.floor(now / minuteMs) * minuteMs).toISOString();
    const behind = now - (this.#caughtUpAt.get(`${source} ${target}`) ?? now);
    this.#add(target, { source, minute, rows, behind: Math.max(0, Math.round(behind)) });
  }

  #add(target: string, { source, minute, rows, behind }: Moved): void {
    const key = JSON.stringify([source, target, minute]);
    const known = this.#minutes.get(key);
    if (!known && this.#minutes.size >= mostWaiting) return;
    const { rows: before = 0, behind: most = 0 } = known ?? {};
    this.#minutes.set(key, { source, target, minute, rows: before + rows, behind: Math.max(most, behind) });
  }

  /** Keeps what comes until the signal is aborted, and then what is left. */
  async run(): Promise<void> {
    const { signal, clock } = this.#options;
    while (!signal.aborted) {
      const well = await this.#keep(signal);
      if (!signal.aborted) await clock.sleep(well ? keepEveryMs : afterFailureMs, signal).catch(() => {});
    }
    await this.#keep(AbortSignal.timeout(lastTryMs));
  }

  /** Writes what waits; false: a node did not take it, and it waits on. */
  async #keep(signal: AbortSignal): Promise<boolean> {
    const results = await Promise.all(
      this.#config.nodes.map(({ name }) => this.#keepIn(name, this.#take(name), signal)),
    );
    return results.every((well) => well);
  }

  #take(node: string): Kept {
    const activity = this.#waiting.get(node) ?? [];
    this.#waiting.delete(node);
    const own = [...this.#minutes].filter(([, { target }]) => target === node);
    for (const [key] of own) this.#minutes.delete(key);
    return { activity, moved: own.map(([, { source, minute, rows, behind }]) => ({ source, minute, rows, behind })) };
  }

  async #keepIn(node: string, kept: Kept, signal: AbortSignal): Promise<boolean> {
    if (kept.activity.length === 0 && kept.moved.length === 0) return true;
    try {
      await noteHistory(this.#config, node, kept, signal);
      return true;
    } catch (error) {
      if (error instanceof TandemError && error.code === "not_installed") return true;
      if (!signal.aborted) this.#options.logger.debug({ node }, `history waits: ${errorLine(error)}`);
      this.#waiting.set(node, [...kept.activity, ...(this.#waiting.get(node) ?? [])].slice(0, mostWaiting));
      for (const one of kept.moved) this.#add(node, one);
      return false;
    }
  }
}

/** Keeps what happened in one node, now; throws where it cannot be asked. */
export async function noteHistory(
  config: Config,
  node: string,
  kept: { readonly activity: readonly Happening[]; readonly moved?: readonly Moved[] },
  signal?: AbortSignal,
): Promise<void> {
  const call = `select tandem.note_history(${quoteLiteral(JSON.stringify(kept))}::jsonb)`;
  const { unanswered } = await askNodes(config, (connection) => writing(connection, (tx) => tx.query(call)), {
    only: [node],
    signal,
  });
  if (unanswered[0]) throw unanswered[0].error;
}
