import { randomUUID } from "node:crypto";
import type { AlertEvent, AlertRule, Condition } from "./event.ts";

/** An alert as it is kept, with the names of tandem.alert's columns. */
export interface AlertRecord {
  readonly alert_id: string;
  readonly rule: AlertRule;
  readonly subject: string;
  state: "firing" | "cleared";
  /** All times in ISO 8601. */
  since: string;
  /** The newest thing to tell, and when it came up. */
  event: string;
  event_at: string;
  what: "fired" | "lasts" | "cleared";
  message: string;
  remedy: string;
  /** By target: the event it was told last. */
  told: Record<string, string>;
  changed_at: string;
}

/** What `update` goes by. */
export interface BoardOptions {
  readonly now: number;
  readonly repeatMs: number | null;
  /** Whether it cannot be known at this moment if an alert still holds: then it stays as it is. */
  readonly isUnknown: (record: Pick<AlertRecord, "rule" | "subject">) => boolean;
}

// Long enough for a target that is out of reach for a while to hear that it is over.
const keepClearedMs = 86_400_000;
// A bound, far above what anybody reads.
const mostAlerts = 500;

const iso = (ms: number) => new Date(ms).toISOString();

/**
 * What people are told of: an event when something has lasted long enough, again every so often while it lasts, and when it is over.
 * A target is owed the newest event of each alert until it has been told; so what waits for a target that is out of reach is bounded, and
 * what is kept over a restart is neither lost nor told twice.
 */
export class Board {
  readonly #records = new Map<string, AlertRecord>();
  /** Since when something is so that has not lasted long enough. */
  readonly #watching = new Map<string, number>();
  #changed = false;

  /** From what was kept, on one node or on several that may differ: the newest word on each alert counts. */
  constructor(kept: readonly AlertRecord[] = []) {
    this.#take(kept);
  }

  /**
   * Takes over what another one has kept meanwhile, where it is newer. What is older than all that is kept of what was over is not: it may
   * long be over, and come from a node that was away for as long.
   */
  takeUp(kept: readonly AlertRecord[], now: number): void {
    this.#take(kept.filter(({ changed_at }) => now - Date.parse(changed_at) < keepClearedMs));
  }

  #take(kept: readonly AlertRecord[]): void {
    for (const record of kept) {
      const known = this.#records.get(record.alert_id);
      if (!known || known.changed_at < record.changed_at)
        this.#records.set(record.alert_id, { ...record, told: { ...record.told } });
    }
  }

  /** Whether what is kept somewhere lacks a word of this board. */
  isAheadOf(kept: readonly AlertRecord[]): boolean {
    const isKept = (own: AlertRecord) =>
      kept.some(({ alert_id, changed_at }) => alert_id === own.alert_id && changed_at >= own.changed_at);
    return !this.records.every(isKept);
  }

  /** All there is to be kept. */
  get records(): readonly AlertRecord[] {
    return [...this.#records.values()];
  }

  /** What holds at this moment and has been told, or is to be. */
  get firing(): readonly AlertRecord[] {
    return this.records.filter(({ state }) => state === "firing");
  }

  /** Whether there is anything to be kept that was not there when this was asked before. */
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  /** Takes note of how things are. */
  update(conditions: readonly Condition[], options: BoardOptions): void {
    const found = new Map(conditions.map((condition) => [idOf(condition), condition]));
    for (const [id, condition] of found) this.#holds(id, condition, options);
    for (const record of this.firing) {
      if (!found.has(record.alert_id) && !options.isUnknown(record)) this.#tell(record, "cleared", options.now);
    }
    for (const id of this.#watching.keys()) if (!found.has(id)) this.#watching.delete(id);
    for (const record of this.records) {
      if (record.state === "cleared" && options.now - Date.parse(record.event_at) > keepClearedMs) {
        this.#records.delete(record.alert_id);
        this.#changed = true;
      }
    }
  }

  #holds(id: string, { rule, subject, message, remedy, afterMs }: Condition, { now, repeatMs }: BoardOptions): void {
    const record = this.#records.get(id);
    if (record?.state === "firing") {
      const last = Date.parse(record.event_at);
      // A clock that was set back must not silence it.
      const due = repeatMs !== null && (now - last >= repeatMs || now < last - repeatMs);
      if (due) this.#tell(Object.assign(record, { message, remedy }), "lasts", now);
      return;
    }
    const since = Math.min(this.#watching.get(id) ?? now, now);
    this.#watching.set(id, since);
    if (now - since < afterMs || (!record && this.#records.size >= mostAlerts)) return;
    this.#watching.delete(id);
    const begun = { alert_id: id, rule, subject, message, remedy, state: "firing" as const, since: iso(since) };
    const fresh = { event: "", event_at: "", what: "fired" as const, told: record?.told ?? {}, changed_at: "" };
    this.#tell({ ...begun, ...fresh }, "fired", now);
  }

  #tell(record: AlertRecord, what: AlertRecord["what"], now: number): void {
    const state = what === "cleared" ? "cleared" : "firing";
    // Strictly later than before, for the newest word counts, also where the clock stands still or steps back.
    const changed = Math.max(now, record.changed_at === "" ? 0 : Date.parse(record.changed_at) + 1);
    Object.assign(record, { state, what, event: randomUUID(), event_at: iso(now), changed_at: iso(changed) });
    this.#records.set(record.alert_id, record);
    this.#changed = true;
  }

  /** What a target has not been told yet. */
  owed(target: string): AlertEvent[] {
    return this.records
      .filter(({ event, told }) => told[target] !== event)
      .map(({ alert_id, event, event_at, what, rule, subject, since, message, remedy }) => {
        return { id: event, alert: alert_id, what, rule, subject, since, at: event_at, message, remedy };
      });
  }

  /** Takes note of what a target has been told. */
  noteTold(target: string, events: readonly AlertEvent[]): void {
    for (const { alert, id } of events) {
      const record = this.#records.get(alert);
      if (record?.event !== id) continue;
      record.told[target] = id;
      record.changed_at = iso(Date.parse(record.changed_at) + 1);
      this.#changed = true;
    }
  }
}

function idOf({ rule, subject }: Condition): string {
  return `${rule} ${subject}`.trim();
}
