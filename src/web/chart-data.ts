import type { Throughput } from "./types.ts";

/** Points of the charts. */
export interface Series {
  /** Minutes of one point. */
  readonly step: number;
  /** Seconds since 1970. */
  readonly x: readonly number[];
  /** Of each link, rows per minute. */
  readonly rows: readonly (readonly number[])[];
  /** Of each link, seconds. */
  readonly lag: readonly (readonly number[])[];
}

/** A minute of a link's history. */
export type Minute = Throughput["links"][number]["minutes"][number];

/** What some minutes come to. */
export interface Extent {
  readonly rows: number;
  /** The minute that carried most, and the one that was farthest behind; null: there is none. */
  readonly busiest: Minute | null;
  readonly latest: Minute | null;
}

/** What these minutes come to. */
export function extentOf(minutes: readonly Minute[]): Extent {
  const top = (of: (minute: Minute) => number) =>
    minutes.reduce<Minute | null>((best, each) => (best === null || of(each) > of(best) ? each : best), null);
  return {
    rows: minutes.reduce((sum, { rows }) => sum + rows, 0),
    busiest: top(({ rows }) => rows),
    latest: top(({ behindMs }) => behindMs),
  };
}

// Of points in a chart; more of them than a screen has are drawn as one.
const mostPoints = 720;

/**
 * The last `minutes` up to `last` (minutes since 1970), a point for each or, where they are too many, for some together: rows
 * as their mean, lag as the worst. Minutes in which nothing was carried are zero.
 */
export function seriesOf(links: Throughput["links"], minutes: number, last: number): Series {
  const step = Math.max(1, Math.ceil(minutes / mostPoints));
  const points = Math.ceil(minutes / step);
  // Aligned, so that a point keeps its minutes while time goes on.
  const end = Math.floor(last / step);
  const x = Array.from({ length: points }, (_, i) => (end - points + 1 + i) * step * 60);
  const rows = links.map(() => new Array<number>(points).fill(0));
  const lag = links.map(() => new Array<number>(points).fill(0));
  for (const [i, link] of links.entries()) {
    for (const { minute, rows: moved, behindMs } of link.minutes) {
      const at = Math.floor(Date.parse(minute) / 60_000 / step) - (end - points + 1);
      if (at < 0 || at >= points) continue;
      rows[i]![at]! += moved / step;
      lag[i]![at] = Math.max(lag[i]![at]!, behindMs / 1_000);
    }
  }
  return { step, x, rows, lag };
}
