import { MultiBar, type SingleBar } from "cli-progress";
import type { BackupEvent } from "../backup/create.ts";
import { size } from "./backup-text.ts";
import { printable } from "./text.ts";

/** Shows how a backup gets on. */
export interface BackupProgress {
  readonly show: (event: BackupEvent) => void;
  /** Takes the bar away; may be called again. */
  stop(): void;
}

// A line for each step of a long backup, where nobody sees a bar: often enough to know that it lives.
const lineEveryMs = 2_000;

/** A bar for the table at hand on a terminal; elsewhere a line now and then, and none for what is done at once. */
export function startBackupProgress(stream: NodeJS.WriteStream): BackupProgress {
  const multi = stream.isTTY
    ? new MultiBar({
        stream,
        format: "{name}  {bar}  {value} of {total} rows",
        hideCursor: true,
        clearOnComplete: true,
        emptyOnZero: true,
      })
    : null;
  let bar: SingleBar | null = null;
  let toldAt = performance.now();
  const say = (line: string) => {
    if (multi) multi.log(`${line}\n`);
    else stream.write(`${line}\n`);
  };
  return {
    show(event) {
      if (event.kind === "waiting") {
        if (performance.now() - toldAt < lineEveryMs) return;
        toldAt = performance.now();
        return say(`waiting for ${printable(event.holder)}`);
      }
      if (event.kind === "dump") {
        if (event.step === "written" && performance.now() - toldAt >= lineEveryMs) {
          say(`database.dump  ${size(event.bytes)}, reading it back`);
        }
        return;
      }
      const name = printable(event.table);
      if (multi) {
        bar ??= multi.create(event.total, 0, { name });
        bar.setTotal(event.total);
        bar.update(event.rows, { name });
        return;
      }
      if (performance.now() - toldAt < lineEveryMs) return;
      toldAt = performance.now();
      say(
        `${name}  ${event.rows.toLocaleString("en")}${event.done ? " rows, done" : ` of about ${event.total.toLocaleString("en")} rows`}`,
      );
    },
    stop() {
      multi?.stop();
    },
  };
}
