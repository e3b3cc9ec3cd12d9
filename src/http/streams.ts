import type { ServerResponse } from "node:http";
import { errorLine, TandemError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../base/time.ts";
import type { Live } from "../sidecar/live.ts";
import type { StatusReport } from "../sidecar/status.ts";

/** What the streams tell of. */
export interface StreamsOptions {
  readonly live: Live;
  readonly status: () => Promise<StatusReport>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

const mostStreams = 32;
const lookEveryMs = 2_000;
const tellLinksEveryMs = 250;
const breathEveryMs = 15_000;
// Of a client that does not read; it begins anew when it comes back.
const mostWaitingBytes = 1024 * 1024;

/** Ages grow by themselves: that alone is no news. */
const ages = new Set(["oldestPendingMs", "caughtUpMs", "lagMs", "heartbeatMs", "heartbeatAt", "seenAt", "clockSkewMs"]);

/**
 * The streams of server-sent events. While anybody listens, the nodes are asked every two seconds, once for all; what this
 * sidecar's links do is told at once, several changes of a link in a quarter of a second as one.
 */
export class Streams {
  readonly #options: StreamsOptions;
  readonly #open = new Set<ServerResponse>();
  readonly #changed = new Set<string>();
  #watching = false;
  #status: string | null = null;

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  /** Throws `too_many_requests` where there are enough of them. */
  check(): void {
    if (this.#open.size >= mostStreams) throw new TandemError("too_many_requests", "too many streams are open");
  }

  /** Begins to tell; it ends with the client, or with the sidecar. */
  add(response: ServerResponse): void {
    this.#open.add(response);
    response.on("close", () => this.#open.delete(response));
    response.write("retry: 2000\n\n");
    for (const link of this.#options.live.links) send(response, "link", JSON.stringify(link));
    if (this.#status !== null && this.#watching) send(response, "status", this.#status);
    this.#keepWatching();
  }

  #keepWatching(): void {
    if (this.#watching || this.#open.size === 0 || this.#options.signal.aborted) return;
    this.#watching = true;
    void this.#watch().finally(() => {
      this.#watching = false;
      this.#status = null;
      this.#keepWatching();
    });
  }

  async #watch(): Promise<void> {
    const { clock, live, logger, signal } = this.#options;
    let looked = Number.NEGATIVE_INFINITY;
    let breathed = clock.now();
    let seen = "";
    const stop = live.listen(({ link }) => void this.#changed.add(`${link.source} ${link.target}`));
    try {
      while (this.#open.size > 0 && !signal.aborted) {
        if (clock.now() - looked >= lookEveryMs || clock.now() < looked) {
          looked = clock.now();
          try {
            const report = await this.#options.status();
            this.#status = JSON.stringify(report);
            const news = JSON.stringify(report, (key, value) => (ages.has(key) ? undefined : value));
            if (news !== seen) this.#tell("status", this.#status);
            seen = news;
          } catch (error) {
            if (!signal.aborted) logger.warn({}, errorLine(error));
          }
        }
        this.#tellLinks();
        if (clock.now() - breathed >= breathEveryMs) {
          breathed = clock.now();
          for (const response of this.#open) response.write(": \n\n");
        }
        await clock.sleep(tellLinksEveryMs, signal).catch(() => {});
      }
    } finally {
      stop();
      if (signal.aborted) for (const response of this.#open) response.end();
    }
  }

  #tellLinks(): void {
    for (const key of this.#changed) {
      const [source = "", target = ""] = key.split(" ");
      this.#tell("link", JSON.stringify(this.#options.live.link(source, target)));
    }
    this.#changed.clear();
  }

  #tell(event: string, data: string): void {
    for (const response of this.#open) send(response, event, data);
  }
}

function send(response: ServerResponse, event: string, data: string): void {
  if (response.writableLength > mostWaitingBytes) response.destroy();
  else response.write(`event: ${event}\ndata: ${data}\n\n`);
}
