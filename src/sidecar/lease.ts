import { errorLine, TandemError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Backoff, mendsItself } from "../base/retry.ts";
import type { Clock } from "../base/time.ts";
import type { NodeConfig } from "../config/config.ts";
import type { Connection } from "../db/connection.ts";
import { quoteLiteral } from "../db/quote.ts";
import { callJson } from "../postgres/session.ts";
import { connectPrimary } from "./open-link.ts";

/** Who wants the lease, and for how long. */
export interface LeaseOptions {
  /** This sidecar, as a UUID: another one for each process. */
  readonly holder: string;
  /** How people see it in status. */
  readonly label: string;
  /** Between two renewals, in milliseconds; the lease lasts for three of them and a bit. */
  readonly renewMs: number;
  /** Told when a tenure begins, with the node's name. */
  readonly onTenure?: ((node: string) => void) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted when nobody works under the lease any more. */
  readonly signal: AbortSignal;
}

/** What happens to one who waits for the lease. */
export interface Waiting {
  /** Another sidecar has it. */
  readonly standBy?: () => void;
  /** The node cannot be asked; with the error in one line. */
  readonly failing?: (line: string) => void;
}

interface Answer {
  readonly held: boolean;
  readonly label: string;
  /** Another sidecar stands by. */
  readonly awaited: boolean;
}

// So long a source may be out of reach before another sidecar is given a try; and, where it is out of reach for all, longer each time.
const patienceMs = { min: 15_000, max: 600_000, jitter: 0 };

/** A database that sleeps when idle is not kept awake by a connection that only waits, for so long or longer. */
export const disconnectFromMs = 60_000;

/**
 * The right to work on the links into one node. Of several sidecars one has it, the others stand by and take over when
 * it has not been renewed in time. It rests on the node's clock; here counts the time since the last renewal was asked for,
 * so that a holder who slept notices by itself. A holder to whom the source of a link stays out of reach gives the lease away
 * to one that stands by, who may reach it.
 */
export class Lease {
  readonly #node: NodeConfig;
  readonly #options: LeaseOptions;
  readonly #failing = new Backoff({ min: 250, max: 10_000 });
  readonly #yielding = new Backoff(patienceMs);
  /** Sources out of reach, each with the time since when. */
  readonly #unreached = new Map<string, number>();
  #patience = this.#yielding.next();
  #connection: Connection | null = null;
  #tenure: AbortController | null = null;
  #waiting: (Waiting & { readonly begin: (tenure: AbortSignal) => void })[] = [];
  #expiry = new AbortController();
  #heldUntil = 0;
  #holder: string | null = null;
  #asked = false;

  constructor(node: NodeConfig, options: LeaseOptions) {
    this.#node = node;
    this.#options = options;
  }

  /** The signal of the present tenure, aborted when the lease is lost; null while it is not held. */
  get tenure(): AbortSignal | null {
    if (this.#tenure && this.#options.clock.now() >= this.#heldUntil) this.#lose();
    return this.#tenure?.signal ?? null;
  }

  /** To be told by the links into the node whether their source is within reach. */
  noteReach(source: string, reached: boolean): void {
    if (!reached && !this.#unreached.has(source)) this.#unreached.set(source, this.#options.clock.now());
    if (!reached || !this.#unreached.delete(source) || this.#unreached.size > 0) return;
    this.#yielding.reset();
    this.#patience = this.#yielding.next();
  }

  /** Waits until the lease is held, and tells meanwhile why it is not; rejects with `stopped` when the signal is aborted before that. */
  async held(signal: AbortSignal, waiting: Waiting = {}): Promise<AbortSignal> {
    const tenure = this.tenure;
    if (tenure) return tenure;
    if (this.#holder !== null) waiting.standBy?.();
    return await new Promise((resolve, reject) => {
      const stop = () => reject(new TandemError("stopped", "stopped while standing by", { cause: signal.reason }));
      if (signal.aborted) return stop();
      signal.addEventListener("abort", stop, { once: true });
      const begin = (begun: AbortSignal) => {
        signal.removeEventListener("abort", stop);
        resolve(begun);
      };
      this.#waiting.push({ ...waiting, begin });
    });
  }

  /** Renews until the signal is aborted, then gives the lease back; throws what only a person can mend before the first answer. */
  async run(): Promise<void> {
    const { signal, clock } = this.#options;
    try {
      while (!signal.aborted) {
        const pause = await this.#turn();
        if (!signal.aborted) await clock.sleep(pause, signal).catch(() => {});
      }
    } finally {
      await this.#release();
      this.#lose();
    }
  }

  async #turn(): Promise<number> {
    const { holder, label, renewMs, clock, logger } = this.#options;
    const lastsMs = 3 * renewMs + 1_000;
    const askedAt = clock.now();
    try {
      const answer = await callJson<Answer>(
        await this.#connected(),
        "lease",
        `tandem.hold_lease(${quoteLiteral(holder)}, ${quoteLiteral(label)}, interval '${lastsMs} milliseconds')`,
      );
      this.#asked = true;
      this.#failing.reset();
      const since = Math.min(...this.#unreached.values());
      if (answer.held && answer.awaited && clock.now() - since >= this.#patience) return await this.#giveWay();
      if (answer.held) this.#keep(askedAt + lastsMs);
      else this.#standBy(answer.label);
      if (renewMs >= disconnectFromMs) await this.#close();
      return renewMs;
    } catch (error) {
      await this.#close();
      if (this.#options.signal.aborted) return 0;
      if (!this.#asked && !mendsItself(error)) throw error;
      const retryInMs = this.#failing.next();
      const line = errorLine(error);
      logger.warn({ node: this.#node.name, retryInMs }, line);
      for (const { failing } of this.#waiting) failing?.(line);
      return retryInMs;
    }
  }

  #keep(until: number): void {
    const { clock, logger, onTenure } = this.#options;
    const tenure = this.#tenure ?? new AbortController();
    if (!this.#tenure) {
      logger.info({ node: this.#node.name }, "works on the links into this node");
      onTenure?.(this.#node.name);
    }
    this.#tenure = tenure;
    this.#heldUntil = until;
    this.#holder = null;
    this.#expiry.abort();
    this.#expiry = new AbortController();
    // Also where no renewal comes back: the next turn may hang in a silent network.
    clock.sleep(until - clock.now(), this.#expiry.signal).then(
      () => this.tenure,
      () => {},
    );
    for (const { begin } of this.#waiting.splice(0)) begin(tenure.signal);
  }

  #standBy(label: string): void {
    this.#lose();
    if (this.#holder !== label) this.#options.logger.info({ node: this.#node.name, holder: label }, "stands by");
    this.#holder = label;
    for (const { standBy } of this.#waiting) standBy?.();
  }

  /** Lets go of the lease for long enough that who stands by asks first. */
  async #giveWay(): Promise<number> {
    const { renewMs, logger } = this.#options;
    logger.warn({ node: this.#node.name, unreached: [...this.#unreached.keys()] }, "gives way to another sidecar");
    this.#patience = this.#yielding.next();
    await this.#release();
    this.#lose();
    return 2 * renewMs + 1_000;
  }

  #lose(): void {
    this.#unreached.clear();
    this.#expiry.abort();
    const tenure = this.#tenure;
    this.#tenure = null;
    tenure?.abort(
      new TandemError("link_busy", `node ${this.#node.name}: another sidecar may have taken over its links`),
    );
  }

  async #connected(): Promise<Connection> {
    if (this.#connection?.broken) await this.#close();
    this.#connection ??= await connectPrimary(this.#node, "lease", { signal: this.#options.signal });
    return this.#connection;
  }

  async #release(): Promise<void> {
    try {
      if (this.#tenure && this.#connection && !this.#connection.broken) {
        await callJson(
          this.#connection,
          "lease",
          `to_jsonb(tandem.release_lease(${quoteLiteral(this.#options.holder)}))`,
        );
      }
    } catch (error) {
      // It is over by itself in a moment.
      this.#options.logger.warn({ node: this.#node.name }, errorLine(error));
    } finally {
      await this.#close();
    }
  }

  async #close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = null;
    await connection?.close();
  }
}
