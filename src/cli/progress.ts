import { MultiBar, type SingleBar } from "cli-progress";
import type { LinkEvent } from "../link/report.ts";
import { tableLabel } from "../link/report.ts";
import { printable } from "./text.ts";

/** Shows how a first copy gets on. */
export interface Progress {
  readonly show: (event: LinkEvent) => void;
  /** Takes the bars away; may be called again. */
  stop(): void;
}

// A line for each step of a long copy, where nobody sees a bar: often enough to know that it lives.
const lineEveryMs = 2_000;

/** Bars on a terminal, lines elsewhere. Only a first copy takes long enough to be shown. */
export function startProgress(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? bars(stream) : lines(stream);
}

const nameOf = ({ source, target, table }: LinkEvent) =>
  printable(`${source} → ${target}  ${table ? tableLabel(table) : ""}`);

/** Without a total an event counts the rows of one range, which its end counts again. */
const isStep = (event: LinkEvent) => event.kind === "copy" && event.table !== null && event.total !== null;

function bars(stream: NodeJS.WriteStream): Progress {
  const format = "{name}  {bar}  {value} of {total} rows";
  const multi = new MultiBar({ stream, format, hideCursor: true, clearOnComplete: true, emptyOnZero: true });
  const open = new Map<string, SingleBar>();
  return {
    show(event) {
      if (!isStep(event)) return;
      const name = nameOf(event);
      // The total is the planner's guess.
      const total = Math.max(event.total ?? 0, event.rows);
      const bar = open.get(name) ?? multi.create(total, 0, { name });
      open.set(name, bar);
      bar.setTotal(total);
      bar.update(event.rows, { name });
      if (event.rows < total) return;
      multi.remove(bar);
      open.delete(name);
    },
    stop() {
      multi.stop();
    },
  };
}

function lines(stream: NodeJS.WriteStream): Progress {
  const shown = new Map<string, number>();
  return {
    show(event) {
      if (!isStep(event)) return;
      const name = nameOf(event);
      const done = event.rows === event.total;
      const now = performance.now();
      if (!done && now - (shown.get(name) ?? Number.NEGATIVE_INFINITY) < lineEveryMs) return;
      shown.set(name, now);
      const of = done || (event.total ?? 0) <= event.rows ? "" : ` of about ${(event.total ?? 0).toLocaleString("en")}`;
      stream.write(`${name}  ${event.rows.toLocaleString("en")}${of} rows${done ? ", done" : ""}\n`);
    },
    stop() {},
  };
}
