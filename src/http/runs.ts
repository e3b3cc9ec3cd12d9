import { randomUUID } from "node:crypto";
import { errorLine, TandemError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../base/time.ts";
import type { Config } from "../config/config.ts";
import { noteHistory } from "../sidecar/history.ts";
import { asTold } from "./failure.ts";
import type { Shared } from "./shared.ts";

/** What running an action needs. */
export interface RunContext {
  readonly config: Config;
  readonly shared: Shared;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Work that a request asked for, and that goes on when the request is over. */
export interface Run {
  readonly id: string;
  readonly action: string;
  /** The backup, node or job that it is about; empty for all. */
  readonly subject: string;
  state: "running" | "done" | "failed";
  readonly startedAt: string;
  finishedAt: string | null;
  result: unknown;
  error: TandemError | null;
}

/** What is to be done. */
export interface Order {
  readonly action: string;
  readonly subject: string;
  /** The node that it is about, or the first; it remembers it. */
  readonly node: string;
  /** Who asks. */
  readonly by: string;
  /** It is never refused: it is done again behind the same that is under way, once for all who ask meanwhile. */
  readonly inLine?: boolean | undefined;
  /** What is under way and must not be overtaken: the lock that both need is not taken in the order of the requests. */
  readonly behind?: ((other: Order) => boolean) | undefined;
  readonly work: () => Promise<unknown>;
}

const mostRemembered = 50;

interface Begun {
  readonly order: Order;
  readonly run: Run;
  readonly ended: Promise<void>;
}

/** What requests have asked for: one of each kind at a time, and the newest remembered. */
export class Runs {
  readonly #runs = new Map<string, Begun>();

  /** One of those remembered. */
  find(id: string): Run {
    const found = this.#runs.get(id);
    if (found) return found.run;
    throw new TandemError("not_found", `there is no action ${id}`, {
      hint: "Only the newest are remembered, until `tandem run` ends.",
    });
  }

  /** All that are remembered, the newest first. */
  list(): Run[] {
    return [...this.#runs.values()].map(({ run }) => run).reverse();
  }

  /**
   * Does it, and answers when it has ended, or after `waitMs` with the run as it is then. Throws what it failed with, and
   * `action_running` where the same is under way.
   */
  async start(context: RunContext, order: Order, waitMs: number): Promise<Run> {
    const begun = this.#begin(context, order);
    const late = new AbortController();
    await Promise.race([begun.ended, context.clock.sleep(waitMs, late.signal).catch(() => {})]);
    late.abort();
    if (begun.run.error) throw begun.run.error;
    return begun.run;
  }

  #begin(context: RunContext, order: Order): Begun {
    const { action, subject } = order;
    const underWay = [...this.#runs.values()].filter(({ run }) => run.state === "running");
    const [before, waiting] = underWay.filter(({ run }) => run.action === action && run.subject === subject);
    if (waiting) return waiting;
    if (before && !order.inLine) {
      const { id, startedAt: since } = before.run;
      throw new TandemError("action_running", `${action} is under way since ${since}: action ${id}`);
    }
    const startedAt = new Date(context.clock.now()).toISOString();
    const run: Run = {
      ...{ id: randomUUID(), action, subject, state: "running", startedAt },
      ...{ finishedAt: null, result: null, error: null },
    };
    const first = underWay.filter((other) => other === before || order.behind?.(other.order)).map(({ ended }) => ended);
    const work = async () => {
      await Promise.all(first);
      return await order.work();
    };
    const begun = { order, run, ended: carryOut(context, { ...order, work }, run) };
    this.#runs.set(run.id, begun);
    this.#forget();
    return begun;
  }

  #forget(): void {
    for (const [id, { run }] of this.#runs) {
      if (this.#runs.size <= mostRemembered) return;
      if (run.state !== "running") this.#runs.delete(id);
    }
  }
}

async function carryOut(context: RunContext, { node, by, work }: Order, run: Run): Promise<void> {
  const { logger, clock } = context;
  const { action, subject, id } = run;
  logger.info({ action, subject, id, by }, "asked for by HTTP");
  try {
    run.result = await work();
    run.state = "done";
  } catch (error) {
    run.error = asTold(error);
    run.state = "failed";
    logger.warn(
      { action, subject, id, by },
      errorLine(run.error.code === "internal" ? (run.error.cause ?? run.error) : run.error),
    );
  }
  run.finishedAt = new Date(clock.now()).toISOString();
  const what = subject === "" ? action : `${action} ${subject}`;
  const kind = run.error ? "action_failed" : "action_done";
  await remember(context, { kind, node, by, message: run.error ? `${what}: ${run.error.message}` : what });
}

/** Keeps in a node what was done by HTTP; what was known of all nodes before counts no more. */
export async function remember(
  { config, shared, clock, logger }: RunContext,
  { kind, node, by, message }: { kind: "action_done" | "action_failed"; node: string; by: string; message: string },
): Promise<void> {
  shared.clear();
  const at = new Date(clock.now()).toISOString();
  const activity = [{ at, kind, source: null, target: node, message, actor: by }];
  await noteHistory(config, node, { activity }).catch((error: unknown) => {
    logger.warn({ node }, `what was done is not in the history: ${errorLine(error)}`);
  });
}
