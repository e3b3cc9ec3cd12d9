import { Counter, Gauge, Registry } from "prom-client";
import type { Live } from "../sidecar/live.ts";

const states = ["connecting", "standby", "working", "idle", "paused", "failing", "stopped"] as const;

/**
 * What Prometheus reads. Times are absolute, units are seconds, bytes and rows; labels are names of the configuration and
 * of this program only, so that there are never more series than links, nodes, jobs and routes.
 */
export class ProcessMetrics {
  /** What this process counts by itself. */
  readonly registry = new Registry();
  readonly #requests: Counter;
  readonly #refused: Counter;

  constructor(version: string, live: Live) {
    const registers = [this.registry];
    new Gauge({ name: "tandem_info", help: "The version of this sidecar.", labelNames: ["version"], registers }).set(
      { version },
      1,
    );
    new Gauge({
      name: "tandem_sidecar_start_timestamp_seconds",
      help: "When this sidecar was started.",
      registers,
    }).set(Math.round(Date.now() - process.uptime() * 1_000) / 1_000);
    new Gauge({
      name: "tandem_sidecar_memory_bytes",
      help: "Resident memory of this sidecar.",
      registers,
      collect() {
        this.set(process.memoryUsage.rss());
      },
    });
    new Gauge({
      name: "tandem_sidecar_link_state",
      help: "What this sidecar does on a link: 1 for the state it is in.",
      labelNames: ["source", "target", "state"],
      registers,
      collect() {
        for (const { source, target, state } of live.links) {
          for (const one of states) this.set({ source, target, state: one }, one === state ? 1 : 0);
        }
      },
    });
    new Counter({
      name: "tandem_sidecar_rows_total",
      help: "Rows that this sidecar has carried over a link.",
      labelNames: ["source", "target"],
      registers,
      collect() {
        this.reset();
        for (const { source, target, rows } of live.links) this.inc({ source, target }, rows);
      },
    });
    this.#requests = new Counter({
      name: "tandem_http_requests_total",
      help: "HTTP requests that were answered.",
      labelNames: ["method", "route", "status"],
      registers,
    });
    this.#refused = new Counter({
      name: "tandem_http_refused_total",
      help: "Requests and connections that were refused unread, for their address asked for far too much.",
      registers,
    });
  }

  /** Counts an answer; a path that is none is `other`, so that nobody makes series by asking. */
  request(method: string, route: string | undefined, status: number): void {
    const known = ["GET", "POST", "HEAD", "OPTIONS"].includes(method) ? method : "other";
    this.#requests.inc({ method: known, route: route ?? "other", status });
  }

  /** Counts what was refused before it was read. */
  refused(): void {
    this.#refused.inc();
  }
}
