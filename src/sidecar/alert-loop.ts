import { type AlertRecord, Board } from "../alert/board.ts";
import type { AlertEvent, Condition } from "../alert/event.ts";
import { Outbox } from "../alert/outbox.ts";
import { errorLine } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../base/time.ts";
import { Turns } from "../base/turns.ts";
import type { Config } from "../config/config.ts";
import { type AlertFacts, alertFacts } from "./alert-facts.ts";
import { conditionsOf, isUnknown } from "./alert-rules.ts";
import { loadAlerts, saveAlerts } from "./alert-store.ts";
import { disconnectFromMs } from "./lease.ts";
import type { LinkActivity } from "./link-loop.ts";

/** What the alerts need of the sidecar. */
export interface AlertLoopOptions {
  /** How people know this sidecar. */
  readonly sender: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Whether this sidecar works on the links into a node. */
  readonly holds: (node: string) => boolean;
  /** Called with all that this sidecar tells of, after each look; empty while another one tells. */
  readonly onLook?: ((alerts: readonly AlertRecord[]) => void) | undefined;
}

const lastSaveMs = 3_000;
// Until the leases are taken, when the sidecar has just been started.
const undecidedMs = 1_000;

/**
 * Looks every so often at how all is and has people told. Of several sidecars the one tells that works on the first node which knows of any;
 * what was told is kept in all nodes, so that one that is started again, or takes over, goes on from there. Nothing here holds up a link.
 */
export class AlertLoop {
  readonly #config: Config;
  readonly #options: AlertLoopOptions;
  readonly #outboxes: ReadonlyMap<string, Outbox>;
  readonly #saving = new Turns();
  #board: Board | null = null;
  /** What was told while no node could keep it, by the board that was laid down since: only this sidecar knows that it is to be told as over. */
  #unkept: readonly AlertRecord[] = [];
  /** Nodes that do not hold what there is to be kept. */
  #unsaved = new Set<string>();
  #tells = true;
  /** Nodes answer, and none of them knows of a sidecar. */
  #undecided = false;
  #roundOver: (() => void) | null = null;

  constructor(config: Config, options: AlertLoopOptions) {
    this.#config = config;
    this.#options = options;
    const { sender, clock, logger, signal } = options;
    const onTold = (target: string, events: readonly AlertEvent[]) => this.#told(target, events);
    this.#outboxes = new Map(
      config.alerts.targets.map((target) => [
        target.name,
        new Outbox(target, { sender, clock, logger, signal, onTold }),
      ]),
    );
  }

  /** To be told what the links do: a database that may sleep is looked at when a link has just woken it. */
  watch({ state }: LinkActivity): void {
    if (state === "idle" || state === "failing" || state === "paused") this.#roundOver?.();
  }

  /** Looks and has told until the signal is aborted. */
  async run(): Promise<void> {
    if (this.#outboxes.size === 0) return;
    const sending = [...this.#outboxes.values()].map((outbox) => outbox.run());
    const { signal, logger } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#look();
      } catch (error) {
        if (!signal.aborted) logger.error({}, `alerts: ${errorLine(error)}`);
      }
      if (!signal.aborted) await this.#pause();
    }
    await Promise.all(sending);
    await this.#save(AbortSignal.timeout(lastSaveMs)).catch((error) => logger.warn({}, `alerts: ${errorLine(error)}`));
  }

  async #pause(): Promise<void> {
    const { clock, signal } = this.#options;
    const { everyMs } = this.#config.alerts;
    const { intervalMs } = this.#config.sync;
    if (intervalMs < disconnectFromMs || everyMs >= intervalMs) {
      await clock.sleep(this.#undecided ? Math.min(undecidedMs, everyMs) : everyMs, signal).catch(() => {});
      return;
    }
    const over = new AbortController();
    this.#roundOver = () => over.abort();
    await clock.sleep(2 * intervalMs, AbortSignal.any([signal, over.signal])).catch(() => {});
    this.#roundOver = null;
  }

  async #look(): Promise<void> {
    const { clock, signal, sender } = this.#options;
    const { repeatMs } = this.#config.alerts;
    const facts = await this.#facts();
    if ("reason" in facts) {
      // A standby does not know more than who tells, and repeats nothing.
      if (!this.#tells) return;
    } else if (!this.#decideWhoTells(facts)) return;
    if (!this.#board) {
      this.#board = new Board([...this.#unkept, ...(await loadAlerts(this.#config, signal))]);
      this.#unkept = [];
    }
    const board = this.#board;
    const conditions = "reason" in facts ? [watchFailed(sender, facts.reason)] : conditionsOf(this.#config, facts);
    const unknown =
      "reason" in facts ? () => true : (record: Parameters<typeof isUnknown>[0]) => isUnknown(record, facts.unanswered);
    board.update(conditions, { now: clock.now(), repeatMs, isUnknown: unknown });
    await this.#save(signal);
    for (const [target, outbox] of this.#outboxes) outbox.offer(board.owed(target), board.firing.length === 0);
    this.#options.onLook?.(board.records);
  }

  async #facts(): Promise<AlertFacts | { readonly reason: string }> {
    const { clock, signal } = this.#options;
    try {
      return await alertFacts(this.#config, { clock, signal });
    } catch (error) {
      if (signal.aborted) throw error;
      return { reason: errorLine(error) };
    }
  }

  /** Where no node says who works, it stays as it was. */
  #decideWhoTells({ report }: AlertFacts): boolean {
    const first = report.nodes.find(({ sidecar }) => sidecar !== null);
    this.#undecided = !first && report.nodes.some(({ answered }) => answered);
    if (first) this.#tells = this.#options.holds(first.node);
    else if (this.#undecided) this.#tells = report.nodes.some(({ node }) => this.#options.holds(node));
    if (!this.#tells) {
      if (this.#board && this.#unsaved.size > 0) this.#unkept = this.#board.records;
      this.#board = null;
      this.#options.onLook?.([]);
      for (const outbox of this.#outboxes.values()) outbox.offer([], false);
    }
    return this.#tells;
  }

  #told(target: string, events: readonly AlertEvent[]): void {
    this.#board?.noteTold(target, events);
    const { signal, logger } = this.#options;
    // At once, so that it is not told again by who is started in a moment; when it ends, the last save does it.
    if (!signal.aborted) this.#save(signal).catch((error) => logger.debug({}, `alerts: ${errorLine(error)}`));
  }

  async #save(signal: AbortSignal): Promise<void> {
    await this.#saving.take(async () => {
      const board = this.#board;
      if (!board) return;
      if (board.takeChanged()) this.#unsaved = new Set(this.#config.nodes.map(({ name }) => name));
      if (this.#unsaved.size === 0) return;
      const failed = await saveAlerts(this.#config, board.records, { only: [...this.#unsaved], signal });
      this.#unsaved = new Set([...(board.takeChanged() ? this.#config.nodes.map(({ name }) => name) : []), ...failed]);
    });
  }
}

function watchFailed(sender: string, reason: string): Condition {
  const message = `${sender} cannot see how all is: ${reason}`;
  return { rule: "watch_failed", subject: "", message, remedy: "`tandem status` shows it.", afterMs: 0 };
}
