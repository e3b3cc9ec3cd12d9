import type { Traffic } from "./traffic.ts";

/** One look at what moves. */
export interface Frame {
  readonly elapsedMs: number;
  readonly traffic: readonly Traffic[];
  /** Of the last change in each direction, in milliseconds. */
  readonly lags: ReadonlyMap<string, number>;
  readonly remarks: readonly string[];
}

/** Where it is shown. */
export interface Screen {
  readonly out: NodeJS.WritableStream;
  readonly isTerminal: boolean;
}

const lineEveryMs = 2_000;

/** Shows frames in place on a terminal, as lines every few seconds elsewhere. */
export class LiveTable {
  readonly #screen: Screen;
  #drawn = 0;
  /** Of the last seconds: rows come in batches, and a rate over one frame would jump. */
  readonly #recent: Frame[] = [];

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** How long to wait between frames. */
  get everyMs(): number {
    return this.#screen.isTerminal ? 250 : lineEveryMs;
  }

  show(frame: Frame): void {
    while (this.#recent.length > 1 && frame.elapsedMs - this.#recent[0]!.elapsedMs > lineEveryMs) this.#recent.shift();
    const rates = frame.traffic.map((now, i) => {
      const [before] = this.#recent;
      return before
        ? Math.round(((now.applied - before.traffic[i]!.applied) * 1000) / (frame.elapsedMs - before.elapsedMs))
        : 0;
    });
    this.#recent.push(frame);
    if (this.#screen.isTerminal) this.#redraw([...tableLines(frame, rates), "", ...frame.remarks]);
    else this.#screen.out.write(`${plainLine(frame, rates)}\n`);
  }

  /** A line that is wrapped would shift the count of lines to go up. */
  #redraw(lines: readonly string[]): void {
    const { columns = 80 } = this.#screen.out as { columns?: number };
    const wrapped = lines.flatMap((line) => wrap(line, Math.max(columns - 1, 40)));
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A\r\x1b[J` : "";
    this.#screen.out.write(`${up}${wrapped.map((line) => `${line}\n`).join("")}`);
    this.#drawn = wrapped.length;
  }
}

/** `local → external`. */
export function directionOf({ source, target }: { readonly source: string; readonly target: string }): string {
  return `${source} → ${target}`;
}

function lagOf(frame: Frame, direction: string): string {
  const lag = frame.lags.get(direction);
  return lag === undefined ? "–" : `${Math.round(lag)} ms`;
}

const columnsOf = (cells: readonly string[]) =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(18) : cell.padStart(11))).join("");

function tableLines(frame: Frame, rates: readonly number[]): string[] {
  return [
    columnsOf([`after ${Math.round(frame.elapsedMs / 1000)} s`, "pending", "rows/s", "lag", "conflicts", "parked"]),
    ...frame.traffic.map((one, i) => {
      const direction = directionOf(one);
      const numbers = [one.pending, rates[i], lagOf(frame, direction), one.conflicts, one.parked];
      return columnsOf([direction, ...numbers.map(String)]);
    }),
  ];
}

function plainLine(frame: Frame, rates: readonly number[]): string {
  const parts = frame.traffic.map((one, i) => {
    const direction = directionOf(one);
    return `${direction}: ${one.pending} pending, ${rates[i]} rows/s, lag ${lagOf(frame, direction)}, ${one.conflicts} conflicts, ${one.parked} parked`;
  });
  return `${String(Math.round(frame.elapsedMs / 1000)).padStart(4)} s  ${parts.join("  |  ")}`;
}

/** Breaks at spaces. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > width) {
    const space = rest.lastIndexOf(" ", width);
    const at = space > 0 ? space : width;
    lines.push(rest.slice(0, at));
    rest = rest.slice(at).trimStart();
  }
  return [...lines, rest];
}
