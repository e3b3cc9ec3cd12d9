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
import { asFiring, type FiringAlert, loadAlerts, saveAlerts } from "./alert-store.ts";
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
  /** Told what people are told of, as of every look; null: another sidecar tells it. */
  readonly onFiring?: ((firing: readonly FiringAlert[] | null) => void) | undefined;
}

const lastSaveMs = 3_000;
// Until the leases are taken, when the sidecar has just been started.
const undecidedMs = 1_000;
// More than a lease lasts and is tried for; then it is nobody's, and who told before goes on.
const openForMs = 30_000;

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
  /** Nodes that do not hold what there is to be kept. */
  #unsaved = new Set<string>();
  #tells = true;
  /** Since when nodes answer and none of them knows of a sidecar, nor holds this one a lease; null: it is known who works. */
  #openSince: number | null = null;
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
      await clock.sleep(this.#openSince !== null ? Math.min(undecidedMs, everyMs) : everyMs, signal).catch(() => {});
      return;
    }
    const over = new AbortController();
    this.#roundOver = () => over.abort();
    await clock.sleep(2 * intervalMs, AbortSignal.any([signal, over.signal])).catch(() => {});
    this.#roundOver = null;
  }

  async #look(): Promise<void> {
    const { clock, signal, sender, onFiring } = this.#options;
    const { repeatMs } = this.#config.alerts;
    const facts = await this.#facts();
    if ("reason" in facts) {
      // A standby does not know more than who tells, and repeats nothing.
      if (!this.#tells) return;
    } else if (this.#isOpen(facts)) return;
    const { kept } = await loadAlerts(this.#config, signal);
    if (!this.#tells) return await this.#handOver(kept);
    const board = this.#takeUp([...kept.values()].flat());
    const conditions = "reason" in facts ? [watchFailed(sender, facts.reason)] : conditionsOf(this.#config, facts);
    const unknown =
      "reason" in facts ? () => true : (record: Parameters<typeof isUnknown>[0]) => isUnknown(record, facts.unanswered);
    board.update(conditions, { now: clock.now(), repeatMs, isUnknown: unknown });
    onFiring?.(asFiring(board.firing));
    for (const [node, records] of kept) if (board.isAheadOf(records)) this.#unsaved.add(node);
    await this.#save(signal);
    for (const [target, outbox] of this.#outboxes) outbox.offer(board.owed(target), board.firing.length === 0);
  }

  /** The board, with what another sidecar may have told while no node could be asked. */
  #takeUp(kept: readonly AlertRecord[]): Board {
    if (this.#board) this.#board.takeUp(kept, this.#options.clock.now());
    else this.#board = new Board(kept);
    return this.#board;
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

  /**
   * Decides who tells: where no node can be asked, it stays as it was. True: it is open for the moment. A sidecar whose lease has run out while
   * the nodes were away keeps what it has told until it is known who goes on; else nobody would ever say that it is over.
   */
  #isOpen({ report }: AlertFacts): boolean {
    const { holds, clock } = this.#options;
    const first = report.nodes.find(({ sidecar }) => sidecar !== null);
    const open = !first && report.nodes.some(({ answered }) => answered);
    if (first) this.#tells = holds(first.node);
    else if (open && report.nodes.some(({ node }) => holds(node))) this.#tells = true;
    else if (open) {
      const now = clock.now();
      this.#openSince = Math.min(this.#openSince ?? now, now);
      return now - this.#openSince < openForMs;
    }
    this.#openSince = null;
    return false;
  }

  /** Another one tells. What only this one knows, for no node could keep it, is left to it in the nodes first. */
  async #handOver(kept: ReadonlyMap<string, readonly AlertRecord[]>): Promise<void> {
    const { signal, onFiring } = this.#options;
    for (const outbox of this.#outboxes.values()) outbox.offer([], false);
    onFiring?.(null);
    const board = this.#board;
    if (!board) return;
    const records = [...kept.values()].flat();
    if (board.isAheadOf(records)) {
      this.#takeUp(records);
      this.#unsaved = new Set(kept.keys());
      await this.#save(signal);
      // None has taken it: once more at the next look.
      if (kept.size === 0 || [...kept.keys()].every((node) => this.#unsaved.has(node))) return;
    }
    this.#board = null;
    this.#unsaved.clear();
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
