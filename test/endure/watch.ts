import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Metrics at one moment, by series as they are written: `name{labels}`. */
export type Series = ReadonlyMap<string, number>;

/** Resident memory of a moment, in MB. */
export interface Memory {
  readonly atMs: number;
  readonly mb: number;
}

/** Scrapes the metrics of a sidecar every few seconds, as Prometheus does, and holds them to what must always be so. */
export class Watch implements AsyncDisposable {
  readonly memory: Memory[] = [];
  /** What was not as it must be. */
  readonly wrong: string[] = [];
  scrapes = 0;
  slowestMs = 0;
  told = 0;
  readonly #url: string;
  readonly #pid: number;
  readonly #everyMs: number;
  readonly #counters = new Map<string, number>();
  readonly #end = new AbortController();
  readonly #done: Promise<unknown>;

  constructor(url: string, pid: number, everyMs: number) {
    this.#url = url;
    this.#pid = pid;
    this.#everyMs = everyMs;
    this.#done = Promise.all([this.#scrapeOnAndOn(), this.#listen()]);
  }

  async #scrapeOnAndOn(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        await this.scrape();
      } catch (error) {
        if (!signal.aborted) this.wrong.push(`/metrics: ${error}`);
      }
      await sleep(this.#everyMs, undefined, { signal }).catch(() => {});
    }
  }

  /** The metrics at this moment. */
  async scrape(): Promise<Series> {
    const begun = performance.now();
    const response = await fetch(`${this.#url}/metrics`, { signal: AbortSignal.timeout(60_000) });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${text}`);
    this.slowestMs = Math.max(this.slowestMs, performance.now() - begun);
    this.scrapes++;
    const series = read(text);
    for (const [name, value] of series) {
      if (!Number.isFinite(value)) this.wrong.push(`${name} is ${value}`);
    }
    const counters = [...text.matchAll(/^# TYPE (\S+) counter$/gm)].map(([, name]) => name ?? "");
    for (const [name, value] of series) {
      if (!counters.some((counter) => name === counter || name.startsWith(`${counter}{`))) continue;
      const before = this.#counters.get(name) ?? 0;
      if (value < before) this.wrong.push(`${name} fell from ${before} to ${value}`);
      this.#counters.set(name, value);
    }
    const kb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.#pid}/status`, "utf8"))?.[1]);
    this.memory.push({ atMs: Date.now(), mb: kb / 1024 });
    const own = (series.get("tandem_sidecar_memory_bytes") ?? 0) / 1024 ** 2;
    if (Math.abs(own - kb / 1024) > 30) this.wrong.push(`memory is ${kb / 1024} MB, not ${own} MB`);
    return series;
  }

  /** A page that stays open the whole time. */
  async #listen(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        const response = await fetch(`${this.#url}/api/events`, { signal });
        for await (const chunk of response.body ?? []) {
          this.told += Buffer.from(chunk).toString("utf8").split("\nevent: ").length - 1;
        }
        if (!signal.aborted) this.wrong.push("the stream of events ended");
      } catch (error) {
        if (!signal.aborted) this.wrong.push(`/api/events: ${error}`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#done;
  }
}

function read(text: string): Series {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(" ");
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}
