import { randomUUID } from "node:crypto";
import type { Target } from "../base/ends.ts";
import { errorLine } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../base/time.ts";
import type { Config, LinkConfig } from "../config/config.ts";
import { quoteLiteral } from "../db/quote.ts";
import { call } from "../postgres/session.ts";
import { connectPrimary, nodeOf } from "./open-link.ts";

/** What a heartbeat needs. */
export interface HeartbeatOptions {
  /** From one to the next, in milliseconds of `clock`. */
  readonly everyMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Whether this sidecar works on the link at this moment. */
  readonly may: () => boolean;
}

/** A round of the link, in milliseconds of `performance.now`. */
interface Round {
  readonly beganAt: number;
  /** Whether the target has everything that was committed at the source before it began. */
  readonly reached: boolean;
}

interface Beat {
  readonly id: string;
  readonly sentAt: number;
  /** Null: it may not be committed yet. */
  committedAt: number | null;
}

/**
 * A row that is changed at a link's source once in a while and timed until it is in the target: the whole way of an application's change, by
 * one clock. It is written by a connection of its own, so that the link learns of it as of any other commit.
 */
export class Heartbeat {
  readonly #config: Config;
  readonly #pair: LinkConfig;
  readonly #options: HeartbeatOptions;
  #underWay: Beat | null = null;

  constructor(config: Config, pair: LinkConfig, options: HeartbeatOptions) {
    this.#config = config;
    this.#pair = pair;
    this.#options = options;
  }

  /** Sends one after the other until the signal is aborted; none while one is under way. What fails is tried again with the next. */
  async run(): Promise<void> {
    const { clock, signal, everyMs, may } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(everyMs, signal).catch(() => {});
      if (signal.aborted) return;
      if (may() && this.#underWay === null) await this.#send();
    }
  }

  /** To be called after each round of the link: notes in the target how long the one under way took, once it has come. */
  async look(target: Target, { beganAt, reached }: Round): Promise<void> {
    const beat = this.#underWay;
    if (!beat) return;
    const now = performance.now();
    if (await target.noteHeartbeat(beat.id, now - beat.sentAt)) this.#underWay = null;
    // It was in what the round has brought, and is not there: parked, or another sidecar has sent one since.
    else if (reached && beat.committedAt !== null && beat.committedAt < beganAt) this.#underWay = null;
  }

  async #send(): Promise<void> {
    const { source, target } = this.#pair;
    const { logger, signal } = this.#options;
    try {
      await using connection = await connectPrimary(nodeOf(this.#config, source), `heartbeat ${target}`, { signal });
      const beat: Beat = { id: randomUUID(), sentAt: performance.now(), committedAt: null };
      this.#underWay = beat;
      const names = [source, target, beat.id].map(quoteLiteral).join(", ");
      await call(connection, "beat", `select tandem.beat(${names})`);
      beat.committedAt = performance.now();
    } catch (error) {
      this.#underWay = null;
      if (!signal.aborted) logger.warn({ source, target }, `no heartbeat was sent: ${errorLine(error)}`);
    }
  }
}
