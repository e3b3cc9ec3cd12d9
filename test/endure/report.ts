import type { Memory } from "./watch.ts";

/** What a run of `tandem run` with restarts has shown, for the evidence. */
export interface EndureReport {
  readonly seed: number;
  readonly minutes: number;
  readonly server: string;
  readonly transactions: readonly number[];
  readonly reconnects: number;
  readonly rows: number;
  readonly episodes: readonly { readonly words: string; readonly events: readonly string[] }[];
  readonly scrapes: number;
  readonly slowestMs: number;
  readonly told: number;
  /** Median resident memory in each of up to 60 parts of the time, in MB. */
  readonly memory: readonly number[];
  readonly grownMb: number;
  readonly wrong: readonly string[];
}

/** Medians of equal parts of the time. */
export function medians(memory: readonly Memory[], parts: number): number[] {
  const begun = memory[0]?.atMs ?? 0;
  const lasted = (memory.at(-1)?.atMs ?? 0) - begun + 1;
  return Array.from({ length: parts }, (_, i) =>
    median(memory.filter(({ atMs }) => Math.floor(((atMs - begun) * parts) / lasted) === i).map(({ mb }) => mb)),
  ).filter((mb) => !Number.isNaN(mb));
}

/** By how much more is resident in the last third of the time than in the second, in MB; the first is the warming up. */
export function grown(memory: readonly Memory[]): number {
  const [, second, third] = medians(memory, 3);
  if (second === undefined || third === undefined) throw new Error("too few looks at the memory");
  return third - second;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
